"""Directories that only this user can enter, each for as long as its process runs.

A process that is killed cannot remove its directory. So each has a file on which its process holds a lock (flock(2)),
which the kernel releases no matter how the process ends. The next process that makes such a directory in the same place
removes those whose lock nobody holds. Without that file, a directory is not one of these, and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from condord.errors import Unavailable

MAX_PARENT_BYTES = 78
"""The path of a unix socket may have 107 bytes, of which `/condord-xxxxxxxx/source.sock` takes 29."""
OWNER = "owner"
"""The file with the lock. It gets this name once it is locked, so that nobody finds it before."""

_RANDOM = "[a-z0-9_]{8}"  # what `tempfile` appends to a prefix
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def private_directory(environ: Mapping[str, str], *, purpose: str, hint: str) -> Iterator[Path]:
    """Make a directory for the sockets between the processes of one server, as `owned_directory` does.

    It is in the runtime directory of the unit or of the user, where that can be used, or else a temporary directory.

    Raises:
        Unavailable: none can be made; the text names `purpose`.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(owned_directory("condord-", _runtime_directory(environ)))
        except OSError as error:
            raise Unavailable(f"there is no private directory for {purpose}: {error.strerror}", hint) from error
        yield path


@contextlib.contextmanager
def owned_directory(prefix: str, parent: str | None = None) -> Iterator[Path]:
    """Make a directory with mode 0700, and remove it with all its files at the end.

    Those with this prefix that killed processes of this user have left are removed before. `parent` is by default the
    temporary directory.

    Raises:
        OSError: none can be made.
    """
    place = parent or tempfile.gettempdir()
    _remove_abandoned(Path(place), prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as path,
        _owned(Path(path)),
    ):
        yield Path(path)


@contextlib.contextmanager
def _owned(directory: Path) -> Iterator[None]:
    unlocked = directory / f"{OWNER}.new"
    file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # on a file system without locks the directory may stay
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(directory / OWNER)
        yield
    finally:
        os.close(file)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the files that killed processes of this user have left in `parent`."""
    name = re.compile(re.escape(prefix) + _RANDOM)
    with contextlib.suppress(OSError):
        for path in [each for each in parent.iterdir() if name.fullmatch(each.name)]:
            with contextlib.suppress(OSError), _opened(path, os.O_DIRECTORY) as directory:
                _remove_if_abandoned(path, directory)


def _remove_if_abandoned(path: Path, directory: int) -> None:
    """Remove the directory at `path`, which is open as `directory`, if the lock in it is free.

    Raises:
        OSError: the lock is held, as its owner still runs; or there is no lock of this user in it.
    """
    if os.fstat(directory).st_mode & _OTHERS:
        return
    with _opened(OWNER, os.O_RDWR | os.O_NONBLOCK, within=directory) as file:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.lstat(), os.fstat(directory)):
            shutil.rmtree(path, ignore_errors=True)  # which follows no links
            _log.info("The directory of a killed process was removed", extra={"fields": {"path": str(path)}})


@contextlib.contextmanager
def _opened(path: Path | str, flags: int, *, within: int | None = None) -> Iterator[int]:
    """Open a file or directory that belongs to this user and is no link.

    Raises:
        OSError: it belongs to another user, is a link, or cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError
        yield descriptor
    finally:
        os.close(descriptor)


def _runtime_directory(environ: Mapping[str, str]) -> str | None:
    named = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or environ.get("XDG_RUNTIME_DIR", "")
    is_usable = len(os.fsencode(named)) <= MAX_PARENT_BYTES and os.access(named, os.W_OK | os.X_OK)
    return named if named and is_usable else None
