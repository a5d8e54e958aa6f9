"""End a child process at a deadline, which its parent extends as long as the child may run.

The parent writes each deadline into a pipe. In the child a thread of its own waits for it, so even a child whose event
loop hangs ends in time, and so does one whose parent is gone or stopped. A child that was suspended compares the clock
with its deadline first: its event loop does that before each iteration.

A deadline is in seconds of a clock that also runs while the machine sleeps, and is the same in all processes.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import struct
import threading
import time
from collections.abc import Callable

EXIT_EXPIRED = 75
"""EX_TEMPFAIL: the deadline has passed, or the parent is gone."""

NEVER = math.inf
"""The deadline of a child that may wait as long as its parent lives."""

_LONGEST_WAIT_SECONDS = 3600.0
_PACKED = struct.Struct("d")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux has the first, which counts suspension


def boot_seconds() -> float:
    """Seconds since the machine was booted, those asleep included."""
    return time.clock_gettime(_CLOCK)


class DeadlinePipe:
    """The parent's end. The child inherits `reader`."""

    def __init__(self, until: float) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._open = {self.reader, self._writer}
        self.extend(until)

    def extend(self, until: float) -> None:
        """Let the child run until `until`; nothing happens once the pipe is closed."""
        if self._writer not in self._open:
            return
        # A child that is gone needs none, and one that is stopped has more than enough of them to read.
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._writer, _PACKED.pack(until))

    def close_reader(self) -> None:
        """Close the descriptors that the child has inherited."""
        self._close(self.reader)

    def close(self) -> None:
        """Close the pipe: the child ends."""
        self._close(self.reader)
        self._close(self._writer)

    def _close(self, end: int) -> None:
        if end in self._open:
            self._open.remove(end)
            os.close(end)


class DeadlineWatch:
    """The child's end, at the descriptor `reader`. `end` ends the process without returning."""

    def __init__(
        self, reader: int, *, now: Callable[[], float] = boot_seconds, end: Callable[[int], object] = os._exit
    ) -> None:
        self._reader = reader
        self._now = now
        self._end = end
        self._until = now()
        self._lock = threading.Lock()
        os.set_blocking(reader, False)

    def start(self) -> None:
        """Take the first deadline, which the parent has written before, and watch from now on."""
        self.renew()
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()

    def check(self) -> None:
        """End the process if the deadline has passed."""
        if self._now() >= self._until:
            self.renew()

    def renew(self) -> None:
        """Read the parent's messages, and end the process if the newest deadline has passed."""
        if not self._may_run():
            self._end(EXIT_EXPIRED)

    def _watch(self) -> None:
        while True:
            seconds = min(max(self._until - self._now(), 0.0), _LONGEST_WAIT_SECONDS)
            select.select([self._reader], [], [], seconds)
            self.renew()

    def _may_run(self) -> bool:
        """Read the parent's messages; False at the end of file, and if the newest deadline has passed."""
        with self._lock:
            try:
                while written := os.read(self._reader, 4096):  # a write of so few bytes is never divided
                    (self._until,) = _PACKED.unpack(written[-_PACKED.size :])
            except BlockingIOError:
                return self._now() < self._until
        return False
