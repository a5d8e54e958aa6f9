"""Compute today's profit or loss from what was held at yesterday's close, its prices then, and today's fills.

The day is the date in New York, so today's profit or loss is 0 on a weekend. Yesterday's close of a contract is its own
last mark in the session before where that was recorded, else Alpaca's. Contracts that come or go without a fill
(assigned, exercised, expired, transferred) do so

- before the end of the session at yesterday's close: they make nothing today, as their value became shares or cash;
- after it at the last mark of the session: what they made until then stays in the day.

So while the session lasts, the contracts at yesterday's close follow from those held now and today's fills. They must
be the same all day. If the quantity of a contract changes, either the reading or the fills are late, and its profit or
loss is unknown. If the change lasts for a minute, the contract came or went without a fill. From 25 minutes after the
close on the quantities stay as they are.

`memory` holds what must survive a restart.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from condord.core import occ
from condord.core.activity import Activity, Split
from condord.core.calendar import DAY, Calendar
from condord.core.day_pl import (
    CLOSED_CONDORS,
    CLOSED_CONTRACTS,
    ClosingPrices,
    DayFill,
    DayLine,
    Owner,
    day_lines,
    day_pl_e4,
)
from condord.core.grouping.account import Grouping
from condord.core.lots import LedgerSummary
from condord.core.market_hours import LATE, exchange_day
from condord.core.position import Position
from condord.core.quote import Quote
from condord.errors import SymbolError
from condord.live.lifecycle import AccountReading

_DELAY = dt.timedelta(seconds=60)
"""Readings and fills are at most this far apart."""
_SETTLED = LATE + dt.timedelta(minutes=10)
"""Positions and fills of the last trades have been read by then."""
_STANDARD_MULTIPLIER = 100
_E6_PER_E4 = 100


class HeldAtClose(msgspec.Struct, frozen=True, kw_only=True):
    """A contract held at the close of a session, and its last mark per share in 1e-4 dollars, None if unknown.

    `terms` differ if its price is for something other than before; None until Alpaca has given them.
    """

    mark_e4: int | None
    multiplier: int
    terms: str | None
    in_condor: bool


class SessionMarks(msgspec.Struct, frozen=True, kw_only=True):
    """The contracts held at the close of the session of `day`, by symbol."""

    day: dt.date
    contracts: dict[str, HeldAtClose] = {}


class DayMemory(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of `day`, the date in New York, and the last two sessions in `sessions`, oldest first.

    `closes_e4` are the closes before `day` as Alpaca gave them. `held_before` are the signed contracts at yesterday's
    close, None while they are not known. `multipliers` and `in_condors` are about all contracts held on that day.
    """

    day: dt.date | None = None
    closes_e4: dict[str, int] = {}
    held_before: dict[str, int] | None = None
    multipliers: dict[str, int] = {}
    in_condors: frozenset[str] = frozenset()
    sessions: tuple[SessionMarks, ...] = ()


class _FollowedReading(NamedTuple):
    """A reading, the ledger of its orders, and when it was read."""

    reading: AccountReading
    traded: LedgerSummary
    now_at: dt.datetime


