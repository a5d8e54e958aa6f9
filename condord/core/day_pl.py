"""Today's profit or loss: of condors, of contracts in no condor, and of contracts closed today.

For the contracts of a condor, with signed quantities q, prices per share and the multiplier m:

    m x sum(q now x mark - q at yesterday's close x yesterday's close) + cash of today's fills (sales +, purchases -)

Quantities at yesterday's close are those now minus what was traded today, so buying back what was sold the same day
needs no rule of its own. A contract that several owners share has its fills split, and every contract and every cent of
a fill goes to exactly one owner. So the sum over all owners is the account's profit or loss of today. In this order:

1. Trades of an order whose lot still exists belong to the condor of that lot: also those of legs that a roll closed,
   and those that closed a part of it. Trades of lots that were closed completely belong to `CLOSED_CONDORS`.
2. All other fills are split pro rata by the contracts held: among the leftovers and the condors found by structure, or
   else among the condors of lots.
3. Fills of contracts that are not held any longer belong to `CLOSED_CONDORS` if the contract was in a condor today or
   at yesterday's close (one side of a condor, or one that structure found), and else to `CLOSED_CONTRACTS`.

A profit or loss is None while a part of it is not known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from condord.core.cost import divide
from condord.core.filled_orders import LotLeg
from condord.core.grouping.account import Grouping
from condord.core.lots import LedgerSummary
from condord.core.quote import Quote

_E6_PER_E4 = 100


class DayFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill of today: signed contracts (+ bought, - sold), dollars a share in 1e-6; `order_id` is the leg's id."""

    symbol: str
    quantity: int
    price_e6: int
    at: dt.datetime
    order_id: str | None = None


class ClosingPrices(msgspec.Struct, frozen=True, kw_only=True):
    """Yesterday's closing prices per share in 1e-4 dollars, by symbol, for the session of `day`."""

    day: dt.date
    prices_e4: Mapping[str, int]


class Owner(NamedTuple):
    """Who owns a profit or loss: a condor (`name` is its id), a leftover (its symbol), or neither."""

    kind: Literal["condor", "unmatched", "closedCondors", "closedContracts"]
    name: str = ""


CLOSED_CONDORS = Owner("closedCondors")
"""All condors that were closed today, completely or on one side."""
CLOSED_CONTRACTS = Owner("closedContracts")
"""All contracts that were in no condor and were closed today."""


class DayLine(msgspec.Struct, frozen=True, kw_only=True):
    """The contribution of one contract to its owner's profit or loss of the day.

    `now` are the signed contracts held, None if Alpaca gave no usable number, `traded` those of today's fills.
    `cash_e4` is what the fills brought in 1e-4 dollars, None while it is not known.
    """

    symbol: str
    multiplier: int | None
    now: int | None
    traded: int
    cash_e4: int | None

    def pl_e4(self, mark_e4: int | None, close_e4: int | None) -> int | None:
        """The profit or loss in 1e-4 dollars; a price is needed only if there are contracts that it is for."""
        if self.now is None or self.multiplier is None or self.cash_e4 is None:
            return None
        before = self.now - self.traded
        if (self.now and mark_e4 is None) or (before and close_e4 is None):
            return None
        return self.multiplier * (self.now * (mark_e4 or 0) - before * (close_e4 or 0)) + self.cash_e4


class _Part(NamedTuple):
    """The part of a contract's fills that belongs to one owner."""

    owner: Owner
    quantity: int
    cash_e4: int


class _Holder(NamedTuple):
    """The signed contracts of one symbol that an owner holds, None if unknown."""

    owner: Owner
    quantity: int | None
    multiplier: int
    is_lot: bool


