"""The routes under `/simulator`, which inspect and change the running simulator; they need no keys.

An invalid request is answered 400 and changes nothing. A change is complete, and its messages are sent, before it is
answered.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.core import occ
from condord.errors import NotFound, SymbolError
from condord.simulator import past_points
from condord.simulator.clock import Opening
from condord.simulator.faults import FAULTS
from condord.simulator.market import SimulatedQuote
from condord.simulator.non_trade_events import EventKind, NonTradeEvent, next_morning
from condord.simulator.responses import BadRequest, decoded_body, json_response
from condord.simulator.simulation import Simulation

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]
_GRANTS = {"opra": "has_opra", "sip": "has_sip", "index_values": "has_index_values"}
_ARGS = ("symbol", "path", "stream", "seconds_each", "skew_seconds", "limit", "location")


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Inject `fault` to trigger `count` times, for `seconds`; the other fields are arguments of the fault."""

    fault: str
    count: Annotated[int, msgspec.Meta(gt=0)] | None = None
    seconds: _Positive | None = None
    symbol: str | None = None
    path: str | None = None
    stream: Literal["option", "stock", "trading", "all"] | None = None
    seconds_each: _NotNegative | None = None
    skew_seconds: float | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    location: Annotated[str, msgspec.Meta(pattern=r"\A[!-~]+\Z")] | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The arguments of the fault that are set."""
        fields = msgspec.structs.asdict(self)
        return {key: fields[key] for key in _ARGS if fields[key] is not None}


class PositionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set the position in `symbol` to `qty` (signed, 0 removes it), entered at `avg_entry_price` per share."""

    symbol: Annotated[str, msgspec.Meta(min_length=1)]
    qty: int
    avg_entry_price: Decimal | None = None


class PositionChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes that are made together; with `fill`, by one order whose update is sent on the trading stream.

    `ordered` is the quantity of an order that is filled only in part. With `replaces`, the order replaces the last one.
    """

    positions: list[PositionChange]
    fill: bool = False
    ordered: Annotated[int, msgspec.Meta(gt=0)] | None = None
    replaces: bool = False


class PushedQuote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"as_": "as"}):
    """A quote to push; a bid of 0 means that there is none."""

    symbol: str
    bp: _NotNegative
    ap: _NotNegative
    bs: int = 1
    as_: int = 1


class PushedQuotes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quotes to push together; with `pin`, their symbols stop moving until a request with `release`."""

    quotes: list[PushedQuote] = []
    pin: bool = False
    release: bool = False


class MarketChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of the market; fields that are missing change nothing.

    `open` opens the market at any hour or closes it; `opening` can also make it keep the exchange's hours. `at` sets
    its clock forward. `spots` sets prices of underlyings, which move on unless `hold` is set; `release` lets those that
    are held move again, before new ones are set.
    """

    frozen: bool | None = None
    open: bool | None = None
    opening: Opening | None = None
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    rate: _NotNegative | None = None
    speed: _Positive | None = None
    spots: dict[str, _Positive] = {}
    hold: bool = False
    release: bool = False


class Grants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entitlements of the account from now on; fields that are missing change nothing.

    A stream that is open keeps what it had when it was opened.
    """

    opra: bool | None = None
    sip: bool | None = None
    index_values: bool | None = None
    symbol_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stock_symbol_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None


class OptionEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event for `qty` contracts of `symbol` (null for all); by default its activity is visible the next morning.

    With `contracts` or `shares` false, that part is left out: Alpaca may book the parts at different times.
    """

    event: EventKind
    symbol: str
    qty: Annotated[int, msgspec.Meta(gt=0)] | None = None
    contracts: bool = True
    shares: bool = True
    activity_after_seconds: _NotNegative | None = None


class StockSplit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give `new` shares of `symbol` for every `old`."""

    symbol: str
    new: Annotated[int, msgspec.Meta(gt=0)]
    old: Annotated[int, msgspec.Meta(gt=0)] = 1
    activity_after_seconds: _NotNegative | None = None


class DeliverableChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make every contract of `root` deliver these shares, by stock."""

    root: str
    deliverables: Annotated[dict[str, int], msgspec.Meta(min_length=1)]


class Announcement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Announce a corporate action; the fields are Alpaca's."""

    kind: Literal["cash_dividend", "forward_split", "reverse_split"]
    symbol: str
    ex_date: dt.date
    rate: float | None = None
    new_rate: float | None = None
    old_rate: float | None = None


