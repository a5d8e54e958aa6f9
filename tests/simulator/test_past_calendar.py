import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.clock import NEW_YORK
from condord.simulator.past_calendar import (
    is_session,
    past_expiration,
    past_instant,
    session_after,
    session_before,
    session_hours,
    sessions_between,
)

INSTANTS = st.integers(0, 5 * 365 * 86_400).map(
    lambda seconds: dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)


@given(INSTANTS, st.floats(1, 60))
def test_an_instant_of_the_past_is_in_a_session_before_today(at, age):
    instant = past_instant(at, age)
    local = instant.astimezone(NEW_YORK)
    opens, closes = session_hours(local.date())
    assert is_session(local.date())
    assert opens < local < closes
    assert local.date() < at.astimezone(NEW_YORK).date()
    assert abs(at - dt.timedelta(days=age) - instant) < dt.timedelta(days=4, hours=12)


@given(INSTANTS, st.integers(1, 58), st.integers(2, 30))
def test_a_greater_age_gives_an_earlier_instant(at, age, more):
    days = [at.date() - dt.timedelta(days=back) for back in range(66)]
    if all(is_session(day) for day in days if day.weekday() < 5):
        assert past_instant(at, age + more) < past_instant(at, age)


@pytest.mark.parametrize(
    ("at", "age", "expected"),
    [
        ("2026-11-20T15:00:00+00:00", 1, "2026-11-19 09:50:34"),  # too early in its session
        ("2026-11-20T18:00:00+00:00", 2, "2026-11-18 12:39:25"),
        ("2026-11-20T04:00:00+00:00", 2, "2026-11-17 15:39:25"),  # in the evening
        ("2026-11-20T15:00:00+00:00", 5, "2026-11-16 09:40:34"),  # a Sunday
        ("2026-11-20T15:00:00+00:00", 6, "2026-11-13 15:49:25"),  # a Saturday
        ("2026-11-30T15:00:00+00:00", 4, "2026-11-25 15:49:25"),  # Thanksgiving
        ("2026-11-30T20:00:00+00:00", 3, "2026-11-27 12:39:25"),  # an early close
        ("2026-09-08T15:00:00+00:00", 1, "2026-09-04 15:49:25"),  # Labor Day, after which there is only today
    ],
)
def test_an_instant_outside_of_a_session_is_moved_into_one(at, age, expected):
    instant = past_instant(dt.datetime.fromisoformat(at), age).astimezone(NEW_YORK)
    assert f"{instant:%Y-%m-%d %H:%M:%S}" == expected


@pytest.mark.parametrize(
    ("age", "expected"), [(7, "2026-04-10"), (10, "2026-04-10"), (14, "2026-04-02"), (11, "2026-04-10")]
)
def test_an_expiration_is_the_friday_of_its_week_or_the_thursday_before_a_holiday(age, expected):
    at = dt.datetime(2026, 4, 17, 15, 0, tzinfo=dt.UTC)
    assert past_expiration(at, age) == dt.date.fromisoformat(expected)


def test_sessions_leave_out_weekends_and_holidays():
    days = sessions_between(dt.date(2026, 11, 24), dt.date(2026, 12, 1))
    assert [day.day for day in days] == [24, 25, 27, 30]
    assert session_before(dt.date(2026, 11, 27)) == dt.date(2026, 11, 25)
    assert session_after(dt.date(2026, 11, 25)) == dt.date(2026, 11, 27)
    assert sessions_between(dt.date(2026, 12, 1), dt.date(2026, 11, 24)) == []
