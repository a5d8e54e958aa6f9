"""Pace events: the first change after a quiet time is sent at once, then at most one event per window.

The caller reports a possible change with `offer`, asks `take` at `deadline` whether to send, and reports with `sent`
that it did, which opens a window. Times are in seconds of the loop's clock.
"""

from __future__ import annotations


class Coalescer:
    """`window_seconds` is the minimum time between two events."""

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._offered_at: float | None = None
        self._sent_at: float | None = None

    def set_window(self, window_seconds: float) -> None:
        """Use another window from now on."""
        self.window_seconds = window_seconds

    def offer(self, now: float) -> bool:
        """Note a possible change at `now`. True if no other was waiting, so that there is a new deadline."""
        if self._offered_at is not None:
            return False
        self._offered_at = now
        return True

    @property
    def deadline(self) -> float | None:
        """When `take` returns True, at most a window after the first offer; None if nothing waits."""
        if self._offered_at is None:
            return None
        if self._sent_at is None:
            return self._offered_at
        return max(self._offered_at, self._sent_at + self.window_seconds)

    def take(self, now: float) -> bool:
        """Whether to send now. If True, the offer is cleared."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return False
        self._offered_at = None
        return True

    def sent(self, now: float) -> None:
        """Note that an event was sent at `now`."""
        self._sent_at = now
