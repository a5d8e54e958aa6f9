"""The trading API: account, positions, clock, calendar, orders, option contracts and activities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.core import occ
from condord.core.occ import OptionSymbol
from condord.errors import SymbolError
from condord.simulator import contracts
from condord.simulator.clock import NEW_YORK
from condord.simulator.orders import number
from condord.simulator.quote_encoder import skew_seconds
from condord.simulator.responses import (
    BadRequest,
    flag_parameter,
    instant,
    integer_parameter,
    json_response,
    not_found,
    page_of,
    symbols_parameter,
)
from condord.simulator.simulation import Simulation

_CLOSED = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
_CALENDAR_DAYS = 365
_SELDOM_TRADED = 0.1  # dollars per share
_MAX_CONTRACTS = 10_000
_ACTIVITIES = 100  # in a page, at most


class TradingApi:
    """The routes under `/v2`; `now` returns seconds of the loop clock."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route; all of them are read-only."""
        return [
            Route("/v2/account", self._account),
            Route("/v2/account/activities", self._activities),
            Route("/v2/account/activities/{kind}", self._activities),
            Route("/v2/positions", self._positions),
            Route("/v2/positions/{symbol}", self._position),
            Route("/v2/clock", self._clock),
            Route("/v2/calendar", self._calendar),
            Route("/v2/orders", self._orders),
            Route("/v2/options/contracts", self._contracts),
            Route("/v2/options/contracts/{symbol}", self._contract),
        ]

    async def _account(self, _request: Request) -> Response:
        return json_response(self._simulation.account.account_json())

    async def _positions(self, request: Request) -> Response:
        now, path, faults = self._now(), request.url.path, self._simulation.faults
        rows = self._simulation.account.positions()
        if rows and faults.trigger("rest-unknown-asset-class", now, path=path) is not None:
            rows.append(rows[0] | {"symbol": "912797LX3", "asset_class": "treasury", "exchange": "OPRA"})
        if rows and faults.trigger("rest-unknown-option-class", now, path=path) is not None:
            rows[0] |= {"asset_class": "us_exotic"}
        if rows and faults.trigger("rest-null-market-value", now, path=path) is not None:
            nulls = ("market_value", "current_price", "unrealized_pl", "unrealized_plpc", "change_today")
            rows[0] |= dict.fromkeys(nulls)
        unclosed = faults.trigger("rest-null-lastday-price", now, path=path)
        if unclosed is not None:
            _remove_closes(rows, unclosed.get("symbol"))
        new_leg = faults.trigger("position-new-leg", now, path=path)
        if new_leg is not None:
            self._simulation.add_new_leg(new_leg.get("symbol"))
        return json_response(rows)

    async def _position(self, request: Request) -> Response:
        row = self._simulation.account.position(request.path_params["symbol"])
        return not_found("position does not exist") if row is None else json_response(row)

    async def _clock(self, _request: Request) -> Response:
        now = self._now()
        skew = dt.timedelta(seconds=skew_seconds(self._simulation.faults, now))
        return json_response(self._simulation.clock.clock_json(self._simulation.at(now) + skew))

    async def _calendar(self, request: Request) -> Response:
        today = self._simulation.at(self._now()).astimezone(NEW_YORK).date()
        start = _date(request, "start") or today
        end = _date(request, "end") or start + dt.timedelta(days=_CALENDAR_DAYS)
        return json_response(self._simulation.clock.calendar(start, min(end, start + dt.timedelta(days=366 * 5))))

    async def _orders(self, request: Request) -> Response:
        query = request.query_params
        status, limit = query.get("status", "open"), integer_parameter(request, "limit", 50, 500)
        if status not in {"open", "closed", "all"}:
            raise BadRequest(f"invalid status: {status}")
        symbols, after, until = symbols_parameter(request), instant(query.get("after")), instant(query.get("until"))
        matching = [
            order
            for order in self._simulation.account.orders
            if (status == "all" or (order["status"] in _CLOSED) == (status == "closed"))
            and _is_between(str(order["submitted_at"]), after, until)
            and (not symbols or not symbols.isdisjoint(_order_symbols(order)))
        ]
        if query.get("direction", "desc") == "desc":
            matching.reverse()
        page = matching[:limit]
        return json_response(page if flag_parameter(request, "nested") else list(_flat(page)))

    async def _contracts(self, request: Request) -> Response:
        symbols, token = page_of(request, self._matching_contracts(request), 100, _MAX_CONTRACTS)
        rows = [self._contract_json(symbol) for symbol in symbols]
        if not flag_parameter(request, "show_deliverables"):
            for row in rows:
                row.pop("deliverables")
        return json_response({"option_contracts": rows, "next_page_token": token})

    async def _contract(self, request: Request) -> Response:
        text = request.path_params["symbol"]
        try:
            symbol = occ.parse(text)
        except SymbolError:
            return not_found(f"option contract {text} not found")
        if self._simulation.market.latest(symbol.compact) is None:
            return not_found(f"option contract {text} not found")
        row = self._contract_json(symbol)
        if not flag_parameter(request, "show_deliverables"):
            row.pop("deliverables")
        return json_response(row)

    async def _activities(self, request: Request) -> Response:
        query = request.query_params
        kinds = request.path_params.get("kind") or query.get("activity_types") or ""
        types = {kind for kind in kinds.split(",") if kind}
        after, until, day = instant(query.get("after")), instant(query.get("until")), query.get("date")
        direction, token = query.get("direction", "desc"), query.get("page_token")
        if direction not in {"asc", "desc"}:
            raise BadRequest(f"invalid direction: {direction}")
        if day and (after or until):
            raise BadRequest("date cannot be combined with after or until")
        seen_at = self._simulation.at(self._now())
        matching = [
            row
            for row in sorted(self._simulation.account.activities, key=lambda row: str(row["id"]))
            if (not types or row["activity_type"] in types)
            and _is_category(row, query.get("category"))
            and dt.datetime.fromisoformat(_activity_instant(row)) <= seen_at
            and _is_between(_activity_instant(row), after, until)
            and (not day or _activity_day(row) == day)
        ]
        if direction == "desc":
            matching.reverse()
        if token:
            matching = [row for row in matching if (row["id"] < token if direction == "desc" else row["id"] > token)]
        # All of one day come at once, unless a size is given.
        size = integer_parameter(request, "page_size", max(1, len(matching)) if day else _ACTIVITIES, _ACTIVITIES)
        return json_response(matching[:size])

    def _matching_contracts(self, request: Request) -> list[OptionSymbol]:
        query, market = request.query_params, self._simulation.market
        underlyings = symbols_parameter(request, "underlying_symbols")
        conditions: list[Callable[[OptionSymbol], bool]] = []
        for edge, key in (("", "expiration_date"), ("gte", "expiration_date_gte"), ("lte", "expiration_date_lte")):
            day = _date(request, key)
            if day is not None:
                conditions.append(lambda symbol, day=day, edge=edge: _compare(symbol.expiration, day, edge))  # type: ignore[misc]
        for edge in ("gte", "lte"):
            strike = query.get(f"strike_price_{edge}")
            if strike:
                mills = round(_float(strike) * 1000)
                conditions.append(lambda symbol, mills=mills, edge=edge: _compare(symbol.strike_mills, mills, edge))  # type: ignore[misc]
        if query.get("type"):
            conditions.append(lambda symbol: symbol.right == query["type"])
        if query.get("root_symbol"):
            conditions.append(lambda symbol: symbol.root == query["root_symbol"])
        return [
            symbol
            for root in market.roots()
            if not underlyings or root.underlying in underlyings
            for symbol in contracts.listed_symbols(root, market.listed)
            if all(condition(symbol) for condition in conditions)
        ]

    def _contract_json(self, symbol: OptionSymbol) -> dict[str, Any]:
        market = self._simulation.market
        yesterday = self._simulation.at(self._now()).date() - dt.timedelta(days=1)
        quote = market.latest(symbol.compact)
        price = number(quote.mid) if quote else "0"
        events = self._simulation.non_trade_events
        row = contracts.contract_json(symbol, market.root_of(symbol.root), price, yesterday)
        underlying = events.underlying(symbol.root)
        return row | {
            "underlying_symbol": underlying,
            "underlying_asset_id": contracts.stable_uuid("asset", underlying),
            "deliverables": contracts.deliverables_json(events.deliverables(symbol.root)),
        }


