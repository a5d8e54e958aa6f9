"""The exchange's known sessions by day.

They come from Alpaca's calendar: the calendar libraries cost 75 MB, and one missed an early close. Between its first
and its last day the calendar is complete, so a day without a row is a holiday. Outside that range, or without a
calendar, every weekday counts as a regular session. It is better to expect trading on a holiday than to miss a session.
"""

from __future__ import annotations

import datetime as dt
from itertools import count

import msgspec

from condord.core.market_hours import Hours, hours_of

DAY = dt.timedelta(days=1)
REGULAR = dt.time(9, 30), dt.time(16)
"""The opening and closing time of an ordinary day in New York."""
_SATURDAY = 5


class Calendar(msgspec.Struct, frozen=True):
    """The sessions in Alpaca's calendar, by day ascending. `Calendar()` contains none."""

    sessions: dict[dt.date, Hours] = {}

    def knows(self, day: dt.date) -> bool:
        """Whether the calendar covers `day`, so that a missing session there is a holiday."""
        return bool(self.sessions) and next(iter(self.sessions)) <= day <= next(reversed(self.sessions))

    def on(self, day: dt.date) -> Hours | None:
        """The regular session of `day`, or None on a weekend or holiday."""
        if self.knows(day):
            return self.sessions.get(day)
        return None if day.weekday() >= _SATURDAY else hours_of(day, *REGULAR)

    def last_until(self, day: dt.date) -> Hours:
        """The session of `day`, or else the last session before it."""
        return next(hours for back in count() if (hours := self.on(day - back * DAY)) is not None)

    def first_after(self, day: dt.date) -> Hours:
        """The first session after `day`."""
        return next(hours for ahead in count(1) if (hours := self.on(day + ahead * DAY)) is not None)
