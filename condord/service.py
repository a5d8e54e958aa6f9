"""The one place that builds, wires, starts and stops everything.

Built from the outside in: sockets first, so that a taken port costs nothing; then the published document, the way to
Alpaca, the way to subscribers. Stopping goes the other way: every stream gets its `bye`, the server closes, and the
sockets to Alpaca are shut, all within five seconds. Anything that ends by itself ends the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import random
import secrets
import signal
import socket
import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from condord import __version__, lock, logs, terminal
from condord import config as configuration
from condord import credentials as keys
from condord.config import Config
from condord.desk import Desk, wake
from condord.errors import ConfigError
from condord.http import app, guard, server
from condord.http.ports import GuardSettings
from condord.live import render, wire
from condord.live.account import Account
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.edition import Edition, Selection
from condord.live.fanout import Fanout, Subscriber
from condord.live.prices import Prices
from condord.live.publisher import Publisher
from condord.systemd import Notifier, listen_sockets
from condord.upstream import addresses
from condord.upstream.pool import ResolvingLoop
from condord.upstream.ports import Login
from condord.upstream.rest import AlpacaRest, RestSettings
from condord.upstream.store import Store
from condord.upstream.store import directory as state_directory
from condord.upstream.supervisor import Supervisor, SupervisorSettings

DRAIN_SECONDS = 1.0
"""How long streams get to take their `bye`."""
ALIVE_SECONDS = 10.0
"""The supervisor beats once a second; silent for so long, it hangs."""

_log = logging.getLogger(__name__)


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


def run(
    config: Config,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config] | None = None,
) -> None:
    """Run the daemon in the foreground until SIGINT or SIGTERM.

    `announce` gets one line when it serves; `reread` loads the configuration again for SIGHUP.

    Raises:
        CondordError: the address is taken, another daemon has the stream, no key was found, or a file with a secret
            cannot be used.
    """
    found = keys.find(environ, config.alpaca.key_id_file, config.alpaca.secret_key_file)
    token = keys.read_token(config.server.token_file, environ) if config.server.token_file else None
    hidden = [found.key_id, found.secret_key, *([token] if token else [])]

    def set_logs(log: configuration.Log) -> None:
        logs.configure(log.level, log.format, secrets=hidden, environ=environ)

    set_logs(config.log)
    settings = _supervisor_settings(config)
    own_environ = dict(environ)
    notifier = Notifier.from_environ(own_environ)
    address = server.Address(host=config.server.host, port=config.server.port, uds=config.server.uds)
    login = Login(found.key_id.reveal, found.secret_key.reveal)
    state = state_directory(environ, lasts=settings.source != "simulator")

    async def main(listeners: Sequence[socket.socket]) -> None:
        service = Service(config, login=login, token=token, listeners=listeners, notifier=notifier, state=state)
        await service.run(announce, reread or (lambda: config), set_logs)

    with (
        lock.held(lock.directory(environ), key_id=login.key_id, stream_url=settings.option_stream_url),
        server.listening(address, listen_sockets(own_environ)) as listeners,
        asyncio.Runner(loop_factory=ResolvingLoop) as runner,
    ):
        runner.run(main(listeners))


class Service:
    """Everything of one daemon, built; `run` brings it to life. What routes need of the house is here too."""

    def __init__(
        self,
        config: Config,
        *,
        login: Login,
        token: keys.Secret | None,
        listeners: Sequence[socket.socket],
        notifier: Notifier,
        state: Path | None,
    ) -> None:
        self.config = config
        self._listeners = listeners
        self._notifier = notifier
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._stopping = asyncio.Event()
        self._drained = asyncio.Event()
        self._had_terminal = terminal.is_there()
        self._brokerage = AlpacaRest(_rest_settings(config), login, now_at=utc_now)
        self._store = Store(state, account=f"{login.key_id} {config.alpaca.paper} {config.alpaca.trading_url}")
        settings = _supervisor_settings(config)
        self._edition = Edition(
            epoch=_epoch(),
            replay_size=config.server.replay_size,
            status=render.unread_status(settings.source, settings.feed, utc_now()),
            totals=render.UNREAD_TOTALS,
        )
        self._prices = Prices(max_symbols=config.cache.max_symbols, ttl_seconds=config.cache.ttl_seconds)
        self._book = Book(
            edition=self._edition, prices=self._prices, min_change_e4=round(config.stream.min_change * 10_000)
        )
        self._fanout = Fanout(self._edition, ring_size=config.server.ring_size)
        self._coalescer = Coalescer(config.stream.window_ms / 1000)
        account = Account(config.rest.settle_seconds)
        publisher = Publisher(account=account, book=self._book, coalescer=self._coalescer, fanout=self._fanout)
        self._supervisor = Supervisor(
            settings,
            brokerage=self._brokerage,
            desk=Desk(publisher, loop=self._loop, now_at=utc_now),
            login=login,
            store=self._store,
            now_at=utc_now,
            chance=random.random,
        )
        self._guard = guard.Guard(app.build(self), self._guard_settings(config))
        self._server = server.Server(self._guard)

    @property
    def address(self) -> str:
        """The URL at which this daemon answers."""
        return server.name_of(self._listeners[0])

    async def run(
        self,
        announce: Callable[[str], None],
        reread: Callable[[], Config],
        set_logs: Callable[[configuration.Log], None],
    ) -> None:
        """Serve until SIGINT or SIGTERM; raises what a part could not handle."""
        address = self.address
        with self._signals(reread, set_logs):
            async with asyncio.TaskGroup() as tasks:
                supervising = tasks.create_task(self._supervisor.run())
                serving = tasks.create_task(self._server.run_on(self._listeners))
                beating = [tasks.create_task(self._heartbeats()), tasks.create_task(self._watchdog())]
                await self._server.is_serving.wait()
                self._notifier.ready(f"serving at {address}")
                announce(f"condord {__version__} serves at {address}")
                await self._stopping.wait()
                self._notifier.stopping()
                for task in (supervising, *beating):
                    task.cancel()
                await self._say_bye()
                self._server.stop()
                await asyncio.wait({serving, supervising})
        self._brokerage.close()
        self._store.close()
        _log.info("Stopped")

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor makes progress."""
        return self._loop.time() - self._supervisor.beat < ALIVE_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether positions are read and the stream is live or closed."""
        return self._supervisor.is_ready

    @property
    def has_room(self) -> bool:
        """Whether another subscriber may come."""
        return self._fanout.subscribers < self.config.server.max_subscribers and not self._stopping.is_set()

    def document(self) -> wire.Document:
        """The published document."""
        self._supervisor.tell()
        return self._edition.document(utc_now())

    def one(self, identity: str) -> wire.OneCondor | None:
        """One condor with its quotes; None if it is not there."""
        return self._edition.one(identity, utc_now())

    def report(self) -> wire.StatusReport:
        """The status and the counters."""
        self._supervisor.tell()
        status = self._edition.status
        fields = {name: getattr(status, name) for name in status.__struct_fields__}
        return wire.StatusReport(
            **fields,
            version=__version__,
            pid=os.getpid(),
            address=self.address,
            uptime=round(time.monotonic() - self._started, 3),
            reconnects=status.stream.reconnects,
            subscribers=self._fanout.subscribers,
            max_subscribers=self.config.server.max_subscribers,
            frames=self._fanout.frames,
            dropped=self._fanout.dropped,
            resyncs=self._fanout.resyncs,
            refused={**self._prices.refused, **self._supervisor.stream.refused},
        )

    def refresh(self) -> None:
        """Read the positions again now."""
        self._supervisor.refresh()

    def subscribe(
        self, selection: Selection, interval_seconds: float, version: str | None, wake: Callable[[], None]
    ) -> Subscriber:
        """Open a stream."""
        return self._fanout.subscribe(
            selection=selection,
            interval_seconds=interval_seconds,
            version=version,
            now_at=utc_now(),
            wake=wake,
        )

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream."""
        self._fanout.unsubscribe(subscriber)
        if self._stopping.is_set() and not self._fanout.subscribers:
            self._drained.set()

    def take(self, subscriber: Subscriber) -> bytes:
        """Everything that waits for `subscriber`."""
        return subscriber.take(utc_now())

    async def _say_bye(self) -> None:
        """End every stream, and give the subscribers a moment to take it."""
        wake(self._fanout.close("the daemon is stopping"))
        if self._fanout.subscribers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drained.wait()

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self.config.server.heartbeat_seconds)
            wake(self._fanout.heartbeat(utc_now()))

    async def _watchdog(self) -> None:
        """Feed systemd's watchdog while the supervisor makes progress, and tell it the state."""
        shown = ""
        while True:
            await asyncio.sleep(min(self._notifier.watchdog_seconds or 1.0, 1.0))
            if self.is_alive:
                self._notifier.ping()
            status = self._supervisor.status()
            if (text := f"{status.state}: {status.reason}" if status.reason else status.state) != shown:
                self._notifier.status(shown := text)

    @contextlib.contextmanager
    def _signals(self, reread: Callable[[], Config], set_logs: Callable[[configuration.Log], None]) -> Iterator[None]:
        ours = (signal.SIGINT, signal.SIGTERM)
        for number in ours:
            self._loop.add_signal_handler(number, self._stopping.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload, reread, set_logs)
        try:
            yield
        finally:
            for number in (*ours, signal.SIGHUP):
                self._loop.remove_signal_handler(number)

    def _reload(self, reread: Callable[[], Config], set_logs: Callable[[configuration.Log], None]) -> None:
        """Take what can be taken of a new configuration without dropping anybody, and try a halted stream again.

        The hang-up of the terminal that it was started from comes as the same signal, and ends the daemon.
        """
        if self._had_terminal and not terminal.is_there():
            self._stopping.set()
            return
        self._notifier.reloading()
        try:
            new = reread()
        except ConfigError as error:
            _log.error("Configuration refused, nothing changed", extra=logs.fields(faults=list(error.faults)))
        else:
            self._apply(new)
            set_logs(new.log)
            _log.info("Configuration reloaded", extra=logs.fields(needs_restart=_restart_keys(self.config, new)))
            self.config = new
        self._supervisor.retry()
        self._notifier.ready(f"serving at {self.address}")

    def _apply(self, new: Config) -> None:
        self._coalescer.window_seconds = new.stream.window_ms / 1000
        self._book.min_change_e4 = round(new.stream.min_change * 10_000)
        self._supervisor.reconfigure(_supervisor_settings(new))
        self._brokerage.set_breaker(new.rest.breaker_failures, new.rest.breaker_reset_seconds)
        self._guard.settings = self._guard_settings(new)

    def _guard_settings(self, config: Config) -> GuardSettings:
        hosts = frozenset(name.lower() for name in (config.server.host, *config.server.allowed_hosts))
        is_unix = self._listeners[0].family == socket.AF_UNIX
        return GuardSettings(
            knows_host=lambda name: is_unix or name in hosts or configuration.is_loopback(name),
            origins=frozenset(config.server.allowed_origins),
            token=self._token.reveal if self._token else None,
        )


