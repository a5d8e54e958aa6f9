"""Decides what condors and leftovers are worth at the quotes of a moment.

Per share, with signed quantities n_i of legs, q contracts, marks M_i and cost bases B_i (dollars):

    mark          - sum(n_i M_i) / q            the net price to close, of the same sign as the credit
    natural       the same with bids for longs and asks for shorts
    unrealized    sum(n_i M_i m - B_i)          = (credit - mark) m q

One leg without a mark and every sum is None, with the leg in `missing`: never a partial sum, never zero. Bounds are
given in its place. A wing's inner option is worth at least its outer one and at most the width more, whatever the
underlying does, so a wing with an unknown leg is worth from 0 to its width, and no more than its inner option:

    low, high     + (C - m q (value of the wings at their greatest, their least)) for a short condor, and reversed

A cost to close outside 0 to the widest wing comes from legs quoted at different moments: it is published, not clamped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from condord.core.condor import Condor, Grouping, Leftover
from condord.core.position import Position, unrealized_e4
from condord.core.quote import Quote


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """A condor at the quotes of a moment; money in 1e-4 dollars, `mark_e4` and `natural_e4` per share."""

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
    """The least and the greatest profit or loss that a condor with a missing leg can have."""


class UnderlyingTotals(msgspec.Struct, frozen=True, kw_only=True):
    """One underlying; money in 1e-4 dollars, None where a part is unknown or the loss has no bound."""

    underlying: str
    unrealized_e4: int | None
    max_loss_e4: int | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The account; money in 1e-4 dollars. `incomplete` counts condors and leftovers with an unknown profit or loss."""

    condors: int
    incomplete: int
    unrealized_e4: int | None
    natural_pl_e4: int | None
    unmatched_e4: int | None
    max_loss_e4: int | None
    by_underlying: tuple[UnderlyingTotals, ...]


def value(condor: Condor, quotes: Mapping[str, Quote], unconfirmed: Collection[str]) -> Valuation:
    """`condor` at `quotes` (by symbol); `unconfirmed` holds the symbols without a fresh quote since a gap."""
    at: dt.datetime | None = None
    missing: list[str] = []
    doubtful = False
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
        doubtful = doubtful or leg.symbol in unconfirmed
        marks.append(mark_e4)
        naturals.append(None if quote is None else quote.natural_e4(leg.quantity))
        legs_unrealized.append(unrealized_e4(leg.quantity, condor.multiplier, mark_e4, leg.cost_basis_e4))
    mark_e4 = _net(condor, marks)
    natural_e4 = None if missing else _net(condor, naturals)
    unrealized = _sum(legs_unrealized)
    return Valuation(
        id=condor.id,
        at=at,
        mark_e4=mark_e4,
        natural_e4=natural_e4,
        unrealized_e4=unrealized,
        natural_pl_e4=_closed_at(condor, natural_e4),
        percent_of_max_profit=percent(unrealized, condor.max_profit_e4),
        percent_of_risk=percent(unrealized, condor.max_loss_e4),
        missing=tuple(missing),
        unconfirmed=doubtful,
        legs_unrealized_e4=tuple(legs_unrealized),
        bounds_e4=_bounds(condor, marks) if missing else None,
    )


def _bounds(condor: Condor, marks_e4: Sequence[int | None]) -> tuple[int, int] | None:
    """The profit or loss at the least favourable and at the most favourable marks of the missing legs."""
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
    """The least and the greatest worth of a wing, inner less outer option, per share."""
    if inner_e4 is not None and outer_e4 is not None:
        return inner_e4 - outer_e4, inner_e4 - outer_e4
    return 0, width_e4 if inner_e4 is None else min(width_e4, inner_e4)


def _net(condor: Condor, prices_e4: Iterable[int | None]) -> int | None:
    """The net price per share at which the condor closes; every leg holds the same number of contracts."""
    net_e4 = 0
    for leg, price_e4 in zip(condor.legs, prices_e4, strict=True):
        if price_e4 is None:
            return None
        net_e4 += price_e4 if leg.quantity < 0 else -price_e4
    return net_e4


def _closed_at(condor: Condor, net_e4: int | None) -> int | None:
    """What closing the whole condor at a net price leaves."""
    basis_e4 = _sum(leg.cost_basis_e4 for leg in condor.legs)
    if net_e4 is None or basis_e4 is None:
        return None
    return -net_e4 * condor.multiplier * condor.quantity - basis_e4


def percent(part_e4: int | None, whole_e4: int | None) -> float | None:
    """Per cent with two decimals; None of something unknown or not above zero."""
    if part_e4 is None or whole_e4 is None or whole_e4 <= 0:
        return None
    return round(100 * part_e4 / whole_e4, 2) + 0.0  # -0.0 + 0.0 is 0.0


