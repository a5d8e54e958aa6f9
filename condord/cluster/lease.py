"""The lease that makes one of several ingesters the leader: a key with a TTL, which the leader renews.

The fencing token, or fence, rises with every leader: it is the revision that the key got when the lease was taken, plus
the base, the time at which the bucket was made, in ms since 1970. Revisions begin again in a new bucket, if the bus has
lost its store or someone has removed the bucket. The fence still rises: a bucket gets fewer than 1000 revisions a
second, so the new base is higher than any old fence. The bus's clock must not be set back meanwhile.

With its store, the bus also loses the lease of a leader that still counts on it. So no lease is taken from a bucket to
which nothing was ever written, until it has been seen for the longest lease that is known of. By then no earlier lease
is in force, as none was renewed since the bucket was made. The first value in a bucket shows that someone has waited.

A renewal is a change that expects the revision of the one before, so a leader whose lease has ended notices it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from condord.cluster.bus import Bus, BusError
from condord.cluster.kv import BucketInfo, BusRefusal, Conflict, KeyState, KvBucket

LEASES = "condord-leases"
"""The bucket of all leases, whose TTL is how long each lives without a renewal."""
MIN_CALL_SECONDS, MAX_CALL_SECONDS = 0.25, 1.0
OLD_FENCE_REMEDY = (
    "if the clock of the NATS servers was set back, or their store is an old copy, "
    "remove the buckets condord-leases, condord and condord-snapshots"
)
"""The remedy if the fence does not rise."""
CALLS_PER_LEASE = 6
"""A call takes at most a sixth of a lease, so that there is time for further calls before the lease ends."""

_log = logging.getLogger(__name__)


class LeaseHolder(NamedTuple):
    """Who holds a lease, and the fence."""

    holder: str
    fence: int


class _LeaseValue(msgspec.Struct, frozen=True):
    """The value of the key. `nonce` identifies one `Lease` object; `fence` is null until the first renewal.

    `base` is added to the first revision to get the fence.
    """

    holder: str
    nonce: str
    fence: int | None
    base: int = 0


class Lease:
    """The lease of one account, as one process sees it; its calls must not overlap.

    `seconds` is how long the lease lasts without a renewal: as configured, or after `acquire` by the other ingesters'
    setting. A holder counts it from the start of its last call that succeeded. `nonce` is different for each process.
    `now` is a clock in seconds that also runs while the machine sleeps.
    """

    def __init__(self, bus: Bus, account: str, *, seconds: float, nonce: str, now: Callable[[], float]) -> None:
        self.seconds = seconds
        self._configured_seconds = seconds
        self._key = account
        self._nonce = nonce
        self._now = now
        self._holder = ""
        self._revision = 0
        self._base = 0
        self._seen_at = 0.0  # when the bucket with this base was first seen
        self._longest_seconds = seconds  # of any lease that this process has known
        call_seconds = min(max(seconds / CALLS_PER_LEASE, MIN_CALL_SECONDS), MAX_CALL_SECONDS)
        self._bucket = KvBucket(bus, LEASES, ttl_seconds=seconds, seconds=call_seconds, is_made_before=True)

    async def acquire(self, holder: str) -> int | None:
        """Take the lease under this name, and return the fence; None if someone else holds it, or still may.

        Raises:
            BusError: it may or may not be taken; another attempt finds out.
        """
        bucket = await self._bucket.ensure()
        self._learn_ttl(bucket.ttl_seconds)
        self._note_bucket(bucket)
        if bucket.is_unused and self._now() - self._seen_at < self._longest_seconds:
            return None
        self._holder = holder
        try:
            self._revision = await self._bucket.create(self._key, self._value(None))
        except (Conflict, BusError) as error:
            fence = await self._taken_before(error)
        else:
            fence = self._base + self._revision
        if fence is None:
            return None
        after = await self._bucket.ensure()
        if (after.made_ms, after.ttl_seconds) != (self._base, self.seconds):
            # In a new bucket, a lease with the old base belongs to no process: it blocks all others until it expires.
            raise BusError("the bucket was created again or changed meanwhile")
        return fence

    async def renew(self, fence: int) -> bool:
        """Renew the lease; False if it is lost.

        Raises:
            BusError: it may or may not be renewed, and was not lost when it was last seen.
        """
        try:
            self._revision = await self._bucket.update(self._key, self._value(fence), self._revision)
        except (Conflict, BusError) as error:
            return await self._renewed_before(fence, error)
        return True

    async def release(self, fence: int) -> bool:
        """Give up the lease, so that another ingester need not wait for its end. Return whether that succeeded."""
        with contextlib.suppress(Conflict, BusError):  # it ends by itself
            found = await self._bucket.get(self._key)
            if found is not None and self._is_ours(found, fence):
                await self._bucket.delete(self._key, found.revision)
                return True
        return False

    def _learn_ttl(self, seconds: float | None) -> None:
        if seconds is None:
            raise BusRefusal(f"the bucket {LEASES} has no TTL", "remove the bucket")
        if seconds != self.seconds:
            fields = {"lease_seconds": self._configured_seconds, "in_force": seconds}
            if seconds == self._configured_seconds:
                _log.warning(
                    "No ingester has a lease, so this ingester's cluster.lease_seconds applies",
                    extra={"fields": fields},
                )
            else:
                _log.warning("The cluster.lease_seconds of other ingesters applies", extra={"fields": fields})
        self.seconds = seconds
        self._longest_seconds = max(self._longest_seconds, seconds)

    def _note_bucket(self, bucket: BucketInfo) -> None:
        """Note which bucket exists now, and when this process first saw it."""
        if bucket.made_ms == self._base:
            return
        wait = {"wait_seconds": self._longest_seconds} if bucket.is_unused else {}
        if self._base:
            _log.warning("The bus has lost its state", extra={"fields": wait})
        elif wait:
            _log.info("The bus is new, so a lease of before may still be in force", extra={"fields": wait})
        self._base, self._seen_at = bucket.made_ms, self._now()

    async def _taken_before(self, error: Conflict | BusError) -> int | None:
        """Return the fence if the key is ours after all, because only the answer to an attempt was lost.

        That attempt may be long ago, so the lease is renewed, and counts from the renewal.
        """
        found = await self._bucket.get(self._key)
        if found is None:
            raise BusError("the lease is free, but was not taken") from error
        if not self._is_ours(found):
            return None
        self._revision = found.revision
        fence = _holder(found).fence
        return fence if await self.renew(fence) else None

    async def _renewed_before(self, fence: int, error: Conflict | BusError) -> bool:
        """Return whether the key is ours after all, because only the answer to this or an earlier renewal was lost.

        Nothing tells which of them was stored, and when. So the lease is renewed once more, and counts from then.
        """
        found = await self._bucket.get(self._key)
        if found is None or not self._is_ours(found, fence):
            return False
        if found.revision == self._revision:
            raise BusError("the lease was not renewed") from error
        self._revision = found.revision
        try:
            self._revision = await self._bucket.update(self._key, self._value(fence), self._revision)
        except Conflict:
            return False
        return True

    def _is_ours(self, found: KeyState, fence: int | None = None) -> bool:
        held = _decoded(found)
        return (held.nonce, held.base) == (self._nonce, self._base) and fence in (None, _holder(found).fence)

    def _value(self, fence: int | None) -> bytes:
        return msgspec.json.encode(_LeaseValue(self._holder, self._nonce, fence, self._base))


async def holder_of(bus: Bus, account: str) -> LeaseHolder | None:
    """Return who holds the lease of an account, and its fence; None if it is free.

    Raises:
        BusError: the bus is lost, or JetStream does not answer.
    """
    found = await KvBucket(bus, LEASES, seconds=MAX_CALL_SECONDS).get(account)
    return None if found is None else _holder(found)


async def accounts(bus: Bus) -> list[str]:
    """Return the accounts that have a lease on the bus.

    Raises:
        BusError: the bus is lost, or JetStream does not answer.
    """
    bucket = KvBucket(bus, LEASES)
    return [key for key in await bucket.keys() if await bucket.get(key) is not None]


def _holder(found: KeyState) -> LeaseHolder:
    held = _decoded(found)
    return LeaseHolder(held.holder, held.base + found.revision if held.fence is None else held.fence)


def _decoded(found: KeyState) -> _LeaseValue:
    try:
        return msgspec.json.decode(found.value, type=_LeaseValue)
    except msgspec.DecodeError as error:
        text = f"a lease in the bucket {LEASES} was not written by condord: {error}"
        raise BusRefusal(text, "remove the bucket") from error
