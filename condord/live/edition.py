"""Decides what is published: the document of the newest event, and what changed since any earlier one.

Every published object carries the number of the event that brought it, and the newest stand last in their dict. So
"what changed since version v" is a walk from the end, for a subscriber of any speed, filter or age, and no delta has
to be kept for replay. The rule for clients: each object listed is whole and replaces the one with the same key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from condord.live import wire

Entry = TypeVar("Entry")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber asked for: condor ids and symbols; nothing named means everything."""

    condors: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.condors and not self.symbols


EVERYTHING = Selection()


class _Shelf(Generic[Entry]):
    """Published objects by key, in document order, each with the number of the event that brought it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._moved: dict[str, int] = {}

    def fill(self, entries: Iterable[tuple[str, Entry]]) -> None:
        self.entries = dict(entries)
        self._moved = {}

    def put(self, key: str, entry: Entry, number: int) -> None:
        self.entries[key] = entry
        self._moved.pop(key, None)
        self._moved[key] = number

    def among(self, keys: frozenset[str], number: int) -> list[Entry]:
        return [self.entries[key] for key in sorted(_common(keys, self._moved)) if self._moved[key] > number]

    def since(self, number: int) -> Iterator[tuple[str, Entry]]:
        for key in reversed(self._moved):
            if self._moved[key] <= number:
                return
            yield key, self.entries[key]


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """What one event changes."""

    quotes: list[wire.Quote] = []
    valuations: list[wire.Valuation] = []
    unmatched: list[wire.Unmatched] = []
    totals: wire.Totals | None = None
    status: wire.Status | None = None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many condors, contracts in none, and quotes; how many of these nobody has confirmed; the oldest valuation."""

    condors: int
    unmatched: int
    quotes: int
    unconfirmed: int
    oldest_valuation_at: dt.datetime | None


