"""Decides that one daemon alone uses a key on an option stream: Alpaca permits one connection, and two would fight.

The lock is the system's own, on a file in the runtime directory, so it goes with the process however that ends; a
file that a killed process left means nothing. Its name is a digest, as a key stands in no file name. Where no file can
be made, or the directory in /tmp is somebody else's, there is no lock, which is logged: a daemon without one is better
than none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from condord import regular_file
from condord.errors import Unavailable

_UNIT = Path("/run/condord")
"""The runtime directory of systemd/condord.service."""
_MOST_DIGITS = 20

_log = logging.getLogger(__name__)


class Held(Unavailable):
    """Another process, `pid`, has the key on the stream; None where its lock does not name it."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        text = f"another condord (process {pid or 'unknown'}) uses this key on this option stream"
        hint = "Stop it, or ask it: `condord status`. Alpaca permits one stream an account."
        super().__init__(text, hint)


def directory(environ: Mapping[str, str]) -> Path:
    """Where the lock is: the runtime directory of the unit, or of the user, or one of ours in the temporary one."""
    if named := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(named)
    if (named := environ.get("XDG_RUNTIME_DIR", "")) and Path(named).is_dir():
        return Path(named) / "condord"
    return Path(tempfile.gettempdir()) / f"condord-{os.getuid()}"


def name(*, key_id: str, stream_url: str) -> str:
    """What the lock file of a key on a stream is called."""
    digest = hashlib.sha256(f"{key_id}\0{stream_url}".encode()).hexdigest()[:20]
    return f"{digest}.lock"


def names_of(pid: int, environ: Mapping[str, str]) -> frozenset[str]:
    """The lock files that name a process which runs, as far as we may read them, its unit's too."""
    paths = [path for place in (directory(environ), _UNIT) for path in place.glob("*.lock")]
    return frozenset(path.name for path in paths if _pid_in(path) == pid)


class Locks:
    """The keys that this process has to itself, each on a stream, by files in `place`; leaving it gives all back."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._files: dict[Path, int | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go(set(self._files))

    def take(self, *, key_id: str, stream_url: str) -> None:
        """Have a key on a stream to ourselves, as far as a file can be made for that; what we have stays ours.

        Raises:
            Held: another process has it; the text names it.
        """
        path = self._path(key_id, stream_url)
        if path in self._files:
            return
        try:
            _make(self._place)
            self._files[path] = _take(path)
        except OSError as error:
            fields = {"code": "noLock", "path": str(path), "reason": error.strerror}
            _log.warning("No lock against a second daemon", extra={"fields": fields})
            self._files[path] = None

    def keep_only(self, *, key_id: str, stream_url: str) -> None:
        """Give back all but a key on a stream."""
        self._let_go(self._files.keys() - {self._path(key_id, stream_url)})

    def _path(self, key_id: str, stream_url: str) -> Path:
        return self._place / name(key_id=key_id, stream_url=stream_url)

    def _let_go(self, paths: set[Path]) -> None:
        for path in paths:
            file = self._files.pop(path)
            if file is not None:
                path.unlink(missing_ok=True)
                os.close(file)


def _make(place: Path) -> None:
    """Have a directory at `place`; where anybody may make one, as in /tmp, it must be ours alone to write in.

    Raises:
        OSError: there is none, or somebody else could take or keep our locks there.
    """
    place.mkdir(mode=0o700, exist_ok=True)
    if place.parent.stat().st_mode & stat.S_IWOTH:
        found = place.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not is_ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, "the directory is not ours, or others may write there", str(place))


def _take(path: Path) -> int:
    """The open and locked file at `path`: once more if its last owner removed it between opening and locking."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _pid(os.read(file, _MOST_DIGITS))
            os.close(file)
            raise Held(owner) from error
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            with contextlib.suppress(OSError):  # on a full disk the lock holds without the name of its owner
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
            return file
        os.close(file)


def _pid_in(path: Path) -> int | None:
    try:
        return _pid(regular_file.read(path, _MOST_DIGITS)[0])
    except OSError:  # it is gone, or another user's
        return None


def _pid(raw: bytes) -> int | None:
    return int(raw) if raw.strip().isdigit() else None
