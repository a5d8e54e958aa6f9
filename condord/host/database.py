"""SQLite files that only their owner can read, with migrations.

A file is opened in WAL mode, so that `sqlite3` and other programs can read it while condord writes. `user_version` is
the number of migrations that a file has had. A damaged file is renamed and a new one is begun. A file of a later
version, or one of another program, is never changed, and neither is its mode; nothing is written beside it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from condord.errors import Unavailable
from condord.host import disk_faults
from condord.live.remedies import with_remedy

BUSY_SECONDS = 5.0
"""How long a call waits for the lock of another program before it fails."""
WAL_BYTES = 4 << 20
"""The write-ahead log is cut to this size once its content is in the file."""
BESIDE = ("-wal", "-shm")
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF
_DAMAGED_TEXT = "the file is damaged"
_DAMAGED_TEXTS = (
    "no such table",
    "no such column",
    "no such index",
    "Could not decode",
    "unsupported file format",
    _DAMAGED_TEXT,
)
"""The messages of SQLite for a damaged schema, text or header, for which it has no code of its own."""
_OTHERS = 0o077
_MIN_FREE_BYTES = 64 << 10
"""SQLite needs about this much for a small write: a few pages, and 32 KB for the index of the write-ahead log."""
_MAY_BE_FULL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""SQLite reports these for a full disk, too, if it cannot create or enlarge the files beside the database."""

Synchronous = Literal["NORMAL", "FULL"]
"""With `NORMAL` a power cut may lose the latest transactions, while a killed process loses none. `FULL` loses none."""


def open_writer(path: Path, migrations: Sequence[str], *, synchronous: Synchronous = "NORMAL") -> sqlite3.Connection:
    """Open or create a database of mode 0600, and apply the `migrations` that it has not had.

    The connection is in autocommit mode, and may be used by one thread at a time. Directories are created.

    Raises:
        OSError: the directory or the file cannot be created.
        sqlite3.Error: the file cannot be opened, or is damaged (`is_damaged`).
        Unavailable: the path is a link or not a regular file, or the file has a later version or is of another program.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _require_regular(path) and not _is_ours(path, migrations):
        with contextlib.closing(_connect(path, "ro")) as reader:
            _refuse_foreign(reader, path, migrations)
    _protect(path)
    connection = _connect(path, "rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        _migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database that has had all `migrations`, and that this connection cannot change.

    Raises:
        sqlite3.Error: the file cannot be opened, or is damaged (`is_damaged`).
        Unavailable: there is no such file or it has another version, or as for `open_writer`.
    """
    if not _require_regular(path):
        raise Unavailable(f"{path.name} is empty or does not exist", "Try again later.")
    _is_ours(path, migrations)
    connection = _connect(path, "ro")
    try:
        found = _refuse_foreign(connection, path, migrations)
        if found < len(migrations):
            text = f"{path.name} is not ready: its schema is {found}, and this version needs {len(migrations)}"
            raise Unavailable(text, "Try again later.")
    except BaseException:
        connection.close()
        raise
    return connection


def reason(error: Exception, path: Path) -> str:
    """Why the database at `path` could not be used, for people.

    SQLite has one text for most failures of the system. So its code is added, and a full disk is named as one, as is a
    limit of the size of files.
    """
    if isinstance(error, OSError):
        return disk_faults.reason_of(error, path.parent)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    primary = code & _PRIMARY_CODE
    if primary == sqlite3.SQLITE_FULL or (primary in _MAY_BE_FULL and _is_full(path.parent)):
        return os.strerror(errno.ENOSPC)
    limit = disk_faults.size_limit() if primary == sqlite3.SQLITE_IOERR else None
    if limit is not None and _is_near(limit, path):
        return disk_faults.limit_reached(limit)
    if primary == sqlite3.SQLITE_BUSY:
        return "another program keeps the database locked"
    return str(error) if code == sqlite3.SQLITE_OK else f"{error} ({getattr(error, 'sqlite_errorname', code)})"


