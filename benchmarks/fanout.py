"""Measure what a frame to a subscriber costs in condord, beside a naive hub and nchan in the same run.

Each server runs by itself on its own core and gets the same frames from this process at the same times:

    condord    the daemon of `service.run`; in the supervisor's place, a reader of a pipe offers the quotes that come
               through it. One leg of one condor moves a frame.
    naive      Starlette and sse-starlette as a first version would use them: a queue and a json.dumps for each
               subscriber. It gets condord's newest delta with another time.
    nchan      nginx with its nchan module and one worker; the same delta is published over HTTP. Skipped unless nginx
               and the module are installed (Debian: nginx-light, libnginx-mod-nchan).

A latency is the time from handing a quote to the server until a subscriber has read its frame. The window is left out:
it is a tenth shorter than the time between two quotes, so each quote leaves at once. Quotes are sent on schedule
whether or not the server keeps up. CPU is the user and system time of the serving process, memory its Pss; see
subscribers.py. `busy` and `waits` are the shares of the time in which the server had its core and waited for it,
`client` the share in which the client had or wanted its own. Near 100 % the latencies are the client's. Compare only
ratios within one run.

With `--fast` condord gets 100 quotes a second and makes 20 frames of them. A latency is then that of the newest quote
in a frame, and includes up to 10 ms of the window. nchan gets 20 frames, and naive is left out.

With `--workers N` there are also `workers`, a condord whose port N workers serve, and `nchans`, an nginx with N
workers; `us/nchan` and `p99/nchan` of `workers` compare these two. Each worker is on a core in turn. CPU and memory are
those of the parent and its workers together. `spread` is the largest deviation of a worker from its share
of the subscribers.

Run it: python benchmarks/fanout.py [--subscribers 1000,5000] [--rate 4] [--seconds 10] [--rounds 1] [--fast]
    [--workers N] [--servers condord,workers]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import functools
import itertools
import json
import logging
import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from subscribers import Report, children, following, report_of, room

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
FAST_RATE, FAST_QUOTES, FAST_WINDOW_MS = 20, 100, 50

LEGS = {"SPY261218P00705000": 2, "SPY261218P00715000": -2, "SPY261218C00770000": -2, "SPY261218C00780000": 2}
NGINX = """
load_module {module};
daemon off; worker_processes {workers}; pid nginx.pid; error_log error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off; tcp_nodelay on; keepalive_requests 1000000; keepalive_timeout 600;
    client_body_temp_path 1; proxy_temp_path 2; fastcgi_temp_path 3; uwsgi_temp_path 4; scgi_temp_path 5;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location = /publish {{ nchan_publisher; nchan_channel_id all; }}
        location = /stream {{ nchan_subscriber eventsource; nchan_channel_id all; }}
    }}
}}
"""


class Served(NamedTuple):
    """A running server: the URL of its stream, the pid that serves it, and a function that hands it a frame."""

    url: str
    pid: int
    hand: Callable[[str], object]


class Case(NamedTuple):
    """The load to measure: `rate` in frames and `quotes` in quotes a second."""

    subscribers: int
    rate: float
    quotes: float
    window_ms: int
    seconds: float
    workers: int


def serve_condord(window_ms: int, subscribers: int, workers: int) -> None:
    """Be the daemon; each line of standard input is the time of a quote."""
    import daemon_parts

    from condord.core.quote import Tick

    class Quotes(daemon_parts.FakeSupervisor):
        number = 0

        async def run(self) -> None:
            self.sink.set_positions(daemon_parts.positions(LEGS))
            self._offer(daemon_parts.utc_now(), *LEGS)
            asyncio.get_running_loop().add_reader(0, self._read)
            await asyncio.Event().wait()

        def _read(self) -> None:
            for line in lines_of_stdin():
                self._offer(dt.datetime.fromisoformat(line), next(iter(LEGS)))

        def _offer(self, at: dt.datetime, *symbols: str) -> None:
            self.number += 1
            bid = 2 + self.number % 50 / 100
            self.sink.offer([Tick(symbol, at, bid, bid + 0.05, 10, 12) for symbol in symbols])

    daemon_parts.serve(Quotes, window_ms / 1000, subscribers, workers)


def serve_naive() -> None:
    """Be the hub of a first version; each line of standard input is a delta."""
    import uvicorn
    from sse_starlette import EventSourceResponse, ServerSentEvent
    from starlette.applications import Starlette
    from starlette.routing import Route

    queues: set[asyncio.Queue] = set()

    async def events():
        queue: asyncio.Queue = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                number, delta = await queue.get()
                yield ServerSentEvent(json.dumps(delta, separators=(",", ":")), event="delta", id=f"naive-{number}")
        finally:
            queues.discard(queue)

    async def stream(_request):
        return EventSourceResponse(events())

    numbers = itertools.count(1)

    def read() -> None:
        for line in lines_of_stdin():
            event = next(numbers), json.loads(line)
            for queue in queues:
                queue.put_nowait(event)

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        asyncio.get_running_loop().add_reader(0, read)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/stream", flush=True)
        # What a plain installation has, as condord's dependencies: neither uvloop nor httptools.
        plain = {"loop": "asyncio", "http": "h11", "access_log": False, "log_level": "error"}
        hub = Starlette(routes=[Route("/stream", stream)])
        await uvicorn.Server(uvicorn.Config(hub, **plain)).serve(sockets=[listener])

    logging.getLogger("asyncio").setLevel("ERROR")  # it warns about each subscriber that has left
    asyncio.run(main())


def lines_of_stdin() -> list[str]:
    """Return the lines that have arrived; each is whole, as it is written at once and fits into one read."""
    return os.read(0, 65_536).decode().splitlines()


@contextlib.contextmanager
def condord(case: Case, _sample: str) -> Iterator[Served]:
    """Run the daemon."""
    with python("condord", str(case.window_ms), str(case.subscribers), "1") as (url, process):
        yield Served(f"{url}/api/stream", process.pid, lambda at: print(at, file=process.stdin))


@contextlib.contextmanager
def workers(case: Case, _sample: str) -> Iterator[Served]:
    """Run the daemon with workers."""
    with python("condord", str(case.window_ms), str(case.subscribers), str(case.workers)) as (url, process):
        yield Served(f"{url}/api/stream", process.pid, lambda at: print(at, file=process.stdin))


@contextlib.contextmanager
def naive(_case: Case, sample: str) -> Iterator[Served]:
    """Run the hub of a first version."""
    with python("naive") as (url, process):
        yield Served(url, process.pid, lambda at: print(retimed(sample, at), file=process.stdin))


def nchan(case: Case, sample: str) -> contextlib.AbstractContextManager[Served]:
    """Run nginx with nchan and one worker."""
    return nginx(case, sample, workers=1)


def nchans(case: Case, sample: str) -> contextlib.AbstractContextManager[Served]:
    """Run nginx with nchan and as many workers as condord has."""
    return nginx(case, sample, workers=case.workers)


@contextlib.contextmanager
def nginx(case: Case, sample: str, *, workers: int) -> Iterator[Served]:
    """Run nginx with nchan."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)  # the workers may be another user
        connections = 2 * case.subscribers + 100
        text = NGINX.format(module=NCHAN, port=port, connections=connections, workers=workers)
        (root / "nginx.conf").write_text(text)
        with running(["nginx", "-p", directory, "-c", "nginx.conf", "-e", "error.log"]) as process:
            while not (root / "nginx.pid").exists() or len(children(process.pid)) < workers:  # it listens from then on
                if process.poll() is not None:
                    raise ChildProcessError((root / "error.log").read_text())
                time.sleep(0.02)
            with socket.create_connection(("127.0.0.1", port)) as publisher:
                url = f"http://127.0.0.1:{port}/stream"
                yield Served(url, process.pid, lambda at: publish(publisher, retimed(sample, at)))


