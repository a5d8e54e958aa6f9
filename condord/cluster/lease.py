"""The lease that makes one of several ingesters the leader: a key with a TTL, which the leader renews.

The revision that the key got when the lease was taken is the fencing token, or fence: it rises with every leader. A
renewal is a change that expects the revision of the one before, so a leader whose lease has ended notices it.
"""

from __future__ import annotations

import contextlib
import logging
from typing import NamedTuple

import msgspec

from condord.cluster.bus import Bus, Unanswered
from condord.cluster.kv import Conflict, Declined, KeyState, KvBucket

LEASES = "condord-leases"
"""The bucket of all leases, whose TTL is how long each lives without a renewal."""
MIN_CALL_SECONDS, MAX_CALL_SECONDS = 0.25, 1.0
CALLS_PER_LEASE = 6
"""A call takes at most a sixth of a lease, so that there is time for further calls before the lease ends."""

_log = logging.getLogger(__name__)


class LeaseHolder(NamedTuple):
    """Who holds a lease, and the fence."""

    holder: str
    fence: int


class _Held(msgspec.Struct, frozen=True):
    """The value of the key. `nonce` identifies one `Lease` object; `fence` is null until the first renewal."""

    holder: str
    nonce: str
    fence: int | None


class Lease:
    """The lease of one account, as one process sees it; its calls must not overlap.

    `seconds` is how long the lease lives without a renewal: as configured, or after `acquire` as the other ingesters
    have it. A holder counts it from the start of its last call that succeeded. `nonce` is different for each process.
    """

    def __init__(self, bus: Bus, account: str, *, seconds: float, nonce: str) -> None:
        self.seconds = seconds
        self._configured_seconds = seconds
        self._key = account
        self._nonce = nonce
        self._holder = ""
        self._revision = 0
        call_seconds = min(max(seconds / CALLS_PER_LEASE, MIN_CALL_SECONDS), MAX_CALL_SECONDS)
        self._bucket = KvBucket(bus, LEASES, ttl_seconds=seconds, seconds=call_seconds)

    async def acquire(self, holder: str) -> int | None:
        """Take the lease under this name, and return the fence; None if someone else holds it.

        Raises:
            Unanswered: it may be taken or not; another attempt finds out.
        """
        await self._learn_ttl()
        self._holder = holder
        try:
            self._revision = await self._bucket.create(self._key, self._value(None))
        except (Conflict, Unanswered) as error:
            return await self._taken_before(error)
        return self._revision

    async def renew(self, fence: int) -> bool:
        """Renew the lease; False if it is lost.

        Raises:
            Unanswered: it may be renewed or not, and was not lost when it was last seen.
        """
        try:
            self._revision = await self._bucket.update(self._key, self._value(fence), self._revision)
        except (Conflict, Unanswered) as error:
            return await self._renewed_before(fence, error)
        return True

    async def release(self, fence: int) -> bool:
        """Give up the lease, so that another ingester need not wait for its end. Return whether that succeeded."""
        with contextlib.suppress(Conflict, Unanswered):  # it ends by itself
            found = await self._bucket.get(self._key)
            if found is not None and self._is_ours(found, fence):
                await self._bucket.delete(self._key, found.revision)
                return True
        return False

    async def look(self) -> LeaseHolder | None:
        """Return who holds the lease, and its fence; None if nobody does.

        Raises:
            Unanswered: the bus is lost, or JetStream does not answer.
        """
        found = await self._bucket.get(self._key)
        return None if found is None else _holder(found)

    async def _learn_ttl(self) -> None:
        seconds = await self._bucket.ensure()
        if seconds is None:
            raise Declined(f"the bucket {LEASES} has no TTL", "remove the bucket")
        if seconds not in (self.seconds, self._configured_seconds):
            fields = {"lease_seconds": self._configured_seconds, "in_force": seconds}
            _log.warning("Other ingesters have another cluster.lease_seconds, which applies", extra={"fields": fields})
        self.seconds = seconds

    async def _taken_before(self, error: Conflict | Unanswered) -> int | None:
        """Return the fence if the key is ours after all, because only the answer to an attempt was lost.

        That attempt may be long ago, so the lease is renewed, and counts from the renewal.
        """
        found = await self._bucket.get(self._key)
        if found is None:
            raise Unanswered("the lease is free, but was not taken") from error
        if not self._is_ours(found):
            return None
        self._revision = found.revision
        fence = _holder(found).fence
        return fence if await self.renew(fence) else None

    async def _renewed_before(self, fence: int, error: Conflict | Unanswered) -> bool:
        """Return whether the key is ours after all, because only the answer to this or an earlier renewal was lost.

        It is not known which of them was stored, and when. So the lease is renewed once more, and counts from then.
        """
        found = await self._bucket.get(self._key)
        if found is None or not self._is_ours(found, fence):
            return False
        if found.revision == self._revision:
            raise Unanswered("the lease was not renewed") from error
        self._revision = found.revision
        try:
            self._revision = await self._bucket.update(self._key, self._value(fence), self._revision)
        except Conflict:
            return False
        return True

    def _is_ours(self, found: KeyState, fence: int | None = None) -> bool:
        held = _decoded(found)
        return held.nonce == self._nonce and fence in (None, _holder(found).fence)

    def _value(self, fence: int | None) -> bytes:
        return msgspec.json.encode(_Held(self._holder, self._nonce, fence))


async def accounts(bus: Bus) -> list[str]:
    """Return the accounts that have a lease on the bus.

    Raises:
        Unanswered: the bus is lost, or JetStream does not answer.
    """
    bucket = KvBucket(bus, LEASES)
    return [key for key in await bucket.keys() if await bucket.get(key) is not None]


def _holder(found: KeyState) -> LeaseHolder:
    held = _decoded(found)
    return LeaseHolder(held.holder, found.revision if held.fence is None else held.fence)


def _decoded(found: KeyState) -> _Held:
    try:
        return msgspec.json.decode(found.value, type=_Held)
    except msgspec.DecodeError as error:
        text = f"a lease in the bucket {LEASES} was not written by condord: {error}"
        raise Declined(text, "remove the bucket") from error
