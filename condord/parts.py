"""Decides what becomes of the daemon when a part of it ends: it stops in good order, and says that it failed.

Rules: a part lasts until the daemon stops. Returning, raising and being cancelled by nobody are all an end before its
time, and a bug of ours: without the part the daemon would serve a document that no longer moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from condord.errors import CondordError

_log = logging.getLogger(__name__)


class Failed(CondordError):
    """The daemon has ended itself, for a bug of ours that it has logged."""

    code = "failed"
    hint = "Run it again with --log-level debug and report what it logs."


class Parts:
    """The parts of one daemon; `stopping` is set once they may end, by whoever stops it or by the first failure."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.failure: Failed | None = None

    async def last(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of a part until it is cancelled or the daemon stops; any other end is the daemon's."""
        error: BaseException | None = None
        try:
            await work()
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = cancelled  # by nobody: something that it waited for was
        except Exception as failed:
            if self.stopping.is_set():
                raise
            error = _innermost(failed)
        if not self.stopping.is_set():
            self.fail(f"{name} has ended by itself", error)

    def fail(self, text: str, error: BaseException | None = None) -> None:
        """Stop the daemon because of a bug of ours; of several the first is told."""
        if self.failure is None:
            _log.error("The daemon ends itself", exc_info=error, extra={"fields": {"reason": text}})
            self.failure = Failed(text)
        self.stopping.set()


def _innermost(error: BaseException) -> BaseException:
    """What happened, out of the groups of tasks that it came through."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
