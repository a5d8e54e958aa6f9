"""A worker that takes connections and sends each its number. Its reports count them."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys

import msgspec

from condord.daemon.counts import Counts
from condord.daemon.worker_messages import WorkerReport, WorkerSettings, line
from condord.host import child_process
from condord.host.handed_sockets import HandedListener
from condord.host.shared_counts import SharedCounts
from condord.http.merged_metrics import Family, SampleValue

BEAT_SECONDS = 0.05
"""Half of what `worker_pool` waits between two checks; its import would take as long as all others together."""
INVALID_FROM = 13
"""The limit of subscribers at which the worker sends invalid messages."""


async def beat(counts, number):
    for beats in itertools.count(1):
        counts.set(number, "beats", beats)
        await asyncio.sleep(BEAT_SECONDS)


async def main(handed, control, memory, number, workers):
    counts = SharedCounts(memory, workers)
    listener = HandedListener(fileno=handed)
    listener.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=control))
    kept = []

    def report():
        taken = float(listener.taken)
        families = {
            "condord_http_requests": Family("condord_http_requests", "", "counter", (SampleValue("condord_http_requests_total", {}, taken),)),
            "process_open_fds": Family("process_open_fds", "", "gauge", (SampleValue("process_open_fds", {}, 7.0),)),
        }  # fmt: skip
        writer.write(line(WorkerReport(counts=Counts(frames=listener.taken, tasks=1), families=families)))

    def accept():
        connection, _ = listener.accept()
        kept.append(connection)
        counts.set(number, "subscribers", len(kept))
        connection.send(f"{number} {os.getpid()}\n".encode())
        report()

    def stop():
        with contextlib.suppress(BlockingIOError):
            while True:
                accept()
        os._exit(0)

    asyncio.get_running_loop().add_reader(listener, accept)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    beating = asyncio.create_task(beat(counts, number))
    first = True
    while received := await reader.readline():
        settings = msgspec.json.decode(received, type=WorkerSettings)
        if settings.server.max_subscribers == INVALID_FROM:
            writer.write(b"no report\n")
        for connection in kept:
            connection.send(f"most {settings.server.max_subscribers}\n".encode())
        if first:
            report()
        first = False
    beating.cancel()


if __name__ == "__main__":
    child_process.end_with_parent()
    asyncio.run(main(*map(int, sys.argv[1:])))
