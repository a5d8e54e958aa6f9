"""Follow condors to their end: extend the ledger of `lots` by what became of each lot.

An order may close a lot completely, or leg by leg. A lot that lost legs becomes a `PartlyClosedLot`, which ends when
its last leg is closed. So does the part of a lot that lost legs to an assignment or an exercise. Its contracts are
closed like those in no lot, in this order:

1. Parts whose legs are all closed now, the oldest first.
2. Contracts that were never in a lot, first in, first out.
3. Other parts, those that lose most legs first.

Bookings (expirations, assignments, exercises) take contracts of parts first, then those never in a lot, then those of
the oldest lots. All bookings of one day are applied together.

Two kinds of condors have no lot, and are found by structure when they are closed: those that were opened leg by leg,
and those opened before the first known order. They are found only if one order, or the bookings of one day, closes
exactly the four legs in equal quantities; of the second kind only if an order does, as bookings do not tell long from
short. When either was opened is unknown. The first kind has the cost of the contracts opened first; the cost of the
second kind is unknown.

Ids are those of `naming`: "-2" is added while another condor of the same strikes lives. A condor that lost legs keeps
its id from others until the last is gone, unless orders closed them.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import msgspec

from condord.core.bookings import Booking, ClosedLeg, PendingBookings, first_of, waiting_of
from condord.core.condor import condor_id
from condord.core.expiry import expiry_of
from condord.core.filled_orders import (
    Fills,
    FourLegs,
    LotLeg,
    Transaction,
    as_verticals,
    closed_by,
    is_condor,
    joined,
    sign_of,
    take,
)
from condord.core.lots import Ledger, Lot, has_expired


class CondorIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A condor as people identify it: its id, and its legs by strike.

    `is_own` is false for a lot that is not a condor because a roll left it two expirations or crossed sides: its
    identity is the former condor's.
    """

    id: str
    legs: FourLegs
    is_own: bool = True


