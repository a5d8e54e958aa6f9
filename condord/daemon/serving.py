"""Run a server in the foreground: start its parts, handle signals, and stop everything within five seconds.

What the process does besides serving is its job: a daemon reads an account, a relay follows another condord. On a stop,
every stream first gets its `bye`. Then the server closes, and finally the job.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from condord import __version__
from condord.daemon.subscribers import Subscribers
from condord.daemon.worker_pool import WorkerPool
from condord.errors import CondordError
from condord.host import logs, signals, terminal
from condord.host.hang_watchdog import HangWatchdog, StallCounter
from condord.host.suspensions import Suspensions
from condord.host.systemd import Notifier
from condord.http import server
from condord.http.metrics import Metrics
from condord.tasks import Lifetime

STUCK_CHECKS = 10
"""How many checks in a row, one a second, must find the job stuck.

A process that was stopped (SIGSTOP) finds its job stuck once after it continues, so one check proves nothing.
"""

_log = logging.getLogger(__name__)


class ServiceView(Protocol):
    """The part of the routes' view that the service reads."""

    @property
    def address(self) -> str:
        """The URL at which this process answers."""

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the process was built."""

    @property
    def is_alive(self) -> bool:
        """Whether the job makes progress."""


class ServerParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that every server starts and stops.

    With `workers`, they serve the clients, and this process serves only them.
    """

    subscribers: Subscribers
    metrics: Metrics
    view: ServiceView
    listeners: Sequence[socket.socket]
    server: server.HttpServer
    workers: WorkerPool | None = None


class Job(Protocol):
    """The work of a process besides serving."""

    @property
    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until the stop, by name."""

    @property
    def writers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until `finish` has returned, by name."""

    @property
    def log_fields(self) -> Mapping[str, object]:
        """The fields that are logged when the process begins to serve."""

    def stuck(self, now: float) -> str | None:
        """Why it makes no progress at `now` (loop seconds), or None."""

    def note_suspension(self, seconds: float) -> None:
        """Mark what is known as old: nothing has run for `seconds`, and what came meanwhile has not been read."""

    def status_text(self) -> str:
        """The state for `systemctl status`."""

    def reload(self) -> None:
        """Apply a new configuration; logs the result."""

    async def finish(self) -> None:
        """Store the waiting records, within a second or so. `tasks` are being cancelled."""

    def close(self) -> None:
        """Close files, connections and threads. No task runs any longer."""


class Service:
    """A running server with its job. `is_child`: another condord has started this process, as a worker or a maker."""

    def __init__(
        self, parts: ServerParts, job: Job, notifier: Notifier, suspensions: Suspensions, *, is_child: bool = False
    ) -> None:
        self._parts = parts
        self._job = job
        self._notifier = notifier
        self._is_child = is_child
        self._lifetime = Lifetime()
        self._hung_up = asyncio.Event()
        self._hang_watchdog = HangWatchdog()
        self._had_terminal = terminal.is_attached()
        suspensions.watch(job.note_suspension)

    def stop(self, error: CondordError) -> None:
        """Stop serving because of `error`, which `run` then raises."""
        self._lifetime.stop(error)

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Raises:
            CondordError: a part ended by itself or makes no progress, or the job cannot continue.
        """
        loop = asyncio.get_running_loop()
        stop, hang_up = self._lifetime.stopping.set, self._hung_up.set
        with signals.answered(loop, end=stop, hang_up=hang_up, is_child=self._is_child), self._hang_watchdog:
            await self._run_tasks(announce)
        self._job.close()
        if self._lifetime.failure is not None:
            raise self._lifetime.failure
        _log.info("Stopped", extra=logs.fields(uptime_seconds=round(self._parts.view.uptime_seconds, 1)))

    async def _run_tasks(self, announce: Callable[[str], None]) -> None:
        parts, keep = self._parts, self._lifetime.keep
        async with asyncio.TaskGroup() as tasks:
            serve = functools.partial(parts.server.run_on, parts.listeners)
            ending = [tasks.create_task(keep(name, work)) for name, work in self._job.tasks.items()]
            tasks.create_task(keep("the server", serve))
            if parts.workers is not None:
                ending.append(tasks.create_task(keep("the workers", parts.workers.run)))
            ending += [
                tasks.create_task(self._announce(announce)),
                tasks.create_task(keep("the reload", self._reload_on_hang_up)),
                tasks.create_task(keep("the heartbeat", parts.subscribers.heartbeats)),
                tasks.create_task(keep("the watchdog", self._feed_systemd)),
                tasks.create_task(keep("the check of the job", self._oversee)),
            ]
            writing = [tasks.create_task(keep(name, work)) for name, work in self._job.writers.items()]
            await self._lifetime.stopping.wait()
            self._notifier.stopping()
            for task in ending:
                task.cancel()
            finishing = tasks.create_task(self._job.finish())
            if parts.workers is not None:
                await parts.workers.stop()
            # Before the streams end: a client that reconnects at once after its `bye` must not be refused.
            await parts.server.stop_accepting()
            await parts.subscribers.say_bye("the daemon is stopping")
            parts.server.stop()
            await asyncio.wait({finishing})
            for task in writing:
                task.cancel()

    async def _announce(self, announce: Callable[[str], None]) -> None:
        view = self._parts.view
        await self._parts.server.is_serving.wait()
        if self._parts.workers is not None:
            await self._parts.workers.is_ready.wait()
        self._notifier.ready(f"serving at {view.address}")
        announce(f"condord {__version__} serves at {view.address}")
        fields = logs.fields(version=__version__, address=view.address, **self._job.log_fields)
        _log.info("Serving", extra=fields)

    async def _feed_systemd(self) -> None:
        """Ping systemd's watchdog while the job makes progress, and send the state when it changes."""
        shown = ""
        while True:
            await asyncio.sleep(min(self._notifier.watchdog_seconds or 1.0, 1.0))
            if self._parts.view.is_alive:
                self._notifier.ping()
            if (text := self._job.status_text()) != shown:
                self._notifier.status(shown := text)

    async def _oversee(self) -> None:
        """Once a second, advance the hang watchdog and check that the job makes progress."""
        loop = asyncio.get_running_loop()
        stalls = StallCounter(STUCK_CHECKS)
        progress = 0
        while True:
            due = loop.time() + 1.0
            await asyncio.sleep(1.0)
            self._parts.metrics.observe_lag(max(0.0, loop.time() - due))
            self._hang_watchdog.advance()
            stuck = self._job.stuck(loop.time())
            progress += stuck is None
            if stalls.step(progress) and stuck:
                self._lifetime.fail(stuck)

    async def _reload_on_hang_up(self) -> None:
        """Reload on SIGHUP, once for all signals since the last reload.

        The kernel sends the same signal when the terminal that started the process hangs up, which stops it.
        """
        await self._parts.server.is_serving.wait()
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            if self._had_terminal and not terminal.is_attached():
                self._lifetime.stopping.set()
                continue
            self._notifier.reloading()
            self._job.reload()
            if self._parts.workers is not None:
                self._parts.workers.reload()
            self._notifier.ready()
