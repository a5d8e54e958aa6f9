"""Decides which points the line of a session has: the profit or loss of each condor, at most one a minute.

Points are taken while the stream is live, which it is in market hours alone, of each condor whose profit or loss is
known and confirmed; otherwise its line has a hole. The first point of another day at the exchange begins all lines
anew, so that an evening still shows its session. The lines live in memory, for the condors held.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable

from condord.core.session import exchange_day
from condord.core.valuation import Valuation
from condord.live import wire

STEP_SECONDS = 60.0
MOST_POINTS = 480
"""Of one line: eight hours. The longest session, of options on broad indexes, has 405 minutes."""


class Trail:
    """The lines by condor. Time is an argument: loop seconds for `deadline`, UTC for the points."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._lines: dict[str, wire.History] = {}
        self._day: dt.date | None = None

    def follow(self, now: float, *, is_live: bool) -> None:
        """From `now` on points may be taken, or not; the first one a step after that."""
        if not is_live:
            self.deadline = None
        elif self.deadline is None:
            self.deadline = now + STEP_SECONDS

    def take(self, now: float) -> bool:
        """Whether points are due; they count as taken then."""
        if self.deadline is None or now < self.deadline:
            return False
        self.deadline = now + STEP_SECONDS
        return True

    def add(self, held: Iterable[Valuation], now_at: dt.datetime) -> bool:
        """Take a point of each of the condors held; False if there was none to take."""
        profits = {value.id: _cents(value) for value in held}
        if all(cents is None for cents in profits.values()):
            return False
        day = exchange_day(now_at)
        lines = self._lines if day == self._day else {}
        second = int(now_at.timestamp())
        self._day = day
        self._lines = {
            name: line if cents is None else _longer(line, second, cents)
            for name, cents in profits.items()
            for line in (lines.get(name, wire.History()),)
        }
        return True

    def line(self, name: str) -> wire.History:
        """The line of a condor; empty if it has none."""
        return self._lines.get(name, wire.History())


def _cents(value: Valuation) -> int | None:
    """The profit or loss to the cent; None where it is not to be drawn."""
    return None if value.unrealized_e4 is None or value.unconfirmed else round(value.unrealized_e4 / 100)


def _longer(line: wire.History, second: int, cents: int) -> wire.History:
    """`line` with a point more. A clock that was set back takes what lies ahead of it out."""
    end = bisect_left(line.seconds, second)
    begin = max(0, end - MOST_POINTS + 1)
    return wire.History(seconds=[*line.seconds[begin:end], second], cents=[*line.cents[begin:end], cents])
