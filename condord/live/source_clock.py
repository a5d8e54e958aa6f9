"""The exchange's time, estimated from the events of another server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from condord.live.exchange_clock import ExchangeClock

PERIOD = dt.timedelta(minutes=1)
"""How long the fastest event counts, at least: clocks drift, by a few milliseconds in that time at most."""
SAME = dt.timedelta(seconds=1)
"""If the first event of a connection is later by less than this, only the way is longer, and the time goes on."""


class SourceClock(ExchangeClock):
    """The machine's clock plus the offset of the event that was delivered fastest.

    So the clock is behind by the time of that delivery, and an event of its source is never in the future. `lag` is how
    much longer the newest event took.
    """

    def __init__(self, machine_at: Callable[[], dt.datetime]) -> None:
        super().__init__(machine_at)
        self.lag = dt.timedelta()
        self._begun_at: dt.datetime | None = None
        self._is_known = False
        self._fastest = self._fastest_before = dt.timedelta()

    def observe(self, as_of: dt.datetime) -> None:
        """Take the time of an event that has just arrived."""
        at = self.machine_at()
        offset = as_of - at
        if self._begun_at is None:
            is_same = self._is_known and dt.timedelta() <= self.offset - offset < SAME
            self._begun_at, self._fastest, self._fastest_before = at, offset, self.offset if is_same else offset
            self._is_known = True
        elif not dt.timedelta() <= at - self._begun_at < PERIOD:
            self._begun_at, self._fastest, self._fastest_before = at, offset, self._fastest
        self._fastest = max(self._fastest, offset)
        self.offset = max(self._fastest, self._fastest_before)
        self.lag = self.offset - offset

    def forget(self) -> None:
        """Begin again: another connection may be slower or faster, or go to a machine with another clock."""
        self._begun_at = None
