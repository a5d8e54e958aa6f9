"""Measure what a relay adds: latency, CPU for each delivery, and memory, beside its source in the same run.

A source gets quotes as in fanout.py. A relay follows it, and another one that relay. Each in turn gets the subscribers,
while the others pass the same events on. A latency is the time from handing a quote to the source until a subscriber
has read its frame, so what a hop adds is the difference. `resident` is VmRSS before the subscribers come and with all.

Run it: python benchmarks/relay.py [--subscribers 1000] [--rate 4] [--seconds 10]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import fanout
from subscribers import following, report_of, room

MAX_RESIDENT_KB = 45_000
SPARE = 10
"""Streams besides those of the subscribers: of relays, and of subscribers that are leaving."""


class Server(NamedTuple):
    """A server of the chain."""

    name: str
    url: str
    pid: int


@contextlib.contextmanager
def relay(source: str, subscribers: int) -> Iterator[tuple[str, int]]:
    """Run a relay of `source`; yields its URL and its pid."""
    limit = {"CONDORD_SERVER_MAX_SUBSCRIBERS": str(subscribers), "CONDORD_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "condord", "relay", "--source", source, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **limit}) as process:
        try:
            line = next(line for line in process.stderr if "serves at" in line)
            yield line.split()[-1], process.pid
        finally:
            process.terminate()


def resident_kb(pid: int) -> int:
    """Return how much memory a process holds."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def measure(server: Server, case: fanout.Case, served: fanout.Served, core: int) -> dict[str, str]:
    """Return one line of the table."""
    before = resident_kb(server.pid)
    with following(f"{server.url}/api/stream", server.pid, case.subscribers, case.seconds, core) as client:
        fanout.drive(served.hand, case.quotes, client)
        report = report_of(client)
    return {
        "server": server.name.rjust(8),
        "subscribers": f"{report.subscribers}",
        "frames/s": f"{report.frames_per_second:.1f}",
        "p50 ms": f"{report.p50_ms:.1f}",
        "p99 ms": f"{report.p99_ms:.1f}",
        "us each": f"{report.cpu_us:.1f}",
        "lost": f"{report.lost}",
        "resident MB": f"{before / 1000:.1f}",
        "with all": f"{resident_kb(server.pid) / 1000:.1f}",
    }


def main() -> int:
    """Print the table; return 1 if a relay without subscribers is larger than promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=4.0, help="frames a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    count = min(chosen.subscribers, room())
    case = fanout.Case(count, chosen.rate, chosen.rate, int(900 / chosen.rate), chosen.seconds, workers=0)
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        limit = count + SPARE
        served = stack.enter_context(fanout.condord(case._replace(subscribers=limit), ""))
        chain = [Server("source", served.url.removesuffix("/api/stream"), served.pid)]
        for name in ("relay", "its relay"):
            chain.append(Server(name, *stack.enter_context(relay(chain[-1].url, limit))))
        for server in chain:
            os.sched_setaffinity(server.pid, {cores[0]})
        lines = []
        for size in (1, count):
            lines += [measure(server, case._replace(subscribers=size), served, cores[-1]) for server in chain]
        largest = max(resident_kb(server.pid) for server in chain[1:])
    for line in (dict(zip(lines[0], lines[0], strict=True)), *lines):
        print(*(text.rjust(max(len(name), 9)) for name, text in line.items()), flush=True)
    if largest > MAX_RESIDENT_KB + 16 * count:
        print(f"a relay holds {largest / 1000:.0f} MB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
