"""Run the daemon: start its parts, answer signals, and stop everything within five seconds.

The sockets are opened first, so that a start on a taken port fails before anything else is done. On a stop, every
stream first gets its `bye`. Then the server closes, and last the connections to Alpaca.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from condord import __version__
from condord.config.schema import Config
from condord.config.startup import Startup
from condord.daemon import wiring
from condord.daemon.build import Parts, build
from condord.daemon.reload import Inputs
from condord.host import instance_lock, logs, signals, terminal
from condord.host.hang_watchdog import HangWatchdog, StallCounter
from condord.host.systemd import Notifier, listen_sockets
from condord.host.thread_pool import ResolvingLoop
from condord.http import server
from condord.live import wire
from condord.tasks import Lifetime
from condord.upstream.state_files import directory as state_directory

STUCK_LOOKS = 10
"""How often in a row the supervisor, which is checked once a second, may be found stuck.

A process that was stopped (SIGSTOP) finds it stuck once after it continues, so one look proves nothing.
"""

_log = logging.getLogger(__name__)


def run(
    startup: Startup,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config] | None = None,
    log_dropped: Callable[[], int] = lambda: 0,
) -> None:
    """Run the daemon in the foreground until SIGINT or SIGTERM.

    Args:
        startup: the configuration, its warnings, the key and the token.
        environ: the environment, with systemd's variables if it started the daemon.
        announce: gets one line when the daemon serves.
        reread: loads the configuration again on SIGHUP.
        log_dropped: returns how many log lines could not be written.

    Raises:
        CondordError: the address is taken, another daemon has the stream, or the proxy or certificates named in the
            environment cannot be used.
    """
    config = startup.loaded.config
    with instance_lock.Locks(instance_lock.directory(environ)) as locks:
        inputs = Inputs(startup, environ=environ, reread=reread or (lambda: config), locks=locks)
        for warning in startup.loaded.warnings:
            _log.warning("Configuration warning", extra=logs.fields(code="configuration", reason=warning))
        own_environ = dict(environ)
        notifier = Notifier.from_environ(own_environ)
        source = wiring.source(config)
        state = state_directory(environ, lasts=source != "simulator")
        server.reserve_files(config.server.max_subscribers)

        async def main(listeners: Sequence[socket.socket]) -> None:
            parts = build(inputs, listeners=listeners, state=state, history=history, log_dropped=log_dropped)
            await Service(parts, notifier).run(announce)

        with (
            _history_directory(state, source) as history,
            server.listening(wiring.address(config), listen_sockets(own_environ)) as listeners,
            asyncio.Runner(loop_factory=ResolvingLoop) as runner,
        ):
            if inputs.token is None:
                server.require_loopback(listeners)
            runner.run(main(listeners))


@contextlib.contextmanager
def _history_directory(state: Path | None, source: wire.Source) -> Iterator[Path | None]:
    """The state directory; for a simulator without one, a temporary directory, removed at the end.

    None if there is neither.
    """
    if state is not None or source != "simulator":
        yield state
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="condord-history-", ignore_cleanup_errors=True)
    except OSError:  # no directory can be written
        yield None
        return
    with temporary as path:
        yield Path(path)


class Service:
    """The running daemon."""

    def __init__(self, parts: Parts, notifier: Notifier) -> None:
        self._parts = parts
        self._notifier = notifier
        self._lifetime = Lifetime()
        self._hung_up = asyncio.Event()
        self._hang_watchdog = HangWatchdog()
        self._had_terminal = terminal.is_attached()

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Raises:
            Failed: a part ended by itself or makes no progress.
        """
        loop = asyncio.get_running_loop()
        with (
            signals.answered(loop, end=self._lifetime.stopping.set, hang_up=self._hung_up.set),
            self._hang_watchdog,
        ):
            await self._run_tasks(announce)
        self._parts.upstream.close()
        if self._lifetime.failure is not None:
            raise self._lifetime.failure
        _log.info("Stopped", extra=logs.fields(uptime_seconds=round(self._parts.view.uptime_seconds, 1)))

    async def _run_tasks(self, announce: Callable[[str], None]) -> None:
        parts, keep = self._parts, self._lifetime.keep
        async with asyncio.TaskGroup() as tasks:
            serve = functools.partial(parts.server.run_on, parts.listeners)
            supervising = tasks.create_task(keep("the supervisor", parts.upstream.supervisor.run))
            serving = tasks.create_task(keep("the server", serve))
            others = [
                tasks.create_task(self._announce(announce)),
                tasks.create_task(keep("the reload", self._reload_on_hang_up)),
                tasks.create_task(keep("the heartbeat", parts.subscribers.heartbeats)),
                tasks.create_task(keep("the watchdog", self._feed_systemd)),
                tasks.create_task(keep("the watch over the supervisor", self._oversee)),
                tasks.create_task(keep("the trade book", parts.upstream.past.trade_book.run)),
                tasks.create_task(keep("the delivery", parts.upstream.alerts.delivery.run)),
            ]
            alerting = tasks.create_task(keep("the alerts", parts.upstream.alerts.run))
            recording = tasks.create_task(keep("the recorder", parts.upstream.past.recorder.run))
            await self._lifetime.stopping.wait()
            self._notifier.stopping()
            for task in (supervising, *others):
                task.cancel()
            running_minute = parts.publisher.book.minutes.running()
            finishing = [
                tasks.create_task(parts.upstream.past.recorder.finish(running_minute)),
                tasks.create_task(parts.upstream.alerts.finish()),
            ]
            # Before the streams end: a client that reconnects at once after its `bye` would be refused.
            await parts.server.stop_accepting()
            await parts.subscribers.say_bye("the daemon is stopping")
            parts.server.stop()
            await asyncio.wait(finishing)
            recording.cancel()
            alerting.cancel()
            await asyncio.wait({serving, supervising})

    async def _announce(self, announce: Callable[[str], None]) -> None:
        view = self._parts.view
        await self._parts.server.is_serving.wait()
        self._notifier.ready(f"serving at {view.address}")
        announce(f"condord {__version__} serves at {view.address}")
        status = self._parts.upstream.supervisor.status()
        fields = logs.fields(version=__version__, address=view.address, source=status.source, feed=status.feed)
        _log.info("Serving", extra=fields)

    async def _feed_systemd(self) -> None:
        """Ping systemd's watchdog while the supervisor makes progress, and send the state when it changes."""
        shown = ""
        while True:
            await asyncio.sleep(min(self._notifier.watchdog_seconds or 1.0, 1.0))
            if self._parts.view.is_alive:
                self._notifier.ping()
            status = self._parts.upstream.supervisor.status()
            if (text := f"{status.state}: {status.reason}" if status.reason else status.state) != shown:
                self._notifier.status(shown := text)

    async def _oversee(self) -> None:
        """Once a second, advance the hang watchdog and check that the supervisor makes progress."""
        loop, supervisor = asyncio.get_running_loop(), self._parts.upstream.supervisor
        stalls = StallCounter(STUCK_LOOKS)
        progress = 0
        while True:
            due = loop.time() + 1.0
            await asyncio.sleep(1.0)
            self._parts.metrics.observe_lag(max(0.0, loop.time() - due))
            self._hang_watchdog.advance()
            stuck = supervisor.stuck(loop.time())
            progress += stuck is None
            if stalls.step(progress) and stuck:
                self._lifetime.fail(stuck)

    async def _reload_on_hang_up(self) -> None:
        """Reload on SIGHUP, once for all signals since the last reload.

        The kernel sends the same signal when the terminal that started the daemon hangs up, which stops the daemon.
        """
        await self._parts.server.is_serving.wait()
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            if self._had_terminal and not terminal.is_attached():
                self._lifetime.stopping.set()
                continue
            self._notifier.reloading()
            self._parts.reload.run()
            self._notifier.ready()
