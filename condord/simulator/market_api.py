"""Decides the answers of the option data API: latest quotes and snapshots.

Rules: at most 100 symbols a request; what was never quoted is absent; `feed=opra` needs the agreement; greeks are
absent on the last day and deep in the money; a last trade is fifteen minutes old.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.core import occ
from condord.simulator.answers import error, json, symbols_of
from condord.simulator.market import Quote
from condord.simulator.simulation import Simulation

_MOST_SYMBOLS = 100
_TRADE_DELAY_NS = 15 * 60 * 1_000_000_000
_DEEP_DELTA = 0.985


class MarketApi:
    """The routes under `/v1beta1`; `now` is a clock that gives seconds of the loop."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/v1beta1/options/quotes/latest", self._latest),
            Route("/v1beta1/options/snapshots", self._snapshots),
        ]

    async def _latest(self, request: Request) -> Response:
        return self._refusal(request) or json({"quotes": {
            quote.symbol: quote_answer(quote) for quote in self._quotes(request)
        }})  # fmt: skip

    async def _snapshots(self, request: Request) -> Response:
        return self._refusal(request) or json({
            "snapshots": {quote.symbol: self._snapshot(quote) for quote in self._quotes(request)},
            "next_page_token": None,
        })  # fmt: skip

    def _refusal(self, request: Request) -> Response | None:
        feed = request.query_params.get("feed", "indicative")
        if feed not in {"indicative", "opra"}:
            return error(400, f"invalid feed: {feed}")
        if feed == "opra" and not self._simulation.terms.has_opra:
            return error(403, "OPRA agreement is not signed")
        count = len(symbols_of(request))
        if count == 0:
            return error(400, "symbols is required")
        return error(400, f"too many symbols: {count} (max 100)") if count > _MOST_SYMBOLS else None

    def _quotes(self, request: Request) -> list[Quote]:
        latest = self._simulation.market.latest
        return [quote for symbol in sorted(symbols_of(request)) if (quote := latest(symbol)) is not None]

    def _snapshot(self, quote: Quote) -> dict[str, Any]:
        valuation = self._simulation.market.valuation(quote.symbol)
        trade_price = round(max(0.01, valuation.price), 2)
        answer: dict[str, Any] = {
            "latestQuote": quote_answer(quote),
            "latestTrade": {
                "c": "a",
                "p": trade_price,
                "s": 1,
                "t": instant_ns(quote.at_ns - _TRADE_DELAY_NS),
                "x": quote.ask_exchange,
            },
        }
        today = self._simulation.at(self._now()).date()
        if occ.parse(quote.symbol).expiration > today and abs(valuation.delta) < _DEEP_DELTA:
            answer["impliedVolatility"] = round(valuation.volatility, 4)
            answer["greeks"] = {
                greek: round(getattr(valuation, greek), 4) for greek in ("delta", "gamma", "rho", "theta", "vega")
            }
        return answer


def quote_answer(quote: Quote) -> dict[str, Any]:
    """One quote as REST gives it."""
    return {
        "ap": quote.ask or 0,
        "as": quote.ask_size,
        "ax": quote.ask_exchange,
        "bp": quote.bid or 0,
        "bs": quote.bid_size,
        "bx": quote.bid_exchange,
        "c": quote.condition,
        "t": instant_ns(quote.at_ns),
    }


def instant_ns(at_ns: int) -> str:
    """An instant in nanoseconds as RFC 3339, without trailing zeros: 0 to 9 fractional digits."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
