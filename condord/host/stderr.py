"""A stderr that never blocks the process, because a separate thread writes the lines, in order.

A terminal stopped by Ctrl-S and a pipe that is not read block write(2). O_NONBLOCK would prevent that, but it is a flag
of the open file, which we share with the shell and with every other program that writes there. So lines wait in a queue
of `MAX_BYTES`. A line that does not fit is dropped and counted, and so is one that the system refuses, because the
disk is full or the reader or the terminal is gone.

As `unblock` replaces sys.stderr, this holds for the log, for messages, and for warnings and tracebacks of Python.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_BYTES = 262_144
"""The bound of the queue, about two thousand lines."""
DRAIN_SECONDS = 0.5
"""How long the process waits for its last lines when it ends."""


class QueuedStream(io.RawIOBase):
    """A raw stream to `descriptor` whose `write` never waits.

    Each call of `write` is one line, which is written whole or counted in `dropped`. Tests replace `system_write`.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        max_bytes: int = MAX_BYTES,
        system_write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._system_write = system_write
        self._lines: deque[bytes] = deque()
        self._held_bytes = 0
        self._given_up: bytes | None = None
        self._is_cut = False
        # Reentrant, as a signal handler may write while it interrupts `write`.
        self._changed = threading.Condition(threading.RLock())
        # A daemon thread, so that the process can end while write(2) is blocked.
        threading.Thread(target=self._work, name="stderr", daemon=True).start()

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Queue a line, or drop it if the queue is full; returns its length in both cases."""
        line = bytes(data)
        with self._changed:
            if self._held_bytes + len(line) > self._max_bytes:
                self.dropped += 1
            else:
                self._lines.append(line)
                self._held_bytes += len(line)
                self._changed.notify_all()
        return len(line)

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait at most `seconds` until the queue is empty; returns whether it is.

        It does not wait a second time for a line that the last call gave up on, because several steps of an exit call
        this.
        """
        with self._changed:
            if self._lines and self._lines[0] is self._given_up:
                return False
            is_empty = self._changed.wait_for(lambda: not self._lines, seconds)
            self._given_up = None if is_empty else self._lines[0]
            return is_empty

    def close(self) -> None:
        """Let the thread end once the queue is empty; the descriptor stays open."""
        super().close()
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self.closed)
                if not self._lines:
                    return
                line = self._lines[0]
            is_written = self._write_whole(line)
            with self._changed:
                self._lines.popleft()
                self._held_bytes -= len(line)
                self.dropped += not is_written
                self._changed.notify_all()

    def _write_whole(self, line: bytes) -> bool:
        """Write a line, after a newline if the last one was cut short; returns whether it was written."""
        chunk = b"\n" + line if self._is_cut else line
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._write_part(rest) :]
        except OSError:
            self._is_cut = self._is_cut or len(rest) < len(chunk)
            return False
        self._is_cut = False
        return True

    def _write_part(self, data: memoryview) -> int:
        try:
            return self._system_write(self._descriptor, data)
        except BlockingIOError:  # another program has set O_NONBLOCK on the file that we share
            room = select.poll()
            room.register(self._descriptor, select.POLLOUT)
            room.poll()
            return 0


def unblock() -> None:
    """Replace sys.stderr by a stream whose `write` never waits."""
    if sys.stderr is not None:
        queued = QueuedStream(sys.stderr.fileno())
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        sys.stderr = io.TextIOWrapper(queued, encoding=encoding, errors=errors, line_buffering=True)


def drain(stream: TextIO | None) -> None:
    """Wait at most `DRAIN_SECONDS` for the lines of `stream`, if `unblock` created it."""
    queued = _queued(stream)
    if queued is not None:
        queued.drain()


def dropped() -> int:
    """How many lines sys.stderr has lost since `unblock`."""
    queued = _queued(sys.stderr)
    return queued.dropped if queued is not None else 0


def _queued(stream: TextIO | None) -> QueuedStream | None:
    raw = getattr(stream, "buffer", None)
    return raw if isinstance(raw, QueuedStream) else None
