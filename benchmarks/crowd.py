"""Measure what connected subscribers notice of a crowd that stalls, that arrives, and that leaves at once.

The daemon of fanout.py runs on a core of its own and sends `RATE` frames a second to `FOLLOWERS` subscribers. They are
connected all the time and first, so frames are written to them first. Each round has five phases:

    baseline  nothing else happens
    stalled   `STALLED` subscribers have connected and read nothing, long enough for their buffers to be full
    coming    a crowd connects, evenly over `--within` seconds (0: as fast as it is answered, 100 at a time)
    beside    the crowd is connected, and reads
    going     the whole crowd, which has read until now, closes at the same moment

A latency is the time from handing a quote to the daemon until a follower has read its frame. A gap is the longest time
between two frames of any follower. The crowd and the source of the quotes share the core of the followers, with lower
priority. CPU a connect is the daemon's in that phase, less what it used in the baseline in as long a time; it includes
the frames that the crowd gets meanwhile.

Bounds, on medians over the rounds: p99 beside the stalled is at most `STALLED_RATIO` times the baseline's, all are
connected within `CONNECT_SECONDS`, and none is refused or cut. In the baseline a frame takes only some milliseconds, so
a ratio is no good bound for the other phases. There p99 must be below the time between two frames, so that no frame
queues behind another, and the longest gap of all rounds below two of them: no follower waits longer than if it had
missed one frame. Exit code 1: a bound is exceeded.

Run it: python benchmarks/crowd.py [--crowd 5000] [--within 8] [--seconds 10] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import multiprocessing
import os
import select
import socket
import statistics
import sys
import time
import types
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple
from urllib.parse import urlsplit

from fanout import Case, Served, condord, drive
from subscribers import ParsedEvents, Subscriber, Subscribers, cpu_seconds, room

RATE = 4.0
FOLLOWERS = 200
STALLED = 50
STALLED_RATIO = 1.2
CONNECT_SECONDS = 10.0
FILL_SECONDS = 8.0
"""More than the buffers of a stalled subscriber hold; it is reset 30 s after they are full."""
CROWD_SECONDS = 4.0
SETTLE_SECONDS = 2.0
UNANSWERED = 100
RECEIVE_BYTES = 4096
LATE_SECONDS = 20.0
"""A connection without an answer by then has failed."""
LOWEST_PRIORITY = 19

_FORK = multiprocessing.get_context("fork")


class Delivery(NamedTuple):
    """A frame of one follower, on the wall clock."""

    follower: int
    sent_at: float
    received_at: float


class Phase(NamedTuple):
    """The frames that the followers received between two moments."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    gap_ms: float


class Coming(NamedTuple):
    """How a crowd connected."""

    seconds: float
    failed: int
    cpu_us: float


class Round(NamedTuple):
    """All phases, and how the crowd connected."""

    phases: dict[str, Phase]
    coming: Coming
    ended: int


class Followers(Subscribers):
    """Subscribers that record every delivery."""

    def __init__(self, url: str, pid: int) -> None:
        super().__init__(url, pid)
        self._deliveries: list[Delivery] = []

    def report(self, to: Connection) -> None:
        """Follow, and report at each request what was seen since the last one and how many were cut."""
        while True:
            self._run(0.1)
            if to.poll():
                to.recv()
                to.send((self._deliveries, self._ended))
                self._deliveries = []

    def _count(self, subscriber: Subscriber, parsed: ParsedEvents, received_at: float) -> None:
        follower = subscriber.socket.fileno()
        self._deliveries += [Delivery(follower, sent_at, received_at) for sent_at in parsed.sent]