def day_lines(
    grouping: Grouping,
    traded: LedgerSummary,
    fills: Sequence[DayFill],
    *,
    in_condors: Collection[str] = (),
    multipliers: Mapping[str, int] = {},
    unknown: Collection[str] = (),
) -> dict[Owner, tuple[DayLine, ...]]:
    """Split today's contracts and fills among the condors and leftovers of `grouping`, and the closed ones.

    `traded` is the result of the orders, `LedgerSummary()` if none is from today. `in_condors` are the symbols that
    were in a condor today or at yesterday's close. `multipliers` has contracts that are no longer held, by symbol. The
    cash of a contract is not known if it is in `unknown`, or while the orders have filled more of it than `fills`.
    """
    holders = _holders(grouping)
    by_orders = _ordered(grouping, traded)
    filled: dict[str, list[DayFill]] = {}
    for fill in fills:
        filled.setdefault(fill.symbol, []).append(fill)
    lines: dict[Owner, list[DayLine]] = {holder.owner: [] for held in holders.values() for holder in held}
    for symbol in sorted({*holders, *filled, *by_orders, *traded.counts, *unknown}):
        held = holders.get(symbol, [])
        multiplier = held[0].multiplier if held else multipliers.get(symbol)
        closed = CLOSED_CONDORS if symbol in in_condors else CLOSED_CONTRACTS
        found = filled.get(symbol, [])
        parts = list(_split(found, by_orders.get(symbol, []), _remaining_owners(held, closed), multiplier or 0))
        if not held and not parts:  # it is gone, and its fills have not been read
            parts.append(_Part(closed, 0, 0))
        is_behind = _is_behind(found, traded.counts.get(symbol, (0, 0)))
        is_known = multiplier is not None and symbol not in unknown and not is_behind
        for owner, line in _lines(symbol, multiplier, held, parts, is_known=is_known):
            lines.setdefault(owner, []).append(line)
    return {owner: tuple(of_owner) for owner, of_owner in lines.items()}


def day_pl_e4(
    lines: Iterable[DayLine], quotes: Mapping[str, Quote], closes_e4: Mapping[str, int], adjusted: Collection[str] = ()
) -> int | None:
    """The profit or loss of `lines` in 1e-4 dollars at the marks of `quotes`, None if a part is not known.

    `closes_e4` are yesterday's closes by symbol. Those of `adjusted` symbols are in other units than today's contracts,
    and those of 0 are wrong unless nobody bids for the contract now.
    """
    total_e4 = 0
    for line in lines:
        quote = quotes.get(line.symbol)
        close_e4 = None if line.symbol in adjusted else closes_e4.get(line.symbol)
        if close_e4 == 0 and (quote is None or quote.bid_e4 != 0):
            close_e4 = None
        part_e4 = line.pl_e4(None if quote is None else quote.mark_e4, close_e4)
        if part_e4 is None:
            return None
        total_e4 += part_e4
    return total_e4


def _holders(grouping: Grouping) -> dict[str, list[_Holder]]:
    holders: dict[str, list[_Holder]] = {}
    for condor in grouping.condors:
        owner = Owner("condor", condor.id)
        for leg in condor.legs:
            holder = _Holder(owner, leg.quantity, condor.multiplier, condor.lot is not None)
            holders.setdefault(leg.symbol, []).append(holder)
    for leftover in grouping.unmatched:
        position = leftover.position
        holder = _Holder(Owner("unmatched", position.symbol), position.quantity, position.multiplier, is_lot=False)
        holders.setdefault(position.symbol, []).append(holder)
    return holders


def _ordered(grouping: Grouping, traded: LedgerSummary) -> dict[str, list[tuple[Owner, LotLeg]]]:
    """The trades that orders assign to an owner, by symbol."""
    lots = {lot.key: lot for lot in traded.lots}
    found: dict[str, list[tuple[Owner, LotLeg]]] = {}
    for condor in grouping.condors:
        lot = lots.get(condor.lot or "")
        if lot is None:
            continue
        if condor.quantity < lot.quantity:  # the newest of its contracts are held, as in `capped`
            _, lot = lot.split(lot.quantity - condor.quantity)
        for trade in lot.trades:
            found.setdefault(trade.symbol, []).append((Owner("condor", condor.id), trade))
    for trade in traded.closed:
        found.setdefault(trade.symbol, []).append((CLOSED_CONDORS, trade))
    return found


