"""The market data API for options: latest quotes, snapshots, and corporate actions.

Symbols that were never quoted are left out of the answer, as at Alpaca.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.core import occ
from condord.simulator import snapshot_figures, wire
from condord.simulator.clock import NEW_YORK
from condord.simulator.market import SimulatedQuote
from condord.simulator.pricing import TheoreticalValue
from condord.simulator.responses import error_response, instant, json_response, page_of, symbols_parameter
from condord.simulator.simulation import Simulation

_MAX_SYMBOLS = 100
_ACTIONS = 100  # corporate actions in a page by default
_MAX_ACTIONS = 1000
_TRADE_DELAY_NS = 15 * 60 * 1_000_000_000
_DEEP_DELTA = 0.985


class MarketApi:
    """The routes under `/v1beta1` and `/v1`; `now` returns seconds of the loop clock."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/v1beta1/options/quotes/latest", self._latest),
            Route("/v1beta1/options/snapshots", self._snapshots),
            Route("/v1/corporate-actions", self._corporate_actions),
        ]

    async def _latest(self, request: Request) -> Response:
        return self._refusal(request) or json_response({"quotes": {
            quote.symbol: quote_json(quote) for quote in self._quotes(request)
        }})  # fmt: skip

    async def _snapshots(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        since = instant(request.query_params.get("updated_since"))
        since_ns = int(since.timestamp() * 1e9) if since else 0
        quotes = [quote for quote in self._quotes(request) if quote.at_ns >= since_ns]
        snapshots = {quote.symbol: self._snapshot(quote) for quote in quotes}
        return json_response({"snapshots": snapshots, "next_page_token": None})

    async def _corporate_actions(self, request: Request) -> Response:
        query = request.query_params
        symbols, kinds = symbols_parameter(request), {kind for kind in query.get("types", "").split(",") if kind}
        matching = [
            (kind, row)
            for kind, rows in self._simulation.non_trade_events.actions.items()
            if not kinds or kind.removesuffix("s") in kinds
            for row in sorted(rows, key=lambda row: str(row["process_date"]))
            if _matches(row, symbols, query.get("start"), query.get("end"))
        ]
        page, token = page_of(request, matching, _ACTIONS, _MAX_ACTIONS)
        actions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind, row in page:
            actions[kind].append(row)
        return json_response({"corporate_actions": actions, "next_page_token": token})

    def _refusal(self, request: Request) -> Response | None:
        feed = request.query_params.get("feed", "indicative")
        if feed not in {"indicative", "opra"}:
            return error_response(400, f"invalid feed: {feed}")
        if feed == "opra" and not self._simulation.entitlements.has_opra:
            return error_response(403, "OPRA agreement is not signed")
        count = len(symbols_parameter(request))
        if count == 0:
            return error_response(400, "symbols is required")
        return error_response(400, f"too many symbols: {count} (max 100)") if count > _MAX_SYMBOLS else None

    def _quotes(self, request: Request) -> list[SimulatedQuote]:
        latest = self._simulation.market.latest
        return [quote for symbol in sorted(symbols_parameter(request)) if (quote := latest(symbol)) is not None]

    def _snapshot(self, quote: SimulatedQuote) -> dict[str, Any]:
        trade_price = round(max(0.01, self._simulation.market.theoretical_value(quote.symbol).price), 2)
        snapshot: dict[str, Any] = {
            "latestQuote": quote_json(quote),
            "latestTrade": {
                "c": "a",
                "p": trade_price,
                "s": 1,
                "t": wire.instant_ns(quote.at_ns - _TRADE_DELAY_NS),
                "x": quote.ask_exchange,
            },
        }
        figures = self._figures(quote)
        if figures is not None:
            snapshot["impliedVolatility"] = round(figures.volatility, 4)
            snapshot["greeks"] = {
                greek: round(getattr(figures, greek), 4) for greek in ("delta", "gamma", "rho", "theta", "vega")
            }
        return snapshot

    def _figures(self, quote: SimulatedQuote) -> TheoreticalValue | None:
        """Alpaca's figures; it omits them without a bid or an ask, on the last day, and deep in the money.

        It needs a trade of the underlying, which an index does not have.
        """
        contract, market = occ.parse(quote.symbol), self._simulation.market
        root = market.root_of(contract.root)
        spot = market.spot(root.underlying) if root and not root.is_index else None
        if spot is None or not quote.bid or not quote.ask:
            return None
        today = self._simulation.at(self._now()).astimezone(NEW_YORK).date()
        days = (contract.expiration - today).days
        figures = snapshot_figures.figures(contract.right, spot, contract.strike_mills / 1000, days, quote.mid)
        return figures if figures is not None and abs(figures.delta) < _DEEP_DELTA else None


def _matches(row: dict[str, Any], symbols: Collection[str], start: str | None, end: str | None) -> bool:
    """Whether a corporate action concerns one of `symbols` (empty for all) and is processed between two dates."""
    day = str(row["process_date"])
    return (not symbols or row["symbol"] in symbols) and (start or day) <= day <= (end or day)


def quote_json(quote: SimulatedQuote) -> dict[str, Any]:
    """A quote as the REST API shows it."""
    return {
        "ap": quote.ask or 0,
        "as": quote.ask_size,
        "ax": quote.ask_exchange,
        "bp": quote.bid or 0,
        "bs": quote.bid_size,
        "bx": quote.bid_exchange,
        "c": quote.condition,
        "t": wire.instant_ns(quote.at_ns),
    }
