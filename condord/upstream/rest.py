"""Alpaca's REST through alpaca-py, in raw mode, with the bounds that it lacks.

A call takes its turn in a lane, of which there are two, so that contracts and orders cost positions and quotes nothing:
each has threads and a breaker of its own, and a share of the budget. tenacity repeats what may be retried after 1, 2
and 4 s with jitter, or when Alpaca says; every attempt counts for breaker and budget. An answer that cannot be read, or
a part of one, is counted by name. What makes alpaca-py bearable is in `transport`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import queue
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import tenacity
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest

from condord.core.position import Contract, Holdings
from condord.core.quote import Tick
from condord.core.session import Clock, Hours
from condord.live import wire
from condord.upstream import contracts, history, rows, transport
from condord.upstream.breaker import Breaker
from condord.upstream.budget import Budget, Host, Share, told_pause
from condord.upstream.faults import RestFault, rest_fault
from condord.upstream.pool import DaemonPool
from condord.upstream.ports import SYMBOLS_A_REQUEST, Login, OrderPage

_SIDE_THREADS = 3
_LONGEST_RETRY_SECONDS = 60.0

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class RestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how: URLs (empty: Alpaca's own), seconds, and counts."""

    paper: bool
    feed: str
    trading_url: str
    data_url: str
    timeout_seconds: float
    retries: int
    breaker_failures: int
    breaker_reset_seconds: float
    threads: int


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _not_measured(_endpoint: str, _code: str, _seconds: float) -> None:
    """Nobody wants to know."""


