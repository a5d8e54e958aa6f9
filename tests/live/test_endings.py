import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.cutoffs import CutoffSettings
from condord.core.grouping.account import group
from condord.core.market_hours import hours_of
from condord.live.endings import endings
from tests.core.strategies import condor_holdings, holding, unreadable

THURSDAY, FRIDAY, SATURDAY, MONDAY = (dt.date(2026, 12, day) for day in (17, 18, 19, 21))
OPEN, CLOSE = dt.time(9, 30), dt.time(16)
WEEK = Calendar({day: hours_of(day, OPEN, CLOSE) for day in (THURSDAY, FRIDAY, MONDAY)})
STRIKES, ENTRIES = (560, 570, 630, 640), ("1", "2", "2", "1")
SPY_ID, SPX_ID = "SPY-261218-560-570-630-640", "SPX-261218-560-570-630-640"


def at(day, hour, minute=0):
    """An instant in New York's winter."""
    return dt.datetime.combine(day, dt.time(hour, minute), dt.timezone(dt.timedelta(hours=-5))).astimezone(dt.UTC)


def condors(root, quantity=1, underlying=None):
    return condor_holdings(STRIKES, ENTRIES, quantity, root=root, underlying=underlying)


def notices_of(positions, now_at, before=(), calendar=WEEK):
    return endings(group(positions), calendar, now_at, before, CutoffSettings())


def only_notice(positions, now_at, **more):
    (notice,) = notices_of(positions, now_at, **more)
    return notice


def test_there_is_no_notice_before_the_last_trading_day():
    assert notices_of([*condors("SPY"), *condors("SPX")], at(THURSDAY, 0) - dt.timedelta(seconds=1)) == []


FROM = "takes orders until 15:30 and may liquidate from 15:15"
BEGUN = "takes orders until 15:30 and may liquidate at any time"
OVER = "has taken no orders since 15:30 and may liquidate at any time"


@pytest.mark.parametrize(
    ("now_at", "cutoffs"),
    [
        (at(FRIDAY, 0), FROM),
        (at(FRIDAY, 15, 14), FROM),
        (at(FRIDAY, 15, 15), BEGUN),
        (at(FRIDAY, 15, 29), BEGUN),
        (at(FRIDAY, 15, 30), OVER),
        (at(FRIDAY, 16, 14), OVER),
    ],
)
def test_a_pm_settled_condor_expires_today_until_its_last_trade(now_at, cutoffs):
    notice = only_notice(condors("SPY", 30), now_at)
    assert (notice.code, notice.condor_id, notice.since) == ("expiresToday", SPY_ID, at(FRIDAY, 0))
    assert notice.text == f"{SPY_ID}: expires today; Alpaca {cutoffs}, and trading ends at 16:15 ET (quantity 30)"
    assert len(notice.symbols) == 4


def test_the_cut_offs_follow_the_settings():
    settings = CutoffSettings(order_cutoff_minutes_etf=10, liquidation_minutes=90)
    (notice,) = endings(group(condors("SPY")), WEEK, at(FRIDAY, 9), (), settings)
    assert "Alpaca takes orders until 15:50 and may liquidate from 14:30, and trading ends at 16:15" in notice.text


def test_options_on_indexes_have_no_earlier_cut_off():
    notice = only_notice(condors("SPXW", underlying="SPX"), at(FRIDAY, 9))
    assert ": expires today; trading ends at 16:00 ET (" in notice.text


def test_a_pm_settled_condor_awaits_settlement_after_its_last_trade():
    for now_at in (at(FRIDAY, 16, 15), at(SATURDAY, 9)):
        notice = only_notice(condors("SPY"), now_at)
        assert (notice.code, notice.since) == ("expired", at(FRIDAY, 16, 15))
        assert notice.text == f"{SPY_ID}: expired, awaits settlement (1 condor)"


def test_an_index_option_expires_at_four():
    notice = only_notice(condors("SPXW", underlying="SPX"), at(FRIDAY, 15, 59))
    assert (notice.code, "trading ends at 16:00" in notice.text) == ("expiresToday", True)
    assert only_notice(condors("SPXW", underlying="SPX"), at(FRIDAY, 16, 5)).code == "expired"


