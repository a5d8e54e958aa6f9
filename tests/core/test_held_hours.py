import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry, ending_of
from condord.core.held_hours import held_hours
from condord.core.market_hours import Clock, hours_of

MINUTE = dt.timedelta(minutes=1)
OPEN, CLOSE = dt.time(9, 30), dt.time(16)
THURSDAY, FRIDAY, MONDAY = dt.date(2026, 12, 17), dt.date(2026, 12, 18), dt.date(2026, 12, 21)
JANUARY = dt.date(2027, 1, 15)


def at(day, hour, minute=0):
    """An instant in New York's winter."""
    return dt.datetime.combine(day, dt.time(hour, minute), dt.timezone(dt.timedelta(hours=-5))).astimezone(dt.UTC)


OPEN_ON = {day: at(day, 9, 30) for day in (THURSDAY, FRIDAY, MONDAY)}
CLOSE_ON = {day: at(day, 16) for day in (THURSDAY, FRIDAY, MONDAY)}
WEEK = Calendar({day: hours_of(day, OPEN, CLOSE) for day in (THURSDAY, FRIDAY, MONDAY)})


def read_open(day, following):
    """Alpaca's clock in the session of `day`."""
    return Clock(is_open=True, next_open=OPEN_ON[following], next_close=CLOSE_ON[day])


def read_closed(following):
    """Alpaca's clock between two sessions."""
    return Clock(is_open=False, next_open=OPEN_ON[following], next_close=CLOSE_ON[following])


def held(root, day=JANUARY, underlying=None):
    return Expiry(root, underlying or root, day)


SPY, AAPL = held("SPY"), held("AAPL")
SPX_AM, SPXW_PM = held("SPX", FRIDAY), held("SPXW", FRIDAY, "SPX")


def hours(clock, there, *expiries, calendar=WEEK):
    found = held_hours(clock, calendar, there, expiries)
    return found.is_open, found.next_open, found.next_close


def test_at_five_past_four_options_on_an_index_fund_trade_until_a_quarter_past():
    assert hours(read_closed(FRIDAY), at(THURSDAY, 16, 5), SPY, AAPL) == (
        True,
        OPEN_ON[FRIDAY],
        at(THURSDAY, 16, 15),
    )


@pytest.mark.parametrize("there", [at(THURSDAY, 9, 30), at(THURSDAY, 12), at(THURSDAY, 15, 59)])
def test_the_next_close_is_the_latest_of_the_options_held_at_any_hour(there):
    clock = read_open(THURSDAY, FRIDAY)
    assert hours(clock, there, SPY, AAPL) == (True, OPEN_ON[FRIDAY], at(THURSDAY, 16, 15))
    assert hours(clock, there, AAPL) == (True, OPEN_ON[FRIDAY], at(THURSDAY, 16))
    assert hours(clock, there) == (True, OPEN_ON[FRIDAY], at(THURSDAY, 16))


def test_a_clock_read_before_the_close_has_the_time_of_the_close_without_a_calendar():
    clock = read_open(THURSDAY, FRIDAY)
    for calendar in (WEEK, Calendar()):
        assert hours(clock, at(THURSDAY, 16, 14), SPY, calendar=calendar)[0]
        assert not hours(clock, at(THURSDAY, 16, 15), SPY, calendar=calendar)[0]
        assert not hours(clock, at(THURSDAY, 16), AAPL, calendar=calendar)[0]


def test_without_a_calendar_a_clock_read_after_the_close_shows_no_late_trading():
    assert not hours(read_closed(FRIDAY), at(THURSDAY, 16, 5), SPY, calendar=Calendar())[0]


def test_between_sessions_the_next_close_depends_on_the_options_held():
    assert hours(read_closed(FRIDAY), at(THURSDAY, 20), SPY) == (False, OPEN_ON[FRIDAY], at(FRIDAY, 16, 15))
    assert hours(read_closed(FRIDAY), at(THURSDAY, 20)) == (False, OPEN_ON[FRIDAY], at(FRIDAY, 16))


def test_after_the_close_a_clock_read_before_it_needs_the_calendar_for_the_next_close():
    assert hours(read_open(FRIDAY, MONDAY), at(FRIDAY, 16, 20), SPY) == (False, OPEN_ON[MONDAY], at(MONDAY, 16, 15))


