"""Read what only risk figures need: prices of underlyings, Alpaca's figures of options, opposite contracts, dividends.

Prices of the underlyings that the stock stream does not deliver are read every 5 s while the market is open, and those
of indexes too. All stocks are read with each refresh, as only REST has the close of the session before, and every 30 s
while the market is open, as the stream is silent about a price that does not change. Reads are never more frequent, and
less frequent if many symbols are held, so that they stay within these shares of the request budget:

    prices    of 30 requests a minute: stocks 12, indexes 12
    figures   of 30 requests a minute: Alpaca's figures 15, opposite contracts 10; dividends are read once a day

No failure here concerns positions, quotes or the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any

from condord.core.market_hours import exchange_day
from condord.core.model.figures import OptionSnapshot
from condord.core.quote import Tick
from condord.tasks import loop_time
from condord.upstream.due import ReadSchedule
from condord.upstream.interfaces import STOCKS_PER_REQUEST, SYMBOLS_PER_REQUEST, Brokerage, MarketSink
from condord.upstream.poller import Poller
from condord.upstream.rest_fault import RestFault

PRICE_SECONDS = 5.0
CONFIRM_SECONDS = 30.0
"""How often all stocks are read while the market is open: a price is unconfirmed 60 s after the last answer."""
GRANT_SECONDS = 900.0
"""How often index values are requested without the entitlement to them, in case it was bought meanwhile."""
SNAPSHOTS_PER_MINUTE = 15
OPPOSITES_PER_MINUTE = 10
_TICK_SECONDS = 5.0
_PACE_SECONDS = 2.0
_DIVIDENDS_BACK = dt.timedelta(days=5)
_DIVIDENDS_AHEAD = dt.timedelta(days=75)
"""Alpaca selects by process date, which is after the ex-date, and lists dividends weeks ahead at best."""
_A_DAY_SECONDS = 86_400.0


class MarketReader:
    """Reads prices of underlyings, Alpaca's figures, opposite quotes and dividends for `sink`.

    `held` returns the contracts held, `streamed` the stocks that the stock stream delivers, and `is_open` whether the
    market is open. `noting` takes the name of a read and notes how it ends, without raising its `RestFault`; `unneeded`
    notes that there is nothing to read. `is_good` is whether the last read of that name need not be repeated soon. The
    names are `stocks`, `indexes`, `snapshots`, `opposites` and `dividends`.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        sink: MarketSink,
        now_at: Callable[[], dt.datetime],
        refresh_seconds: float,
        held: Callable[[], Sequence[str]],
        streamed: Callable[[], Collection[str]],
        is_open: Callable[[], bool],
        noting: Callable[[str], AbstractContextManager[None]],
        unneeded: Callable[[str], None],
        is_good: Callable[[str], bool],
    ) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._now_at = now_at
        self._refresh_seconds = refresh_seconds
        self._held = held
        self._streamed = streamed
        self._is_open = is_open
        self._noting = noting
        self._unneeded = unneeded
        self._is_good = is_good
        self._is_entitled = True
        self._are_stocks_refused = False
        self._dividends_on: dt.date | None = None
        self._all_stocks, self._some_stocks, self._indexes = ReadSchedule(), ReadSchedule(), ReadSchedule()
        self._snapshots, self._opposites, self._dividends = ReadSchedule(), ReadSchedule(), ReadSchedule()
        self._pollers = tuple(
            Poller(read, _TICK_SECONDS)
            for read in (
                self._read_stocks,
                self._read_indexes,
                self._read_snapshots,
                self._read_opposites,
                self._read_dividends,
            )
        )

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """The coroutines to run as tasks, each until cancelled."""
        return tuple(poller.run() for poller in self._pollers)

    def ask(self) -> None:
        """Read everything again soon, except dividends, and without the entitlement also except indexes."""
        for due in (self._all_stocks, self._snapshots, self._opposites):
            due.ask()
        if self._is_entitled:
            self._indexes.ask()
        self.want()

    def want(self) -> None:
        """Read missing data soon, as the positions have changed."""
        for poller in self._pollers:
            poller.ask()

    def forget(self) -> None:
        """Read everything again soon: the API key has changed, and with it what may be read."""
        self._is_entitled = True
        self._are_stocks_refused = False
        self._dividends.ask()
        self.ask()

    @property
    def polled(self) -> tuple[str, ...]:
        """The stocks that the stream does not deliver, so that REST is asked for them."""
        streamed = frozenset(self._streamed())
        return tuple(stock for stock in self._sink.stocks if stock not in streamed)

    async def _read_stocks(self) -> bool:
        stocks, now = self._sink.stocks, loop_time()
        pace = PRICE_SECONDS * _requests(stocks, STOCKS_PER_REQUEST)
        period = min(self._refresh_seconds, CONFIRM_SECONDS) if self._is_open() else self._refresh_seconds
        if self._all_stocks.is_due(stocks, now, period=max(period, pace), pace=pace):
            is_answered = await self._read("stocks", self._all_stocks, stocks, self._ask_stocks)
            self._are_stocks_refused = not is_answered and self._is_good("stocks")
            self._some_stocks.begin(now)
            self._some_stocks.end(stocks, is_good=True)
        elif self._is_open() and not self._are_stocks_refused:
            polled = self.polled
            pace = PRICE_SECONDS * _requests(polled, STOCKS_PER_REQUEST)
            if self._some_stocks.is_due(polled, now, period=pace, pace=pace):
                await self._read("stocks", self._some_stocks, polled, self._ask_stocks)
        return self._done("stocks", stocks)

    async def _ask_stocks(self, stocks: Sequence[str]) -> None:
        await self._brokerage.stock_snapshots(stocks, self._sink.confirm_stocks)

    async def _read_indexes(self) -> bool:
        indexes = self._sink.indexes
        period = PRICE_SECONDS if self._is_open() else self._refresh_seconds
        if not self._is_entitled:
            period = GRANT_SECONDS
        if self._indexes.is_due(indexes, loop_time(), period=period, pace=PRICE_SECONDS):
            await self._read("indexes", self._indexes, indexes, self._ask_indexes)
        return self._done("indexes", indexes)

    async def _ask_indexes(self, indexes: Sequence[str]) -> None:
        values = await self._brokerage.index_values(indexes)
        self._is_entitled = values is not None
        self._sink.confirm_indexes(values or (), is_entitled=self._is_entitled)

    async def _read_snapshots(self) -> bool:
        held = self._held()
        await self._read_figures("snapshots", self._snapshots, held, SNAPSHOTS_PER_MINUTE, self._ask_snapshots)
        return self._done("snapshots", held)

    async def _ask_snapshots(self, held: Sequence[str]) -> None:
        read: list[OptionSnapshot] = []
        try:
            await self._brokerage.option_snapshots(held, read.extend)
        except RestFault:
            if read:
                self._sink.set_option_snapshots(read)
            raise
        self._sink.set_option_snapshots(read)

    async def _read_opposites(self) -> bool:
        opposites = self._sink.opposite_contracts
        await self._read_figures("opposites", self._opposites, opposites, OPPOSITES_PER_MINUTE, self._ask_opposites)
        return self._done("opposites", opposites)

    async def _ask_opposites(self, opposites: Sequence[str]) -> None:
        read: list[Tick] = []
        try:
            await self._brokerage.opposite_quotes(opposites, read.extend)
        except RestFault:
            if read:
                self._sink.set_opposite_quotes(read)
            raise
        self._sink.set_opposite_quotes(read)

    async def _read_dividends(self) -> bool:
        stocks, today = self._sink.stocks, exchange_day(self._now_at())
        if self._dividends_on != today:
            self._dividends_on = today
            self._dividends.ask()
        if self._dividends.is_due(stocks, loop_time(), period=_A_DAY_SECONDS, pace=_PACE_SECONDS):
            await self._read("dividends", self._dividends, stocks, self._ask_dividends)
        return self._done("dividends", stocks)

    async def _ask_dividends(self, stocks: Sequence[str]) -> None:
        today = exchange_day(self._now_at())
        read = await self._brokerage.dividends(sorted(stocks), today - _DIVIDENDS_BACK, today + _DIVIDENDS_AHEAD)
        self._sink.set_dividends(read)

    async def _read_figures(
        self,
        what: str,
        due: ReadSchedule,
        symbols: Sequence[str],
        per_minute: int,
        read: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        pace = max(_PACE_SECONDS, _requests(symbols, SYMBOLS_PER_REQUEST) * 60.0 / per_minute)
        if due.is_due(symbols, loop_time(), period=max(self._refresh_seconds, pace), pace=pace):
            await self._read(what, due, symbols, read)

    async def _read(
        self, what: str, due: ReadSchedule, symbols: Sequence[str], read: Callable[[Sequence[str]], Awaitable[None]]
    ) -> bool:
        """Read now, and note how it ended. Return whether Alpaca answered."""
        is_answered = False
        due.begin(loop_time())
        with self._noting(what):
            await read(symbols)
            is_answered = True
        due.end(symbols, is_good=self._is_good(what))
        return is_answered

    def _done(self, what: str, symbols: Collection[str]) -> bool:
        """Return True, as `ReadSchedule` decides when to try again.

        Without symbols there is nothing to read, so an earlier failure no longer matters.
        """
        if not symbols:
            self._unneeded(what)
        return True


def _requests(symbols: Collection[str], most: int) -> int:
    return max(1, -(-len(symbols) // most))
