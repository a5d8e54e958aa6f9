"""Alpaca's REST through alpaca-py, in raw mode: a method for each thing that is read.

`rest_calls` makes the calls, `transport` bounds each request, and `blocking_rest` sends it and parses the answer. Parts
that cannot be read are counted by kind.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from condord.core.account_summary import AccountSummary
from condord.core.activity import ActivityKind, Split
from condord.core.calendar import Calendar
from condord.core.dividend import Dividend
from condord.core.market_hours import Clock
from condord.core.model.figures import OptionSnapshot
from condord.core.position import Contract, Holdings
from condord.core.quote import Tick
from condord.core.underlying import IndexValue, StockFeed, StockSnapshot
from condord.core.working_order import WorkingOrder
from condord.host.network import Network
from condord.live import wire
from condord.tasks import loop_time
from condord.upstream import clients
from condord.upstream.activities import PAST
from condord.upstream.blocking_rest import BlockingRest
from condord.upstream.bulkhead import Bulkhead, open_bulkhead
from condord.upstream.clients import Clients
from condord.upstream.interfaces import (
    STOCKS_PER_REQUEST,
    SYMBOLS_PER_REQUEST,
    ActivityPage,
    FillPage,
    Login,
    OrderPage,
)
from condord.upstream.rate_limit import AlpacaHost
from condord.upstream.rest_calls import Answer, RestCall, RestCalls, new_breakers, status_of
from condord.upstream.rest_fault import RestFault

_POSITIONS_THREADS = 1
_SIDE_THREADS = 3
_SPARE_THREADS = 2
_PRICE_THREADS = 2
_FIGURE_THREADS = 2
_ACCOUNT_THREADS = 2
_PAST_THREADS = 1
_CLOSES_THREADS = 1
_MAX_CLOSE_PAGES = 50
_FORBIDDEN = 403
_NOT_FOUND = 404

Row = TypeVar("Row")


class RestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of REST calls: URLs (empty: Alpaca's own), seconds, and counts."""

    paper: bool
    feed: str
    trading_url: str
    data_url: str
    timeout_seconds: float
    retries: int
    breaker_failures: int
    breaker_reset_seconds: float
    threads: int
    stock_feed: StockFeed


def _not_measured(_endpoint: str, _code: str, _seconds: float) -> None:
    """Measure nothing."""


