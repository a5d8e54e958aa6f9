import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.clock import NEW_YORK, MarketClock

FRIDAY = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
instants = st.integers(1_704_067_200, 2_208_988_800).map(lambda at: dt.datetime.fromtimestamp(at, dt.UTC))


def make_clock(opening, **options):
    return MarketClock(started_at=FRIDAY, now=50.0, opening=opening, **options)


def local(*args):
    return dt.datetime(*args, tzinfo=NEW_YORK)


def test_time_runs_at_the_set_speed_and_does_not_jump_when_it_changes():
    clock = make_clock("always", speed=60.0)
    assert clock.at(51.0) == FRIDAY + dt.timedelta(minutes=1)
    clock.set_speed(1.0, 51.0)
    assert clock.at(53.0) == FRIDAY + dt.timedelta(minutes=1, seconds=2)


@given(instants, st.sampled_from(["always", "hours", "never"]))
def test_next_open_and_next_close_are_in_the_future_and_in_order(at, opening):
    clock = MarketClock(started_at=at, now=0.0, opening=opening)
    opens, closes = clock.next_open(at), clock.next_close(at)
    assert opens > at
    assert closes > at
    assert (closes < opens) == clock.is_open(at)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (local(2026, 11, 20, 9, 29, 59), False),
        (local(2026, 11, 20, 9, 30), True),
        (local(2026, 11, 20, 15, 59, 59), True),
        (local(2026, 11, 20, 16, 0), False),
        (local(2026, 11, 21, 12, 0), False),
    ],
)
def test_hours_are_0930_to_1600_on_weekdays(at, is_open):
    assert make_clock("hours").is_open(at) is is_open


def test_the_market_closes_early_on_early_close_days():
    clock = make_clock("hours")
    assert clock.next_close(local(2026, 11, 27, 12, 0)) == local(2026, 11, 27, 13, 0)
    assert clock.calendar(dt.date(2026, 11, 27), dt.date(2026, 11, 27))[0]["close"] == "13:00"


def test_an_always_open_market_announces_a_close_but_stays_open():
    clock = make_clock("always")
    close = clock.next_close(FRIDAY)
    assert dt.timedelta(hours=5) < close - FRIDAY < dt.timedelta(hours=7)
    assert clock.is_open(close)
    assert clock.next_close(close) > close


def test_a_closed_market_announces_an_opening_but_stays_closed():
    clock = make_clock("never")
    assert not clock.is_open(FRIDAY)
    assert clock.next_open(FRIDAY) == local(2026, 11, 23, 9, 30)
    assert clock.next_close(FRIDAY) == local(2026, 11, 23, 16, 0)


def test_the_answer_is_in_new_york_time():
    answer = make_clock("hours").clock_json(FRIDAY)
    assert answer["timestamp"].endswith("-05:00")
    assert (answer["is_open"], answer["next_close"]) == (True, "2026-11-20T16:00:00-05:00")
    assert answer["next_open"] == "2026-11-23T09:30:00-05:00"


def test_a_holiday_has_no_session():
    clock = make_clock("hours")
    assert not clock.is_open(local(2026, 11, 26, 12, 0))
    assert clock.next_open(local(2026, 11, 25, 17, 0)) == local(2026, 11, 27, 9, 30)
    rows = clock.calendar(dt.date(2026, 11, 24), dt.date(2026, 11, 30))
    assert [(row["date"][-2:], row["close"]) for row in rows] == [
        ("24", "16:00"),
        ("25", "16:00"),
        ("27", "13:00"),
        ("30", "16:00"),
    ]


def test_the_clock_can_be_set_and_goes_on_from_there():
    clock = make_clock("hours", speed=60.0)
    clock.set_at(FRIDAY + dt.timedelta(days=28), 55.0)
    assert clock.at(56.0) == FRIDAY + dt.timedelta(days=28, minutes=1)


def test_an_always_open_market_has_regular_hours_on_every_day_of_its_calendar():
    rows = make_clock("always").calendar(dt.date(2026, 11, 26), dt.date(2026, 11, 29))
    assert [(row["open"], row["close"]) for row in rows] == [
        ("09:30", "16:00"),
        ("09:30", "13:00"),
        ("09:30", "16:00"),
        ("09:30", "16:00"),
    ]


def test_before_its_start_an_always_open_market_has_the_sessions_of_the_exchange():
    rows = make_clock("always").calendar(dt.date(2026, 11, 13), dt.date(2026, 11, 22))
    assert [row["date"][-2:] for row in rows] == ["13", "16", "17", "18", "19", "20", "21", "22"]


def test_the_calendar_has_a_row_a_trading_day():
    rows = make_clock("hours").calendar(dt.date(2026, 11, 20), dt.date(2026, 11, 24))
    assert [row["date"] for row in rows] == ["2026-11-20", "2026-11-23", "2026-11-24"]
    assert make_clock("hours").calendar(dt.date(2026, 11, 24), dt.date(2026, 11, 20)) == []


@pytest.mark.parametrize(
    ("at", "opening", "is_late"),
    [
        ("2026-11-20T20:59:59Z", "hours", False),
        ("2026-11-20T21:00:00Z", "hours", True),
        ("2026-11-20T21:14:59Z", "hours", True),
        ("2026-11-20T21:15:00Z", "hours", False),
        ("2026-11-27T18:05:00Z", "hours", True),
        ("2026-11-27T21:05:00Z", "hours", False),
        ("2026-11-21T21:05:00Z", "hours", False),
        ("2026-11-20T21:05:00Z", "always", False),
        ("2026-11-20T21:05:00Z", "never", False),
    ],
)
def test_some_options_trade_for_a_quarter_of_an_hour_after_the_close(at, opening, is_late):
    assert make_clock(opening).is_late(dt.datetime.fromisoformat(at)) is is_late


@pytest.mark.parametrize(
    ("at", "opening", "expected", "before"),
    [
        ("2026-11-20T15:00Z", "hours", "2026-11-20", "2026-11-19"),
        ("2026-11-20T14:29Z", "hours", "2026-11-19", "2026-11-18"),
        ("2026-11-22T15:00Z", "hours", "2026-11-20", "2026-11-19"),
        ("2026-11-26T18:00Z", "never", "2026-11-25", "2026-11-24"),
        ("2026-11-30T15:00Z", "hours", "2026-11-30", "2026-11-27"),
        ("2026-11-22T15:00Z", "always", "2026-11-22", "2026-11-20"),
        ("2026-11-22T03:00Z", "always", "2026-11-21", "2026-11-20"),
        ("2026-11-23T08:00Z", "always", "2026-11-20", "2026-11-19"),
    ],
)
def test_the_session_is_the_newest_that_has_begun(at, opening, expected, before):
    instant = dt.datetime.fromisoformat(at)
    clock = MarketClock(started_at=instant, now=0.0, opening=opening)
    assert clock.session_day(instant).isoformat() == expected
    assert clock.session_before(clock.session_day(instant)).isoformat() == before
