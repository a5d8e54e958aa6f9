"""Shut the daemon down when one of its tasks ends too early.

Every task runs until the daemon stops. If one returns or raises earlier, that is a bug: the daemon would keep serving
a document that is no longer updated. It exits instead, so that systemd or another supervisor can restart it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import NoReturn

from condord.errors import CondordError, ConfigError, InternalError

STOP_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class TaskEnded(RuntimeError):
    """Work that should run until it is cancelled has ended without an error."""


async def lasting(work: Awaitable[None]) -> NoReturn:
    """Do `work` until this task is cancelled. A TaskGroup would ignore that it returned.

    Raises:
        TaskEnded: `work` returned, or something that it awaited was cancelled while this task was not.
    """
    try:
        await work
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise TaskEnded("what it awaited was cancelled") from cancelled
    raise TaskEnded("it returned")


def loop_time() -> float:
    """The time in seconds of the running loop's clock."""
    return asyncio.get_running_loop().time()


def check_cancelled() -> None:
    """Raise CancelledError if the current task was cancelled and a library has kept that to itself.

    `asyncio.wait_for` does so before Python 3.12 where what it waits for ends in the same iteration of the loop, which
    is likely after a stall.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def stopped(tasks: Collection[asyncio.Task[object]]) -> None:
    """Cancel tasks, and wait until they have ended; one that keeps running is cancelled again."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=STOP_AGAIN_SECONDS)


class Lifetime:
    """The lifetime of one daemon; `stopping` is set when it ends, by a signal or by its first `failure`."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.failure: CondordError | None = None

    async def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` until this task is cancelled. If it ends before the daemon is stopping, stop the daemon.

        A ConfigError is not a bug: it is the reason for the stop.
        """
        try:
            await lasting(work())
        except Exception as error:
            innermost = _innermost(error)
            if not self.stopping.is_set() and isinstance(innermost, ConfigError):
                self.stop(innermost)
            elif not self.stopping.is_set():
                self.fail(f"{name} ended by itself", innermost)
            elif not isinstance(error, TaskEnded):
                raise

    def stop(self, error: CondordError) -> None:
        """Stop because of `error`, which is not a bug. Of several failures, only the first is kept."""
        self.failure = self.failure or error
        self.stopping.set()

    def fail(self, text: str, error: BaseException | None = None) -> None:
        """Stop the daemon because of a bug. Of several failures, only the first is kept."""
        if self.failure is None:
            _log.error("The daemon ends itself", exc_info=error, extra={"fields": {"reason": text}})
            self.failure = InternalError(text)
        self.stopping.set()


def _innermost(error: BaseException) -> BaseException:
    """The first error within nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
