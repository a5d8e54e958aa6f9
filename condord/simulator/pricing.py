"""Black-Scholes values of options, with a volatility smile.

The formula is Black, Scholes and Merton's with flat rates. An American option has the same value, but never less than
its intrinsic value. Years have 365 days.
"""

from __future__ import annotations

import math

import msgspec

from condord.core.occ import Right

RATE = 0.04
_SKEW = -0.55
_CURVATURE = 0.25
_DAYS_PER_YEAR = 365
_MIN_YEARS = 1 / (_DAYS_PER_YEAR * 24 * 60)
_SMILE_FLOOR_YEARS = 1 / 52
_SQRT_2 = math.sqrt(2.0)
_SQRT_2_PI = math.sqrt(2.0 * math.pi)


class TheoreticalValue(msgspec.Struct, frozen=True, kw_only=True):
    """The value of one option in dollars per share, and its greeks in the units of a market data feed.

    `theta` is dollars a day; `vega` and `rho` are dollars per percentage point.
    """

    price: float
    volatility: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def smile(base: float, spot: float, strike: float, years: float) -> float:
    """The implied volatility of `strike`, 0.4 to 2.5 times `base`, the volatility at the money.

    It is a parabola in moneyness over the square deviation of time, richer on the put side.
    """
    moneyness = math.log(strike / spot) / math.sqrt(max(years, _SMILE_FLOOR_YEARS))
    factor = 1.0 + _SKEW * moneyness + _CURVATURE * moneyness * moneyness
    return base * min(max(factor, 0.4), 2.5)


class PricingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms that the value of an option depends on besides its strike, the price and the time.

    `rate` and `dividend_yield` are per year, continuously compounded. `dividends` is the present value, in dollars a
    share, of known dividends until the expiration.
    """

    rate: float = RATE
    dividend_yield: float = 0.0
    dividends: float = 0.0
    is_american: bool = True


AMERICAN = PricingTerms()


def theoretical_value(
    right: Right, spot: float, strike: float, years: float, volatility: float, terms: PricingTerms = AMERICAN
) -> TheoreticalValue:
    """Value one option; if it has expired (`years` is zero or negative), at its intrinsic value."""
    sign = 1.0 if right == "call" else -1.0
    intrinsic = max(sign * (spot - strike), 0.0)
    if years < _MIN_YEARS:
        delta = sign if intrinsic > 0 else 0.0
        return TheoreticalValue(price=intrinsic, volatility=volatility, delta=delta, gamma=0, theta=0, vega=0, rho=0)
    carry = math.exp(-terms.dividend_yield * years)
    paid_spot = spot - terms.dividends
    deviation = volatility * math.sqrt(years)
    drift = terms.rate - terms.dividend_yield + volatility * volatility / 2
    d1 = (math.log(paid_spot / strike) + drift * years) / deviation
    d2 = d1 - deviation
    held, owed = paid_spot * carry * _normal(sign * d1), strike * math.exp(-terms.rate * years) * _normal(sign * d2)
    price = sign * (held - owed)
    density = carry * math.exp(-d1 * d1 / 2) / _SQRT_2_PI
    decay = -paid_spot * density * volatility / (2 * math.sqrt(years))
    decay += sign * (terms.dividend_yield * held - terms.rate * owed)
    return TheoreticalValue(
        price=max(price, intrinsic if terms.is_american else 0.0),
        volatility=volatility,
        delta=sign * carry * _normal(sign * d1),
        gamma=density / (paid_spot * deviation),
        theta=decay / _DAYS_PER_YEAR,
        vega=paid_spot * density * math.sqrt(years) / 100,
        rho=sign * owed * years / 100,
    )


def _normal(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / _SQRT_2))