class Edition:
    """The published document. `epoch` names this run of the daemon; versions are `epoch-number`."""

    def __init__(self, *, epoch: str, replay_size: int, status: wire.Status, totals: wire.Totals) -> None:
        self.number = 0
        self.status = status
        self.totals = totals
        self._epoch = epoch
        self._replay_size = replay_size
        self._snapshot_number = 0
        self._status_number = 0
        self._totals_number = 0
        self._condors: dict[str, wire.Condor] = {}
        self._valuations: _Shelf[wire.Valuation] = _Shelf()
        self._histories: _Shelf[wire.History] = _Shelf()
        self._unmatched: _Shelf[wire.Unmatched] = _Shelf()
        self._quotes: _Shelf[wire.Quote] = _Shelf()

    @property
    def version(self) -> str:
        """The id of the newest event."""
        return f"{self._epoch}-{self.number}"

    def recast(
        self,
        *,
        condors: Iterable[wire.Condor],
        unmatched: Iterable[wire.Unmatched],
        quotes: Iterable[wire.Quote],
        totals: wire.Totals,
        status: wire.Status,
    ) -> None:
        """Publish another set of positions: one event, which only a snapshot can tell."""
        self.number += 1
        self._snapshot_number = self.number
        self._condors = {condor.id: condor for condor in condors}
        self._valuations.fill((condor.id, condor.valuation) for condor in self._condors.values())
        self._histories.fill((condor.id, condor.history) for condor in self._condors.values())
        self._unmatched.fill((entry.symbol, entry) for entry in unmatched)
        self._quotes.fill((quote.symbol, quote) for quote in quotes)
        self.totals, self.status = totals, status

    def amend(self, amendment: Amendment) -> None:
        """Publish changed objects: one event, told as a delta."""
        self.number += 1
        for quote in amendment.quotes:
            self._quotes.put(quote.symbol, quote, self.number)
        for valuation in amendment.valuations:
            self._valuations.put(valuation.id, valuation, self.number)
        for entry in amendment.unmatched:
            self._unmatched.put(entry.symbol, entry, self.number)
        if amendment.totals is not None:
            self.totals, self._totals_number = amendment.totals, self.number
        if amendment.status is not None:
            self.status, self._status_number = amendment.status, self.number

    def extend(self, histories: Mapping[str, wire.History]) -> None:
        """Publish longer lines of condors that are there: one event, which only a snapshot can tell."""
        self.number += 1
        for identity, history in histories.items():
            self._histories.put(identity, history, self.number)

    def touch(self, status: wire.Status) -> None:
        """Take a status that differs in `lastMessageAt` and `readAt` alone, which move without an event."""
        self.status = status

    def document(self, now_at: dt.datetime, selection: Selection = EVERYTHING) -> wire.Document:
        """The whole document, or what `selection` asked for of it; totals and status stay whole."""
        symbols = self._symbols(selection)
        return wire.Document(
            version=self.version,
            as_of=now_at,
            status=self.status,
            condors=[
                self._condor(identity)
                for identity in self._condors
                if selection.is_everything or identity in selection.condors
            ],
            unmatched=[
                entry
                for symbol, entry in self._unmatched.entries.items()
                if selection.is_everything or symbol in selection.symbols
            ],
            quotes=[quote for symbol, quote in self._quotes.entries.items() if symbols is None or symbol in symbols],
            totals=self.totals,
        )

    def one(self, identity: str, now_at: dt.datetime) -> wire.OneCondor | None:
        """One condor with the quotes of its legs; None if it is not there."""
        if identity not in self._condors:
            return None
        condor = self._condor(identity)
        quotes = [self._quotes.entries[leg.symbol] for leg in condor.legs]
        return wire.OneCondor(as_of=now_at, condor=condor, quotes=quotes)

    def needs_snapshot(self, since: int, selection: Selection = EVERYTHING) -> bool:
        """Whether a client at event `since` cannot be brought up to date by a delta."""
        return since < self._snapshot_number or self._has_grown(since, selection)

    def delta(self, since: int, now_at: dt.datetime, selection: Selection = EVERYTHING) -> wire.Delta | None:
        """All changes after event `since` that `selection` shows, joined into one; None if there are none."""
        symbols = self._symbols(selection)
        if symbols is None:
            quotes = [quote for _, quote in self._quotes.since(since)]
            valuations = [valuation for _, valuation in self._valuations.since(since)]
            unmatched = [entry for _, entry in self._unmatched.since(since)]
        else:
            quotes = self._quotes.among(symbols, since)
            valuations = self._valuations.among(selection.condors, since)
            unmatched = self._unmatched.among(selection.symbols, since)
        totals = self.totals if self._totals_number > since else msgspec.UNSET
        status = self.status if self._status_number > since else msgspec.UNSET
        if not (quotes or valuations or unmatched or totals or status):
            return None
        return wire.Delta(
            as_of=now_at,
            quotes=quotes,
            valuations=valuations,
            unmatched=unmatched,
            totals=totals,
            status=status,
        )

    @property
    def tally(self) -> Tally:
        """How much of what is published now; a walk over the document."""
        valued = [value.as_of for value in self._valuations.entries.values() if value.as_of is not None]
        return Tally(
            condors=len(self._condors),
            unmatched=len(self._unmatched.entries),
            quotes=len(self._quotes.entries),
            unconfirmed=sum(quote.unconfirmed for quote in self._quotes.entries.values()),
            oldest_valuation_at=min(valued, default=None),
        )

    def resume_from(self, version: str | None, selection: Selection = EVERYTHING) -> int | str:
        """The event a client with `version` stands at, or the reason why it needs a snapshot."""
        if version is None:
            return "new"
        epoch, _, number = version.rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 20):
            return "unknownEpoch"
        since = int(number)
        if since > self.number:
            return "unknownEpoch"
        if since < self.number - self._replay_size:
            return "replayWindowPassed"
        if since < self._snapshot_number:
            return "positionsChanged"
        if self._has_grown(since, selection):
            return "historyGrew"
        return since

    def _has_grown(self, since: int, selection: Selection) -> bool:
        """Whether `selection` shows a line that has grown after event `since`."""
        if next(self._histories.since(since), None) is None:
            return False
        return selection.is_everything or bool(self._histories.among(selection.condors, since))

    def _condor(self, identity: str) -> wire.Condor:
        valuation = self._valuations.entries[identity]
        history = self._histories.entries[identity]
        return msgspec.structs.replace(self._condors[identity], valuation=valuation, history=history)

    def _symbols(self, selection: Selection) -> frozenset[str] | None:
        """The quotes that `selection` shows; None: all. A condor brings its legs'.

        Each filter is asked at every event, and may be long with names that nothing has.
        """
        if selection.is_everything:
            return None
        named = _common(selection.symbols, self._quotes.entries)
        condors = (self._condors[identity] for identity in _common(selection.condors, self._condors))
        return named.union(leg.symbol for condor in condors for leg in condor.legs)


def _common(names: Collection[str], known: Collection[str]) -> frozenset[str]:
    """Those of `names` that are `known`, at the cost of the fewer; both are fast to look in."""
    few, many = (names, known) if len(names) < len(known) else (known, names)
    return frozenset(name for name in few if name in many)