class PartlyClosedLot(msgspec.Struct, frozen=True, kw_only=True):
    """Condors of a lot that have lost legs.

    `lot` has them as they were, and `closed` how legs ended so far. `keeps_id` is true as long as only bookings have
    closed any.
    """

    lot: Lot
    closed: tuple[ClosedLeg, ...] = ()
    keeps_id: bool = True

    @property
    def left(self) -> list[LotLeg]:
        """The legs still open."""
        gone = [part.leg.symbol for part in self.closed]
        return [leg for leg in self.lot.legs if leg.symbol not in gone]

    def split(self, count: int) -> tuple[PartlyClosedLot, PartlyClosedLot]:
        """The first `count` of these condors, and the others."""
        first, other = self.lot.split(count)
        closed = [part.split(count) for part in self.closed]
        return (
            msgspec.structs.replace(self, lot=first, closed=tuple(part for part, _ in closed)),
            msgspec.structs.replace(self, lot=other, closed=tuple(part for _, part in closed)),
        )

    def after(self, closed: Iterable[ClosedLeg], *, keeps_id: bool) -> PartlyClosedLot:
        """This part after `closed` has closed further legs."""
        return msgspec.structs.replace(self, closed=(*self.closed, *closed), keeps_id=keeps_id)


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` condors that ended, or the legs of them that a roll closed.

    `opened` are the legs as they were opened, None if that is unknown, and `closed` how they ended. `is_rest` is true
    if none of these condors was left. `begun` is how many there were at the opening, None if that is unknown or a
    roll led to them. `four_legs` are the condor's, None if they are unknown or it was not a condor. `successor` is the
    key of the lot that a roll led to.
    """

    identity: CondorIdentity
    quantity: int
    opened_at: dt.datetime | None
    opened: tuple[LotLeg, ...] | None
    closed: tuple[ClosedLeg, ...]
    four_legs: FourLegs | None
    is_rest: bool = True
    begun: int | None = None
    successor: str | None = None


_Pair = tuple[LotLeg, ClosedLeg]
"""Contracts that were in no lot, and how they were closed."""


class TradeLedger(Ledger):
    """The `lots` that are open, the `parts` of lots that have lost legs, and the `closings` so far, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[PartlyClosedLot] = []
        self.closings: list[Closing] = []
        self._free: dict[str, list[LotLeg]] = {}
        self._pairs: list[_Pair] = []
        self._identities: dict[str, CondorIdentity] = {}
        self._numbers: dict[str, dict[int, str]] = {}
        self._named: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._begun: dict[str, int] = {}
        self._ids_of_pairs: set[str] = set()
        self._successors: dict[str, str] = {}
        self._at = dt.datetime.min.replace(tzinfo=dt.UTC)

    def take(self, transaction: Transaction) -> None:
        """Apply the next transaction."""
        self._at, self._pairs = transaction.last_at, []
        super().take(transaction)

    def book(self, bookings: Iterable[Booking]) -> None:
        """Apply the bookings of one day; their sequence does not matter."""
        waiting = waiting_of(bookings)
        parts, self.parts = self.parts, []
        for part in parts:
            self._book(part, waiting)
        pairs = self._book_free(waiting)
        lots, self.lots = self.lots, []
        for lot in lots:
            if any(leg.symbol in waiting for leg in lot.legs):
                self._book(PartlyClosedLot(lot=lot), waiting)
            else:
                self.lots.append(lot)
        self.parts.sort(key=lambda part: part.lot.age)
        for of_expiry in pairs.values():
            self._close_pairs(of_expiry, None)

    def split(self, stock: str) -> None:
        """Forget everything on `stock`: a split replaces its contracts by others, with a different number of shares."""
        self._forget(lambda lot: _product(lot.legs[0]) == stock)
        self._free = {symbol: legs for symbol, legs in self._free.items() if _product(legs[0]) != stock}

    def id_of(self, key: str) -> str | None:
        """The id of the condor that the lot with this key became, None if it never was a condor again."""
        while not self._identities[key].is_own:
            if key not in self._successors:
                return None
            key = self._successors[key]
        return self._identities[key].id

    def open(self, transaction: Transaction, opening: Fills, *, is_roll: bool) -> None:
        """Name the opened condors, and record the closed ones that had no lot."""
        known = len(self.lots)
        super().open(transaction, opening, is_roll=is_roll)
        new = self.lots[known:]
        for lot in new:
            self._begin(lot, None)
        successor = new[0].key if new and is_roll else None
        self._close_pairs(self._pairs, successor)
        self._close_unknown(transaction.closing, successor)

    def rolled(self, lot: Lot, after: Lot, closed: Sequence[LotLeg]) -> None:
        """Record the legs that a roll closed."""
        part, _ = lot.split(after.quantity)
        identity = self._identities[lot.key]
        gone = [leg.symbol for leg in closed]
        self._leave(PartlyClosedLot(lot=part))
        self._successors.setdefault(lot.key, after.key)
        self._begin(after, identity)
        self._add(
            part,
            opened=tuple(leg for leg in part.legs if leg.symbol in gone),
            closed=self._by_order(closed),
            successor=after.key,
        )

    def ended(self, part: Lot, closed: Sequence[LotLeg]) -> None:
        """Record a condor that was closed, or keep it as a part until its last leg is closed."""
        self._settle(PartlyClosedLot(lot=part), self._by_order(closed), by_order=True)
        self.parts.sort(key=lambda part: part.lot.age)

    def add_free(self, legs: Iterable[LotLeg]) -> None:
        """Keep the cost of contracts that are in no lot."""
        for leg in legs:
            self._free.setdefault(leg.symbol, []).append(leg)

    def close_free(self, closing: Fills) -> None:
        """Close legs of parts, and contracts that were never in a lot."""
        self._close_parts(closing, None)
        for symbol in [symbol for symbol in closing if symbol in self._free]:
            sign = sign_of(closing[symbol].quantity)
            for leg in self._take_free(symbol, abs(closing[symbol].quantity), -sign):
                [bought] = take(closing, [symbol], abs(leg.quantity))
                self._pairs += [(leg, closed) for closed in self._by_order([bought])]
        for legs in (3, 2, 1) if closing else ():
            self._close_parts(closing, legs)

    def forget_expired(self, day: int) -> None:
        """Drop the expired lots and parts without a known booking."""
        self._forget(lambda lot: has_expired(lot, day))

    def _forget(self, is_gone: Callable[[Lot], bool]) -> None:
        """Drop the lots that are gone, and the parts of such lots."""
        gone = [part for part in self.parts if is_gone(part.lot)]
        gone += [PartlyClosedLot(lot=lot) for lot in self.lots if is_gone(lot)]
        for part in gone:
            self._leave(part)
        if gone:
            self.lots = [lot for lot in self.lots if not is_gone(lot)]
            self.parts = [part for part in self.parts if not is_gone(part.lot)]

    def _by_order(self, closed: Iterable[LotLeg]) -> tuple[ClosedLeg, ...]:
        return tuple(ClosedLeg(leg=leg, how="closed", at=self._at) for leg in closed)

    def _begin(self, lot: Lot, before: CondorIdentity | None) -> None:
        """Name a new lot; one that is not a condor has the identity of the condor `before`."""
        self._open[lot.key] += lot.quantity
        if before is None and lot.opened_at is not None:
            self._begun[lot.key] = lot.quantity
        if before is not None and not is_condor(lot.legs):
            self._identities[lot.key] = msgspec.structs.replace(before, is_own=False)
            return
        identity, number = self._name(lot.legs)
        self._identities[lot.key] = identity
        self._numbers[_base(lot.legs)][number] = lot.key
        self._named[lot.key] += lot.quantity

    def _name(self, legs: FourLegs) -> tuple[CondorIdentity, int]:
        """The identity with the lowest number that no condor of these strikes has now."""
        base = _base(legs)
        numbers = self._numbers.setdefault(base, {})
        number = next(number for number in count(1) if self._named[numbers.get(number, "")] <= 0)
        return CondorIdentity(id=base if number == 1 else f"{base}-{number}", legs=legs), number

    def _leave(self, part: PartlyClosedLot) -> None:
        """Count the condors of `part` as gone."""
        self._open[part.lot.key] -= part.lot.quantity
        if part.keeps_id:
            self._named[part.lot.key] -= part.lot.quantity

    def _settle(self, part: PartlyClosedLot, closed: Iterable[ClosedLeg], *, by_order: bool) -> None:
        """Keep `part` until its last leg is `closed`."""
        if by_order and part.keeps_id:
            self._named[part.lot.key] -= part.lot.quantity
        after = part.after(closed, keeps_id=part.keeps_id and not by_order)
        if after.left:
            self.parts.append(after)
        else:
            self._leave(after)
            self._add(after.lot, opened=after.lot.legs, closed=after.closed)

    def _add(
        self, lot: Lot, *, opened: tuple[LotLeg, ...], closed: tuple[ClosedLeg, ...], successor: str | None = None
    ) -> None:
        identity = self._identities[lot.key]
        self.closings.append(
            Closing(
                identity=identity,
                quantity=lot.quantity,
                opened_at=lot.opened_at,
                opened=opened,
                closed=closed,
                four_legs=lot.legs if identity.is_own else None,
                is_rest=self._open[lot.key] <= 0,
                begun=self._begun.get(lot.key),
                successor=successor,
            )
        )

    def _close_parts(self, closing: Fills, legs: int | None) -> None:
        """Close parts that lose exactly `legs` of their legs, or all that are left (None)."""
        parts, self.parts = self.parts, []
        for part in parts:
            symbols = closed_by(part.lot.legs, closing) and closed_by(part.left, closing)
            if not symbols or len(symbols) != (legs or len(part.left)):
                self.parts.append(part)
                continue
            quantity = min(part.lot.quantity, *(abs(closing[symbol].quantity) for symbol in symbols))
            first, rest = part.split(quantity)
            self._settle(first, self._by_order(take(closing, symbols, quantity)), by_order=True)
            if rest.lot.quantity:
                self.parts.append(rest)

    def _take_free(self, symbol: str, quantity: int, sign: int) -> list[LotLeg]:
        """Remove up to `quantity` contracts with this sign that were never in a lot, first in, first out."""
        taken, left = [], []
        for leg in self._free.pop(symbol, ()):
            first, rest = leg.split(min(quantity, abs(leg.quantity)) if leg.quantity * sign > 0 else 0)
            quantity -= abs(first.quantity)
            taken += [first] if first.quantity else []
            left += [rest] if rest.quantity else []
        if left:
            self._free[symbol] = left
        return taken

    def _book(self, part: PartlyClosedLot, waiting: PendingBookings) -> None:
        """Apply bookings to a lot or a part of one, and keep the rest."""
        rest: PartlyClosedLot | None = part
        while rest is not None:
            part = rest
            found = {leg.symbol: pending for leg in part.left if (pending := first_of(waiting, leg)) is not None}
            if not found:
                break
            quantity = min(part.lot.quantity, *(pending.left for pending in found.values()))
            first, rest = part.split(quantity) if quantity < part.lot.quantity else (part, None)
            closed = [found[leg.symbol].take(leg, quantity) for leg in first.left if leg.symbol in found]
            self._settle(first, closed, by_order=False)
        if rest is not None and rest.closed:
            self.parts.append(rest)
        elif rest is not None:
            self.lots.append(rest.lot)

    def _book_free(self, waiting: PendingBookings) -> dict[tuple[str, dt.date], list[_Pair]]:
        """Apply bookings to contracts that were never in a lot; return them by root and expiration."""
        pairs: dict[tuple[str, dt.date], list[_Pair]] = {}
        for symbol in [symbol for symbol in waiting if symbol in self._free]:
            leg = self._free[symbol][0]
            while (pending := first_of(waiting, leg)) is not None:
                taken = self._take_free(symbol, pending.left, sign_of(leg.quantity))
                key = leg.contract.root, leg.contract.expiration
                pairs.setdefault(key, []).extend((each, pending.take(each, abs(each.quantity))) for each in taken)
                if not taken:
                    break
        return pairs

    def _close_pairs(self, pairs: Sequence[_Pair], successor: str | None) -> None:
        """Add a closing if these contracts are exactly one kind of condor."""
        by_symbol: dict[str, list[LotLeg]] = {}
        for leg, _ in pairs:
            by_symbol.setdefault(leg.symbol, []).append(leg)
        legs = as_verticals([joined(found) for found in by_symbol.values()])
        if legs is None or not is_condor(legs):
            return
        identity, _ = self._name(legs)
        quantity, is_rest = abs(legs[0].quantity), not all(leg.symbol in self._free for leg in legs)
        self.closings.append(
            Closing(
                identity=identity,
                quantity=quantity,
                opened_at=None,
                opened=legs,
                closed=tuple(closed for _, closed in pairs),
                four_legs=legs,
                is_rest=is_rest,
                begun=quantity if is_rest and identity.id not in self._ids_of_pairs else None,
                successor=successor,
            )
        )
        self._ids_of_pairs.add(identity.id)

    def _close_unknown(self, closing: Fills, successor: str | None) -> None:
        """Add a closing if an order closed an unknown condor."""
        bought = as_verticals(list(closing.values()))
        if bought is None or not is_condor(bought):
            return
        outer_put, inner_put, inner_call, outer_call = (
            msgspec.structs.replace(leg, quantity=-leg.quantity, costs=()) for leg in bought
        )
        identity, _ = self._name((outer_put, inner_put, inner_call, outer_call))
        self.closings.append(
            Closing(
                identity=identity,
                quantity=abs(bought[0].quantity),
                opened_at=None,
                opened=None,
                closed=self._by_order(bought),
                four_legs=None,
                successor=successor,
            )
        )


def _base(legs: FourLegs) -> str:
    first = legs[0].contract
    return condor_id(first.root, first.expiration, [leg.contract.strike_mills for leg in legs])


def _product(leg: LotLeg) -> str:
    return expiry_of(leg.contract, None).product
