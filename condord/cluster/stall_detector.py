"""Tells a silence of the other side from a stall of this process.

A process that was stopped (SIGSTOP, a paused virtual machine) finds all its timers due when it continues, before it has
read anything. To a timer, that looks like a silence of the other side. So it reads for a while before it judges one.
"""

from __future__ import annotations

STALL_SECONDS = 0.5
"""If two checks are further apart than this, the process did not run between them."""
GRACE_SECONDS = 1.0
"""How long such a process reads before it judges: two heartbeats, as the other side may have been stopped, too."""


class StallDetector:
    """Whether this process has run for long enough to judge a silence; it is checked ten times a second."""

    def __init__(self, now: float) -> None:
        self._checked_at = now
        self._resumed_at: float | None = None  # while it still reads

    def has_recovered(self, now: float) -> bool:
        """Whether a silence that lasts at `now` is one of the other side, as this process is not or no longer stalled.

        A loop that is always late returns True as well, but less often.
        """
        late, self._checked_at = now - self._checked_at, now
        if late > (STALL_SECONDS if self._resumed_at is None else GRACE_SECONDS):
            self._resumed_at = now
        elif self._resumed_at is not None and now - self._resumed_at >= GRACE_SECONDS:
            self._resumed_at = None
        return self._resumed_at is None
