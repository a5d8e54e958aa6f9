"""Decides when the daemon hangs, and ends a process whose event loop does: it could neither serve nor stop.

Rules: a thread of our own looks once a step at a counter that the loop moves, until it stops; so many looks in a row
without a move are a hang, and so is a stop that takes as long. Looks are counted and not seconds: suspending the
machine, stopping the process (SIGSTOP) or halting it in a debugger stops the thread as well, and is no reason. What is
reported of the loop's thread are the lines of code that it is in, never a value. The process ends even if the report
cannot be written, which may be what the loop hangs on.
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
"""Fewer than WatchdogSec= of the unit has seconds, so that the report comes before systemd's SIGABRT; the longest legal
turn, grouping an account of 2,000 legs, takes one."""
REPORT_SECONDS = 3.0
"""How long the report may take to be written."""
FRAMES = 20
"""How many lines of code are reported at most."""

_log = logging.getLogger(__name__)


class Stillness:
    """Counts how often in a row a counter was found where it was; `steps` times are too many."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._seen: int | None = None
        self._still = 0

    def step(self, counter: int) -> bool:
        """Look once more: whether it has stood still for too long."""
        self._still = self._still + 1 if counter == self._seen else 0
        self._seen = counter
        return self._still >= self._steps


class Vigil:
    """Entered by the thread to watch, whose event loop calls `advance` once a second, and left when it has stopped."""

    def __init__(self) -> None:
        self._counter = 0
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, args=(threading.get_ident(),), name="vigil", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def advance(self) -> None:
        """A sign of life."""
        self._counter += 1

    def _watch(self, watched: int) -> None:
        stillness = Stillness(STEPS)
        while not self._over.wait(STEP_SECONDS):
            if stillness.step(self._counter):
                telling = threading.Thread(target=_tell, args=(watched,), daemon=True)
                telling.start()
                telling.join(REPORT_SECONDS)
                os._exit(EXIT_BUG)


def _tell(watched: int) -> None:
    fields = {"code": "hung", "looks": STEPS, "stack": stack(watched)}
    _log.error("The event loop gives no sign of life, the process ends", extra={"fields": fields})


def stack(thread: int) -> list[str]:
    """Where a thread of this process is: lines of code, the innermost first."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented for this, in spite of its name
    walked = traceback.walk_stack(frame) if frame is not None else ()
    lines = [f"{Path(each.f_code.co_filename).name}:{line} {each.f_code.co_name}" for each, line in walked]
    return lines[:FRAMES]
