"""Notice that the process was suspended before its event loop handles anything that came meanwhile.

A process that was stopped (SIGSTOP), or whose machine slept, continues in the middle of its loop: requests that waited
in its sockets would be answered before a timer finds that what is known is old. So the loop's selector reads two
clocks each time it has waited, which takes less than a microsecond. The loop's clock stands still while the machine
sleeps, and only the machine's clock shows that.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable

MIN_SECONDS = 1.5
"""A loop that has not checked for this long was suspended, or blocked. The timers of every loop are closer together."""

_log = logging.getLogger(__name__)


class CheckingSelector(selectors.DefaultSelector):
    """Calls `checks` in their order whenever it has waited."""

    def __init__(self, *checks: Callable[[], None]) -> None:
        super().__init__()
        self._checks = checks

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as the base class does."""
        found = super().select(timeout)
        for check in self._checks:
            check()
        return found


class Suspensions:
    """Finds that the process was suspended. `now` is the loop's clock and `machine` the machine's, in seconds."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic, machine: Callable[[], float] = time.time) -> None:
        self._now = now
        self._machine = machine
        self._checked, self._machine_checked = now(), machine()
        self._watchers: list[Callable[[float], None]] = []

    def watch(self, noted: Callable[[float], None]) -> None:
        """Call `noted` after each suspension from now on, on the thread of the loop.

        It gets the seconds for which nothing ran.
        """
        self._watchers.append(noted)
        self._checked, self._machine_checked = self._now(), self._machine()

    def selector(self, *checks: Callable[[], None]) -> selectors.BaseSelector:
        """A selector for an event loop, which calls `checks`, and then checks whether the process was suspended."""
        return CheckingSelector(*checks, self.check)

    def check(self) -> None:
        """Compare the clocks with their values at the last check."""
        now, machine = self._now(), self._machine()
        seconds = max(now - self._checked, machine - self._machine_checked)
        self._checked, self._machine_checked = now, machine
        if seconds < MIN_SECONDS or not self._watchers:
            return
        _log.info("The process was suspended or blocked", extra={"fields": {"seconds": round(seconds, 1)}})
        for noted in self._watchers:
            noted(seconds)
