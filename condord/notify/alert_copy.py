"""Pass the stored alerts of an account to another ingester."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from condord.notify.file import StoredAlerts

Copy = Callable[[bytes], Awaitable[bool]]
"""Makes a copy, and returns whether another ingester would have it."""


class CopiedAlerts(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file that belongs to the account with this hash."""

    account: str
    stored: StoredAlerts


async def keep_none(_content: bytes) -> bool:
    """Make no copy."""
    return False


def encoded(account: str, stored: StoredAlerts) -> bytes:
    """Return the copy as bytes; `account` is the hash of the account."""
    return msgspec.json.encode(CopiedAlerts(account=account, stored=stored))


def decoded(content: bytes) -> CopiedAlerts:
    """Return the copy from its bytes.

    Raises:
        ValueError: it is not a copy, or another version of condord has made it.
    """
    return msgspec.json.decode(content, type=CopiedAlerts)
