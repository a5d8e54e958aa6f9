import math

import pytest
from hypothesis import given

from condord.core.model.black_scholes import price
from condord.core.model.parity import parity_price
from tests.core.model.builders import all_conditions, deviations, volatilities


@given(all_conditions(), volatilities(), deviations())
def test_the_prices_of_both_rights_give_back_the_price_of_the_index(conditions, volatility, deviation):
    strike = conditions.spot * math.exp(deviation * volatility * math.sqrt(conditions.years))
    call, put = (price(right, strike, volatility, conditions) for right in ("call", "put"))
    terms = {"years": conditions.years, "rate": conditions.rate, "dividend_yield": conditions.dividend_yield}
    found = parity_price(call, put, strike, **terms)
    assert found == pytest.approx(conditions.spot, abs=1e-11 * max(strike, conditions.spot))


def test_the_forward_is_the_strike_plus_the_grown_difference_of_call_and_put():
    found = parity_price(52.3, 48.1, 6800, years=0.1, rate=0.04, dividend_yield=0.012)
    assert found == pytest.approx((6800 + math.exp(0.004) * 4.2) * math.exp(-0.0028))


def test_mids_that_imply_no_positive_price_give_none():
    assert parity_price(1, 200, 100, years=0.1, rate=0.04, dividend_yield=0.0) is None
