"""Run every fault of two ingesters on a bus: how long until another leads, and until a relay is right again.

Each row has a simulator, a nats-server, two ingesters with the default lease, and a relay as programs. Each ingester
reaches the bus over a link that fails on command. All times are from the start of the fault. `leads` is when another
ingester has the lease, if that changes. `right` is when the leader is live at Alpaca and the relay serves its version
of the document without reporting a loss; then the documents of the three servers are compared. The simulator allows
one connection on its option stream and counts how many were open at once.

With --minutes, faults follow each other at random for that long. The relay is never restarted: its memory, open
files, threads and tasks after the first third are compared with those at the end. Memory may grow by `MEMORY_MIB`.

Run it: python benchmarks/takeovers.py [--fault NAME] [--minutes 10] [--seed 1]
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster.processes.ingesters import Ingester, cluster, makers_of
from tests.cluster.processes.running import Link, closing_link, compare_servers
from tests.cluster.processes.test_bus_relay import BusRelay
from tests.e2e.running import Follower, closing_program, settled, until

LEASE_SECONDS = 3.0
COMPARED = 5
"""The number of versions at which the documents of two servers are compared."""
MEMORY_MIB = 4.0
KEPT = 400
"""How many events and documents the subscriber of the relay keeps."""
LOST = {"busLost", "leaderLost", "sourceLost"}


class Member:
    """One ingester with its link to the bus; it is started again under the same name."""

    def __init__(self, harness: Harness, name: str) -> None:
        self._scene = harness
        self._name = name
        self.link: Link = harness.stack.enter_context(closing_link(harness.made.nats.url))
        self.program = self._started()

    def _started(self) -> Ingester:
        bus = self.link.url.replace("http", "nats")
        return self._scene.made.start(self._name, bus=bus, lease=LEASE_SECONDS)

    def start_again(self) -> None:
        """Start the ingester again after it has ended; returns when it serves."""
        self.program = self._started()

    def cluster(self) -> dict:
        """The ingester's `cluster` in the status; empty if it does not answer."""
        with contextlib.suppress(OSError):
            return self.program.cluster()
        return {}


