"""Price European options by Black-Scholes-Merton, with their greeks.

With S the price of the underlying, K the strike, T years, r and q a rate and a dividend yield (a year, continuously
compounded), v the volatility, N the normal distribution and w = 1 for a call, -1 for a put:

    price = w (S exp(-qT) N(w d1) - K exp(-rT) N(w d2))
    d1    = (ln(S/K) + (r - q) T) / (v sqrt T) + v sqrt T / 2        d2 = d1 - v sqrt T

N is computed by erfc, which keeps its relative precision in the far wings.
"""

from __future__ import annotations

import math

import msgspec

from condord.core.model.assumptions import MINUTES_PER_YEAR
from condord.core.occ import Right

DAY = 24 * 60 / MINUTES_PER_YEAR
"""A calendar day in years."""
_POINT = 0.01
_ROOT_HALF = math.sqrt(0.5)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)


class MarketConditions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The conditions that the options of one expiry share.

    `spot` is in dollars, above zero, and less the present value of known dividends; `years` is the time to the
    settlement; `rate` and `dividend_yield` are per year, continuously compounded.
    """

    spot: float
    years: float
    rate: float
    dividend_yield: float = 0.0


class OptionValue(msgspec.Struct, frozen=True, gc=False):
    """The value of one option in dollars per share.

    `theta` is the change of the price over the next calendar day, or over the time that is left if that is shorter;
    `decay` is the derivative by time, per calendar day. `vega` is per volatility point, `rho` per point of the rate.
    """

    price: float
    delta: float
    gamma: float
    theta: float
    decay: float
    vega: float
    rho: float


def price(right: Right, strike: float, volatility: float, conditions: MarketConditions) -> float:
    """The price in dollars per share; without time the intrinsic value. `volatility` is above zero."""
    return _price(right, strike, volatility, conditions, conditions.years)


def option_value(right: Right, strike: float, volatility: float, conditions: MarketConditions) -> OptionValue:
    """The price and the greeks; `volatility` and `conditions.years` are above zero."""
    spot, years = conditions.spot, conditions.years
    rate, dividend_yield = conditions.rate, conditions.dividend_yield
    sign = 1.0 if right == "call" else -1.0
    root = math.sqrt(years)
    deviation = volatility * root
    d1 = (math.log(spot / strike) + (rate - dividend_yield) * years) / deviation + deviation / 2
    carried = spot * math.exp(-dividend_yield * years)
    discounted = strike * math.exp(-rate * years)
    held = sign * carried * normal(sign * d1)
    exercised = sign * discounted * normal(sign * (d1 - deviation))
    density = carried * math.exp(-d1 * d1 / 2) / _ROOT_TWO_PI
    worth = held - exercised
    decay = dividend_yield * held - rate * exercised - density * volatility / (2 * root)
    return OptionValue(
        worth,
        held / spot,
        density / (spot * spot * deviation),
        _price(right, strike, volatility, conditions, years - DAY) - worth,
        decay * DAY,
        density * root * _POINT,
        exercised * years * _POINT,
    )


def _price(right: Right, strike: float, volatility: float, conditions: MarketConditions, years: float) -> float:
    spot = conditions.spot
    sign = 1.0 if right == "call" else -1.0
    if years <= 0:
        return max(0.0, sign * (spot - strike))
    rate, dividend_yield = conditions.rate, conditions.dividend_yield
    deviation = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate - dividend_yield) * years) / deviation + deviation / 2
    carried = spot * math.exp(-dividend_yield * years) * normal(sign * d1)
    return sign * (carried - strike * math.exp(-rate * years) * normal(sign * (d1 - deviation)))


def normal(x: float) -> float:
    """N(x), the standard normal distribution."""
    return 0.5 * math.erfc(-x * _ROOT_HALF)
