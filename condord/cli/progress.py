"""Decides when a command says that it waits: after a second, on a terminal, and only for as long as it does.

Rules: the note is one line on stderr that is wiped when the waiting is over, so that nobody who reads stderr later, a
log or a program, finds it. It is never shown over a table, for it waits for what is shown first.
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

PATIENCE_SECONDS = 1.0
_EACH_SECONDS = 1.0
_WIPE = "\r\x1b[K"

T = TypeVar("T")


@contextmanager
def progress(sentence: str) -> Iterator[None]:
    """While the context is open and longer than `PATIENCE_SECONDS`: `sentence`, and for how many seconds."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(plain(sentence), over), daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(sentence: str, over: threading.Event) -> None:
    began = time.monotonic()
    if over.wait(PATIENCE_SECONDS):
        return
    while True:
        _write(f"{_WIPE}{sentence} ({time.monotonic() - began:.0f} s)")
        if over.wait(_EACH_SECONDS):
            _write(_WIPE)
            return


def _write(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def begun(events: Iterator[T], sentence: str) -> Iterator[T]:
    """`events`, which never end, with a note while the first is waited for."""
    with progress(sentence):
        first = next(events)
    yield first
    yield from events
