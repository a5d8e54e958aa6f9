"""Alpaca's REST through alpaca-py, in raw mode, with the timeouts, retries and breaker that it lacks.

Every private part of alpaca-py that we touch is in `_tame`, and a test fails when it moves: alpaca-py 0.44 has no
timeout at all, and retries with blocking sleeps that its constructor cannot turn off. A call runs on our own pool;
tenacity retries what may be retried after 1, 2 and 4 s with jitter, or when Alpaca says; pybreaker stops asking after
too many failures in a row. Contracts and orders, which nothing must wait for, have a pool and a breaker of their own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import io
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import requests
import tenacity
import urllib3.exceptions
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.enums import OptionsFeed
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.requests import OptionLatestQuoteRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest
from pybreaker import CircuitBreaker, CircuitBreakerError

from condord.core.position import Contract, Holdings
from condord.core.quote import Tick
from condord.core.session import Clock, Hours
from condord.live.wire import BreakerState
from condord.upstream import contracts, history, rows
from condord.upstream.faults import RestFault, breaker_fault, rest_fault
from condord.upstream.pool import DaemonPool
from condord.upstream.ports import Login, OrderPage

SYMBOLS_A_REQUEST = 100
_ATTEMPT_FACTOR = 2.0
"""`timeout_seconds` bounds connecting and each wait for bytes; the whole of an attempt gets twice that."""
_SIDE_THREADS = 3
_CHUNK_BYTES = 65536

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


class AlpacaRest:
    """The account and the latest quotes; every method raises `RestFault` alone.

    `sleep` is the wait between two attempts.
    """

    def __init__(
        self,
        settings: RestSettings,
        login: Login,
        *,
        now_at: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._now_at = now_at
        self._sleep = sleep
        self._main = _lane(settings, settings.threads, name="rest")
        self._side = _lane(settings, _SIDE_THREADS, name="side")
        self._trading = TradingClient(
            login.key_id,
            login.secret_key,
            paper=settings.paper,
            raw_data=True,
            url_override=settings.trading_url or None,
        )
        self._market = OptionHistoricalDataClient(
            login.key_id, login.secret_key, raw_data=True, url_override=settings.data_url or None
        )
        for client in (self._trading, self._market):
            _tame(client, settings.timeout_seconds)

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker, in the words of the document."""
        state = self._main.breaker.current_state
        return "halfOpen" if state == "half-open" else "open" if state == "open" else "closed"

    def set_breaker(self, failures: int, reset_seconds: float) -> None:
        """Take other bounds for the breakers without closing them."""
        for lane in (self._main, self._side):
            lane.breaker.fail_max = failures
            lane.breaker.reset_timeout = reset_seconds

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""
        return await self._call(lambda: rows.holdings(self._trading.get_all_positions()))

    async def clock(self) -> Clock:
        """The market's clock."""
        return await self._call(lambda: rows.clock(self._trading.get_clock(), self._now_at()))

    async def trading_day(self, today: dt.date) -> Hours | None:
        """The regular session of `today`, or the last one in the week before it."""
        return await self._call(functools.partial(self._days, today), self._side)

    async def quotes(self, symbols: Sequence[str]) -> list[Tick]:
        """The latest quotes of `symbols`, 100 a request; symbols never quoted are left out."""
        parts = [symbols[start : start + SYMBOLS_A_REQUEST] for start in range(0, len(symbols), SYMBOLS_A_REQUEST)]
        answers = await asyncio.gather(*(self._call(functools.partial(self._quotes, part)) for part in parts))
        return [tick for answer in answers for tick in answer]

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None where Alpaca knows none of that symbol."""
        return await self._call(functools.partial(self._contract, symbol), self._side)

    async def orders(self, after: dt.datetime) -> OrderPage:
        """The orders submitted after an instant, of any state, oldest first: as many as fit in a page."""
        return await self._call(functools.partial(self._orders, after), self._side)

    def close(self) -> None:
        """Let the threads end."""
        for lane in (self._main, self._side):
            lane.pool.shutdown()

    def _days(self, today: dt.date) -> Hours | None:
        request = GetCalendarRequest(start=today - dt.timedelta(days=7), end=today)
        return rows.hours(self._trading.get_calendar(request), today)

    def _quotes(self, symbols: Sequence[str]) -> list[Tick]:
        request = OptionLatestQuoteRequest(symbol_or_symbols=list(symbols), feed=OptionsFeed(self.settings.feed))
        return rows.ticks(self._market.get_option_latest_quote(request))

    def _contract(self, symbol: str) -> Contract | None:
        try:
            answer = self._trading.get_option_contract(symbol)
        except APIError as error:
            if error.status_code == 404:
                return None
            raise
        return contracts.contract(symbol, answer)

    def _orders(self, after: dt.datetime) -> OrderPage:
        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL,
            after=after,
            limit=history.ORDERS_A_PAGE,
            direction=Sort.ASC,
            nested=True,
        )
        return history.page(self._trading.get_orders(request))

    async def _call(self, call: Callable[[], Answer], lane: _Lane | None = None) -> Answer:
        """Run a blocking call in a lane, the main one by default, with retries and under its breaker."""
        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self.settings.retries + 1),
            wait=_wait,
            retry=tenacity.retry_if_exception(_may_retry),
            reraise=True,
        )
        return await retrying(self._attempt, call, lane or self._main)

    async def _attempt(self, call: Callable[[], Answer], lane: _Lane) -> Answer:
        try:
            with lane.breaker.calling():
                return await self._ask(call, lane.pool)
        except CircuitBreakerError as error:
            raise breaker_fault(lane.causes[-1] if lane.causes else None) from error
        except RestFault as fault:
            if fault.is_outage:
                lane.causes.append(fault)
            raise

    async def _ask(self, call: Callable[[], Answer], pool: DaemonPool) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ATTEMPT_FACTOR * self.settings.timeout_seconds):
                return await loop.run_in_executor(pool, call)
        except Exception as error:
            raise rest_fault(error) from error


class _Lane(NamedTuple):
    """The threads and the breaker of some of the calls."""

    pool: DaemonPool
    breaker: CircuitBreaker
    causes: deque[RestFault]
    """The newest outage, for what is said while the breaker is open."""


def _lane(settings: RestSettings, threads: int, *, name: str) -> _Lane:
    breaker = CircuitBreaker(
        fail_max=settings.breaker_failures,
        reset_timeout=settings.breaker_reset_seconds,
        exclude=[_is_no_outage],
        throw_new_error_on_trip=False,
    )
    return _Lane(DaemonPool(threads, name=name), breaker, deque(maxlen=1))


def _is_no_outage(error: object) -> bool:
    """What does not count for the breaker: refusals of one request, and a call that we gave up ourselves."""
    return isinstance(error, asyncio.CancelledError) or (isinstance(error, RestFault) and not error.is_outage)


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, RestFault) and error.may_retry


_backoff = tenacity.wait_exponential(multiplier=1.0, max=60.0) + tenacity.wait_random(0.0, 0.25)


def _wait(attempt: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what Alpaca asked for, within a minute, or else 1, 2, 4 s and a little."""
    error = attempt.outcome.exception() if attempt.outcome else None
    if isinstance(error, RestFault) and error.wait_seconds is not None:
        return min(60.0, error.wait_seconds)
    return _backoff(attempt)