class Day:
    """Today's profit or loss of an account, in 1e-4 dollars; each is None while a part of it is not known.

    Call `follow` with every reading that is shown, even if it is the same again, and when the date in New York changes.
    Any method that returns no profit or loss may change the profit or loss of every owner.
    """

    def __init__(self) -> None:
        self.memory = DayMemory()
        self._forget()
        self._taken: tuple[object, ...] = (self._lines, self._closes_e4, self._adjusted)

    def _forget(self) -> None:
        self._fills: tuple[dt.date, tuple[DayFill, ...]] | None = None
        self._closes: ClosingPrices | None = None
        self._activities: tuple[Activity, ...] = ()
        self._splits: tuple[Split, ...] = ()
        self._followed: _FollowedReading | None = None
        self._late: dict[str, dt.datetime] = {}
        self._lines: dict[Owner, tuple[DayLine, ...]] | None = None
        self._closes_e4: dict[str, int] = {}
        self._adjusted: frozenset[str] = frozenset()

    def recall(self, memory: DayMemory | None) -> None:
        """Continue where an earlier run stopped; None forgets everything, because the account has changed."""
        self.memory = memory or DayMemory()
        if memory is None:
            self._forget()
        self._late = {}
        self._update()

    def set_fills(self, day: dt.date, fills: Iterable[DayFill]) -> None:
        """Take all fills of options on `day`, the date in New York."""
        known, self._fills = self._fills, (day, tuple(fills))
        if self._fills != known:
            self._update()

    def set_closes(self, closes: ClosingPrices) -> None:
        """Take the closes of the session before today's, as Alpaca gives them.

        Closes that are taken before the open are replaced by later ones, as Alpaca may still give those of the session
        before that. The first ones that are taken from the open on stay for the day.
        """
        known, self._closes = self._closes, closes
        if closes != known:
            self._update()

    def set_bookings(self, activities: Sequence[Activity], splits: Sequence[Split]) -> None:
        """Take the activities of the last days and the announced splits."""
        known = self._activities, self._splits
        self._activities, self._splits = tuple(activities), tuple(splits)
        if (self._activities, self._splits) != known:
            self._update()

    def follow(self, reading: AccountReading, traded: LedgerSummary, now_at: dt.datetime) -> None:
        """Take the account's holdings at `now_at`, the exchange's time, and the ledger of its orders."""
        self._followed = _FollowedReading(reading, traded, now_at)
        self._update()

    def record_marks(self, quotes: Mapping[str, Quote], now_at: dt.datetime) -> None:
        """Keep the last marks of the session that has ended at `now_at`; call this when the market closes.

        `quotes` are those that are confirmed, by symbol. Of several calls for one session, the first mark of a contract
        counts. Before the close of today's session the call has no effect.
        """
        if self._followed is None:
            return
        reading = self._followed.reading
        day = exchange_day(now_at)
        hours = reading.calendar.on(day)
        if hours is None or now_at < hours.close_at:
            return
        in_condors = _in_condors(reading.grouping)
        known = {session.day: session.contracts for session in self.memory.sessions}
        contracts = {
            held.symbol: HeldAtClose(
                mark_e4=quotes[held.symbol].mark_e4 if held.symbol in quotes else None,
                multiplier=held.multiplier,
                terms=_terms(held),
                in_condor=held.symbol in in_condors,
            )
            for held in reading.positions
            if held.contract is not None
        }
        earlier = {symbol: held for symbol, held in known.get(day, {}).items() if held.mark_e4 is not None}
        known[day] = contracts | earlier
        sessions = [SessionMarks(day=known_day, contracts=known[known_day]) for known_day in sorted(known)]
        self._remember(replace(self.memory, sessions=tuple(sessions[-2:])))
        self._update()

    def take_change(self) -> bool:
        """Whether an input of the profits and losses, other than marks, has changed since the last call."""
        inputs = self._lines, self._closes_e4, self._adjusted
        has_changed, self._taken = inputs != self._taken, inputs
        return has_changed

    def condor_e4(self, condor_id: str, quotes: Mapping[str, Quote]) -> int | None:
        """The profit or loss of a condor at the marks of `quotes`, by symbol."""
        return self._pl_e4(Owner("condor", condor_id), quotes)

    def unmatched_e4(self, symbol: str, quotes: Mapping[str, Quote]) -> int | None:
        """The profit or loss of contracts in no condor at the marks of `quotes`, by symbol."""
        return self._pl_e4(Owner("unmatched", symbol), quotes)

    @property
    def closed_condors_e4(self) -> int | None:
        """The profit or loss of the condors that were closed today, 0 if there are none."""
        return self._pl_e4(CLOSED_CONDORS, {})

    @property
    def closed_contracts_e4(self) -> int | None:
        """The profit or loss of contracts in no condor that were closed today, 0 if there are none."""
        return self._pl_e4(CLOSED_CONTRACTS, {})

    def _pl_e4(self, owner: Owner, quotes: Mapping[str, Quote]) -> int | None:
        if self._lines is None:
            return None
        if owner not in self._lines:
            return 0 if owner in (CLOSED_CONDORS, CLOSED_CONTRACTS) else None
        return day_pl_e4(self._lines[owner], quotes, self._closes_e4, self._adjusted)

    def _update(self) -> None:
        """Split the day among its owners again."""
        self._lines = None
        if self._followed is None:
            return
        reading, _, now_at = self._followed
        day = exchange_day(now_at)
        fills = self._fills_of(day, reading.calendar)
        self._bring_up_to(day, fills)
        if fills is not None:
            before = self._held_at_close(_day_before(day, reading.calendar))
            self._share_out(day, (*fills, *self._departures(day, fills)), before)

    def _share_out(self, day: dt.date, fills: Sequence[DayFill], before: Mapping[str, HeldAtClose]) -> None:
        """Assign contracts and `fills` to their owners, and set the closes; `before` was held at yesterday's close."""
        reading, traded, _ = self._reading()
        if traded.day != day:
            traded = LedgerSummary()
        positions = {held.symbol: held for held in reading.positions}
        symbols = positions.keys() | {fill.symbol for fill in fills} | traded.counts.keys()
        multipliers = {symbol: self._multiplier(symbol, before) for symbol in symbols - positions.keys()}
        self._lines = day_lines(
            reading.grouping,
            traded,
            fills,
            in_condors=self.memory.in_condors | {symbol for symbol, held in before.items() if held.in_condor},
            multipliers={symbol: multiplier for symbol, multiplier in multipliers.items() if multiplier is not None},
            unknown=self._late,
        )
        own_e4 = {symbol: held.mark_e4 for symbol, held in before.items() if held.mark_e4 is not None}
        self._closes_e4 = self.memory.closes_e4 | own_e4
        split = {split.symbol for split in self._splits if split.day == day}
        split |= {activity.symbol for activity in self._activities if activity.kind == "SPLIT" and activity.day == day}
        self._adjusted = frozenset(
            symbol
            for symbol in symbols
            if _stock(symbol, positions.get(symbol)) in split or _differs(before.get(symbol), positions.get(symbol))
        )

    def _bring_up_to(self, day: dt.date, fills: Sequence[DayFill] | None) -> None:
        """Remember the facts about `day`; on another day, forget all but the sessions before it."""
        reading, _, now_at = self._reading()
        memory = self.memory if self.memory.day == day else DayMemory(day=day, sessions=self.memory.sessions)
        hours = reading.calendar.on(day)
        closes_e4 = memory.closes_e4
        if self._closes is not None and self._closes.day == _day_before(day, reading.calendar):
            newest_e4 = dict(self._closes.prices_e4)
            may_change = hours is not None and now_at < hours.open_at
            closes_e4 = closes_e4 | newest_e4 if may_change else newest_e4 | closes_e4
        held_before = memory.held_before
        if fills is not None and (held_before is None or hours is None or now_at < hours.open_at):
            held_before, self._late = _without(reading.positions, fills), {}
        elif fills is not None and held_before is not None and hours is not None:
            held_before = self._corrected(held_before, fills, has_settled=now_at >= hours.close_at + _SETTLED)
        multipliers = {held.symbol: held.multiplier for held in reading.positions if held.contract is not None}
        self._remember(
            replace(
                memory,
                closes_e4=closes_e4,
                held_before=held_before,
                multipliers=memory.multipliers | multipliers,
                in_condors=memory.in_condors | _in_condors(reading.grouping),
            )
        )

    def _corrected(
        self, held_before: Mapping[str, int], fills: Iterable[DayFill], *, has_settled: bool
    ) -> dict[str, int]:
        """The contracts at yesterday's close, changed where they have differed for `_DELAY`; `_late` has the others."""
        reading, _, now_at = self._reading()
        derived = {} if has_settled else _without(reading.positions, fills)
        differing = set() if has_settled else {symbol for symbol, _ in held_before.items() ^ derived.items()}
        self._late = {symbol: self._late.get(symbol, now_at) for symbol in differing}
        certain = {symbol for symbol, since in self._late.items() if now_at - since >= _DELAY}
        self._late = {symbol: since for symbol, since in self._late.items() if symbol not in certain}
        kept = {symbol: quantity for symbol, quantity in held_before.items() if symbol not in certain}
        return kept | {symbol: derived[symbol] for symbol in certain if symbol in derived}

    def _remember(self, memory: DayMemory) -> None:
        """Keep the same object while nothing changes, so that it need not be stored again."""
        if memory != self.memory:
            self.memory = memory

    def _fills_of(self, day: dt.date, calendar: Calendar) -> tuple[DayFill, ...] | None:
        """The fills of `day`, None while they are not known; there are none on a day without a session."""
        if self._fills is not None and self._fills[0] == day:
            return self._fills[1]
        return () if calendar.on(day) is None else None

    def _departures(self, day: dt.date, fills: Iterable[DayFill]) -> list[DayFill]:
        """Changes of positions without a fill after the end of today's session, as fills at its last marks."""
        reading, _, now_at = self._reading()
        moved = Counter(_without(reading.positions, fills))
        moved.subtract(self.memory.held_before or {})
        unreadable = {held.symbol for held in reading.positions if held.quantity is None}
        at_close = self._held_at_close(day)
        found = []
        for symbol, quantity in moved.items():
            mark_e4 = at_close[symbol].mark_e4 if symbol in at_close else None
            if quantity and mark_e4 is not None and symbol not in unreadable:
                found.append(DayFill(symbol=symbol, quantity=quantity, price_e6=mark_e4 * _E6_PER_E4, at=now_at))
        return found

    def _held_at_close(self, day: dt.date) -> Mapping[str, HeldAtClose]:
        """The contracts held at the close of the session of `day`, by symbol; empty if they were not recorded."""
        return next((session.contracts for session in self.memory.sessions if session.day == day), {})

    def _multiplier(self, symbol: str, before: Mapping[str, HeldAtClose]) -> int | None:
        """The multiplier of a contract that may not be held any longer, None if it is not standard and not known."""
        if symbol in self.memory.multipliers:
            return self.memory.multipliers[symbol]
        if symbol in before:
            return before[symbol].multiplier
        root = _root(symbol)
        return None if root is None or root[-1].isdigit() else _STANDARD_MULTIPLIER

    def _reading(self) -> _FollowedReading:
        assert self._followed is not None  # noqa: S101 - `_update` ends without one
        return self._followed


