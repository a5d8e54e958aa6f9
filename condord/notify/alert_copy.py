"""Pass the stored alerts of an account to another ingester, and restore them there."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from condord.errors import Unavailable
from condord.host import database
from condord.notify.file import AlertFile, Stored

Copy = Callable[[bytes], Awaitable[bool]]
"""Makes a copy, and returns whether another ingester would have it."""

_log = logging.getLogger(__name__)


class _CopiedAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file that belongs to the account with this hash."""

    account: str
    stored: Stored


async def keep_none(_content: bytes) -> bool:
    """Make no copy."""
    return False


def encoded(account: str, stored: Stored) -> bytes:
    """Return the copy as bytes; `account` is the hash of the account."""
    return msgspec.json.encode(_CopiedAlerts(account=account, stored=stored))


def restore(path: Path, content: bytes, *, machine_at: Callable[[], dt.datetime]) -> None:
    """Replace what the file at `path` has of the account by a copy.

    Where the file cannot be written, that is logged: alerts then begin as on a machine that has none.

    Raises:
        ValueError: it is not a copy, or is one of another version.
    """
    copied = msgspec.json.decode(content, type=_CopiedAlerts)
    file = AlertFile(path, machine_at=machine_at)
    try:
        file.replace(copied.account, copied.stored)
    except (OSError, sqlite3.Error, Unavailable) as error:
        fields = {"code": "alertsNotStored", "reason": database.reason(error, path)}
        _log.error("The alerts of the earlier leader cannot be stored", extra={"fields": fields})
    finally:
        file.close()
