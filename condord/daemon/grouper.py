"""Search for lots, groupings and trades on threads, so that a large account delays neither quotes nor a stop."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from condord.host.thread_pool import DaemonPool

Result = TypeVar("Result")


class BackgroundRunner(Protocol):
    """Runs long computations off the loop, as `Grouper` does."""

    def __call__(self, work: Callable[[Callable[[], None]], Result], /) -> Awaitable[Result]:
        """Return the result of `work`, which gets a function to call between slices."""


class _Cancelled(Exception):
    """The caller no longer waits for the result."""


class Grouper:
    """One thread, which lets the event loop run between slices of a few milliseconds."""

    def __init__(self, name: str = "grouping") -> None:
        self._pool = DaemonPool(1, name=name)

    async def run(self, work: Callable[[Callable[[], None]], Result]) -> Result:
        """Return the result of `work`, which must call its argument between slices. Cancelling ends it there."""
        is_cancelled = threading.Event()

        def pause() -> None:
            if is_cancelled.is_set():
                raise _Cancelled
            time.sleep(0)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(work, pause))
        finally:
            is_cancelled.set()

    def close(self) -> None:
        """End the thread after its work."""
        self._pool.shutdown()
