"""Random faults for minutes, under load: at the end the document is true, and the daemon holds no more than before.

The simulator quotes fifty times as often as usual; subscribers follow, are compared with `GET /api/positions` now and
then, and come and go. Faults of the whole list strike at random, for random times, one after the other and several at
once; whoever runs it puts positions back, and sends SIGHUP where the stream is halted, as an operator would. After a
third of the time (the warm-up) and at the end all faults are cleared, the market stands still for a moment, and the
document must be the simulator's truth; what the daemon holds then is compared. Exit code 1: something is not as asked.

Tasks, threads and open files must be back at what they were, but for the connections to Alpaca: besides the two streams
these are kept by the pools of REST, at most one for each of its seven threads to the trading API and for four of them
to the data API, and how many are there depends on what was asked at once. Memory may grow by `MEMORY_MIB`, however long
the run is: what is kept (replay, rings, caches) is full after the warm-up, but a burst, or a frame of a megabyte,
leaves holes in the heap that the allocator does not give back; that was up to 1.2 MiB in runs of one to three minutes.

Run it: python benchmarks/soak.py [--minutes 3] [--subscribers 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from condord.simulator.faults import FAULTS, Fault
from tests.e2e import matrix
from tests.e2e.running import Condord, Follower, Simulated, settled, until

MEMORY_MIB = 4.0
MOST_CONNECTIONS = 2 + 7 + 4
SETTLE_SECONDS = 3.0
RATE = 50
PATIENCE_SECONDS = 120.0
LONGEST_SECONDS = 8.0
KEPT_DOCUMENTS = 400
PATHS = (None, "/v2/positions", "/v2/clock", "/v2/orders", "/v2/options/contracts", "/v1beta1")


class Held(NamedTuple):
    """What the daemon holds: MiB, and counts; `files` without the connections to Alpaca, which have their own."""

    memory_mib: float
    files: int
    threads: int
    tasks: int
    connections: int


class Soak:
    """One run: a simulator, a daemon, and the followers of its stream."""

    def __init__(self, simulated: Simulated, condord: Condord, chance: random.Random) -> None:
        self.simulated = simulated
        self.condord = condord
        self.struck: Counter[str] = Counter()
        self.compared = 0
        self.followers: list[Follower] = []
        self._chance = chance
        self._entries = simulated.post("positions", positions=[])

    def follow(self) -> None:
        """One subscriber more."""
        self.followers.append(Follower(self.condord.url, keep=KEPT_DOCUMENTS))

    def replace(self) -> None:
        """One subscriber goes and another one comes."""
        self.followers.pop(0).close()
        self.follow()

    def storm(self, seconds: float) -> None:
        """Let faults strike for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._strike(self._chance.choice(FAULTS))
            time.sleep(self._chance.uniform(0.05, 2.5))
            action = self._chance.choice((self.compare, self.replace, self._restore, self._retry_halted))
            action()

    def calm(self) -> dict[str, object]:
        """End all faults and wait until all is well; returns where the document is not the truth, which is nowhere."""
        self.simulated.clear()
        self.simulated.post("quotes", release=True)
        # One of the streams may be halted: the key was refused at times.
        self.condord.process.send_signal(signal.SIGHUP)
        follower = self.followers[-1]
        scene = matrix.Scene(self.simulated, self.condord, follower)
        scene.await_calm(PATIENCE_SECONDS)
        scene.await_truth(PATIENCE_SECONDS)
        return scene.falsehoods()

    def compare(self) -> None:
        """Some subscriber holds what `GET /api/positions` gives at the same version."""
        follower = self._chance.choice(self.followers)
        document = self.condord.document()
        told = until(lambda: follower.documents.get(document["version"]), f"version {document['version']}")
        assert settled(told) == settled(document)
        self.compared += 1

    def held(self) -> Held:
        """What the daemon holds now."""
        tasks = self.condord.status()["tasks"]
        place = Path(f"/proc/{self.condord.process.pid}")
        lines = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        memory_mib = int(lines["VmRSS"].split()[0]) / 1024
        connections, files = open_files(place, int(self.simulated.url.rsplit(":", 1)[1]))
        return Held(memory_mib, files, int(lines["Threads"]), tasks, connections)

    def _strike(self, fault: Fault) -> None:
        options: dict[str, object] = {"seconds": round(self._chance.uniform(0.2, LONGEST_SECONDS), 1)}
        if fault.kind == "event":
            options["count"] = self._chance.randint(1, 5)
        if fault.place in ("upgrade", "session", "live", "frame"):
            options["stream"] = self._chance.choice(("option", "option", "option", "trading", "all"))
        if fault.place == "rest" and (path := self._chance.choice(PATHS)):
            options["path"] = path
        if fault.name == "silent-symbol":
            options["symbol"] = self._chance.choice([entry["symbol"] for entry in self._entries])
        if fault.name == "clock-skew":
            options["skew_seconds"] = self._chance.choice((-600, -30, 30, 600))
        self.simulated.fault(fault.name, **options)
        self.struck[fault.name] += 1
        if fault.place in ("upgrade", "session"):
            self.simulated.fault("close-1001", stream=options["stream"])

    def _restore(self) -> None:
        matrix.put_back(self.simulated, self._entries)

    def _retry_halted(self) -> None:
        if self.condord.status()["state"] == "halted":
            self.condord.process.send_signal(signal.SIGHUP)


