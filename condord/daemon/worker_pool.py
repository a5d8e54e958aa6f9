"""The workers of a daemon: start them, hand them the connections of clients in turn, and add up what they count.

The daemon accepts each connection and hands it to the worker that has the fewest. So the load is even from the first
connection on, even after a worker was restarted, and no queued connection is lost when a worker ends. With an
SO_REUSEPORT socket for each worker, the kernel would choose by a hash: of 1,000 connections, one of eight workers then
has 12 to 25 % more or fewer than its share, and one of sixteen 20 to 33 %. Besides, any process of the user could join
the port.

A worker that is stopped or hangs is noticed after `SILENT_CHECKS`. It then gets no connections, and those that it was
handed and has not taken yet go to another one.

The kernel holds some 280 connections for a worker that has not taken them yet. If more clients come at once, as after a
pause of the daemon, the others wait in the queues of the listeners until the workers have taken some.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from itertools import count

import msgspec
from prometheus_client.registry import Collector

from condord.config import schema
from condord.config.schema import Config
from condord.daemon import web
from condord.daemon.counts import Counts
from condord.daemon.place import Place, WorkerResources
from condord.daemon.worker_messages import MAX_LINE_BYTES, WorkerReport, WorkerSettings, line
from condord.host.child_process import ChildProcess, RestartedChild
from condord.host.handed_sockets import Handover
from condord.host.hang_watchdog import StallCounter
from condord.host.secret import Secret
from condord.http import merged_metrics
from condord.http.merged_metrics import Families, MergedRegistry
from condord.http.server import ACCEPTED_AT_ONCE, BACKLOG

MODULE = "condord.daemon.worker"
PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "NO_COLOR", "JOURNAL_STREAM", "TMPDIR")
"""The variables that a worker gets, besides Python's. Others may contain keys."""
CHECK_SECONDS = 0.1
SILENT_CHECKS = 4
"""A worker whose event loop has not run for this many checks gets no connection while another one can take it.

Checks are counted instead of seconds, because a pause of this process, or of the machine, is no silence of the workers.
"""
PAUSE_SECONDS = 1.0
"""How long nothing is accepted after the process has run out of file descriptors."""

HAND_AGAIN_SECONDS = 0.01
"""The pause before connections that no worker could take are handed over again."""

_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


