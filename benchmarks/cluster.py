"""Measure a cluster on one machine: what a hop adds, the CPU for each delivery, and how long a takeover takes.

A simulator, a nats-server, two ingesters and three relays run as programs. First one subscriber follows each server at
once. A latency is the time from a quote's own time until a subscriber has read its frame, so the window of the
coalescer is in it, and what a hop adds is the difference to the leader's line. Then all subscribers follow the relays,
the same number each. CPU is that of the server that delivers; that of nats-server is a share of a core meanwhile.

At the end the leader is killed with all its processes, as often as asked. `lease` is from there until the other has
the lease, `live` until that is live at Alpaca, and `seen` until a subscriber of a relay has the first snapshot of the
new leader. The killed one is started again before the next.

Run it: python benchmarks/cluster.py [--subscribers 2000] [--seconds 10] [--takeovers 3]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from subscribers import Report, cpu_seconds, following, report_of, room

from tests.cluster.nats_server import NatsServer
from tests.cluster.processes.ingesters import Ingester
from tests.e2e.running import Follower, Program, Simulated, closing_program, fetch, until

RELAYS = 3
LEASE_SECONDS = 3.0
"""The default of the configuration."""
RATE = 10.0
"""How many times as often as usual the simulated quotes change."""
SPARE = 10
"""Streams besides those of the subscribers."""


class Server(NamedTuple):
    """A server of the cluster."""

    name: str
    program: Program
    url: str

    @property
    def pid(self) -> int:
        """The id of the process that serves."""
        return self.program.process.pid

    def status(self) -> dict:
        """Its `GET /api/status`."""
        return fetch(f"{self.url}/api/status")[2]

    def role(self) -> str | None:
        """Its role in the cluster; None if it does not answer, or has no document yet."""
        with contextlib.suppress(OSError):
            return self.status().get("cluster", {}).get("role")
        return None


class Cluster:
    """The programs; all end with `stack`."""

    def __init__(self, stack: ExitStack, subscribers: int) -> None:
        self._stack = stack
        self._directory = directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="condord-cluster-")))
        self.bus = NatsServer(directory)
        stack.callback(self.bus.close)
        self.simulated = stack.enter_context(closing_program(Simulated()))
        self.simulated.post("market", rate=RATE)
        self._environ = {
            "CONDORD_CLUSTER_BUS": self.bus.url,
            "CONDORD_SERVER_MAX_SUBSCRIBERS": str(subscribers + SPARE),
            "CONDORD_LOG_LEVEL": "warning",
        }
        self.ingesters = [self.ingester(name) for name in ("a", "b")]
        until(self.leader, "one leads")
        until(lambda: self.leader().status()["state"] == "live", "the leader is live")
        self.relays = [self.relay(f"relay {number}") for number in range(1, RELAYS + 1)]
        for relay in self.relays:
            until(lambda relay=relay: fetch(f"{relay.url}/readyz")[0] == 200, f"{relay.name} is ready")

    def ingester(self, name: str) -> Server:
        """Start an ingester."""
        started = Ingester(self.simulated, self.bus.url, self._directory / name, lease=LEASE_SECONDS, **self._environ)
        program = self._stack.enter_context(closing_program(started))
        return Server(name, program, program.url)

    def relay(self, name: str) -> Server:
        """Start a relay."""
        program = self._stack.enter_context(closing_program(Program("relay", "--port", "0", environ=self._environ)))
        return Server(name, program, program.await_line(r"serves at (\S+)")[1])

    def leader(self) -> Server | None:
        """The ingester that leads, if any."""
        return next((each for each in self.ingesters if each.role() == "leader"), None)


def measure(cluster: Cluster, servers: list[Server], subscribers: int, seconds: float) -> tuple[list[Report], float]:
    """Follow each server with as many subscribers at once.

    Returns a report of each, and the CPU seconds of nats-server in a second, from when all are connected until the end.
    """
    last_core = max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        clients = [
            stack.enter_context(following(f"{each.url}/api/stream", each.pid, subscribers, seconds, last_core))
            for each in servers
        ]
        begun, before = time.monotonic(), cpu_seconds(cluster.bus.process.pid)
        reports = [report_of(client) for client in clients]
        return reports, (cpu_seconds(cluster.bus.process.pid) - before) / (time.monotonic() - begun)


def line(name: str, report: Report) -> str:
    """One line of the table."""
    return (
        f"{name:>12} {report.subscribers:>11} {report.frames_per_second:>8.1f} {report.p50_ms:>7.1f}"
        f" {report.p99_ms:>7.1f} {report.cpu_us:>8.1f} {report.lost:>6} {report.bytes_a_frame:>8.0f}"
    )


def takeover(cluster: Cluster) -> tuple[float, float, float]:
    """Kill the leader; returns the seconds until another has the lease, is live, and is seen at a relay."""
    leader = cluster.leader()
    assert leader is not None
    (other,) = [each for each in cluster.ingesters if each is not leader]
    with closing(Follower(cluster.relays[0].url)) as follower:
        until(lambda: follower.document, "a document")
        before = follower.names.count("snapshot")
        begun = time.monotonic()
        leader.program.process.send_signal(signal.SIGKILL)
        until(lambda: other.role() == "leader", "the other leads", pause=0.02)
        leased = time.monotonic() - begun
        until(lambda: other.status()["state"] == "live", "it is live", pause=0.02)
        live = time.monotonic() - begun
        until(lambda: follower.names.count("snapshot") > before, "a relay has its snapshot", pause=0.02)
        seen = time.monotonic() - begun
    cluster.ingesters = [other, cluster.ingester(leader.name)]
    until(lambda: cluster.ingesters[1].role() == "standby", "the killed one stands by")
    return leased, live, seen


def main() -> int:
    """Print the tables; return 1 if a frame did not reach every subscriber, or a takeover takes over 8 s."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--takeovers", type=int, default=3)
    chosen = parser.parse_args()
    count = min(chosen.subscribers, room()) // RELAYS
    with ExitStack() as stack:
        cluster = Cluster(stack, count)
        leader = cluster.leader()
        assert leader is not None
        standby = next(one for one in cluster.ingesters if one is not leader)
        servers = [leader, standby, *cluster.relays]
        print(f"{'server':>12} subscribers frames/s  p50 ms  p99 ms  us each   lost  B/frame")
        alone, _ = measure(cluster, servers, 1, chosen.seconds)
        names = ["leader", "standby", *(relay.name for relay in cluster.relays)]
        for name, report in zip(names, alone, strict=True):
            print(line(name, report), flush=True)
        print()
        crowded, bus_busy = measure(cluster, cluster.relays, count, chosen.seconds)
        for relay, report in zip(cluster.relays, crowded, strict=True):
            print(line(relay.name, report), flush=True)
        hops = [report.p50_ms - alone[0].p50_ms for report in alone[2:]]
        print(f"a hop over the bus adds {statistics.median(hops):.1f} ms at the median")
        print(f"nats-server takes {100 * bus_busy:.1f} % of a core")
        times = [takeover(cluster) for _ in range(chosen.takeovers)]
        for leased, live, seen in times:
            print(f"takeover: lease {leased:.1f} s, live {live:.1f} s, seen {seen:.1f} s", flush=True)
    worst = max((each[2] for each in times), default=math.nan)
    return int(any(report.lost for report in crowded) or worst > 8.0)


if __name__ == "__main__":
    sys.exit(main())
