"""The profit or loss of each condor over a session, with one point at the end of each minute.

A history only grows by a point at its end, which a delta can append. Another day, a clock set back and a full history
restart all histories, which takes a snapshot. Histories live in memory.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

from condord.core.condor import Condor
from condord.core.market_hours import exchange_day
from condord.core.valuation import Valuation
from condord.live import wire_condor

STEP_SECONDS = 60
MARGIN_SECONDS = 0.05
"""How long after the end of a minute its points are taken: a timer that fires early would still be within it."""
MAX_POINTS = 480
"""The maximum of one history: eight hours. The longest session, of options on broad indexes, has 405 minutes."""
DROPPED_POINTS = 60
"""How many points a full history drops at once, so that not every later minute takes a snapshot."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What `add` changed, by condor id: the histories that are one point longer, or all histories if `is_restart`."""

    histories: Mapping[str, wire_condor.HistoryJson] = {}
    is_restart: bool = False


class PlHistory:
    """The histories by condor id. Points are taken while the stream is live; `deadline` is in loop seconds.

    A history belongs to one holding: if a condor is closed or changes its quantity or credit, the next one with its id
    starts without points. The first point of another day drops all histories, so an evening still shows its session.
    """

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._is_first = False
        self._histories: dict[str, wire_condor.HistoryJson] = {}
        self._holdings: dict[str, tuple[int, int | None]] = {}
        self._day: dt.date | None = None

    def hold(self, condors: Iterable[Condor]) -> None:
        """Drop the histories of all but `condors`."""
        holdings = {condor.id: (condor.quantity, condor.credit_e4) for condor in condors}
        before, self._holdings = self._holdings, holdings
        self._histories = {
            identity: history
            for identity, history in self._histories.items()
            if holdings.get(identity) == before.get(identity)
        }

    def follow(self, now: float, *, is_live: bool) -> None:
        """Take points from the end of this minute on if the stream is live, and none otherwise."""
        if not is_live:
            self.deadline = None
        elif self.deadline is None:
            self.deadline, self._is_first = now, True

    def is_due(self, now: float, now_at: dt.datetime) -> bool:
        """Whether to call `add` now; `deadline` moves to the end of the next minute."""
        if self.deadline is None or now < self.deadline:
            return False
        into_minute = (now_at.timestamp() - MARGIN_SECONDS) % STEP_SECONDS
        self.deadline = now + STEP_SECONDS - into_minute
        is_due, self._is_first = not self._is_first, False
        return is_due

    def add(self, values: Iterable[Valuation], now_at: dt.datetime) -> Growth:
        """Add a point for each condor at the minute that ended last before `now_at`, unless it has that point.

        A condor whose profit or loss is unknown or unconfirmed gets none.
        """
        points = {value.id: cents for value in values if (cents := _cents(value)) is not None}
        second = int(now_at.timestamp()) // STEP_SECONDS * STEP_SECONDS
        points = {identity: cents for identity, cents in points.items() if self.of(identity).seconds[-1:] != [second]}
        if not points:
            return Growth()
        is_restart = self._make_room(exchange_day(now_at), second, points.keys())
        longer = {identity: _longer(self.of(identity), second, cents) for identity, cents in points.items()}
        self._histories = {**self._histories, **longer}
        return Growth(histories=self._histories if is_restart else longer, is_restart=is_restart)

    def of(self, identity: str) -> wire_condor.HistoryJson:
        """Return the history of a condor; empty if it has none."""
        return self._histories.get(identity, wire_condor.HistoryJson())

    def _make_room(self, day: dt.date, second: int, identities: Iterable[str]) -> bool:
        """Drop what cannot precede a point at `second` of `identities`; True if anything was dropped."""
        before = self._histories
        if day != self._day:
            self._day, self._histories = day, {}
        else:
            self._histories = {**before, **{identity: _before(self.of(identity), second) for identity in identities}}
        return any(history != self.of(identity) for identity, history in before.items())


def _cents(value: Valuation) -> int | None:
    """Return the profit or loss to the cent; None if it is unknown or unconfirmed."""
    return None if value.unrealized_e4 is None or value.unconfirmed else round(value.unrealized_e4 / 100)


def _before(history: wire_condor.HistoryJson, second: int) -> wire_condor.HistoryJson:
    """Return the points before `second`. These are all points unless the clock was set back or the history is full."""
    end = bisect_left(history.seconds, second)
    begin = DROPPED_POINTS if end == MAX_POINTS else 0
    if end - begin == len(history.seconds):
        return history
    return wire_condor.HistoryJson(seconds=history.seconds[begin:end], cents=history.cents[begin:end])


def _longer(history: wire_condor.HistoryJson, second: int, cents: int) -> wire_condor.HistoryJson:
    return wire_condor.HistoryJson(seconds=[*history.seconds, second], cents=[*history.cents, cents])
