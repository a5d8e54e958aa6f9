"""Market conditions, figures and condors for the tests of the model."""

from decimal import Decimal

from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.model.black_scholes import MarketConditions
from condord.core.model.figures import Figures
from condord.core.model.risk import RiskInputs
from tests.core.strategies import condor_holdings, only_condor

MONTH = 30 / 365
RIGHTS = ("put", "call")


def at(spot=100.0, years=MONTH, rate=0.04, dividend_yield=0.0):
    """Market conditions; by default 30 days and a rate of 4 %."""
    return MarketConditions(spot=spot, years=years, rate=rate, dividend_yield=dividend_yield)


def make_condor(strikes=(90, 95, 105, 110), credit="2", quantity=1, **common):
    """A condor for a credit per share in dollars, all of it that of the inner put; long if `quantity` is negative.

    With a `credit` of None its entry is not known.
    """
    if credit is None:
        return only_condor(condor_holdings(strikes, ("0", None, "0", "0"), quantity, **common))
    entry = Decimal(credit) * (1 if quantity > 0 else -1)
    return only_condor(condor_holdings(strikes, ("0", str(entry), "0", "0"), quantity, **common))


def flat(condor, iv=0.2, **changes):
    """Figures of each leg with one volatility and otherwise made-up values; `changes` apply to all legs."""
    figures = replace(Figures(iv=iv, delta=0.1, gamma=0.01, theta=-0.02, vega=0.05, source="model"), **changes)
    return {leg.symbol: figures for leg in condor.legs}


def inputs(price=100.0, **changes):
    """Risk inputs of a standard contract without dividends, 30 days before the settlement."""
    known = RiskInputs(price=price, spot=price, model_spot=price, years=MONTH, rate=0.04, dividend_yield=0.0)
    return replace(known, **changes)


def all_conditions():
    """Market conditions from minutes to years, with rates and yields of either sign."""
    return st.builds(
        at,
        spot=st.floats(1, 10_000),
        years=st.floats(1 / 525_600, 3),
        rate=st.floats(-0.05, 0.2),
        dividend_yield=st.floats(0, 0.1),
    )


def volatilities():
    return st.floats(0.03, 3)


def deviations():
    """How many standard deviations a strike is from the forward."""
    return st.floats(-5, 5)
