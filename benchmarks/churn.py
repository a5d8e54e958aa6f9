"""Connect and disconnect subscribers at random while quotes flow, and check that the daemon's resources stay flat.

The real daemon runs against the simulator, which quotes twenty times as often as usual. The number of visitors is kept
at `--subscribers`: one that leaves is replaced at once. `--seed` determines what a visitor does: its filter, interval
and `Last-Event-ID` (recent, old, foreign), whether it accepts gzip, how long it stays, whether it stops reading
meanwhile (up to longer than the daemon allows), and how it leaves: orderly, by a reset, in the middle of a frame, or
before its request. Exit code 1: something is not flat.

Flat means that, when all have left, there is no subscriber, task, thread or open file more than before the first came.
Connections to Alpaca are left out, as the pools of REST open them as needed. The resident set may rise by at most
`MEMORY_KB_PER_MINUTE` in the second half (least squares over a sample a second). Before that, caches and rings fill and
the allocator keeps what the largest frames needed. That continues after a minute or two: 500 kB a minute were seen in
the second half of three minutes, 44 in that of nine. With the usual number of visitors some 1,700 connect a minute, so
a leak of half a kilobyte each is seen, and a longer run sees smaller ones.

Run it: python benchmarks/churn.py [--minutes 3] [--subscribers 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import socket
import statistics
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.running import Condord, Simulated, closing_program, until

MEMORY_KB_PER_MINUTE = 1024.0
SETTLE_SECONDS = 3.0
LEAVE_SECONDS = 20.0
TIMEOUT_SECONDS = 30.0
RATE = 20
ENVIRON = {
    "CONDORD_STREAM_WINDOW_MS": "50",
    "CONDORD_STREAM_MIN_CHANGE": "0",
    "CONDORD_SERVER_RING_SIZE": "32",
    "CONDORD_SERVER_HEARTBEAT_SECONDS": "1",
}
ENDINGS = ("close", "reset", "midFrame", "midRequest")
WEIGHTS = (40, 25, 25, 10)
STALLS_SECONDS = (0.5, 3.0, 10.0, 35.0)
"""How long a visitor stops reading; the last is longer than the daemon allows."""
RECEIVE_BYTES = 4096
"""Small, so that the daemon soon notices a visitor that stops reading."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ID = re.compile(rb"\nid: (\S+)\n")


class Held(NamedTuple):
    """The resources of the daemon; `files` does not count the connections to Alpaca."""

    at: float
    memory_kb: float
    files: int
    threads: int
    tasks: int
    subscribers: int


class Visit(NamedTuple):
    """The behaviour of one visitor. After half of `stay` it stops reading for `stall`, both in seconds."""

    target: str
    headers: dict[str, str]
    stay: float
    stall: float
    ending: str


class Crowd:
    """Visitors of the daemon at `url`, with `condors` and `symbols` to filter by."""

    def __init__(self, url: str, condors: list[str], symbols: list[str], chance: random.Random) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._condors = condors
        self._symbols = symbols
        self._chance = chance
        self._versions: list[str] = []
        self.visits: Counter[str] = Counter()
        self.bytes = 0
        self.refusals: Counter[str] = Counter()

    async def keep(self, count: int) -> None:
        """Keep `count` subscribers connected until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self._follow_each_other())

    async def _follow_each_other(self) -> None:
        while True:
            await self._visit(self._plan())

    def _plan(self) -> Visit:
        chance = self._chance
        query: list[tuple[str, str]] = []
        if chance.random() < 0.5:
            query += [("condor", name) for name in chance.sample(self._condors, chance.randint(1, 3))]
        if chance.random() < 0.2:
            query += [("symbol", name) for name in chance.sample(self._symbols, chance.randint(1, 3))]
        if chance.random() < 0.3:
            query.append(("interval", str(chance.choice((0, 100, 333, 1000, 5000)))))
        headers = {"Accept-Encoding": "gzip"} if chance.random() < 0.3 else {}
        if self._versions and chance.random() < 0.5:
            headers["Last-Event-ID"] = chance.choice((self._versions[0], self._versions[-1], "another-7"))
        return Visit(
            target=f"/api/stream?{urlencode(query)}",
            headers=headers,
            stay=min(chance.expovariate(0.5), LEAVE_SECONDS),
            stall=chance.choice(STALLS_SECONDS) if chance.random() < 0.1 else 0.0,
            ending=chance.choices(ENDINGS, WEIGHTS)[0],
        )

    async def _visit(self, visit: Visit) -> None:
        """Connect, do as planned, and leave; in some plans the daemon ends the stream first."""
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        opened.settimeout(0)
        self.visits[visit.ending] += 1
        self.visits["stalled"] += bool(visit.stall)
        try:
            await asyncio.get_running_loop().sock_connect(opened, self._address)
            await self._talk(opened, visit)
        except (ConnectionError, TimeoutError) as error:
            if not visit.stall:
                self.refusals[type(error).__name__] += 1
        finally:
            if visit.ending == "reset":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            opened.close()

    async def _talk(self, opened: socket.socket, visit: Visit) -> None:
        lines = [f"GET {visit.target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in visit.headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode()
        loop = asyncio.get_running_loop()
        if visit.ending == "midRequest":
            await loop.sock_sendall(opened, request[: len(request) // 2])
            await asyncio.sleep(visit.stay / 10)
            return
        await loop.sock_sendall(opened, request)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            head = await loop.sock_recv(opened, 12)
        if head != b"HTTP/1.1 200":
            self.refusals[head.decode(errors="replace")] += 1
        await self._read(opened, visit.stay / 2)
        await asyncio.sleep(visit.stall)
        await self._read(opened, visit.stay / 2)
        if visit.ending == "midFrame":
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await loop.sock_recv(opened, 7)  # the rest is not read

    async def _read(self, opened: socket.socket, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while raw := await asyncio.get_running_loop().sock_recv(opened, 65_536):
                    self.bytes += len(raw)
                    self._versions += [found.decode() for found in _ID.findall(raw)[-1:]]
                raise ConnectionResetError("the daemon has ended the stream")


def held_by(condord: Condord, port: int) -> Held:
    """Return what the daemon holds now; `port` is the simulator's."""
    status = condord.status()
    folder = Path(f"/proc/{condord.process.pid}")
    lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Held(
        at=time.monotonic(),
        memory_kb=float(lines["VmRSS"].split()[0]),
        files=open_files(folder, port),
        threads=int(lines["Threads"]),
        tasks=status["tasks"],
        subscribers=status["subscribers"],
    )


