"""Parts of the daemon for benchmarks that run without Alpaca: an account, the path of a quote, a service."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping

import msgspec

from condord.config import credentials, schema, sources, startup
from condord.core.occ import parse
from condord.core.position import Position
from condord.daemon import build, service, wiring
from condord.daemon.alert_service import AlertService
from condord.daemon.recorded_account import RecordedAccount
from condord.host.network import Network
from condord.live import render, wire
from condord.live.account import AccountState
from condord.live.alert_events import AlertSource
from condord.live.alert_watch import AlertWatch
from condord.live.alerts import AlertChanges, Alerts
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.fanout import Fanout
from condord.live.link import Link, LinkSettings
from condord.live.prices import Prices
from condord.live.published import Edition
from condord.live.publisher import Publisher
from condord.notify.delivery import Delivery
from condord.notify.senders import RealSenders
from condord.notify.store import AlertStore
from condord.upstream.interfaces import Login
from condord.upstream.option_stream import OptionStream

WINDOW_SECONDS = 0.25
_PRICE_E4 = 10_000


def utc_now() -> dt.datetime:
    """The current time by the wall clock."""
    return dt.datetime.now(dt.UTC)


def positions(quantities: Mapping[str, int]) -> list[Position]:
    """Positions from signed `quantities` by symbol, each entered at one dollar a share."""
    held = []
    for symbol, quantity in quantities.items():
        contract = parse(symbol)
        held.append(
            Position(
                symbol=symbol,
                contract=contract,
                quantity=quantity,
                average_entry_e4=_PRICE_E4,
                cost_basis_e4=quantity * 100 * _PRICE_E4,
                underlying=contract.root,
            )
        )
    return held


def publisher(
    window_seconds: float = WINDOW_SECONDS,
    *,
    alerts: Callable[[Book], AlertSource | None] = lambda _book: None,
    on_alerts: Callable[[AlertChanges], None] = lambda _changes: None,
) -> Publisher:
    """The publisher, wired as the daemon does it; `alerts` makes what evaluates rules."""
    status = render.unread_status("simulator", "indicative", wiring.model(schema.Config()), utc_now())
    edition = Edition(epoch="bench", replay_size=1024, status=status, totals=render.UNREAD_TOTALS)
    book = Book(edition=edition, prices=Prices(max_symbols=10_000, ttl_seconds=600.0), min_change_e4=100)
    return Publisher(
        account=AccountState(0.0),
        book=book,
        coalescer=Coalescer(window_seconds),
        fanout=Fanout(edition, ring_size=256),
        alerts=alerts(book),
        on_alerts=on_alerts,
    )


def unstored_alerts(published: Publisher) -> AlertService:
    """The alerts of a daemon without rules, channels and a database."""
    alerts, store = Alerts(), AlertStore(None, machine_at=utc_now)
    senders = RealSenders(Network({}), {}, machine_at=utc_now)
    return AlertService(
        alerts=alerts,
        watch=AlertWatch(published.book, alerts),
        store=store,
        delivery=Delivery(store, senders, now_at=utc_now, session_end=lambda _underlying: None),
        now_at=utc_now,
    )


def unrecorded_past() -> RecordedAccount:
    """The recorded account of a daemon that stores nothing."""
    return RecordedAccount(
        None,
        source="simulator",
        is_enabled=False,
        keep_days=lambda: 400,
        recall=lambda _past: None,
        machine_at=utc_now,
        now_at=utc_now,
    )


def option_stream(url: str, symbols: Iterable[str], sink, kind: type[OptionStream] = OptionStream) -> OptionStream:
    """A stream of `symbols` from `url` to `sink`."""

    async def never_newer() -> bool:
        return False

    bounds = LinkSettings(
        name="the option stream", silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0
    )
    wanted = tuple(symbols)
    stream = kind(
        Link(bounds, chance=lambda: 0.5),
        url=url,
        network=Network({}),
        login=Login(lambda: "KEY", lambda: "SECRET"),
        symbol_limit=len(wanted),
        sink=sink,
        now_at=utc_now,
        newer=never_newer,
        live=lambda: None,
        changed=lambda: None,
    )
    stream.want(wanted)
    return stream


def live_status() -> wire.Status:
    """The status of a daemon whose stream and account are healthy."""
    unread = render.unread_status("simulator", "indicative", wiring.model(schema.Config()), utc_now())
    read = msgspec.structs.replace(unread.positions, read_at=utc_now())
    return msgspec.structs.replace(unread, state="live", positions=read)


class FakeSupervisor:
    """A replacement of the supervisor; a subclass defines `run`, which writes to `sink`."""

    is_ready = True
    refused: dict[str, int] = {}  # noqa: RUF012 - nothing is ever refused

    def __init__(self, *_settings, sink, **_parts) -> None:
        self.sink = sink

    async def run(self) -> None:
        """Write to `sink` until cancelled."""
        raise NotImplementedError

    @property
    def beat(self) -> float:
        """When it last made progress: always now."""
        return asyncio.get_running_loop().time()

    def status(self):
        """The status, which is always live."""
        return live_status()

    def stocks(self) -> None:
        """The stock stream: None, as there is none."""

    def stuck(self, _now: float) -> None:
        """Why it makes no progress: None, as it always does."""

    def publish_status(self) -> None:
        """Do nothing, as there is no news."""

    def tick(self) -> None:
        """Do nothing after a suspension, as nothing is ever old."""


def serve(
    supervisor: type[FakeSupervisor],
    window_seconds: float = WINDOW_SECONDS,
    max_subscribers: int = 1000,
    workers: int = 1,
) -> None:
    """Be the daemon until SIGTERM, with `supervisor` in the supervisor's place; its URL is on standard output."""
    build.Supervisor = supervisor
    environ = {"APCA_API_KEY_ID": "BENCHMARK", "APCA_API_SECRET_KEY": "BENCHMARK", **os.environ}
    config = schema.Config(
        alpaca=schema.Alpaca(trading_url="http://127.0.0.1:1"),
        stream=schema.Stream(window_ms=round(1e3 * window_seconds)),
        server=schema.Server(port=0, max_subscribers=max_subscribers, workers=workers),
        log=schema.Log(level="error"),
    )
    service.run(
        startup.Startup(
            loaded=sources.LoadedConfig(config=config, path=None, origins={}), key=credentials.find(environ, "", "")
        ),
        environ=environ,
        announce=lambda line: print(line.split()[-1], flush=True),
    )
