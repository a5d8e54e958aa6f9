"""Value condors and leftovers at current quotes.

Per share, with the legs' signed quantities n_i, q contracts, marks M_i, cost bases B_i (dollars) and the multiplier m:

    mark          - sum(n_i M_i) / q            the net price to close, of the same sign as the credit
    natural       the same with bids for longs and asks for shorts
    unrealized    sum(n_i M_i m - B_i)          = (credit - mark) m q

If any leg has no mark, every sum is None and the leg is in `missing`. A partial sum is never published, and neither is
zero. Bounds take its place. At any price of the underlying, the inner option of a wing is worth at least as much as the
outer one and at most the width more. So a wing with an unknown leg is worth from 0 to its width, and not more than its
inner option. For a short condor with the credit C (dollars)

    low  = C - m q (the greatest values of both wings)         high = C - m q (the least values of both wings)

and for a long one the wings count positive.

The profit of a condor's rolls is in none of these numbers, but it counts in both percentages, which cover the whole
time since the condor was opened:

    (unrealized + realized) / (maximum profit + realized)      (unrealized + realized) / (maximum loss - realized)

A cost to close below 0 or above the wider wing comes from legs quoted at different moments. It is published as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from condord.core.condor import Condor
from condord.core.cover import Leftover
from condord.core.grouping.account import Grouping
from condord.core.position import Position, unrealized_e4
from condord.core.quote import Quote


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """A condor at current quotes. Money is in 1e-4 dollars; `mark_e4` and `natural_e4` are per share.

    `at` is the time of its newest quote. `missing` has the symbols of the legs without a mark. `unconfirmed` is true if
    any leg is. `bounds_e4` is the least and the greatest possible profit or loss if a leg is missing, else None.
    `day_pl_e4` is today's profit or loss, `worst_e4` and `best_e4` are the extremes of `unrealized_e4` since the condor
    was opened. They are None while they are not known; `value` does not compute them.
    """

    id: str
    at: dt.datetime | None
    mark_e4: int | None
    natural_e4: int | None
    unrealized_e4: int | None
    natural_pl_e4: int | None
    percent_of_max_profit: float | None
    percent_of_risk: float | None
    missing: tuple[str, ...]
    unconfirmed: bool
    legs_unrealized_e4: tuple[int | None, ...]
    bounds_e4: tuple[int, int] | None = None
    day_pl_e4: int | None = None
    worst_e4: int | None = None
    best_e4: int | None = None


class LeftoverPl(NamedTuple):
    """The profit or loss of contracts in no condor, in all and today, in 1e-4 dollars; each None if unknown."""

    unrealized_e4: int | None
    day_e4: int | None


class ClosedToday(NamedTuple):
    """Today's profit or loss of the contracts closed today, in 1e-4 dollars; None if unknown."""

    condors_e4: int | None
    contracts_e4: int | None


class UnderlyingTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of one underlying in 1e-4 dollars; None if a part is unknown or the loss has no bound."""

    underlying: str
    unrealized_e4: int | None
    day_pl_e4: int | None
    max_loss_e4: int | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of the account in 1e-4 dollars, None if a part is unknown.

    `incomplete` counts the condors and leftovers of which a profit or loss is unknown. `day_pl_e4` includes what the
    condors that were closed today have made (`closed_day_e4`), and `unmatched_day_e4` what other contracts have.
    """

    condors: int
    incomplete: int
    unrealized_e4: int | None
    natural_pl_e4: int | None
    day_pl_e4: int | None
    unmatched_e4: int | None
    unmatched_day_e4: int | None
    closed_day_e4: int | None
    max_loss_e4: int | None
    by_underlying: tuple[UnderlyingTotals, ...]


def value(condor: Condor, quotes: Mapping[str, Quote], unconfirmed: Collection[str]) -> Valuation:
    """Value `condor` at `quotes` (by symbol); `unconfirmed` holds the symbols not quoted since a gap in the stream."""
    at: dt.datetime | None = None
    missing: list[str] = []
    is_unconfirmed = False
    marks: list[int | None] = []
    naturals: list[int | None] = []
    legs_unrealized: list[int | None] = []
    for leg in condor.legs:
        quote = quotes.get(leg.symbol)
        mark_e4 = None if quote is None else quote.mark_e4
        if quote is None or mark_e4 is None:
            missing.append(leg.symbol)
        if quote is not None and quote.at is not None and (at is None or quote.at > at):
            at = quote.at
        is_unconfirmed = is_unconfirmed or leg.symbol in unconfirmed
        marks.append(mark_e4)
        naturals.append(None if quote is None else quote.natural_e4(leg.quantity))
        legs_unrealized.append(unrealized_e4(leg.quantity, condor.multiplier, mark_e4, leg.cost_basis_e4))
    mark_e4 = _net(condor, marks)
    natural_e4 = None if missing else _net(condor, naturals)
    unrealized = _sum(legs_unrealized)
    realized_e4 = condor.realized_e4 or 0
    return Valuation(
        id=condor.id,
        at=at,
        mark_e4=mark_e4,
        natural_e4=natural_e4,
        unrealized_e4=unrealized,
        natural_pl_e4=closed_at_e4(condor, natural_e4),
        percent_of_max_profit=percent_of_max_profit(condor, unrealized),
        percent_of_risk=percent(_plus(unrealized, realized_e4), _plus(condor.max_loss_e4, -realized_e4)),
        missing=tuple(missing),
        unconfirmed=is_unconfirmed,
        legs_unrealized_e4=tuple(legs_unrealized),
        bounds_e4=_bounds(condor, marks) if missing else None,
    )


