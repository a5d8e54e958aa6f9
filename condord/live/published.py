"""Hold the published document and what changed in it since any earlier event.

Every object is stored with the number of the event that brought it, the newest last. So the changes since event n are
found by walking back from the end, for any interval, filter and n. No delta is kept for replay.

In a delta each object is whole and replaces the one with the same key. Only points of a history are appended; each is
stored with the number of its event too.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from condord.core.condor import Condor
from condord.core.model.risk import Risk
from condord.core.quote import Quote
from condord.core.underlying import UnderlyingPrice
from condord.core.valuation import LeftoverPl, Valuation
from condord.live import wire, wire_condor
from condord.live.published_alerts import PublishedAlerts
from condord.live.versioned import Versioned, common
from condord.live.wire_broken import BrokenJson, left_pl
from condord.live.wire_risk import AccountJson, ClosingJson, ClosingOrders, RiskJson, UnderlyingJson


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The condor ids and symbols that a subscriber asked for; both empty means everything."""

    condors: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.condors and not self.symbols


EVERYTHING = Selection()
_JOINED = 64
"""How many appends to histories are remembered. They happen once a minute, so no replay window has as many."""


class _ShownKeys(NamedTuple):
    """The keys that a selection shows, by part of the document; None means all."""

    condors: frozenset[str] | None = None
    quotes: frozenset[str] | None = None
    unmatched: frozenset[str] | None = None
    underlyings: frozenset[str] | None = None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many condors, unmatched entries and quotes are published.

    `unconfirmed` counts quotes, all of them while a relay has lost its source. `oldest_valuation_at` is the oldest
    `asOf` of a valuation, None without any.
    """

    condors: int
    unmatched: int
    quotes: int
    unconfirmed: int
    oldest_valuation_at: dt.datetime | None


class Edition:
    """The published document. `epoch` names this run of the daemon; versions are `epoch-number`."""

    def __init__(self, *, epoch: str, replay_size: int, status: wire.Status, totals: wire.TotalsJson) -> None:
        self.number = 0
        self.status = status
        self.totals = totals
        self._epoch = epoch
        self._replay_size = replay_size
        self._snapshot_number = 0
        self._restart_number = 0
        self._status_number = 0
        self._totals_number = 0
        self.account: AccountJson | None = None
        self._account_number = 0
        self._joined: deque[tuple[int, int]] = deque(maxlen=_JOINED)
        self.quotes: Versioned[Quote, wire.QuoteJson] = Versioned()
        self.valuations: Versioned[tuple[Condor, Valuation], wire_condor.ValuationJson] = Versioned()
        self.unmatched: Versioned[LeftoverPl, wire_condor.Unmatched] = Versioned()
        self.underlyings: Versioned[UnderlyingPrice, UnderlyingJson] = Versioned()
        self.risks: Versioned[Risk, RiskJson] = Versioned()
        self.closing: Versioned[None, list[ClosingJson]] = Versioned()
        self.alerts = PublishedAlerts()
        self._condors: dict[str, wire_condor.CondorJson] = {}
        self._broken: dict[str, BrokenJson] = {}
        self._underlying_of: dict[str, str] = {}
        self._histories: Versioned[list[int], wire_condor.HistoryJson] = Versioned()

    @property
    def version(self) -> str:
        """The id of the newest event."""
        return f"{self._epoch}-{self.number}"

    def follow(self, epoch: str, number: int) -> None:
        """Continue at event `number` of `epoch`, which another server has made.

        In the same epoch, what is put and set from here on belongs to it. In another one nothing is known before it, so
        the caller publishes a whole document next.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self._snapshot_number = self._restart_number = 0
            self._status_number = self._totals_number = self._account_number = 0
            self._joined.clear()
            self.alerts = PublishedAlerts()
        self.number = number

    def join(self, since: int) -> None:
        """Note that this event stands for all events after `since`.

        A client at an event between the two gets a snapshot: which points of a history it has is not known.
        """
        self._joined.append((since, self.number))

    def begin(self) -> None:
        """Begin the next event, which a delta can describe: what is put and set from here on belongs to it."""
        self.number += 1

    def set_totals(self, totals: wire.TotalsJson) -> None:
        """Change the totals in this event."""
        self.totals, self._totals_number = totals, self.number

    def set_status(self, status: wire.Status) -> None:
        """Change the status in this event."""
        self.status, self._status_number = status, self.number

    def set_account(self, account: AccountJson | None) -> None:
        """Change the account's balances in this event."""
        self.account, self._account_number = account, self.number

    def touch_account(self, account: AccountJson | None) -> None:
        """Take balances that differ only in `readAt`, which changes without an event."""
        self.account = account

    def touch(self, status: wire.Status) -> None:
        """Take a status that differs only in `lastMessageAt` and `readAt`, which change without an event."""
        self.status = status

    def recast(
        self,
        *,
        condors: Iterable[wire_condor.CondorJson],
        totals: wire.TotalsJson,
        status: wire.Status,
        broken: Iterable[BrokenJson] = (),
    ) -> None:
        """Publish changed positions: one event, for which clients need a snapshot.

        The caller has already filled all parts that are `Versioned`. The profit or loss of `broken` is summed whenever
        the document is read.
        """
        self.number += 1
        self._snapshot_number = self.number
        self.alerts.forget_gone()
        self._condors = {condor.id: condor for condor in condors}
        self._fill_histories({condor.id: condor.history for condor in self._condors.values()})
        self._broken = {condor.id: condor for condor in broken}
        self._underlying_of = {
            leg.symbol: condor.underlying for condor in self._condors.values() for leg in condor.legs
        }
        self._underlying_of |= {
            symbol: entry.underlying for symbol, entry in self.unmatched.json.items() if entry.underlying is not None
        }
        self.totals, self.status = totals, status

    def extend(self, histories: Mapping[str, wire_condor.HistoryJson]) -> None:
        """Publish histories in this event, by condor id, that each have one more point at the end."""
        for identity, history in histories.items():
            numbers = self._histories.core[identity]
            numbers.append(self.number)
            self._histories.put(identity, numbers, history, self.number)

    def append(self, points: wire.NewPoints) -> None:
        """Publish more points of one history in this event. A history that is not known stays unknown."""
        history = self._histories.json.get(points.id)
        if history is None:
            return
        numbers = self._histories.core[points.id]
        numbers += [self.number] * len(points.seconds)
        longer = wire_condor.HistoryJson(
            seconds=[*history.seconds, *points.seconds], cents=[*history.cents, *points.cents]
        )
        self._histories.put(points.id, numbers, longer, self.number)

    def restart(self, histories: Mapping[str, wire_condor.HistoryJson]) -> None:
        """Publish exactly these histories, by condor id, in this event, for which clients need a snapshot."""
        self._restart_number = self.number
        self._fill_histories(histories)

    def _fill_histories(self, histories: Mapping[str, wire_condor.HistoryJson]) -> None:
        """Publish whole histories.

        The core value of each, the list of events that have added a point since, is empty.
        """
        self._histories.fill(
            (identity, [], histories.get(identity, wire_condor.HistoryJson())) for identity in self._condors
        )

    @property
    def assumes_multipliers(self) -> bool:
        """Whether a contract has not been read, so that a snapshot follows when it is."""
        legs = (leg for condor in self._condors.values() for leg in condor.legs)
        unmatched = self.unmatched.json.values()
        return any(leg.multiplier_assumed for leg in legs) or any(each.multiplier_assumed for each in unmatched)

    def document(self, now_at: dt.datetime, selection: Selection = EVERYTHING) -> wire.Document:
        """Return the document, or what `selection` shows of it; totals, alerts and status are always complete.

        `now_at` becomes its `asOf`.
        """
        shown = self._shown(selection)
        condors = shown.condors
        return wire.Document(
            version=self.version,
            as_of=now_at,
            status=self.status,
            account=self.account,
            underlyings=self.underlyings.among(shown.underlyings),
            condors=[self._condor(identity) for identity in self._condors if condors is None or identity in condors],
            broken=[
                self._valued(condor)
                for identity, condor in self._broken.items()
                if condors is None or identity in condors
            ],
            unmatched=self.unmatched.among(shown.unmatched),
            quotes=self.quotes.among(shown.quotes),
            alerts=[*self.alerts.shown.values()],
            totals=self.totals,
        )

    def one(self, identity: str, now_at: dt.datetime) -> wire.OneCondor | None:
        """Return one condor with the quotes of its legs, or None if there is none with that id."""
        if identity not in self._condors:
            return None
        condor = self._condor(identity)
        quotes = [self.quotes.json[leg.symbol] for leg in condor.legs]
        return wire.OneCondor(as_of=now_at, condor=condor, quotes=quotes)

    def needs_snapshot(self, since: int) -> bool:
        """Whether a client at event `since` cannot be brought up to date by a delta."""
        return since < max(self._snapshot_number, self._restart_number)

    def delta(self, since: int, now_at: dt.datetime, selection: Selection = EVERYTHING) -> wire.Delta | None:
        """Return all changes after event `since` that `selection` shows, joined into one; None if there are none.

        A history that has new points has them all in one `NewPoints`. The caller has checked `needs_snapshot`.
        """
        condors, quotes, unmatched, underlyings = self._shown(selection)
        closing = [
            ClosingOrders(id=identity, orders=self.closing.json[identity])
            for identity in self.closing.since(since, condors)
        ]
        history = [self._new_points(identity, since) for identity in self._histories.since(since, condors)]
        alerts, gone = self.alerts.since(since)
        delta = wire.Delta(
            as_of=now_at,
            quotes=self.quotes.new(since, quotes),
            valuations=self.valuations.new(since, condors),
            unmatched=self.unmatched.new(since, unmatched),
            risks=self.risks.new(since, condors) or msgspec.UNSET,
            underlyings=self.underlyings.new(since, underlyings) or msgspec.UNSET,
            closing=closing or msgspec.UNSET,
            history=history or msgspec.UNSET,
            alerts=alerts or msgspec.UNSET,
            alerts_gone=gone or msgspec.UNSET,
            totals=self.totals if self._totals_number > since else msgspec.UNSET,
            account=self.account if self._account_number > since else msgspec.UNSET,
            status=self.status if self._status_number > since else msgspec.UNSET,
        )
        return None if delta == wire.Delta(as_of=now_at, quotes=[], valuations=[], unmatched=[]) else delta

    @property
    def tally(self) -> Tally:
        """Count the published parts; this walks over the document."""
        valued = [value.as_of for value in self.valuations.json.values() if value.as_of is not None]
        is_lost = self.status.code in wire.LOST_CODES
        return Tally(
            condors=len(self._condors),
            unmatched=len(self.unmatched.json),
            quotes=len(self.quotes.json),
            unconfirmed=sum(is_lost or quote.unconfirmed for quote in self.quotes.json.values()),
            oldest_valuation_at=min(valued, default=None),
        )

    def resume_from(self, version: str | None) -> int | str:
        """Return the number of the event that a client with `version` has, or the reason why it needs a snapshot.

        `ahead` means that this server has not got to that event yet.
        """
        if version is None:
            return "new"
        epoch, _, number = version.rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 20):
            return "unknownEpoch"
        since = int(number)
        if since > self.number:
            return "ahead"
        if since < self.number - self._replay_size or any(first < since < last for first, last in self._joined):
            return "replayWindowPassed"
        if since < self._snapshot_number:
            return "positionsChanged"
        if since < self._restart_number:
            return "historyRestarted"
        return since

    def _new_points(self, identity: str, since: int) -> wire.NewPoints:
        """Return the points that a client at event `since` does not have, one for each later event."""
        line, numbers = self._histories.json[identity], self._histories.core[identity]
        begin = len(line.seconds) - len(numbers) + bisect_right(numbers, since)
        return wire.NewPoints(id=identity, seconds=line.seconds[begin:], cents=line.cents[begin:])

    def _condor(self, identity: str) -> wire_condor.CondorJson:
        return msgspec.structs.replace(
            self._condors[identity],
            closing=self.closing.json[identity],
            valuation=self.valuations.json[identity],
            risk=self.risks.json[identity],
            history=self._histories.json[identity],
        )

    def _valued(self, condor: BrokenJson) -> BrokenJson:
        """Return a broken condor with the profit or loss of its remaining legs."""
        left = [(leg.held, self.unmatched.json[leg.symbol]) for leg in condor.legs if leg.held]
        pl = left_pl((held, entry.quantity, entry.unrealized_pl) for held, entry in left)
        return msgspec.structs.replace(condor, unrealized_pl=pl)

    def _shown(self, selection: Selection) -> _ShownKeys:
        """Return the parts that `selection` shows.

        A condor shows the quotes of its legs and its underlying, a broken one the quotes and entries of what is left of
        it and its underlying. A symbol shows its quote, its entry, and its underlying.
        """
        if selection.is_everything:
            return _ShownKeys()
        condors = [self._condors[identity] for identity in common(selection.condors, self._condors)]
        broken = [self._broken[identity] for identity in common(selection.condors, self._broken)]
        left = [leg.symbol for condor in broken for leg in condor.legs if leg.held]
        legs = (leg.symbol for condor in condors for leg in condor.legs)
        symbols = common(selection.symbols, self._underlying_of)
        underlyings = {condor.underlying for condor in condors} | {condor.underlying for condor in broken}
        return _ShownKeys(
            condors=selection.condors,
            quotes=common(selection.symbols, self.quotes.json).union(left, legs),
            unmatched=common(selection.symbols, self.unmatched.json).union(left),
            underlyings=frozenset(underlyings.union(self._underlying_of[symbol] for symbol in symbols)),
        )
