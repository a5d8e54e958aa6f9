"""Values that only the newest leader writes: each is stored with the fence of its writer."""

from __future__ import annotations

from typing import NamedTuple

from condord.cluster.bus import BusError
from condord.cluster.kv import Conflict, KvBucket

ATTEMPTS = 3
"""How often a write is tried if others write at the same time: at most two leaders overlap, for a moment."""


class StaleFence(Exception):
    """A leader with a higher fence has written the key: the writer no longer leads, and has changed nothing.

    `fence` is the writer's, `higher_fence` the other leader's.
    """

    def __init__(self, fence: int, higher_fence: int) -> None:
        self.fence, self.higher_fence = fence, higher_fence
        super().__init__("a later leader has written it")


class FencedValue(NamedTuple):
    """A value, and the fence of the leader who wrote it."""

    fence: int
    value: bytes


class FencedKey:
    """One key of a bucket. Its calls must not overlap."""

    def __init__(self, bucket: KvBucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._revision: int | None = None  # of the last write or read, None if it is not known

    async def read(self) -> FencedValue | None:
        """Return the value and the fence of its writer; None if there is none.

        Raises:
            BusError: the bus is lost, or JetStream does not answer.
        """
        found = await self._bucket.get(self._key)
        if found is None:
            self._revision = 0
            return None
        fence, newline, value = found.value.partition(b"\n")
        if not (newline and fence.isdigit() and len(fence) < 20):
            raise BusError(f"the key {self._key} on the bus was not written by condord")
        self._revision = found.revision
        return FencedValue(int(fence), value)

    async def claim(self, fence: int) -> bytes | None:
        """Return the stored value, None if there is none, and keep former leaders from changing it.

        It is written again with `fence`, so that their writes conflict.

        Raises:
            StaleFence: a leader with a higher fence has written.
            BusError: the bus is lost, or JetStream does not answer.
        """
        for _ in range(ATTEMPTS):
            found = await self.read()
            if found is None:
                return None
            if found.fence > fence:
                raise StaleFence(fence, found.fence)
            try:
                await self._store(fence, found.value)
            except Conflict:
                continue
            return found.value
        raise BusError(f"the key {self._key} on the bus changes all the time")

    async def write(self, fence: int, value: bytes) -> None:
        """Store a value.

        Raises:
            StaleFence: a leader with a higher fence has written.
            BusError: it may or may not be stored.
        """
        for _ in range(ATTEMPTS):
            if self._revision is None:
                found = await self.read()
                if found is not None and found.fence > fence:
                    self._revision = None
                    raise StaleFence(fence, found.fence)
            try:
                await self._store(fence, value)
            except Conflict:
                continue
            return
        raise BusError(f"the key {self._key} on the bus changes all the time")

    async def _store(self, fence: int, value: bytes) -> None:
        stored = b"%d\n%b" % (fence, value)
        revision, self._revision = self._revision, None
        if revision:
            self._revision = await self._bucket.update(self._key, stored, revision)
        else:
            self._revision = await self._bucket.create(self._key, stored)
