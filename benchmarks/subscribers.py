"""Follow one event stream with thousands of subscribers in one process, and measure the server.

It uses plain sockets under epoll, as tens of thousands of small reads a second must cost the reader less than the
writer. Every subscriber of a stream gets the same bytes, so each distinct read is parsed once. It understands only as
much HTTP and SSE as it needs: chunks, events, and the send time of an event, which is the newest `"time":"…"` in it
(RFC 3339, the wall clock of this machine). An event without one is not a frame; snapshots are counted separately.

Latencies and losses are those of frames sent during the measurement, even if they are received later. The CPU time of
the server, its children included, is read at both ends of the interval in which deliveries are counted. Memory is Pss
of all subscribers less that of the first one; buffers of the kernel are not in it.

Run it: python benchmarks/subscribers.py URL --pid PID [--subscribers N] [--seconds S] [--core N]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import json
import math
import os
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

UNANSWERED = 100
"""How many connections may be unanswered at once."""
CONNECT_SECONDS = 30.0
WARM_SECONDS = 1.0
LULL_SECONDS = 0.03
GRACE_SECONDS = 2.0
"""How long a frame may still be on its way after the measuring."""
SPARE_FILES = 50
_READ_BYTES = 16_384
_READS_PER_TURN = 512
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_TIME = re.compile(rb'"time":"([^"]+)"')
_DATA = re.compile(rb"^data: ?(.*)$", re.MULTILINE)
_BLANK = re.compile(rb"\r?\n\r?\n")


class Report(NamedTuple):
    """What was seen. `frames_per_second` is for each subscriber; `lost` frames reached only some of them.

    `resynced` counts snapshots instead of frames, `ended` the subscribers that the server has closed. `server_busy` and
    `server_waits` are shares of the time: it ran, and it waited for its core. `client_busy` is both of the client.
    """

    subscribers: int
    frames_per_second: float
    deliveries: int
    lost: int
    resynced: int
    ended: int
    bytes_a_frame: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    sample: str
    kb_a_subscriber: float = 0.0
    server_busy: float = 0.0
    server_waits: float = 0.0
    client_busy: float = 0.0


class ParsedEvents(NamedTuple):
    """The whole events in some bytes: the frames' send times and size, the last one's data, and the bytes used."""

    sent: tuple[float, ...] = ()
    frame_bytes: int = 0
    data: bytes = b""
    snapshots: int = 0
    taken: int = 0


@functools.lru_cache(maxsize=256)
def parse(raw: bytes, *, is_chunked: bool) -> ParsedEvents:
    """Return the events of a body, up to the last end of an event (and of a chunk, if the body is chunked)."""
    text, taken = _unchunked(raw) if is_chunked else _whole_events(raw)
    sent, size, data, snapshots = [], 0, b"", 0
    for event in _BLANK.split(text):
        times = _TIME.findall(event)
        if event.startswith(b"event: snapshot"):
            snapshots += 1
        elif times:
            sent.append(max(_seconds(stamp) for stamp in times))
            size += len(event) + 2
            data = b"".join(_DATA.findall(event)).rstrip(b"\r")
    return ParsedEvents(tuple(sent), size, data, snapshots, taken)


def _unchunked(raw: bytes) -> tuple[bytes, int]:
    text, whole, taken, position = b"", b"", 0, 0
    while (end := raw.find(b"\r\n", position)) >= 0:
        begin = end + 2
        end = begin + int(raw[position:end], 16)
        if end + 2 > len(raw):
            break
        text += raw[begin:end]
        position = end + 2
        if text.endswith((b"\n\n", b"\r\n\r\n")):
            whole, taken = text, position
    return whole, taken


def _whole_events(raw: bytes) -> tuple[bytes, int]:
    taken = raw.rfind(b"\n\n") + 2
    return (raw[:taken], taken) if taken > 1 else (b"", 0)


def _seconds(text: bytes) -> float:
    return dt.datetime.fromisoformat(text.decode()).timestamp()


class Subscriber:
    """One connection; `rest` is the beginning of the next event."""

    __slots__ = ("frames", "is_answered", "is_chunked", "rest", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.rest = b""
        self.is_answered = self.is_chunked = False
        self.frames = 0


class Subscribers:
    """Subscribers of the stream at `url`, which the process `pid` serves."""

    def __init__(self, url: str, pid: int) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode()
        self._pid = pid
        self._epoll = select.epoll()
        self._by_file: dict[int, Subscriber] = {}
        self._unanswered = 0
        self._begin_at = self._end_at = 0.0
        self._latencies = array("d")
        self._sent: set[float] = set()
        self._counts = [0, 0, 0]  # deliveries, their bytes, snapshots
        self._ended = 0
        self._sample = b""

    def connect(self, count: int) -> None:
        """Connect `count` more subscribers and wait for the head of each answer."""
        deadline = time.monotonic() + CONNECT_SECONDS
        opened = 0
        while opened < count or self._unanswered:
            while opened < count and self._unanswered < UNANSWERED:
                self._open()
                opened += 1
            self._turn(LULL_SECONDS)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count - opened + self._unanswered} of {count} subscribers had no answer")

    def measure(self, seconds: float) -> Report:
        """Read for `seconds`, and then as long as frames sent in that time may still arrive."""
        self._run(WARM_SECONDS)
        self._run(GRACE_SECONDS, until=lambda: True)
        self._latencies, self._sent, self._counts = array("d"), set(), [0, 0, 0]
        for subscriber in self._by_file.values():
            subscriber.frames = 0
        began, cpu, waited, own = time.monotonic(), cpu_seconds(self._pid), waited_seconds(self._pid), _own_seconds()
        self._begin_at = time.time()
        self._end_at = self._begin_at + seconds
        self._run(seconds)
        self._run(GRACE_SECONDS, until=self._has_all)
        lasted = time.monotonic() - began
        cpu, waited = cpu_seconds(self._pid) - cpu, waited_seconds(self._pid) - waited
        return self._report(seconds, cpu)._replace(
            server_busy=cpu / lasted, server_waits=waited / lasted, client_busy=(_own_seconds() - own) / lasted
        )

    def close(self) -> None:
        """Reset all of them, which leaves no ports in TIME_WAIT for the next run."""
        for subscriber in self._by_file.values():
            subscriber.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            subscriber.socket.close()
        self._epoll.close()

    def _report(self, seconds: float, cpu: float) -> Report:
        deliveries, size, snapshots = self._counts
        latencies = sorted(self._latencies) or [math.nan]
        frames = len(self._sent)
        return Report(
            subscribers=len(self._by_file),
            frames_per_second=len(self._latencies) / len(self._by_file) / seconds,
            deliveries=deliveries,
            lost=sum(frames - subscriber.frames for subscriber in self._by_file.values()),
            resynced=snapshots,
            ended=self._ended,
            bytes_a_frame=size / max(deliveries, 1),
            p50_ms=1e3 * latencies[len(latencies) // 2],
            p99_ms=1e3 * latencies[len(latencies) * 99 // 100],
            max_ms=1e3 * latencies[-1],
            cpu_us=1e6 * cpu / max(deliveries, 1),
            sample=self._sample.decode(),
        )

    def _open(self) -> None:
        connected = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        connected.sendall(self._request)
        connected.settimeout(0)
        self._by_file[connected.fileno()] = Subscriber(connected)
        self._epoll.register(connected, select.EPOLLIN)
        self._unanswered += 1

    def _has_all(self) -> bool:
        """Whether every subscriber has all frames that any other has."""
        return all(subscriber.frames == len(self._sent) for subscriber in self._by_file.values())

    def _run(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Read for `seconds`, or until nothing arrives and `until` is true."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self._turn(min(left, LULL_SECONDS)) and until and until():
                return

    def _turn(self, timeout_seconds: float) -> bool:
        """Read what there is; return whether there was anything."""
        ready = self._epoll.poll(timeout_seconds, _READS_PER_TURN)
        for file, _ in ready:
            self._read(self._by_file[file])
        return bool(ready)

    def _read(self, subscriber: Subscriber) -> None:
        try:
            raw = subscriber.socket.recv(_READ_BYTES)
        except ConnectionResetError:
            raw = b""
        received_at = time.time()
        if not raw:
            self._epoll.unregister(subscriber.socket)
            self._ended += 1
            return
        if subscriber.rest:
            raw = subscriber.rest + raw
        if not subscriber.is_answered:
            raw = self._without_head(subscriber, raw)
            if not subscriber.is_answered:
                subscriber.rest = raw
                return
        parsed = parse(raw, is_chunked=subscriber.is_chunked)
        subscriber.rest = raw[parsed.taken :]
        self._count(subscriber, parsed, received_at)

    def _without_head(self, subscriber: Subscriber, raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        if not end:
            return raw
        if b" 200 " not in head[:16]:
            raise ConnectionError(f"no stream: {head[:200]!r}")
        subscriber.is_answered = True
        subscriber.is_chunked = b"transfer-encoding: chunked" in head.lower()
        self._unanswered -= 1
        return body

    def _count(self, subscriber: Subscriber, parsed: ParsedEvents, received_at: float) -> None:
        counts = self._counts
        counts[2] += parsed.snapshots
        if not parsed.sent:
            return
        counts[0] += len(parsed.sent)
        counts[1] += parsed.frame_bytes
        self._sample = parsed.data
        for sent_at in parsed.sent:
            if self._begin_at <= sent_at < self._end_at:
                self._latencies.append(received_at - sent_at)
                self._sent.add(sent_at)
                subscriber.frames += 1


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process and its children have used in all threads (proc(5): stat)."""
    seconds = 0.0
    for each in (pid, *children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def children(pid: int) -> list[int]:
    """Return the processes that its main thread has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def waited_seconds(pid: int) -> float:
    """Return how long the main threads of it and its children have waited for a core (schedstat)."""
    paths = (Path(f"/proc/{each}/schedstat") for each in (pid, *children(pid)))
    return sum(int(path.read_text().split()[1]) for path in paths) / 1e9


def _own_seconds() -> float:
    return time.process_time() + waited_seconds(os.getpid())


def memory_kb(pid: int) -> int:
    """Return the proportional set size of it and its children (proc(5): smaps_rollup)."""
    lines = [
        line for each in (pid, *children(pid)) for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def room() -> int:
    """Raise the limit on open files as far as possible; return how many subscribers one process can have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - SPARE_FILES


def follow(url: str, pid: int, count: int, seconds: float) -> Report:
    """Connect `count` subscribers, report that, and measure."""
    everyone = Subscribers(url, pid)
    try:
        everyone.connect(1)
        alone_kb = memory_kb(pid)
        everyone.connect(count - 1)
        together_kb = memory_kb(pid)
        print("connected", flush=True)
        report = everyone.measure(seconds)
    finally:
        everyone.close()
    return report._replace(kb_a_subscriber=(together_kb - alone_kb) / max(count - 1, 1))


@contextlib.contextmanager
def following(url: str, pid: int, count: int, seconds: float, core: int) -> Iterator[subprocess.Popen]:
    """Run `follow` in a process on `core` that ends with the block; yields once all are connected."""
    program = [sys.executable, __file__, url, f"--pid={pid}", f"--core={core}"]
    amount = [f"--subscribers={count}", f"--seconds={seconds}"]
    with subprocess.Popen([*program, *amount], stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def report_of(process: subprocess.Popen) -> Report:
    """Return what the process has found, once it has ended."""
    output, _ = process.communicate()
    if process.returncode:
        raise ChildProcessError("the subscribers have failed")
    return Report(**json.loads(output))


def main() -> None:
    """Print a line when all are connected, and then the report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--pid", type=int, required=True, help="the process that serves")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--core", type=int, help="run only on this core")
    chosen = parser.parse_args()
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    count = min(chosen.subscribers, room())
    print(json.dumps(follow(chosen.url, chosen.pid, count, chosen.seconds)._asdict()))


if __name__ == "__main__":
    main()
