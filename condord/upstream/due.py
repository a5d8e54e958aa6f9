"""When a read of some symbols is due: on request, for new symbols, once per period, and sooner after a failure."""

from __future__ import annotations

from collections.abc import Collection

from condord.upstream.poller import MAX_DOUBLINGS, RETRY_SECONDS

_ROUNDING_SECONDS = 1e-6
"""A timer set to exactly the pace may fire early by a rounding error, and must not have to wait again."""


class ReadSchedule:
    """The times of one kind of read, in seconds of a monotonic clock.

    A read begins `pace` seconds after the last one at the earliest. After failures it is tried
    again with growing waits, which never exceed the period; a request cuts them short.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._read_for: frozenset[str] = frozenset()
        self._is_asked = False
        self._failures = 0

    def ask(self) -> None:
        """Make the next read due as soon as the pace allows."""
        self._is_asked = True

    def is_due(self, symbols: Collection[str], now: float, *, period: float, pace: float) -> bool:
        """Whether to read `symbols` now; never if there are none."""
        if not symbols:
            return False
        waited = float("inf") if self._began is None else now - self._began + _ROUNDING_SECONDS
        if waited < pace:
            return False
        if self._is_asked or waited >= period:
            return True
        if self._failures:
            return waited >= RETRY_SECONDS * 2.0 ** min(self._failures - 1, MAX_DOUBLINGS)
        return not self._read_for.issuperset(symbols)

    def begin(self, now: float) -> None:
        """Note that a read begins."""
        self._began, self._is_asked = now, False

    def end(self, symbols: Collection[str], *, is_good: bool) -> None:
        """Note how it ended: `is_good` unless it should be tried again soon."""
        self._failures = 0 if is_good else self._failures + 1
        if is_good:
            self._read_for = frozenset(symbols)
