"""Probabilities of a condor, in percent, from lognormal prices of the underlying.

The price at the settlement is below K with probability N(d(K)), where d(K) = (ln(K/S) - (r - q - v²/2) T) / (v sqrt T).
v is the volatility of the inner put for a K on the side of the puts, and that of the inner call on the other.

                short condor                               long condor
    profit      between the breakevens                     beyond the breakevens
    maxProfit   between the inner strikes                  beyond the outer strikes
    maxLoss     beyond the outer strikes                   between the inner strikes

With unequal wings, only the outer strike of the wider one counts, as the loss or profit is greatest there. A side
without a breakeven is one that cannot lose (short) or cannot win (long).

Two volatilities give two distributions. Where the price is far beyond a wing, the probability of a price between two
strikes can come out below 0, and of one outside above 100: both are clamped.
"""

from __future__ import annotations

import math

import msgspec

from condord.core.condor import Condor
from condord.core.model.black_scholes import MarketConditions, normal
from condord.core.model.distance import Levels, breakevens, levels
from condord.core.model.figures import Figures

_MILLS = 1000
_ROOT_HALF = math.sqrt(0.5)
_ROOT_PI = math.sqrt(math.pi)
_DIRECT = 20.0
"""Up to here exp(x²) and erfc(x) are within the range of floats. Beyond, the series for `_scaled_erfc` is exact."""


