"""A worker: a relay of the daemon that has started it, which hands it the connections of clients.

`worker_pool` starts it. It reads no configuration, and imports nothing that reads an account.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import msgspec

from condord.client.address import parse_url
from condord.cluster.connection import SourceSettings
from condord.cluster.follower import LOST_SECONDS
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Cluster, Config
from condord.config.sources import LoadedConfig
from condord.daemon import relay_service
from condord.daemon.followed import FollowedSource
from condord.daemon.place import Place
from condord.daemon.relay import RelayInputs
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.worker_messages import MAX_LINE_BYTES, REPORT_SECONDS, WorkerReport, WorkerSettings, line
from condord.errors import CondordError
from condord.host import child_process, stderr
from condord.host.handed_sockets import HandedListener
from condord.host.network import Network
from condord.host.secret import Secret
from condord.host.shared_counts import SharedCounts, SharedSlots
from condord.host.suspensions import Suspensions
from condord.host.systemd import Notifier
from condord.host.thread_pool import ResolvingLoop
from condord.http import merged_metrics, server
from condord.http.tickets import TicketFiles
from condord.http.worker_routes import ENDPOINTS
from condord.live import wire
from condord.live.relay_path import RelayPath
from condord.live.replica import Replica

COUNT_SECONDS = 0.1
"""How often a worker beats, and how often the numbers that all processes share are corrected."""

MAX_WAIT_SECONDS = 0.5
"""The daemon runs as long as its workers do. If it does not answer, it is only paused, so they try again soon."""
_READY_CHECK_SECONDS = 0.02

_log = logging.getLogger(__name__)


class FollowedDaemon(FollowedSource):
    """The daemon that has started this worker. The worker has the role that the daemon had at that time."""

    def __init__(
        self,
        own: Cluster,
        settings: SourceSettings,
        replica: Replica,
        feed: RelayFeed,
        refused: Callable[[CondordError], None],
    ) -> None:
        super().__init__(
            settings,
            replica,
            feed,
            refused,
            relays=RelayPath(),
            name="the daemon of this worker",
            max_wait_seconds=MAX_WAIT_SECONDS,
        )
        self._role: wire.Role = "standby" if own.is_elected else "relay" if own.role == "relay" else "all"
        self._own_source = own.source.rstrip("/") or None

    @property
    def cluster(self) -> wire.ClusterJson:
        """The daemon's role and source, with this worker's counts."""
        return msgspec.structs.replace(super().cluster, role=self._role, source=self._own_source)


class WorkerProcess:
    """This process. `number` is its index in `counts`, and its connections come through `handed`."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        number: int,
        handed: HandedListener,
        counts: SharedCounts,
        suspensions: Suspensions,
    ) -> None:
        self._settings = settings
        token = None if settings.token is None else Secret(settings.token)
        loaded = LoadedConfig(config=self._config(), path=None, origins={})
        startup = RelayStartup(loaded=loaded, source_token=token, token=token)
        self._inputs = RelayInputs(startup, environ=os.environ, reread=self._config, worker=number + 1)
        network = Network(os.environ)
        source = SourceSettings(
            address=parse_url(f"unix://{settings.source}"), token=token, context=lambda: network.context
        )
        self._handed = handed
        self._counts, self._number = counts, number
        self._slots = SharedSlots(counts, number)
        place = Place(
            listeners=[handed],
            address=settings.address,
            takes_any_host=settings.takes_any_host,
            slots=self._slots,
            used_tickets=TicketFiles(Path(settings.tickets)),
            endpoints=ENDPOINTS,
        )
        follow = functools.partial(FollowedDaemon, settings.cluster, source)
        self._built = relay_service.build(
            self._inputs,
            follow,
            Notifier("", None),
            suspensions=suspensions,
            place=place,
            log_dropped=stderr.dropped,
        )

    def _config(self) -> Config:
        """The configuration with the settings in force."""
        return Config(server=self._settings.server, log=self._settings.log, cluster=self._settings.cluster)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until SIGTERM.

        Raises:
            CondordError: a part has ended by itself, or the daemon does not accept its own token.
        """
        server.reserve_files(self._settings.server.max_subscribers, is_child=True)
        background = [
            asyncio.create_task(work) for work in (self._take_settings(reader), self._report(writer), self._count())
        ]
        try:
            await self._built.service.run(lambda _: None)
        finally:
            for task in background:
                task.cancel()

    async def _take_settings(self, reader: asyncio.StreamReader) -> None:
        """Apply the settings that the daemon sends after a reload."""
        while received := await reader.readline():
            self._settings = msgspec.json.decode(received, type=WorkerSettings)
            self._built.job.renew()

    async def _report(self, writer: asyncio.StreamWriter) -> None:
        """Report the counts, starting once there is a document, after `LOST_SECONDS` at the latest."""
        await self._built.server.is_serving.wait()
        for _ in range(round(LOST_SECONDS / _READY_CHECK_SECONDS)):
            if self._built.view.unread is None:
                break
            await asyncio.sleep(_READY_CHECK_SECONDS)
        while True:
            counts = msgspec.structs.replace(self._built.counts(), tasks=len(asyncio.all_tasks()))
            report = WorkerReport(counts=counts, families=merged_metrics.families(self._built.registry))
            writer.write(line(report))
            await writer.drain()
            await asyncio.sleep(REPORT_SECONDS)

    async def _count(self) -> None:
        """Beat, and correct the shared numbers for closed connections, and for slots that no stream uses."""
        for beats in count(1):
            self._counts.set(self._number, "beats", beats)
            self._slots.note_gone(self._handed.taken - len(self._built.server.server_state.connections))
            self._built.subscribers.note_slots()
            await asyncio.sleep(COUNT_SECONDS)


async def _serve(
    number: int, control: socket.socket, handed: HandedListener, counts: SharedCounts, suspensions: Suspensions
) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=MAX_LINE_BYTES)
    settings = msgspec.json.decode(await reader.readline(), type=WorkerSettings)
    worker = WorkerProcess(settings, number=number, handed=handed, counts=counts, suspensions=suspensions)
    await worker.run(reader, writer)


def main(arguments: Sequence[str]) -> int:
    """Serve, and return the exit code. `arguments`: three descriptors, this worker's number, and that of workers."""
    child_process.end_with_parent()
    handed, control, memory, number, workers = map(int, arguments)
    stderr.unblock()
    counts = SharedCounts(memory, workers)
    handed_listener = HandedListener(fileno=handed)
    handed_listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    suspensions = Suspensions()
    try:
        with asyncio.Runner(loop_factory=lambda: ResolvingLoop(suspensions.selector())) as runner:
            runner.run(_serve(number, socket.socket(fileno=control), handed_listener, counts, suspensions))
    except CondordError as error:
        _log.error("A worker ends itself", extra={"fields": {"code": error.code, "reason": str(error)}})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
