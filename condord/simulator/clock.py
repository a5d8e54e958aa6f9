"""Decides what time it is in the simulated market, whether it is open, and what its calendar says.

Rules: simulated time starts at an instant and runs `speed` times as fast as the loop clock. `always` is open at
any hour and seven days a week, and closes only on paper; `hours` is 09:30 to 16:00 New York time on weekdays;
`never` is closed for good. Holidays are not known; early closes are given.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

Opening = Literal["always", "hours", "never"]

NEW_YORK = ZoneInfo("America/New_York")
_OPEN = dt.time(9, 30)
_CLOSE = dt.time(16, 0)
_ALWAYS_CLOSES_AFTER = dt.timedelta(hours=6, minutes=30)
_DAY = dt.timedelta(days=1)


class MarketClock:
    """The market's clock; instants are aware UTC datetimes, `now` is seconds of the loop clock.

    `opening` and `speed` may be changed while it runs; time never jumps when they are.
    """

    def __init__(
        self,
        *,
        started_at: dt.datetime,
        now: float,
        opening: Opening = "always",
        speed: float = 1.0,
        early_closes: Mapping[dt.date, dt.time] | None = None,
    ) -> None:
        self.opening = opening
        self.early_closes = dict(early_closes or {})
        self._speed = speed
        self._base_at = started_at
        self._base = now
        self._anchor_at = started_at.replace(minute=0, second=0, microsecond=0)

    @property
    def speed(self) -> float:
        """How many simulated seconds pass in one second."""
        return self._speed

    def set_speed(self, speed: float, now: float) -> None:
        """Run `speed` times as fast from `now` on."""
        self._base_at, self._base, self._speed = self.at(now), now, speed

    def at(self, now: float) -> dt.datetime:
        """The simulated instant at `now`."""
        return self._base_at + dt.timedelta(seconds=(now - self._base) * self._speed)

    def is_open(self, at: dt.datetime) -> bool:
        """Whether the market trades at `at`."""
        if self.opening == "always":
            return True
        if self.opening == "never":
            return False
        local = at.astimezone(NEW_YORK)
        hours = self._hours(local.date())
        return hours is not None and hours[0] <= local < hours[1]

    def next_open(self, at: dt.datetime) -> dt.datetime:
        """The first opening after `at`; for an always open market the one after its next close."""
        if self.opening == "always":
            return self.next_close(at) + _DAY - _ALWAYS_CLOSES_AFTER
        return self._next(at, 0)

    def next_close(self, at: dt.datetime) -> dt.datetime:
        """The first close after `at`; for an always open market six and a half hours after it was started."""
        if self.opening == "always":
            first = self._anchor_at + _ALWAYS_CLOSES_AFTER
            return first + max(0, (at - first) // _DAY + 1) * _DAY
        return self._next(self.next_open(at) if self.opening == "never" else at, 1)

    def answer(self, at: dt.datetime) -> dict[str, Any]:
        """The answer to `GET /v2/clock`, in New York time as Alpaca gives it."""
        return {
            "timestamp": at.astimezone(NEW_YORK).isoformat(),
            "is_open": self.is_open(at),
            "next_open": self.next_open(at).astimezone(NEW_YORK).isoformat(timespec="seconds"),
            "next_close": self.next_close(at).astimezone(NEW_YORK).isoformat(timespec="seconds"),
        }

    def calendar(self, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        """The answer to `GET /v2/calendar`: a row a trading day from `start` to `end`, both included."""
        rows = []
        for count in range(max(0, (end - start).days + 1)):
            day = start + count * _DAY
            hours = self._hours(day)
            if hours is not None:
                rows.append(_calendar_row(day, hours))
        return rows

    def _hours(self, day: dt.date) -> tuple[dt.datetime, dt.datetime] | None:
        if self.opening == "always":
            opens, closes = dt.time(0, 0), dt.time(23, 59)
        elif day.weekday() >= 5:
            return None
        else:
            opens, closes = _OPEN, self.early_closes.get(day, _CLOSE)
        return dt.datetime.combine(day, opens, NEW_YORK), dt.datetime.combine(day, closes, NEW_YORK)

    def _next(self, at: dt.datetime, edge: int) -> dt.datetime:
        day = at.astimezone(NEW_YORK).date()
        while True:
            hours = self._hours(day)
            if hours is not None and hours[edge] > at:
                return hours[edge].astimezone(dt.UTC)
            day += _DAY


def _calendar_row(day: dt.date, hours: tuple[dt.datetime, dt.datetime]) -> dict[str, Any]:
    opens, closes = hours
    settled = day + _DAY * (3 if day.weekday() == 4 else 1)
    return {
        "date": day.isoformat(),
        "open": f"{opens:%H:%M}",
        "close": f"{closes:%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": settled.isoformat(),
    }
