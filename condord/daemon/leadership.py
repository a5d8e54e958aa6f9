"""Take part in the election: ask for the lease, renew it, and have a maker run while this process leads.

The election waits for no request: its timers run beside them. So a maker ends in time if its lease is not renewed,
even if the bus hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from condord.cluster.bus import Unanswered
from condord.cluster.election import (
    Acquire,
    Command,
    Election,
    ElectionRole,
    Extend,
    Lead,
    Release,
    Renew,
    StopMaker,
)

ANSWER_LEASES = 2.0
"""After so many leases a request that has not ended is given up."""
RELEASE_SECONDS = 1.0
"""How long a stop waits until the lease is given back."""

_log = logging.getLogger(__name__)


class LeaseCalls(Protocol):
    """`condord.cluster.lease.Lease`; its calls must not overlap."""

    @property
    def seconds(self) -> float:
        """For how long a lease counts."""

    async def acquire(self, holder: str) -> int | None:
        """Take the lease; None if another has it."""

    async def renew(self, fence: int) -> bool:
        """Renew it; False if it is lost."""

    async def release(self, fence: int) -> bool:
        """Give it back."""


class Term(Protocol):
    """What this process does while it leads."""

    async def run(self, fence: int, until: float) -> float:
        """Have a maker run, from now on at most until `until`; returns when it has ended.

        Cancelling this kills it. Returns for how many seconds others may lead before this process asks again.
        """

    def extend(self, until: float) -> None:
        """Let the maker run until `until`."""

    def stop(self) -> None:
        """End the maker in order."""


class Leadership:
    """One ingester's part in the election. `holder` is what others see of it, `now` the clock of the lease."""

    def __init__(
        self, election: Election, lease: LeaseCalls, term: Term, *, holder: str, now: Callable[[], float]
    ) -> None:
        self._election = election
        self._lease = lease
        self._term = term
        self._holder = holder
        self._now = now
        self._asking: asyncio.Task[None] | None = None
        self._leading: asyncio.Task[float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def role(self) -> ElectionRole:
        """The role in the election."""
        return self._election.role

    @property
    def fence(self) -> int | None:
        """The fence while this process leads, else None."""
        return self._election.fence

    async def run(self) -> None:
        """Take part until cancelled, which kills a maker that still runs."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                self._do(self._election.tick(self._now()))
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                if self._timer is not None:
                    self._timer.cancel()

    def retry(self) -> None:
        """Do what the election has due now."""
        self._do(self._election.tick(self._now()))

    async def leave(self) -> None:
        """End the maker in order, and give the lease back. `run` must go on meanwhile."""
        self._do(self._election.leave())
        await self._is_over.wait()
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=RELEASE_SECONDS)

    def _do(self, commands: list[Command]) -> None:
        if self._tasks is None:
            return
        for command in commands:
            match command:
                case Acquire(number):
                    self._ask(self._tasks, partial(self._acquire, number))
                case Renew(number, fence):
                    self._ask(self._tasks, partial(self._renew, number, fence))
                case Release(fence):
                    self._ask(self._tasks, partial(self._give_back, fence))
                case Lead(fence, until):
                    self._leading = self._tasks.create_task(self._lead(fence, until))
                    self._leading.add_done_callback(self._end_term)
                case Extend(until):
                    self._term.extend(until)
                case StopMaker(at_once):
                    self._stop_maker(at_once=at_once)
        if self._election.is_over:
            self._is_over.set()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._election.deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(max(deadline - self._now(), 0.0), self.retry)

    def _ask(self, tasks: asyncio.TaskGroup, request: Callable[[], Awaitable[None]]) -> None:
        """Make a request in place of the one before, whose answer does not count any longer."""
        self._asking = tasks.create_task(self._after(self._asking, request))

    async def _after(self, before: asyncio.Task[None] | None, request: Callable[[], Awaitable[None]]) -> None:
        if before is not None and not before.done():
            before.cancel()
            await asyncio.wait({before})
        await request()

    async def _acquire(self, number: int) -> None:
        try:
            async with asyncio.timeout(ANSWER_LEASES * self._lease.seconds):
                fence = await self._lease.acquire(self._holder)
        except (Unanswered, TimeoutError) as error:
            _log.debug("The lease cannot be asked for", extra={"fields": {"reason": str(error)}})
            self._do(self._election.failed(number, self._now()))
            return
        if fence is None:
            self._do(self._election.refused(number, self._now()))
            return
        self._election.lease_seconds = self._lease.seconds
        self._do(self._election.acquired(number, self._now(), fence))

    async def _renew(self, number: int, fence: int) -> None:
        try:
            async with asyncio.timeout(ANSWER_LEASES * self._lease.seconds):
                is_ours = await self._lease.renew(fence)
        except (Unanswered, TimeoutError) as error:
            _log.warning("The lease was not renewed", extra={"fields": {"fence": fence, "reason": str(error)}})
            self._do(self._election.failed(number, self._now()))
            return
        self._do(self._election.renewed(number, self._now(), is_ours=is_ours))

    async def _give_back(self, fence: int) -> None:
        await self._lease.release(fence)

    async def _lead(self, fence: int, until: float) -> float:
        _log.info("This process leads", extra={"fields": {"fence": fence}})
        try:
            return await self._term.run(fence, until)
        finally:
            _log.info("This process does not lead any longer", extra={"fields": {"fence": fence}})

    def _end_term(self, ended: asyncio.Task[float]) -> None:
        if ended.cancelled():
            self._do(self._election.maker_ended(self._now(), 0.0))
        elif ended.exception() is None:  # else the group ends with it
            self._do(self._election.maker_ended(self._now(), ended.result()))

    def _stop_maker(self, *, at_once: bool) -> None:
        if not at_once:
            self._term.stop()
        elif self._leading is not None:
            self._leading.cancel()
