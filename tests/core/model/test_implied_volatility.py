import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.model.black_scholes import option_value, price
from condord.core.model.implied_volatility import implied_volatility
from tests.core.model.builders import RIGHTS, all_conditions, at, deviations, volatilities
from tests.core.model.oracles import Option, american_price, grid, volatility_by_vollib

rights = st.sampled_from(RIGHTS)


def out_of_the_money(conditions, volatility, deviation):
    """An option this many standard deviations from the forward: its right and its strike."""
    forward = conditions.spot * math.exp((conditions.rate - conditions.dividend_yield) * conditions.years)
    return (
        "call" if deviation >= 0 else "put",
        forward * math.exp(deviation * volatility * math.sqrt(conditions.years)),
    )


@given(all_conditions(), volatilities(), deviations())
def test_a_price_gives_back_its_volatility(conditions, volatility, deviation):
    right, strike = out_of_the_money(conditions, volatility, deviation)
    found = implied_volatility(right, price(right, strike, volatility, conditions), strike, conditions)
    assert found == pytest.approx(volatility, rel=1e-8)


@given(all_conditions(), volatilities(), st.floats(-2, 0))
def test_a_price_in_the_money_gives_its_volatility_to_a_precision_that_depends_on_vega(
    conditions, volatility, deviation
):
    right, strike = out_of_the_money(conditions, volatility, deviation)
    other = "call" if right == "put" else "put"
    paid = price(other, strike, volatility, conditions)
    value = option_value(other, strike, volatility, conditions)
    found = implied_volatility(other, paid, strike, conditions)
    assert found == pytest.approx(volatility, abs=1e-8 + 1e-13 * paid / value.vega)


@given(all_conditions(), volatilities(), deviations(), st.floats(1e-12, 1e12))
def test_any_guess_leads_to_the_same_volatility(conditions, volatility, deviation, guess):
    right, strike = out_of_the_money(conditions, volatility, deviation)
    paid = price(right, strike, volatility, conditions)
    assert implied_volatility(right, paid, strike, conditions, guess) == pytest.approx(volatility, rel=1e-8)


def test_vollib_gives_the_same_volatilities():
    for option in grid(200):
        paid = price(option.right, option.strike, option.volatility, option.conditions)
        found = implied_volatility(option.right, paid, option.strike, option.conditions)
        vega = option_value(option.right, option.strike, option.volatility, option.conditions).vega
        tolerance = 1e-9 + 1e-13 * option.conditions.spot / vega
        assert found == pytest.approx(volatility_by_vollib(paid, option), abs=tolerance), option


@given(rights, all_conditions(), st.floats(0.2, 5), st.floats(0, 1))
def test_a_price_at_or_below_the_intrinsic_value_has_no_volatility(right, conditions, moneyness, part):
    strike = conditions.spot * moneyness
    carried = conditions.spot * math.exp(-conditions.dividend_yield * conditions.years)
    discounted = strike * math.exp(-conditions.rate * conditions.years)
    intrinsic = max(0.0, carried - discounted if right == "call" else discounted - carried)
    assert implied_volatility(right, intrinsic, strike, conditions) is None
    assert implied_volatility(right, part * intrinsic, strike, conditions) is None
    assert implied_volatility(right, -part, strike, conditions, 0.2) is None


@given(rights, all_conditions(), st.floats(0.2, 5), st.floats(1, 2))
def test_a_price_that_no_volatility_reaches_has_none(right, conditions, moneyness, factor):
    strike = conditions.spot * moneyness
    carried = conditions.spot * math.exp(-conditions.dividend_yield * conditions.years)
    discounted = strike * math.exp(-conditions.rate * conditions.years)
    most = carried if right == "call" else discounted
    assert implied_volatility(right, most * factor, strike, conditions) is None


@given(rights, all_conditions(), st.floats(0.01, 100), st.floats(0, 20_000), st.none() | st.floats(0, 1e300))
@example("put", at(), 0.9, 5e-324, None)
@example("call", at(spot=1e4), 1.0, 5e-324, 1e-300)
def test_any_price_gives_a_volatility_that_gives_the_price_or_none(right, conditions, moneyness, paid, guess):
    strike = conditions.spot * moneyness
    found = implied_volatility(right, paid, strike, conditions, guess)
    if found is not None:
        assert price(right, strike, found, conditions) == pytest.approx(paid, rel=1e-6, abs=1e-12 * max(strike, paid))


def test_a_price_within_rounding_of_the_greatest_has_no_volatility_that_floats_can_distinguish():
    conditions = at(rate=0.0)
    assert implied_volatility("call", math.nextafter(100.0, 0), 100, conditions) is None


def test_a_volatility_of_thousands_of_percent_is_found():
    conditions = at(years=30 / 525_600)
    paid = price("call", 140, 25.0, conditions)
    assert implied_volatility("call", paid, 140, conditions) == pytest.approx(25)


def test_at_the_money_the_price_of_a_minute_is_inverted():
    conditions = at(years=1 / 525_600, rate=0.0)
    paid = price("put", 100, 0.1, conditions)
    assert implied_volatility("put", paid, 100, conditions) == pytest.approx(0.1)


def american(right, strike):
    conditions = at(spot=100, years=45 / 365, rate=0.04, dividend_yield=0.012)
    return american_price(Option(right, strike, 0.16, conditions, 45)), conditions


def test_an_american_put_out_of_the_money_gives_a_volatility_that_is_nearly_right():
    paid, conditions = american("put", 95)
    assert implied_volatility("put", paid, 95, conditions) == pytest.approx(0.1605, abs=0.00005)


def test_an_american_put_in_the_money_would_give_a_wrong_volatility():
    # The reason why prices in the money are never inverted.
    paid, conditions = american("put", 110)
    assert implied_volatility("put", paid, 110, conditions) == pytest.approx(0.2101, abs=0.00005)


def test_a_dividend_left_out_moves_the_volatilities_of_puts_and_calls_apart():
    without = at(spot=582.1 - 1.97, years=28 / 365)
    ignored = replace(without, spot=582.1)
    put, call = (implied_volatility(right, price(right, 582, 0.16, without), 582, ignored) for right in ("put", "call"))
    assert put - call == pytest.approx(0.03, abs=0.002)