def _day_before(day: dt.date, calendar: Calendar) -> dt.date:
    """The day of the last session before `day`."""
    return exchange_day(calendar.last_until(day - DAY).close_at)


def _without(positions: Iterable[Position], fills: Iterable[DayFill]) -> dict[str, int]:
    """The signed contracts of `positions` before `fills`, by symbol, without those that come to nothing."""
    left = Counter({held.symbol: held.quantity for held in positions if held.quantity is not None})
    for fill in fills:
        left[fill.symbol] -= fill.quantity
    return {symbol: quantity for symbol, quantity in left.items() if quantity}


def _in_condors(grouping: Grouping) -> frozenset[str]:
    return frozenset(leg.symbol for condor in grouping.condors for leg in condor.legs)


def _terms(position: Position) -> str | None:
    """The terms of a contract in a text to compare; None until Alpaca has given it."""
    if position.multiplier_assumed:
        return None
    delivered = [f"{item.amount} {item.symbol}" for item in position.deliverables]
    return " ".join((str(position.multiplier), *sorted(delivered)))


def _differs(before: HeldAtClose | None, position: Position | None) -> bool:
    """Whether a contract is known to have other terms now than at yesterday's close."""
    if before is None or position is None:
        return False
    terms = _terms(position)
    return None not in (before.terms, terms) and before.terms != terms


def _stock(symbol: str, position: Position | None) -> str | None:
    """The underlying of a contract; of one not held, the root without the digit of an adjustment."""
    if position is not None and position.underlying is not None:
        return position.underlying
    root = _root(symbol)
    return None if root is None else root.rstrip("0123456789")


def _root(symbol: str) -> str | None:
    try:
        return occ.parse(symbol).root
    except SymbolError:
        return None
