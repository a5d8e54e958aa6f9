"""Recorded profit and loss, trades and activities of one account at a time, in an SQLite file.

The file is written by one thread and read by another, each with one call at a time. Failed jobs are tried again with
the next write, or by `retry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from condord.core.activity import Activity
from condord.core.trade import Trade
from condord.errors import Unavailable
from condord.history import evidence, queries
from condord.history.file import HistoryFile, StoredAccount, WriteJob
from condord.history.schema import MIGRATIONS
from condord.history.writing import Writer
from condord.host import database, database_thread
from condord.host.database_thread import DatabaseFault, DatabaseThread
from condord.host.thread_pool import DaemonPool
from condord.live.minutes import Extremes, HoldingPeriod, MinuteRow, RecordedPast
from condord.live.wire_history import HistoryQuery, RecordedJson

_HINT = "Try again later. `condord status` shows the notice `historyUnavailable` until the file can be used again."

Result = TypeVar("Result")


class HistoryStore:
    """The file at `path`, which is created by the first use; if it is None, nothing is stored.

    `machine_at` is the machine's clock (UTC). `keep_days` returns for how long minutes are kept, 0 without limit; older
    ones are reduced to 15 minutes.
    """

    def __init__(
        self, path: Path | None, *, machine_at: Callable[[], dt.datetime], keep_days: Callable[[], int]
    ) -> None:
        self._path = path
        self._writing: DatabaseThread[HistoryFile] | None = None
        self._reading: DaemonPool | None = None
        self._account: StoredAccount | None = None
        self._read_turn = asyncio.Lock()
        if path is not None:
            file = HistoryFile(path, machine_at=machine_at, keep_days=keep_days)
            effect = "Nothing is recorded"
            self._writing = DatabaseThread(file, name="history", effect=effect, machine_at=machine_at)
            self._reading = DaemonPool(1, name="history-reader")

    @property
    def fault(self) -> DatabaseFault | None:
        """Why the file cannot be used; it ends with the next successful write or `retry`.

        A file that was set aside is a fault until the next start.
        """
        return None if self._writing is None else self._writing.fault

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
        """After a fault, write the waiting rows, and find out whether the file can be used again."""
        thread = self._writing
        if thread is None or thread.is_usable:
            return
        if await thread.run(lambda file: _try_again(file, self._account), default=False):
            thread.succeeded()

    async def query(self, query: HistoryQuery, now_at: dt.datetime) -> RecordedJson | None:
        """Return the points recorded until `now_at`; None for a condor without rows.

        Raises:
            Unavailable: the file cannot be read; the text has the reason.
        """
        return await self._read(lambda connection, account: queries.recorded(connection, account, query, now_at))

    async def extremes(self, holdings: Collection[HoldingPeriod]) -> dict[HoldingPeriod, Extremes]:
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
        """Store `trades`, which are all that orders and activities give.

        Others are removed if they were closed after the instant from which on the activities are complete.
        """
        await self._write(lambda connection, account, _writer: evidence.save_trades(connection, account, trades))

    def close(self) -> None:
        """Close the file and end the threads, after their current work; from now on nothing is read or written.

        This waits for a second at most.
        """
        if self._writing is not None:
            self._writing.close(HistoryFile.close)
        if self._reading is not None:
            self._reading.shutdown()
            self._reading = None

    async def _write(self, write: Callable[[sqlite3.Connection, int, Writer], None], second: int | None = None) -> None:
        if self._account is None or self._writing is None:
            return
        self._writing.file.add(WriteJob(self._account, write, second))
        if await self._writing.run(_write_all, default=False):
            self._writing.succeeded()

    async def _run(self, work: Callable[[HistoryFile], Result], default: Result) -> Result:
        return default if self._writing is None else await self._writing.run(work, default)

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
            async with asyncio.timeout(database_thread.DISK_TIMEOUT_SECONDS) as limit, self._read_turn:
                reason = "the disk does not respond"
                loop = asyncio.get_running_loop()
                limit.reschedule(loop.time() + database_thread.DISK_TIMEOUT_SECONDS)
                return await loop.run_in_executor(self._reading, _read, path, work, account)
        except TimeoutError:
            raise Unavailable(f"{path.name} cannot be read: {reason}", _HINT) from None


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
