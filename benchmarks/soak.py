"""Run random faults for minutes under load: the document must end up correct, and the daemon must not leak.

The simulator sends quotes fifty times as often as usual. Subscribers follow the stream, connect and disconnect, and are
compared with `GET /api/positions` from time to time. Faults of the whole list start at random, for random times, one
after the other and several at once. The benchmark restores positions, and sends SIGHUP when the stream is halted, as an
operator would. After a third of the time (the warm-up) and at the end, all faults are cleared and the market pauses.
The document must then equal the simulator's account, and the resources of both moments are compared. The exit code is 1
if anything is not as expected.

Tasks, threads and open files must be what they were, except for the connections to Alpaca. Besides the two streams,
these are kept open by the REST pools: at most one for each of the seven threads to the trading API, and for four of
them to the data API. How many are open depends on the requests made at once. Memory may grow by `MEMORY_MIB`, however
long the run is. Replay, rings and caches are full after the warm-up, but a burst or a frame of a megabyte leaves holes
in the heap that the allocator does not return; that was up to 1.2 MiB in runs of one to three minutes.

With --stderr blocked, standard error is not read half of the time, for `BLOCKED_SECONDS` at once, while the daemon
logs more than its queue holds. It must drop lines, and otherwise behave as usual. At the end, SIGTERM must stop it
within `END_SECONDS` while standard error is blocked. The lines logged are those of a refused configuration, which is
reloaded once a second.

Run it: python benchmarks/soak.py [--minutes 3] [--subscribers 20] [--seed 1] [--stderr read|blocked]
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from condord.simulator.faults import FAULTS, Fault
from tests.e2e import matrix
from tests.e2e.running import Condord, Follower, Simulated, settled, until
from tests.http.scrape import samples

MEMORY_MIB = 4.0
MAX_CONNECTIONS = 2 + 7 + 4
SETTLE_SECONDS = 3.0
RATE = 50
TIMEOUT_SECONDS = 120.0
LONGEST_SECONDS = 8.0
KEPT_DOCUMENTS = 400
BLOCKED_SECONDS = 30.0
END_SECONDS = 5.0
REFUSED = "".join(f"unknown_key_{number} = {number}\n" for number in range(150))
"""A configuration whose faults fill the queue of standard error in half of `BLOCKED_SECONDS`."""
PATHS = (None, "/v2/positions", "/v2/clock", "/v2/orders", "/v2/options/contracts", "/v1beta1")


class Held(NamedTuple):
    """The resources of the daemon: memory in MiB, and counts. `files` does not include `connections` to Alpaca."""

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
        self.injected: Counter[str] = Counter()
        self.compared = 0
        self.followers: list[Follower] = []
        self._chance = chance
        self._entries = simulated.post("positions", positions=[])

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """Block standard error half of the time, and make the daemon log a lot."""
        over = threading.Event()

        def block() -> None:
            while not over.is_set():
                with self.condord.blocked_stderr():
                    over.wait(BLOCKED_SECONDS)
                over.wait(BLOCKED_SECONDS)

        def provoke() -> None:
            while not over.wait(1.0):
                self.condord.process.send_signal(signal.SIGHUP)

        threads = [threading.Thread(target=function) for function in (block, provoke)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def follow(self) -> None:
        """Add a subscriber."""
        self.followers.append(Follower(self.condord.url, keep=KEPT_DOCUMENTS))

    def replace(self) -> None:
        """Replace the oldest subscriber by a new one."""
        self.followers.pop(0).close()
        self.follow()

    def storm(self, seconds: float) -> None:
        """Inject faults for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._strike(self._chance.choice(FAULTS))
            time.sleep(self._chance.uniform(0.05, 2.5))
            action = self._chance.choice((self.compare, self.replace, self._restore, self._retry_halted))
            action()

    def calm(self) -> dict[str, object]:
        """End all faults, wait until the daemon has recovered, and return what is wrong in the document."""
        self.simulated.clear()
        self.simulated.post("quotes", release=True)
        # A fault may have refused the key, which halts a stream until SIGHUP.
        self.condord.process.send_signal(signal.SIGHUP)
        follower = self.followers[-1]
        harness = matrix.Harness(self.simulated, self.condord, follower)
        harness.await_healthy(TIMEOUT_SECONDS)
        harness.await_match(TIMEOUT_SECONDS)
        return harness.mismatches()

    def compare(self) -> None:
        """Check that a subscriber's document equals that of `GET /api/positions` at the same version."""
        follower = self._chance.choice(self.followers)
        document = self.condord.document()
        followed = until(lambda: follower.documents.get(document["version"]), f"version {document['version']}")
        assert settled(followed) == settled(document)
        self.compared += 1

    def held(self) -> Held:
        """The resources of the daemon now."""
        tasks = self.condord.status()["tasks"]
        folder = Path(f"/proc/{self.condord.process.pid}")
        lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        memory_mib = int(lines["VmRSS"].split()[0]) / 1024
        connections, files = open_files(folder, int(self.simulated.url.rsplit(":", 1)[1]))
        return Held(memory_mib, files, int(lines["Threads"]), tasks, connections)

    def _strike(self, fault: Fault) -> None:
        options: dict[str, object] = {"seconds": round(self._chance.uniform(0.2, LONGEST_SECONDS), 1)}
        if fault.kind == "event":
            options["count"] = self._chance.randint(1, 5)
        if fault.target in ("upgrade", "session", "live", "frame"):
            options["stream"] = self._chance.choice(("option", "option", "option", "trading", "all"))
        if fault.target == "rest" and (path := self._chance.choice(PATHS)):
            options["path"] = path
        if fault.name == "silent-symbol":
            options["symbol"] = self._chance.choice([entry["symbol"] for entry in self._entries])
        if fault.name == "clock-skew":
            options["skew_seconds"] = self._chance.choice((-600, -30, 30, 600))
        self.simulated.fault(fault.name, **options)
        self.injected[fault.name] += 1
        if fault.target in ("upgrade", "session"):
            self.simulated.fault("close-1001", stream=options["stream"])

    def _restore(self) -> None:
        matrix.restore_positions(self.simulated, self._entries)

    def _retry_halted(self) -> None:
        if self.condord.status()["state"] == "halted":
            self.condord.process.send_signal(signal.SIGHUP)


