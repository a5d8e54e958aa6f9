import datetime as dt

import pytest

from condord.core.market_hours import Clock, exchange_day, hours_of, is_open_at, start_of_day, wall_time


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


SECOND = dt.timedelta(seconds=1)
OPEN_TODAY = utc("2026-11-20T14:30:00")
CLOSE_TODAY = utc("2026-11-20T21:00:00")
OPEN_MONDAY = utc("2026-11-23T14:30:00")
CLOSE_MONDAY = utc("2026-11-23T21:00:00")
READ_OPEN = Clock(is_open=True, next_open=OPEN_MONDAY, next_close=CLOSE_TODAY)
READ_CLOSED = Clock(is_open=False, next_open=OPEN_MONDAY, next_close=CLOSE_MONDAY)


@pytest.mark.parametrize(
    ("clock", "exchange_at", "is_open"),
    [
        (READ_OPEN, utc("2026-11-20T15:00:00"), True),
        (READ_OPEN, CLOSE_TODAY - SECOND, True),
        (READ_OPEN, CLOSE_TODAY, False),
        (READ_OPEN, utc("2026-11-21T15:00:00"), False),
        (READ_OPEN, OPEN_MONDAY - SECOND, False),
        (READ_OPEN, OPEN_MONDAY, True),
        (READ_CLOSED, utc("2026-11-21T15:00:00"), False),
        (READ_CLOSED, OPEN_MONDAY - SECOND, False),
        (READ_CLOSED, OPEN_MONDAY, True),
        (READ_CLOSED, CLOSE_MONDAY - SECOND, True),
        (READ_CLOSED, CLOSE_MONDAY, False),
        (READ_CLOSED, CLOSE_MONDAY + dt.timedelta(days=3), False),
    ],
)
def test_the_market_opens_and_closes_between_two_readings(clock, exchange_at, is_open):
    assert is_open_at(clock, exchange_at) is is_open


def test_an_early_close_is_a_close_like_any_other():
    day_after_thanksgiving = Clock(
        is_open=True, next_open=utc("2026-11-30T14:30:00"), next_close=utc("2026-11-27T18:00:00")
    )
    assert is_open_at(day_after_thanksgiving, utc("2026-11-27T17:59:59"))
    assert not is_open_at(day_after_thanksgiving, utc("2026-11-27T18:00:00"))


@pytest.mark.parametrize(
    ("now_at", "day"),
    [
        ("2026-11-20T15:00:00", dt.date(2026, 11, 20)),
        ("2026-11-21T04:59:59", dt.date(2026, 11, 20)),  # midnight in winter is 05:00 UTC
        ("2026-11-21T05:00:00", dt.date(2026, 11, 21)),
        ("2026-07-01T03:59:59", dt.date(2026, 6, 30)),  # and 04:00 UTC in summer
        ("2026-07-01T04:00:00", dt.date(2026, 7, 1)),
        ("2026-03-08T04:59:59", dt.date(2026, 3, 7)),  # the day on which summer time begins starts in winter time
        ("2026-03-08T05:00:00", dt.date(2026, 3, 8)),
        ("2026-03-09T03:59:59", dt.date(2026, 3, 8)),
        ("2026-03-09T04:00:00", dt.date(2026, 3, 9)),
        ("2026-11-01T03:59:59", dt.date(2026, 10, 31)),  # the day on which it ends has 25 hours
        ("2026-11-01T04:00:00", dt.date(2026, 11, 1)),
        ("2026-11-02T04:59:59", dt.date(2026, 11, 1)),
        ("2026-11-02T05:00:00", dt.date(2026, 11, 2)),
    ],
)
def test_the_day_is_the_day_in_new_york(now_at, day):
    assert exchange_day(utc(now_at)) == day


def test_the_day_does_not_depend_on_the_zone_of_the_instant():
    tokyo = dt.timezone(dt.timedelta(hours=9))
    assert exchange_day(dt.datetime(2026, 11, 21, 13, 59, tzinfo=tokyo)) == dt.date(2026, 11, 20)


@pytest.mark.parametrize(
    ("day", "close_at"),
    [(dt.date(2026, 10, 30), "2026-10-30T20:00:00"), (dt.date(2026, 11, 2), "2026-11-02T21:00:00")],
)
def test_hours_follow_daylight_saving(day, close_at):
    assert hours_of(day, dt.time(9, 30), dt.time(16)).close_at == utc(close_at)


@pytest.mark.parametrize(
    ("day", "midnight"),
    [
        (dt.date(2026, 11, 20), "2026-11-20T05:00:00"),
        (dt.date(2026, 7, 1), "2026-07-01T04:00:00"),
        (dt.date(2026, 3, 8), "2026-03-08T05:00:00"),
        (dt.date(2026, 11, 1), "2026-11-01T04:00:00"),
    ],
)
def test_a_day_begins_at_midnight_of_the_exchange(day, midnight):
    assert start_of_day(day) == utc(midnight)
    assert exchange_day(start_of_day(day)) == day
    assert exchange_day(start_of_day(day) - SECOND) == day - dt.timedelta(days=1)


def test_the_time_of_day_is_the_time_in_new_york():
    assert (wall_time(utc("2026-12-18T21:15:00")), wall_time(utc("2026-07-17T20:00:00"))) == ("16:15", "16:00")