def _remove_closes(rows: Iterable[dict[str, Any]], symbol: str | None) -> None:
    """Set the values that need yesterday's close to null in the row of `symbol`, or of the cheapest contracts."""
    nulls = ("lastday_price", "change_today", "unrealized_intraday_pl", "unrealized_intraday_plpc")
    for row in rows:
        is_chosen = row["symbol"] == symbol if symbol else float(row["current_price"]) < _SELDOM_TRADED
        if is_chosen:
            row.update(dict.fromkeys(nulls))


def _flat(orders: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for order in orders:
        yield order | {"legs": None}
        yield from order["legs"] or ()


def _order_symbols(order: dict[str, Any]) -> set[str]:
    return {str(leg["symbol"]) for leg in [order, *(order["legs"] or ())]}


def _is_category(row: dict[str, Any], category: str | None) -> bool:
    """Whether an activity is a `trade_activity` or a `non_trade_activity`, as `category`, if any, requires."""
    return not category or (row["activity_type"] == "FILL") == (category == "trade_activity")


def _activity_instant(row: dict[str, Any]) -> str:
    return str(row.get("transaction_time") or row["created_at"])


def _activity_day(row: dict[str, Any]) -> str:
    """The date of an activity; a trade's is in New York."""
    if "date" in row:
        return str(row["date"])
    return f"{dt.datetime.fromisoformat(row['transaction_time']).astimezone(NEW_YORK):%Y-%m-%d}"


def _is_between(text: str, after: dt.datetime | None, until: dt.datetime | None) -> bool:
    at = dt.datetime.fromisoformat(text)
    return not ((after and at <= after) or (until and at >= until))


def _date(request: Request, key: str) -> dt.date | None:
    at = instant(request.query_params.get(key))
    return at.date() if at else None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadRequest(f"invalid number: {text}") from error


def _compare(value: Any, bound: Any, edge: str) -> bool:  # noqa: ANN401 - dates and integers alike
    if edge == "gte":
        return bool(value >= bound)
    return bool(value <= bound) if edge == "lte" else bool(value == bound)
