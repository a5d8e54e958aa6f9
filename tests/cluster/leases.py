"""Leases of a new bus, for tests that do not wait."""

import itertools

from condord.cluster.lease import Lease


class ReadyLease(Lease):
    """A lease whose clock jumps by an hour at each look, so that it has waited for an earlier one at its second call."""

    def __init__(self, bus, account, *, seconds=60.0, nonce="n"):
        super().__init__(bus, account, seconds=seconds, nonce=nonce, now=itertools.count(0, 3600).__next__)

    async def acquire(self, holder):
        return await super().acquire(holder) or await super().acquire(holder)
