"""Recorded profit and loss, trades and activities of one account at a time, in an SQLite file.

The file is written by one thread and read by another, so nothing blocks the event loop. A fault of the disk never
raises from a write: `fault` has the reason, and what could not be written is tried again with the next write, or by
`retry`. If the disk does not respond, nothing more is asked of it until it does.

Each thread has one call at a time. Several that wait for the same lock, one after the other, would otherwise look like
a disk that does not respond.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from condord.core.activity import Activity
from condord.core.trade import Trade
from condord.errors import Unavailable
from condord.history import evidence, queries
from condord.history.file import HistoryFile, StoredAccount, WriteJob
from condord.history.schema import MIGRATIONS
from condord.history.writing import Writer
from condord.host import database
from condord.host.thread_pool import DaemonPool
from condord.live.minutes import Extremes, Holding, MinuteRow, RecordedPast
from condord.live.wire_history import HistoryQuery, RecordedJson

DISK_TIMEOUT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
_HINT = "Try again later. `condord status` shows the notice `historyUnavailable` until the file can be used again."
_FAULTS = (OSError, sqlite3.Error, Unavailable, ValueError, OverflowError, msgspec.ValidationError)

Result = TypeVar("Result")


class HistoryFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is recorded, since when; or that a damaged file was set aside, which does not prevent recording."""

    text: str
    since: dt.datetime
    is_set_aside: bool = False


