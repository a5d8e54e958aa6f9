"""Interpret the changes of an account: broken condors, assignments, and contracts that expire.

No stream reports an assignment, exercise or expiration. They show only when two readings are compared, and in Alpaca's
activities a day later. So the changes between readings are kept for some days (`account_changes`), and every notice is
derived from them again whenever a reading, an order or an activity arrives. The evidence may arrive in any order. An
inferred notice is withdrawn only if a closing fill, a split or an expiration turns out to explain the change.

- `assignments`: an assignment is reported until the close of the session after the one in which it was first seen.
- `broken`: a broken condor is reported until its legs are gone or in a condor again.
- `endings`: contracts on their last trading day, and expired ones, which do not break a condor.

`memory` holds all state: a later run that starts with it continues as if there had been no interruption.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from condord.core import occ
from condord.core.activity import Activity, Split
from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.cutoffs import CutoffSettings
from condord.core.filled_orders import Order
from condord.core.grouping.account import Grouping
from condord.core.lots import LedgerSummary
from condord.core.market_hours import exchange_day
from condord.core.position import Position
from condord.errors import SymbolError
from condord.live import account_changes, broken
from condord.live.account_changes import KEPT_FOR, AccountChange, Contents, HeldContract, Instant
from condord.live.assignments import Assignment, assignments, key_of
from condord.live.broken import BrokenCondor, CondorSummary
from condord.live.endings import endings
from condord.live.notices import Notice

_BEGINNING = dt.datetime.min.replace(tzinfo=dt.UTC)


class AccountReading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of the account: its option positions, their grouping, and its stocks in signed shares by symbol.

    `orders` are all known orders that filled options, oldest first, including those of contracts no longer held.
    `traded` is their ledger. `settled` are the symbols past their settlement by `calendar`.
    """

    positions: tuple[Position, ...]
    grouping: Grouping
    stocks: Mapping[str, int]
    orders: tuple[Order, ...] = ()
    traded: LedgerSummary = LedgerSummary()
    settled: frozenset[str] = frozenset()
    calendar: Calendar = Calendar()


class ReadingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of the reading shown last, at `at`."""

    at: Instant
    held: dict[str, HeldContract]
    stocks: dict[str, int]
    condors: tuple[CondorSummary, ...]

    @property
    def contents(self) -> Contents:
        """The contracts and stocks in the reading."""
        return Contents(self.held, self.stocks)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of an account's past.

    `first_seen` is when each assignment was first seen, by the key of its change. `endings` are the last notices about
    expiring contracts.
    """

    shown: ReadingSummary | None = None
    changes: tuple[AccountChange, ...] = ()
    broken: tuple[BrokenCondor, ...] = ()
    first_seen: dict[str, Instant] = msgspec.field(default_factory=dict, name="told")  # the key in saved files
    endings: tuple[Notice, ...] = ()

    def is_like(self, other: Memory) -> bool:
        """Whether both memories are equal except for when the last reading was shown."""
        return self._without_time() == other._without_time()

    def _without_time(self) -> Memory:
        if self.shown is None:
            return self
        return msgspec.structs.replace(self, shown=msgspec.structs.replace(self.shown, at=_BEGINNING))


