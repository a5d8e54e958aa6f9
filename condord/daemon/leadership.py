"""Take part in the election: ask for the lease, renew it, and run a maker while this process leads.

The election's timers never wait for a request. So a maker whose lease is not renewed ends in time, even if the bus
hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from condord.cluster.bus import BusError
from condord.cluster.election import (
    RENEWALS,
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
from condord.cluster.kv import BusRefusal
from condord.cluster.lease import OLD_FENCE_REMEDY

ANSWER_LEASES = 2.0
"""A request for the lease is given up after this many times its length."""
RELEASE_SECONDS = 1.0
"""How long a stop waits until the lease is given back."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class LeaseCalls(Protocol):
    """`condord.cluster.lease.Lease`; its calls must not overlap."""

    @property
    def seconds(self) -> float:
        """How long a lease lives."""

    async def acquire(self, holder: str) -> int | None:
        """Take the lease; None if another has it."""

    async def renew(self, fence: int) -> bool:
        """Renew it; False if it is lost."""

    async def release(self, fence: int) -> bool:
        """Give it back."""


class Term(Protocol):
    """The time in which this process leads; see `condord.daemon.term`."""

    async def run(self, fence: int, until: float) -> float:
        """Run a maker, from now on at most until `until`; cancelling this kills it.

        When it has ended, return for how many seconds others may take the lease before this process asks again.
        """

    def extend(self, until: float) -> None:
        """Let the maker run until `until`."""

    def stop(self) -> None:
        """End the maker gracefully."""


class Leadership:
    """One ingester's part in the election.

    `holder` is its name in the lease, `bus` the bus as error messages name it, `now` the lease's clock in seconds.
    `permission` raises `BusError` if the bus would not deliver the events of a leader here.
    """

    def __init__(
        self,
        election: Election,
        lease: LeaseCalls,
        term: Term,
        *,
        permission: Callable[[], Awaitable[None]],
        holder: str,
        bus: str,
        now: Callable[[], float],
    ) -> None:
        self._election = election
        self._lease = lease
        self._term = term
        self._permission = permission
        self._holder = holder
        self._bus = bus
        self._logged_refusal: str | None = None
        self._failing_since: float | None = None  # when the first renewal failed of those that did since
        self._now = now
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = now()  # the first of the requests without an answer
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
        """The fence while this process leads, else None. None, too, if the lease expires while the maker ends."""
        return self._election.fence if self._election.is_leader else None

    @property
    def is_unanswered(self) -> bool:
        """Whether the last renewal has failed, or a request has had no answer for as long as renewals are apart."""
        is_waiting = self._asking is not None and not self._asking.done()
        is_late = self._now() - self._asked_at >= self._lease.seconds / RENEWALS
        return (is_waiting and is_late) or self._failing_since is not None

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
        """Carry out the election's due actions now."""
        self._do(self._election.tick(self._now()))

    async def leave(self) -> None:
        """End the maker gracefully, and give the lease back. `run` must go on meanwhile."""
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
        """Make a request in place of the one before, whose answer is then ignored."""
        if self._asking is None or self._asking.done():
            self._asked_at = self._now()
        self._asking = tasks.create_task(self._after(self._asking, request))

    async def _after(self, before: asyncio.Task[None] | None, request: Callable[[], Awaitable[None]]) -> None:
        if before is not None and not before.done():
            before.cancel()
            await asyncio.wait({before})
        await request()

    async def _acquire(self, number: int) -> None:
        try:
            await self._in_time(self._permission())
            fence = await self._in_time(self._lease.acquire(self._holder))
        except BusError as error:
            self._log_failure(error)
            self._do(self._election.failed(number, self._now()))
            return
        last_fence = self._election.last_fence
        # Its own last fence means that an answer came late, not that the fence did not rise.
        if fence is not None and fence < last_fence:
            self._log_failure(BusRefusal(f"its fence is not above {last_fence}, the last one", OLD_FENCE_REMEDY))
        else:
            self._logged_refusal = None
        if fence is None:
            self._do(self._election.refused(number, self._now()))
            return
        self._election.set_lease_seconds(self._lease.seconds)
        self._do(self._election.acquired(number, self._now(), fence))

    async def _in_time(self, request: Awaitable[_T]) -> _T:
        """Return the answer to a request.

        Raises:
            BusError: it has not ended within `ANSWER_LEASES`, or as the request raises it.
        """
        try:
            async with asyncio.timeout(ANSWER_LEASES * self._lease.seconds):
                return await request
        except TimeoutError as error:
            raise BusError("no answer in time") from error

    def _log_failure(self, error: BusError) -> None:
        """Log that the lease could not be requested. A refusal, which lasts, is logged as an error and only once."""
        event, fields = "The request for the lease failed", {"bus": self._bus, "reason": str(error)}
        if not isinstance(error, BusRefusal):
            _log.debug(event, extra={"fields": fields})
        elif str(error) != self._logged_refusal:
            self._logged_refusal = str(error)
            remedy = {"remedy": error.remedy} if error.remedy else {}
            _log.error(event, extra={"fields": {**fields, **remedy}})

    async def _renew(self, number: int, fence: int) -> None:
        try:
            is_ours = await self._in_time(self._lease.renew(fence))
        except BusError as error:
            if self._failing_since is None:
                self._failing_since = self._now()
                _log.warning("The lease was not renewed", extra={"fields": {"fence": fence, "reason": str(error)}})
            self._do(self._election.failed(number, self._now()))
            return
        if is_ours and self._failing_since is not None:
            fields = {"fence": fence, "lasted_seconds": round(self._now() - self._failing_since, 1)}
            _log.info("The lease is renewed again", extra={"fields": fields})
            self._failing_since = None
        self._do(self._election.renewed(number, self._now(), is_ours=is_ours))

    async def _give_back(self, fence: int) -> None:
        await self._lease.release(fence)

    async def _lead(self, fence: int, until: float) -> float:
        self._failing_since = None
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
