"""A thread pool for blocking calls, whose threads delay neither the end of the process nor each other.

The standard library's pool joins its threads when the interpreter exits, so a stalled request would delay the end of a
daemon until its timeout. These are daemon threads, which are not joined. A running call cannot be stopped either,
however long a server drips headers or a resolver hangs. Once its future is cancelled, another thread replaces its
thread, which ends with the call. The callers bound the queue: the supervisor has only a few requests under way.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

RESOLVERS = 2
MAX_SUBSTITUTES = 32
"""Threads of more hanging calls than this are not replaced until some end."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Call(Future[Result]):
    """A call that reports its cancellation to its pool, also while it runs."""

    def __init__(self, work: Callable[[], Result], abandon: Callable[[_Call[Any]], None]) -> None:
        super().__init__()
        self.work = work
        self._abandon = abandon

    def cancel(self) -> bool:
        """As in `Future`: False if the call runs or is done. A running call goes on, and its result is dropped."""
        is_cancelled = super().cancel()
        if not is_cancelled:
            self._abandon(self)
        return is_cancelled


class DaemonPool(Executor):
    """`threads` daemon threads, started at once, and one for each call that is abandoned while it runs."""

    def __init__(self, threads: int, *, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._name = name
        self._threads = threads
        self._lock = threading.Lock()
        self._running: set[_Call[Any]] = set()
        self._abandoned = 0
        self._alive = 0
        self._started = 0
        for _ in range(threads):
            self._start()

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Run `fn` on one of the threads."""
        call = _Call(lambda: fn(*args, **kwargs), self._abandon)
        self._calls.put(call)
        return call

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Let every thread end after the queued work, without waiting for it."""
        self._calls.put(None)

    @property
    def _wanted(self) -> int:
        return self._threads + min(self._abandoned, MAX_SUBSTITUTES)

    def _start(self) -> None:
        threading.Thread(target=self._serve, name=f"{self._name}-{self._started}", daemon=True).start()
        self._started += 1
        self._alive += 1

    def _abandon(self, call: _Call[Any]) -> None:
        with self._lock:
            if call in self._running:
                self._running.remove(call)
                self._abandoned += 1
                if self._alive < self._wanted:
                    self._start()

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Run the next call; False if this thread should end.

        It is a separate function so that an idle thread keeps no result.
        """
        call = self._calls.get()
        if call is None:
            self._calls.put(None)  # for the next thread
            return False
        with self._lock:
            if not call.set_running_or_notify_cancel():
                return True
            self._running.add(call)
        try:
            result = call.work()
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who waits for the future
            is_needed = self._end(call)
            call.set_exception(error)
        else:
            is_needed = self._end(call)
            call.set_result(result)
        return is_needed

    def _end(self, call: _Call[Any]) -> bool:
        """Note the end of a call; False if its thread is no longer needed."""
        with self._lock:
            if call in self._running:
                self._running.remove(call)
                return True
            self._abandoned -= 1
            if self._alive <= self._wanted:
                return True
            self._alive -= 1
            return False


class ResolvingLoop(asyncio.SelectorEventLoop):
    """An event loop that resolves names on a `DaemonPool`: at its end asyncio waits for its own resolver threads."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector)
        self._resolvers = DaemonPool(RESOLVERS, name="resolver")

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:  # noqa: ANN401 - asyncio's own signature
        """As in the standard library, on a thread of the pool."""
        return await self.run_in_executor(self._resolvers, functools.partial(socket.getaddrinfo, host, port, **hints))

    def close(self) -> None:
        """Close the loop, and let the threads end."""
        self._resolvers.shutdown()
        super().close()