class Probabilities(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Probabilities in percent from 0 to 100; each is None if it is not known or not defined."""

    profit: float | None = None
    max_profit: float | None = None
    max_loss: float | None = None
    touch_put: float | None = None
    touch_call: float | None = None
    profit_by_credit: float | None = None
    profit_by_delta: float | None = None


def probabilities(
    condor: Condor, put: Figures, call: Figures, spot: float, conditions: MarketConditions
) -> Probabilities:
    """The probabilities of `condor` from the figures of its inner put and call.

    `spot` is the price that the strikes compare with, and that of `conditions` is without known dividends.
    """
    tails = _Tails(put.iv, call.iv, conditions)
    outer_put, inner_put, inner_call, outer_call = (leg.strike_mills / _MILLS for leg in condor.legs)
    within = 0.0 if inner_put == inner_call else tails.between(Levels(inner_put, inner_call))
    beyond = _complement(
        tails.between(
            Levels(
                outer_put if condor.put_width_e4 >= condor.call_width_e4 else None,
                outer_call if condor.call_width_e4 >= condor.put_width_e4 else None,
            )
        )
    )
    is_short = condor.direction == "short"
    goal = levels(condor)
    return Probabilities(
        profit=_percent(_profit(condor, tails, Levels(inner_put, inner_call))),
        max_profit=_percent(within if is_short else beyond),
        max_loss=_percent(beyond if is_short else within),
        touch_put=_percent(_touch_below(goal.put, put.iv, spot, conditions)),
        touch_call=_percent(_touch_above(goal.call, call.iv, spot, conditions)),
        profit_by_credit=profit_by_credit(condor),
        profit_by_delta=profit_by_delta(condor, put, call),
    )


def profit_by_credit(condor: Condor) -> float | None:
    """1 - credit / width, a rule of thumb for short condors with equal wings; None if nothing can be won or lost."""
    credit_e4 = condor.credit_e4
    if condor.direction == "long" or condor.broken_wing or credit_e4 is None:
        return None
    if credit_e4 <= 0 or not condor.max_loss_e4:
        return None
    return 100 * (1 - credit_e4 / condor.put_width_e4)


def profit_by_delta(condor: Condor, put: Figures, call: Figures) -> float | None:
    """1 - |delta of the short put| - |delta of the short call|, a rule of thumb; None for butterflies."""
    if condor.direction == "long" or condor.kind == "ironButterfly" or put.delta is None or call.delta is None:
        return None
    return 100 * max(0.0, 1 - abs(put.delta) - abs(call.delta))


def below(level: float, volatility: float, conditions: MarketConditions) -> float:
    """The probability, 0 to 1, that the price at the settlement is below `level`, which is above zero."""
    drift = conditions.rate - conditions.dividend_yield - volatility * volatility / 2
    deviation = volatility * math.sqrt(conditions.years)
    return normal((math.log(level / conditions.spot) - drift * conditions.years) / deviation)


def touch(level: float, volatility: float, conditions: MarketConditions) -> float:
    """The probability, 0 to 1, that the price is at `level` at any time before the settlement, not discounted.

    With b = |ln(K/S)| and m the drift r - q - v²/2, counted towards K, the price meets K with probability

        N((mT - b) / (v sqrt T)) + exp(2mb/v²) N(-(mT + b) / (v sqrt T))

    (Shreve, "Stochastic Calculus for Finance II", 7.2). At small v, exp(2mb/v²) overflows while the N beside it
    vanishes. Their product is exp(-((mT - b) / (v sqrt T))² / 2) times exp(x²) erfc(x) / 2, none of which can overflow.
    """
    distance = math.log(level / conditions.spot)
    drift = conditions.rate - conditions.dividend_yield - volatility * volatility / 2
    towards = (drift if distance > 0 else -drift) * conditions.years
    deviation = volatility * math.sqrt(conditions.years)
    ends = (towards - abs(distance)) / deviation
    returns = (towards + abs(distance)) / deviation
    if returns < 0:
        reflected = math.exp(2 * (towards / deviation) * (abs(distance) / deviation)) * normal(-returns)
    else:
        reflected = math.exp(-ends * ends / 2) * _scaled_erfc(returns * _ROOT_HALF) / 2
    return min(1.0, normal(ends) + reflected)


def expected_move(spot: float, volatility: float, years: float) -> float:
    """One standard deviation of the price until the settlement, in dollars: S v sqrt T."""
    return spot * volatility * math.sqrt(years)


class _Tails(msgspec.Struct, frozen=True, gc=False):
    """The two distributions of the price at the settlement; a volatility is None if not known."""

    put_volatility: float | None
    call_volatility: float | None
    conditions: MarketConditions

    def between(self, bounds: Levels) -> float | None:
        """The probability, 0 to 1, of a price between `bounds`, where None is no bound; None if not known."""
        lower = upper = 0.0
        if bounds.put is not None:
            if self.put_volatility is None:
                return None
            lower = below(bounds.put, self.put_volatility, self.conditions)
        if bounds.call is not None:
            if self.call_volatility is None:
                return None
            upper = 1 - below(bounds.call, self.call_volatility, self.conditions)
        return max(0.0, 1 - lower - upper)


def _profit(condor: Condor, tails: _Tails, inner: Levels) -> float | None:
    credit_e4 = condor.credit_e4
    if credit_e4 is None:
        return None
    if condor.direction == "short":
        return tails.between(breakevens(condor)) if credit_e4 > 0 else 0.0
    if credit_e4 > 0:
        return 1.0
    return _complement(tails.between(breakevens(condor) if credit_e4 else inner))


def _touch_below(
    level: float | None, volatility: float | None, spot: float, conditions: MarketConditions
) -> float | None:
    if level is not None and min(spot, conditions.spot) <= level:
        return 1.0
    return None if level is None or volatility is None else touch(level, volatility, conditions)


def _touch_above(
    level: float | None, volatility: float | None, spot: float, conditions: MarketConditions
) -> float | None:
    if level is not None and spot >= level:
        return 1.0
    return None if level is None or volatility is None else touch(level, volatility, conditions)


def _scaled_erfc(x: float) -> float:
    """exp(x²) erfc(x) for x >= 0."""
    if x < _DIRECT:
        return math.exp(x * x) * math.erfc(x)
    y = 0.5 / (x * x)
    return (1 - y * (1 - 3 * y * (1 - 5 * y * (1 - 7 * y)))) / (x * _ROOT_PI)


def _complement(probability: float | None) -> float | None:
    return None if probability is None else 1 - probability


def _percent(probability: float | None) -> float | None:
    return None if probability is None else 100 * probability
