"""The one place that builds, wires, starts and stops everything.

Built from the outside in: sockets first, so that a taken port costs nothing; then the published document, the way to
Alpaca, the way to subscribers. Stopping goes the other way: every stream gets its `bye`, the server closes, and the
sockets to Alpaca are shut, all within five seconds. A part that ends by itself, or makes no progress, ends the daemon
with an error: whoever keeps it running starts another, which is better than a document that no longer moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
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

from prometheus_client import CollectorRegistry

from condord import __version__, counts, lock, logs, settings, terminal
from condord import config as configuration
from condord.audience import Audience
from condord.config import Config
from condord.desk import Desk
from condord.errors import CondordError, ConfigError
from condord.http import app, guard, server
from condord.http.metrics import Measured, Metrics
from condord.http.ports import GuardSettings, Numbers
from condord.inputs import Inputs
from condord.live import render, wire
from condord.live.account import Account
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.edition import Edition
from condord.live.fanout import Fanout
from condord.live.prices import Prices
from condord.live.publisher import Publisher
from condord.parts import Parts
from condord.systemd import Notifier, listen_sockets
from condord.upstream.pool import ResolvingLoop
from condord.upstream.rest import AlpacaRest
from condord.upstream.store import Store
from condord.upstream.store import directory as state_directory
from condord.upstream.supervisor import Supervisor
from condord.vigil import Stillness, Vigil

ALIVE_SECONDS = 10.0
"""The supervisor beats once a second; silent for so long, it hangs."""
STUCK_LOOKS = 10
"""How often in a row, once a second, the supervisor may be found stuck; a stopped process finds it so once."""
LET_GO_SECONDS = 30.0
"""A connection that a reload ends is gone by then: a step of it may last 10 s, and its close 3 s."""

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
    with lock.Locks(lock.directory(environ)) as locks:
        inputs = Inputs(config, environ=environ, reread=reread or (lambda: config), locks=locks)
        own_environ = dict(environ)
        notifier = Notifier.from_environ(own_environ)
        address = server.Address(host=config.server.host, port=config.server.port, uds=config.server.uds)
        state = state_directory(environ, lasts=settings.source(config) != "simulator")
        server.reserve_files(config.server.max_subscribers)

        async def main(listeners: Sequence[socket.socket]) -> None:
            await Service(inputs, listeners=listeners, notifier=notifier, state=state).run(announce)

        with (
            server.listening(address, listen_sockets(own_environ)) as listeners,
            asyncio.Runner(loop_factory=ResolvingLoop) as runner,
        ):
            if inputs.token is None:
                _keep_to_this_machine(listeners)
            runner.run(main(listeners))


def _keep_to_this_machine(listeners: Sequence[socket.socket]) -> None:
    """Without a token nobody else may ask; the configuration is judged for that, but not what systemd opened.

    Raises:
        ConfigError: a socket listens elsewhere than on loopback.
    """
    for each in listeners:
        if each.family != socket.AF_UNIX and not configuration.is_loopback(each.getsockname()[0]):
            fault = f"{server.name_of(each)}: others could read there without a token"
            raise ConfigError([fault], "Name its file as server.token_file, or listen on 127.0.0.1 in condord.socket.")


class Service:
    """Everything of one daemon, built; `run` brings it to life. What routes need of the house is here too."""

    def __init__(
        self, inputs: Inputs, *, listeners: Sequence[socket.socket], notifier: Notifier, state: Path | None
    ) -> None:
        config = inputs.config
        self._inputs = inputs
        self._login = inputs.login
        self._listeners = listeners
        self._notifier = notifier
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._parts = Parts()
        self._hung_up = asyncio.Event()
        self._letting_go: asyncio.TimerHandle | None = None
        self._vigil = Vigil()
        self._had_terminal = terminal.is_there()
        self._metrics = Metrics(__version__, self._numbers)
        self._brokerage = AlpacaRest(
            settings.rest(config), self._login, now_at=utc_now, observe=self._metrics.observe_request
        )
        self._store = self._open_store()
        supervised = settings.supervisor(config)
        self._edition = Edition(
            epoch=_epoch(),
            replay_size=config.server.replay_size,
            status=render.unread_status(supervised.source, supervised.feed, utc_now()),
            totals=render.UNREAD_TOTALS,
        )
        self._prices = Prices(max_symbols=config.cache.max_symbols, ttl_seconds=config.cache.ttl_seconds)
        self._book = Book(
            edition=self._edition, prices=self._prices, min_change_e4=round(config.stream.min_change * 10_000)
        )
        self._fanout = Fanout(self._edition, ring_size=config.server.ring_size)
        self.audience = Audience(self._fanout, settings=lambda: self.config.server, now_at=utc_now)
        self._coalescer = Coalescer(config.stream.window_ms / 1000)
        account = Account(config.rest.settle_seconds)
        self._publisher = Publisher(account=account, book=self._book, coalescer=self._coalescer, fanout=self._fanout)
        self._supervisor = Supervisor(
            supervised,
            brokerage=self._brokerage,
            desk=Desk(self._publisher, loop=self._loop, now_at=utc_now, observe=self._metrics.observe_update),
            login=self._login,
            store=self._store,
            now_at=utc_now,
            chance=random.random,
        )
        application = app.build(self)
        self._guard = guard.Guard(application, self._guard_settings(config))
        self._server = server.Server(
            Measured(self._guard, application.routes, self._metrics),
            subscribers=lambda: self.config.server.max_subscribers,
            note_refusal=self._metrics.count_refusal,
        )

    @property
    def address(self) -> str:
        """The URL at which this daemon answers."""
        return server.name_of(self._listeners[0])

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._inputs.config

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Raises:
            Failed: a part has ended by itself or makes no progress.
        """
        with self._signals(), self._vigil:
            async with asyncio.TaskGroup() as tasks:
                serve = functools.partial(self._server.run_on, self._listeners)
                supervising = tasks.create_task(self._parts.last("the supervisor", self._supervisor.run))
                serving = tasks.create_task(self._parts.last("the server", serve))
                others = [
                    tasks.create_task(self._announce(announce)),
                    tasks.create_task(self._parts.last("the reload", self._reloads)),
                    tasks.create_task(self._parts.last("the heartbeat", self.audience.heartbeats)),
                    tasks.create_task(self._parts.last("the watchdog", self._watchdog)),
                    tasks.create_task(self._parts.last("the watch over the supervisor", self._oversee)),
                ]
                await self._parts.stopping.wait()
                self._notifier.stopping()
                for task in (supervising, *others):
                    task.cancel()
                await self._server.accept_no_more()  # who comes back at once after its bye would be refused
                await self.audience.say_bye("the daemon is stopping")
                self._server.stop()
                await asyncio.wait({serving, supervising})
        self._brokerage.close()
        self._store.close()
        if self._parts.failure is not None:
            raise self._parts.failure
        _log.info("Stopped", extra=logs.fields(uptime_seconds=round(time.monotonic() - self._started, 1)))

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor makes progress."""
        now = self._loop.time()
        return now - self._supervisor.beat < ALIVE_SECONDS and self._supervisor.stuck(now) is None

    @property
    def is_ready(self) -> bool:
        """Whether positions are read and the stream is live or closed."""
        return self._supervisor.is_ready

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
            evicted=self.audience.evicted,
            resyncs=self._fanout.resyncs,
            refused={**self._prices.refused, **self._supervisor.refused},
            tasks=len(asyncio.all_tasks(self._loop)),
        )

    def refresh(self) -> None:
        """Read the positions again now."""
        self._supervisor.refresh()

    @property
    def registry(self) -> CollectorRegistry:
        """The metrics."""
        return self._metrics.registry

    def _numbers(self) -> Numbers:
        return counts.numbers(
            supervisor=self._supervisor,
            brokerage=self._brokerage,
            publisher=self._publisher,
            audience=self.audience,
            max_subscribers=self.config.server.max_subscribers,
        )

    async def _announce(self, announce: Callable[[str], None]) -> None:
        await self._server.is_serving.wait()
        self._notifier.ready(f"serving at {self.address}")
        announce(f"condord {__version__} serves at {self.address}")
        status = self._edition.status
        about = logs.fields(version=__version__, address=self.address, source=status.source, feed=status.feed)
        _log.info("Serving", extra=about)

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

    async def _oversee(self) -> None:
        """Once a second: show that the loop turns, and see that the supervisor makes progress."""
        stillness = Stillness(STUCK_LOOKS)
        progress = 0
        while True:
            due = self._loop.time() + 1.0
            await asyncio.sleep(1.0)
            self._metrics.observe_lag(max(0.0, self._loop.time() - due))
            self._vigil.advance()
            stuck = self._supervisor.stuck(self._loop.time())
            progress += stuck is None
            if stillness.step(progress) and stuck:
                self._parts.fail(stuck)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Answer signals; one that comes when all is over finds nothing to do, and is no reason to die of it.

        The loop's own handlers would leave a moment at the end in which it is.
        """
        ours = (signal.SIGINT, signal.SIGTERM)
        for number in ours:
            self._loop.add_signal_handler(number, self._parts.stopping.set)
        signal.signal(signal.SIGHUP, lambda *_: self._loop.call_soon_threadsafe(self._hung_up.set))
        try:
            yield
        finally:
            for number in ours:
                self._loop.remove_signal_handler(number)
            for number in (*ours, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)

    async def _reloads(self) -> None:
        """Reload when a SIGHUP came, once for all that came before; one that fails half-way is a bug of ours."""
        await self._server.is_serving.wait()
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            self._reload()

    def _reload(self) -> None:
        """Take what can be taken of new inputs without dropping anybody, and try a halted stream again.

        The hang-up of the terminal that it was started from comes as the same signal, and ends the daemon.
        """
        if self._had_terminal and not terminal.is_there():
            self._parts.stopping.set()
            return
        self._notifier.reloading()
        old = self.config
        try:
            waiting = self._inputs.renew()
        except CondordError as error:
            faults = error.faults if isinstance(error, ConfigError) else (str(error),)
            about = logs.fields(code=error.code, faults=list(faults), hint=error.hint)
            _log.error("Configuration refused, nothing changed", extra=about)
        else:
            self._apply(old)
            _log.info("Configuration reloaded", extra=logs.fields(needs_restart=waiting))
        self._supervisor.retry()
        self._notifier.ready()

    def _apply(self, old: Config) -> None:
        """Give every part what is in force now: REST before the streams, which ask it for what they missed."""
        config = self.config
        self._coalescer.window_seconds = config.stream.window_ms / 1000
        self._book.min_change_e4 = round(config.stream.min_change * 10_000)
        self._guard.settings = self._guard_settings(config)
        if config.server.max_subscribers > old.server.max_subscribers:
            server.reserve_files(config.server.max_subscribers)
        self._brokerage.set_breaker(config.rest.breaker_failures, config.rest.breaker_reset_seconds)
        login = self._inputs.login
        if login is not self._login or config.alpaca.feed != old.alpaca.feed:
            self._brokerage.relogin(settings.rest(config), login)
        store, has_other_account = self._store, login.key_id != self._login.key_id
        self._login = login
        if has_other_account:
            self._store = self._open_store()
        self._supervisor.reload(settings.supervisor(config), login, self._store)
        if has_other_account:
            store.close()
        if self._letting_go is not None:
            self._letting_go.cancel()
        self._letting_go = self._loop.call_later(LET_GO_SECONDS, self._inputs.let_go)

    def _open_store(self) -> Store:
        """What is kept of the account."""
        alpaca = self.config.alpaca
        return Store(self._state, account=f"{self._login.key_id} {alpaca.paper} {alpaca.trading_url}")

    def _guard_settings(self, config: Config) -> GuardSettings:
        hosts = frozenset(
            guard.host_name(name) or name.lower() for name in (config.server.host, *config.server.allowed_hosts)
        )
        is_unix = all(each.family == socket.AF_UNIX for each in self._listeners)
        return GuardSettings(
            knows_host=lambda name: is_unix or name in hosts or configuration.is_loopback(name),
            origins=frozenset(map(guard.origin_name, config.server.allowed_origins)),
            token=self._inputs.token.reveal if self._inputs.token else None,
        )


def _epoch() -> str:
    """A name for this run of the daemon, so that versions of another run are told apart."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
