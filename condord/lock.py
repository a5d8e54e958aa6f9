"""Decides that one daemon alone uses a key on an option stream: Alpaca permits one connection, and two would fight.

The lock is the system's own, on a file in the runtime directory, so it goes with the process however that ends; a
file that a killed process left means nothing. Its name is a digest, as a key stands in no file name. Where no file can
be made there is no lock, which is logged: a daemon without one is better than none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from condord.errors import Unavailable

_log = logging.getLogger(__name__)


def directory(environ: Mapping[str, str]) -> Path:
    """Where the lock is: the runtime directory of the unit, or of the user, or one of ours in the temporary one."""
    if named := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(named)
    if named := environ.get("XDG_RUNTIME_DIR", ""):
        return Path(named) / "condord"
    return Path(tempfile.gettempdir()) / f"condord-{os.getuid()}"


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
            Unavailable: another process has it; the text names it.
        """
        path = self._path(key_id, stream_url)
        if path in self._files:
            return
        try:
            self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._files[path] = _take(path)
        except OSError as error:
            fields = {"code": "noLock", "path": str(path), "reason": error.strerror}
            _log.warning("No lock against a second daemon", extra={"fields": fields})
            self._files[path] = None

    def keep_only(self, *, key_id: str, stream_url: str) -> None:
        """Give back all but a key on a stream."""
        self._let_go(self._files.keys() - {self._path(key_id, stream_url)})

    def _path(self, key_id: str, stream_url: str) -> Path:
        digest = hashlib.sha256(f"{key_id}\0{stream_url}".encode()).hexdigest()[:20]
        return self._place / f"{digest}.lock"

    def _let_go(self, paths: set[Path]) -> None:
        for path in paths:
            file = self._files.pop(path)
            if file is not None:
                path.unlink(missing_ok=True)
                os.close(file)


def _take(path: Path) -> int:
    """The open and locked file at `path`: once more if its last owner removed it between opening and locking."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            text = f"another condord (process {owner}) uses this key on this option stream"
            hint = "Stop it, or ask it: `condord status`. Alpaca permits one stream an account."
            raise Unavailable(text, hint) from error
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            with contextlib.suppress(OSError):  # on a full disk the lock holds without the name of its owner
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
            return file
        os.close(file)