class WorkerSlot:
    """One place for a worker, and the process that has it now. `process` is the index in the shared counts.

    `changed` is called after each report and each end. `pass_on` gets the connections that a worker had
    not taken when it ended.
    """

    def __init__(
        self,
        resources: WorkerResources,
        process: int,
        *,
        environ: Mapping[str, str],
        changed: Callable[[], None],
        pass_on: Callable[[Iterable[socket.socket]], None],
    ) -> None:
        self.process = process
        self.report: WorkerReport | None = None
        self.past = Counts()
        self.past_families: Families = {}
        self.is_silent = False
        self._settings = b""
        self._stalls = StallCounter(SILENT_CHECKS)
        self._resources = resources
        self._environ = environ
        self._changed = changed
        self._pass_on = pass_on
        self._handover: Handover | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.kept = RestartedChild(f"worker-{process + 1}", self._start)

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        return self.report is not None

    @property
    def load(self) -> int:
        """How many connections it has, including those that it has not taken yet."""
        handed = 0 if self._handover is None else self._handover.handed
        return handed - self._resources.counts.get(self.process, "gone")

    def hand(self, connection: socket.socket) -> bool:
        """Hand it a connection; False if it takes none now."""
        return self._handover is not None and self._handover.hand(connection)

    def take_back(self) -> Iterable[socket.socket]:
        """Take back the connections that it has not taken. The caller closes them."""
        return () if self._handover is None else self._handover.take_back()

    def check_progress(self) -> None:
        """Check whether its event loop has run since the last check."""
        self.is_silent = self._stalls.step(self._resources.counts.get(self.process, "beats"))

    def set_settings(self, settings: WorkerSettings) -> None:
        """Send these to the process, and to each that replaces it."""
        self._settings = line(settings)
        self._send_settings()

    def _send_settings(self) -> None:
        if self._writer is not None:
            self._writer.write(self._settings)

    async def _start(self) -> ChildProcess:
        await self._end()
        handover, (ours, theirs) = Handover(), socket.socketpair()
        with theirs:
            numbers = (handover.descriptor, theirs.fileno(), self._resources.counts.descriptor)
            arguments = [str(number) for number in (*numbers, self.process, self._resources.counts.processes)]
            try:
                child = await ChildProcess.start(MODULE, arguments, environ=self._environ, pass_fds=numbers)
            except BaseException:
                handover.close()
                ours.close()
                raise
        self._handover = handover
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
        except BaseException:
            await child.kill()
            raise
        self._send_settings()
        self._reading = asyncio.create_task(self._read(reader))
        return child

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take its reports until it ends."""
        try:
            while received := await reader.readline():
                if self.report is None:
                    self._stalls, self.is_silent = StallCounter(SILENT_CHECKS), False
                self.report = msgspec.json.decode(received, type=WorkerReport)
                self._changed()
        except (OSError, ValueError) as error:  # ValueError: the line is too long
            fields = {"child": self.kept.name, "reason": type(error).__name__}
            _log.error("A worker sent an unreadable report and is killed", extra={"fields": fields})
            if self.kept.child is not None:
                self.kept.child.send_signal(signal.SIGKILL)
        self._forget()

    def _forget(self) -> None:
        """Keep its counts, hand it no further connections, and hand those that it has not taken to another."""
        if self.report is not None:
            self.past += self.report.counts.lasting()
            lasting = merged_metrics.lasting(self.report.families)
            self.past_families = merged_metrics.added(self.past_families, lasting)
            self.report = None
        self._resources.counts.clear(self.process)
        self._changed()
        handover, self._handover = self._handover, None
        if handover is not None:
            self._pass_on(handover.take_back())
            handover.close()

    async def _end(self) -> None:
        """Close what the last process has left open."""
        if self._reading is not None:
            await self._reading
            self._reading = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def run(self) -> None:
        """Keep a process running until cancelled."""
        try:
            await self.kept.run()
        finally:
            await self._end()


class WorkerPool:
    """The workers of a daemon. `settings` returns the settings that they are sent. `registry` gets their counts."""

    def __init__(
        self,
        resources: WorkerResources,
        *,
        workers: int,
        settings: Callable[[], WorkerSettings],
        environ: Mapping[str, str],
        registry: MergedRegistry,
    ) -> None:
        self.is_ready = asyncio.Event()
        self.registry = registry
        self._resources = resources
        self._settings = settings
        environ = {name: value for name, value in environ.items() if name in PASSED or name.startswith("PYTHON")}
        self._workers = [
            WorkerSlot(resources, process, environ=environ, changed=self._note_change, pass_on=self._pass_on)
            for process in range(workers)
        ]
        self._accepting: set[socket.socket] = set()
        self._untaken: collections.deque[socket.socket] = collections.deque()
        self._is_open = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def counts(self) -> Counts:
        """The counts of all workers, including those that have ended."""
        total = Counts()
        for worker in self._workers:
            total += worker.past
            if worker.report is not None:
                total += worker.report.counts
        # Subscribers are known at once, the rest with the next report.
        return msgspec.structs.replace(total, subscribers=self._resources.counts.total("subscribers"))

    async def run(self) -> None:
        """Run the workers until `stop`, and hand them connections."""
        self._is_open = True
        for listener in self._resources.listeners:
            listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self.reload()
        async with asyncio.TaskGroup() as tasks:
            works = [*(worker.run() for worker in self._workers), self._watch()]
            self._tasks = [tasks.create_task(work) for work in works]
        await asyncio.Event().wait()

    def reload(self) -> None:
        """Send the workers the settings now in force."""
        settings = self._settings()
        for worker in self._workers:
            worker.set_settings(settings)

    async def stop(self) -> None:
        """Hand over the connections in the queues, stop the workers, and wait until they have ended."""
        for listener in self._accepting.copy():
            for _ in range(BACKLOG // ACCEPTED_AT_ONCE):
                if not self._accept(listener):
                    break
        self._is_open = False
        self._pause()
        while self._untaken:
            self._untaken.popleft().close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _watch(self) -> None:
        """Find the workers that are silent, and hand their waiting connections to others."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for worker in self._workers:
                worker.check_progress()
            serving = self._serving()
            for worker in self._workers:
                if worker not in serving:
                    self._pass_on(worker.take_back())

    def _note_change(self) -> None:
        """Accept while there is a worker, and keep the sum of the metrics."""
        if all(worker.is_ready for worker in self._workers):
            self.is_ready.set()
        if any(worker.is_ready for worker in self._workers):
            self._resume()
        else:
            self._pause()
        found: Families = {}
        for worker in self._workers:
            found = merged_metrics.added(found, worker.past_families)
            if worker.report is not None:
                found = merged_metrics.added(found, worker.report.families)
        self.registry.set_others(found)

    def _resume(self) -> None:
        if self._is_open and not self._untaken:
            for listener in set(self._resources.listeners) - self._accepting:
                self._accepting.add(listener)
                asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _pause(self) -> None:
        for listener in self._accepting:
            asyncio.get_running_loop().remove_reader(listener)
        self._accepting.clear()

    def _accept(self, listener: socket.socket) -> bool:
        """Hand over the next connections of a listener; False once its queue is empty."""
        for number in count():
            if number == ACCEPTED_AT_ONCE:
                return True
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._pause_full(error)
                return False
            self._pass_on([connection])
            if self._untaken:
                return False
        raise AssertionError

    def _pause_full(self, error: OSError) -> None:
        """Pause, because no file descriptor or memory is left for a connection."""
        fields = {"reason": os.strerror(error.errno or 0), "seconds": PAUSE_SECONDS}
        _log.error("No connection can be accepted", extra={"fields": fields})
        self._pause()
        asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._note_change)

    def _pass_on(self, connections: Iterable[socket.socket]) -> None:
        """Hand over connections, in order. While no worker can take one, it waits, and no others are accepted."""
        is_waiting = bool(self._untaken)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
            if self._untaken or not self._hand(connection):
                self._untaken.append(connection)
        if self._untaken and not is_waiting:
            self._pause()
            asyncio.get_running_loop().call_later(HAND_AGAIN_SECONDS, self._hand_again)

    def _hand(self, connection: socket.socket) -> bool:
        """Hand a connection to the least loaded worker that takes it; False if none does."""
        for worker in sorted(self._serving(), key=lambda each: each.load):
            if worker.hand(connection):
                connection.close()
                return True
        return False

    def _hand_again(self) -> None:
        while self._untaken and self._hand(self._untaken[0]):
            self._untaken.popleft()
        if self._untaken:
            asyncio.get_running_loop().call_later(HAND_AGAIN_SECONDS, self._hand_again)
        else:
            self._note_change()

    def _serving(self) -> list[WorkerSlot]:
        """The workers that are ready, without those that are silent unless all are."""
        ready = [worker for worker in self._workers if worker.is_ready]
        return [worker for worker in ready if not worker.is_silent] or ready


def build(
    place: Place,
    *,
    registry: Collector,
    config: Callable[[], Config],
    token: Secret | None,
    environ: Mapping[str, str],
) -> WorkerPool | None:
    """The workers of a process at `place`; None if it serves itself. `config` returns the configuration in force."""
    resources = place.worker_resources
    if resources is None:
        return None

    def settings() -> WorkerSettings:
        own = config().cluster
        return WorkerSettings(
            server=config().server,
            log=config().log,
            token=token.reveal() if token else None,
            source=resources.source,
            address=place.address,
            takes_any_host=web.is_unix_only(resources.listeners),
            tickets=str(resources.tickets),
            cluster=schema.Cluster(role=own.role, source=own.source, bus=own.bus),
        )

    workers = config().server.workers
    return WorkerPool(resources, workers=workers, settings=settings, environ=environ, registry=MergedRegistry(registry))
