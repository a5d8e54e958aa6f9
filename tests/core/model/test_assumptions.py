from condord.core.model.assumptions import MINUTES_PER_YEAR, Assumptions
from condord.core.model.black_scholes import DAY


def test_a_year_is_365_days_of_1440_minutes():
    assert MINUTES_PER_YEAR == 365 * 24 * 60
    assert DAY == 1 / 365


def test_assumptions_share_no_mapping_of_dividend_yields():
    assert Assumptions() == Assumptions()
    assert Assumptions().dividend_yields is not Assumptions().dividend_yields
