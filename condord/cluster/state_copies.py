"""Keep the state for the next leader on the bus, each kind under its own key.

A new leader first writes each value again under its own fence. After that no former leader can replace it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable

from condord.cluster.bus_frames import state_key
from condord.cluster.fenced import FencedKey
from condord.cluster.kv import KvBucket
from condord.cluster.maker_channel import StateCopy

_LEVEL = 1  # of zlib: at any level, JSON shrinks to a fifth

_log = logging.getLogger(__name__)


class StateCopies:
    """The copies of one account in `bucket`, as the leader with `fence` reads and writes them."""

    def __init__(self, bucket: KvBucket, account: str, fence: int) -> None:
        self._bucket = bucket
        self._account = account
        self._fence = fence
        self._keys: dict[str, FencedKey] = {}

    async def take_over(self, kinds: Iterable[str]) -> list[StateCopy]:
        """Return the copies of these kinds, which former leaders can no longer change.

        Those that do not exist or cannot be decoded are left out.

        Raises:
            StaleFence: a later leader has written.
            BusError: the bus does not answer.
        """
        found = [await self._take_over(kind) for kind in kinds]
        return [copy for copy in found if copy is not None]

    async def write(self, copy: StateCopy) -> None:
        """Replace the copy of a kind.

        Raises:
            StaleFence: a later leader has written.
            BusError: it may or may not be written.
        """
        value = copy.name.encode() + b"\n" + zlib.compress(copy.content, _LEVEL)
        await self._key(copy.kind).write(self._fence, value)

    async def _take_over(self, kind: str) -> StateCopy | None:
        value = await self._key(kind).claim(self._fence)
        if value is None:
            return None
        name, _, compressed = value.partition(b"\n")
        try:
            return StateCopy(kind=kind, name=name.decode(), content=zlib.decompress(compressed))
        except (UnicodeDecodeError, zlib.error) as error:
            fields = {"code": "noStateCopy", "kind": kind, "reason": str(error)}
            _log.error("What the former leader has kept cannot be read", extra={"fields": fields})
            return None

    def _key(self, kind: str) -> FencedKey:
        return self._keys.setdefault(kind, FencedKey(self._bucket, state_key(self._account, kind)))


async def copied_name(bucket: KvBucket, account: str, kind: str) -> str | None:
    """Return the file name of the leader's copy of a kind; None if there is none.

    Raises:
        BusError: the bus does not answer.
    """
    found = await FencedKey(bucket, state_key(account, kind)).read()
    return None if found is None else found.value.partition(b"\n")[0].decode(errors="replace")
