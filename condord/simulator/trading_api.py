"""Decides the answers of the trading API: account, positions, clock, calendar, orders, contracts, activities.

Rules: the shapes are Alpaca's; lists are filtered and paged as there; what is not there is 404 with a code.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.core import occ
from condord.core.occ import OptionSymbol
from condord.errors import SymbolError
from condord.simulator import names
from condord.simulator.answers import BadRequest, absent, flag, integer, json, symbols_of
from condord.simulator.clock import NEW_YORK
from condord.simulator.distortion import skew_seconds
from condord.simulator.orders import number
from condord.simulator.simulation import Simulation

_T = TypeVar("_T")
_CLOSED = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
_CALENDAR_DAYS = 365
_MOST_CONTRACTS = 10_000


class TradingApi:
    """The routes under `/v2`; `now` is a clock that gives seconds of the loop."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route, read-only as the daemon is."""
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
        return json(self._simulation.account.answer())

    async def _positions(self, request: Request) -> Response:
        now, path, faults = self._now(), request.url.path, self._simulation.faults
        rows = self._simulation.account.positions()
        if rows and faults.strike("rest-unknown-asset-class", now, path=path) is not None:
            rows.append(rows[0] | {"symbol": "912797LX3", "asset_class": "treasury", "exchange": "OPRA"})
        if rows and faults.strike("rest-null-market-value", now, path=path) is not None:
            nulls = ("market_value", "current_price", "unrealized_pl", "unrealized_plpc", "change_today")
            rows[0] |= dict.fromkeys(nulls)
        new_leg = faults.strike("position-new-leg", now, path=path)
        if new_leg is not None:
            self._simulation.add_new_leg(new_leg.get("symbol"))
        return json(rows)

    async def _position(self, request: Request) -> Response:
        row = self._simulation.account.position(request.path_params["symbol"])
        return absent("position does not exist") if row is None else json(row)

    async def _clock(self, _request: Request) -> Response:
        now = self._now()
        skew = dt.timedelta(seconds=skew_seconds(self._simulation.faults, now))
        return json(self._simulation.clock.answer(self._simulation.at(now) + skew))

    async def _calendar(self, request: Request) -> Response:
        today = self._simulation.at(self._now()).astimezone(NEW_YORK).date()
        start = _date(request, "start") or today
        end = _date(request, "end") or start + dt.timedelta(days=_CALENDAR_DAYS)
        return json(self._simulation.clock.calendar(start, min(end, start + dt.timedelta(days=366 * 5))))

    async def _orders(self, request: Request) -> Response:
        query = request.query_params
        status, limit = query.get("status", "open"), integer(request, "limit", 50, 500)
        if status not in {"open", "closed", "all"}:
            raise BadRequest(f"invalid status: {status}")
        wanted, after, until = symbols_of(request), _instant(query.get("after")), _instant(query.get("until"))
        found = [
            order
            for order in self._simulation.account.orders
            if (status == "all" or (order["status"] in _CLOSED) == (status == "closed"))
            and _is_between(str(order["submitted_at"]), after, until)
            and (not wanted or not wanted.isdisjoint(_order_symbols(order)))
        ]
        if query.get("direction", "desc") == "desc":
            found.reverse()
        page = found[:limit]
        return json(page if flag(request, "nested") else list(_flat(page)))

    async def _contracts(self, request: Request) -> Response:
        rows, token = _page(request, self._matching_contracts(request), 100, _MOST_CONTRACTS)
        answers = [self._contract_answer(symbol) for symbol in rows]
        if not flag(request, "show_deliverables"):
            for answer in answers:
                answer.pop("deliverables", None)
        return json({"option_contracts": answers, "next_page_token": token})

    async def _contract(self, request: Request) -> Response:
        wanted = request.path_params["symbol"]
        try:
            symbol = occ.parse(wanted)
        except SymbolError:
            return absent(f"option contract {wanted} not found")
        if self._simulation.market.latest(symbol.compact) is None:
            return absent(f"option contract {wanted} not found")
        return json(self._contract_answer(symbol))

    async def _activities(self, request: Request) -> Response:
        query = request.query_params
        kinds = request.path_params.get("kind") or query.get("activity_types") or ""
        wanted = {kind for kind in kinds.split(",") if kind}
        size = integer(request, "page_size", 100, 100)
        after, until = _instant(query.get("after")), _instant(query.get("until"))
        found = [
            row
            for row in self._simulation.account.activities
            if (not wanted or row["activity_type"] in wanted)
            and _is_between(_activity_instant(row), after, until)
            and (not query.get("date") or _activity_instant(row).startswith(query["date"]))
        ]
        if query.get("direction", "desc") == "desc":
            found.reverse()
        token = query.get("page_token")
        places = [place for place, row in enumerate(found) if row["id"] == token]
        start = places[0] + 1 if places else 0
        return json(found[start : start + size])

    def _matching_contracts(self, request: Request) -> list[OptionSymbol]:
        query, market = request.query_params, self._simulation.market
        underlyings = symbols_of(request, "underlying_symbols")
        tests: list[Callable[[OptionSymbol], bool]] = []
        for edge, key in (("", "expiration_date"), ("gte", "expiration_date_gte"), ("lte", "expiration_date_lte")):
            day = _date(request, key)
            if day is not None:
                tests.append(lambda symbol, day=day, edge=edge: _compare(symbol.expiration, day, edge))  # type: ignore[misc]
        for edge in ("gte", "lte"):
            strike = query.get(f"strike_price_{edge}")
            if strike:
                mills = round(_float(strike) * 1000)
                tests.append(lambda symbol, mills=mills, edge=edge: _compare(symbol.strike_mills, mills, edge))  # type: ignore[misc]
        if query.get("type"):
            tests.append(lambda symbol: symbol.right == query["type"])
        if query.get("root_symbol"):
            tests.append(lambda symbol: symbol.root == query["root_symbol"])
        return [
            symbol
            for name in market.names()
            if not underlyings or name.underlying in underlyings
            for symbol in names.listed_symbols(name, market.listed)
            if all(test(symbol) for test in tests)
        ]

    def _contract_answer(self, symbol: OptionSymbol) -> dict[str, Any]:
        market = self._simulation.market
        yesterday = self._simulation.at(self._now()).date() - dt.timedelta(days=1)
        quote = market.latest(symbol.compact)
        price = number(quote.mid) if quote else "0"
        return names.contract_answer(symbol, market.name_of(symbol.root), price, yesterday)


def _page(request: Request, rows: Sequence[_T], usual: int, most: int) -> tuple[Sequence[_T], str | None]:
    token = request.query_params.get("page_token")
    try:
        start = int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError as error:
        raise BadRequest("invalid page_token") from error
    end = start + integer(request, "limit", usual, most)
    return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None


def _flat(orders: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for order in orders:
        yield order | {"legs": None}
        yield from order["legs"] or ()


def _order_symbols(order: dict[str, Any]) -> set[str]:
    return {str(each["symbol"]) for each in [order, *(order["legs"] or ())]}


def _activity_instant(row: dict[str, Any]) -> str:
    return str(row.get("transaction_time") or row["created_at"])


def _is_between(instant: str, after: dt.datetime | None, until: dt.datetime | None) -> bool:
    at = dt.datetime.fromisoformat(instant)
    return not ((after and at <= after) or (until and at >= until))


def _instant(text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        at = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest(f"invalid time: {text}") from error
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def _date(request: Request, key: str) -> dt.date | None:
    at = _instant(request.query_params.get(key))
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
