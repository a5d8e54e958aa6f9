"""Find an account's lots: the condors that its filled orders have opened and not closed.

Contracts traded together belong together, even where the legs by themselves suggest another grouping. Each transaction
(see `filled_orders`) is applied in three steps:

1. Roll. The lots whose legs are closed keep the date they were opened, and add the profit of the closed legs. Lots that
   the roll leaves a condor come first, and among these the oldest. A lot that is rolled one side at a time has two
   expirations or crossed sides in between, and is not shown until its other side follows.
2. Close. Fills that close all four legs of a lot reduce it, the oldest lot first. Other closing fills first take
   contracts that are in no lot, and then legs of the lots that hold most of the legs closed, again the oldest first.
   Such a lot ends, and its other legs are in no lot from then on. Closing more than is known has no effect.
3. Open. Opening fills that are exactly one condor of equal quantities are a new lot. If a roll opened them but the
   condor it closed was in no lot, the date it was opened and the profit so far are unknown. Any other opening fills
   (single legs, verticals, strangles, ratios) are in no lot.

Each step may affect only a part of a lot. The lot is then split, and the contracts filled first are closed first. Lots
that expired before an order are dropped. Positions show the real holdings, so `capped` cuts lots down to them.

What was traded on the day of the newest order is kept with the lots: today's profit or loss of a condor includes all
trades of its lot, including those of legs that a roll closed. Trades follow their contracts when a lot is split. When a
part of a lot is closed, its trades stay with the rest, because the condor that people see lives on.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from condord.core import cost
from condord.core.cost import Costs
from condord.core.filled_orders import (
    Fills,
    FourLegs,
    LotLeg,
    Order,
    Transaction,
    as_verticals,
    closed_by,
    is_condor,
    sign_of,
    take,
    transactions,
)
from condord.core.grouping.budget import go_on
from condord.core.market_hours import exchange_day

_TRANSACTIONS_PER_SLICE = 20


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` condors that were opened and rolled together.

    The legs are the outer put, inner put, inner call and outer call. `id` is the id of the opening order, and `rolls`
    are the ids of the orders that rolled it. `since_at` sorts lots by age; `opened_at` is the same instant, or None if
    unknown. `realized` has two costs for each leg that a roll closed, its opening and its closing, for the whole
    quantity; None if unknown. `trades` are the lot's trades on the day of the newest order.
    """

    id: str
    since_at: dt.datetime
    opened_at: dt.datetime | None
    quantity: int
    legs: FourLegs
    rolls: tuple[str, ...] = ()
    realized: tuple[Costs, ...] | None = ()
    trades: tuple[LotLeg, ...] = ()

    @property
    def key(self) -> str:
        """Identifies it among all lots until it is closed or rolled."""
        return "/".join((self.id, *self.rolls))

    @property
    def age(self) -> tuple[dt.datetime, str, int, tuple[str, ...]]:
        """Sorts lots, oldest first; among the parts of one lot, the part with the most rolls comes first."""
        return self.since_at, self.id, -len(self.rolls), self.rolls

    def realized_e4(self, multiplier: int) -> int | None:
        """The profit of its rolls in 1e-4 dollars, None if unknown."""
        if self.realized is None:
            return None
        return -sum(cost.total_e4(costs, multiplier) for costs in self.realized)

    def split(self, count: int) -> tuple[Lot, Lot]:
        """The first `count` of these condors, and the others."""
        first_legs, other_legs = zip(*(leg.split(count) for leg in self.legs), strict=True)
        first_realized = other_realized = None
        if self.realized is not None:
            parts = [cost.split(costs, count) for costs in self.realized]
            first_realized, other_realized = tuple(first for first, _ in parts), tuple(other for _, other in parts)
        traded = [trade.split(abs(trade.quantity) * count // self.quantity) for trade in self.trades]
        others = self.quantity - count
        first = msgspec.structs.replace(
            self, quantity=count, legs=first_legs, realized=first_realized, trades=_some(part for part, _ in traded)
        )
        other = msgspec.structs.replace(
            self, quantity=others, legs=other_legs, realized=other_realized, trades=_some(part for _, part in traded)
        )
        return first, other


class LedgerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The lots that an account's filled orders leave, and the trades of its newest day.

    `lots` are the condors opened and not closed, oldest first. `day` is the date in New York of the newest order, None
    without orders. Of that day's trades, `Lot.trades` has those of open lots, and `closed` those of lots that were
    closed completely; all others are of contracts in no lot. `counts` has how many contracts were bought and sold in
    all of that day's trades, by symbol.
    """

    lots: tuple[Lot, ...] = ()
    day: dt.date | None = None
    closed: tuple[LotLeg, ...] = ()
    counts: Mapping[str, tuple[int, int]] = {}


def lots(orders: Iterable[Order], pause: Callable[[], None] = go_on) -> tuple[Lot, ...]:
    """The condors that `orders` opened and have not closed, oldest first; the order of the input does not matter.

    Of several orders with the same id, only the one with the last fill counts. As thousands of orders take a second,
    `pause` is called after every few of them. An exception that it raises ends the work.
    """
    return traded(orders, pause).lots


def traded(orders: Iterable[Order], pause: Callable[[], None] = go_on) -> LedgerSummary:
    """The lots of `orders` and the trades of the newest day; the arguments are as for `lots`."""
    in_order = transactions(orders)
    day = max((exchange_day(transaction.at) for transaction in in_order), default=None)
    counts = _counted(
        leg
        for transaction in in_order
        if exchange_day(transaction.at) == day
        for leg in (*transaction.closing.values(), *transaction.opening.values())
    )
    ledger = Ledger(day)
    for number, transaction in enumerate(in_order):
        ledger.take(transaction)
        if not number % _TRANSACTIONS_PER_SLICE:
            pause()
    return LedgerSummary(
        lots=tuple(sorted((lot for lot in ledger.lots if is_condor(lot.legs)), key=lambda lot: lot.age)),
        day=day,
        closed=tuple(ledger.closed),
        counts=counts,
    )


def capped(lots: Iterable[Lot], held: Mapping[str, int], before: Mapping[str, int] | None = None) -> tuple[Lot, ...]:
    """The lots, or parts of them, whose four legs are all among the contracts `held`, oldest first.

    `held` has signed contracts by symbol. `before` is how many condors of each lot were held in the reading before, by
    its key. These come first, as an order may be known before the contracts that it filled. Contracts that disappear
    without an order (assigned, transferred) leave as at a broker, first in, first out, so newer lots are kept first.
    """
    left = dict(held)
    newest_first = sorted(lots, key=lambda lot: lot.age, reverse=True)
    kept = [0] * len(newest_first)
    for most in (before or {}, None):
        for index, lot in enumerate(newest_first):
            most_kept = lot.quantity if most is None else min(lot.quantity, most.get(lot.key, 0))
            available = (sign_of(leg.quantity) * left.get(leg.symbol, 0) for leg in lot.legs)
            quantity = min(most_kept - kept[index], *available)
            if quantity > 0:
                kept[index] += quantity
                for leg in lot.legs:
                    left[leg.symbol] -= sign_of(leg.quantity) * quantity
    parts = zip(newest_first, kept, strict=True)
    return tuple(lot.split(lot.quantity - quantity)[1] for lot, quantity in parts if quantity)[::-1]


class Ledger:
    """The `lots` of the orders so far, oldest first, and in `free` the signed contracts in no lot, by symbol.

    `closed` has the trades on `day` of lots that were closed completely; without a day it stays empty. `core/closings`
    extends the ledger: it overrides the methods without an underscore to record what becomes of each lot.
    """

    def __init__(self, day: dt.date | None = None) -> None:
        self.lots: list[Lot] = []
        self.free: Counter[str] = Counter()
        self.closed: list[LotLeg] = []
        self._day = day
        self._is_of_day = False
        self._checked_day = 0

    def take(self, transaction: Transaction) -> None:
        """Apply the next transaction, and remove the contracts that it closes from it."""
        closing, opening = transaction.closing, transaction.opening
        is_roll = transaction.is_roll
        self._is_of_day = exchange_day(transaction.at) == self._day
        if closing:
            self._forget_expired(transaction.at.toordinal())
            if is_roll:
                self._roll(transaction.id, closing, opening)
            self._close(closing)
        self.open(transaction, opening, is_roll=is_roll)

    def open(self, transaction: Transaction, opening: Fills, *, is_roll: bool) -> None:
        """Add the contracts that a transaction has opened, except those that a roll has added to lots."""
        legs = as_verticals(list(opening.values()))
        if legs is None or not is_condor(legs):
            self.add_free(opening.values())
            return
        lot = Lot(
            id=transaction.id,
            since_at=transaction.at,
            opened_at=transaction.at,
            quantity=abs(legs[0].quantity),
            legs=legs,
            trades=self._of_day(opening.values()),
        )
        if is_roll:
            lot = msgspec.structs.replace(lot, opened_at=None, realized=None)
        self.lots.append(lot)

    def rolled(self, lot: Lot, after: Lot, closed: Sequence[LotLeg]) -> None:
        """Note that `closed` has closed legs of `lot`, or of a part of it, which is now `after`."""

    def ended(self, part: Lot, closed: Sequence[LotLeg]) -> None:
        """Note that `part`, a lot or a part of one, has ended, as `closed` has closed some or all of its legs."""
        symbols = [leg.symbol for leg in closed]
        self.add_free(leg for leg in part.legs if leg.symbol not in symbols)

    def add_free(self, legs: Iterable[LotLeg]) -> None:
        """Add contracts that are in no lot."""
        for leg in legs:
            self.free[leg.symbol] += leg.quantity

    def close_free(self, closing: Fills) -> None:
        """Close contracts that are in no lot."""
        for symbol, fill in list(closing.items()):
            sign = sign_of(fill.quantity)
            quantity = min(abs(fill.quantity), max(0, -sign * self.free[symbol]))
            self.free[symbol] += sign * quantity
            take(closing, [symbol], quantity)

    def forget_expired(self, day: int) -> None:
        """Drop the lots for which `has_expired` is true on `day`, an ordinal."""
        self.lots = [lot for lot in self.lots if not has_expired(lot, day)]

    def _of_day(self, trades: Iterable[LotLeg]) -> tuple[LotLeg, ...]:
        return tuple(trades) if self._is_of_day else ()

    def _forget_expired(self, day: int) -> None:
        """Drop expired lots. Only once a day: checking every lot for each of thousands of orders would take seconds."""
        if day != self._checked_day:
            self._checked_day = day
            self.forget_expired(day)

    def _roll(self, order_id: str, closing: Fills, opening: Fills) -> None:
        for may_be_apart in (False, True):
            if not closing:
                return
            after = []
            for lot in self.lots:
                rolled = _rolled(lot, order_id, closing, opening)
                if rolled is not None and (may_be_apart or is_condor(rolled.legs)):
                    closed = take(closing, list(closing), rolled.quantity)
                    trades = self._of_day([*closed, *take(opening, list(opening), rolled.quantity)])
                    rolled = msgspec.structs.replace(rolled, trades=(*rolled.trades, *trades))
                    self.rolled(lot, rolled, closed)
                    after += [rolled, *_rest(lot, rolled.quantity)]
                else:
                    after.append(lot)
            self.lots = after

    def _close(self, closing: Fills) -> None:
        self._close_lots(closing, 4)
        self.close_free(closing)
        for legs in (3, 2, 1) if closing else ():
            self._close_lots(closing, legs)

    def _close_lots(self, closing: Fills, legs: int) -> None:
        """Close the lots that have exactly `legs` of their legs in `closing`."""
        after: list[Lot] = []
        for index, lot in enumerate(self.lots):
            if not closing:
                after += self.lots[index:]
                break
            if legs == len(lot.legs) and lot.legs[0].symbol not in closing:
                after.append(lot)  # most lots: thousands of orders look at hundreds of lots each
                continue
            symbols = closed_by(lot.legs, closing)
            if len(symbols) != legs:
                after.append(lot)
                continue
            quantity = min(lot.quantity, *(abs(closing[symbol].quantity) for symbol in symbols))
            closed = take(closing, symbols, quantity)
            trades = (*lot.trades, *self._of_day(closed))
            part, rest = lot.split(quantity) if quantity < lot.quantity else (lot, None)
            self.ended(part, closed)
            if rest is not None:
                after.append(msgspec.structs.replace(rest, trades=trades))
            elif legs == len(lot.legs):
                self.closed += trades
        self.lots = after


def _counted(trades: Iterable[LotLeg]) -> dict[str, tuple[int, int]]:
    """The contracts bought and sold, by symbol, both unsigned."""
    counts: dict[str, tuple[int, int]] = {}
    for trade in trades:
        bought, sold = counts.get(trade.symbol, (0, 0))
        counts[trade.symbol] = bought + max(0, trade.quantity), sold + max(0, -trade.quantity)
    return counts


def has_expired(lot: Lot, day: int) -> bool:
    """Whether a lot expired at least two days before `day`, an ordinal as of `date.toordinal`.

    A lot rolled one side at a time may have two expirations; the last one counts.
    """
    outer_put, _, _, outer_call = lot.legs
    return max(outer_put.contract.expiration, outer_call.contract.expiration).toordinal() < day - 1


def _some(trades: Iterable[LotLeg]) -> tuple[LotLeg, ...]:
    """`trades` without those of no contract."""
    return tuple(trade for trade in trades if trade.quantity)


def _rest(lot: Lot, quantity: int) -> list[Lot]:
    """The lot without the first `quantity` of its condors: one lot or none."""
    _, left = lot.split(quantity)
    return [left] if left.quantity else []


def _rolled(lot: Lot, order_id: str, closing: Fills, opening: Fills) -> Lot | None:
    """The part of `lot` that these fills of a roll affect, after it; None if they do not roll this lot."""
    closed = closed_by(lot.legs, closing)
    if not closed or len(closed) != len(closing):
        return None
    quantity = min(lot.quantity, *(abs(fill.quantity) for fill in closing.values()))
    part, _ = lot.split(quantity)
    kept = [leg for leg in part.legs if leg.symbol not in closing]
    legs = as_verticals([*kept, *(fill.split(quantity)[0] for fill in opening.values())])
    assert legs is not None  # noqa: S101 - what a roll opens has the shape of what it closes
    realized = None
    if part.realized is not None:
        gone = [leg for leg in part.legs if leg.symbol in closing]
        realized = (
            *part.realized,
            *(costs for leg in gone for costs in (leg.costs, closing[leg.symbol].split(quantity)[0].costs)),
        )
    return msgspec.structs.replace(part, legs=legs, rolls=(*part.rolls, order_id), realized=realized)
