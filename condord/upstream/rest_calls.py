"""How a REST call is made: bulkhead, request budget, circuit breaker, retries, and one blocking request on a thread.

Each kind of call has a bulkhead: its own threads and its own share of the request budget, so that quotes, orders and
contracts never delay positions. Each host has a circuit breaker. tenacity retries after 1, 2 and 4 s with jitter, or
after the wait that Alpaca asks for. Every attempt counts for breaker and budget.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import queue
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar, get_args

import msgspec
import tenacity
from alpaca.common.exceptions import APIError

from condord.live import wire
from condord.upstream import transport
from condord.upstream.breaker import Breaker
from condord.upstream.bulkhead import Bulkhead
from condord.upstream.classify_failure import RequestWait, Why, rest_fault
from condord.upstream.pending_faults import PendingFaults
from condord.upstream.rate_limit import RESERVE, SHARES, AlpacaHost, Budget, Share, requested_pause
from condord.upstream.rest_fault import RestFault
from condord.upstream.unreadable_counter import UnreadableCounter

_MAX_RETRY_SECONDS = 60.0

Answer = TypeVar("Answer")


class RestCall(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """One call. `request` blocks, and runs on a thread of `bulkhead`; an unreadable answer counts as `kind`."""

    kind: wire.Refusal
    bulkhead: Bulkhead
    host: AlpacaHost
    request: Callable[[], Answer]

    @property
    def endpoint(self) -> str:
        """The name of the request, such as `positions`."""
        return self.kind.removesuffix("Answer")


class RestCalls:
    """Makes calls. `sleep` waits between attempts and for the budget, and `now` is the clock that goes with it.

    `observe` is called after each request with its endpoint, its outcome and its duration in seconds. The outcome is
    the HTTP status, or the code of the fault if there was no status or the answer cannot be read. `rate_limited` counts
    answers of 429.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        retries: int,
        breakers: Mapping[AlpacaHost, Breaker],
        now_at: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
        observe: Callable[[str, str, float], None],
    ) -> None:
        self.rate_limited = 0
        self.pending_faults = PendingFaults()
        self.unreadable = UnreadableCounter()
        self.breakers = breakers
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._now_at = now_at
        self._sleep = sleep
        self._now = now
        self._observe = observe
        self.budget = Budget()
        self._waits: dict[Share, int] = dict.fromkeys(SHARES, 0)
        self._pauses: queue.SimpleQueue[tuple[AlpacaHost, float, float]] = queue.SimpleQueue()

    @property
    def budget_room(self) -> Mapping[str, int]:
        """How many requests each share of the budget permits at once."""
        return {share: self.budget.room(share, self._now()) for share in SHARES}

    @property
    def budget_waits(self) -> Mapping[str, int]:
        """How many requests have waited for room in each share."""
        return dict(self._waits.items())

    def set_bounds(self, *, timeout_seconds: float, retries: int) -> None:
        """Change the bounds from the next call on."""
        self._timeout_seconds = timeout_seconds
        self._retries = retries

    def note_headers(self, host: AlpacaHost, headers: Mapping[str, str]) -> None:
        """Note the rate limit in the headers of an answer; called on the thread of a request."""
        epoch_seconds = self._now_at().timestamp()
        if yielding_seconds := requested_pause(headers, epoch_seconds, reserve=RESERVE):
            self._pauses.put((host, requested_pause(headers, epoch_seconds), yielding_seconds))

    async def run(self, call: RestCall[Answer]) -> Answer:
        """Return the answer of `call`, with retries; raises only `RestFault`."""
        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._retries + 1),
            wait=_retry_seconds,
            retry=tenacity.retry_if_exception(_may_retry),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, call)
        finally:
            self.pending_faults.forget(call.endpoint)

    async def _attempt(self, call: RestCall[Answer]) -> Answer:
        """Make one attempt.

        Until the next one, the status shows why this one failed, or after a 429 when the pause ends.
        """
        try:
            return await self._send_when_allowed(call)
        except RestFault as fault:
            if call.bulkhead.is_vital:
                pause = self.budget.pause_seconds(call.host, self._now()) if fault.code == "rateLimited" else 0.0
                end = RequestWait("rest pause", self._now_at() + dt.timedelta(seconds=pause))
                self.pending_faults.note(call.endpoint, rest_fault(end) if pause else fault)
            raise

    async def _send_when_allowed(self, call: RestCall[Answer]) -> Answer:
        """Wait for a pause of the host to end, for a thread and for the budget; then send the request."""
        breaker = self.breakers[call.host]
        while True:
            breaker.check(self._now(), may_probe=call.bulkhead.is_vital)
            # Before it takes a thread, as calls to the other host may go on.
            pause_seconds = self.budget.pause_seconds(call.host, self._now(), call.bulkhead.share)
            await self._wait("rest pause", call, pause_seconds)
            async with call.bulkhead.slots:
                if not await self._take_from_budget(call):
                    continue
                with breaker.guarding(self._now) if call.bulkhead.is_vital else contextlib.nullcontext():
                    return await self._send_or_resend(call)

    async def _take_from_budget(self, call: RestCall[Answer]) -> bool:
        """Wait for room in the bulkhead's share, first come, first served.

        False if Alpaca has asked for a pause by then.
        """
        async with call.bulkhead.turn:
            share = call.bulkhead.share
            if seconds := self.budget.share_seconds(share, self._now()):
                self._waits[share] += 1
                await self._wait("rest budget used up", call, seconds)
            self.breakers[call.host].check(self._now(), may_probe=call.bulkhead.is_vital)
            return self.budget.take(share, call.host, self._now())

    async def _wait(self, why: Why, call: RestCall[Answer], seconds: float) -> None:
        """Wait before a request; the status shows a long wait for positions, quotes or the clock."""
        if not seconds:
            return
        fault = rest_fault(RequestWait(why, self._now_at() + dt.timedelta(seconds=seconds)))
        waiting = self.pending_faults.waiting(call.endpoint, fault, seconds)
        with waiting if call.bulkhead.is_vital else contextlib.nullcontext():
            await self._sleep(seconds)

    async def _send_or_resend(self, call: RestCall[Answer]) -> Answer:
        """Send the request, and again at once if the server had closed the kept connection: every request is a GET."""
        try:
            return await self._send(call)
        except RestFault as fault:
            was_dropped = transport.was_dropped(fault.__cause__)
            if not (was_dropped and self.budget.take(call.bulkhead.share, call.host, self._now())):
                raise
        return await self._send(call)

    async def _send(self, call: RestCall[Answer]) -> Answer:
        loop, started = asyncio.get_running_loop(), self._now()
        try:
            async with asyncio.timeout(transport.ATTEMPT_FACTOR * self._timeout_seconds):
                answer = await loop.run_in_executor(call.bulkhead.pool, call.request)
        except Exception as error:
            fault = rest_fault(error)
            self._observe(call.endpoint, str(status_of(error) or fault.code), self._now() - started)
            if fault.code == "malformed":
                self.unreadable(call.kind)
            if fault.code == "rateLimited":
                self.rate_limited += 1
                self.budget.pause(call.host, fault.wait_seconds or 0.0, self._now())
            raise fault from error
        else:
            self._observe(call.endpoint, "200", self._now() - started)
            return answer
        finally:
            while not self._pauses.empty():
                host, seconds, yielding_seconds = self._pauses.get_nowait()
                self.budget.pause(host, seconds, self._now())
                self.budget.pause_yielding(host, yielding_seconds, self._now())


def new_breakers(failures: int, reset_seconds: float) -> Mapping[AlpacaHost, Breaker]:
    """A breaker for each host of Alpaca, with the bounds of `Breaker`."""
    return {host: Breaker(failures, reset_seconds, host) for host in get_args(AlpacaHost)}


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a refusal; None if `error` is not one."""
    return error.status_code if isinstance(error, APIError) else None


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, RestFault) and error.may_retry


_backoff = tenacity.wait_exponential(multiplier=1.0, max=_MAX_RETRY_SECONDS) + tenacity.wait_random(0.0, 0.25)


def _retry_seconds(attempt: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what Alpaca asked for, within a minute, or else 1, 2, 4 s and a little."""
    error = attempt.outcome.exception() if attempt.outcome else None
    if isinstance(error, RestFault) and error.wait_seconds is not None:
        return min(_MAX_RETRY_SECONDS, error.wait_seconds)
    return _backoff(attempt)
