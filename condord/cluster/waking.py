"""Judge silence only after what may have come was read.

A process that was stopped (SIGSTOP, a paused virtual machine) finds all its timers due when it continues, before it has
read anything. To a timer, that looks like a silence of the other side.
"""

from __future__ import annotations

STALL_SECONDS = 0.5
"""A look that comes later than this after the one before shows that the process did not run."""
GRACE_SECONDS = 1.0
"""How long such a process reads before it judges: two heartbeats, as the other side may have been stopped, too."""


class Waking:
    """Whether this process has run for long enough to judge a silence; to be asked ten times a second."""

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._woke_at: float | None = None  # while it still reads

    def is_awake(self, now: float) -> bool:
        """Whether a silence that lasts at `now` is one of the other side.

        A loop that is always late judges, too, only more rarely.
        """
        late, self._looked_at = now - self._looked_at, now
        if late > (STALL_SECONDS if self._woke_at is None else GRACE_SECONDS):
            self._woke_at = now
        elif self._woke_at is not None and now - self._woke_at >= GRACE_SECONDS:
            self._woke_at = None
        return self._woke_at is None
