"""A thread pool of our own for calls that block, whose threads never hold up the end of the process.

The standard library's pool joins its threads when the interpreter exits, so a stalled request would keep a stopped
daemon for as long as its timeout; these are daemon threads. Work that waits is bounded by its callers: the supervisor
has a handful of requests under way at most.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

RESOLVERS = 2

Given = ParamSpec("Given")
Result = TypeVar("Result")


class DaemonPool(Executor):
    """`threads` daemon threads, started at once."""

    def __init__(self, threads: int, *, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads = threads
        for number in range(threads):
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True).start()

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Run `fn` on one of the threads."""
        future: Future[Result] = Future()
        self._work.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Let every thread end after the work it has; never waits."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)


class ResolvingLoop(asyncio.SelectorEventLoop):
    """An event loop that looks names up on such threads: asyncio waits for its own at the end, as long as they hang."""

    def __init__(self) -> None:
        super().__init__()
        self._resolvers = DaemonPool(RESOLVERS, name="resolver")

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:  # noqa: ANN401 - asyncio's own signature
        """As the standard library's, off the loop."""
        return await self.run_in_executor(self._resolvers, functools.partial(socket.getaddrinfo, host, port, **hints))

    def close(self) -> None:
        """Close the loop, and let the threads end."""
        self._resolvers.shutdown()
        super().close()
