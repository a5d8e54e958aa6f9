"""Limit how many log records clients can cause.

Libraries log what a client provokes: asyncio reports an exception in a callback and a write to a closed socket, uvicorn
an exception of the application. None of this is expected, but a client that can cause it could repeat it at will. So
only a few records pass in each period. The others are counted, and their number is reported when the period ends.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

PERIOD_SECONDS = 60.0
MAX_RECORDS = 10
LOGGERS = ("asyncio", "uvicorn.error", "sse_starlette.sse")


class LogLimit(logging.Filter):
    """Passes `MAX_RECORDS` in `PERIOD_SECONDS`; the first record starts a period. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()  # the threads of the pool also log
        self._period_end: float | None = None
        self._records = 0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging's signature
        """Count `record`. Returns whether it may pass."""
        with self._lock:
            if self._period_end is None:
                self._period_end = self._clock() + PERIOD_SECONDS
            self._records += 1
            return self._records <= MAX_RECORDS

    def take_excess(self, *, is_last: bool = False) -> int:
        """How many records the ended period suppressed, and 0 from then on. `is_last` also ends a running period."""
        with self._lock:
            if self._period_end is None or (self._clock() < self._period_end and not is_last):
                return 0
            excess = max(0, self._records - MAX_RECORDS)
            self._period_end, self._records = None, 0
            return excess

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Apply one common limit to `LOGGERS`."""
        loggers = [logging.getLogger(name) for name in LOGGERS]
        for logger in loggers:
            logger.addFilter(self)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(self)
