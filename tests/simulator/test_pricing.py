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
    drift, root = (pricing.RATE - volatility**2 / 2) * time, volatility * math.sqrt(time)
    shocks = [place / 1000 for place in range(-8000, 8001)]
    payoffs = [max(spot * math.exp(drift + root * z) - strike, 0) * math.exp(-z * z / 2) for z in shocks]
    expected = math.exp(-pricing.RATE * time) * sum(payoffs) / 1000 / math.sqrt(2 * math.pi)
    assert pricing.value("call", spot, strike, time, volatility).price == pytest.approx(expected, abs=1e-5)


@given(spots, ratios, years, volatilities)
def test_put_and_call_keep_parity_unless_exercise_is_worth_more(spot, ratio, time, volatility):
    strike = spot * ratio
    call = pricing.value("call", spot, strike, time, volatility).price
    put = pricing.value("put", spot, strike, time, volatility).price
    forward = spot - strike * math.exp(-pricing.RATE * time)
    assert call >= max(spot - strike, 0)
    assert put >= max(strike - spot, 0)
    if put > strike - spot:
        assert call - put == pytest.approx(forward, abs=1e-6 * spot)


@given(spots, ratios, years, volatilities)
def test_sensitivities_have_their_signs(spot, ratio, time, volatility):
    call = pricing.value("call", spot, spot * ratio, time, volatility)
    put = pricing.value("put", spot, spot * ratio, time, volatility)
    assert 0 <= call.delta <= 1
    assert -1 <= put.delta <= 0
    assert call.delta - put.delta == pytest.approx(1)
    assert call.gamma >= 0
    assert call.vega >= 0


@given(spots, ratios, st.floats(-1, 0))
def test_an_expired_option_is_worth_its_exercise(spot, ratio, time):
    assert pricing.value("put", spot, spot * ratio, time, 0.2).price == max(spot * ratio - spot, 0)


@given(spots, ratios, years)
def test_the_smile_stays_between_its_bounds(spot, ratio, time):
    assert 0.4 * 0.2 <= pricing.smile(0.2, spot, spot * ratio, time) <= 2.5 * 0.2


def test_puts_are_richer_than_calls():
    assert pricing.smile(0.2, 100, 90, 0.1) > 0.2 > pricing.smile(0.2, 100, 105, 0.1)
