import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import pricing

spots = st.floats(10, 1000)
ratios = st.floats(0.6, 1.5)
years = st.floats(1 / 365, 2)
volatilities = st.floats(0.05, 1.5)


def test_a_call_is_worth_its_expected_payoff():
    spot, strike, time, volatility = 42.0, 40.0, 0.5, 0.2
    drift, deviation = (pricing.RATE - volatility**2 / 2) * time, volatility * math.sqrt(time)
    shocks = [place / 1000 for place in range(-8000, 8001)]
    payoffs = [max(spot * math.exp(drift + deviation * z) - strike, 0) * math.exp(-z * z / 2) for z in shocks]
    expected = math.exp(-pricing.RATE * time) * sum(payoffs) / 1000 / math.sqrt(2 * math.pi)
    assert pricing.theoretical_value("call", spot, strike, time, volatility).price == pytest.approx(expected, abs=1e-5)


@given(spots, ratios, years, volatilities)
def test_put_call_parity_holds_unless_the_put_is_at_its_intrinsic_value(spot, ratio, time, volatility):
    strike = spot * ratio
    call = pricing.theoretical_value("call", spot, strike, time, volatility).price
    put = pricing.theoretical_value("put", spot, strike, time, volatility).price
    forward = spot - strike * math.exp(-pricing.RATE * time)
    assert call >= max(spot - strike, 0)
    assert put >= max(strike - spot, 0)
    if put > strike - spot:
        assert call - put == pytest.approx(forward, abs=1e-6 * spot)


@given(spots, ratios, years, volatilities)
def test_greeks_have_the_right_signs(spot, ratio, time, volatility):
    call = pricing.theoretical_value("call", spot, spot * ratio, time, volatility)
    put = pricing.theoretical_value("put", spot, spot * ratio, time, volatility)
    assert 0 <= call.delta <= 1
    assert -1 <= put.delta <= 0
    assert call.delta - put.delta == pytest.approx(1)
    assert call.gamma >= 0
    assert call.vega >= 0


@given(spots, ratios, st.floats(-1, 0))
def test_an_expired_option_is_worth_its_intrinsic_value(spot, ratio, time):
    assert pricing.theoretical_value("put", spot, spot * ratio, time, 0.2).price == max(spot * ratio - spot, 0)


@given(spots, ratios, years)
def test_the_smile_stays_between_its_bounds(spot, ratio, time):
    assert 0.4 * 0.2 <= pricing.smile(0.2, spot, spot * ratio, time) <= 2.5 * 0.2


def test_the_smile_is_richer_on_the_put_side():
    assert pricing.smile(0.2, 100, 90, 0.1) > 0.2 > pricing.smile(0.2, 100, 105, 0.1)


@given(spots, ratios, years, volatilities, st.floats(0, 0.05))
def test_put_call_parity_holds_for_european_options_with_a_dividend_yield(
    spot, ratio, time, volatility, dividend_yield
):
    strike = spot * ratio
    terms = pricing.PricingTerms(dividend_yield=dividend_yield, is_american=False)
    call, put = (
        pricing.theoretical_value(right, spot, strike, time, volatility, terms).price for right in ("call", "put")
    )
    forward = spot * math.exp(-dividend_yield * time) - strike * math.exp(-pricing.RATE * time)
    assert call - put == pytest.approx(forward, abs=1e-6 * spot)


@given(spots, ratios, years, volatilities)
def test_a_known_dividend_is_taken_off_the_price(spot, ratio, time, volatility):
    european = pricing.PricingTerms(is_american=False)
    with_dividend = pricing.PricingTerms(dividends=spot * 0.01, is_american=False)
    for right in ("call", "put"):
        reduced = pricing.theoretical_value(right, spot * 0.99, spot * ratio, time, volatility, european)
        value = pricing.theoretical_value(right, spot, spot * ratio, time, volatility, with_dividend)
        assert value.price == pytest.approx(reduced.price, abs=1e-9 * spot)


@given(spots, ratios, st.floats(0.1, 2), st.floats(0.1, 1), st.floats(0, 0.05), st.sampled_from(["put", "call"]))
def test_greeks_are_the_derivatives_of_the_price(spot, ratio, time, volatility, dividend_yield, right):
    strike = spot * ratio
    terms = pricing.PricingTerms(dividend_yield=dividend_yield, is_american=False)

    def price(spot=spot, time=time, volatility=volatility, terms=terms):
        return pricing.theoretical_value(right, spot, strike, time, volatility, terms).price

    value = pricing.theoretical_value(right, spot, strike, time, volatility, terms)
    step = spot * 1e-4
    up, down = price(spot + step), price(spot - step)
    assert value.delta == pytest.approx((up - down) / (2 * step), abs=1e-4)
    assert value.gamma * spot == pytest.approx((up + down - 2 * price()) / step**2 * spot, abs=1e-3)
    assert value.theta == pytest.approx(
        (price(time=time - 1e-5) - price(time=time + 1e-5)) / 2e-5 / 365, abs=1e-5 * spot
    )
    assert value.vega == pytest.approx((price(volatility=volatility + 1e-5) - price()) / 1e-3, abs=1e-5 * spot)
    dearer = pricing.PricingTerms(dividend_yield=dividend_yield, rate=pricing.RATE + 1e-5, is_american=False)
    assert value.rho == pytest.approx((price(terms=dearer) - price()) / 1e-3, abs=1e-4 * spot)
