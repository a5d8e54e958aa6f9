"""How far the price is from the short strikes of a condor, and whether it tests or has passed one of them."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from condord.core.condor import Condor

Tested = Literal["none", "put", "call"]

NEAR_SIGMAS = 0.25
"""A side that is no further away than this is tested."""
_MILLS = 1000
_E4 = 10_000


class Distance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The distance to an inner strike (of a butterfly: to a breakeven), negative beyond it; None if not known."""

    dollars: float | None = None
    percent: float | None = None
    sigmas: float | None = None


class Levels(NamedTuple):
    """A price of the underlying on each side; None where there is none, or where it is not known."""

    put: float | None
    call: float | None


def levels(condor: Condor) -> Levels:
    """The prices that distances and touches are about: the inner strikes, or the breakevens of a butterfly.

    A butterfly has only one inner strike, which the price is always beyond on one side.
    """
    if condor.kind == "ironButterfly":
        return breakevens(condor)
    _, inner_put, inner_call, _ = condor.legs
    return Levels(inner_put.strike_mills / _MILLS, inner_call.strike_mills / _MILLS)


def breakevens(condor: Condor) -> Levels:
    """The breakevens of `condor` in dollars."""
    return Levels(_dollars(condor.lower_breakeven_e4), _dollars(condor.upper_breakeven_e4))


def put_distance(level: float | None, spot: float, volatility: float | None, years: float) -> Distance:
    """The distance down to `level`; `volatility` is the inner put's."""
    if level is None:
        return Distance()
    return _distance(spot - level, spot, math.log(spot / level), volatility, years)


def call_distance(level: float | None, spot: float, volatility: float | None, years: float) -> Distance:
    """The distance up to `level`; `volatility` is the inner call's."""
    if level is None:
        return Distance()
    return _distance(level - spot, spot, math.log(level / spot), volatility, years)


def tested(condor: Condor, put: Distance, call: Distance) -> Tested | None:
    """The side that is fewer sigmas away, if it is beyond or within 0.25 sigmas.

    None for a long condor, whose owner wants the price there, and if it is not known.
    """
    sides: list[tuple[Tested, Distance]] = [("put", put), ("call", call)]
    sides = [(side, distance) for side, distance in sides if distance.dollars is not None]
    if condor.direction == "long" or not sides:
        return None
    for side, distance in sides:
        if distance.dollars is not None and distance.dollars <= 0:  # the sign needs no volatility
            return side
    sigmas = [(distance.sigmas, side) for side, distance in sides if distance.sigmas is not None]
    if len(sigmas) < len(sides):
        return None
    nearest, side = min(sigmas)
    return side if nearest <= NEAR_SIGMAS else "none"


def breached(condor: Condor, put: Distance, call: Distance) -> bool | None:
    """Whether the price is beyond a side; None without a price, False for long condors."""
    if condor.direction == "long":
        return False
    known = [distance.dollars for distance in (put, call) if distance.dollars is not None]
    return any(dollars < 0 for dollars in known) if known else None


def _distance(dollars: float, spot: float, log_ratio: float, volatility: float | None, years: float) -> Distance:
    sigmas = None if volatility is None else log_ratio / (volatility * math.sqrt(years))
    return Distance(dollars=dollars, percent=100 * dollars / spot, sigmas=sigmas)


def _dollars(amount_e4: int | None) -> float | None:
    return None if amount_e4 is None else amount_e4 / _E4
