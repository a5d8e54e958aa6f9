"""Ensure that only one daemon uses a key on an option stream, as Alpaca permits one connection.

In the same way, only one ingester of an account uses a state directory: two would both record its history there.

The lock is flock(2) on a file; for a key, the file is in the runtime directory. The kernel releases it no matter how
the process ends. A file left by a killed process has no effect. For a key its name is a digest, as a key must not
appear in a file name.

The maker of an ingester ends itself before the lease of its leader expires, but not while it is stopped (SIGSTOP, a
frozen container): it then keeps the lock, and its connection to Alpaca. So a maker under the next lease of the same
account ends it, which frees both, before it connects itself.

If no file can be created, because no directory is writable or the one in /tmp belongs to another user, the daemon runs
without a lock and logs that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import select
import signal
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from condord.errors import Unavailable
from condord.host import bounded_file, process_state

_UNIT = Path("/run/condord")
"""The runtime directory of systemd/condord.service."""
_MAX_BYTES = 512
"""A lock file has the pid in its first line and, once the daemon listens, its URL in the second; or a maker's has the
digest of its lease there."""
_LEASE = "lease "
INGESTERS_HINT = (
    "Use the key of another account, or stop all ingesters of this one: after the end of one, another takes over."
)
"""The remedy if an ingester has the stream that another condord needs."""
KILL_SECONDS = 2.0
"""How long a killed process may take to end."""

_log = logging.getLogger(__name__)


class AlreadyRunning(Unavailable):
    """Another process uses the key on the stream; `pid` is None, `url` empty if its lock file does not have it.

    `is_stopped`: it has been stopped, and may continue at any time. `is_maker`: it is the process of an ingester that
    speaks to Alpaca, so the error names the ingester, which has started it. `ingester` is that one's process, None if
    it is not known or this is no maker.
    """

    def __init__(self, pid: int | None, url: str = "", *, is_stopped: bool = False, is_maker: bool = False) -> None:
        self.pid, self.ingester = pid, _parent_of(pid) if is_maker else None
        text = f"another condord (process {pid or 'unknown'}) uses this key on this option stream"
        hint = f"Stop it, or see its state with `condord status{f' --url {url}' if url else ''}`."
        if is_maker:
            text = f"an ingester (process {self.ingester or 'unknown'}) uses this key on this option stream"
            hint = INGESTERS_HINT
        if is_stopped:
            text += f", and its process {pid} is suspended" if is_maker else ", and is suspended"
            hint = f"Continue it with `kill -CONT {pid}`, or end it with `kill -KILL {pid}`."
        super().__init__(text, f"{hint} Alpaca permits one stream per account.")


class StateInUse(Unavailable):
    """Another ingester of the account keeps its state in `directory`; `pid` is None if its lock file has none."""

    def __init__(self, pid: int | None, directory: Path) -> None:
        self.pid = pid
        text = f"another ingester (process {pid or 'unknown'}) of this account keeps its state in {directory}"
        super().__init__(text, "Give each ingester a state directory of its own: set STATE_DIRECTORY.")


def directory(environ: Mapping[str, str]) -> Path | None:
    """The directory of the locks: the runtime directory of the unit or of the user, or one in a temporary directory.

    None if there is none of these. `tempfile.gettempdir` would return the working directory then, in which no other
    daemon looks.
    """
    if named := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(named)
    if (named := environ.get("XDG_RUNTIME_DIR", "")) and Path(named).is_dir():
        return Path(named) / "condord"
    temporary = next(filter(_is_writable, map(Path, (environ.get("TMPDIR", ""), "/tmp", "/var/tmp"))), None)  # noqa: S108
    return temporary and temporary / f"condord-{os.getuid()}"


def _is_writable(path: Path) -> bool:
    return path.is_absolute() and path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def name(*, key_id: str, stream_url: str) -> str:
    """The name of the lock file of a key on a stream."""
    digest = hashlib.sha256(f"{key_id}\0{stream_url}".encode()).hexdigest()[:20]
    return f"{digest}.lock"


def names_of(pid: int, environ: Mapping[str, str]) -> frozenset[str]:
    """The names of the readable lock files of a running process, those of the system unit included."""
    paths = [path for folder in (directory(environ), _UNIT) if folder for path in folder.glob("*.lock")]
    return frozenset(path.name for path in paths if _pid_in(path) == pid)


class Locks:
    """The locks that this process holds, as files in `directory`; leaving the context releases all.

    Without a directory nothing is locked. `lease_digest` identifies the lease under which a maker runs, and is empty
    for any other process. At most one process has that lease, so another one with the same digest has outlived its own.
    """

    def __init__(self, directory: Path | None, *, lease_digest: str = "") -> None:
        self._directory = directory
        self._lease_digest = lease_digest
        self._files: dict[Path, int | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._release(set(self._files))

    def take(self, *, key_id: str, stream_url: str) -> None:
        """Lock a key on a stream, if a lock file can be created. Locks already held stay.

        A maker that has outlived its lease is killed.

        Raises:
            AlreadyRunning: another process holds the lock; the text names it.
        """
        path = self._path(key_id, stream_url)
        if path in self._files:
            return
        try:
            self._files[path] = self._take(path)
        except _LockHeld as held:
            is_maker = bool(held.lease_digest)
            raise AlreadyRunning(
                held.pid, held.url, is_stopped=process_state.is_stopped(held.pid), is_maker=is_maker
            ) from held

    def keep_only(self, *, key_id: str, stream_url: str) -> None:
        """Release all locks except the one of a key on a stream."""
        self._release(self._files.keys() - {self._path(key_id, stream_url)})

    def note_url(self, url: str) -> None:
        """Write the URL at which this process serves to the locks that it holds, for the error of another process."""
        for file in self._files.values():
            if file is not None:
                with contextlib.suppress(OSError):  # on a full disk the error of another process will not name the URL
                    os.write(file, f"{url}\n".encode())

    def _take(self, path: Path) -> int | None:
        """Lock `path`, if necessary after a maker that has outlived its lease has been killed.

        Raises:
            _LockHeld: another process holds the lock.
        """
        try:
            return _take_if_possible(path, self._directory, self._lease_digest)
        except _LockHeld as held:
            has_outlived = self._lease_digest and held.lease_digest == self._lease_digest
            if held.pid is None or not has_outlived or not _kill_holder(held.pid, path):
                raise
        return _take_if_possible(path, self._directory, self._lease_digest)

    def _path(self, key_id: str, stream_url: str) -> Path:
        return (self._directory or Path()) / name(key_id=key_id, stream_url=stream_url)

    def _release(self, paths: set[Path]) -> None:
        for path in paths:
            _release(path, self._files.pop(path))


@contextlib.contextmanager
def only_ingester(account: str, directory: Path) -> Iterator[None]:
    """Ensure that only one ingester of an account, by its name on the bus, keeps its state in `directory`.

    The directory is created. Where no lock file can be created, nothing is locked.

    Raises:
        StateInUse: another process does so.
    """
    path = _of_ingester(account, directory)
    with contextlib.suppress(OSError):  # it is reported below
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = _take_if_possible(path, directory)
    except _LockHeld as held:
        raise StateInUse(held.pid, directory) from held
    try:
        yield
    finally:
        _release(path, file)


def require_free_state(account: str, directory: Path) -> None:
    """Check that an ingester could do `only_ingester`, without creating anything.

    Raises:
        StateInUse: another process keeps its state there.
    """
    if _of_ingester(account, directory).exists():
        with only_ingester(account, directory):
            pass


def _of_ingester(account: str, directory: Path) -> Path:
    return directory / f"ingester-{account}.lock"


class _LockHeld(Exception):
    """Another process holds a lock; `pid` and `url` as in `AlreadyRunning`, `lease_digest` as in `Locks`."""

    def __init__(self, raw: bytes) -> None:
        self.pid = _pid(raw)
        second = raw.decode(errors="replace").partition("\n")[2].strip()
        self.lease_digest = second.removeprefix(_LEASE) if second.startswith(_LEASE) else ""
        self.url = "" if self.lease_digest else second
        super().__init__()


def _take_if_possible(path: Path, directory: Path | None, lease_digest: str = "") -> int | None:
    """Call `_take`; if that cannot create a file, log it and return None.

    Raises:
        _LockHeld: another process holds the lock.
    """
    try:
        return _take(path, directory, lease_digest)
    except OSError as error:
        fields = {"code": "noLock", "path": str(path), "reason": error.strerror}
        _log.warning("Running without a lock against a second daemon", extra={"fields": fields})
        return None


def _release(path: Path, file: int | None) -> None:
    if file is not None:
        path.unlink(missing_ok=True)
        os.close(file)


def _make(directory: Path) -> None:
    """Create `directory` if it is missing.

    If everyone may write to its parent, such as /tmp, only this user may write to `directory`.

    Raises:
        OSError: it cannot be created, or another user could hold our locks there.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.parent.stat().st_mode & stat.S_IWOTH:
        found = directory.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not is_ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            reason = "the directory belongs to another user, or others may write there"
            raise PermissionError(errno.EPERM, reason, str(directory))


