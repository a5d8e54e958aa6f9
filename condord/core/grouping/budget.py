"""Count the legs that a search has looked at, so that it ends after the same steps on every machine.

The budget is counted in legs, never in time, so the same account is always grouped the same way. A search also calls
`pause` regularly. There, a worker thread can yield the processor, or give up the search by raising.
"""

from __future__ import annotations

from collections.abc import Callable

PAUSE_LEGS = 4_000
"""About 2 ms of a search on a slow machine."""


def go_on() -> None:
    """Do nothing, for a search that need not yield to anything."""


class SearchBudget:
    """The budget of one search: it may look at `limit` legs."""

    def __init__(self, limit: int, pause: Callable[[], None] = go_on) -> None:
        self.limit = limit
        self.spent = 0
        self._pause = pause
        self._pause_at = PAUSE_LEGS

    def spend(self, legs: int) -> None:
        """Count `legs` more. Raises what `pause` raises."""
        self.spent += legs
        if self.spent >= self._pause_at:
            self._pause_at = self.spent + PAUSE_LEGS
            self._pause()

    @property
    def left(self) -> int:
        """How many more legs may be looked at; never below 0."""
        return max(0, self.limit - self.spent)