class AlpacaRest:
    """The account and the latest quotes; every method raises only `RestFault`.

    `sleep`, `now` and `observe` are as in `RestCalls`; `now_at` is the wall clock (UTC).
    """

    def __init__(
        self,
        settings: RestSettings,
        login: Login,
        *,
        now_at: Callable[[], dt.datetime],
        network: Network,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = loop_time,
        observe: Callable[[str, str, float], None] = _not_measured,
    ) -> None:
        self._network = network
        self._calls = RestCalls(
            timeout_seconds=settings.timeout_seconds,
            retries=settings.retries,
            breakers=new_breakers(settings.breaker_failures, settings.breaker_reset_seconds),
            now_at=now_at,
            sleep=sleep,
            now=now,
            observe=observe,
        )
        self._positions = open_bulkhead("positions", _POSITIONS_THREADS, is_vital=True)
        self._main = open_bulkhead("main", settings.threads, is_vital=True)
        self._side = open_bulkhead("side", _SIDE_THREADS)
        self._spare = open_bulkhead("spare", _SPARE_THREADS)
        self._prices = open_bulkhead("prices", _PRICE_THREADS)
        self._figures = open_bulkhead("figures", _FIGURE_THREADS)
        self._account = open_bulkhead("account", _ACCOUNT_THREADS)
        self._past = open_bulkhead("past", _PAST_THREADS)
        self._closes = open_bulkhead("closes", _CLOSES_THREADS)
        self._blocking = BlockingRest(
            self._log_in(settings, login),
            feed=settings.feed,
            stock_feed=settings.stock_feed,
            refuse=self._calls.unreadable,
            now_at=now_at,
        )

    @property
    def _bulkheads(self) -> tuple[Bulkhead, ...]:
        vital = (self._positions, self._main)
        market = (self._prices, self._figures, self._closes)
        return (*vital, self._side, self._spare, self._account, self._past, *market)

    @property
    def rate_limited(self) -> int:
        """How many answers had the status 429."""
        return self._calls.rate_limited

    @property
    def breaker(self) -> wire.BreakerState:
        """The state of the trading API's circuit breaker."""
        return self._calls.breakers["trading"].state

    @property
    def breakers(self) -> Mapping[str, wire.BreakerState]:
        """The state of each host's circuit breaker."""
        return {host: breaker.state for host, breaker in self._calls.breakers.items()}

    @property
    def budget_room(self) -> Mapping[str, int]:
        """How many requests each share of the budget permits at once."""
        return self._calls.budget_room

    @property
    def budget_waits(self) -> Mapping[str, int]:
        """How many requests have waited for room in each share."""
        return self._calls.budget_waits

    @property
    def pending_fault(self) -> RestFault | None:
        """Why positions, quotes or the clock cannot be read now; None if they can."""
        return self._calls.pending_faults.worst

    @property
    def refused(self) -> Mapping[str, int]:
        """How many parts of Alpaca's answers could not be read, by kind."""
        return self._calls.unreadable.counts

    def set_breaker(self, failures: int, reset_seconds: float) -> None:
        """Change the bounds of the breakers; their state stays as it is."""
        for breaker in self._calls.breakers.values():
            breaker.set(failures, reset_seconds)

    def relogin(self, settings: RestSettings, login: Login) -> None:
        """Use another key, feed, address or timeout from the next request on.

        Breakers, budget and threads stay as they are.
        """
        old = self._blocking.clients
        self._blocking.relogin(self._log_in(settings, login), feed=settings.feed, stock_feed=settings.stock_feed)
        self._calls.set_bounds(timeout_seconds=settings.timeout_seconds, retries=settings.retries)
        old.close()

    def close(self) -> None:
        """Let idle threads end and close idle connections; requests under way go on."""
        for bulkhead in self._bulkheads:
            bulkhead.pool.shutdown()
        self._blocking.clients.close()

    async def account_id(self) -> str:
        """Alpaca's id of the account, which does not depend on the key."""
        return await self._call("accountAnswer", self._side, "trading", self._blocking.account_id)

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""
        return await self._call("positionsAnswer", self._positions, "trading", self._blocking.holdings)

    async def clock(self) -> Clock:
        """The market's clock."""
        return await self._call("clockAnswer", self._main, "trading", self._blocking.clock)

    async def quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Pass the latest quotes of `symbols` to `take`, 100 a request, as they arrive; unquoted symbols are left out.

        If a request fails, the others still count, and the first fault is raised after them.
        """
        await self._in_parts(symbols, SYMBOLS_PER_REQUEST, take, ("quotesAnswer", self._main), self._blocking.quotes)

    async def calendar(self, start: dt.date, end: dt.date) -> Calendar:
        """The regular sessions from `start` to `end`, both included."""
        return await self._call(
            "calendarAnswer", self._side, "trading", functools.partial(self._blocking.calendar, start, end)
        )

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None if Alpaca has none of that symbol."""
        ask = functools.partial(self._blocking.contract, symbol)
        return await _none_if_absent(self._call("contractAnswer", self._spare, "trading", ask))

    async def orders(self, after: dt.datetime) -> OrderPage:
        """A page of the orders submitted after an instant, in any state, oldest first."""
        return await self._call("ordersAnswer", self._side, "trading", functools.partial(self._blocking.orders, after))

    async def activities(self, kinds: Sequence[ActivityKind], after: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the activities of `kinds` after an instant, oldest first; it begins after the id `token`."""
        ask = functools.partial(self._blocking.activities, kinds, after, token)
        return await self._call("activitiesAnswer", self._side, "trading", ask)

    async def past_activities(self, until_at: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the activities that trades need, before an instant, newest first; it begins after `token`."""
        ask = functools.partial(self._blocking.past_activities, until_at, token)
        return await self._call("pastActivitiesAnswer", self._past, "trading", ask)

    async def later_activities(self, after_at: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the same activities after an instant, oldest first; it begins after the id `token`."""
        ask = functools.partial(self._blocking.activities, PAST, after_at, token)
        return await self._call("pastActivitiesAnswer", self._past, "trading", ask)

    async def day_closes(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> Mapping[tuple[str, dt.date], int]:
        """The closes of stocks from `start` to `end`, not adjusted for splits; none if the host has no such service."""
        closes_e4: dict[tuple[str, dt.date], int] = {}
        for first in range(0, len(symbols), STOCKS_PER_REQUEST):
            part = symbols[first : first + STOCKS_PER_REQUEST]
            token: str | None = None
            for _ in range(_MAX_CLOSE_PAGES):
                ask = functools.partial(self._blocking.day_closes, part, start, end, token)
                page = await _none_if_absent(self._call("dayBarsAnswer", self._closes, "data", ask))
                closes_e4 |= page.closes_e4 if page else {}
                if page is None or page.next_token in (None, token):  # the same token again would never end
                    break
                token = page.next_token
        return closes_e4

    async def splits(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Split]:
        """The splits of `symbols` between two days, oldest first; none if the host has no such service."""
        ask = functools.partial(self._blocking.splits, symbols, start, end)
        return await _none_if_absent(self._call("corporateActionsAnswer", self._side, "data", ask)) or []

    async def stock_snapshots(self, symbols: Sequence[str], take: Callable[[list[StockSnapshot]], None]) -> None:
        """Pass the snapshots of stocks to `take`, 200 a request, as `quotes` does; unknown stocks are left out."""
        ask = self._blocking.stock_snapshots
        await self._in_parts(symbols, STOCKS_PER_REQUEST, take, ("stocksAnswer", self._prices), ask)

    async def index_values(self, symbols: Sequence[str]) -> list[IndexValue] | None:
        """The newest values of the indexes that Alpaca has; None if the key is not entitled to them."""
        ask = functools.partial(self._blocking.index_values, symbols)
        return await _none_after(_FORBIDDEN, self._call("indexesAnswer", self._prices, "data", ask))

    async def option_snapshots(self, symbols: Sequence[str], take: Callable[[list[OptionSnapshot]], None]) -> None:
        """Pass Alpaca's figures of contracts to `take`, 100 a request, as `quotes` does; absent ones are left out."""
        ask = self._blocking.option_snapshots
        await self._in_parts(symbols, SYMBOLS_PER_REQUEST, take, ("snapshotsAnswer", self._figures), ask)

    async def opposite_quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Pass the latest quotes of contracts that are not held to `take`, as `quotes` does, but never delay those."""
        ask = self._blocking.quotes
        await self._in_parts(symbols, SYMBOLS_PER_REQUEST, take, ("oppositesAnswer", self._figures), ask)

    async def dividends(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Dividend]:
        """The cash dividends of `symbols` processed between two days, by ex-date; none if the host has no such service.

        If one of the requests for 200 symbols each fails, its fault is raised.
        """
        read: list[Dividend] = []

        def ask(part: Sequence[str]) -> list[Dividend]:
            return self._blocking.dividends(part, start, end)

        parts = self._in_parts(symbols, STOCKS_PER_REQUEST, read.extend, ("dividendsAnswer", self._figures), ask)
        await _none_if_absent(parts)
        return sorted(read, key=lambda dividend: (dividend.ex_date, dividend.symbol))

    async def account_summary(self) -> AccountSummary:
        """The account's balances, without the day's transfers."""
        return await self._call("balancesAnswer", self._account, "trading", self._blocking.account_summary)

    async def transfers_e4(self, day: dt.date) -> int | None:
        """The deposits (+) and withdrawals (-) of `day`, in 1e-4 dollars; None if one of them cannot be read."""
        ask = functools.partial(self._blocking.transfers_e4, day)
        return await self._call("transfersAnswer", self._account, "trading", ask)

    async def working_orders(self) -> list[WorkingOrder]:
        """The orders for options that are not filled, or not completely, oldest first; 500 at most."""
        return await self._call("workingOrdersAnswer", self._account, "trading", self._blocking.working_orders)

    async def day_fills(self, day: dt.date, after: dt.datetime, token: str | None) -> FillPage:
        """A page of the fills of options on `day`, after an instant, oldest first; it begins after the id `token`."""
        ask = functools.partial(self._blocking.day_fills, day, after, token)
        return await self._call("dayFillsAnswer", self._account, "trading", ask)

    async def _in_parts(
        self,
        symbols: Sequence[str],
        size: int,
        take: Callable[[list[Row]], None],
        route: tuple[wire.Refusal, Bulkhead],
        request: Callable[[Sequence[str]], list[Row]],
    ) -> None:
        """Make a request of the data API for every `size` symbols, and pass each answer to `take` as it arrives.

        If a request fails, the others still count, and the first fault is raised after them.
        """
        faults: list[RestFault] = []

        async def ask(part: Sequence[str]) -> None:
            try:
                take(await self._call(*route, "data", functools.partial(request, part)))
            except RestFault as fault:
                faults.append(fault)

        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(symbols), size):
                tasks.create_task(ask(symbols[start : start + size]))
        if faults:
            raise faults[0]

    async def _call(
        self, kind: wire.Refusal, bulkhead: Bulkhead, host: AlpacaHost, request: Callable[[], Answer]
    ) -> Answer:
        return await self._calls.run(RestCall(kind=kind, bulkhead=bulkhead, host=host, request=request))

    def _log_in(self, settings: RestSettings, login: Login) -> Clients:
        return clients.log_in(
            login,
            paper=settings.paper,
            trading_url=settings.trading_url,
            data_url=settings.data_url,
            timeout_seconds=settings.timeout_seconds,
            network=self._network,
            on_headers=self._calls.note_headers,
        )


async def _none_if_absent(answer: Awaitable[Answer]) -> Answer | None:
    """The answer, or None after a 404."""
    return await _none_after(_NOT_FOUND, answer)


async def _none_after(status: int, answer: Awaitable[Answer]) -> Answer | None:
    """The answer, or None after a refusal with `status`."""
    try:
        return await answer
    except RestFault as fault:
        if status_of(fault.__cause__) == status:
            return None
        raise
