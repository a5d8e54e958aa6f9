from typing import get_args

from condord.live import notices, wire


def test_every_notice_about_the_account_has_a_code_on_the_wire():
    assert set(get_args(notices.AccountNoticeCode)) < set(get_args(wire.NoticeCode))
