"""When to read activities again that should explain a change of the account.

Contracts that are assigned, exercised or expire leave the positions first, and Alpaca books them seconds later, or the
morning after. Activities are read `FIRST_SECONDS` after such a change, and again after pauses that double, until the
regular reading is as frequent. They are read once more when the change is explained, as another reader may have found
the booking.
"""

from __future__ import annotations

FIRST_SECONDS = 5.0
"""The first pause. Most changes are fills, and explained sooner, when the order has been read too."""


class AwaitedBookings:
    """The changes that await a booking; `regular_seconds` is how often activities are read anyway."""

    def __init__(self, regular_seconds: float) -> None:
        self._regular_seconds = regular_seconds
        self._awaited: frozenset[str] = frozenset()
        self._pause = FIRST_SECONDS
        self._due: float | None = None
        self._has_read = False

    def is_due(self, awaited: frozenset[str], now: float) -> bool:
        """Take the changes that await a booking now, by unique keys; True if activities are to be read.

        `now` is in loop seconds.
        """
        before, self._awaited = self._awaited, awaited
        if awaited - before:
            self._pause, self._due = FIRST_SECONDS, now + FIRST_SECONDS
        elif not awaited and not self._has_read:
            self._due = None
        elif awaited != before:
            self._due = now
        if self._due is None or now < self._due:
            return False
        self._pause *= 2
        self._due = now + self._pause if awaited and self._pause < self._regular_seconds else None
        self._has_read = bool(awaited)
        return True