def leftover_unrealized_e4(leftover: Leftover, quotes: Mapping[str, Quote]) -> int | None:
    """The profit or loss of unmatched contracts at their mark, in 1e-4 dollars."""
    position = leftover.position
    quote = quotes.get(position.symbol)
    if quote is None or position.quantity is None:
        return None
    return unrealized_e4(position.quantity, position.multiplier, quote.mark_e4, position.cost_basis_e4)


def total(
    condors: Mapping[str, tuple[Condor, Valuation]],
    leftovers_e4: Iterable[int | None],
    max_losses: Mapping[str, int | None],
) -> Totals:
    """Sums over the condors (by id) and the leftovers' profits and losses; `max_losses` is by underlying."""
    leftover_list = list(leftovers_e4)
    parts: dict[str, list[int | None]] = {underlying: [] for underlying in max_losses}
    for condor, valuation in condors.values():
        parts[condor.underlying].append(valuation.unrealized_e4)
    incomplete = sum(
        valuation.unrealized_e4 is None or valuation.natural_pl_e4 is None for _, valuation in condors.values()
    )
    return Totals(
        condors=len(condors),
        incomplete=incomplete + sum(part is None for part in leftover_list),
        unrealized_e4=_sum(valuation.unrealized_e4 for _, valuation in condors.values()),
        natural_pl_e4=_sum(valuation.natural_pl_e4 for _, valuation in condors.values()),
        unmatched_e4=_sum(leftover_list),
        max_loss_e4=_sum(max_losses.values()),
        by_underlying=tuple(
            UnderlyingTotals(
                underlying=underlying,
                unrealized_e4=_sum(parts[underlying]),
                max_loss_e4=max_losses[underlying],
            )
            for underlying in sorted(max_losses)
        ),
    )


def as_grouped(positions: Iterable[Position], grouping: Grouping) -> list[Position]:
    """`positions` at the cost that the parts of `grouping` show, which for condors of orders is that of their fills."""
    parts: dict[str, list[int | None]] = {}
    for condor in grouping.condors:
        for leg in condor.legs:
            parts.setdefault(leg.symbol, []).append(leg.cost_basis_e4)
    for leftover in grouping.unmatched:
        parts.setdefault(leftover.position.symbol, []).append(leftover.position.cost_basis_e4)
    return [replace(position, cost_basis_e4=_sum(parts.get(position.symbol, ()))) for position in positions]


def max_losses_e4(positions: Iterable[Position]) -> dict[str, int | None]:
    """The worst case at expiration by underlying, in 1e-4 dollars: net for each expiration, then added up.

    None where it has no bound (more calls sold than bought) or a number is not known. A position whose symbol
    cannot be parsed stands under its symbol, unknown. Adjusted contracts deliver something else than standard ones of
    the same underlying, so they are netted by their own root alone.
    """
    books: dict[str, dict[tuple[dt.date, str], list[Position]]] = {}
    losses: dict[str, int | None] = {}
    for position in positions:
        if position.contract is None or position.quantity is None:
            losses[position.underlying or position.symbol] = None
        else:
            contract = position.contract
            netted = contract.expiration, contract.root if contract.root_is_adjusted else ""
            by_day = books.setdefault(position.underlying or contract.root, {})
            by_day.setdefault(netted, []).append(position)
    for underlying, by_day in books.items():
        loss_e4 = _sum(_worst_e4(book) for book in by_day.values())
        losses[underlying] = None if underlying in losses else loss_e4
    return losses


def _worst_e4(book: Iterable[Position]) -> int | None:
    """The greatest loss of one expiration, from the price 0 up: the payoff bends at strikes only, by their shares."""
    legs = [(held.contract, (held.quantity or 0) * held.multiplier) for held in book if held.contract]
    basis_e4 = _sum(held.cost_basis_e4 for held in book)
    if basis_e4 is None or sum(shares for contract, shares in legs if contract.right == "call") < 0:
        return None
    puts = [(contract.strike_mills, shares) for contract, shares in legs if contract.right == "put"]
    price, slope = 0, -sum(shares for _, shares in puts)
    payoff = worst = sum(strike * shares for strike, shares in puts)
    for strike, shares in sorted((contract.strike_mills, shares) for contract, shares in legs):
        payoff += slope * (strike - price)
        price, slope, worst = strike, slope + shares, min(worst, payoff)
    return max(0, basis_e4 - 10 * worst)


def _sum(parts: Iterable[int | None]) -> int | None:
    """The sum, or None if any part is."""
    whole = 0
    for part in parts:
        if part is None:
            return None
        whole += part
    return whole
