"""Decides what becomes of the daemon when a part of it ends: it stops in good order, and says that it failed.

Rules: a part lasts until the daemon stops. Returning, raising and being cancelled by nobody are all an end before its
time, and a bug of ours: without the part the daemon would serve a document that no longer moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from condord.errors import Failed

_log = logging.getLogger(__name__)


class Ended(RuntimeError):
    """Work that has no end has ended all the same, without saying why."""


async def lasting(work: Awaitable[None]) -> NoReturn:
    """Do `work` until this task is cancelled; a group of tasks would let its own end pass.

    Raises:
        Ended: it has returned, or was cancelled by nobody: something that it waited for was.
    """
    try:
        await work
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Ended("it was cancelled by nobody") from cancelled
    raise Ended("it has returned")


class Parts:
    """The parts of one daemon; `stopping` is set once they may end, by whoever stops it or by the first failure."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.failure: Failed | None = None

    async def last(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of a part until it is cancelled or the daemon stops; any other end is the daemon's."""
        try:
            await lasting(work())
        except Exception as error:
            if not self.stopping.is_set():
                self.fail(f"{name} has ended by itself", _innermost(error))
            elif not isinstance(error, Ended):
                raise

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