class AlpacaRest:
    """The account and the latest quotes; every method raises `RestFault` alone.

    `sleep` is the wait between two attempts and for the budget, `now` the clock that goes with it, in seconds.
    `observe` is told of each request what it asked for, how it ended (the HTTP status, or the code of the fault where
    there was none or the answer cannot be read), and the seconds that it took. `rate_limited` counts answers of 429.
    """

    def __init__(
        self,
        settings: RestSettings,
        login: Login,
        *,
        now_at: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = _loop_time,
        observe: Callable[[str, str, float], None] = _not_measured,
    ) -> None:
        self.rate_limited = 0
        self._observe = observe
        self._now_at = now_at
        self._sleep = sleep
        self._now = now
        self.trouble: RestFault | None = None
        self._refuse = _Refusals()
        self._budget = Budget()
        self._told: queue.SimpleQueue[tuple[Host, float]] = queue.SimpleQueue()
        self._main = _lane(settings, "main", settings.threads)
        self._side = _lane(settings, "side", _SIDE_THREADS)
        self._settings = settings
        self._clients = self._log_in(settings, login)

    @property
    def breaker(self) -> wire.BreakerState:
        """The state of the circuit breaker, in the words of the document."""
        return self._main.breaker.state

    @property
    def refused(self) -> Mapping[str, int]:
        """How much of Alpaca's answers could not be read, by its name."""
        return self._refuse.counts

    def set_breaker(self, failures: int, reset_seconds: float) -> None:
        """Take other bounds for the breakers without closing them."""
        for lane in (self._main, self._side):
            lane.breaker.set(failures, reset_seconds)

    def relogin(self, settings: RestSettings, login: Login) -> None:
        """Ask with another key, feed or address, or in another time, from the next request on.

        Breakers, budget and threads stay as they are.
        """
        old, self._clients = self._clients, self._log_in(settings, login)
        self._settings = settings
        old.close()

    def close(self) -> None:
        """Let the threads end, and the connections that wait."""
        for lane in (self._main, self._side):
            lane.pool.shutdown()
        self._clients.close()

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""
        return await self._call("positionsAnswer", self._main, "trading", self._holdings)

    async def clock(self) -> Clock:
        """The market's clock."""
        return await self._call("clockAnswer", self._main, "trading", self._clock)

    async def quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Give `take` the latest quotes of `symbols`, 100 a request, as they come; symbols never quoted are left out.

        If a part fails, the others are taken all the same, and the first fault is raised after them.
        """
        faults: list[RestFault] = []

        async def ask(part: Sequence[str]) -> None:
            try:
                take(await self._call("quotesAnswer", self._main, "data", functools.partial(self._quotes, part)))
            except RestFault as fault:
                faults.append(fault)

        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(symbols), SYMBOLS_A_REQUEST):
                tasks.create_task(ask(symbols[start : start + SYMBOLS_A_REQUEST]))
        if faults:
            raise faults[0]

    async def trading_day(self, today: dt.date) -> Hours | None:
        """The regular session of `today`, or the last one in the week before it."""
        return await self._call("calendarAnswer", self._side, "trading", functools.partial(self._days, today))

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None where Alpaca knows none of that symbol."""
        try:
            return await self._call("contractAnswer", self._side, "trading", functools.partial(self._contract, symbol))
        except RestFault as fault:
            if _status(fault.__cause__) == 404:
                return None
            raise

    async def orders(self, after: dt.datetime) -> OrderPage:
        """The orders submitted after an instant, of any state, oldest first: as many as fit in a page."""
        return await self._call("ordersAnswer", self._side, "trading", functools.partial(self._orders, after))

    def _holdings(self) -> Holdings:
        return rows.holdings(self._clients.trading.get_all_positions(), self._refuse)

    def _clock(self) -> Clock:
        return rows.clock(self._clients.trading.get_clock(), self._now_at())

    def _quotes(self, symbols: Sequence[str]) -> list[Tick]:
        """One request: alpaca-py's own method would follow the page tokens of an answer without end."""
        query = {"symbols": ",".join(symbols), "feed": self._settings.feed}
        return rows.ticks(self._clients.market.get("/options/quotes/latest", query), self._refuse)

    def _days(self, today: dt.date) -> Hours | None:
        request = GetCalendarRequest(start=today - dt.timedelta(days=7), end=today)
        return rows.hours(self._clients.trading.get_calendar(request), today, self._refuse)

    def _contract(self, symbol: str) -> Contract:
        return contracts.contract(symbol, self._clients.trading.get_option_contract(symbol), self._refuse)

    def _orders(self, after: dt.datetime) -> OrderPage:
        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL,
            after=after,
            limit=history.ORDERS_A_PAGE,
            direction=Sort.ASC,
            nested=True,
        )
        return history.page(self._clients.trading.get_orders(request), self._refuse)

    async def _call(self, whole: wire.Refusal, lane: _Lane, host: Host, call: Callable[[], Answer]) -> Answer:
        """Run a blocking call in a lane, with retries."""
        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._settings.retries + 1),
            wait=_wait,
            retry=tenacity.retry_if_exception(_may_retry),
            reraise=True,
        )
        return await retrying(self._attempt, whole, lane, host, call)

    async def _attempt(self, whole: wire.Refusal, lane: _Lane, host: Host, call: Callable[[], Answer]) -> Answer:
        """One attempt, of whose failure the status tells though others follow."""
        try:
            answer = await self._try(whole, lane, host, call)
        except RestFault as fault:
            self._note_trouble(lane, fault)
            raise
        self._note_trouble(lane, None)
        return answer

    def _note_trouble(self, lane: _Lane, fault: RestFault | None) -> None:
        if lane is self._main:
            self.trouble = fault

    async def _try(self, whole: wire.Refusal, lane: _Lane, host: Host, call: Callable[[], Answer]) -> Answer:
        """One attempt, when the budget allows. A pause that Alpaca wants holds up none who ask another host."""
        while True:
            lane.breaker.check(self._now())
            await self._pass(self._budget.pause_seconds(host, self._now()))
            async with lane.places:
                if not await self._may_go(lane, host):
                    continue
                with lane.breaker.guarding(self._now):
                    return await self._ask_once_or_twice(whole, lane, host, call)

    async def _may_go(self, lane: _Lane, host: Host) -> bool:
        """Wait for the lane's share in the order of coming; False if Alpaca wants a pause by then."""
        async with lane.turn:
            await self._pass(self._budget.share_seconds(lane.share, self._now()))
            lane.breaker.check(self._now())
            return self._budget.take(lane.share, host, self._now())

    async def _pass(self, seconds: float) -> None:
        if seconds:
            await self._sleep(seconds)

    async def _ask_once_or_twice(
        self, whole: wire.Refusal, lane: _Lane, host: Host, call: Callable[[], Answer]
    ) -> Answer:
        """That a connection was kept too long is no failure; all our requests are GETs, and may go again at once."""
        try:
            return await self._ask(whole, lane, host, call)
        except RestFault as fault:
            is_stale = transport.was_dropped(fault.__cause__)
            if not (is_stale and self._budget.take(lane.share, host, self._now())):
                raise
        return await self._ask(whole, lane, host, call)

    async def _ask(self, whole: wire.Refusal, lane: _Lane, host: Host, call: Callable[[], Answer]) -> Answer:
        loop, started = asyncio.get_running_loop(), self._now()
        endpoint = whole.removesuffix("Answer")
        try:
            async with asyncio.timeout(transport.ATTEMPT_FACTOR * self._settings.timeout_seconds):
                answer = await loop.run_in_executor(lane.pool, call)
        except Exception as error:
            fault = rest_fault(error)
            self._observe(endpoint, str(_status(error) or fault.code), self._now() - started)
            if fault.code == "malformed":
                self._refuse(whole)
            if fault.code == "rateLimited":
                self.rate_limited += 1
                self._budget.pause(host, fault.wait_seconds or 0.0, self._now())
            raise fault from error
        else:
            self._observe(endpoint, "200", self._now() - started)
            return answer
        finally:
            while not self._told.empty():
                told_by, seconds = self._told.get_nowait()
                self._budget.pause(told_by, seconds, self._now())

    def _log_in(self, settings: RestSettings, login: Login) -> _Clients:
        trading = TradingClient(
            login.key_id,
            login.secret_key,
            paper=settings.paper,
            raw_data=True,
            url_override=settings.trading_url or None,
        )
        market = OptionHistoricalDataClient(
            login.key_id, login.secret_key, raw_data=True, url_override=settings.data_url or None
        )
        transport.tame(trading, settings.timeout_seconds, functools.partial(self._hear, "trading"))
        transport.tame(market, settings.timeout_seconds, functools.partial(self._hear, "data"))
        return _Clients(trading, market)

    def _hear(self, host: Host, headers: Mapping[str, str]) -> None:
        """Note, on the thread of a call, what an answer says of the rate limit."""
        if seconds := told_pause(headers, self._now_at().timestamp()):
            self._told.put((host, seconds))