def test_a_clock_read_before_the_open_needs_the_calendar_for_the_next_open():
    assert hours(read_closed(THURSDAY), at(THURSDAY, 10), AAPL) == (True, OPEN_ON[FRIDAY], at(THURSDAY, 16))


def test_a_clock_read_in_one_session_is_enough_in_the_next():
    assert hours(read_open(THURSDAY, FRIDAY), at(FRIDAY, 10), AAPL) == (True, OPEN_ON[MONDAY], at(FRIDAY, 16))


def test_an_am_settled_contract_does_not_trade_on_its_day():
    clock = read_open(FRIDAY, MONDAY)
    assert hours(clock, at(FRIDAY, 10), SPX_AM) == (False, OPEN_ON[MONDAY], at(MONDAY, 16))
    assert hours(clock, at(FRIDAY, 10), SPX_AM, SPY) == (True, OPEN_ON[MONDAY], at(FRIDAY, 16, 15))


def test_an_am_settled_contract_trades_until_a_quarter_past_four_on_the_day_before():
    assert hours(read_closed(FRIDAY), at(THURSDAY, 16, 14), SPX_AM) == (True, OPEN_ON[FRIDAY], at(THURSDAY, 16, 15))
    assert not hours(read_closed(FRIDAY), at(THURSDAY, 16, 15), SPX_AM)[0]


def test_a_pm_settled_index_option_stops_at_four_on_its_day():
    assert hours(read_open(FRIDAY, MONDAY), at(FRIDAY, 15), SPXW_PM) == (True, OPEN_ON[MONDAY], at(FRIDAY, 16))
    assert hours(read_closed(MONDAY), at(FRIDAY, 16, 5), SPXW_PM) == (False, OPEN_ON[MONDAY], at(MONDAY, 16))


def test_an_early_close_is_late_until_a_quarter_past_one():
    eve, monday = dt.date(2026, 12, 24), dt.date(2026, 12, 28)
    calendar = Calendar({eve: hours_of(eve, OPEN, dt.time(13)), monday: hours_of(monday, OPEN, CLOSE)})
    clock = Clock(is_open=True, next_open=at(monday, 9, 30), next_close=at(eve, 13))
    assert hours(clock, at(eve, 10), SPY, calendar=calendar) == (True, at(monday, 9, 30), at(eve, 13, 15))
    shut = Clock(is_open=False, next_open=at(monday, 9, 30), next_close=at(monday, 16))
    assert hours(shut, at(eve, 13, 14), SPY, calendar=calendar)[0]
    assert not hours(shut, at(eve, 13, 15), SPY, calendar=calendar)[0]
    expiring = held("SPXW", eve, "SPX")
    assert hours(clock, at(eve, 10), expiring, calendar=calendar) == (True, at(monday, 9, 30), at(eve, 13))


def test_before_the_open_of_a_day_its_close_does_not_count_as_past():
    assert hours(read_closed(FRIDAY), at(FRIDAY, 8), SPY) == (False, OPEN_ON[FRIDAY], at(FRIDAY, 16, 15))


@given(
    st.integers(0, 5 * 24 * 60 - 1),
    st.lists(st.sampled_from([SPY, AAPL, SPX_AM, SPXW_PM, held("SPY", FRIDAY), held("AAPL", THURSDAY)]), max_size=4),
)
def test_open_close_and_next_open_agree_at_any_minute(minutes, expiries):
    there = at(THURSDAY, 0) + minutes * MINUTE
    sessions = [
        (day, following) for day, following in ((THURSDAY, FRIDAY), (FRIDAY, MONDAY)) if there < OPEN_ON[following]
    ]
    day, following = sessions[0] if sessions else (MONDAY, None)
    if following is None or there < OPEN_ON[THURSDAY]:
        return
    clock = read_open(day, following) if there < CLOSE_ON[day] else read_closed(following)
    is_open, next_open, next_close = hours(clock, there, *expiries)
    assert next_open == OPEN_ON[following]
    assert there < next_close
    assert is_open == (next_close < next_open)
    ends = [ending_of(expiry, WEEK).last_trading_at for expiry in expiries]
    if is_open and expiries:
        assert any(there < end for end in ends)
        assert next_close <= CLOSE_ON[day] + 15 * MINUTE
    if there < CLOSE_ON[day] and any(there < end for end in ends):
        assert is_open