def open_files(folder: Path, port: int) -> tuple[int, int]:
    """How many TCP connections to `port`, and how many other files, the process at `folder` in proc(5) has open."""
    rows = [line.split() for line in (folder / "net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if int(row[2].rsplit(":", 1)[1], 16) == port}
    opened = [str(link.readlink()) for link in (folder / "fd").iterdir()]
    connections = sum(name in there for name in opened)
    return connections, len(opened) - connections


def settle(soak: Soak) -> Held:
    """The resources after `SETTLE_SECONDS`, when everything in progress has ended."""
    time.sleep(SETTLE_SECONDS)
    return soak.held()


def run(minutes: float, subscribers: int, seed: int, *, is_blocked: bool) -> list[str]:
    """Run the benchmark and print its figures; returns what is not as expected."""
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "condord.toml")
        file.touch()
        harness = matrix.pair("--scenario", "busy", rate=RATE, CONDORD_CONFIG=str(file))
        simulated, condord = stack.enter_context(harness)
        if is_blocked:
            file.write_text(REFUSED)
        soak = Soak(simulated, condord, random.Random(seed))
        for _ in range(subscribers):
            soak.follow()
        stack.callback(lambda: [follower.close() for follower in soak.followers])
        with soak.blocking() if is_blocked else nullcontext():
            soak.storm(minutes * 20)
        wrong = soak.calm()
        before = settle(soak)
        with soak.blocking() if is_blocked else nullcontext():
            soak.storm(minutes * 40)
        wrong |= soak.calm()
        after = settle(soak)
        status, state = condord.status(), simulated.state()
        report(soak, status, state, before, after)
        complaints = [*faults_of(before, after), *checks(condord, status, state, wrong)]
        return [*complaints, *blocked_end(condord)] if is_blocked else complaints


def blocked_end(condord: Condord) -> list[str]:
    """Stop the daemon while its standard error is blocked, and print figures; returns what is not as expected."""
    numbers = samples(condord.get("/metrics")[1])
    dropped = numbers["condord_log_dropped_total"]
    with condord.blocked_stderr():
        begin = time.monotonic()
        condord.process.send_signal(signal.SIGTERM)
        code = condord.process.wait(TIMEOUT_SECONDS)
        seconds = time.monotonic() - begin
    print(f"lines dropped          {dropped:>10.0f}")
    print(f"lines written          {len(condord.stderr):>10}")
    print(f"loop lag, s, 0.99      {lag(numbers, 0.99):>10g}")
    print(f"loop lag, s, worst     {lag(numbers, 1.0):>10g}")
    print(f"end after SIGTERM, s   {seconds:>10.2f}")
    found = {
        "no line was dropped": not dropped,
        f"it ended with {code}": code != 0,
        f"its end took more than {END_SECONDS:g} s": seconds > END_SECONDS,
    }
    return [text for text, is_so in found.items() if is_so]


def lag(numbers: dict[str, float], share: float) -> float:
    """The upper bound in seconds of that share of the event loop's delays."""
    name = "condord_event_loop_lag_seconds"
    bounds = {
        float(key.split("le=")[1].rstrip("}")): count
        for key, count in numbers.items()
        if key.startswith(f"{name}_bucket")
    }
    return min(bound for bound, count in bounds.items() if count >= share * numbers[f"{name}_count"])


def report(soak: Soak, status: dict, state: dict, before: Held, after: Held) -> None:
    """Print the figures."""
    print(f"faults injected        {soak.injected.total():>10}  of {len(soak.injected)} kinds")
    print(f"reconnects             {status['reconnects']:>10}")
    print(f"quotes sent            {state['quotesSent']:>10}")
    print(f"versions compared      {soak.compared:>10}")
    print(f"subscribers resynced   {sum(status['resyncs'].values()):>10}")
    print("                          warm         end")
    names = ("memory, MiB", "open files", "threads", "tasks", "to Alpaca")
    for name, first, last in zip(names, before, after, strict=True):
        print(f"{name:<20} {first:>10.6g}  {last:>10.6g}")


def faults_of(before: Held, after: Held) -> list[str]:
    """The resources that have grown."""
    grown = [name for name in ("files", "threads", "tasks") if getattr(after, name) > getattr(before, name)]
    if after.connections > MAX_CONNECTIONS:
        grown.append(f"connections to Alpaca above {MAX_CONNECTIONS}")
    if after.memory_mib - before.memory_mib > MEMORY_MIB:
        grown.append(f"memory by more than {MEMORY_MIB:g} MiB")
    return [f"grown: {name}" for name in grown]


def checks(condord: Condord, status: dict, state: dict, wrong: dict) -> list[str]:
    """All other deviations from what is expected."""
    most = {name: stream["maxOpen"] for name, stream in state["streams"].items()}
    found = {
        f"the document is wrong: {wrong}": wrong,
        f"connections at once: {most}": max(most.values()) > 1,
        "the daemon is another process": status["pid"] != condord.process.pid,
        f"secrets in the log: {len(matrix.leaks(condord))} lines": matrix.leaks(condord),
        "a traceback in the log": any("Traceback" in line for line in condord.stderr),
    }
    return [text for text, is_so in found.items() if is_so]


def main() -> int:
    """Print the figures; returns 1 if something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--subscribers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stderr", choices=("read", "blocked"), default="read")
    chosen = parser.parse_args()
    is_blocked = chosen.stderr == "blocked"
    complaints = run(chosen.minutes, chosen.subscribers, chosen.seed, is_blocked=is_blocked)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
