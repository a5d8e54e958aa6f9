"""End the process if its event loop hangs, because it could then neither serve nor stop.

A separate thread checks once a second a counter that the loop advances. If it has not changed for many checks in a row,
the loop hangs. A stop is watched in the same way. Checks are counted instead of seconds because suspending the machine,
SIGSTOP and a debugger stop the watching thread too.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Self

from condord.errors import EXIT_BUG

STEP_SECONDS = 1.0
STEPS = 25
"""Fewer than the seconds of WatchdogSec= in the unit, so that the report is written before systemd sends SIGABRT."""
REPORT_SECONDS = 3.0
"""How long writing the report may take."""
FRAMES = 20
"""How many lines of code the report has at most."""

_log = logging.getLogger(__name__)


class StallCounter:
    """Counts successive checks of a counter that has not moved. After `steps` of them, the counter has stalled."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._seen: int | None = None
        self._still = 0

    def step(self, counter: int) -> bool:
        """Check the counter; True if it has not moved for `steps` checks."""
        self._still = self._still + 1 if counter == self._seen else 0
        self._seen = counter
        return self._still >= self._steps


class HangWatchdog:
    """A context that watches the thread which enters it.

    The thread's event loop calls `advance` once a second, and leaves the context when it has stopped.
    """

    def __init__(self) -> None:
        self._counter = 0
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, args=(threading.get_ident(),), name="hang-watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def advance(self) -> None:
        """Report that the loop runs."""
        self._counter += 1

    def _watch(self, watched: int) -> None:
        stalls = StallCounter(STEPS)
        while not self._over.wait(STEP_SECONDS):
            if stalls.step(self._counter):
                # On a thread, as writing may block: the loop may hang on the very same file.
                report = threading.Thread(target=_report, args=(watched,), daemon=True)
                report.start()
                report.join(REPORT_SECONDS)
                os._exit(EXIT_BUG)


def _report(watched: int) -> None:
    fields = {"code": "hung", "checks": STEPS, "stack": stack(watched)}
    _log.error("The event loop hangs, the process ends", extra={"fields": fields})
    for handler in logging.getLogger().handlers:
        handler.flush()


def stack(thread: int) -> list[str]:
    """The lines of code that a thread is executing, innermost first, without values, which may be secret."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented in spite of its name
    walked = traceback.walk_stack(frame) if frame is not None else ()
    lines = [f"{Path(each.f_code.co_filename).name}:{line} {each.f_code.co_name}" for each, line in walked]
    return lines[:FRAMES]