class Lifecycle:
    """Follows an account from reading to reading.

    `awaited` has a key for each change that still awaits its booking: contracts that left the account without a fill,
    split or booking, contracts assigned that no reading shows, and each day those listed after their settlement.
    `activities` and `splits` are those known, oldest first; `cutoffs` sets those of Alpaca on expiration day.
    """

    def __init__(self) -> None:
        self.notices: tuple[Notice, ...] = ()
        self.problems: dict[str, str] = {}
        self.awaited: frozenset[str] = frozenset()
        self.activities: tuple[Activity, ...] = ()
        self.splits: tuple[Split, ...] = ()
        self.cutoffs = CutoffSettings()
        self.memory = Memory()
        self._read: tuple[tuple[Position, ...], tuple[Condor, ...]] | None = None

    def set_bookings(self, activities: Iterable[Activity], splits: Iterable[Split]) -> None:
        """Take the activities of the last days and the announced splits, oldest first, for the next reading."""
        self.activities, self.splits = tuple(activities), tuple(splits)

    def set_cutoffs(self, cutoffs: CutoffSettings) -> None:
        """Take Alpaca's cut-offs on expiration day, for the next reading."""
        self.cutoffs = cutoffs

    def recall(self, memory: Memory | None) -> None:
        """Continue where an earlier run stopped, or with an unknown account (None)."""
        self.memory = memory if memory is not None and _is_sound(memory) else Memory()
        self.notices, self.problems, self.awaited, self._read = (), {}, frozenset(), None

    def follow(self, reading: AccountReading, day: dt.date, now_at: dt.datetime) -> None:
        """Take the next reading; `notices` and `problems` (by symbol) then reflect it.

        `day` is the date in New York, and `now_at` the exchange's time.
        """
        before, calendar = self.memory, reading.calendar
        shown = self._show(reading, now_at)
        changes = _changes(before, shown)
        changes = account_changes.with_fills(changes, reading.orders, self.activities)
        unexplained, unseen = account_changes.unexplained(changes, self.activities, self.splits)
        gone = [entry.change.key for entry in unexplained if entry.change.shares is not None and entry.gone]
        found = broken.candidates(before.broken, before.shown.condors if before.shown else (), reading.grouping, now_at)
        found = [
            candidate for candidate in found if reading.settled.isdisjoint(leg.symbol for leg in candidate.condor.legs)
        ]
        broken_now = broken.judged(found, reading.grouping, unexplained, now_at)
        recent = [
            activity
            for activity in unseen
            if key_of(activity) in before.first_seen or now_at < calendar.first_after(activity.day).close_at
        ]
        settled = [f"{symbol} {day}" for symbol in reading.settled]
        self.awaited = frozenset((*gone, *settled, *map(key_of, recent)))
        assigned = assignments(unexplained, recent, _meets(calendar), before.first_seen)
        ending = tuple(endings(reading.grouping, calendar, now_at, before.endings, self.cutoffs))
        self.memory = Memory(
            shown=shown,
            changes=tuple(changes),
            broken=broken_now,
            first_seen={
                key: before.first_seen.get(key, now_at) for assignment in assigned for key in sorted(assignment.keys)
            },
            endings=ending,
        )
        alike = broken.same_named((*shown.condors, *(each.condor for each in broken_now)))
        sentences = {each.condor.id: broken.sentence(each, day.year, alike) for each in broken_now}
        self.problems = _problems(broken_now, sentences)
        first_seen = self.memory.first_seen
        current = [
            assignment for assignment in assigned if now_at < _stays_until(_since(assignment, first_seen), calendar)
        ]
        self.notices = (
            *_assignment_notices(current, first_seen),
            *(_broken_notice(condor, sentences[condor.condor.id]) for condor in broken_now),
            *ending,
        )

    def _show(self, reading: AccountReading, now_at: dt.datetime) -> ReadingSummary:
        """The summary of a reading; most readings equal the one before and share its summary."""
        read, before = (reading.positions, reading.grouping.condors), self.memory.shown
        if before is not None and read == self._read:
            return msgspec.structs.replace(before, at=now_at, stocks=dict(reading.stocks))
        self._read = read
        return ReadingSummary(
            at=now_at,
            held=account_changes.held(reading.positions, before.held if before else {}),
            stocks=dict(reading.stocks),
            condors=tuple(broken.summary(condor) for condor in reading.grouping.condors),
        )


def _meets(calendar: Calendar) -> Callable[[dt.datetime, dt.datetime], bool]:
    """A test of whether the later of two changes was seen before the end of the session after the earlier one."""

    def meet(first: dt.datetime, second: dt.datetime) -> bool:
        return max(first, second) <= _stays_until(min(first, second), calendar)

    return meet


def _stays_until(since: dt.datetime, calendar: Calendar) -> dt.datetime:
    """The close of the session after the one of `since`, in UTC."""
    return calendar.first_after(exchange_day(since)).close_at