class _Clients(NamedTuple):
    trading: TradingClient
    market: OptionHistoricalDataClient

    def close(self) -> None:
        """Requests under way end as they would."""
        transport.close(self.trading)
        transport.close(self.market)


class _Lane(NamedTuple):
    """The way of some of the calls; in it they go in the order of coming."""

    share: Share
    pool: DaemonPool
    breaker: Breaker
    places: asyncio.Semaphore
    """One for each thread, so that the time of a call begins with it, and not while it waits for a thread."""
    turn: asyncio.Lock


def _lane(settings: RestSettings, share: Share, threads: int) -> _Lane:
    return _Lane(
        share=share,
        pool=DaemonPool(threads, name=f"rest-{share}"),
        breaker=Breaker(settings.breaker_failures, settings.breaker_reset_seconds, share),
        places=asyncio.Semaphore(threads),
        turn=asyncio.Lock(),
    )


class _Refusals:
    """Counts what of the answers cannot be read, from any thread, and tells of each kind once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def __call__(self, kind: wire.Refusal) -> None:
        with self._lock:
            before = self._counts.get(kind, 0)
            self._counts[kind] = before + 1
        if not before:
            text = "Part of an answer of Alpaca cannot be read; more of its kind are counted alone"
            _log.warning(text, extra={"fields": {"kind": kind}})

    @property
    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)


def _status(error: BaseException | None) -> int | None:
    """The HTTP status of a refusal."""
    return error.status_code if isinstance(error, APIError) else None


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, RestFault) and error.may_retry


_backoff = tenacity.wait_exponential(multiplier=1.0, max=_LONGEST_RETRY_SECONDS) + tenacity.wait_random(0.0, 0.25)


def _wait(attempt: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what Alpaca asked for, within a minute, or else 1, 2, 4 s and a little."""
    error = attempt.outcome.exception() if attempt.outcome else None
    if isinstance(error, RestFault) and error.wait_seconds is not None:
        return min(_LONGEST_RETRY_SECONDS, error.wait_seconds)
    return _backoff(attempt)
