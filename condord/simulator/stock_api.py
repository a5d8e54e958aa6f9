"""The market data API for underlyings: snapshots of stocks, and values of indexes.

Symbols that the market does not know are left out of the answer, as at Alpaca.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.simulator import stock_wire, wire
from condord.simulator.contracts import INDEXES
from condord.simulator.responses import error_response, json_response, symbols_parameter
from condord.simulator.simulation import Simulation
from condord.simulator.stock_session import FEEDS


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