class Harness:
    """The programs that a fault is injected into.

    When the last fault began, `leader_before` led and `standby_before` stood by. `asked` are those who may lead.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="condord-cluster-")))
        self.made = stack.enter_context(cluster(directory))
        begun = time.monotonic()
        self.members = [Member(self, name) for name in ("a", "b")]
        self.asked = self.members
        self.led_after = self.until_led() and time.monotonic() - begun
        self.relay = stack.enter_context(closing_program(BusRelay(self.made.nats.url)))
        self.await_right()
        self.right_after = time.monotonic() - begun
        self.follower = stack.enter_context(closing(Follower(self.relay.url, keep=KEPT)))
        self.leader_before, self.standby_before = self.leader(), self.standby()

    def leader(self) -> Member:
        """The ingester that leads."""
        return until(lambda: next((m for m in self.members if m.cluster().get("role") == "leader"), None), "a leader")

    def standby(self) -> Member:
        """The other one."""
        leader = self.leader()
        return next(member for member in self.members if member is not leader)

    def until_led(self, above: int = 0) -> int:
        """Wait for a leader whose fence is above `above`; returns the fence."""

        def check() -> int | None:
            fences = [each["fence"] for m in self.asked if (each := m.cluster()).get("role") == "leader"]
            return next((fence for fence in fences if fence > above), None)

        return until(check, "another leader", pause=0.02)

    def await_right(self) -> None:
        """Wait until the relay serves the version of a live leader."""

        def check() -> bool:
            with contextlib.suppress(OSError):
                leader = next((m for m in self.asked if m.cluster().get("role") == "leader"), None)
                answers = [each.get("/api/positions") for each in (leader and leader.program, self.relay) if each]
                if len(answers) == 2 and all(code == 200 for code, _ in answers):
                    theirs, mine = (document for _, document in answers)
                    is_live = mine["status"]["state"] == "live" and mine["status"]["code"] not in LOST
                    return is_live and mine["version"] == theirs["version"] and settled(mine) == settled(theirs)
            return False

        until(check, "the relay is right", pause=0.01)

    def compare(self) -> None:
        """Compare the documents of all three servers."""
        for other in (self.standby().program, self.relay):
            compare_servers(self.leader().program, other, COMPARED)


class Fault(NamedTuple):
    """A fault begins with `begin`, and after `seconds` it is over by `end`.

    `moves`: another has to lead. `waits`: no process can lead before the fault is over.
    """

    name: str
    begin: Callable[[Harness], object]
    end: Callable[[Harness], object]
    seconds: float = 0.0
    moves: bool = True
    waits: bool = False


def send(number: signal.Signals, to: Callable[[Harness], Member]) -> Callable[[Harness], None]:
    """Return what sends a signal."""
    return lambda harness: to(harness).program.process.send_signal(number)


def leader_before(harness: Harness) -> Member:
    """The ingester that led when the fault began."""
    return harness.leader_before


def restart(harness: Harness) -> None:
    """Restart the ingester that has ended."""
    harness.leader_before.program.wait()
    harness.leader_before.start_again()


def stop_maker(harness: Harness) -> None:
    """Stop only the maker of the leader, which its front then kills."""
    [maker] = makers_of(harness.leader_before.program)
    os.kill(maker, signal.SIGSTOP)


def lose_store(harness: Harness) -> None:
    """Kill NATS, which then begins without what it has stored."""
    harness.made.nats.kill()
    harness.made.nats.lose_store()


def hold_slot(harness: Harness) -> None:
    """Kill the leader; its connection goes on at Alpaca."""
    harness.made.simulated.fault("connection-406", seconds=4)
    harness.leader_before.program.process.kill()


FAULTS = (
    Fault("leader ended (SIGTERM)", send(signal.SIGTERM, leader_before), restart),
    Fault("leader killed (SIGKILL)", send(signal.SIGKILL, leader_before), restart),
    Fault("leader killed, Alpaca refuses for 4 s (406)", hold_slot, restart),
    Fault("leader stopped for 10 s", send(signal.SIGSTOP, leader_before), send(signal.SIGCONT, leader_before), 10.0),
    Fault("maker of the leader stopped", stop_maker, lambda _: None),
    Fault(
        "leader without the bus for 10 s",
        lambda harness: harness.leader_before.link.do("stall"),
        lambda harness: harness.leader_before.link.do("resume"),
        10.0,
    ),
    Fault(
        "connection of the leader to the bus reset",
        lambda harness: harness.leader_before.link.do("reset"),
        lambda _: None,
        moves=False,
    ),
    Fault(
        "standby stopped for 10 s",
        lambda harness: harness.standby_before.program.process.send_signal(signal.SIGSTOP),
        lambda harness: harness.standby_before.program.process.send_signal(signal.SIGCONT),
        10.0,
        moves=False,
    ),
    Fault(
        "NATS killed for 2 s",
        lambda harness: harness.made.nats.kill(),
        lambda harness: harness.made.nats.start(),
        2.0,
        moves=False,  # the leader may renew its lease in time
        waits=True,
    ),
    Fault(
        "NATS killed for 0.5 s, with its store", lose_store, lambda harness: harness.made.nats.start(), 0.5, waits=True
    ),
    Fault(
        "NATS killed for 7 s, with its store", lose_store, lambda harness: harness.made.nats.start(), 7.0, waits=True
    ),
    Fault(
        "NATS stopped for 5 s",
        lambda harness: harness.made.nats.pause(),
        lambda harness: harness.made.nats.resume(),
        5.0,
        waits=True,
    ),
)


def run_fault(harness: Harness, fault: Fault) -> tuple[float | None, float]:
    """Run a fault; returns after how many seconds another led, if so, and after how many all was right."""
    harness.leader_before, harness.standby_before = harness.leader(), harness.standby()
    fence = harness.leader_before.cluster()["fence"]
    begun = time.monotonic()
    fault.begin(harness)
    if fault.waits:
        finish(harness, fault, begun)
    else:
        # The other may be stopped, and would not answer.
        harness.asked = [harness.standby_before if fault.moves else harness.leader_before]
    led = (harness.until_led(fence) and time.monotonic() - begun) if fault.moves else None
    harness.await_right()
    right = time.monotonic() - begun
    if not fault.waits:
        finish(harness, fault, begun)
    harness.asked = harness.members
    until(lambda: harness.standby().cluster().get("role") == "standby", "a standby")
    harness.compare()
    harness.made.check_slot()
    return led, right


def finish(harness: Harness, fault: Fault, begun: float) -> None:
    """End the fault when it has lasted as long as it should."""
    time.sleep(max(0.0, begun + fault.seconds - time.monotonic()))
    fault.end(harness)


def row(fault: Fault, led: float | None, right: float) -> str:
    """One line of the table."""
    return f"| {fault.name} | {'—' if led is None else f'{led:.1f} s'} | {right:.1f} s |"


def matrix(name: str | None) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| fault | another leads after | all right after |"
    yield "|---|---|---|"
    for fault in FAULTS:
        if name in (None, fault.name):
            with ExitStack() as stack:
                harness = Harness(stack)
                yield row(fault, *run_fault(harness, fault))
    if name is None:
        yield f"| both started at once, on a new bus | {harness.led_after:.1f} s | {harness.right_after:.1f} s |"


class Held(NamedTuple):
    """The resources of the relay."""

    memory_mib: float
    files: int
    threads: int
    tasks: int


def held(harness: Harness) -> Held:
    """The resources of the relay once it is idle."""
    time.sleep(3.0)
    process = Path(f"/proc/{harness.relay.process.pid}")
    pss = next(line for line in (process / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return Held(
        memory_mib=int(pss.split()[1]) / 1024,
        files=len([*(process / "fd").iterdir()]),
        threads=len([*(process / "task").iterdir()]),
        tasks=harness.relay.status()["tasks"],
    )


def soak(minutes: float, seed: int) -> int:
    """Inject random faults for this long; returns 1 if something grows."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        harness = Harness(stack)
        begun, before, count = time.monotonic(), None, 0
        while (passed := time.monotonic() - begun) < 60 * minutes:
            if before is None and passed > 20 * minutes:
                before = held(harness)
            fault = chance.choice(FAULTS)
            print(f"{passed:5.0f} s  {row(fault, *run_fault(harness, fault))}", flush=True)
            count += 1
        after = held(harness)
        cluster_part = harness.relay.status()["cluster"]
    print(f"{count} faults; before {before}, after {after}; {cluster_part}")
    grown = before is None or after.memory_mib - before.memory_mib > MEMORY_MIB or after[1:] != before[1:]
    return int(grown)


def main() -> int:
    """Print the table, or soak."""
    logging.getLogger("asyncio").setLevel("CRITICAL")  # Python 3.11 logs a task of a server that is cancelled
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", choices=[fault.name for fault in FAULTS], help="only this one")
    parser.add_argument("--minutes", type=float, help="how long to soak")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.minutes:
        return soak(chosen.minutes, chosen.seed)
    for line in matrix(chosen.fault):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
