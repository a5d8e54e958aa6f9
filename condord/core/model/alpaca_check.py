"""Check Alpaca's figures by its own convention, so that a difference is one of prices and not of assumptions.

Alpaca's figures are Black-Scholes-Merton without dividends, T being whole calendar days / 365, so there are none on the
expiration day. It inverts American prices in the money too, and its theta is the derivative by time.
"""

from __future__ import annotations

import datetime as dt

from condord.core.model.black_scholes import DAY, MarketConditions, option_value
from condord.core.model.figures import Figures, OptionSnapshot
from condord.core.model.implied_volatility import implied_volatility
from condord.core.occ import OptionSymbol

MAX_DIFFERENCE = 0.02


def by_alpacas_convention(
    contract: OptionSymbol, price: float, spot: float, today: dt.date, rate: float
) -> Figures | None:
    """The figures that Alpaca should give for a price per share in dollars.

    None from the expiration day on, and where no volatility gives the price. `today` is the date at the exchange.
    """
    days = (contract.expiration - today).days
    if days <= 0:
        return None
    conditions = MarketConditions(spot=spot, years=days * DAY, rate=rate)
    strike = contract.strike_mills / 1000
    volatility = implied_volatility(contract.right, price, strike, conditions)
    if volatility is None:
        return None
    value = option_value(contract.right, strike, volatility, conditions)
    return Figures(iv=volatility, delta=value.delta, gamma=value.gamma, theta=value.decay, vega=value.vega)


def differs(recomputed: Figures | None, snapshot: OptionSnapshot) -> bool:
    """Whether the deltas are more than 0.02 apart; False if one of them is not known."""
    if recomputed is None or recomputed.delta is None or snapshot.delta is None:
        return False
    return abs(recomputed.delta - snapshot.delta) > MAX_DIFFERENCE
