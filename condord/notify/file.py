"""The open file with the states and the outbox. Its methods run on the store's thread."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from condord.host import database
from condord.live.alert_records import AlertRecord
from condord.notify.channel import ChannelState
from condord.notify.messages import Key, Message
from condord.notify.schema import MIGRATIONS

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Row = TypeVar("Row")


class StoredAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the file for one account."""

    records: tuple[AlertRecord, ...] = ()
    messages: tuple[Message, ...] = ()
    channels: tuple[ChannelState, ...] = ()


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """The changes to write for one account; None removes an entry.

    `is_whole`: this is all that is known of it. `is_handed_over`: this is all, too, and what the file has is outdated.
    """

    records: Mapping[str, AlertRecord | None]
    messages: Mapping[Key, Message | None]
    channels: Mapping[str, ChannelState | None] = msgspec.field(default_factory=dict)
    is_whole: bool = False
    is_handed_over: bool = False


class WriteResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a write. `is_incomplete`: nothing was written, as the file needs all records and messages.

    `recovered` are messages that were in the file without having been read before.
    """

    is_incomplete: bool = False
    recovered: tuple[Message, ...] = ()


class AlertFile:
    """The database at `path`, opened when it is first used.

    A damaged file is renamed, and a new one is begun; `aside` is the last one that was renamed.
    """

    def __init__(self, path: Path, *, machine_at: Callable[[], dt.datetime]) -> None:
        self.aside: Path | None = None
        self.path = path
        self._machine_at = machine_at
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._known: set[str] = set()

    @property
    def is_replaced(self) -> bool:
        """Whether the open file was deleted, or another one has taken its place."""
        return self._connection is not None and self._current_inode() != self._inode

    def read(self, account: str) -> StoredAlerts | None:
        """Return the stored state of an account; None if the file turned out to be damaged.

        Raises:
            OSError, sqlite3.Error, Unavailable: the file cannot be used.
        """
        aside = self.aside

        def work(connection: sqlite3.Connection) -> StoredAlerts:
            database.check(connection)
            return StoredAlerts(
                records=_records(connection, account),
                messages=_messages(connection, account),
                channels=_channels(connection, account),
            )

        stored = self._retry_if_damaged(work)
        self._known.add(account)
        return stored if aside == self.aside else None

    def write(self, account: str, edit: Edit) -> WriteResult:
        """Write an edit in one transaction.

        Raises:
            OSError, sqlite3.Error, Unavailable: the file cannot be used.
        """

        def work(connection: sqlite3.Connection) -> WriteResult:
            if account not in self._known and not edit.is_whole:
                return WriteResult(is_incomplete=True)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                written = self._write(connection, account, edit)
            self._known.add(account)
            return written

        return self._retry_if_damaged(work)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, connection: sqlite3.Connection, account: str, edit: Edit) -> WriteResult:
        recovered: tuple[Message, ...] = ()
        if edit.is_handed_over:
            for table in ("alerts", "outbox", "channels"):
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608 - ours
        elif account not in self._known:
            recovered = tuple(each for each in _messages(connection, account) if each.key not in edit.messages)
            connection.execute("DELETE FROM alerts WHERE account = ?", (account,))
        _put_records(connection, account, edit.records)
        _put_messages(connection, account, edit.messages)
        _put_channels(connection, account, edit.channels)
        return WriteResult(recovered=recovered)

    def _retry_if_damaged(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work`; if the file turns out to be damaged, do it again with a new one."""
        try:
            with self._opened() as connection:
                return work(connection)
        except sqlite3.DatabaseError as error:
            if not database.is_damaged(error):
                raise
        self._known.clear()
        self.aside = database.set_aside(self.path, self._machine_at())
        with self._opened() as connection:
            return work(connection)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The open file; it is closed after a failure."""
        inode = self._current_inode()
        if inode is None or inode != self._inode:  # another file, which has not been read
            self.close()
            self._known.clear()
        if self._connection is None:
            self._connection = database.open_writer(self.path, MIGRATIONS, synchronous="FULL")
            self._inode = self._current_inode()
        try:
            yield self._connection
        except BaseException:
            self.close()
            raise

    def _current_inode(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except (FileNotFoundError, NotADirectoryError):
            return None


def _records(connection: sqlite3.Connection, account: str) -> tuple[AlertRecord, ...]:
    rows = connection.execute("SELECT id, record FROM alerts WHERE account = ? ORDER BY id", (account,))
    return tuple(_decoded(rows, AlertRecord))


def _messages(connection: sqlite3.Connection, account: str) -> tuple[Message, ...]:
    rows = connection.execute("SELECT id, message FROM outbox WHERE account = ? ORDER BY sequence", (account,))
    return tuple(_decoded(rows, Message))


def _channels(connection: sqlite3.Connection, account: str) -> tuple[ChannelState, ...]:
    rows = connection.execute("SELECT name, state FROM channels WHERE account = ? ORDER BY name", (account,))
    return tuple(_decoded(rows, ChannelState))


def _decoded(rows: Iterable[tuple[str, str]], kind: type[Row]) -> Iterator[Row]:
    """The rows that can be decoded; one that cannot must not hide the others."""
    for name, text in rows:
        try:
            yield msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError:
            fields = {"code": "unreadableRow", "table": kind.__name__, "id": name}
            _log.error("A stored alert cannot be read", extra={"fields": fields})


def _put_records(connection: sqlite3.Connection, account: str, records: Mapping[str, AlertRecord | None]) -> None:
    for name, record in records.items():
        if record is None:
            connection.execute("DELETE FROM alerts WHERE account = ? AND id = ?", (account, name))
        else:
            row = (account, name, record.rule, record.state, _text(record))
            connection.execute("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)", row)


def _put_messages(connection: sqlite3.Connection, account: str, messages: Mapping[Key, Message | None]) -> None:
    for key, message in messages.items():
        if message is None:
            connection.execute("DELETE FROM outbox WHERE account = ? AND channel = ? AND id = ?", (account, *key))
        else:
            row = (account, *key, message.alert_id, message.sequence, _text(message))
            connection.execute("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?)", row)


def _put_channels(connection: sqlite3.Connection, account: str, channels: Mapping[str, ChannelState | None]) -> None:
    for name, state in channels.items():
        if state is None:
            connection.execute("DELETE FROM channels WHERE account = ? AND name = ?", (account, name))
        else:
            connection.execute("INSERT OR REPLACE INTO channels VALUES (?, ?, ?)", (account, name, _text(state)))


def _text(value: AlertRecord | Message | ChannelState) -> str:
    return msgspec.json.encode(value).decode()
