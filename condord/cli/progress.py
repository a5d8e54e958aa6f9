"""Report on stderr what a command waits for, once that takes over a second.

The note is one line, shown only on a terminal, and erased when the wait is over. It is never shown over a table,
because it ends before the first one is painted.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from condord.cli.screen import plain

DELAY_SECONDS = 1.0
_UPDATE_SECONDS = 1.0
_ERASE = "\r\x1b[K"

T = TypeVar("T")


@contextmanager
def progress(sentence: str) -> Iterator[None]:
    """Show `sentence` and the seconds so far while the context is open, beginning after `DELAY_SECONDS`."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    over = threading.Event()
    note = threading.Thread(target=_show_until, args=(over, plain(sentence)), daemon=True)
    note.start()
    try:
        yield
    finally:
        over.set()
        note.join()


def _show_until(over: threading.Event, sentence: str) -> None:
    began = time.monotonic()
    if over.wait(DELAY_SECONDS):
        return
    while True:
        _write(f"{_ERASE}{sentence} ({time.monotonic() - began:.0f} s)")
        if over.wait(_UPDATE_SECONDS):
            _write(_ERASE)
            return


def _write(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def with_progress(events: Iterator[T], sentence: str) -> Iterator[T]:
    """Yield from `events`, which never end, with a note during the wait for the first."""
    with progress(sentence):
        first = next(events)
    yield first
    yield from events
