"""Decides how the simulator is started, where it listens, and how it ends.

Rules: one port for REST and both streams; it listens before `on_ready` is called; SIGINT and SIGTERM end it within a
second, sockets open or not: streams are dropped, what waits is answered, and nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import msgspec
import uvicorn
from starlette.routing import Router

from condord.errors import Unavailable
from condord.simulator.account import Account
from condord.simulator.admin import Admin
from condord.simulator.answers import absent
from condord.simulator.connection import Connection
from condord.simulator.faults import Faults
from condord.simulator.gate import Gate
from condord.simulator.market import Market, Quote
from condord.simulator.market_api import MarketApi
from condord.simulator.scenarios import Scenario
from condord.simulator.scenarios import scenario as find_scenario
from condord.simulator.session import Terms
from condord.simulator.simulation import TICK_SECONDS, Simulation
from condord.simulator.streams import Streams
from condord.simulator.trading_api import TradingApi

RATE_LIMIT = 200
_KEEP_ALIVE_SECONDS = 65


class _Server(uvicorn.Server):
    """uvicorn without its own signals; `ready` is set when it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to who runs the simulator."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()


class Simulator:
    """The simulator at work: where it listens, and everything inside it that a test may look at or change."""

    def __init__(self, host: str, port: int, simulation: Simulation) -> None:
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"
        self.option_stream_url = f"ws://{shown}:{port}/v1beta1/indicative"
        self.trading_stream_url = f"ws://{shown}:{port}/stream"
        self.simulation = simulation

    @property
    def account(self) -> Account:
        """The account."""
        return self.simulation.account

    @property
    def market(self) -> Market:
        """The market."""
        return self.simulation.market

    @property
    def faults(self) -> Faults:
        """The faults; activating one takes the loop's time."""
        return self.simulation.faults

    @property
    def streams(self) -> Streams:
        """Who is connected."""
        return self.simulation.streams

    def strike(self, fault: str, **args: Any) -> None:  # noqa: ANN401 - as Simulation.strike
        """Let `fault` strike from now on, as `POST /simulator/faults` does.

        Raises:
            NotFound: there is no such fault.
        """
        self.simulation.strike(fault, asyncio.get_running_loop().time(), **args)

    def fill(self, *changes: tuple[str, int, Decimal | None]) -> dict[str, Any]:
        """Fill one order that changes holdings by (symbol, signed quantity, price or the mark); returns its update."""
        return self.simulation.fill(changes, asyncio.get_running_loop().time())

    def push(self, *quotes: Quote, hold: bool = False) -> None:
        """Make `quotes` the latest and send them at once; with `hold` their symbols stand until released."""
        self.simulation.push(quotes, asyncio.get_running_loop().time(), hold=hold)


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    scenario: str = "default",
    seed: int = 1,
    on_ready: Callable[[str], None],
    credentials: tuple[str, str] | None = None,
    symbol_limit: int = 200,
    rate_limit: int = RATE_LIMIT,
) -> None:
    """Run until SIGINT or SIGTERM; `on_ready` gets the base URL once it listens. Port 0 takes a free one.

    Raises:
        NotFound: there is no such scenario.
        Unavailable: the address cannot be had.
    """
    asyncio.run(
        _run(
            on_ready,
            host=host,
            port=port,
            scenario=scenario,
            seed=seed,
            credentials=credentials,
            symbol_limit=symbol_limit,
            rate_limit=rate_limit,
        )
    )


async def _run(on_ready: Callable[[str], None], **options: Any) -> None:  # noqa: ANN401 - run's own arguments
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve(**options) as simulator:
        on_ready(simulator.url)
        await stopped.wait()


@contextlib.asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    scenario: str = "default",
    seed: int = 1,
    credentials: tuple[str, str] | None = None,
    symbol_limit: int = 200,
    rate_limit: int = RATE_LIMIT,
    rate: float | None = None,
    speed: float | None = None,
    started_at: dt.datetime | None = None,
) -> AsyncIterator[Simulator]:
    """Serve while the context is open, inside the running loop.

    Without `credentials` any key and secret will do. `rate` and `speed` overrule the scenario's; `started_at` is
    the simulated instant to begin at, now unless given.

    Raises:
        NotFound: there is no such scenario.
        Unavailable: the address cannot be had.
    """
    chosen = _overruled(find_scenario(scenario), rate, speed)
    listener = _listen(host, port)
    now = asyncio.get_running_loop().time
    simulation = Simulation(
        scenario=chosen,
        seed=seed,
        terms=Terms(credentials=credentials, has_opra=chosen.has_opra, symbol_limit=symbol_limit),
        started_at=started_at or dt.datetime.now(dt.UTC),
        now=now(),
    )
    stopping = asyncio.Event()
    gate = application(simulation, rate_limit=rate_limit, now=now, stopping=stopping)
    server = _server(gate, simulation.streams)
    async with _living(server, simulation, listener, stopping):
        yield Simulator(host, listener.getsockname()[1], simulation)


@contextlib.asynccontextmanager
async def _living(
    server: _Server, simulation: Simulation, listener: socket.socket, stopping: asyncio.Event
) -> AsyncIterator[None]:
    """Accept connections and let time pass while the context is open; one task, so that its errors stay its own."""
    living = asyncio.create_task(_live(server, simulation, listener, stopping))
    try:
        await _ready_or_failed(server, living)
        yield
    finally:
        stopping.set()
        simulation.streams.abort_all()
        server.should_exit = True
        await living


async def _live(server: _Server, simulation: Simulation, listener: socket.socket, stopping: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        group.create_task(_tick(simulation, stopping))


async def _tick(simulation: Simulation, stopping: asyncio.Event) -> None:
    now = asyncio.get_running_loop().time
    while not stopping.is_set():
        simulation.tick(now())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECONDS)


async def _ready_or_failed(server: _Server, living: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({ready, living}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        await living


def application(
    simulation: Simulation,
    *,
    rate_limit: int,
    now: Callable[[], float],
    stopping: asyncio.Event,
    wall: Callable[[], float] = time.time,
) -> Gate:
    """Everything that answers HTTP, as one ASGI application; set `stopping` to end what waits."""
    routes = [*TradingApi(simulation, now).routes, *MarketApi(simulation, now).routes]
    return Gate(
        simulation=simulation,
        api=Router(routes, default=_not_found),
        admin=Router(Admin(simulation, now).routes, default=_not_found),
        limit=rate_limit,
        now=now,
        stopping=stopping,
        wall=wall,
    )


def _server(gate: Gate, streams: Streams) -> _Server:
    def connect(**_: object) -> Connection:
        return Connection(streams)

    config = uvicorn.Config(
        gate,
        loop="asyncio",
        http="h11",
        ws=cast("Any", connect),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


async def _not_found(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own form
    await absent("endpoint not found")(scope, receive, send)


def _overruled(scenario: Scenario, rate: float | None, speed: float | None) -> Scenario:
    changes = {key: value for key, value in (("rate", rate), ("speed", speed)) if value is not None}
    return msgspec.structs.replace(scenario, **changes)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle off only on sockets whose protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "Choose another port with --port, or 0 for a free one.",
        ) from error
    listener.settimeout(0)
    return listener
