import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.model.black_scholes import DAY, normal, option_value, price
from tests.core.model.builders import RIGHTS, all_conditions, at, deviations, volatilities
from tests.core.model.oracles import by_quantlib, by_vollib, grid

rights = st.sampled_from(RIGHTS)


def strike_at(conditions, volatility, deviation):
    """The strike this many standard deviations above the price."""
    return conditions.spot * math.exp(deviation * volatility * math.sqrt(conditions.years))


def six_values(value):
    """A value as the other libraries give it, with theta as the derivative by time."""
    return value.price, value.delta, value.gamma, value.decay, value.vega, value.rho


@pytest.mark.parametrize("oracle", [by_vollib, by_quantlib])
def test_prices_and_greeks_equal_those_of_other_libraries(oracle):
    for option in grid(300):
        ours = option_value(option.right, option.strike, option.volatility, option.conditions)
        theirs = oracle(option)
        assert six_values(ours) == pytest.approx(theirs, rel=1e-9, abs=1e-9 * option.conditions.spot), option


def test_the_example_of_hulls_textbook_is_reproduced():
    # Options, Futures, and Other Derivatives, example 17.1 to 17.6: a call on a stock without dividends.
    value = option_value("call", 50, 0.2, at(spot=49, years=0.3846, rate=0.05))
    assert value.price == pytest.approx(2.4, abs=0.005)
    assert value.delta == pytest.approx(0.522, abs=0.0005)
    assert value.gamma == pytest.approx(0.066, abs=0.0005)
    assert value.decay * 365 == pytest.approx(-4.31, abs=0.005)
    assert value.vega == pytest.approx(0.121, abs=0.0005)
    assert value.rho == pytest.approx(0.0891, abs=0.00005)


def test_the_normal_distribution_keeps_its_precision_in_the_far_wing():
    assert normal(0) == 0.5
    assert normal(-10) == pytest.approx(7.619853024160527e-24, rel=1e-12)


@given(all_conditions(), volatilities(), deviations())
def test_puts_and_calls_are_at_parity(conditions, volatility, deviation):
    strike = strike_at(conditions, volatility, deviation)
    call, put = (option_value(right, strike, volatility, conditions) for right in ("call", "put"))
    carry = math.exp(-conditions.dividend_yield * conditions.years)
    forward = conditions.spot * carry - strike * math.exp(-conditions.rate * conditions.years)
    size = max(conditions.spot, strike)
    assert call.price - put.price == pytest.approx(forward, abs=1e-12 * size)
    assert call.delta - put.delta == pytest.approx(carry)
    assert call.gamma == pytest.approx(put.gamma)
    assert call.vega == pytest.approx(put.vega)


@given(rights, all_conditions(), volatilities(), deviations())
def test_a_price_is_within_its_bounds_and_grows_with_the_volatility(right, conditions, volatility, deviation):
    strike = strike_at(conditions, volatility, deviation)
    carried = conditions.spot * math.exp(-conditions.dividend_yield * conditions.years)
    discounted = strike * math.exp(-conditions.rate * conditions.years)
    intrinsic = carried - discounted if right == "call" else discounted - carried
    paid = price(right, strike, volatility, conditions)
    size = 1e-12 * max(conditions.spot, strike)
    assert max(0, intrinsic) - size <= paid <= (carried if right == "call" else discounted) + size
    assert price(right, strike, volatility * 1.1, conditions) >= paid - size
    assert price(right, strike, volatility, conditions) == option_value(right, strike, volatility, conditions).price


@given(all_conditions(), volatilities(), deviations())
def test_calls_gain_and_puts_lose_when_the_price_rises(conditions, volatility, deviation):
    strike = strike_at(conditions, volatility, deviation)
    risen = replace(conditions, spot=conditions.spot * 1.01)
    size = 1e-12 * max(conditions.spot, strike)
    assert price("call", strike, volatility, risen) >= price("call", strike, volatility, conditions) - size
    assert price("put", strike, volatility, risen) <= price("put", strike, volatility, conditions) + size
    call, put = (option_value(right, strike, volatility, conditions) for right in ("call", "put"))
    assert 0 <= call.delta <= 1
    assert -1 <= put.delta <= 0
    assert min(call.gamma, call.vega) >= 0


@given(rights, all_conditions(), volatilities(), st.floats(-3, 3))
def test_greeks_are_the_slopes_of_the_price(right, conditions, volatility, deviation):
    strike = strike_at(conditions, volatility, deviation)
    value = option_value(right, strike, volatility, conditions)
    spot, years, rate = conditions.spot, conditions.years, conditions.rate

    def priced(**changes):
        return price(right, strike, changes.pop("volatility", volatility), replace(conditions, **changes))

    step = 1e-3 * volatility * math.sqrt(years) * spot
    higher, lower = priced(spot=spot + step), priced(spot=spot - step)
    assert value.delta == pytest.approx((higher - lower) / (2 * step), abs=1e-5)
    bend = (higher - 2 * value.price + lower) / (step * step)
    assert value.gamma == pytest.approx(bend, rel=1e-3, abs=1e-4 / (volatility * math.sqrt(years) * spot))
    later = priced(years=years * 0.999) - priced(years=years * 1.001)
    assert value.decay == pytest.approx(later / (0.002 * years) * DAY, rel=1e-4, abs=1e-6 * spot * DAY / years)
    more = priced(volatility=volatility * 1.001) - priced(volatility=volatility * 0.999)
    assert value.vega == pytest.approx(more / (0.2 * volatility), rel=1e-4, abs=1e-7 * spot)
    dearer = priced(rate=rate + 1e-5) - priced(rate=rate - 1e-5)
    assert value.rho == pytest.approx(dearer / 2e-3, rel=1e-4, abs=1e-6 * spot)


@given(rights, all_conditions(), volatilities(), deviations())
def test_theta_is_the_change_over_the_next_day_or_its_remainder(right, conditions, volatility, deviation):
    strike = strike_at(conditions, volatility, deviation)
    value = option_value(right, strike, volatility, conditions)
    tomorrow = replace(conditions, years=max(0.0, conditions.years - DAY))
    assert value.price + value.theta == pytest.approx(
        price(right, strike, volatility, tomorrow), abs=1e-12 * max(conditions.spot, strike)
    )


def test_theta_of_the_last_half_hour_is_what_the_option_can_still_lose():
    value = option_value("put", 6800, 0.18, at(spot=6805, years=30 / 525_600))
    assert value.theta == -value.price  # it ends out of the money
    assert value.decay < 20 * value.theta


def test_an_option_without_time_is_worth_its_intrinsic_value():
    ended = at(spot=103, years=0.0)
    assert [price(right, 100, 0.2, ended) for right in RIGHTS] == [0, 3]
    assert [price(right, 106, 0.2, ended) for right in RIGHTS] == [3, 0]
