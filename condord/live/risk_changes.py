"""Decide which changes of risk figures and of underlyings are worth an event.

A change counts when it has added up to a threshold since the object was last published. Instants are not a change by
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from condord.core.model.figures import Figures
from condord.core.model.risk import Risk
from condord.core.underlying import UnderlyingPrice
from condord.live.wire_risk import RiskJson, UnderlyingJson

RISK_PRICE = 0.0002
"""The least change that counts, as a fraction of the price of a condor's underlying when its risk was published."""
UNDERLYING_PRICE = 0.0001
"""The least change of an underlying's published price that counts, as a fraction of it."""
GREEK = 0.01
"""The least change of a condor's greek that counts, as a fraction of it, but not less than `GREEK_DOLLARS`."""
GREEK_DOLLARS = 0.05
PROBABILITY = 0.5
"""The least change of a probability that counts, in percentage points."""
SIGMAS = 0.02
"""The least change of a distance in sigmas that counts."""
IV = 0.002
"""The least change of a volatility per year that counts, where 0.18 is 18 %."""
_TOLERANCE = 1e-9
"""0.3 - 0.1 is less than 0.2 in floats."""
_NEVER = math.inf
_UNKNOWN = Figures()

_Comparison = tuple[float | None, float | None, float]
"""The newest figure, the published one, and the least difference that counts."""


def risk_counts(newest: Risk, published: Risk) -> bool:
    """Whether the risk of a condor has changed enough to be published again."""
    return (
        (newest.tested, newest.breached, newest.missing) != (published.tested, published.breached, published.missing)
        or _moved(newest.price, published.price, RISK_PRICE)
        or any(_differs(*comparison) for comparison in _comparisons(newest, published))
        or _sources(newest) != _sources(published)
    )


def same_risk(json: RiskJson, published: RiskJson) -> bool:
    """Whether two risks are equal except for the moment from which time counts."""
    return msgspec.structs.replace(json, as_of=published.as_of) == published


def underlying_counts(newest: UnderlyingPrice, published: UnderlyingPrice) -> bool:
    """Whether the price of an underlying, or what is known about it, has changed enough to be published again."""
    others = msgspec.structs.replace(newest, price_e4=published.price_e4, at=published.at)
    return others != published or _moved(newest.price_e4, published.price_e4, UNDERLYING_PRICE)


def same_shares_and_dividend(json: UnderlyingJson, published: UnderlyingJson) -> bool:
    """Whether the shares and the next dividend are the same."""
    return (json.shares, json.ex_dividend) == (published.shares, published.ex_dividend)


def same_known_greeks(json: UnderlyingJson, published: UnderlyingJson) -> bool:
    """Whether the same greeks are known; their values may differ."""
    names = ("delta", "gamma", "theta", "vega")
    return all((getattr(json, name) is None) == (getattr(published, name) is None) for name in names)


def same_underlying(json: UnderlyingJson, published: UnderlyingJson) -> bool:
    """Whether two underlyings are equal except for the time of the price."""
    return msgspec.structs.replace(json, time=published.time) == published


def _comparisons(newest: Risk, published: Risk) -> Iterator[_Comparison]:
    """Compare all figures. One without a threshold differs only if it became known or unknown."""
    for new, old in zip(_greeks(newest), _greeks(published), strict=True):
        yield new, old, max(GREEK_DOLLARS, GREEK * abs(old or 0.0))
    for new_side, old_side in ((newest.put, published.put), (newest.call, published.call)):
        yield new_side.dollars, old_side.dollars, _NEVER
        yield new_side.percent, old_side.percent, _NEVER
        yield new_side.sigmas, old_side.sigmas, SIGMAS
    yield newest.expected_move, published.expected_move, _NEVER
    for new, old in zip(_probabilities(newest), _probabilities(published), strict=True):
        yield new, old, PROBABILITY
    for symbol in newest.legs.keys() | published.legs.keys():
        new_leg, old_leg = newest.legs.get(symbol, _UNKNOWN), published.legs.get(symbol, _UNKNOWN)
        yield new_leg.iv, old_leg.iv, IV
        for name in ("delta", "gamma", "theta", "vega"):
            yield getattr(new_leg, name), getattr(old_leg, name), _NEVER


def _greeks(risk: Risk) -> tuple[float | None, ...]:
    return msgspec.structs.astuple(risk.greeks)


def _sources(risk: Risk) -> dict[str, str | None]:
    return {symbol: figures.source for symbol, figures in risk.legs.items()}


def _probabilities(risk: Risk) -> tuple[float | None, ...]:
    return msgspec.structs.astuple(risk.probabilities)


def _differs(newest: float | None, published: float | None, least: float) -> bool:
    if newest is None or published is None:
        return newest is not published
    return abs(newest - published) >= least - _TOLERANCE


def _moved(newest: float | None, published: float | None, share: float) -> bool:
    """Whether a price has moved by `share` of what it was, or has become known or unknown."""
    if newest is None or published is None:
        return newest is not published
    return newest != published and abs(newest - published) >= share * abs(published) * (1 - _TOLERANCE)
