"""Hold back a changed account while its legs may still be changing.

A multi-leg order fills leg by leg, so one reading may contain 1 to 3 of its 4 legs. A reading with leftovers that were
not there before is therefore held back for `settle_seconds`, while the last complete account stays. A reading without
new leftovers is shown at once. If there are still new leftovers when the time is over, the account is shown as it is.
The time runs from the first reading held back, so readings that keep changing do not extend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

Reading = TypeVar("Reading")


class SettleDelay(Generic[Reading]):
    """Holds back readings with new leftovers. With `settle_seconds` 0 it holds back nothing."""

    def __init__(self, settle_seconds: float) -> None:
        self.settle_seconds = settle_seconds
        self._held: Reading | None = None
        self._since: float | None = None
        self._leftovers: Mapping[str, int] | None = None
        self._held_leftovers: Mapping[str, int] = {}

    @property
    def deadline(self) -> float | None:
        """When `expire` is due, in loop seconds; None if nothing is held back."""
        return None if self._since is None else self._since + self.settle_seconds

    def offer(self, reading: Reading, leftovers: Mapping[str, int], now: float) -> Reading | None:
        """Take a reading, and return the reading to show, or None while it is held back.

        `leftovers` has the signed contracts in no condor, by symbol. The first reading is never held back.
        """
        if self._leftovers is None or self.settle_seconds <= 0 or not self._has_new(leftovers):
            return self._show(reading, leftovers)
        self._held = reading
        self._held_leftovers = leftovers
        if self._since is None:
            self._since = now
        return self.expire(now)

    def expire(self, now: float) -> Reading | None:
        """The reading that has been held back long enough, or None."""
        deadline = self.deadline
        if deadline is None or now < deadline or self._held is None:
            return None
        return self._show(self._held, self._held_leftovers)

    def _show(self, reading: Reading, leftovers: Mapping[str, int]) -> Reading:
        self._held = self._since = None
        self._leftovers = dict(leftovers)
        return reading

    def _has_new(self, leftovers: Mapping[str, int]) -> bool:
        """Whether there are leftovers that were not there before."""
        before = self._leftovers or {}
        return any(
            abs(quantity) > abs(before.get(symbol, 0)) or quantity * before.get(symbol, 0) < 0
            for symbol, quantity in leftovers.items()
        )
