"""Decides what an option is worth: Black-Scholes with a smile.

Rules: European formula, one flat rate, never below what exercise would give today; the smile is a parabola in
moneyness over the square root of time, richer on the put side. Years are calendar years of 365.25 days.
"""

from __future__ import annotations

import math

import msgspec

from condord.core.occ import Right

RATE = 0.04
_SKEW = -0.55
_CURVATURE = 0.25
_SHORTEST_YEARS = 1 / (365.25 * 24 * 60)
_SMILE_FLOOR_YEARS = 1 / 52
_SQRT_2 = math.sqrt(2.0)
_SQRT_2_PI = math.sqrt(2.0 * math.pi)


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """The worth of one option per share, and its sensitivities as a market data feed states them.

    `theta` is dollars a day, `vega` and `rho` dollars a percentage point.
    """

    price: float
    volatility: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def smile(base: float, spot: float, strike: float, years: float) -> float:
    """The volatility at which `strike` trades where the money trades at `base`; 0.4 to 2.5 times it."""
    moneyness = math.log(strike / spot) / math.sqrt(max(years, _SMILE_FLOOR_YEARS))
    factor = 1.0 + _SKEW * moneyness + _CURVATURE * moneyness * moneyness
    return base * min(max(factor, 0.4), 2.5)


def value(right: Right, spot: float, strike: float, years: float, volatility: float) -> Valuation:
    """Value one option; `years` may be zero or negative (it has expired), then only exercise counts."""
    sign = 1.0 if right == "call" else -1.0
    intrinsic = max(sign * (spot - strike), 0.0)
    if years < _SHORTEST_YEARS:
        delta = sign if intrinsic > 0 else 0.0
        return Valuation(price=intrinsic, volatility=volatility, delta=delta, gamma=0, theta=0, vega=0, rho=0)
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + volatility * volatility / 2) * years) / root
    d2 = d1 - root
    discounted = strike * math.exp(-RATE * years)
    price = sign * (spot * _normal(sign * d1) - discounted * _normal(sign * d2))
    density = math.exp(-d1 * d1 / 2) / _SQRT_2_PI
    decay = -spot * density * volatility / (2 * math.sqrt(years)) - sign * RATE * discounted * _normal(sign * d2)
    return Valuation(
        price=max(price, intrinsic),
        volatility=volatility,
        delta=sign * _normal(sign * d1),
        gamma=density / (spot * root),
        theta=decay / 365.25,
        vega=spot * density * math.sqrt(years) / 100,
        rho=sign * discounted * years * _normal(sign * d2) / 100,
    )


def _normal(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / _SQRT_2))
