"""Decides what can be seen and changed from outside while the simulator runs: `/simulator/…`, without keys.

Rules: JSON in and out; what cannot be understood is 400 with a sentence, and changes nothing; a change has happened,
and its messages are on their way, before it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.errors import NotFound
from condord.simulator.answers import BadRequest, json
from condord.simulator.faults import FAULTS
from condord.simulator.market import Quote
from condord.simulator.simulation import Simulation

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]
_ARGS = ("symbol", "path", "stream", "seconds_each", "skew_seconds", "limit")


class FaultOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Let `fault` strike `count` times, for `seconds`; the rest are its own arguments."""

    fault: str
    count: Annotated[int, msgspec.Meta(gt=0)] | None = None
    seconds: _Positive | None = None
    symbol: str | None = None
    path: str | None = None
    stream: Literal["option", "trading", "all"] | None = None
    seconds_each: _NotNegative | None = None
    skew_seconds: float | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The fault's own arguments, those that were given."""
        given = msgspec.structs.asdict(self)
        return {key: given[key] for key in _ARGS if given[key] is not None}


class PositionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold exactly `qty` (signed, 0 for nothing) of `symbol`, entered at `avg_entry_price` per share."""

    symbol: Annotated[str, msgspec.Meta(min_length=1)]
    qty: int
    avg_entry_price: Decimal | None = None


class PositionChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several changes at once; with `fill` they are one order, which is told on the trading stream."""

    positions: list[PositionChange]
    fill: bool = False


class PushedQuote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"as_": "as"}):
    """One quote to push; a bid of 0 is no bid."""

    symbol: str
    bp: _NotNegative
    ap: _NotNegative
    bs: int = 1
    as_: int = 1


class PushedQuotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quotes to push at once; with `pin` their symbols stand still until `release`."""

    quotes: list[PushedQuote] = []
    pin: bool = False
    release: bool = False


class MarketChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change about the market; what is missing stays. `open` false closes it, true opens it for good."""

    frozen: bool | None = None
    open: bool | None = None
    rate: _NotNegative | None = None
    speed: _Positive | None = None


class Admin:
    """The routes under `/simulator`; `now` is a clock that gives seconds of the loop."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/simulator/state", self._state),
            Route("/simulator/faults", self._faults, methods=["GET"]),
            Route("/simulator/faults", self._activate, methods=["POST"]),
            Route("/simulator/faults", self._clear, methods=["DELETE"]),
            Route("/simulator/positions", self._positions, methods=["POST"]),
            Route("/simulator/quotes", self._quotes, methods=["POST"]),
            Route("/simulator/market", self._market, methods=["POST"]),
        ]

    async def _state(self, _request: Request) -> Response:
        simulation, now = self._simulation, self._now()
        return json(
            {
                "scenario": simulation.scenario.name,
                "at": simulation.at(now),
                "market": self._market_state(now),
                "streams": simulation.streams.state(),
                "quotesSent": simulation.streams.quotes_sent,
                "updatesSent": simulation.streams.updates_sent,
                "requests": dict(simulation.requests),
                "faults": self._active(now),
            }
        )

    async def _faults(self, _request: Request) -> Response:
        return json({"known": {fault.name: fault.sentence for fault in FAULTS}, "active": self._active(self._now())})

    async def _activate(self, request: Request) -> Response:
        order, now = await _body(request, FaultOrder), self._now()
        try:
            self._simulation.strike(order.fault, now, count=order.count, seconds=order.seconds, **order.args)
        except NotFound as unknown:
            raise BadRequest(f"{unknown}. {unknown.hint}") from unknown
        return json({"active": self._active(now)})

    async def _clear(self, _request: Request) -> Response:
        self._simulation.faults.clear()
        return json({"active": []})

    async def _positions(self, request: Request) -> Response:
        changes = await _body(request, PositionChanges | list[PositionChange])
        if isinstance(changes, list):
            changes = PositionChanges(positions=changes)
        if not all(each.avg_entry_price is None or each.avg_entry_price.is_finite() for each in changes.positions):
            raise BadRequest("avg_entry_price is a number or null")
        account = self._simulation.account
        if changes.fill:
            held = {symbol: each.quantity for symbol, each in account.holdings.items()}
            trades = [
                (each.symbol, each.qty - held.get(each.symbol, 0), each.avg_entry_price)
                for each in changes.positions
                if each.qty != held.get(each.symbol, 0)
            ]
            if trades:
                self._simulation.fill(trades, self._now())
        else:
            for each in changes.positions:
                account.put(each.symbol, each.qty, each.avg_entry_price)
        return json(account.positions())

    async def _quotes(self, request: Request) -> Response:
        pushed = await _body(request, PushedQuotes | list[PushedQuote])
        if isinstance(pushed, list):
            pushed = PushedQuotes(quotes=pushed)
        simulation, now = self._simulation, self._now()
        if pushed.release:
            simulation.market.release()
        at_ns = int(simulation.at(now).timestamp() * 1e9)
        simulation.push([_quote(each, at_ns + place) for place, each in enumerate(pushed.quotes)], now, hold=pushed.pin)
        return json({"pushed": len(pushed.quotes)})

    async def _market(self, request: Request) -> Response:
        change = await _body(request, MarketChange)
        simulation, now = self._simulation, self._now()
        if change.frozen is not None:
            simulation.is_frozen = change.frozen
        if change.open is not None:
            simulation.clock.opening = "always" if change.open else "never"
        if change.speed is not None:
            simulation.clock.set_speed(change.speed, now)
        if change.rate is not None:
            simulation.market.set_rate(change.rate)
        return json(self._market_state(now))

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
                "fault": each.fault,
                "count": each.count,
                "seconds": None if each.until is None else round(each.until - now, 3),
                "args": {key: value for key, value in each.args.items() if key != "seconds"},
            }
            for each in self._simulation.faults.active(now)
        ]


def _quote(pushed: PushedQuote, at_ns: int) -> Quote:
    return Quote(
        symbol=pushed.symbol,
        at_ns=at_ns,
        bid=pushed.bp,
        bid_size=pushed.bs if pushed.bp else 0,
        bid_exchange="C" if pushed.bp else "?",
        ask=pushed.ap,
        ask_size=pushed.as_ if pushed.ap else 0,
        ask_exchange="C" if pushed.ap else "?",
    )


async def _body(request: Request, kind: Any) -> Any:  # noqa: ANN401 - msgspec decides the type
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error