def unusable(what: str, path: Path, error: Exception | None) -> str:
    """A sentence about a failure of the database at `path`: its effect, reason and remedy.

    No error means the disk hangs.
    """
    why = disk_faults.HANGS if error is None else reason(error, path)
    text = f"{what} in {path}: {why}"
    if isinstance(error, Unavailable):
        return f"{text}. {error.hint}"
    is_locked = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
    return with_remedy(text, "end its transaction" if is_locked else disk_faults.remedy_for(why))


def is_damaged(error: Exception) -> bool:
    """Whether an error of SQLite means that the file is damaged, rather than locked, full or unreadable."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    return code in _DAMAGED or str(error).startswith(_DAMAGED_TEXTS)


def check(connection: sqlite3.Connection) -> None:
    """Look for damage in the whole file, which takes about a second for 500 MB.

    Raises:
        sqlite3.DatabaseError: the file is damaged (`is_damaged`).
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"{_DAMAGED_TEXT}: {found}")


def set_aside(path: Path, at: dt.datetime) -> Path:
    """Rename a damaged file and its write-ahead log to `NAME.broken-TIME`, and return the new path.

    All connections to it must be closed.

    Raises:
        OSError: the file cannot be renamed.
    """
    name = f"{path.name}.broken-{at:%Y%m%dT%H%M%SZ}"
    names = (path.with_name(name if number == 1 else f"{name}-{number}") for number in count(1))
    aside = next(free for free in names if not free.exists())
    path.rename(aside)
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # the pool that owns it may replace its thread
    )


def _is_near(limit: int, path: Path) -> bool:
    """Whether the next small write to the database or a file beside it may exceed `limit`, in bytes."""
    sizes = [0, *(each.stat().st_size for each in _with_beside(path) if each.is_file())]
    return max(sizes) + _MIN_FREE_BYTES > limit


def _with_beside(path: Path) -> Iterator[Path]:
    yield path
    for suffix in BESIDE:
        yield path.with_name(path.name + suffix)


def _require_regular(path: Path) -> bool:
    """Refuse links and everything else that is not a file; True if the database has content."""
    size = 0
    for name in _with_beside(path):
        with contextlib.suppress(FileNotFoundError):
            status = name.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise Unavailable(f"{name.name} is not a regular file", "Move it away.")
            if name == path:
                size = status.st_size
    return size > 0


def _protect(path: Path) -> None:
    """Create the file with mode 0600 unless it exists, and remove the rights of others to it.

    SQLite gives the files beside it the same mode. An existing file is not opened here: closing it would release the
    locks that SQLite holds on it in this process (fcntl(2)).
    """
    for name in _with_beside(path):
        with contextlib.suppress(FileNotFoundError):
            if name.lstat().st_mode & _OTHERS:
                name.chmod(0o600)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _is_ours(path: Path, migrations: Sequence[str]) -> bool:
    """Refuse a file of a later version or of another program, before anything is written beside it; True if it is ours.

    An immutable database is read without locks and without its write-ahead log, for which SQLite would create a file.
    So it may be read in an earlier state, and a checkpoint of another program may look like damage: then this is False.
    """
    has_log = path.with_name(path.name + BESIDE[0]).exists()
    try:
        with contextlib.closing(_connect(path, "ro&immutable=1")) as connection:
            _refuse_foreign(connection, path, migrations)
    except sqlite3.DatabaseError:
        return False
    return not has_log


def _refuse_foreign(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> int:
    """Refuse a file of a later version or of another program, and return the version of the file."""
    found = _version(connection)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    script = "".join(migrations)
    # Other programs count versions, too.
    if names and (found == 0 or not any(f"CREATE TABLE {name} " in script for name in names)):
        raise Unavailable(f"{path.name} is not a file of condord", "Move it away.")
    if found > len(migrations):
        raise Unavailable(
            f"{path.name} is of a later version of condord: its schema is {found}, "
            f"and this version knows {len(migrations)}",
            "Install that version again, or move the file away.",
        )
    return found


def _is_full(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize < _MIN_FREE_BYTES or (disk.f_files > 0 and disk.f_favail == 0)
    return False


def _version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Apply each missing migration in a transaction of its own, so that a crash leaves a whole version."""
    for number in range(_version(connection), len(migrations)):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{migrations[number]}\nPRAGMA user_version = {number + 1};\nCOMMIT;"
            )
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
