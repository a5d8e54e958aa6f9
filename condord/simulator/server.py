"""Start and stop the simulator, which serves REST and every stream on one port.

SIGINT and SIGTERM stop it within a second: streams are aborted, waiting requests are answered, and no task is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import msgspec
import uvicorn
from starlette.routing import Router

from condord.errors import Unavailable
from condord.host import port_owner
from condord.host.loopback import is_loopback
from condord.simulator.account import Account
from condord.simulator.admin_api import AdminApi
from condord.simulator.connection import Connection
from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import Faults
from condord.simulator.gateway import Gateway
from condord.simulator.market import Market, SimulatedQuote
from condord.simulator.market_api import MarketApi
from condord.simulator.order_admin_api import OrderAdminApi
from condord.simulator.origin_check import KnowsHost, OriginCheck, host_name
from condord.simulator.responses import not_found
from condord.simulator.scenarios import Scenario
from condord.simulator.scenarios import scenario as find_scenario
from condord.simulator.simulation import TICK_SECONDS, Simulation
from condord.simulator.stock_api import StockApi
from condord.simulator.streams import Streams
from condord.simulator.trading_api import TradingApi

RATE_LIMIT = 200
_KEEP_ALIVE_SECONDS = 65


class _Server(uvicorn.Server):
    """uvicorn without signal handlers; `ready` is set once it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the caller."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and set `ready`."""
        await super().startup(sockets)
        self.ready.set()


