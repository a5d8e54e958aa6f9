"""Implied volatility and greeks as Alpaca's option snapshots have them.

Alpaca uses the formula of Black, Scholes and Merton without dividends, whole calendar days over 365, and a short rate.
The figures follow from the midpoint of the quote, not from the volatility with which the market values the contract.
"""

from __future__ import annotations

from condord.core.occ import Right
from condord.simulator.pricing import PricingTerms, TheoreticalValue, theoretical_value

RATE = 0.042  # near the market's own, but not equal, as Alpaca's may differ from its clients'
_DAYS_PER_YEAR = 365
_LOWEST, _HIGHEST = 1e-4, 10.0
_HALVINGS = 60


def figures(
    right: Right, spot: float, strike: float, days: int, price: float, rate: float = RATE
) -> TheoreticalValue | None:
    """The figures of a contract that expires in `days` calendar days and is worth `price`.

    None on the expiration day, and if no volatility gives that price.
    """
    if days <= 0:
        return None
    terms = PricingTerms(rate=rate, is_american=False)
    years = days / _DAYS_PER_YEAR

    def value(volatility: float) -> TheoreticalValue:
        return theoretical_value(right, spot, strike, years, volatility, terms)

    low, high = _LOWEST, _HIGHEST
    if not value(low).price < price < value(high).price:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if value(middle).price < price else (low, middle)
    return value((low + high) / 2)
