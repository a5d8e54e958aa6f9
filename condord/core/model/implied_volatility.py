"""Invert the price of an option: the volatility at which Black-Scholes-Merton gives it.

With the forward F = S exp((r - q)T), x = -|ln(F/K)| and s = v sqrt T, the out-of-the-money option of a strike, without
discounting and in units of sqrt(F K), is worth

    b(s) = exp(x/2) N(x/s + s/2) - exp(-x/2) N(x/s - s/2)          b'(s) = exp(-(x²/s² + s²/4)/2) / sqrt(2 pi)

A price in the money becomes one of these by put-call parity. ln b(s) is concave, and its first two derivatives need no
more than b and b': Halley's method finds the solution in a few steps from the inflection point s = sqrt(2|x|) of b, and
in two from the volatility of a moment ago (after Jäckel, "Let's be rational", 2015). A step that leaves the interval
known to contain the solution is replaced by a bisection.
"""

from __future__ import annotations

import math

from condord.core.model.black_scholes import MarketConditions
from condord.core.occ import Right

_ROOT_HALF = math.sqrt(0.5)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
_MAX_STEPS = 100
_MAX_GROWTH = 4.0
_FAR = 8.0
"""A guess this many times the start is far above any solution, where b is flat and steps are small."""
_CLOSE = 1e-5
"""Halley's step from an error of this part of the solution lands within the precision of floats."""


def implied_volatility(
    right: Right, price: float, strike: float, conditions: MarketConditions, guess: float | None = None
) -> float | None:
    """The volatility of a price in dollars per share, None if there is none.

    There is none at or below max(0, w (S exp(-qT) - K exp(-rT))), where w is 1 for a call and -1 for a put, nor from
    S exp(-qT) (call) or K exp(-rT) (put) on. `conditions.years` is above zero. `guess` is an earlier volatility, which
    saves time.
    """
    years = conditions.years
    carried = conditions.spot * math.exp(-conditions.dividend_yield * years)
    discounted = strike * math.exp(-conditions.rate * years)
    gained, given = (carried, discounted) if right == "call" else (discounted, carried)
    worth = (price - max(0.0, gained - given)) / math.sqrt(carried * discounted)
    if worth <= 0 or price >= gained:
        return None
    root = math.sqrt(years)
    x = -abs(math.log(carried / discounted))
    deviation = _deviation(x, worth, (guess or 0.0) * root)
    return None if deviation is None else deviation / root


def _deviation(x: float, worth: float, guess: float) -> float | None:
    """The s at which b(s) is `worth`; None next to the greatest value of b, where floats cannot distinguish it."""
    low, high = worth * _ROOT_TWO_PI, math.inf  # at the money b(s) <= s / sqrt(2 pi), elsewhere it is less
    start = max(math.sqrt(-2 * x), low)
    s = guess if low < guess < _FAR * start else start
    scale = math.exp(x / 2)
    for _ in range(_MAX_STEPS):
        ratio, half = x / s, s / 2
        value = (scale * math.erfc(-(ratio + half) * _ROOT_HALF) - math.erfc((half - ratio) * _ROOT_HALF) / scale) / 2
        slope = math.exp(-(ratio * ratio + half * half) / 2) / _ROOT_TWO_PI
        if value < worth:
            low = s
        else:
            high = s
        step = _step(value, slope, worth, (ratio * ratio - half * half) / s) if value > 0 < slope else math.inf
        if abs(step) <= _CLOSE * s:
            return s + step
        if low < s + step < min(high, _MAX_GROWTH * s):
            s += step
        else:
            s = math.sqrt(low * high) if high < math.inf else _MAX_GROWTH * s
    return None


def _step(value: float, slope: float, worth: float, curvature: float) -> float:
    """Halley's step for ln b(s) = ln `worth`, or Newton's where it has none; `curvature` is b''/b'."""
    growth = slope / value
    newton = math.log(worth / value) / growth
    bend = 1 + newton * (curvature - growth) / 2
    return newton / bend if bend > 0 else newton