def _take(path: Path, directory: Path | None, lease_digest: str) -> int:
    """Open and lock the file at `path`; again if its last owner removed it between opening and locking.

    Raises:
        _LockHeld: another process holds the lock.
        OSError: no file can be created.
    """
    if directory is None:
        raise FileNotFoundError(errno.ENOENT, "no directory is writable")
    _make(directory)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raw = os.read(file, _MAX_BYTES)
            os.close(file)
            raise _LockHeld(raw) from error
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            with contextlib.suppress(OSError):  # on a full disk the lock is held all the same, without our pid
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n{_LEASE}{lease_digest}\n".removesuffix(f"{_LEASE}\n").encode())
            return file
        os.close(file)


def _kill_holder(pid: int, path: Path) -> bool:
    """Kill the process that holds the lock at `path`, and wait for its end. Return whether it has ended."""
    if not hasattr(os, "pidfd_open"):  # only Linux has it
        return False
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not _has_open(pid, path):  # another process may have this number, as in another container
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
        has_ended = bool(select.select([process], [], [], KILL_SECONDS)[0])
    except OSError:  # of another user
        return False
    finally:
        os.close(process)
    _log.warning("A daemon of the account was killed because it had outlived its lease", extra={"fields": {"pid": pid}})
    return has_ended


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process has the file at `path` open.

    Raises:
        OSError: that cannot be found out.
    """
    lock_file = path.stat()
    for opened in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            if os.path.samestat(opened.stat(), lock_file):
                return True
    return False


def _parent_of(pid: int | None) -> int | None:
    """The process that has started `pid`; None if that has ended, or cannot be found out."""
    parent = int("".join(process_state.stat_of(pid)[1:2]) or 0)
    return parent if parent > 1 else None


def _pid_in(path: Path) -> int | None:
    try:
        return _pid(bounded_file.read(path, _MAX_BYTES)[0])
    except OSError:  # removed meanwhile, or of another user
        return None


def _pid(raw: bytes) -> int | None:
    first = raw.partition(b"\n")[0]
    return int(first) if first.isdigit() else None
