"""Decides what survives a restart: small JSON files in the state directory, and nothing that must be there.

Rules: what is kept can be read from Alpaca again, so no fault of a disk is one of the daemon: a file that is broken, of
another version or foreign counts as absent, one that cannot be written is let be, and each is told once until it is
over. A file is written beside its place and moved there, so that a full disk or a crash leaves the old one whole. It is
readable by its owner alone, and named by a digest of the account, so that two accounts never mix. The disk is asked on
a thread of its own, and one that does not answer in time is asked no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from condord.upstream.pool import DaemonPool

PATIENCE_SECONDS = 10.0
_VERSION = 1
_MOST_BYTES = 64 << 20

_log = logging.getLogger(__name__)

Content = TypeVar("Content")
Result = TypeVar("Result")


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    kind: str
    content: msgspec.Raw


def directory(environ: Mapping[str, str], *, lasts: bool) -> Path | None:
    """Where state is kept: the state directory of the unit, or else the user's if the account is one that lasts."""
    if named := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(named)
    return platformdirs.user_state_path("condord") if lasts else None


class Store:
    """The files of one account in `place`, made when first written; without a place nothing is kept.

    `account` is whatever tells it from others; it stands in no file name.
    """

    def __init__(self, place: Path | None, *, account: str) -> None:
        self._place = place
        self._digest = hashlib.sha256(account.encode()).hexdigest()[:20]
        self._pool = None if place is None else DaemonPool(1, name="store")
        self._told: set[str] = set()

    async def read(self, kind: str, shape: type[Content]) -> Content | None:
        """What was last written as `kind`; None where there is nothing that can be read as `shape`."""
        return await self._ask("read", kind, lambda path: _read(path, kind, shape))

    async def write(self, kind: str, content: object) -> None:
        """Keep `content`, anything that msgspec encodes, instead of what was kept as `kind`."""
        await self._ask("write", kind, lambda path: _write(path, kind, content))

    def close(self) -> None:
        """Let the thread end."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    async def _ask(self, action: str, kind: str, call: Callable[[Path], Result]) -> Result | None:
        if self._place is None or self._pool is None:
            return None
        path = self._place / f"{self._digest}-{kind}.json"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                result = await loop.run_in_executor(self._pool, call, path)
        except TimeoutError:
            self._tell(action, path, "the disk does not answer")
            self.close()
            return None
        except (OSError, ValueError) as error:
            self._tell(action, path, getattr(error, "strerror", None) or str(error))
            return None
        self._told.discard(f"{action} {path}")
        return result

    def _tell(self, action: str, path: Path, reason: str) -> None:
        if f"{action} {path}" not in self._told:
            self._told.add(f"{action} {path}")
            fields = {"code": "noStateFile", "action": action, "path": str(path), "reason": reason}
            _log.warning("State file cannot be used; running without it", extra={"fields": fields})


def _read(path: Path, kind: str, shape: type[Content]) -> Content | None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise ValueError("it is too large")
    envelope = msgspec.json.decode(raw, type=_Envelope)
    if (envelope.version, envelope.kind) != (_VERSION, kind):
        raise ValueError(f"it holds {envelope.kind} of version {envelope.version}")
    return msgspec.json.decode(envelope.content, type=shape)


def _write(path: Path, kind: str, content: object) -> None:
    raw = msgspec.json.encode(_Envelope(version=_VERSION, kind=kind, content=msgspec.Raw(msgspec.json.encode(content))))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(raw)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
