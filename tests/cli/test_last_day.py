import datetime as dt

import msgspec
import pytest

from condord.cli.last_day import expiry_lines, no_orders_since, time_left
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

LAST_TRADE = "2026-12-18T21:15:00Z"


def condor(**changes):
    ending = {
        "lastTradingAt": LAST_TRADE,
        "settlesAt": LAST_TRADE,
        "cutoffs": [cutoff("20:15", "liquidation"), cutoff("20:30")],
    }
    return msgspec.convert(documents.condor(daysToExpiration=0, expiry=ending) | changes, CondorJson)


def cutoff(time, kind="orders"):
    return {"kind": kind, "at": f"2026-12-18T{time}:00Z", "source": "config"}


def at(time):
    return dt.datetime.fromisoformat(f"2026-12-18T{time}Z")


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("14:29:59", "6 h"),
        ("18:30:00", "2 h"),
        ("18:31:00", "119 min"),
        ("19:55:00", "35 min"),
        ("19:55:01", "34 min"),
        ("20:28:01", "1 min"),
        ("20:29:00", "1 min"),
        ("20:29:01", "under a minute"),
        ("20:29:59.900", "under a minute"),
        ("20:30:00", "no orders"),
        ("21:14:59", "no orders"),
        ("21:15:00", "expired"),
    ],
)
def test_on_the_last_trading_day_the_time_left_for_orders_is_shown(time, text):
    assert time_left(condor(), at(time)) == text


def test_in_a_narrow_column_less_than_a_minute_is_short():
    assert time_left(condor(), at("20:29:30"), unit="d") == "<1 min"


def test_in_the_detail_a_deadline_within_a_minute_has_no_seconds():
    lines = expiry_lines(condor(), at("20:29:30"))
    assert lines[2] == "orders until Dec 18 15:30 ET, in under a minute"


def test_before_the_last_trading_day_the_days_are_shown():
    now = at("19:00:00") - dt.timedelta(days=1)
    assert time_left(condor(daysToExpiration=1), now) == "1 day"
    assert time_left(condor(daysToExpiration=1), now, unit="d") == "1 d"


def test_contracts_that_settle_at_the_open_count_to_the_day_before():
    ending = {"lastTradingAt": LAST_TRADE, "settlesAt": "2026-12-19T14:30:00Z", "cutoffs": [cutoff("21:15")]}
    friday = condor(daysToExpiration=1, settlement="am", expiry=ending)
    assert time_left(friday, at("20:30:00")) == "45 min"
    assert time_left(friday, at("21:30:00")) == "expired"


def test_after_the_last_trade_a_condor_awaits_settlement_and_its_cut_offs_are_not_shown():
    for held in (condor(), broken(documents.expiry())):
        assert expiry_lines(held, at("21:14:00"))[0] == "Dec 18, today"
        assert expiry_lines(held, at("21:16:00")) == [
            "Dec 18, expired, awaits settlement",
            "last traded Dec 18 16:15 ET, 1 min 0 s ago",
        ]


def test_the_day_after_and_without_an_expiry_it_still_awaits_settlement():
    assert expiry_lines(condor(daysToExpiration=-1), at("21:16:00"))[0] == "Dec 18, expired, awaits settlement"
    assert expiry_lines(broken(None, days=-1), at("21:16:00")) == ["Dec 18, expired, awaits settlement"]


def test_contracts_that_settle_at_the_open_await_settlement_from_then_on():
    ending = {"lastTradingAt": "2026-12-17T21:15:00Z", "settlesAt": "2026-12-18T14:30:00Z", "cutoffs": []}
    held = condor(settlement="am", expiry=ending)
    last, settles = "last traded Dec 17 16:15 ET", "settles at the opening prices of Dec 18 09:30 ET"
    assert expiry_lines(held, at("14:20:00")) == [
        "Dec 18, today",
        f"{last}, 17 h 5 min ago",
        f"{settles}, in 10 min 0 s",
    ]
    assert expiry_lines(held, at("14:40:00")) == [
        "Dec 18, expired, awaits settlement",
        f"{last}, 17 h 25 min ago",
        f"{settles}, 10 min 0 s ago",
    ]


def test_without_cut_offs_or_an_expiry_the_last_day_is_today():
    without_expiry, without_cut_offs = (
        condor(expiry=None),
        condor(expiry={"lastTradingAt": LAST_TRADE, "settlesAt": LAST_TRADE, "cutoffs": []}),
    )
    assert [time_left(each, at("19:55:00")) for each in (without_expiry, without_cut_offs)] == ["today", "today"]


def broken(expiry, days=0):
    lost = documents.broken(SPY261218P00540000=1) | {"daysToExpiration": days, "expiry": expiry}
    return msgspec.convert(lost, BrokenJson)


@pytest.mark.parametrize(("time", "text"), [("19:55:00", "35 min"), ("20:30:00", "no orders"), ("21:15:00", "expired")])
def test_a_broken_condor_has_the_time_left_for_orders_too(time, text):
    assert time_left(broken(documents.expiry()), at(time)) == text


def test_without_an_expiry_a_broken_condor_shows_days_and_takes_orders_as_far_as_is_known():
    unread = broken(None)
    assert time_left(unread, at("20:55:00")) == "today"
    assert expiry_lines(unread, at("20:55:00")) == ["Dec 18, today"]
    assert no_orders_since(unread, at("20:55:00")) == ""


def test_a_broken_condor_that_settles_at_the_open_shows_that_it_settles_at_the_opening_prices():
    ending = {"lastTradingAt": LAST_TRADE, "settlesAt": "2026-12-19T14:30:00Z", "cutoffs": []}
    assert expiry_lines(broken(ending), at("20:15:00"))[1:] == [
        "last trades Dec 18 16:15 ET, in 1 h 0 min",
        "settles at the opening prices of Dec 19 09:30 ET",
    ]


def test_from_the_cut_off_on_there_is_a_sentence_that_no_orders_are_taken():
    assert [no_orders_since(condor(), at(time)) for time in ("20:29:59", "20:30:00")] == [
        "",
        "Alpaca has taken no orders for it since 15:30 ET",
    ]
