"""Decides which points the line of a session has: the profit or loss of each condor, at most one a minute.

Points are taken while the stream is live, which it is in market hours alone, of each condor whose profit or loss is
known and confirmed; otherwise its line has a hole. A line is of one holding: a condor that is closed, or changes its
quantity or its credit, leaves none to what has its name afterwards. The first point of another day at the exchange
begins all lines anew, so that an evening still shows its session. They live in memory.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable

from condord.core.condor import Condor
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
        self._holdings: dict[str, tuple[int, int | None]] = {}
        self._day: dt.date | None = None

    def hold(self, condors: Iterable[Condor]) -> None:
        """These are held from now on: the lines of all others end."""
        holdings = {condor.id: (condor.quantity, condor.credit_e4) for condor in condors}
        before, self._holdings = self._holdings, holdings
        self._lines = {name: line for name, line in self._lines.items() if holdings.get(name) == before.get(name)}

    def follow(self, now: float, *, is_live: bool) -> None:
        """From `now` on points may be taken, or not; the first one a step after that."""
        if not is_live:
            self.deadline = None
        elif self.deadline is None:
            self.deadline = now + STEP_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether it is time for points; then the next ones are due a step later."""
        if self.deadline is None or now < self.deadline:
            return False
        self.deadline = now + STEP_SECONDS
        return True

    def add(self, values: Iterable[Valuation], now_at: dt.datetime) -> dict[str, wire.History]:
        """Take a point of each of the condors held; the lines that have grown."""
        points = {value.id: cents for value in values if (cents := _cents(value)) is not None}
        day = exchange_day(now_at)
        if points and day != self._day:
            self._day, self._lines = day, {}
        second = int(now_at.timestamp())
        grown = {name: _longer(self.line(name), second, cents) for name, cents in points.items()}
        self._lines |= grown
        return grown

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
