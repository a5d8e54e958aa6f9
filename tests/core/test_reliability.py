import datetime as dt

import pytest
from msgspec.structs import replace

from condord.core.calendar import Calendar
from condord.core.grouping.account import group
from condord.core.market_hours import hours_of
from condord.core.quote import judge
from condord.core.reliability import is_opening, unreliable_reason
from condord.core.valuation import value
from tests.live.accounts import C630, C640, P560, P570, position, spy, tick

LEGS = (P560, P570, C630, C640)
FRIDAY = dt.date(2026, 11, 20)


def reason(positions=None, *, is_opening=False, unconfirmed=(), spread=0.1, **quoted):
    """The reason to hold back the profit of a condor with wings of 10 dollars and legs quoted around 1.00."""
    (condor,) = group(positions or spy()).condors
    bids_and_asks = dict.fromkeys(LEGS, (1 - spread / 2, 1 + spread / 2)) | quoted
    quotes = {symbol: judge(tick(symbol, *both), 10_000) for symbol, both in bids_and_asks.items()}
    return unreliable_reason(condor, value(condor, quotes, unconfirmed), quotes, is_opening=is_opening)


def test_a_profit_made_from_good_quotes_can_be_relied_on():
    assert reason() is None


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        ({P560: (1.0, 0.0)}, "unknown"),
        ({P560: (1.2, 1.0)}, "crossed"),
        ({P560: (0.0, 4.8)}, "stub"),
        ({P560: (0.0, 0.4)}, None),
        ({P560: (1.0, 1.0)}, None),
    ],
    ids=["no ask", "crossed", "stub", "no bid", "locked"],
)
def test_a_profit_is_held_back_by_a_bad_quote_of_any_leg(quoted, expected):
    assert reason(**quoted) == expected


def test_a_profit_is_held_back_while_a_leg_is_unconfirmed():
    assert reason(unconfirmed={C640}) == "unconfirmed"


def test_without_a_cost_the_profit_is_unknown():
    assert reason((*spy()[:3], position(C640, 2, cost_basis_e4=None))) == "unknown"


@pytest.mark.parametrize(("spread", "expected"), [(1.0, None), (1.001, "wide")])
def test_a_natural_at_most_a_fifth_of_the_wing_from_the_mark_is_not_wide(spread, expected):
    assert reason(spread=spread) == expected


def test_the_natural_is_compared_with_the_wider_wing():
    wide = (position(C630, -2, 2.26), position("SPY261218C00650000", 2, 1.1))
    assert reason((*spy()[:2], *wide), spread=1.9, SPY261218C00650000=(0.05, 1.95)) is None


def test_an_unknown_natural_is_not_compared():
    (condor,) = group(spy()).condors
    quotes = {symbol: judge(tick(symbol, 1.0, 1.1), None) for symbol in LEGS}
    valued = replace(value(condor, quotes, ()), natural_e4=None)
    assert unreliable_reason(condor, valued, quotes, is_opening=False) == "unknown"


def test_a_profit_is_held_back_in_the_first_two_minutes_of_a_session():
    assert reason(is_opening=True) == "opening"


@pytest.mark.parametrize(
    ("hour", "minute", "second", "expected"),
    [(14, 29, 59, False), (14, 30, 0, True), (14, 31, 59, True), (14, 32, 0, False), (20, 59, 0, False)],
)
def test_the_first_two_minutes_begin_with_the_session(hour, minute, second, expected):
    at = dt.datetime(2026, 11, 20, hour, minute, second, tzinfo=dt.UTC)
    assert is_opening(Calendar(), at) == expected


def test_a_day_has_the_opening_of_its_calendar_and_a_holiday_none():
    late = Calendar({FRIDAY: hours_of(FRIDAY, dt.time(11), dt.time(16))})
    at = dt.datetime(2026, 11, 20, 16, 1, tzinfo=dt.UTC)
    assert (is_opening(late, at), is_opening(Calendar(), at)) == (True, False)
    holiday = Calendar(dict.fromkeys((dt.date(2026, 11, 19), dt.date(2026, 11, 23)), late.sessions[FRIDAY]))
    assert not is_opening(holiday, dt.datetime(2026, 11, 20, 14, 31, tzinfo=dt.UTC))