class Crowd:
    """Connections to the stream at `url` that read and discard everything."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self._epoll = select.epoll()
        self._by_file: dict[int, socket.socket] = {}
        self._unanswered: set[int] = set()
        self._failed = 0
        self.ended = 0

    def come(self, count: int, within: float) -> int:
        """Connect `count` evenly over `within` seconds; returns how many got no stream."""
        began = time.monotonic()
        opened = 0
        while opened < count or self._unanswered:
            lasted = time.monotonic() - began
            if lasted > LATE_SECONDS:
                break
            due = count if not within else min(count, 1 + int(count * lasted / within))
            while opened < due and len(self._unanswered) < UNANSWERED:
                self._open()
                opened += 1
            self.read(0.002)
        return count - opened + len(self._unanswered) + self._failed

    def stay(self, seconds: float) -> None:
        """Read and discard until cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def leave(self) -> None:
        """Close all of them."""
        for connected in self._by_file.values():
            connected.close()
        self._by_file.clear()
        self._epoll.close()

    def read(self, timeout_seconds: float) -> None:
        """Take what there is."""
        for file, events in self._epoll.poll(timeout_seconds):
            try:
                if events & select.EPOLLOUT:
                    self._epoll.modify(file, select.EPOLLIN)
                    self._by_file[file].send(self._request)
                else:
                    self._take(file, self._by_file[file].recv(65_536))
            except ConnectionError:
                self._take(file, b"")

    def _open(self) -> None:
        opened = socket.socket()
        opened.settimeout(0)
        opened.connect_ex(self._address)
        self._by_file[opened.fileno()] = opened
        self._unanswered.add(opened.fileno())
        self._epoll.register(opened, select.EPOLLOUT)

    def _take(self, file: int, raw: bytes) -> None:
        if not raw:
            self._epoll.unregister(file)
        if file in self._unanswered:
            self._unanswered.discard(file)
            self._failed += not raw.startswith(b"HTTP/1.1 200 ")
        elif not raw:
            self.ended += 1


