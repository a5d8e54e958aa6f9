"""The thread that uses an SQLite file, and why the file cannot be used.

Nothing blocks the event loop. A fault of the disk never raises: `fault` has the reason. If the disk does not respond,
nothing more is asked of it until it does.

The thread has one call at a time. Several that wait for the same lock, one after the other, would otherwise look like a
disk that does not respond.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from condord.errors import Unavailable
from condord.host import database
from condord.host.thread_pool import DaemonPool

DISK_TIMEOUT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
FAULTS = (OSError, sqlite3.Error, Unavailable, ValueError, OverflowError, msgspec.ValidationError)
"""The errors that using a file may raise: the disk fails, the file is damaged or foreign, or its content does not
fit."""


class DatabaseFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file cannot be used, since when; or that a damaged one was set aside, which does not prevent its use."""

    text: str
    since: dt.datetime
    is_set_aside: bool = False


class DatabaseFile(Protocol):
    """A file that is opened by its first use, and renamed and begun again if it is damaged."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def aside(self) -> Path | None:
        """Where the last damaged one is."""


File = TypeVar("File", bound=DatabaseFile)
Result = TypeVar("Result")


class DatabaseThread(Generic[File]):
    """Uses `file`, which nothing else uses.

    `name` is the thread's name, `effect` the effect of a fault, such as "Nothing is recorded", and `machine_at` the
    machine's clock (UTC).
    """

    def __init__(self, file: File, *, name: str, effect: str, machine_at: Callable[[], dt.datetime]) -> None:
        self.file = file
        self.error: Exception | None = None
        """The last fault; None if there was none since the last success, or if the disk does not respond."""
        self.failed: float | None = None
        """When the last fault was, in seconds of the loop's clock; None if there was none since the last success."""
        self._effect = effect
        self._machine_at = machine_at
        self._thread: DaemonPool | None = DaemonPool(1, name=name)
        self._turn = asyncio.Lock()
        self._hanging: set[asyncio.Future[Any]] = set()
        self._fault: DatabaseFault | None = None
        self._aside: DatabaseFault | None = None

    @property
    def fault(self) -> DatabaseFault | None:
        """Why the file cannot be used, until `succeeded` is called.

        A file that was set aside is a fault until the next start.
        """
        return self._fault or self._aside

    @property
    def is_usable(self) -> bool:
        """Whether there was no fault since the last success."""
        return self._fault is None

    def succeeded(self) -> None:
        """Note that the file was written, or could have been: a fault before that is over."""
        self._fault = self.error = self.failed = None

    async def run(self, work: Callable[[File], Result], default: Result) -> Result:
        """Return the result of `work` on the thread, or `default` after a fault.

        A call that hangs is not abandoned, as another thread could not use its connection. Further calls fail at once
        until it has ended.
        """
        async with self._turn:
            return await self._run_now(work, default)

    def close(self, work: Callable[[File], object]) -> None:
        """Let `work` close the file after the current call, and end the thread; from now on `run` does nothing.

        This waits for `CLOSE_SECONDS` at most. The process would otherwise end before SQLite has moved everything from
        the write-ahead log into the file; the next start would do that.
        """
        if self._thread is not None:
            closing = self._thread.submit(work, self.file)
            if not self._hanging:
                futures.wait([closing], CLOSE_SECONDS)
            self._thread.shutdown()
            self._thread = None

    async def _run_now(self, work: Callable[[File], Result], default: Result) -> Result:
        if self._thread is None or self._hanging:
            return default
        call = asyncio.get_running_loop().run_in_executor(self._thread, work, self.file)
        call.add_done_callback(self._end)  # also if nothing waits for it any longer
        done, _ = await asyncio.wait({call}, timeout=DISK_TIMEOUT_SECONDS)
        if not done:
            self._hanging.add(call)
            self._note(None)
            return default
        self._note_aside()
        try:
            return call.result()
        except FAULTS as error:
            self._note(error)
            return default

    def _end(self, call: asyncio.Future[Any]) -> None:
        self._hanging.discard(call)
        if not call.cancelled():
            call.exception()  # else asyncio logs that nothing has retrieved it

    def _note(self, error: Exception | None) -> None:
        """Note a fault, or without an error that the disk does not respond."""
        self.error, self.failed = error, asyncio.get_running_loop().time()
        since = self._machine_at() if self._fault is None else self._fault.since
        self._fault = DatabaseFault(text=database.unusable(self._effect, self.file.path, error), since=since)

    def _note_aside(self) -> None:
        aside = self.file.aside
        if aside is not None and (self._aside is None or aside.name not in self._aside.text):
            text = f"{self.file.path.name} was damaged. It was renamed to {aside.name}, and a new file was begun."
            self._aside = DatabaseFault(text=text, since=self._machine_at(), is_set_aside=True)