class Simulator:
    """A running simulator: its URLs, and the parts that a test may inspect or change."""

    def __init__(self, host: str, port: int, simulation: Simulation) -> None:
        url_host = f"[{host}]" if ":" in host else host
        self.url = f"http://{url_host}:{port}"
        self.option_stream_url = f"ws://{url_host}:{port}/v1beta1/indicative"
        self.stock_stream_url = f"ws://{url_host}:{port}/v2/iex"
        self.trading_stream_url = f"ws://{url_host}:{port}/stream"
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
        """The faults."""
        return self.simulation.faults

    @property
    def streams(self) -> Streams:
        """The streams and their connections."""
        return self.simulation.streams

    def inject(self, fault: str, **args: Any) -> None:  # noqa: ANN401 - as Simulation.inject
        """Inject `fault` as `POST /simulator/faults` does.

        Raises:
            NotFound: there is no such fault.
        """
        self.simulation.inject(fault, asyncio.get_running_loop().time(), **args)

    def fill(self, *changes: tuple[str, int, Decimal | None]) -> dict[str, Any]:
        """Fill one order of (symbol, signed quantity, price) and return its update; without a price at the mark."""
        return self.simulation.fill(changes, asyncio.get_running_loop().time())

    def push(self, *quotes: SimulatedQuote, hold: bool = False) -> None:
        """Make `quotes` the latest and send them; with `hold`, their symbols stop moving until released."""
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
    """Run until SIGINT or SIGTERM. Port 0 takes a free one.

    `on_ready` is called with the base URL once the simulator listens, in a separate thread. A signal that was
    ignored at the start stays ignored.

    Raises:
        NotFound: there is no such scenario.
        Unavailable: the address is not available.
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


async def _run(on_ready: Callable[[str], None], **options: Any) -> None:  # noqa: ANN401 - the arguments of `run`
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in background jobs of sh
            loop.add_signal_handler(number, stopped.set)
    async with serve(**options) as simulator:
        failure = _call_in_thread(functools.partial(on_ready, simulator.url))
        failure.add_done_callback(lambda _: stopped.set())
        await stopped.wait()
        if failure.done():
            failure.result()


def _call_in_thread(call: Callable[[], None]) -> asyncio.Future[None]:
    """Call in a thread, as writing to a terminal may block; the future receives the exception, if any."""
    loop = asyncio.get_running_loop()
    failure: asyncio.Future[None] = loop.create_future()

    def attempt() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised in the loop
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(failure.set_exception, error)

    threading.Thread(target=attempt, name="ready", daemon=True).start()
    return failure


@contextlib.asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    scenario: str = "default",
    seed: int = 1,
    credentials: tuple[str, str] | None = None,
    symbol_limit: int = 200,
    stock_symbol_limit: int = 30,
    rate_limit: int = RATE_LIMIT,
    rate: float | None = None,
    speed: float | None = None,
    started_at: dt.datetime | None = None,
) -> AsyncIterator[Simulator]:
    """Serve while the context is open, inside the running loop.

    Without `credentials`, any key and secret are accepted. `rate` and `speed` override the scenario's; `started_at`
    is the simulated instant to begin at, by default now.

    Raises:
        NotFound: there is no such scenario.
        Unavailable: the address is not available.
    """
    settings = _override(find_scenario(scenario), rate, speed)
    listener = _listen(host, port)
    now = asyncio.get_running_loop().time
    simulation = Simulation(
        scenario=settings,
        seed=seed,
        entitlements=Entitlements(
            credentials=credentials,
            has_opra=settings.has_opra,
            has_sip=settings.has_sip,
            has_index_values=settings.has_index_values,
            symbol_limit=symbol_limit,
            stock_symbol_limit=stock_symbol_limit,
        ),
        started_at=started_at or dt.datetime.now(dt.UTC),
        now=now(),
    )
    stopping = asyncio.Event()
    bound_host = host_name(f"[{host}]" if ":" in host else host)

    def knows_host(name: str) -> bool:
        return name == bound_host or is_loopback(name)

    gateway = build_application(simulation, rate_limit=rate_limit, now=now, stopping=stopping)
    server = _build_server(OriginCheck(gateway, knows_host), simulation.streams, knows_host)
    async with _running(server, simulation, listener, stopping):
        yield Simulator(host, listener.getsockname()[1], simulation)


@contextlib.asynccontextmanager
async def _running(
    server: _Server, simulation: Simulation, listener: socket.socket, stopping: asyncio.Event
) -> AsyncIterator[None]:
    """Accept connections and tick while the context is open.

    It is a separate task, so that an error inside the context is not wrapped in the exception group of the task group.
    """
    serving = asyncio.create_task(_serve_and_tick(server, simulation, listener, stopping))
    try:
        await _wait_until_ready(server, serving)
        yield
    finally:
        stopping.set()
        simulation.streams.abort_all()
        server.should_exit = True
        await serving


async def _serve_and_tick(
    server: _Server, simulation: Simulation, listener: socket.socket, stopping: asyncio.Event
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        group.create_task(_tick(simulation, stopping))


async def _tick(simulation: Simulation, stopping: asyncio.Event) -> None:
    now = asyncio.get_running_loop().time
    while not stopping.is_set():
        simulation.tick(now())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TICK_SECONDS)


async def _wait_until_ready(server: _Server, serving: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        await serving


def build_application(
    simulation: Simulation,
    *,
    rate_limit: int,
    now: Callable[[], float],
    stopping: asyncio.Event,
    wall: Callable[[], float] = time.time,
) -> Gateway:
    """The ASGI application with every HTTP route; set `stopping` to answer requests that wait."""
    apis = (TradingApi(simulation, now), MarketApi(simulation, now), StockApi(simulation, now))
    routes = [route for api in apis for route in api.routes]
    admin = [*AdminApi(simulation, now).routes, *OrderAdminApi(simulation, now).routes]
    return Gateway(
        simulation=simulation,
        api=Router(routes, default=_not_found),
        admin=Router(admin, default=_not_found),
        limit=rate_limit,
        now=now,
        stopping=stopping,
        wall=wall,
    )


def _build_server(origin_check: OriginCheck, streams: Streams, knows_host: KnowsHost) -> _Server:
    def connect(**_: object) -> Connection:
        return Connection(streams, knows_host)

    config = uvicorn.Config(
        origin_check,
        loop="asyncio",
        http="h11",
        ws=cast("Any", connect),
        lifespan="off",
        log_config=None,
        access_log=False,
        workers=1,  # uvicorn would read WEB_CONCURRENCY
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


async def _not_found(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's signature
    await not_found("endpoint not found")(scope, receive, send)


def _override(scenario: Scenario, rate: float | None, speed: float | None) -> Scenario:
    changes = {key: value for key, value in (("rate", rate), ("speed", speed)) if value is not None}
    return msgspec.structs.replace(scenario, **changes)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets with an explicit protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {port_owner.named(error, host, port).strerror or error}",
            "Choose another port with --port, or 0 for a free one.",
        ) from error
    listener.settimeout(0)
    return listener
