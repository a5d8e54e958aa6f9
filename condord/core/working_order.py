"""Working orders, and which of them close a condor.

An order closes a condor if its legs are exactly those of the condor, or those of one side of it, and every leg closes.
So an order that also opens something, a roll, is not listed: its limit is the price of the whole roll. Neither is an
order for single legs, nor one of unequal ratios.

Condors of the same strikes share their orders: the first condor is closed first, as lots are, and no condor is closed
more often than it is held. Of an order and its replacements, which Alpaca may list together for a moment, the newest
counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from condord.core.condor import Condor, Leg
from condord.core.cost import divide
from condord.core.valuation import closed_at_e4, percent_of_max_profit


class OrderLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg: signed contracts that are still to be filled (+ to buy, - to sell)."""

    symbol: str
    quantity: int
    closes: bool


class WorkingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is not filled yet, or not completely.

    `limit_e4` is the net price per share as Alpaca gives it: positive for a debit, negative for a credit; None for a
    market order. `quantity` counts units of the order that are still to be filled, and each leg has that many contracts
    times its ratio. `origin` is the id of the first order in its chain of replacements.
    """

    id: str
    submitted_at: dt.datetime
    limit_e4: int | None
    quantity: int
    legs: tuple[OrderLeg, ...]
    origin: str | None = None


class ClosingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a working order that closes `quantity` of one condor.

    `limit_e4` has the sign of the condor's mark, None for a market order. `percent_of_max_profit` is what the condor
    will have made if the order fills at its limit, None for an order of one side, or without a limit.
    """

    order_id: str
    limit_e4: int | None
    quantity: int
    percent_of_max_profit: float | None
    submitted_at: dt.datetime


class _Sides(NamedTuple):
    """The legs that an order closes: those of a whole condor or of one side."""

    puts: bool
    calls: bool


def closing_orders(condors: Sequence[Condor], orders: Iterable[WorkingOrder]) -> dict[str, tuple[ClosingOrder, ...]]:
    """The orders that close each of `condors`, by its id, oldest first; condors without any are left out."""
    left = {condor.id: [condor.quantity, condor.quantity] for condor in condors}  # puts and calls not being closed
    found: dict[str, list[ClosingOrder]] = {}
    for order in _newest(orders):
        closing = {leg.symbol: leg.quantity for leg in order.legs if leg.closes}
        counts = {abs(quantity) for quantity in closing.values()}
        if len(closing) != len(order.legs) or len(counts) != 1 or order.quantity <= 0:
            continue
        (count,) = counts
        for condor in condors:
            sides = _sides(condor, closing)
            if sides is None:
                continue
            open_sides = left[condor.id]
            quantity = min(count, *(open_sides[side] for side, is_closed in enumerate(sides) if is_closed))
            if quantity > 0:
                left[condor.id] = [open_sides[side] - quantity * is_closed for side, is_closed in enumerate(sides)]
                count -= quantity
                found.setdefault(condor.id, []).append(_closing(condor, order, quantity, sides))
    return {condor_id: tuple(of_condor) for condor_id, of_condor in found.items()}


def _newest(orders: Iterable[WorkingOrder]) -> list[WorkingOrder]:
    """The orders without those that have been replaced, oldest first."""
    in_order = sorted(orders, key=lambda order: (order.submitted_at, order.id))
    newest = {order.origin or order.id: order for order in in_order}
    return [order for order in in_order if newest[order.origin or order.id] is order]


def _sides(condor: Condor, closing: dict[str, int]) -> _Sides | None:
    """Which sides of `condor` an order closes, None if it is for anything else."""
    outer_put, inner_put, inner_call, outer_call = condor.legs
    puts, calls = _closes((outer_put, inner_put), closing), _closes((inner_call, outer_call), closing)
    return _Sides(puts, calls) if len(closing) == 2 * (puts + calls) and (puts or calls) else None


def _closes(legs: tuple[Leg, Leg], closing: dict[str, int]) -> bool:
    return all(closing.get(leg.symbol, 0) * leg.quantity < 0 for leg in legs)


def _closing(condor: Condor, order: WorkingOrder, quantity: int, sides: _Sides) -> ClosingOrder:
    """`order` as it closes `quantity` of `condor`.

    A mark is what it costs to close one condor, so it has the sign of the order's limit: positive for a debit. The
    limit is for one unit of the order, which is more than one condor if all of its ratios are.
    """
    limit_e4 = order.limit_e4
    if limit_e4 is not None:
        limit_e4 = divide(limit_e4 * order.quantity, max(abs(leg.quantity) for leg in order.legs))
    percent = None
    if limit_e4 is not None and all(sides):
        percent = percent_of_max_profit(condor, closed_at_e4(condor, limit_e4))
    return ClosingOrder(
        order_id=order.id,
        limit_e4=limit_e4,
        quantity=quantity,
        percent_of_max_profit=percent,
        submitted_at=order.submitted_at,
    )
