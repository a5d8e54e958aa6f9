"""Small JSON files in the state directory, for what should survive a restart.

The daemon works without them, so a fault of the disk never stops it. A file that is damaged, of another version or of
another kind counts as missing. A failed write leaves the old file; `retry` repeats it. Each fault is logged once until
it is over.

A file's name contains a hash of the account, so that accounts never mix; until the account is known, nothing is read or
written. Only its owner can read a file. The disk is used from a separate thread. If it does not respond in time, it is
not used again.

Of several ingesters, each has its own files. Those of the kinds `COPIED`, which cannot be read from Alpaca again, are
copied to the others, which use a copy even if they cannot store it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from condord.host import bounded_file, directories, disk_faults
from condord.host.thread_pool import DaemonPool
from condord.live.remedies import with_remedy

EXTREMES = "extremes"
COPIED = frozenset({"names", "life", EXTREMES})
"""The kinds that another ingester needs: ids of condors, notices with their evidence, and extremes of holdings."""
DISK_TIMEOUT_SECONDS = 10.0
_FILE_NAME = re.compile(rf"([0-9a-f]{{20}})-({'|'.join(sorted(COPIED))})\.json")
_VERSION = 2
_MAX_BYTES = 64 << 20

_log = logging.getLogger(__name__)

Copy = Callable[[str, bytes], None]
Content = TypeVar("Content")
Result = TypeVar("Result")


class _StateFile(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    kind: str
    content: msgspec.Raw


def directory(environ: Mapping[str, str], *, lasts: bool) -> Path | None:
    """The state directory: the systemd unit's, or else the user's; None if there is neither.

    Without a unit, an account that does not last (a demo's) has no directory.
    """
    if named := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(named)
    if not lasts:
        return None
    path = directories.state_directory()
    if path is None:
        hint = "Set HOME, XDG_STATE_HOME or STATE_DIRECTORY to a writable directory."
        fields = {"code": "noState", "hint": hint}
        _log.warning("No home directory; no state survives a restart", extra={"fields": fields})
    return path


def hash_of(account: str) -> str:
    """Return the hash of an account that the names of its files contain."""
    return hashlib.sha256(account.encode()).hexdigest()[:20]


def account_hash(name: str) -> str | None:
    """Return the account's hash from the name of a copied file; None if files of that name are not copied."""
    found = _FILE_NAME.fullmatch(name)
    return None if found is None else found[1]


class _Disk:
    """A directory and the thread that uses it (None: nothing is stored), and the faults already logged."""

    def __init__(self, path: Path | None, copy: Copy, handed_over: Mapping[str, bytes]) -> None:
        self.path = path
        self.copy = copy
        self.handed_over = dict(handed_over)
        self.pool = None if path is None else DaemonPool(1, name="store")
        self.logged: set[str] = set()
        self.write_fault: str | None = None
        self.unwritten: dict[Path, Callable[[Path], None]] = {}


class Store:
    """The files of one account in the directory `path`, which is created by the first write.

    If `path` or `account` is None, nothing is stored. `account` is any text that identifies the account; file names
    contain only its hash. `copy` gets the name and the content of each file of the kinds `COPIED` that is read or
    written. `handed_over` has such copies by another ingester, by name; they replace the files in `path`.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        account: str | None = None,
        disk: _Disk | None = None,
        copy: Copy = lambda _name, _content: None,
        handed_over: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._disk = disk or _Disk(path, copy, handed_over)
        self._hash = None if account is None else hash_of(account)

    @property
    def write_fault(self) -> str | None:
        """The directory of a failed write that was not repeated yet, and the reason; None if everything is written."""
        return self._disk.write_fault

    def of(self, account: str) -> Store:
        """The files of another account in the same directory, used from the same thread."""
        return Store(self._disk.path, account=account, disk=self._disk)

    async def read(self, kind: str, shape: type[Content]) -> Content | None:
        """The state last written as `kind`; None if the file is missing or does not match the type `shape`."""
        if self._disk.path is None or self._hash is None:
            return None
        found = self._handed_over(kind, shape)
        if found is not None:
            await self.write(kind, found)  # if that fails, it is tried again
            return found
        found = await self._run("read", self._path(kind), lambda path: _read(path, kind, shape))
        if found is not None:
            self._copy(kind, found)
        return found

    async def write(self, kind: str, content: object) -> None:
        """Replace the file `kind` with `content`, which is anything that msgspec can encode."""
        if self._disk.path is not None and self._hash is not None:
            path = self._path(kind)
            self._disk.unwritten[path] = lambda path: _replace(path, _encoded(kind, content))
            self._copy(kind, content)
            await self._write(path)

    async def retry(self) -> None:
        """Try failed writes again, of all accounts in the directory."""
        for path in list(self._disk.unwritten):
            # While another file was retried, a write of this one may have succeeded.
            if path in self._disk.unwritten:
                await self._write(path)

    def close(self) -> None:
        """End the thread; from now on nothing is read or written."""
        if self._disk.pool is not None:
            self._disk.pool.shutdown()
            self._disk.pool = None

    def _handed_over(self, kind: str, shape: type[Content]) -> Content | None:
        """Take the state that another ingester has handed over; None if there is nothing, or it cannot be used."""
        raw = self._disk.handed_over.pop(self._path(kind).name, None)
        try:
            return None if raw is None else _decoded(raw, kind, shape)
        except ValueError as error:
            fields = {"code": "noStateCopy", "kind": kind, "reason": str(error)}
            _log.error("What the earlier leader has handed over cannot be used", extra={"fields": fields})
            return None

    def _path(self, kind: str) -> Path:
        assert self._disk.path is not None  # noqa: S101 - the callers have checked it
        return self._disk.path / f"{self._hash}-{kind}.json"

    def _copy(self, kind: str, content: object) -> None:
        if kind in COPIED:
            self._disk.copy(self._path(kind).name, _encoded(kind, content))

    async def _write(self, path: Path) -> None:
        await self._run("write", path, self._disk.unwritten[path])

    async def _run(self, action: str, path: Path, call: Callable[[Path], Result]) -> Result | None:
        if self._disk.pool is None:
            return None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DISK_TIMEOUT_SECONDS):
                result = await loop.run_in_executor(self._disk.pool, call, path)
        except TimeoutError:
            self.close()
            self._log_fault(action, path, disk_faults.HANGS)
            return None
        except OSError as error:
            self._log_fault(action, path, disk_faults.reason_of(error, path.parent))
            return None
        except ValueError as error:
            self._log_fault(action, path, str(error))
            return None
        self._disk.logged.discard(f"{action} {path}")
        if action == "write":
            self._note_written(path, call)
        return result

    def _note_written(self, path: Path, call: Callable[[Path], object]) -> None:
        if self._disk.unwritten.get(path) is call:  # else something newer waits to be written
            del self._disk.unwritten[path]
        if not self._disk.unwritten:
            self._disk.write_fault = None

    def _log_fault(self, action: str, path: Path, reason: str) -> None:
        if action == "write" or self._disk.pool is None:
            text = reason if reason.startswith(f"{path.parent} ") else f"{path.parent}: {reason}"
            self._disk.write_fault = with_remedy(text, disk_faults.remedy_for(reason))
        if f"{action} {path}" not in self._disk.logged:
            self._disk.logged.add(f"{action} {path}")
            fields = {"code": "noStateFile", "action": action, "path": str(path), "reason": reason}
            _log.warning("State file cannot be used; running without it", extra={"fields": fields})


def _read(path: Path, kind: str, shape: type[Content]) -> Content | None:
    try:
        raw, _ = bounded_file.read(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    return _decoded(raw, kind, shape)


def _decoded(raw: bytes, kind: str, shape: type[Content]) -> Content:
    envelope = msgspec.json.decode(raw, type=_StateFile)
    if (envelope.version, envelope.kind) != (_VERSION, kind):
        raise ValueError(f"it contains {envelope.kind} of version {envelope.version}")
    return msgspec.json.decode(envelope.content, type=shape)


def _encoded(kind: str, content: object) -> bytes:
    return msgspec.json.encode(
        _StateFile(version=_VERSION, kind=kind, content=msgspec.Raw(msgspec.json.encode(content)))
    )


def _replace(path: Path, raw: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written next to the file and then moved, so that a full disk or a crash leaves the old file intact.
    temporary = path.with_suffix(".tmp")
    # O_EXCL, as opening a link would write elsewhere, and opening a FIFO would wait for a reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(raw)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