@contextlib.contextmanager
def stalled(url: str) -> Iterator[None]:
    """Connect subscribers that read nothing, and wait until their buffers are full."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    with contextlib.ExitStack() as open_sockets:
        for _ in range(STALLED):
            opened = open_sockets.enter_context(socket.socket())
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            opened.connect((parts.hostname, parts.port))
            opened.sendall(request)
        time.sleep(FILL_SECONDS)
        yield


def follow(url: str, pid: int, to: Connection) -> None:
    """Be the followers, in a process of their own."""
    followers = Followers(url, pid)
    followers.connect(FOLLOWERS)
    to.send("connected")
    followers.report(to)


def hand_over(served: Served) -> None:
    """Hand over quotes until terminated."""
    drive(served.hand, RATE, types.SimpleNamespace(poll=lambda: None))


@contextlib.contextmanager
def beside(work, *arguments) -> Iterator[None]:
    """Run `work` in a process that ends with the block."""
    process = _FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def phase(deliveries: list[Delivery], begin_at: float, end_at: float) -> Phase:
    """The frames sent in this time, and the gaps that ended in it."""
    latencies = sorted(frame.received_at - frame.sent_at for frame in deliveries if begin_at <= frame.sent_at < end_at)
    if not latencies:
        return Phase(math.inf, math.inf, math.inf, math.inf)
    times = defaultdict(list)
    for frame in deliveries:
        if begin_at - 2 / RATE <= frame.received_at < end_at:
            times[frame.follower].append(frame.received_at)
    gaps = [after - before for seen in times.values() for before, after in itertools.pairwise(seen)]
    return Phase(
        p50_ms=1e3 * latencies[len(latencies) // 2],
        p99_ms=1e3 * latencies[len(latencies) * 99 // 100],
        max_ms=1e3 * latencies[-1],
        gap_ms=1e3 * max(gaps, default=math.inf),
    )


def run(served: Served, followers: Connection, chosen: argparse.Namespace) -> Round:
    """Run one round."""
    times: dict[str, tuple[float, float]] = {}

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        began_at = time.time()
        yield
        times[name] = began_at, time.time()

    cpu = cpu_seconds(served.pid)
    with timed("baseline"):
        time.sleep(chosen.seconds)
    cpu_per_second = (cpu_seconds(served.pid) - cpu) / chosen.seconds
    with stalled(served.url), timed("stalled"):
        time.sleep(chosen.seconds)
    time.sleep(SETTLE_SECONDS)
    crowd = Crowd(served.url)
    cpu, began = cpu_seconds(served.pid), time.monotonic()
    with timed("coming"):
        failed = crowd.come(chosen.crowd, chosen.within)
    lasted = time.monotonic() - began
    cpu = cpu_seconds(served.pid) - cpu - cpu_per_second * lasted
    with timed("beside"):
        crowd.stay(CROWD_SECONDS)
    with timed("going"):
        crowd.leave()
        time.sleep(CROWD_SECONDS)
    followers.send("what was seen?")
    deliveries, ended = followers.recv()
    phases = {name: phase(deliveries, *time_of) for name, time_of in times.items()}
    return Round(phases, Coming(lasted, failed, 1e6 * cpu / chosen.crowd), ended + crowd.ended)


def over_baseline(rounds: list[Round], name: str) -> float:
    """The p99 of a phase divided by that of the baseline of the same round; the median over the rounds."""
    return statistics.median(result.phases[name].p99_ms / result.phases["baseline"].p99_ms for result in rounds)


def show(rounds: list[Round], chosen: argparse.Namespace) -> None:
    """Print medians; of maxima and gaps the worst."""
    print("   phase   p50 ms   p99 ms   max ms   gap ms  p99 / baseline")
    for name in rounds[0].phases:
        seen = [result.phases[name] for result in rounds]
        p50, p99 = (statistics.median(getattr(entry, figure) for entry in seen) for figure in ("p50_ms", "p99_ms"))
        worst, gap = max(entry.max_ms for entry in seen), max(entry.gap_ms for entry in seen)
        print(f"{name:>8} {p50:8.2f} {p99:8.2f} {worst:8.2f} {gap:8.1f} {over_baseline(rounds, name):15.2f}")
    seconds, failed, cpu = (
        statistics.median(figure) for figure in zip(*(result.coming for result in rounds), strict=True)
    )
    print(f"{chosen.crowd} connected in {seconds:.2f} s, {failed:g} failed, {cpu:.0f} us of the daemon's CPU each")


def complaints(rounds: list[Round]) -> Iterator[str]:
    """Return the bounds that are exceeded."""
    frame_ms = 1e3 / RATE
    asked = [
        ("p99 beside the stalled / baseline", over_baseline(rounds, "stalled"), STALLED_RATIO),
        ("seconds to connect", statistics.median(result.coming.seconds for result in rounds), CONNECT_SECONDS),
        ("failed to connect", sum(result.coming.failed for result in rounds), 0),
        ("cut", sum(result.ended for result in rounds), 0),
    ]
    for name in ("coming", "going"):
        p99_ms = statistics.median(result.phases[name].p99_ms for result in rounds)
        asked.append((f"p99 ms in {name}", p99_ms, frame_ms))
        asked.append((f"gap ms in {name}", max(result.phases[name].gap_ms for result in rounds), 2 * frame_ms))
    for name, found, most in asked:
        if not found <= most:
            yield f"{name}: {found:.2f}, asked {most:g}"


def main() -> int:
    """Print the table; return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crowd", type=int, default=5000)
    parser.add_argument("--within", type=float, default=8.0, help="seconds over which they come")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the phases without a crowd, at most 20")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if (most := room() - FOLLOWERS - STALLED) < chosen.crowd:
        print(f"a crowd of {chosen.crowd} is more than the open files allowed: {most}")
        chosen.crowd = most
    cores = sorted(os.sched_getaffinity(0))
    connections = FOLLOWERS + STALLED + chosen.crowd
    with condord(Case(connections, RATE, RATE, int(900 / RATE), chosen.seconds, workers=0), "") as served:
        os.sched_setaffinity(served.pid, {cores[0]})
        os.sched_setaffinity(0, {cores[-1]})
        ours, theirs = _FORK.Pipe()
        with beside(hand_over, served), beside(follow, served.url, served.pid, theirs):
            os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
            ours.recv()
            time.sleep(SETTLE_SECONDS)
            rounds = [run(served, ours, chosen) for _ in range(chosen.rounds)]
    show(rounds, chosen)
    wrong = list(complaints(rounds))
    print("\n".join(wrong) or "as asked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
