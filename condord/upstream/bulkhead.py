"""Bulkheads between kinds of REST calls: each kind has its own threads and its own share of the request budget."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from condord.host.thread_pool import DaemonPool
from condord.upstream.rate_limit import Share


class Bulkhead(NamedTuple):
    """The threads and the share of some calls, which are served first come, first served.

    Vital calls (positions, quotes and the clock) are those without which nothing can be published. Only they open,
    probe and close a breaker, and only their pending faults are in the status.
    """

    share: Share
    is_vital: bool
    pool: DaemonPool
    slots: asyncio.Semaphore
    """One for each thread, so that the timeout of a call starts with its thread, and not while it waits for one."""
    turn: asyncio.Lock
    """Held by the call that waits for room in the share."""


def open_bulkhead(share: Share, threads: int, *, is_vital: bool = False) -> Bulkhead:
    """A bulkhead with `threads` new threads."""
    return Bulkhead(
        share=share,
        is_vital=is_vital,
        pool=DaemonPool(threads, name=f"rest-{share}"),
        slots=asyncio.Semaphore(threads),
        turn=asyncio.Lock(),
    )