def _is_sound(memory: Memory) -> bool:
    """Whether every contract in the memory can be parsed. Its file may have been edited."""
    options = [change.symbol for change in memory.changes if change.shares is not None]
    try:
        for symbol in (*options, *(memory.shown.held if memory.shown else ())):
            occ.parse(symbol)
    except SymbolError:
        return False
    return True


def _changes(before: Memory, now: ReadingSummary) -> list[AccountChange]:
    """The changes of the last days, including those of this reading."""
    kept = [change for change in before.changes if change.at > now.at - KEPT_FOR]
    was = before.shown
    if was is None or (was.held is now.held and was.stocks == now.stocks):
        return kept
    condor_ids = _condor_ids(was.condors)
    new = account_changes.changes(was.contents, now.contents, was.at, now.at)
    return kept + [msgspec.structs.replace(change, condor_id=condor_ids.get(change.symbol)) for change in new]


def _condor_ids(condors: Iterable[CondorSummary]) -> dict[str, str | None]:
    """The id of the condor of each contract by symbol, None if several condors share it."""
    ids: dict[str, str | None] = {}
    for condor in condors:
        for leg in condor.legs:
            ids[leg.symbol] = None if leg.symbol in ids else condor.id
    return ids


def _since(assignment: Assignment, first_seen: Mapping[str, dt.datetime]) -> dt.datetime:
    return min(first_seen[key] for key in assignment.keys)


def _assignment_notices(found: Iterable[Assignment], first_seen: Mapping[str, dt.datetime]) -> Iterator[Notice]:
    """One notice for each contract, or for each set of contracts some of which were assigned."""
    alike: dict[tuple[bool, tuple[str, ...]], list[Assignment]] = {}
    for assignment in found:
        is_all = assignment.count == sum(assignment.contracts.values())
        alike.setdefault((is_all, tuple(assignment.contracts)), []).append(assignment)
    for (_, symbols), same in sorted(alike.items(), key=lambda item: item[0][1]):
        condor_ids = {assignment.condor_id for assignment in same}
        yield Notice(
            code="assignment",
            text=_assignment_text(same),
            symbols=symbols,
            since=min(_since(assignment, first_seen) for assignment in same),
            condor_id=condor_ids.pop() if len(condor_ids) == 1 else None,
        )


def _assignment_text(same: Sequence[Assignment]) -> str:
    """The text of a notice about assignments of the `same` contracts."""
    count = sum(assignment.count for assignment in same)
    shares = abs(sum(assignment.shares for assignment in same))
    contracts: Counter[str] = Counter()
    for assignment in same:
        contracts.update(assignment.contracts)
    first = same[0]
    named = ", ".join(contracts)
    moved = f"{shares} shares of {first.stock} {'came' if first.shares > 0 else 'went'}"
    were = "was" if count == 1 else "were"
    if (total := sum(contracts.values())) > count:
        number = "one" if count == 1 else str(count)
        return f"{number} of {total} short {named} {were} assigned: {moved}, and it is not known which"
    if not all(assignment.is_certain for assignment in same):
        return f"{count} short {named} disappeared when {moved}: an assignment"
    return f"{count} short {named} {were} assigned" + (f": {moved}" if first.stock else "")


def _broken_notice(condor: BrokenCondor, text: str) -> Notice:
    symbols = [leg.symbol for leg in condor.condor.legs if leg.symbol in condor.held or leg.symbol in condor.missing]
    return Notice(
        code="brokenCondor",
        text=text,
        symbols=tuple(symbols),
        since=condor.since,
        condor_id=condor.condor.id,
    )


def _problems(found: Iterable[BrokenCondor], sentences: Mapping[str, str]) -> dict[str, str]:
    """The problem of each contract that a broken condor left behind, by symbol; `sentences` are by condor."""
    problems: dict[str, str] = {}
    for condor in found:
        text = f"broken condor: {sentences[condor.condor.id]}"
        for symbol in condor.held:
            problems[symbol] = f"{problems[symbol]}; {text}" if symbol in problems else text
    return problems
