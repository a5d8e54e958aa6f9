"""Decides when what changed may leave: the first change after a quiet time at once, then one event a window.

Time is an argument, in seconds of the loop's clock. `offer` says that something may have changed, `deadline` when to
ask, `take` whether to send now, `sent` that an event left, which opens a window.
"""

from __future__ import annotations


class Coalescer:
    """`window_seconds` is the least time between two events."""

    def __init__(self, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._offered_at: float | None = None
        self._sent_at: float | None = None

    def offer(self, now: float) -> bool:
        """Something may have changed at `now`; True if nothing waited before, so that the deadline is a new one."""
        if self._offered_at is not None:
            return False
        self._offered_at = now
        return True

    @property
    def deadline(self) -> float | None:
        """When `take` will say yes: never later than a window after the first offer. None: nothing waits."""
        if self._offered_at is None:
            return None
        if self._sent_at is None:
            return self._offered_at
        return max(self._offered_at, self._sent_at + self.window_seconds)

    def take(self, now: float) -> bool:
        """Whether to send now; what was offered counts as taken then."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return False
        self._offered_at = None
        return True

    def sent(self, now: float) -> None:
        """An event left at `now`."""
        self._sent_at = now