@pytest.mark.parametrize(
    ("now_at", "code", "text", "since"),
    [
        (
            at(THURSDAY, 15),
            "lastTradingDay",
            "last trading day; trading ends at 16:15 ET, and it settles at the opening prices of 2026-12-18",
            at(THURSDAY, 0),
        ),
        (
            at(THURSDAY, 16, 15),
            "lastTradingDay",
            "can no longer be traded and settles at the open of 2026-12-18",
            at(THURSDAY, 0),
        ),
        (at(FRIDAY, 0), "expired", "can no longer be traded and settles at the open of 2026-12-18", at(FRIDAY, 0)),
        (at(FRIDAY, 9, 29), "expired", "can no longer be traded and settles at the open of 2026-12-18", at(FRIDAY, 0)),
        (at(FRIDAY, 9, 30), "expired", "expired, awaits settlement", at(FRIDAY, 9, 30)),
        (at(SATURDAY, 9), "expired", "expired, awaits settlement", at(FRIDAY, 9, 30)),
    ],
)
def test_an_am_settled_condor_last_trades_the_day_before_its_expiration(now_at, code, text, since):
    notice = only_notice(condors("SPX"), now_at)
    assert (notice.code, notice.text, notice.since) == (code, f"{SPX_ID}: {text} (1 condor)", since)


def test_each_condor_and_each_expiry_of_the_leftovers_has_one_notice():
    unmatched = [holding("P", 500, -1, root="SPY"), holding("C", 700, 2, root="SPY"), holding("C", 99, 1, root="QQQ")]
    notices = notices_of([*condors("SPY"), *condors("IWM"), *unmatched, unreadable()], at(FRIDAY, 10))
    assert [(notice.condor_id, notice.text.partition(":")[0]) for notice in notices] == [
        ("IWM-261218-560-570-630-640",) * 2,
        (SPY_ID,) * 2,
        (None, "QQQ 2026-12-18"),
        (None, "SPY 2026-12-18"),
    ]
    assert notices[-1].text.endswith("(3 contracts)")
    assert notices[-2].text.endswith("(1 contract)")


def test_contracts_no_longer_listed_keep_their_notice_until_the_next_session_is_over():
    before = notices_of(condors("SPY"), at(FRIDAY, 17))
    for now_at in (at(SATURDAY, 9), at(MONDAY, 15, 59)):
        notice = only_notice([], now_at, before=before)
        assert (notice.code, notice.condor_id, notice.since) == ("expired", SPY_ID, before[0].since)
        assert notice.text == f"{SPY_ID}: expired, no longer listed (1 condor)"
        before = [notice]
    assert notices_of([], at(MONDAY, 16), before=before) == []


def test_legs_of_a_condor_that_are_still_listed_replace_its_notice():
    before = notices_of(condors("SPY"), at(FRIDAY, 17))
    notice = only_notice([holding("P", 570, -1, root="SPY")], at(SATURDAY, 9), before=before)
    assert (notice.condor_id, notice.text) == (None, "SPY 2026-12-18: expired, awaits settlement (1 contract)")


def test_contracts_closed_before_their_end_no_longer_have_a_notice():
    before = notices_of(condors("SPY"), at(FRIDAY, 10))
    assert notices_of([], at(FRIDAY, 11), before=before) == []


def test_contracts_that_expire_later_have_no_notice():
    assert notices_of(condor_holdings(STRIKES, ENTRIES, 1, expiration=MONDAY), at(FRIDAY, 10)) == []


@given(st.integers(0, 5 * 24 * 60), st.sampled_from(["SPX", "SPXW", "SPY", "AAPL"]))
def test_a_restart_changes_no_notice_about_listed_contracts(minutes, root):
    now_at = at(THURSDAY, 0) + dt.timedelta(minutes=minutes)
    earlier = notices_of(condors(root), now_at - dt.timedelta(minutes=30))
    assert notices_of(condors(root), now_at, before=earlier) == notices_of(condors(root), now_at)
    assert all(notice.since <= now_at for notice in notices_of(condors(root), now_at))