class AdminApi:
    """The routes under `/simulator`; `now` returns seconds of the loop clock."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/simulator/state", self._state),
            Route("/simulator/past", self._past),
            Route("/simulator/faults", self._faults, methods=["GET"]),
            Route("/simulator/faults", self._activate, methods=["POST"]),
            Route("/simulator/faults", self._clear, methods=["DELETE"]),
            Route("/simulator/positions", self._positions, methods=["POST"]),
            Route("/simulator/quotes", self._quotes, methods=["POST"]),
            Route("/simulator/market", self._market, methods=["POST"]),
            Route("/simulator/entitlements", self._grant, methods=["POST"]),
            Route("/simulator/events", self._event, methods=["POST"]),
            Route("/simulator/splits", self._split, methods=["POST"]),
            Route("/simulator/deliverables", self._deliver, methods=["POST"]),
            Route("/simulator/corporate-actions", self._announce, methods=["POST"]),
        ]

    async def _state(self, _request: Request) -> Response:
        simulation, now = self._simulation, self._now()
        return json_response(
            {
                "scenario": simulation.scenario.name,
                "at": simulation.at(now),
                "market": self._market_state(now),
                "spots": {name: simulation.market.spot(name) for name in simulation.market.underlyings.names},
                "streams": simulation.streams.state(),
                "quotesSent": simulation.streams.quotes_sent,
                "stockMessagesSent": simulation.streams.stock_messages_sent,
                "updatesSent": simulation.streams.updates_sent,
                "requests": dict(simulation.requests),
                "faults": self._active(now),
            }
        )

    async def _past(self, _request: Request) -> Response:
        simulation = self._simulation
        condors = past_points.points_of(simulation.account, simulation.path, simulation.started_at)
        return json_response({"accountId": simulation.account.id, "condors": condors})

    async def _faults(self, _request: Request) -> Response:
        return json_response(
            {"known": {fault.name: fault.description for fault in FAULTS}, "active": self._active(self._now())}
        )

    async def _activate(self, request: Request) -> Response:
        injected, now = await decoded_body(request, FaultRequest), self._now()
        try:
            self._simulation.inject(
                injected.fault, now, count=injected.count, seconds=injected.seconds, **injected.args
            )
        except NotFound as unknown:
            raise BadRequest(f"{unknown}. {unknown.hint}") from unknown
        return json_response({"active": self._active(now)})

    async def _clear(self, _request: Request) -> Response:
        self._simulation.faults.clear()
        return json_response({"active": []})

    async def _positions(self, request: Request) -> Response:
        changes = await decoded_body(request, PositionChanges | list[PositionChange])
        if isinstance(changes, list):
            changes = PositionChanges(positions=changes)
        prices = [change.avg_entry_price for change in changes.positions]
        if not all(price is None or price.is_finite() for price in prices):
            raise BadRequest("avg_entry_price must be a number or null")
        account = self._simulation.account
        if changes.fill:
            held = {symbol: holding.quantity for symbol, holding in account.holdings.items()}
            trades = [
                (change.symbol, change.qty - held.get(change.symbol, 0), change.avg_entry_price)
                for change in changes.positions
                if change.qty != held.get(change.symbol, 0)
            ]
            if trades:
                self._simulation.fill(trades, self._now(), ordered=changes.ordered, replaces=changes.replaces)
        else:
            for change in changes.positions:
                account.set_position(change.symbol, change.qty, change.avg_entry_price)
        return json_response(account.positions())

    async def _quotes(self, request: Request) -> Response:
        pushed = await decoded_body(request, PushedQuotes | list[PushedQuote])
        if isinstance(pushed, list):
            pushed = PushedQuotes(quotes=pushed)
        simulation, now = self._simulation, self._now()
        if pushed.release:
            simulation.release()
        at_ns = int(simulation.at(now).timestamp() * 1e9)
        quotes = [_quote(quote, at_ns + index) for index, quote in enumerate(pushed.quotes)]
        simulation.push(quotes, now, hold=pushed.pin)
        return json_response({"pushed": len(pushed.quotes)})

    async def _market(self, request: Request) -> Response:
        change = await decoded_body(request, MarketChange)
        simulation, now = self._simulation, self._now()
        unknown = [name for name in change.spots if simulation.market.spot(name) is None]
        if unknown:
            raise BadRequest(f"there is no underlying {unknown[0]}")
        if change.at is not None:
            if change.at < simulation.at(now):
                raise BadRequest("at is in the past of the simulated market, which never goes back")
            simulation.set_clock(change.at, now)
        if change.frozen is not None:
            simulation.is_frozen = change.frozen
        if change.open is not None:
            simulation.clock.set_opening("always" if change.open else "never")
        if change.opening is not None:
            simulation.clock.set_opening(change.opening)
        if change.speed is not None:
            simulation.clock.set_speed(change.speed, now)
        if change.rate is not None:
            simulation.market.set_rate(change.rate)
        if change.release:
            simulation.release_spots()
        simulation.set_spots(change.spots, now, hold=change.hold)
        return json_response(self._market_state(now))

    async def _grant(self, request: Request) -> Response:
        grants = await decoded_body(request, Grants)
        changes = {_GRANTS.get(key, key): value for key, value in msgspec.structs.asdict(grants).items()}
        self._simulation.entitlements = msgspec.structs.replace(
            self._simulation.entitlements, **{key: value for key, value in changes.items() if value is not None}
        )
        fields = msgspec.structs.asdict(self._simulation.entitlements)
        return json_response({key: fields[_GRANTS.get(key, key)] for key in Grants.__struct_fields__})

    async def _event(self, request: Request) -> Response:
        requested = await decoded_body(request, OptionEvent)
        try:
            symbol = occ.parse(requested.symbol)
        except SymbolError as error:
            raise BadRequest(str(error)) from error
        event = NonTradeEvent(
            kind=requested.event,
            symbol=symbol,
            quantity=requested.qty,
            moves_contracts=requested.contracts,
            moves_shares=requested.shares,
        )
        self._simulation.non_trade_events.apply(event, *self._instants(requested.activity_after_seconds))
        return json_response(self._simulation.account.positions())

    async def _split(self, request: Request) -> Response:
        split = await decoded_body(request, StockSplit)
        instants = self._instants(split.activity_after_seconds)
        self._simulation.non_trade_events.split(split.symbol, split.new, split.old, *instants)
        return json_response(self._simulation.account.positions())

    async def _deliver(self, request: Request) -> Response:
        change = await decoded_body(request, DeliverableChange)
        self._simulation.non_trade_events.set_deliverables(change.root, tuple(change.deliverables.items()))
        return json_response({"root": change.root, "deliverables": change.deliverables})

    async def _announce(self, request: Request) -> Response:
        announcement = await decoded_body(request, Announcement)
        if announcement.kind == "cash_dividend":
            events = self._simulation.non_trade_events
            events.announce_dividend(announcement.symbol, announcement.ex_date, announcement.rate)
            return json_response(events.actions)
        fields = msgspec.to_builtins(announcement)
        kind = f"{fields.pop('kind')}s"
        row = {key: value for key, value in fields.items() if value is not None}
        days = dict.fromkeys(("process_date", "record_date", "payable_date"), row["ex_date"])
        self._simulation.non_trade_events.announce(kind, row | days)
        return json_response(self._simulation.non_trade_events.actions)

    def _instants(self, after_seconds: float | None) -> tuple[dt.datetime, dt.datetime]:
        """The current instant, and the one from which its activities are visible."""
        at = self._simulation.at(self._now())
        return at, next_morning(at) if after_seconds is None else at + dt.timedelta(seconds=after_seconds)

    def _market_state(self, now: float) -> dict[str, Any]:
        simulation = self._simulation
        return {
            "frozen": simulation.is_frozen,
            "open": simulation.clock.is_open(simulation.at(now)),
            "rate": simulation.market.rate,
            "speed": simulation.clock.speed,
        }

    def _active(self, now: float) -> list[dict[str, Any]]:
        return [
            {
                "fault": active.fault,
                "count": active.count,
                "seconds": None if active.until is None else round(active.until - now, 3),
                "args": {key: value for key, value in active.args.items() if key != "seconds"},
            }
            for active in self._simulation.faults.active(now)
        ]


def _quote(pushed: PushedQuote, at_ns: int) -> SimulatedQuote:
    return SimulatedQuote(
        symbol=pushed.symbol,
        at_ns=at_ns,
        bid=pushed.bp,
        bid_size=pushed.bs if pushed.bp else 0,
        bid_exchange="C" if pushed.bp else "?",
        ask=pushed.ap,
        ask_size=pushed.as_ if pushed.ap else 0,
        ask_exchange="C" if pushed.ap else "?",
    )
