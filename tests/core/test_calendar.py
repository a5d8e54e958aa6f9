import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.market_hours import exchange_day, hours_of

OPEN, CLOSE, EARLY = dt.time(9, 30), dt.time(16), dt.time(13)


def day(month, number, year=2026):
    return dt.date(year, month, number)


def sessions(*days, early=()):
    return Calendar({one: hours_of(one, OPEN, EARLY if one in early else CLOSE) for one in sorted(days)})


THANKSGIVING = sessions(day(11, 25), day(11, 27), day(11, 30), early=[day(11, 27)])


@pytest.mark.parametrize(
    ("asked", "is_known"),
    [(day(11, 24), False), (day(11, 25), True), (day(11, 26), True), (day(11, 30), True), (day(12, 1), False)],
)
def test_a_calendar_is_complete_between_its_ends(asked, is_known):
    assert THANKSGIVING.knows(asked) is is_known
    assert not Calendar().knows(asked)


def test_a_day_without_a_row_is_a_holiday_within_the_calendar_and_a_session_beyond_it():
    assert THANKSGIVING.on(day(11, 26)) is None
    assert Calendar().on(day(11, 26)) == hours_of(day(11, 26), OPEN, CLOSE)
    assert THANKSGIVING.on(day(12, 1)) == hours_of(day(12, 1), OPEN, CLOSE)


@pytest.mark.parametrize("weekend", [day(11, 21), day(11, 22), day(12, 5)])
def test_a_weekend_has_no_session_even_without_a_calendar(weekend):
    assert THANKSGIVING.on(weekend) is None


def test_an_early_close_comes_from_the_calendar():
    assert THANKSGIVING.on(day(11, 27)).close_at == dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("calendar", "asked", "last", "next_"),
    [
        (THANKSGIVING, day(11, 26), day(11, 25), day(11, 27)),
        (THANKSGIVING, day(11, 27), day(11, 27), day(11, 30)),
        (THANKSGIVING, day(11, 29), day(11, 27), day(11, 30)),
        (Calendar(), day(11, 26), day(11, 26), day(11, 27)),
        (Calendar(), day(11, 28), day(11, 27), day(11, 30)),
    ],
)
def test_the_sessions_before_and_after_a_day_are_found(calendar, asked, last, next_):
    assert exchange_day(calendar.last_until(asked).open_at) == last
    assert exchange_day(calendar.first_after(asked).open_at) == next_


@given(st.sets(st.dates(day(1, 1), day(3, 1)), max_size=20), st.dates(day(1, 1, 2025), day(12, 31)))
def test_every_day_has_a_session_before_and_after_it(days, asked):
    calendar = sessions(*days)
    before, after = calendar.last_until(asked), calendar.first_after(asked)
    assert exchange_day(before.open_at) <= asked < exchange_day(after.open_at)
    assert (exchange_day(before.open_at) == asked) == (calendar.on(asked) is not None)
