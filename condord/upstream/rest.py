"""Alpaca's REST through alpaca-py, in raw mode, with the timeouts, retries and breaker that it lacks.

Every private part of alpaca-py that we touch is in `_tame`, and a test fails when it moves: alpaca-py 0.44 has no
timeout at all, and retries with blocking sleeps that its constructor cannot turn off. A call runs on our own pool;
tenacity retries what may be retried after 1, 2 and 4 s with jitter, or when Alpaca says; pybreaker stops asking after
too many failures in a row.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import tenacity
from alpaca.common.rest import RESTClient
from alpaca.data.enums import OptionsFeed
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.requests import OptionLatestQuoteRequest
from alpaca.trading.client import TradingClient
from pybreaker import CircuitBreaker

from condord.core.position import Position
from condord.core.quote import Tick
from condord.core.session import Clock
from condord.live.wire import BreakerState
from condord.upstream import rows
from condord.upstream.faults import RestFault, rest_fault
from condord.upstream.pool import DaemonPool
from condord.upstream.ports import Login

SYMBOLS_A_REQUEST = 100
_ATTEMPT_FACTOR = 2.0
"""`timeout_seconds` bounds connecting and each wait for bytes; the whole of an attempt gets twice that."""

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
        self._pool = DaemonPool(settings.threads, name="rest")
        self._breaker = CircuitBreaker(
            fail_max=settings.breaker_failures,
            reset_timeout=settings.breaker_reset_seconds,
            exclude=[_is_no_outage],
            throw_new_error_on_trip=False,
        )
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
        state = self._breaker.current_state
        return "halfOpen" if state == "half-open" else "open" if state == "open" else "closed"

    def set_breaker(self, failures: int, reset_seconds: float) -> None:
        """Take other bounds for the breaker without closing it."""
        self._breaker.fail_max = failures
        self._breaker.reset_timeout = reset_seconds

    async def positions(self) -> list[Position]:
        """All option positions of the account."""
        return await self._call(lambda: rows.positions(self._trading.get_all_positions()))

    async def clock(self) -> Clock:
        """The market's clock."""
        return await self._call(lambda: rows.clock(self._trading.get_clock(), self._now_at()))

    async def quotes(self, symbols: Sequence[str]) -> list[Tick]:
        """The latest quotes of `symbols`, 100 a request; symbols never quoted are left out."""
        parts = [symbols[start : start + SYMBOLS_A_REQUEST] for start in range(0, len(symbols), SYMBOLS_A_REQUEST)]
        answers = await asyncio.gather(*(self._call(functools.partial(self._quotes, part)) for part in parts))
        return [tick for answer in answers for tick in answer]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()

    def _quotes(self, symbols: Sequence[str]) -> list[Tick]:
        request = OptionLatestQuoteRequest(symbol_or_symbols=list(symbols), feed=OptionsFeed(self.settings.feed))
        return rows.ticks(self._market.get_option_latest_quote(request))

    async def _call(self, call: Callable[[], Answer]) -> Answer:
        """Run a blocking call on the pool, with retries and under the breaker."""
        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self.settings.retries + 1),
            wait=_wait,
            retry=tenacity.retry_if_exception(_may_retry),
            reraise=True,
        )
        return await retrying(self._attempt, call)

    async def _attempt(self, call: Callable[[], Answer]) -> Answer:
        try:
            with self._breaker.calling():
                return await self._ask(call)
        except Exception as error:
            raise rest_fault(error) from error

    async def _ask(self, call: Callable[[], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ATTEMPT_FACTOR * self.settings.timeout_seconds):
                return await loop.run_in_executor(self._pool, call)
        except Exception as error:
            raise rest_fault(error) from error


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
    """Give alpaca-py's client a timeout and take its own retries away (alpaca-py 0.44; private surface)."""
    session = client._session  # noqa: SLF001 - see the docstring of this file
    request = session.request

    def request_with_timeout(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        kwargs.setdefault("timeout", (timeout_seconds, timeout_seconds))
        return request(*args, **kwargs)

    session.request = request_with_timeout  # type: ignore[method-assign]
    client._retry = 0  # noqa: SLF001 - see the docstring of this file
