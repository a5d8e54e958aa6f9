"""The risk of a condor, of an underlying and of the account, from the figures of the contracts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from condord.core.condor import Condor
from condord.core.model import distance
from condord.core.model.black_scholes import MarketConditions
from condord.core.model.distance import Distance, Tested
from condord.core.model.figures import UNKNOWN, Figures
from condord.core.model.probability import Probabilities, expected_move, probabilities, profit_by_credit


class Greeks(msgspec.Struct, frozen=True, kw_only=True):
    """The greeks of the whole quantity, each None if a part is not known.

    `delta` is dollars per $1 of the underlying, and `gamma` the change of `delta` per $1. `theta` is dollars a day, and
    `vega` dollars per volatility point.
    """

    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """The risk of one condor, unrounded.

    `legs` has the figures by symbol. `missing` is ("price",) where the price is not known, ("expired",) after the
    settlement, else the symbols of the legs without figures.
    """

    price: float | None
    greeks: Greeks = Greeks()
    legs: Mapping[str, Figures]
    put: Distance = Distance()
    call: Distance = Distance()
    tested: Tested | None = None
    breached: bool | None = None
    expected_move: float | None = None
    probabilities: Probabilities = Probabilities()
    missing: tuple[str, ...] = ()


class RiskInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a condor's risk besides its figures.

    `price` is the underlying's published price in dollars, None if it is not known or not confirmed. `spot` is what the
    contract's strikes compare with: the price x deliverable shares / multiplier + cash / multiplier, for a standard
    contract the price itself. `model_spot` is `spot` less the present value of dividends. `years` is None after the
    settlement. `shares_ratio` is deliverable shares / multiplier, 1 for standard contracts.
    """

    price: float | None
    spot: float | None
    model_spot: float | None
    years: float | None
    rate: float
    dividend_yield: float
    shares_ratio: float = 1.0


def condor_risk(condor: Condor, figures: Mapping[str, Figures], inputs: RiskInputs) -> Risk:
    """The risk of `condor` from the figures of its legs, by symbol.

    Without a price, greeks are those that Alpaca gives, and of the rest only `profit_by_credit` is known. After the
    settlement nothing is.
    """
    if inputs.years is None or inputs.years <= 0:
        nothing = {leg.symbol: UNKNOWN for leg in condor.legs}
        return Risk(price=inputs.price, legs=nothing, breached=_without_price(condor), missing=("expired",))
    legs = {leg.symbol: figures.get(leg.symbol, UNKNOWN) for leg in condor.legs}
    greeks = sum_greeks(
        contract_greeks(legs[leg.symbol], leg.quantity, condor.multiplier, inputs.shares_ratio) for leg in condor.legs
    )
    conditions = _conditions(inputs, inputs.years)
    if conditions is None or inputs.spot is None:
        return Risk(
            price=inputs.price,
            greeks=greeks,
            legs=legs,
            breached=_without_price(condor),
            probabilities=Probabilities(profit_by_credit=profit_by_credit(condor)),
            missing=("price",),
        )
    _, put, call, _ = legs.values()
    goal = distance.levels(condor)
    put_distance = distance.put_distance(goal.put, inputs.spot, put.iv, inputs.years)
    call_distance = distance.call_distance(goal.call, inputs.spot, call.iv, inputs.years)
    return Risk(
        price=inputs.price,
        greeks=greeks,
        legs=legs,
        put=put_distance,
        call=call_distance,
        tested=distance.tested(condor, put_distance, call_distance),
        breached=distance.breached(condor, put_distance, call_distance),
        expected_move=_expected_move(inputs.spot, put.iv, call.iv, inputs.years),
        probabilities=probabilities(condor, put, call, inputs.spot, conditions),
        missing=tuple(symbol for symbol, leg in legs.items() if not _is_complete(leg)),
    )


def contract_greeks(figures: Figures, quantity: int, multiplier: int, shares_ratio: float = 1.0) -> Greeks:
    """The dollars of signed contracts: delta x the shares ratio, gamma x its square."""
    contracts = quantity * multiplier
    delta, gamma, theta, vega = figures.delta, figures.gamma, figures.theta, figures.vega
    return Greeks(
        delta=None if delta is None else contracts * delta * shares_ratio,
        gamma=None if gamma is None else contracts * gamma * shares_ratio * shares_ratio,
        theta=None if theta is None else contracts * theta,
        vega=None if vega is None else contracts * vega,
    )


def sum_greeks(parts: Iterable[Greeks], shares: int = 0) -> Greeks:
    """The sum; each greek is None if any part of it is. Each share adds 1 to delta."""
    listed = list(parts)
    delta = _sum([part.delta for part in listed])
    return Greeks(
        delta=None if delta is None else delta + shares,
        gamma=_sum([part.gamma for part in listed]),
        theta=_sum([part.theta for part in listed]),
        vega=_sum([part.vega for part in listed]),
    )


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    # fsum rounds once, so that the order of the parts does not matter.
    return math.fsum(known) if len(known) == len(parts) else None


def _conditions(inputs: RiskInputs, years: float) -> MarketConditions | None:
    if inputs.price is None or inputs.model_spot is None or inputs.model_spot <= 0:
        return None
    return MarketConditions(spot=inputs.model_spot, years=years, rate=inputs.rate, dividend_yield=inputs.dividend_yield)


def _without_price(condor: Condor) -> bool | None:
    """Whether the condor is breached while the price is not known: a long one never is."""
    return False if condor.direction == "long" else None


def _expected_move(spot: float, put_iv: float | None, call_iv: float | None, years: float) -> float | None:
    if put_iv is None or call_iv is None:
        return None
    return expected_move(spot, (put_iv + call_iv) / 2, years)


def _is_complete(figures: Figures) -> bool:
    known = (figures.iv, figures.delta, figures.gamma, figures.theta, figures.vega)
    return all(figure is not None for figure in known)
