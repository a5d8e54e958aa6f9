"""The profit or loss of each condor over a session, with one point at the end of each minute.

A history only grows by a point at its end, which a delta can append. Another day, a clock set back, a full history and
points recalled from an earlier run restart all histories, which takes a snapshot.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping

import msgspec

from condord.core.condor import Condor
from condord.core.market_hours import exchange_day
from condord.live import wire_condor
from condord.live.minutes import MinuteRow, RecordedPast

MAX_POINTS = 480
"""The maximum of one history: eight hours. The longest session, of options on broad indexes, has 405 minutes."""
DROPPED_POINTS = 60
"""How many points a full history drops at once, so that not every later minute takes a snapshot."""

_Terms = tuple[int, int | None]
"""The quantity of a condor, and its credit in 1e-4 dollars."""


class HistoryChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes by `add`, by condor id: the histories with one more point, or all histories if `is_restart`."""

    histories: Mapping[str, wire_condor.HistoryJson] = {}
    is_restart: bool = False


class PlHistory:
    """The histories by condor id. `is_restarted` is set when they have changed other than by new points at the end.

    A history belongs to one quantity and credit of a condor: if these change, or the condor is closed, the next one
    with its id starts without points. The first point of another day drops all histories, so an evening still shows its
    session.
    """

    def __init__(self) -> None:
        self.histories: Mapping[str, wire_condor.HistoryJson] = {}
        self.is_restarted = False
        self._terms: dict[str, _Terms] = {}
        self._shown: frozenset[str] = frozenset()
        self._is_read = False
        self._day: dt.date | None = None
        self._recalled = RecordedPast()

    def take_restart(self) -> bool:
        """Whether the histories have changed since the last call other than by new points at the end."""
        is_restarted, self.is_restarted = self.is_restarted, False
        return is_restarted

    def hold(self, condors: Iterable[Condor], broken: Collection[str]) -> None:
        """Drop the histories of all but `condors`, and the `broken` ones, by their ids."""
        before = self._terms
        self._terms = {identity: before[identity] for identity in broken if identity in before}
        shown = {condor.id: (condor.quantity, condor.credit_e4) for condor in condors}
        self._terms |= shown
        self._shown, self._is_read = frozenset(shown), True
        self.histories = {
            identity: history
            for identity, history in self.histories.items()
            if self._terms.get(identity) == before.get(identity)
        }
        self._continue()

    def recall(self, past: RecordedPast | None) -> None:
        """Continue the recorded lines of condors that have the same quantity and credit; None forgets all histories."""
        if past is None:
            self.is_restarted = self.is_restarted or bool(self.histories)
            self.histories, self._terms, self._shown = {}, {}, frozenset()
            self._day, self._recalled, self._is_read = None, RecordedPast(), False
        else:
            self._recalled = past
            self._continue()

    def add(self, rows: Iterable[MinuteRow]) -> HistoryChanges:
        """Add the points of a minute from its `rows`, unless they are there.

        A condor whose profit or loss was not known gets none. Of two holdings with one id the later row counts.
        """
        newest = {row.holding.condor_id: row for row in rows if row.holding is not None}
        second = max((row.second for row in newest.values()), default=0)
        points = {
            identity: row.cents
            for identity, row in newest.items()
            if identity in self._shown and row.cents is not None and self.of(identity).seconds[-1:] != [second]
        }
        if not points:
            return HistoryChanges()
        is_restart = self._make_room(_day_of(second), second, points.keys())
        self.is_restarted = self.is_restarted or is_restart
        longer = {identity: _longer(self.of(identity), second, cents) for identity, cents in points.items()}
        self.histories = {**self.histories, **longer}
        return HistoryChanges(histories=self.histories if is_restart else longer, is_restart=is_restart)

    def of(self, identity: str) -> wire_condor.HistoryJson:
        """Return the history of a condor; empty if it has none."""
        return self.histories.get(identity, wire_condor.HistoryJson())

    def _continue(self) -> None:
        """Put the recorded points before those of this run, once for each condor.

        A first reading may have a different credit than the recorded one, as orders have not been read by then. So a
        line waits for a reading with its quantity and credit while the condor is held.
        """
        past = self._recalled
        day = max((_day_of(line.seconds[-1]) for line in past.lines.values() if line.seconds), default=None)
        if day is None or (self._day is not None and day != self._day):
            self._recalled = RecordedPast()
            return
        fitting = {
            identity
            for identity, terms in self._terms.items()
            if identity in past.lines and terms == (past.quantities.get(identity), past.credits_e4.get(identity))
        }
        longer = {identity: _preceded(self.of(identity), past.lines[identity], day) for identity in fitting}
        longer = {identity: line for identity, line in longer.items() if line != self.of(identity)}
        if longer:
            self.histories, self._day, self.is_restarted = {**self.histories, **longer}, day, True
        waiting = {
            identity: line
            for identity, line in past.lines.items()
            if identity not in fitting and (identity in self._terms or not self._is_read)
        }
        self._recalled = msgspec.structs.replace(past, lines=waiting)

    def _make_room(self, day: dt.date, second: int, identities: Iterable[str]) -> bool:
        """Drop what cannot precede a point at `second` of `identities`; True if anything was dropped."""
        before = self.histories
        if day != self._day:
            self._day, self.histories = day, {}
        else:
            self.histories = {**before, **{identity: _before(self.of(identity), second) for identity in identities}}
        return any(history != self.of(identity) for identity, history in before.items())


def _day_of(second: int) -> dt.date:
    return exchange_day(dt.datetime.fromtimestamp(second, dt.UTC))


def _before(history: wire_condor.HistoryJson, second: int) -> wire_condor.HistoryJson:
    """Return the points before `second`. These are all points unless the clock was set back or the history is full."""
    end = bisect_left(history.seconds, second)
    begin = DROPPED_POINTS if end == MAX_POINTS else 0
    if end - begin == len(history.seconds):
        return history
    return wire_condor.HistoryJson(seconds=history.seconds[begin:end], cents=history.cents[begin:end])


def _preceded(
    history: wire_condor.HistoryJson, recorded: wire_condor.HistoryJson, day: dt.date
) -> wire_condor.HistoryJson:
    """Return `history` with the recorded points of `day` that are older than all of its own, the last `MAX_POINTS`."""
    end = bisect_left(recorded.seconds, history.seconds[0]) if history.seconds else None
    points = [
        (second, cents)
        for second, cents in zip(recorded.seconds[:end], recorded.cents[:end], strict=True)
        if _day_of(second) == day
    ]
    points = [*points, *zip(history.seconds, history.cents, strict=True)][-MAX_POINTS:]
    return wire_condor.HistoryJson(seconds=[second for second, _ in points], cents=[cents for _, cents in points])


def _longer(history: wire_condor.HistoryJson, second: int, cents: int) -> wire_condor.HistoryJson:
    return wire_condor.HistoryJson(seconds=[*history.seconds, second], cents=[*history.cents, cents])