def _bounds(condor: Condor, marks_e4: Sequence[int | None]) -> tuple[int, int] | None:
    """The least and the greatest profit or loss, over all possible marks of the missing legs."""
    basis_e4 = _sum(leg.cost_basis_e4 for leg in condor.legs)
    if basis_e4 is None:
        return None
    outer_put, inner_put, inner_call, outer_call = marks_e4
    puts = _wing(inner_put, outer_put, condor.put_width_e4)
    calls = _wing(inner_call, outer_call, condor.call_width_e4)
    shares = condor.multiplier * condor.quantity * (-1 if condor.direction == "short" else 1)
    ends = [shares * (put_e4 + call_e4) - basis_e4 for put_e4, call_e4 in zip(puts, calls, strict=True)]
    return min(ends), max(ends)


def _wing(inner_e4: int | None, outer_e4: int | None, width_e4: int) -> tuple[int, int]:
    """The least and the greatest value of a wing (inner minus outer option), per share."""
    if inner_e4 is not None and outer_e4 is not None:
        return inner_e4 - outer_e4, inner_e4 - outer_e4
    return 0, width_e4 if inner_e4 is None else min(width_e4, inner_e4)


def _net(condor: Condor, prices_e4: Iterable[int | None]) -> int | None:
    """The net price per share to close the condor, as every leg has the same number of contracts; None if unknown."""
    net_e4 = 0
    for leg, price_e4 in zip(condor.legs, prices_e4, strict=True):
        if price_e4 is None:
            return None
        net_e4 += price_e4 if leg.quantity < 0 else -price_e4
    return net_e4


def closed_at_e4(condor: Condor, net_e4: int | None) -> int | None:
    """The profit or loss in 1e-4 dollars of closing the whole condor at a net price per share, without its rolls."""
    basis_e4 = _sum(leg.cost_basis_e4 for leg in condor.legs)
    if net_e4 is None or basis_e4 is None:
        return None
    return -net_e4 * condor.multiplier * condor.quantity - basis_e4


def _plus(amount_e4: int | None, realized_e4: int) -> int | None:
    return None if amount_e4 is None else amount_e4 + realized_e4


def percent_of_max_profit(condor: Condor, unrealized_e4: int | None) -> float | None:
    """A condor's profit or loss including its rolls, in percent of its greatest profit including them."""
    realized_e4 = condor.realized_e4 or 0
    return percent(_plus(unrealized_e4, realized_e4), _plus(condor.max_profit_e4, realized_e4))


def percent(part_e4: int | None, whole_e4: int | None) -> float | None:
    """`part_e4` in percent of `whole_e4`, to two decimals; None if either is unknown or the whole is not positive."""
    if part_e4 is None or whole_e4 is None or whole_e4 <= 0:
        return None
    return round(100 * part_e4 / whole_e4, 2) + 0.0  # turns -0.0 into 0.0


def leftover_unrealized_e4(leftover: Leftover, quotes: Mapping[str, Quote]) -> int | None:
    """The profit or loss of unmatched contracts at their mark in 1e-4 dollars, None if unknown."""
    position = leftover.position
    quote = quotes.get(position.symbol)
    if quote is None or position.quantity is None:
        return None
    return unrealized_e4(position.quantity, position.multiplier, quote.mark_e4, position.cost_basis_e4)


def total(
    condors: Mapping[str, tuple[Condor, Valuation]],
    leftovers: Iterable[LeftoverPl],
    max_losses: Mapping[str, int | None],
    closed: ClosedToday,
) -> Totals:
    """Add up `condors` (by id), the profits and losses of leftovers, and of contracts closed today.

    `max_losses` is by underlying.
    """
    left = list(leftovers)
    valuations = [valuation for _, valuation in condors.values()]
    parts: dict[str, list[Valuation]] = {underlying: [] for underlying in max_losses}
    for condor, valuation in condors.values():
        parts[condor.underlying].append(valuation)
    incomplete = sum(
        None in (valuation.unrealized_e4, valuation.natural_pl_e4, valuation.day_pl_e4) for valuation in valuations
    )
    return Totals(
        condors=len(condors),
        incomplete=incomplete + sum(None in part for part in left),
        unrealized_e4=_sum(valuation.unrealized_e4 for valuation in valuations),
        natural_pl_e4=_sum(valuation.natural_pl_e4 for valuation in valuations),
        day_pl_e4=_sum([*(valuation.day_pl_e4 for valuation in valuations), closed.condors_e4]),
        unmatched_e4=_sum(part.unrealized_e4 for part in left),
        unmatched_day_e4=_sum([*(part.day_e4 for part in left), closed.contracts_e4]),
        closed_day_e4=closed.condors_e4,
        max_loss_e4=_sum(max_losses.values()),
        by_underlying=tuple(
            UnderlyingTotals(
                underlying=underlying,
                unrealized_e4=_sum(part.unrealized_e4 for part in parts[underlying]),
                day_pl_e4=_sum(part.day_pl_e4 for part in parts[underlying]),
                max_loss_e4=max_losses[underlying],
            )
            for underlying in sorted(max_losses)
        ),
    )


def as_grouped(positions: Iterable[Position], grouping: Grouping) -> list[Position]:
    """`positions` with the cost of their parts in `grouping`: a condor from orders costs what its fills did."""
    parts: dict[str, list[int | None]] = {}
    for condor in grouping.condors:
        for leg in condor.legs:
            parts.setdefault(leg.symbol, []).append(leg.cost_basis_e4)
    for leftover in grouping.unmatched:
        parts.setdefault(leftover.position.symbol, []).append(leftover.position.cost_basis_e4)
    return [replace(position, cost_basis_e4=_sum(parts.get(position.symbol, ()))) for position in positions]


def _sum(parts: Iterable[int | None]) -> int | None:
    """The sum, or None if any part is None."""
    whole = 0
    for part in parts:
        if part is None:
            return None
        whole += part
    return whole
