import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.clock import NEW_YORK, MarketClock

FRIDAY = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
instants = st.integers(1_704_067_200, 2_208_988_800).map(lambda at: dt.datetime.fromtimestamp(at, dt.UTC))


def clock(opening, **more):
    return MarketClock(started_at=FRIDAY, now=50.0, opening=opening, **more)


def local(*args):
    return dt.datetime(*args, tzinfo=NEW_YORK)


def test_time_runs_as_fast_as_told_and_does_not_jump_when_that_changes():
    watch = clock("always", speed=60.0)
    assert watch.at(51.0) == FRIDAY + dt.timedelta(minutes=1)
    watch.set_speed(1.0, 51.0)
    assert watch.at(53.0) == FRIDAY + dt.timedelta(minutes=1, seconds=2)


@given(instants, st.sampled_from(["always", "hours", "never"]))
def test_the_next_events_lie_ahead_and_close_follows_open(at, opening):
    watch = MarketClock(started_at=at, now=0.0, opening=opening)
    opens, closes = watch.next_open(at), watch.next_close(at)
    assert opens > at
    assert closes > at
    assert (closes < opens) == watch.is_open(at)


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
def test_hours_are_half_past_nine_to_four_on_weekdays(at, is_open):
    assert clock("hours").is_open(at) is is_open


def test_an_early_close_is_kept():
    watch = clock("hours", early_closes={dt.date(2026, 11, 27): dt.time(13, 0)})
    assert watch.next_close(local(2026, 11, 27, 12, 0)) == local(2026, 11, 27, 13, 0)
    assert watch.calendar(dt.date(2026, 11, 27), dt.date(2026, 11, 27))[0]["close"] == "13:00"


def test_an_always_open_market_says_it_closes_in_a_few_hours_and_then_does_not():
    watch = clock("always")
    close = watch.next_close(FRIDAY)
    assert dt.timedelta(hours=5) < close - FRIDAY < dt.timedelta(hours=7)
    assert watch.is_open(close)
    assert watch.next_close(close) > close


def test_a_closed_market_opens_only_on_paper():
    watch = clock("never")
    assert not watch.is_open(FRIDAY)
    assert watch.next_open(FRIDAY) == local(2026, 11, 23, 9, 30)
    assert watch.next_close(FRIDAY) == local(2026, 11, 23, 16, 0)


def test_the_answer_is_in_new_york_time():
    answer = clock("hours").answer(FRIDAY)
    assert answer["timestamp"].endswith("-05:00")
    assert (answer["is_open"], answer["next_close"]) == (True, "2026-11-20T16:00:00-05:00")
    assert answer["next_open"] == "2026-11-23T09:30:00-05:00"


def test_the_calendar_has_a_row_a_trading_day():
    rows = clock("hours").calendar(dt.date(2026, 11, 20), dt.date(2026, 11, 24))
    assert [row["date"] for row in rows] == ["2026-11-20", "2026-11-23", "2026-11-24"]
    assert clock("hours").calendar(dt.date(2026, 11, 24), dt.date(2026, 11, 20)) == []