def _tame(client: RESTClient, timeout_seconds: float) -> None:
    """Give alpaca-py's client timeouts and take its own retries away (alpaca-py 0.44; private surface).

    All our requests are GETs: one whose connection had been kept too long is sent again at once.
    """
    session = client._session  # noqa: SLF001 - see the docstring of this file
    request = session.request

    def request_in_time(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        kwargs = {"timeout": (timeout_seconds, timeout_seconds), **kwargs, "stream": True}
        deadline = time.monotonic() + _ATTEMPT_FACTOR * timeout_seconds
        try:
            response = request(*args, **kwargs)
        except requests.ConnectionError as error:
            if not _was_dropped(error):
                raise
            response = request(*args, **kwargs)
        return _with_body(response, deadline)

    session.request = request_in_time  # type: ignore[method-assign]
    client._retry = 0  # noqa: SLF001 - see the docstring of this file


def _was_dropped(error: requests.ConnectionError) -> bool:
    """Whether a connection that stood was closed instead of an answer."""
    return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def _with_body(response: requests.Response, deadline: float) -> requests.Response:
    """Read the body before `deadline` (monotonic): a timeout of requests bounds each wait for bytes, not their sum."""
    chunks = []
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("the body came too slowly")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error
    finally:
        if not response.raw.isclosed():
            response.close()
    response.raw = io.BytesIO(b"".join(chunks))
    return response
