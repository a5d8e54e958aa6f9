import datetime as dt
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.simulator import contracts, pricing
from condord.simulator.underlyings import Underlyings
from tests.examples import examples

FRIDAY = dt.date(2026, 12, 11)
EX_DATE = dt.date(2026, 12, 18)
DAY_SECONDS = 6.5 * 3600


def started(seed=1, session_day=FRIDAY):
    underlyings = Underlyings(seed=seed, session_day=session_day)
    for root in contracts.ROOTS:
        underlyings.add(root)
    return underlyings


@pytest.fixture
def underlyings():
    return started()


def test_indexes_are_not_stocks(underlyings):
    assert {"SPX", "XSP"} <= set(underlyings.names)
    assert {root.underlying for root in underlyings.stocks} == set(underlyings.names) - {"SPX", "XSP"}


def test_an_unknown_underlying_has_neither_price_nor_close(underlyings):
    assert underlyings.spot("NONE") is None
    assert underlyings.previous_close("NONE") is None
    assert underlyings.dividends_until("NONE", EX_DATE, FRIDAY) == 0
    with pytest.raises(KeyError):
        underlyings.set_spot("NONE", 1.0, hold=False)


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32))
def test_the_previous_close_depends_on_the_seed_and_is_a_nights_walk_from_the_price(seed):
    one, other = started(seed), started(seed)
    for root in contracts.ROOTS:
        close = one.previous_close(root.underlying)
        assert close == other.previous_close(root.underlying) == round(close, 2)
        deviations = abs(math.log(close / one.spot(root.underlying))) / (root.volatility / math.sqrt(252))
        assert deviations < 5


def test_closes_do_not_move_with_prices_but_change_with_the_session(underlyings):
    closes = {name: underlyings.previous_close(name) for name in underlyings.names}
    underlyings.walk(DAY_SECONDS)
    assert {name: underlyings.previous_close(name) for name in underlyings.names} == closes
    last = {name: round(underlyings.spot(name), 2) for name in underlyings.names}
    underlyings.begin_session(FRIDAY + dt.timedelta(days=3))
    assert {name: underlyings.previous_close(name) for name in underlyings.names} == last


@given(st.floats(100, 10_000), st.booleans())
def test_xsp_is_a_tenth_of_spx_however_they_move(price, is_xsp):
    underlyings = started()
    assert underlyings.previous_close("XSP") == pytest.approx(underlyings.previous_close("SPX") / 10, abs=0.006)
    underlyings.set_spot("XSP" if is_xsp else "SPX", price, hold=False)
    underlyings.walk(60)
    assert underlyings.spot("XSP") == pytest.approx(underlyings.spot("SPX") / 10)
    assert underlyings.spot("XSP" if is_xsp else "SPX") == pytest.approx(price, rel=0.01)


def test_a_held_price_does_not_move_until_it_is_released(underlyings):
    assert underlyings.set_spot("SPY", 700.0, hold=True) == ["SPY"]
    assert underlyings.set_spot("XSP", 700.0, hold=True) == ["SPX", "XSP"]
    underlyings.walk(DAY_SECONDS)
    assert [underlyings.spot(name) for name in ("SPY", "SPX", "XSP")] == [700.0, 7000.0, 700.0]
    underlyings.release()
    underlyings.walk(DAY_SECONDS)
    assert underlyings.spot("SPY") != 700.0


def test_holding_one_price_does_not_change_how_the_others_move(underlyings):
    other = started()
    other.set_spot("SPY", 700.0, hold=True)
    for moved in (underlyings, other):
        moved.walk(60)
    assert underlyings.spot("AAPL") == other.spot("AAPL")


def test_a_stock_opens_without_its_dividend_on_the_ex_date(underlyings):
    spot = underlyings.spot("SPY")
    underlyings.begin_session(EX_DATE - dt.timedelta(days=1))
    assert underlyings.spot("SPY") == spot
    underlyings.begin_session(EX_DATE)
    assert underlyings.spot("SPY") == pytest.approx(spot - 1.97)
    assert underlyings.previous_close("SPY") == round(spot, 2)


def test_a_dividend_counts_until_its_ex_date_and_only_if_it_is_before_the_expiration(underlyings):
    before, after = EX_DATE - dt.timedelta(days=1), EX_DATE + dt.timedelta(days=40)
    assert underlyings.dividends_until("SPY", before, FRIDAY) == 0
    expected = 1.97 * math.exp(-pricing.RATE * 7 / 365)
    assert underlyings.dividends_until("SPY", EX_DATE, FRIDAY) == pytest.approx(expected)
    assert underlyings.dividends_until("SPY", after, FRIDAY) == pytest.approx(expected)
    underlyings.begin_session(EX_DATE)
    assert underlyings.dividends_until("SPY", after, EX_DATE) == 0


def test_the_next_dividend_can_be_moved_and_later_ones_stay(underlyings):
    before = underlyings.dividends["SPY"]
    tomorrow = FRIDAY + dt.timedelta(days=1)
    underlyings.set_next_dividend("SPY", tomorrow)
    assert underlyings.dividends["SPY"] == [before[0], (tomorrow, Decimal("1.97")), *before[2:]]
    underlyings.set_next_dividend("SPY", before[2][0])
    assert underlyings.dividends["SPY"] == [before[0], *before[2:]]
    for name in ("INTC", "NONE"):
        with pytest.raises(LookupError):
            underlyings.set_next_dividend(name, tomorrow)


def test_the_close_of_a_session_is_its_last_price_even_if_the_price_moves_on(underlyings):
    underlyings.walk(600)
    last = round(underlyings.spot("SPY"), 2)
    underlyings.end_session()
    assert underlyings.is_over
    underlyings.set_spot("SPY", 700.0, hold=False)
    underlyings.begin_session(FRIDAY + dt.timedelta(days=3))
    assert not underlyings.is_over
    assert underlyings.previous_close("SPY") == last


def test_the_previous_close_of_a_day_comes_from_the_session_before_it(underlyings):
    before, saturday = underlyings.previous_close("SPY"), FRIDAY + dt.timedelta(days=1)
    assert underlyings.close_before("SPY", FRIDAY) == before
    assert underlyings.close_before("SPY", saturday) == round(underlyings.spot("SPY"), 2)
    last = round(underlyings.spot("SPY"), 2)
    underlyings.end_session()
    underlyings.set_spot("SPY", 700.0, hold=False)
    assert underlyings.close_before("SPY", saturday) == last
    assert underlyings.close_before("NONE", saturday) is None


def test_the_price_and_the_previous_close_of_the_start_are_kept(underlyings):
    start, close = underlyings.spot("SPY"), underlyings.previous_close("SPY")
    underlyings.walk(3600)
    underlyings.begin_session(underlyings.session_day + dt.timedelta(days=1))
    assert underlyings.spot("SPY") != start == underlyings.start("SPY")
    assert round(underlyings.close_before_start("SPY"), 2) == close


def test_an_underlying_follows_itself_or_another_one(underlyings):
    assert underlyings.leader("XSP") == ("SPX", 0.1)
    assert underlyings.leader("SPY") == ("SPY", 1.0)
    assert underlyings.start("XSP") == pytest.approx(underlyings.start("SPX") / 10)
    assert underlyings.volatility("SPY") == 0.14
