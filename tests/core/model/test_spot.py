import math

import pytest

from condord.core.model.spot import contract_spot, present_value


def test_the_strikes_of_a_standard_contract_compare_with_the_price_of_its_underlying():
    assert contract_spot(582.1, 100, 100) == pytest.approx(582.1)


def test_the_strikes_of_an_adjusted_contract_compare_with_its_deliverable_by_its_multiplier():
    assert contract_spot(50, 100, 150) == 75
    assert contract_spot(50, 100, 10, cash=400) == 9
    assert contract_spot(50, 10, 10) == 50


def test_dividends_are_worth_less_today_than_on_their_ex_dates():
    expected = 1.97 * math.exp(-0.04 * 28 / 365) + 2.0 * math.exp(-0.04 * 119 / 365)
    assert present_value([(28 / 365, 1.97), (119 / 365, 2.0)], 0.04) == pytest.approx(expected)
    assert present_value([(0.5, 1.0)], 0.0) == 1.0
    assert present_value([], 0.04) == 0
