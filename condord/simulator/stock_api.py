"""The market data API for underlyings: snapshots and daily bars of stocks, and values of indexes.

Symbols that the market does not know are left out of the answer, as at Alpaca.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.simulator import stock_wire, wire
from condord.simulator.clock import NEW_YORK
from condord.simulator.contracts import INDEXES
from condord.simulator.responses import error_response, exchange_instant, json_response, page_of, symbols_parameter
from condord.simulator.simulation import Simulation
from condord.simulator.stock_session import FEEDS
from condord.simulator.stocks import StockBar

_BARS, _MAX_BARS = 1000, 10_000
_DAILY = frozenset({"1Day", "1D"})
_ADJUSTMENTS = frozenset({"raw", "split", "dividend", "spin-off", "all"})
_RECENT = dt.timedelta(minutes=15)
_DAY = dt.timedelta(days=1)
_DAYS_TO_A_CLOSE = dt.timedelta(days=6)


class StockApi:
    """The routes of underlyings; `now` returns seconds of the loop clock."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/v2/stocks/snapshots", self._snapshots),
            Route("/v2/stocks/bars", self._bars),
            Route("/v2/stocks/{symbol}/bars", self._bars_of_one),
            Route("/v1beta1/indices/latest/values", self._index_values),
        ]

    async def _snapshots(self, request: Request) -> Response:
        feed, symbols = request.query_params.get("feed", "iex"), symbols_parameter(request)
        if feed not in FEEDS:
            return error_response(400, f"invalid feed: {feed}")
        if feed == "sip" and not self._simulation.entitlements.has_sip:
            return error_response(403, "subscription does not permit querying recent SIP data")
        if not symbols:
            return error_response(400, "symbols is required")
        found = {symbol: self._snapshot(symbol) for symbol in sorted(symbols)}
        return json_response({symbol: snapshot for symbol, snapshot in found.items() if snapshot is not None})

    def _snapshot(self, symbol: str) -> dict[str, Any] | None:
        stocks = self._simulation.stocks
        quote, trade, bars = stocks.quote(symbol), stocks.trade(symbol), stocks.bars(symbol)
        if quote is None or trade is None or bars is None:
            return None
        minute, session, before = bars
        return {
            "latestTrade": stock_wire.trade_fields(trade),
            "latestQuote": stock_wire.quote_fields(quote),
            "minuteBar": stock_wire.bar_fields(minute),
            "dailyBar": stock_wire.bar_fields(session),
            "prevDailyBar": stock_wire.bar_fields(before),
        }

    async def _bars(self, request: Request) -> Response:
        symbols = symbols_parameter(request)
        if not symbols:
            return error_response(400, "symbols is required")
        refusal = self._refused_bars(request)
        if refusal is not None:
            return refusal
        page, token = page_of(request, self._day_bars(symbols, request), _BARS, _MAX_BARS)
        bars: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for symbol, row in page:
            bars[symbol].append(row)
        return json_response({"bars": bars, "next_page_token": token})

    async def _bars_of_one(self, request: Request) -> Response:
        refusal = self._refused_bars(request)
        if refusal is not None:
            return refusal
        symbol = request.path_params["symbol"]
        page, token = page_of(request, self._day_bars({symbol}, request), _BARS, _MAX_BARS)
        bars = [row for _, row in page]
        return json_response({"bars": bars or None, "symbol": symbol, "next_page_token": token})

    def _refused_bars(self, request: Request) -> Response | None:
        query = request.query_params
        feed, timeframe = query.get("feed", "iex"), query.get("timeframe", "")
        if feed not in FEEDS:
            return error_response(400, f"invalid feed: {feed}")
        if timeframe not in _DAILY:
            return error_response(400, f"invalid timeframe: {timeframe}; the simulator has bars of days, 1Day")
        adjustments = query.get("adjustment", "raw")
        if not set(adjustments.split(",")) <= _ADJUSTMENTS:
            return error_response(400, f"invalid adjustment: {adjustments}")
        if query.get("sort", "asc") not in ("asc", "desc"):
            return error_response(400, f"invalid sort: {query['sort']}")
        until = exchange_instant(query.get("end")) or self._at()
        if feed == "sip" and not self._simulation.entitlements.has_sip and self._at() - until < _RECENT:
            return error_response(403, "subscription does not permit querying recent SIP data")
        return None

    def _day_bars(self, symbols: Collection[str], request: Request) -> list[tuple[str, dict[str, Any]]]:
        """The bars of days as (symbol, row), by symbol and then by day."""
        query, today = request.query_params, self._at().astimezone(NEW_YORK).date()
        start = _first_day(exchange_instant(query.get("start")), today)
        end = (exchange_instant(query.get("end")) or self._at()).astimezone(NEW_YORK).date()
        is_adjusted = not {"dividend", "all"}.isdisjoint(query.get("adjustment", "raw").split(","))
        rows = []
        for symbol in sorted(symbols):
            bars = self._simulation.stocks.day_bars(symbol, start, end) or []
            if is_adjusted:
                bars = self._adjusted(symbol, bars)
            rows += [(symbol, stock_wire.bar_fields(bar)) for bar in bars[:: -1 if query.get("sort") == "desc" else 1]]
        return rows

    def _adjusted(self, symbol: str, bars: Sequence[StockBar]) -> list[StockBar]:
        """`bars` with the later dividends taken out of their prices, as a share of the close before each ex-date."""
        dividends = self._simulation.market.underlyings.dividends.get(symbol, ())
        last_day = self._simulation.market.underlyings.session_day
        adjusted = []
        for bar in bars:
            factor = 1.0
            for ex_date, amount in dividends:
                if bar.day < ex_date <= last_day:
                    before = self._simulation.stocks.day_bars(symbol, ex_date - _DAYS_TO_A_CLOSE, ex_date - _DAY) or []
                    factor *= 1 - float(amount) / before[-1].close if before else 1.0
            adjusted.append(bar.scaled(factor))
        return adjusted

    def _at(self) -> dt.datetime:
        return self._simulation.at(self._now())

    async def _index_values(self, request: Request) -> Response:
        if not self._simulation.entitlements.has_index_values:
            return error_response(403, "insufficient grants")
        symbols = symbols_parameter(request)
        if not symbols:
            return error_response(400, "symbols is required")
        at = wire.instant_ns(int(self._simulation.market.moved_at * 1e9))
        values = {symbol: self._simulation.market.spot(symbol) for symbol in sorted(symbols & INDEXES)}
        return json_response(
            {"values": {symbol: {"t": at, "v": value} for symbol, value in values.items() if value is not None}}
        )


def _first_day(start: dt.datetime | None, today: dt.date) -> dt.date:
    """The first day whose bar is not before `start`; a bar is dated at midnight in New York."""
    if start is None:
        return today
    local = start.astimezone(NEW_YORK)
    return local.date() + (_DAY if local.time() > dt.time() else dt.timedelta())
