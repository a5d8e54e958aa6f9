"""The open file, and what waits to be written to it. Its methods run on the store's thread, except `add`."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from condord.history.schema import MIGRATIONS
from condord.history.writing import Writer, id_of_account, tidy
from condord.host import database

MAX_WAITING = 1000
"""How many jobs wait while the file cannot be written: more than a session of minutes. Then the oldest is dropped."""
_UNWRITABLE = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
)

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class StoredAccount(NamedTuple):
    """The hash of an account, and its environment."""

    hash: str
    source: str


class WriteJob(NamedTuple):
    """Something to write in one transaction. It may be written again after a failure, so it must be repeatable.

    `second` is the end of the minute that it belongs to, if it has one; old rows are then moved and reduced.
    """

    account: StoredAccount
    write: Callable[[sqlite3.Connection, int, Writer], None]
    second: int | None = None


class _OpenFile:
    """A connection, and the known content of the file."""

    def __init__(self, path: Path) -> None:
        self.connection = database.open_writer(path, MIGRATIONS)
        self.inode = path.stat().st_ino
        self.accounts: dict[str, tuple[int, Writer]] = {}

    def account(self, account: StoredAccount) -> tuple[int, Writer]:
        if account.hash not in self.accounts:
            number = id_of_account(self.connection, account.hash, account.source)
            self.accounts[account.hash] = number, Writer(self.connection, number)
        return self.accounts[account.hash]


class HistoryFile:
    """The database at `path`, opened when it is first used. `keep_days` is 0 for an unlimited time.

    A damaged file is renamed, and a new one is begun; `aside` is the last one that was renamed.
    """

    def __init__(self, path: Path, *, machine_at: Callable[[], dt.datetime], keep_days: Callable[[], int]) -> None:
        self.aside: Path | None = None
        self.path = path
        self._machine_at = machine_at
        self._keep_days = keep_days
        self._open: _OpenFile | None = None
        self._jobs: deque[WriteJob] = deque()
        self._lock = threading.Lock()

    def add(self, job: WriteJob) -> None:
        """Let `job` be written by the next `write`. This may be called from any thread."""
        with self._lock:
            self._jobs.append(job)
            if len(self._jobs) > MAX_WAITING:
                self._jobs.popleft()

    def write(self) -> None:
        """Write all jobs that wait, each in a transaction of its own; those that fail keep waiting.

        Raises:
            OSError, sqlite3.Error, Unavailable: the file cannot be used.
        """
        self._retry_if_damaged(self._write)

    def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return the result of `work`.

        Raises:
            OSError, sqlite3.Error, Unavailable: the file cannot be used.
        """
        return self._retry_if_damaged(lambda opened: work(opened.connection))

    def add_account(self, account: StoredAccount) -> None:
        """Store the account, if it is new.

        Raises:
            OSError, sqlite3.Error, Unavailable: the file cannot be used.
        """
        self._retry_if_damaged(lambda opened: _in_transaction(opened, lambda: opened.account(account)))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._open is not None:
            self._open.connection.close()
            self._open = None

    def _retry_if_damaged(self, work: Callable[[_OpenFile], Result]) -> Result:
        """Do `work`; if the file turns out to be damaged, do it again with a new one."""
        try:
            with self._opened() as opened:
                return work(opened)
        except sqlite3.DatabaseError as error:
            if not database.is_damaged(error):
                raise
        self.aside = database.set_aside(self.path, self._machine_at())
        with self._opened() as opened:
            return work(opened)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_OpenFile]:
        """The open file. It is closed after a failure: what is remembered of it may not have been written."""
        if self._open is not None and not self._is_same(self._open):
            self.close()
        if self._open is None:
            self._open = _OpenFile(self.path)
        try:
            yield self._open
        except BaseException:
            self.close()
            raise

    def _is_same(self, opened: _OpenFile) -> bool:
        """Whether the path still leads to the open file, which may have been deleted or replaced."""
        try:
            return self.path.stat().st_ino == opened.inode
        except FileNotFoundError:
            return False

    def _write(self, opened: _OpenFile) -> None:
        second = None
        while (job := self._first()) is not None:
            self._write_one(opened, job)
            second = job.second or second
        if second is not None and tidy(opened.connection, second, self._keep_days()):
            opened.accounts.clear()  # they remember runs that may be gone

    def _first(self) -> WriteJob | None:
        with self._lock:
            return self._jobs[0] if self._jobs else None

    def _write_one(self, opened: _OpenFile, job: WriteJob) -> None:
        try:
            _in_transaction(opened, lambda: job.write(opened.connection, *opened.account(job.account)))
        except _UNWRITABLE as error:
            database.check(opened.connection)  # damage may look like a row that does not fit
            # Another try would fail, too, and would block everything behind it.
            opened.accounts.clear()
            _log.error("Rows cannot be stored", extra={"fields": {"code": "unwritableRows", "reason": str(error)}})
        with self._lock:
            if self._jobs and self._jobs[0] is job:  # else it was dropped meanwhile
                self._jobs.popleft()


def _in_transaction(opened: _OpenFile, work: Callable[[], object]) -> None:
    with opened.connection:
        opened.connection.execute("BEGIN IMMEDIATE")
        work()
