import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import pricing, snapshot_figures


def test_a_snapshot_that_alpaca_published_is_reproduced():
    """AAPL240426C00162500 at 4.10, with the stock at 165.77 three days before it expired."""
    figures = snapshot_figures.figures("call", 165.77, 162.5, 3, 4.10, rate=0.0531315552)
    assert figures.volatility == pytest.approx(0.3372405712050441, abs=1e-6)
    assert figures.delta == pytest.approx(0.7521304109871954, abs=1e-6)
    assert figures.gamma == pytest.approx(0.06241426404871288, abs=1e-6)
    assert figures.theta == pytest.approx(-0.2847623059595503, abs=1e-6)
    assert figures.vega == pytest.approx(0.047540520834498785, abs=1e-6)
    assert figures.rho == pytest.approx(0.009910739032549095, abs=1e-6)


@given(
    st.sampled_from(["put", "call"]), st.floats(10, 1000), st.floats(0.8, 1.25), st.integers(1, 400), st.floats(0.1, 1)
)
def test_the_price_gives_the_volatility_and_the_volatility_the_price(right, spot, ratio, days, volatility):
    strike = spot * ratio
    terms = pricing.PricingTerms(rate=snapshot_figures.RATE, is_american=False)
    value = pricing.theoretical_value(right, spot, strike, days / 365, volatility, terms)
    figures = snapshot_figures.figures(right, spot, strike, days, value.price)
    if value.vega > 1e-4 * spot / 100:  # else the price hardly depends on the volatility
        assert figures.volatility == pytest.approx(volatility, abs=1e-5)
        assert figures.delta == pytest.approx(value.delta, abs=1e-5)


@pytest.mark.parametrize("days", [0, -1])
def test_there_are_no_figures_on_the_expiration_day(days):
    assert snapshot_figures.figures("call", 100.0, 100.0, days, 1.0) is None


@pytest.mark.parametrize("price", [0.0, 20.0, 120.0])
def test_there_are_no_figures_if_no_volatility_gives_the_price(price):
    assert snapshot_figures.figures("call", 120.0, 100.0, 30, price) is None
