"""The prices of the underlyings in the two months before the simulator started.

They are a random walk through prices that are given: those at which a portfolio traded, the last close, and the price
at the start. A day is drawn on first use and depends only on the seed. A quarter of its variance occurs in the night.
Before the session of the start there are only the exchange's sessions, even in a market that is always open.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from condord.simulator.past_calendar import session_hours, sessions_between
from condord.simulator.underlyings import Underlyings

PAST_DAYS = 64
"""How many days before the start the past begins."""

_DAY = dt.timedelta(days=1)
_NIGHT = 0.25  # of a day's variance
_SESSIONS_PER_YEAR = 252
_STEP_SECONDS = 60
_FINE_SESSIONS = 2  # the newest ones; older ones have a price every five minutes
_COARSE_STEP_SECONDS = 300

Knots = Mapping[str, Sequence[tuple[float, float]]]
"""Given prices by underlying, as (seconds since 1970, dollars)."""


class PastSession(msgspec.Struct, frozen=True, kw_only=True):
    """A past session, and its hours in seconds since 1970."""

    day: dt.date
    open: float
    close: float


class PastDay(msgspec.Struct, frozen=True, kw_only=True):
    """The prices in a day's bar, in dollars."""

    open: float
    high: float
    low: float
    close: float


class _Points(msgspec.Struct, frozen=True):
    """Logarithms of prices by time, ascending; time is in days of trading, of which the night is the first quarter."""

    times: list[float]
    logs: list[float]

    def at(self, time: float) -> float:
        """The price at `time`, interpolated; before the first point the first one, after the last one the last."""
        above = bisect_left(self.times, time)
        if above == 0 or above == len(self.times):
            return math.exp(self.logs[min(above, len(self.times) - 1)])
        before, after = self.times[above - 1], self.times[above]
        share = (time - before) / (after - before)
        return math.exp(self.logs[above - 1] + (self.logs[above] - self.logs[above - 1]) * share)


class PastPath:
    """The past of `underlyings`, which start at `started_at` seconds; `before` is the last session before the newest.

    Knots outside the past have no effect.
    """

    def __init__(
        self, underlyings: Underlyings, *, seed: int, started_at: float, before: dt.date, knots: Knots | None = None
    ) -> None:
        self.before = before
        self.session_day = underlyings.session_day
        self.sessions = [
            _session(day) for day in [*sessions_between(before - PAST_DAYS * _DAY, before), before, self.session_day]
        ]
        self._opens = [session.open for session in self.sessions]
        self._underlyings = underlyings
        self._seed = seed
        self._now = max(self._time(started_at), len(self.sessions) - 1 + _NIGHT)
        self._knots: dict[str, list[tuple[float, float]]] = {}
        for name, given in (knots or {}).items():
            leader, ratio = underlyings.leader(name)
            self._knots.setdefault(leader, []).extend((second, price / ratio) for second, price in given)
        self._outlines: dict[str, _Points] = {}
        self._days: dict[tuple[str, int], _Points] = {}

    def price(self, name: str, second: float) -> float:
        """The price of an underlying: in a session the one of that time, else the last close.

        Raises:
            KeyError: there is no such underlying.
        """
        leader, ratio = self._underlyings.leader(name)
        index = max(0, bisect_right(self._opens, second) - 1)
        return self._points(leader, index).at(min(self._time(second), self._now)) * ratio

    def day(self, name: str, day: dt.date) -> PastDay | None:
        """The prices of a past session, the newest only up to the start; None if there was no session on `day`.

        Raises:
            KeyError: there is no such underlying.
        """
        index = next((index for index, session in enumerate(self.sessions) if session.day == day), None)
        if index is None:
            return None
        leader, ratio = self._underlyings.leader(name)
        logs = self._points(leader, index).logs
        first, high, low, last = (round(math.exp(log) * ratio, 2) for log in (logs[0], max(logs), min(logs), logs[-1]))
        return PastDay(open=first, high=high, low=low, close=last)

    def _time(self, second: float) -> float:
        index = max(0, bisect_right(self._opens, second) - 1)
        session = self.sessions[index]
        passed = (min(max(second, session.open), session.close) - session.open) / (session.close - session.open)
        return index + _NIGHT + (1 - _NIGHT) * passed

    def _points(self, name: str, index: int) -> _Points:
        """The prices of an underlying that follows no other, in one session."""
        key = name, index
        if key not in self._days:
            session, outline = self.sessions[index], self._outline(name)
            step = _STEP_SECONDS if index >= len(self.sessions) - _FINE_SESSIONS else _COARSE_STEP_SECONDS
            count = round((session.close - session.open) / step)
            first, last = index + _NIGHT, min(index + 1.0, self._now)
            begin, end = bisect_left(outline.times, first), bisect_right(outline.times, last)
            given = _Points(outline.times[begin:end], outline.logs[begin:end])
            times = [index + _NIGHT + (1 - _NIGHT) * number / count for number in range(count + 1)]
            draw = self._draw(name, session.day.isoformat())
            self._days[key] = _bridged(given, [time for time in times if time < last], self._deviation(name), draw)
        return self._days[key]

    def _outline(self, name: str) -> _Points:
        """The given prices, with an opening price and a close for each past session."""
        if name in self._outlines:
            return self._outlines[name]
        start, close = self._underlyings.start(name), self._underlyings.close_before_start(name)
        ends = {len(self.sessions) - 1.0: math.log(close), self._now: math.log(start)}
        given = {
            self._time(second): math.log(price)
            for second, price in self._knots.get(name, ())
            if self.sessions[0].open < second and self._time(second) < self._now
        }
        known = dict(sorted((given | ends).items()))
        deviation, draw = self._deviation(name), self._draw(name, "outline")
        first, log = next(iter(known.items()))
        edges = sorted(edge for index in range(len(self.sessions)) for edge in (index + _NIGHT, index + 1.0))
        for edge in reversed([edge for edge in edges if edge < first]):
            log += draw.gauss(0.0, 1.0) * deviation * math.sqrt(first - edge)
            known[edge], first = log, edge
        known = dict(sorted(known.items()))
        between = [edge for edge in edges if edge < self._now]
        self._outlines[name] = _bridged(_Points([*known], [*known.values()]), between, deviation, draw)
        return self._outlines[name]

    def _deviation(self, name: str) -> float:
        return self._underlyings.volatility(name) / math.sqrt(_SESSIONS_PER_YEAR)

    def _draw(self, name: str, part: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}/past/{part}")  # noqa: S311 - prices, not secrets


def _session(day: dt.date) -> PastSession:
    opens, closes = session_hours(day)
    return PastSession(day=day, open=opens.timestamp(), close=closes.timestamp())


def _bridged(given: _Points, times: Sequence[float], deviation: float, draw: random.Random) -> _Points:
    """The points of `given` and, at each of `times` between the first and the last one, a point of a random walk."""
    new_times, new_logs = [given.times[0]], [given.logs[0]]
    for end, end_log in zip(given.times[1:], given.logs[1:], strict=True):
        time, log = new_times[-1], new_logs[-1]
        for between in times[bisect_right(times, time) : bisect_left(times, end)]:
            share = (between - time) / (end - time)
            spread = deviation * math.sqrt((between - time) * (end - between) / (end - time))
            time, log = between, log + (end_log - log) * share + draw.gauss(0.0, 1.0) * spread
            new_times.append(time)
            new_logs.append(log)
        new_times.append(end)
        new_logs.append(end_log)
    return _Points(new_times, new_logs)
