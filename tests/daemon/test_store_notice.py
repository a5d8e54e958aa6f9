import datetime as dt
import logging

from condord.daemon.store_notice import StoreNotice
from tests.fakes.history_store import FakeFault

SINCE = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)


def test_a_fault_is_a_notice_and_each_reason_and_the_end_are_logged_once(caplog):
    notice = StoreNotice("alertsNotStored")
    full, locked = (FakeFault(text=text, since=SINCE) for text in ("the disk is full", "the file is locked"))
    shown = []
    with caplog.at_level(logging.INFO):
        for fault in (None, full, full, locked, None, None):
            shown += [(each.code, each.text, each.symbols, each.since) for each in notice.of(fault)]
    assert shown == [("alertsNotStored", fault.text, [], SINCE) for fault in (full, full, locked)]
    assert [(line.levelname, line.fields) for line in caplog.records] == [
        ("WARNING", {"code": "alertsNotStored", "reason": "the disk is full"}),
        ("WARNING", {"code": "alertsNotStored", "reason": "the file is locked"}),
        ("INFO", {"code": "alertsNotStored"}),
    ]