_LIVE_KEYS = frozenset(
    {
        "stream.window_ms",
        "stream.min_change",
        "stream.silence_seconds",
        "stream.backoff_min_seconds",
        "stream.backoff_max_seconds",
        "rest.breaker_failures",
        "rest.breaker_reset_seconds",
        "server.allowed_hosts",
        "server.allowed_origins",
        "server.max_subscribers",
        "server.heartbeat_seconds",
        "log.level",
        "log.format",
    }
)


def _restart_keys(old: Config, new: Config) -> list[str]:
    """The keys whose new values wait for a restart."""
    return [
        field.name
        for field in configuration.fields()
        if field.name not in _LIVE_KEYS
        and getattr(getattr(old, field.section), field.key) != getattr(getattr(new, field.section), field.key)
    ]


def _epoch() -> str:
    """A name for this run of the daemon, so that versions of another run are told apart."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))


def _source(config: Config) -> wire.Source:
    """What the status calls the other side: a trading URL on this machine can only be a simulator."""
    if config.alpaca.trading_url and configuration.is_loopback(urlsplit(config.alpaca.trading_url).hostname or ""):
        return "simulator"
    return "alpaca-paper" if config.alpaca.paper else "alpaca-live"


def _rest_settings(config: Config) -> RestSettings:
    return RestSettings(
        paper=config.alpaca.paper,
        feed=config.alpaca.feed,
        trading_url=config.alpaca.trading_url,
        data_url=config.alpaca.data_url,
        timeout_seconds=config.rest.timeout_seconds,
        retries=config.rest.retries,
        breaker_failures=config.rest.breaker_failures,
        breaker_reset_seconds=config.rest.breaker_reset_seconds,
        threads=config.rest.threads,
    )


def _supervisor_settings(config: Config) -> SupervisorSettings:
    alpaca, stream = config.alpaca, config.stream
    return SupervisorSettings(
        source=_source(config),
        feed=alpaca.feed,
        option_stream_url=alpaca.option_stream_url or addresses.option_stream(alpaca.feed),
        trading_stream_url=alpaca.trading_stream_url or addresses.trading_stream(paper=alpaca.paper),
        symbol_limit=alpaca.symbol_limit,
        refresh_seconds=config.rest.refresh_seconds,
        silence_seconds=stream.silence_seconds,
        backoff_min_seconds=stream.backoff_min_seconds,
        backoff_max_seconds=stream.backoff_max_seconds,
    )