def _remaining_owners(held: Sequence[_Holder], closed: Owner) -> list[tuple[Owner, int]]:
    """The owners of the fills that no lot explains, with the contracts that each holds (unsigned)."""
    others = [holder for holder in held if not holder.is_lot] or held
    return [(holder.owner, abs(holder.quantity or 0)) for holder in others] or [(closed, 1)]


def _split(
    fills: Sequence[DayFill],
    by_orders: Sequence[tuple[Owner, LotLeg]],
    owners: Sequence[tuple[Owner, int]],
    multiplier: int,
) -> Iterator[_Part]:
    """The parts of a contract's fills; their sums are the contracts and the cash of `fills`."""
    if not fills and not by_orders:
        return
    quantity = sum(fill.quantity for fill in fills)
    cash_e4 = -divide(sum(fill.quantity * fill.price_e6 for fill in fills) * multiplier, _E6_PER_E4)
    parts = [_Part(owner, trade.quantity, -_paid_e4(trade, multiplier)) for owner, trade in by_orders]
    quantity -= sum(part.quantity for part in parts)
    cash_e4 -= sum(part.cash_e4 for part in parts)
    yield from parts
    filled, ordered = sum(abs(fill.quantity) for fill in fills), sum(abs(trade.quantity) for _, trade in by_orders)
    if parts and not quantity and filled == ordered:
        yield _Part(parts[0].owner, 0, cash_e4)  # the rest, as the average prices of orders are rounded
        return
    weights = [weight for _, weight in owners]
    amounts = zip(owners, _pro_rata(quantity, weights), _pro_rata(cash_e4, weights), strict=True)
    for (owner, _), contracts, part_e4 in amounts:
        yield _Part(owner, contracts, part_e4)


def _lines(
    symbol: str, multiplier: int | None, held: Sequence[_Holder], parts: Sequence[_Part], *, is_known: bool
) -> Iterator[tuple[Owner, DayLine]]:
    """One line for each owner that holds the contract or traded it today."""
    now = {holder.owner: holder.quantity for holder in held}
    traded: dict[Owner, tuple[int, int]] = {}
    for owner, quantity, cash_e4 in parts:
        so_far = traded.get(owner, (0, 0))
        traded[owner] = so_far[0] + quantity, so_far[1] + cash_e4
    for owner in {**now, **traded}:
        quantity, cash_e4 = traded.get(owner, (0, 0))
        yield (
            owner,
            DayLine(
                symbol=symbol,
                multiplier=multiplier,
                now=now.get(owner, 0),
                traded=quantity,
                cash_e4=cash_e4 if is_known else None,
            ),
        )


def _is_behind(fills: Sequence[DayFill], counts: tuple[int, int]) -> bool:
    """Whether orders have bought or sold more than `fills` contain."""
    bought = sum(fill.quantity for fill in fills if fill.quantity > 0)
    sold = -sum(fill.quantity for fill in fills if fill.quantity < 0)
    return bought < counts[0] or sold < counts[1]


def _paid_e4(trade: LotLeg, multiplier: int) -> int:
    """The cost of the contracts of a trade in 1e-4 dollars: paid +, received -."""
    return sum(divide(cost.paid_e6 * cost.count * multiplier, cost.filled * _E6_PER_E4) for cost in trade.costs)


def _pro_rata(amount: int, weights: Sequence[int]) -> Iterator[int]:
    """`amount` in parts by `weights`, equal ones if all are 0; the parts add up to it."""
    used = list(weights) if any(weights) else [1] * len(weights)
    whole, so_far, begin = sum(used), 0, 0
    for weight in used:
        so_far += weight
        until = divide(amount * so_far, whole)
        yield until - begin
        begin = until
