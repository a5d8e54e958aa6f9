import math

import pytest

from condord.core.model.spot import present_value


def test_dividends_are_worth_less_today_than_on_their_ex_dates():
    expected = 1.97 * math.exp(-0.04 * 28 / 365) + 2.0 * math.exp(-0.04 * 119 / 365)
    assert present_value([(28 / 365, 1.97), (119 / 365, 2.0)], 0.04) == pytest.approx(expected)
    assert present_value([(0.5, 1.0)], 0.0) == 1.0
    assert present_value([], 0.04) == 0
