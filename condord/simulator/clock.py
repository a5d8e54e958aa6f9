"""The time in the simulated market, its opening hours, and its calendar."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal
from zoneinfo import ZoneInfo

from condord.core.market_hours import LATE
from condord.simulator.holidays import EARLY_CLOSE, closes_early, is_holiday

Opening = Literal["always", "hours", "never"]
"""When the market is open.

- `always`: at any hour, seven days a week, although the clock announces a next close; before the day of the start, days
  have sessions as in `hours`
- `hours`: 09:30 to 16:00 in New York, with the exchange's holidays and early closes; some options trade longer
- `never`: closed
"""

NEW_YORK = ZoneInfo("America/New_York")
_OPEN = dt.time(9, 30)
_CLOSE = dt.time(16, 0)
_ALWAYS_CLOSES_AFTER = dt.timedelta(hours=6, minutes=30)
_DAY = dt.timedelta(days=1)


class MarketClock:
    """The market's clock; instants are aware UTC datetimes, `now` is seconds of the loop clock.

    Simulated time begins at `started_at` and runs `speed` times as fast as the loop clock. Changes of `opening` and
    `speed` do not make it jump; `set_at` does.
    """

    def __init__(
        self,
        *,
        started_at: dt.datetime,
        now: float,
        opening: Opening = "always",
        speed: float = 1.0,
    ) -> None:
        self.opening = opening
        self._speed = speed
        self._base_at = started_at
        self._base = now
        self._anchor_at = started_at.replace(minute=0, second=0, microsecond=0)
        self._first_day = started_at.astimezone(NEW_YORK).date()

    @property
    def speed(self) -> float:
        """How many simulated seconds pass in one real second."""
        return self._speed

    def set_opening(self, opening: Opening) -> None:
        """Open and close by `opening` from now on."""
        self.opening = opening

    def set_speed(self, speed: float, now: float) -> None:
        """Run `speed` times as fast from `now` on."""
        self._base_at, self._base, self._speed = self.at(now), now, speed

    def set_at(self, at: dt.datetime, now: float) -> None:
        """Set the simulated time at `now` to `at`."""
        self._base_at, self._base = at, now

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

    def is_late(self, at: dt.datetime) -> bool:
        """Whether `at` is in the 15 minutes after the close in which some options still trade."""
        if self.opening != "hours":
            return False
        hours = self._hours(at.astimezone(NEW_YORK).date())
        return hours is not None and hours[1] <= at < hours[1] + LATE

    def session_close(self, day: dt.date) -> dt.datetime | None:
        """When the session of `day` ends; None if it has none."""
        hours = self._hours(day)
        return None if hours is None else hours[1].astimezone(dt.UTC)

    def next_open(self, at: dt.datetime) -> dt.datetime:
        """The first opening after `at`; in a market that is always open, the one after its next close."""
        if self.opening == "always":
            return self.next_close(at) + _DAY - _ALWAYS_CLOSES_AFTER
        return self._next(at, 0)

    def next_close(self, at: dt.datetime) -> dt.datetime:
        """The first close after `at`; in a market that is always open, one per day, 6.5 hours after the start."""
        if self.opening == "always":
            first = self._anchor_at + _ALWAYS_CLOSES_AFTER
            return first + max(0, (at - first) // _DAY + 1) * _DAY
        return self._next(self.next_open(at) if self.opening == "never" else at, 1)

    def session_day(self, at: dt.datetime) -> dt.date:
        """The date of the newest session that has begun; in a market that never opens, by the exchange's hours."""
        day = at.astimezone(NEW_YORK).date()
        while (hours := self._hours(day)) is None or hours[0] > at:
            day -= _DAY
        return day

    def session_before(self, day: dt.date) -> dt.date:
        """The date of the last session before `day`."""
        day -= _DAY
        while self._hours(day) is None:
            day -= _DAY
        return day

    def clock_json(self, at: dt.datetime) -> dict[str, Any]:
        """The body of `GET /v2/clock`, in New York time as at Alpaca."""
        return {
            "timestamp": at.astimezone(NEW_YORK).isoformat(),
            "is_open": self.is_open(at),
            "next_open": self.next_open(at).astimezone(NEW_YORK).isoformat(timespec="seconds"),
            "next_close": self.next_close(at).astimezone(NEW_YORK).isoformat(timespec="seconds"),
        }

    def calendar(self, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        """The body of `GET /v2/calendar`: one row per trading day from `start` to `end`, both included.

        It has the exchange's hours, by which contracts end, even if the market is always open; then every day from that
        of the start on is a trading day.
        """
        rows = []
        for offset in range(max(0, (end - start).days + 1)):
            day = start + offset * _DAY
            hours = self._hours(day)
            if hours is not None:
                rows.append(_calendar_row(day, hours))
        return rows

    def _hours(self, day: dt.date) -> tuple[dt.datetime, dt.datetime] | None:
        is_extra = self.opening == "always" and day >= self._first_day
        if not is_extra and (day.weekday() >= 5 or is_holiday(day)):
            return None
        closes = EARLY_CLOSE if closes_early(day) else _CLOSE
        return dt.datetime.combine(day, _OPEN, NEW_YORK), dt.datetime.combine(day, closes, NEW_YORK)

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