def publish(publisher: socket.socket, data: str) -> None:
    """Publish `data` to nchan without waiting for the answer."""
    head = f"POST /publish HTTP/1.1\r\nHost: nchan\r\nContent-Length: {len(data)}\r\n\r\n"
    publisher.sendall(f"{head}{data}".encode())
    with contextlib.suppress(BlockingIOError):
        publisher.recv(65_536, socket.MSG_DONTWAIT)


@contextlib.contextmanager
def python(*arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run this program as a server; yields the URL that it prints and its process."""
    with tempfile.TemporaryDirectory() as directory:
        program = [sys.executable, "-W", "ignore", __file__, "--serve", *arguments]
        own = {"RUNTIME_DIRECTORY": directory, "STATE_DIRECTORY": directory}
        with running(program, env={**os.environ, **own}) as process:
            yield process.stdout.readline().split()[-1], process


@contextlib.contextmanager
def running(program: list[str], **options) -> Iterator[subprocess.Popen]:
    """Run a process that ends with the block."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(program, **pipes, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()


def retimed(sample: str, at: str) -> str:
    """Return the delta with another time."""
    return re.sub(r'"time":"[^"]*"', f'"time":"{at}"', sample)


def measure(server: str, case: Case, sample: str) -> Report:
    """Measure one server under one load."""
    cores = sorted(os.sched_getaffinity(0))
    with SERVERS[server](case, sample) as served:
        os.sched_setaffinity(served.pid, {cores[0]})
        for number, worker in enumerate(children(served.pid)):
            os.sched_setaffinity(worker, {cores[number % len(cores)]})
        with following(served.url, served.pid, case.subscribers, case.seconds, cores[-1]) as client:
            if server == "workers":
                print(f"{case.subscribers} subscribers, {case.workers} workers: spread {spread(served.pid):.1%}")
            drive(served.hand, case.rate if server in NCHANS else case.quotes, client)
            return report_of(client)


def spread(pid: int) -> float:
    """Return the largest distance of a worker from its share of all connections, as a fraction of that share."""
    counts = [len(list(Path(f"/proc/{worker}/fd").iterdir())) for worker in children(pid)]
    alike = 20  # the files that each has besides
    share = statistics.mean(counts)
    return max(abs(count - share) for count in counts) / max(share - alike, 1)


def drive(hand: Callable[[str], object], a_second: float, client: subprocess.Popen) -> None:
    """Hand over frames on schedule until the client has ended, whether or not the server keeps up."""
    due = time.monotonic()
    while client.poll() is None:
        hand(dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"))
        now = time.monotonic()
        due = max(due + 1 / a_second, now)
        time.sleep(due - now)


SERVERS = {"condord": condord, "workers": workers, "naive": naive, "nchan": nchan, "nchans": nchans}
NCHANS = ("nchan", "nchans")
SEVERAL = ("workers", "nchans")


def ratio(rounds: dict[str, list[Report]], server: str, other: str, figure: str) -> float:
    """Return the median ratio over the rounds; NaN without the other server."""
    pairs = zip(rounds[server], rounds.get(other, ()), strict=False)
    ratios = [getattr(a, figure) / (getattr(b, figure) or math.nan) for a, b in pairs]
    return statistics.median(ratios or [math.nan])


def median(reports: list[Report], figure: str) -> float:
    """Return the median over the rounds."""
    return statistics.median(getattr(report, figure) for report in reports)


def figures(server: str, rounds: dict[str, list[Report]]) -> dict[str, str]:
    """Return one line of the table."""
    reports = rounds[server]
    figure = functools.partial(median, reports)
    over = functools.partial(ratio, rounds, server)
    same_nchan = "nchans" if server in SEVERAL else "nchan"
    return {
        "server": server,
        "subscribers": f"{reports[0].subscribers}",
        "frames/s": f"{figure('frames_per_second'):.1f}",
        "bytes": f"{figure('bytes_a_frame'):.0f}",
        "us each": f"{figure('cpu_us'):.1f}",
        "us/naive": f"{over('naive', 'cpu_us'):.2f}",
        "us/nchan": f"{over(same_nchan, 'cpu_us'):.2f}",
        "p50 ms": f"{figure('p50_ms'):.1f}",
        "p99 ms": f"{figure('p99_ms'):.1f}",
        "p99/nchan": f"{over(same_nchan, 'p99_ms'):.2f}",
        "max ms": f"{figure('max_ms'):.1f}",
        "kB each": f"{figure('kb_a_subscriber'):.1f}",
        "lost": f"{sum(report.lost for report in reports)}",
        "resynced": f"{sum(report.resynced for report in reports)}",
        "busy": f"{figure('server_busy'):.0%}",
        "waits": f"{figure('server_waits'):.0%}",
        "client": f"{figure('client_busy'):.0%}",
    }


def complaints(case: Case, rounds: dict[str, list[Report]]) -> Iterator[str]:
    """Yield the bounds that condord exceeds."""
    ours = rounds["condord"]
    over = functools.partial(ratio, rounds, "condord")
    asked = [(name, sum(getattr(report, name) for report in ours), 0) for name in ("lost", "resynced", "ended")]
    if case.quotes > case.rate:
        asked.append(("p99 ms", median(ours, "p99_ms"), 500.0))
        asked.append(("of the frames missing", 1 - median(ours, "frames_per_second") / case.rate, 0.05))
    else:
        asked.append(("CPU to naive", over("naive", "cpu_us"), 0.35))
        asked.append(("CPU to nchan", over("nchan", "cpu_us"), 1.0))
        asked.append(("p99 to nchan", over("nchan", "p99_ms"), 1.0))
        asked.append(("kB a subscriber", median(ours, "kb_a_subscriber"), 16.0))
    for name, found, most in asked:
        if found > most:
            yield f"{case.subscribers} subscribers at {case.rate:g} frames a second: {name} {found:.2f}, asked {most:g}"


def run(case: Case, servers: list[str], rounds: int) -> list[str]:
    """Measure in turn and print; returns the bounds that are exceeded."""
    reports: dict[str, list[Report]] = {server: [] for server in servers}
    sample = ""
    for _ in range(rounds):
        for server in servers:
            reports[server].append(measure(server, case, sample))
            sample = sample or reports[server][-1].sample
    lines = [figures(server, reports) for server in servers]
    for line in (dict(zip(lines[0], lines[0], strict=True)), *lines):
        print(*(text.replace("nan", "-").rjust(max(len(name), 7)) for name, text in line.items()), flush=True)
    return list(complaints(case, reports))


def cases(chosen: argparse.Namespace) -> Iterator[Case]:
    """Yield what to measure, with at most as many subscribers as files can be opened."""
    for asked in map(int, chosen.subscribers.split(",")):
        if (count := min(asked, room())) < asked:
            print(f"{asked} subscribers are more than the open files allowed: {count}")
        rate, quotes = (FAST_RATE, FAST_QUOTES) if chosen.fast else (chosen.rate, chosen.rate)
        window_ms = FAST_WINDOW_MS if chosen.fast else chosen.window_ms or int(900 / chosen.rate)
        yield Case(count, rate, quotes, window_ms, chosen.seconds, chosen.workers)


def main() -> int:
    """Print the table; return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", default="1000,5000")
    parser.add_argument("--rate", type=float, default=4.0, help="frames a second")
    parser.add_argument("--window-ms", type=int, help="condord's window; default: a tenth under the time of a frame")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1, help="of each, in turn; the medians count")
    parser.add_argument("--workers", type=int, default=1, help="of another condord; 1: none")
    parser.add_argument("--servers", help="only these, condord among them")
    parser.add_argument("--fast", action="store_true", help=f"windows of {FAST_WINDOW_MS} ms, without naive")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        name, *numbers = chosen.serve
        (serve_condord if name == "condord" else serve_naive)(*map(int, numbers))
        return 0
    servers = [server for server in SERVERS if not (chosen.fast and server == "naive")]
    if chosen.workers == 1:
        servers = [server for server in servers if server not in SEVERAL]
    if chosen.servers:
        servers = [server for server in servers if server in chosen.servers.split(",")]
    if set(NCHANS) & set(servers) and (shutil.which("nginx") is None or not NCHAN.exists()):
        print(f"without nchan: nginx is not installed, or {NCHAN} is not there")
        servers = [server for server in servers if server not in NCHANS]
    wrong = [text for case in cases(chosen) for text in run(case, servers, chosen.rounds)]
    print("\n".join(wrong) or "as asked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