def open_files(place: Path, port: int) -> tuple[int, int]:
    """How many TCP connections to `port`, and how many other files, the process of `place` has open (proc(5))."""
    rows = [line.split() for line in (place / "net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if int(row[2].rsplit(":", 1)[1], 16) == port}
    opened = [str(each.readlink()) for each in (place / "fd").iterdir()]
    connections = sum(name in there for name in opened)
    return connections, len(opened) - connections


def settle(soak: Soak) -> Held:
    """What is held when all is quiet, and what was under way has ended."""
    time.sleep(SETTLE_SECONDS)
    return soak.held()


def run(minutes: float, subscribers: int, seed: int) -> list[str]:
    """Run it, print what happened; returns what is not as asked."""
    with ExitStack() as stack:
        simulated, condord = stack.enter_context(matrix.scene("--scenario", "busy", rate=RATE))
        soak = Soak(simulated, condord, random.Random(seed))
        for _ in range(subscribers):
            soak.follow()
        stack.callback(lambda: [follower.close() for follower in soak.followers])
        soak.storm(minutes * 20)
        wrong = soak.calm()
        before = settle(soak)
        soak.storm(minutes * 40)
        wrong |= soak.calm()
        after = settle(soak)
        status, state = condord.status(), simulated.state()
        report(soak, status, state, before, after)
        return [*faults_of(before, after), *checks(condord, status, state, wrong)]


def report(soak: Soak, status: dict, state: dict, before: Held, after: Held) -> None:
    """Print the figures."""
    print(f"faults struck          {soak.struck.total():>10}  of {len(soak.struck)} kinds")
    print(f"reconnects             {status['reconnects']:>10}")
    print(f"quotes sent            {state['quotesSent']:>10}")
    print(f"versions compared      {soak.compared:>10}")
    print(f"subscribers resynced   {sum(status['resyncs'].values()):>10}")
    print("                          warm         end")
    names = ("memory, MiB", "open files", "threads", "tasks", "to Alpaca")
    for name, first, last in zip(names, before, after, strict=True):
        print(f"{name:<20} {first:>10.6g}  {last:>10.6g}")


def faults_of(before: Held, after: Held) -> list[str]:
    """What has grown."""
    grown = [name for name in ("files", "threads", "tasks") if getattr(after, name) > getattr(before, name)]
    if after.connections > MOST_CONNECTIONS:
        grown.append(f"connections to Alpaca above {MOST_CONNECTIONS}")
    if after.memory_mib - before.memory_mib > MEMORY_MIB:
        grown.append(f"memory by more than {MEMORY_MIB:g} MiB")
    return [f"grown: {name}" for name in grown]


def checks(condord: Condord, status: dict, state: dict, wrong: dict) -> list[str]:
    """What else is not as asked."""
    most = {name: stream["maxOpen"] for name, stream in state["streams"].items()}
    found = {
        f"the document is not the truth: {wrong}": wrong,
        f"connections at once: {most}": max(most.values()) > 1,
        "the daemon is another process": status["pid"] != condord.process.pid,
        f"secrets in the log: {len(matrix.leaks(condord))} lines": matrix.leaks(condord),
        "a traceback in the log": any("Traceback" in line for line in condord.stderr),
    }
    return [text for text, is_so in found.items() if is_so]


def main() -> int:
    """Print the figures; 1 if something is not as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--subscribers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    complaints = run(chosen.minutes, chosen.subscribers, chosen.seed)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