def open_files(folder: Path, port: int) -> int:
    """Count the open files of a process without TCP connections to `port`; `folder` is its directory in /proc."""
    rows = [line.split() for line in (folder / "net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if int(row[2].rsplit(":", 1)[1], 16) == port}
    count = 0
    for file in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            count += str(file.readlink()) not in there
    return count


async def churn(condord: Condord, port: int, crowd: Crowd, count: int, seconds: float) -> list[Held]:
    """Keep the crowd connected for `seconds`; returns a sample a second."""
    crowding = asyncio.create_task(crowd.keep(count))
    samples = []
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not crowding.done():
            await asyncio.sleep(1.0)
            samples.append(await asyncio.to_thread(held_by, condord, port))
    finally:
        crowding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await crowding
    return samples


def run(minutes: float, count: int, seed: int) -> list[str]:
    """Run it and print the figures; returns what is not flat."""
    with (
        closing_program(Simulated("--scenario", "busy")) as simulated,
        closing_program(Condord(simulated, **ENVIRON)) as condord,
    ):
        simulated.post("market", rate=RATE)
        condord.await_state("live")
        document = condord.await_account_read()
        condors = [condor["id"] for condor in document["condors"]]
        symbols = [quote["symbol"] for quote in document["quotes"]]
        port = urlsplit(simulated.url).port
        crowd = Crowd(condord.url, condors, symbols, random.Random(seed))
        time.sleep(SETTLE_SECONDS)
        before = held_by(condord, port)
        samples = asyncio.run(churn(condord, port, crowd, count, 60 * minutes))
        until(lambda: not condord.status()["subscribers"], "all subscribers have left")
        time.sleep(SETTLE_SECONDS)
        after, status = held_by(condord, port), condord.status()
        crashes = [line for line in condord.stderr if "Traceback" in line]
    second_half = samples[len(samples) // 2 :]
    rise = (
        60
        * statistics.linear_regression(
            [sample.at for sample in second_half], [sample.memory_kb for sample in second_half]
        ).slope
    )
    report(crowd, status, rise, {"before": before, "half": second_half[0], "end": samples[-1], "after": after})
    return [*growths(before, after, rise), *[f"refused: {refused}" for refused in crowd.refusals.items()], *crashes]


def report(crowd: Crowd, status: dict, rise: float, columns: dict[str, Held]) -> None:
    """Print the figures."""
    for ending, visits in sorted(crowd.visits.items()):
        print(f"{ending:<24} {visits:>9}")
    print(f"{'MB read':<24} {crowd.bytes / 1e6:>9.1f}")
    print(f"{'resynced':<24} {sum(status['resyncs'].values()):>9}")
    print(f"{'evicted':<24} {status['evicted']:>9}")
    print(f"{'':<24}", *(f"{name:>9}" for name in columns))
    for name in Held._fields[1:]:
        print(f"{name:<24}", *(f"{getattr(held, name):>9.0f}" for held in columns.values()))
    print(f"{'memory, kB a minute':<24} {rise:>9.0f}")


def growths(before: Held, after: Held, rise: float) -> list[str]:
    """Return what is not flat."""
    names = ("files", "threads", "tasks", "subscribers")
    grown = [f"{name} have grown" for name in names if getattr(after, name) > getattr(before, name)]
    if rise > MEMORY_KB_PER_MINUTE:
        grown.append(f"memory grows by {rise:.0f} kB a minute, more than {MEMORY_KB_PER_MINUTE:.0f}")
    return grown


def main() -> int:
    """Print the figures; return 1 if something is not flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--subscribers", type=int, default=100, help="at once")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    complaints = run(chosen.minutes, chosen.subscribers, chosen.seed)
    print(*complaints, sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
