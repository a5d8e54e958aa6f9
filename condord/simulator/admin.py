"""Decides what can be seen and changed from outside while the simulator runs: `/simulator/…`, without keys.

Rules: JSON in and out; what cannot be understood is 400 with a sentence, and changes nothing; a change has happened,
and its messages are on their way, before it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.errors import NotFound
from condord.simulator.answers import BadRequest, json
from condord.simulator.faults import FAULTS
from condord.simulator.market import Quote
from condord.simulator.simulation import Simulation

_T = TypeVar("_T")
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


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
                "updatesSent": simulation.streams.updates_sent,
                "requests": dict(simulation.requests),
                "faults": self._active(now),
            }
        )

    async def _faults(self, _request: Request) -> Response:
        return json({"known": {fault.name: fault.sentence for fault in FAULTS}, "active": self._active(self._now())})

    async def _activate(self, request: Request) -> Response:
        body = await _body(request, dict[str, Any])
        name, now = body.pop("fault", None), self._now()
        if not isinstance(name, str):
            raise BadRequest("fault names the fault to activate")
        count, seconds = body.pop("count", None), body.pop("seconds", None)
        if not (count is None or (type(count) is int and count > 0)):
            raise BadRequest("count is a positive integer or null")
        if not (seconds is None or (type(seconds) in (int, float) and seconds > 0)):
            raise BadRequest("seconds is a positive number or null")
        try:
            self._simulation.faults.activate(name, now, count=count, seconds=seconds, **body)
        except NotFound as unknown:
            raise BadRequest(f"{unknown}. {unknown.hint}") from unknown
        self._simulation.tick(now)
        return json({"active": self._active(now)})

    async def _clear(self, _request: Request) -> Response:
        self._simulation.faults.clear()
        return json({"active": []})

    async def _positions(self, request: Request) -> Response:
        changes = await _body(request, PositionChanges | list[PositionChange])
        if isinstance(changes, list):
            changes = PositionChanges(positions=changes)
        account, now = self._simulation.account, self._now()
        if changes.fill:
            held = {symbol: each.quantity for symbol, each in account.holdings.items()}
            trades = [
                (each.symbol, each.qty - held.get(each.symbol, 0), each.avg_entry_price)
                for each in changes.positions
                if each.qty != held.get(each.symbol, 0)
            ]
            if trades:
                self._simulation.fill(trades, now)
        else:
            for each in changes.positions:
                account.put(each.symbol, each.qty, each.avg_entry_price)
        return json(account.positions())

    async def _quotes(self, request: Request) -> Response:
        pushed = await _body(request, PushedQuotes | list[PushedQuote])
        if isinstance(pushed, list):
            pushed = PushedQuotes(quotes=pushed)
        now, market = self._now(), self._simulation.market
        if pushed.release:
            market.release()
        at_ns = int(self._simulation.at(now).timestamp() * 1e9)
        quotes = [_quote(each, at_ns + place) for place, each in enumerate(pushed.quotes)]
        market.pin(quotes, hold=pushed.pin)
        subscribed = self._simulation.streams.subscribed()
        self._simulation.publish([quote for quote in quotes if quote.symbol in subscribed], now)
        return json({"pushed": len(quotes)})

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


async def _body(request: Request, kind: type[_T] | Any) -> Any:  # noqa: ANN401 - msgspec decides the type
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error