class HistoryStore:
    """The file at `path`, which is created by the first use; if it is None, nothing is stored.

    `machine_at` is the machine's clock (UTC). `keep_days` returns for how long minutes are kept, 0 without limit; older
    ones are reduced to 15 minutes.
    """

    def __init__(
        self, path: Path | None, *, machine_at: Callable[[], dt.datetime], keep_days: Callable[[], int]
    ) -> None:
        self._path = path
        self._machine_at = machine_at
        self._file = None if path is None else HistoryFile(path, machine_at=machine_at, keep_days=keep_days)
        self._writing = None if path is None else DaemonPool(1, name="history")
        self._reading = None if path is None else DaemonPool(1, name="history-reader")
        self._account: StoredAccount | None = None
        self._fault: HistoryFault | None = None
        self._aside: HistoryFault | None = None
        self._hanging: set[asyncio.Future[Any]] = set()
        self._write_turn, self._read_turn = asyncio.Lock(), asyncio.Lock()

    @property
    def fault(self) -> HistoryFault | None:
        """Why the file cannot be used; it ends with the next successful write or `retry`.

        A file that was set aside is a fault until the next start.
        """
        return self._fault or self._aside

    async def switch_to(self, account_key: str | None, source: str, today: dt.date) -> RecordedPast:
        """Store and read that account from now on, and return its past; None stands for no account.

        `account_key` is any text that identifies the account; only its hash is stored. `source` is its environment, and
        `today` the day at the exchange.
        """
        if account_key is None:
            self._account = None
            return RecordedPast()
        account = StoredAccount(hashlib.sha256(account_key.encode()).hexdigest()[:20], source)
        self.use(account)

        def switch(file: HistoryFile) -> RecordedPast:
            file.add_account(account)
            return file.read(lambda connection: queries.past(connection, account.hash, today))

        return await self._run(switch, RecordedPast())

    def use(self, account: StoredAccount) -> None:
        """Store and read that account from now on, whose past is not needed."""
        self._account = account

    async def record(self, rows: Sequence[MinuteRow]) -> None:
        """Write the rows of a minute in one transaction, after those that could not be written before."""
        if rows:
            await self._write(lambda _connection, _account, writer: writer.write(rows), max(row.second for row in rows))

    async def retry(self) -> None:
        """After a fault, write what could not be written, and find out whether the file can be used again."""
        if self._fault is not None and await self._run(lambda file: _try_again(file, self._account), default=False):
            self._fault = None

    async def query(self, query: HistoryQuery, now_at: dt.datetime) -> RecordedJson | None:
        """Return what was recorded until `now_at`; None for a condor without rows.

        Raises:
            Unavailable: the file cannot be read; the text has the reason.
        """
        return await self._read(lambda connection, account: queries.recorded(connection, account, query, now_at))

    async def extremes(self, holdings: Collection[Holding]) -> dict[Holding, Extremes]:
        """Return the extremes of those `holdings` that were recorded.

        Raises:
            Unavailable: the file cannot be read; the text has the reason.
        """
        return await self._read(lambda connection, account: queries.extremes(connection, account, holdings))

    async def load_activities(self) -> tuple[tuple[Activity, ...], dt.datetime | None]:
        """Return the stored activities, oldest first, and the instant since which they are complete.

        If they cannot be read, there are none, and `fault` has the reason.
        """
        account = self._account
        if account is None:
            return (), None
        return await self._run(
            lambda file: file.read(lambda connection: evidence.load_activities(connection, account.hash)), ((), None)
        )

    async def add_activities(self, activities: Sequence[Activity], complete_from: dt.datetime | None) -> None:
        """Store activities. Those of the same id, kind and symbol are replaced."""
        await self._write(
            lambda connection, account, _writer: evidence.add_activities(connection, account, activities, complete_from)
        )

    async def load_trades(self) -> tuple[Trade, ...]:
        """Return the stored trades, newest first. If they cannot be read, there are none; `fault` has the reason."""
        account = self._account
        if account is None:
            return ()
        return await self._run(
            lambda file: file.read(lambda connection: evidence.load_trades(connection, account.hash)), ()
        )

    async def save_trades(self, trades: Sequence[Trade]) -> None:
        """Store `trades`, which are all that the evidence gives.

        Others are removed if they were closed after the instant from which on the activities are complete.
        """
        await self._write(lambda connection, account, _writer: evidence.save_trades(connection, account, trades))

    def close(self) -> None:
        """Close the file and end the threads, after what they are doing; from now on nothing is read or written.

        This waits for `CLOSE_SECONDS` at most. The process would otherwise end before SQLite has moved everything from
        the write-ahead log into the file; the next start would do that.
        """
        if self._writing is not None and self._reading is not None and self._file is not None:
            closing = self._writing.submit(self._file.close)
            if not self._hanging:
                futures.wait([closing], CLOSE_SECONDS)
            self._writing.shutdown()
            self._reading.shutdown()
            self._writing = self._reading = None

    async def _write(self, write: Callable[[sqlite3.Connection, int, Writer], None], second: int | None = None) -> None:
        if self._account is None or self._file is None:
            return
        self._file.add(WriteJob(self._account, write, second))
        if await self._run(_write_all, default=False):
            self._fault = None

    async def _run(self, work: Callable[[HistoryFile], Result], default: Result) -> Result:
        """Return what `work` returns on the thread that writes, or `default` after a fault.

        A call that hangs is not abandoned, as another thread could not use its connection. Further calls fail at once
        until it has ended.
        """
        async with self._write_turn:
            return await self._run_now(work, default)

    async def _run_now(self, work: Callable[[HistoryFile], Result], default: Result) -> Result:
        if self._writing is None or self._file is None or self._hanging:
            return default
        call: asyncio.Future[Result] = asyncio.wrap_future(self._writing.submit(work, self._file))
        call.add_done_callback(self._end)  # also if nothing waits for it any longer
        done, _ = await asyncio.wait({call}, timeout=DISK_TIMEOUT_SECONDS)
        if not done:
            self._hanging.add(call)
            self._note(None, self._file.path)
            return default
        self._note_aside()
        try:
            return call.result()
        except _FAULTS as error:
            self._note(error, self._file.path)
            return default

    async def _read(self, work: Callable[[sqlite3.Connection, str], Result]) -> Result:
        if self._path is None or self._reading is None:
            raise Unavailable("nothing is stored: there is no state directory", _HINT)
        if self._account is None:
            raise Unavailable("the account is not known yet", _HINT)
        account = self._account.hash
        try:
            return await self._read_in_turn(self._path, work, account)
        except Unavailable as error:
            raise Unavailable(str(error), _HINT) from error
        except (OSError, sqlite3.Error) as error:
            if database.is_damaged(error):
                # The thread that writes finds the damage, too, and sets the file aside.
                await self._run(lambda file: file.read(lambda connection: work(connection, account)), None)
            reason = database.reason(error, self._path)
            raise Unavailable(f"{self._path.name} cannot be read: {reason}", _HINT) from error

    async def _read_in_turn(
        self, path: Path, work: Callable[[sqlite3.Connection, str], Result], account: str
    ) -> Result:
        reason = "earlier requests are still being answered"
        try:
            async with asyncio.timeout(DISK_TIMEOUT_SECONDS) as limit, self._read_turn:
                reason = "the disk does not respond"
                loop = asyncio.get_running_loop()
                limit.reschedule(loop.time() + DISK_TIMEOUT_SECONDS)
                return await loop.run_in_executor(self._reading, _read, path, work, account)
        except TimeoutError:
            raise Unavailable(f"{path.name} cannot be read: {reason}", _HINT) from None

    def _end(self, call: asyncio.Future[Any]) -> None:
        self._hanging.discard(call)
        if not call.cancelled():
            call.exception()  # else asyncio logs that nothing has retrieved it

    def _note(self, error: Exception | None, path: Path) -> None:
        """Note an error of the file at `path`, or that the disk does not respond."""
        since = self._machine_at() if self._fault is None else self._fault.since
        self._fault = HistoryFault(text=database.unusable("Nothing is recorded", path, error), since=since)

    def _note_aside(self) -> None:
        aside = None if self._file is None else self._file.aside
        if aside is not None and self._path is not None and (self._aside is None or aside.name not in self._aside.text):
            text = f"{self._path.name} was damaged. It was renamed to {aside.name}, and a new file was begun."
            self._aside = HistoryFault(text=text, since=self._machine_at(), is_set_aside=True)


def _write_all(file: HistoryFile) -> bool:
    file.write()
    return True


def _try_again(file: HistoryFile, account: StoredAccount | None) -> bool:
    file.write()
    if account is not None:
        file.add_account(account)  # without anything to write, a lock would not be noticed
    return True


def _read(path: Path, work: Callable[[sqlite3.Connection, str], Result], account: str) -> Result:
    with contextlib.closing(database.open_reader(path, MIGRATIONS)) as connection:
        return work(connection, account)
