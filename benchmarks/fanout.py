"""What a frame to a subscriber costs in condord, beside a naive hub and nchan in the same run.

Each server runs alone, on a core of its own, and gets the same frames from this process at the same times:

    condord    the daemon of `service.run` with all that is below the supervisor; in the supervisor's place something
               hands the desk the quotes that come through a pipe. One leg of one condor moves a frame.
    naive      Starlette and sse-starlette as a first version would use them: a queue and a json.dumps for each
               subscriber. It gets condord's newest delta with another time.
    nchan      nginx with its nchan module and one worker; the same delta is published over HTTP. Skipped where nginx or
               the module is not installed (Debian: nginx-light, libnginx-mod-nchan).

A latency is from the moment when this process has the quote, and hands it to the server, to the moment when a
subscriber has read its frame. The window is left out: it is a tenth shorter than the time between two quotes, so that
each of them leaves at once. The quotes come whether or not the server keeps up. CPU is the user and system time of
the process that serves, memory its Pss. See subscribers.py for how both are taken. Shares of the time: `busy` and
`waits` are for what the server had its core and waited for it, `client` for what the client had or wanted its own, and
near 100 % the latencies are the client's. Only the ratios of one run say anything.

With `--fast` condord gets 100 quotes a second and makes 20 frames of them; a latency is of the newest quote in a frame,
and up to 10 ms of it are the window. nchan gets 20 frames, and naive is left out.

Run it: python benchmarks/fanout.py [--subscribers 1000,5000] [--rate 4] [--seconds 10] [--rounds 1] [--fast]
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
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from subscribers import Report, following, report_of, room

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
FAST_RATE, FAST_QUOTES, FAST_WINDOW_MS = 20, 100, 50

LEGS = {"SPY261218P00705000": 2, "SPY261218P00715000": -2, "SPY261218C00770000": -2, "SPY261218C00780000": 2}
NGINX = """
load_module {module};
daemon off; worker_processes 1; pid nginx.pid; error_log error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off; tcp_nodelay on; keepalive_requests 1000000; keepalive_timeout 600;
    client_body_temp_path 1; proxy_temp_path 2; fastcgi_temp_path 3; uwsgi_temp_path 4; scgi_temp_path 5;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location = /worker {{ return 200 $pid; }}
        location = /publish {{ nchan_publisher; nchan_channel_id all; }}
        location = /stream {{ nchan_subscriber eventsource; nchan_channel_id all; }}
    }}
}}
"""


class Served(NamedTuple):
    """A server that runs: its stream, the process that serves it, and how it is handed a frame of a given time."""

    url: str
    pid: int
    hand: Callable[[str], object]


class Case(NamedTuple):
    """What is measured: `rate` in frames and `quotes` in quotes a second."""

    subscribers: int
    rate: float
    quotes: float
    window_ms: int
    seconds: float


def serve_condord(window_ms: int, subscribers: int) -> None:
    """Be the daemon; each line of standard input is the time of a quote."""
    import house

    from condord.core.quote import Tick

    class Feed(house.Feed):
        number = 0

        async def run(self) -> None:
            self.desk.set_positions(house.positions(LEGS))
            self._offer(house.utc_now(), *LEGS)
            asyncio.get_running_loop().add_reader(0, self._read)
            await asyncio.Event().wait()

        def _read(self) -> None:
            for line in lines_of_stdin():
                self._offer(dt.datetime.fromisoformat(line), next(iter(LEGS)))

        def _offer(self, at: dt.datetime, *symbols: str) -> None:
            self.number += 1
            bid = 2 + self.number % 50 / 100
            self.desk.offer([Tick(symbol, at, bid, bid + 0.05, 10, 12) for symbol in symbols])

    house.serve(Feed, window_ms / 1000, subscribers)


def serve_naive() -> None:
    """Be the hub that a first version would have; each line of standard input is a delta."""
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

    logging.getLogger("asyncio").setLevel("ERROR")  # it warns of each subscriber that has gone
    asyncio.run(main())


def lines_of_stdin() -> list[str]:
    """What has come; a line is whole, as it is written at once and the pipe holds no more than is read."""
    return os.read(0, 65_536).decode().splitlines()


@contextlib.contextmanager
def condord(case: Case, _sample: str) -> Iterator[Served]:
    """The daemon."""
    with python("condord", str(case.window_ms), str(case.subscribers)) as (url, process):
        yield Served(f"{url}/api/stream", process.pid, lambda at: print(at, file=process.stdin))


@contextlib.contextmanager
def naive(_case: Case, sample: str) -> Iterator[Served]:
    """The hub of a first version."""
    with python("naive") as (url, process):
        yield Served(url, process.pid, lambda at: print(retimed(sample, at), file=process.stdin))


@contextlib.contextmanager
def nchan(case: Case, sample: str) -> Iterator[Served]:
    """The module in nginx, whose worker names itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)  # the worker may be another user
        (place / "nginx.conf").write_text(NGINX.format(module=NCHAN, port=port, connections=2 * case.subscribers + 100))
        with running(["nginx", "-p", directory, "-c", "nginx.conf", "-e", "error.log"]) as process:
            while not (place / "nginx.pid").exists():  # it is written when it listens
                if process.poll() is not None:
                    raise ChildProcessError((place / "error.log").read_text())
                time.sleep(0.02)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/worker") as answer:
                worker = int(answer.read())
            with socket.create_connection(("127.0.0.1", port)) as publisher:
                url = f"http://127.0.0.1:{port}/stream"
                yield Served(url, worker, lambda at: publish(publisher, retimed(sample, at)))


def publish(publisher: socket.socket, data: str) -> None:
    """Hand it to nchan, and do not wait for its answer."""
    head = f"POST /publish HTTP/1.1\r\nHost: nchan\r\nContent-Length: {len(data)}\r\n\r\n"
    publisher.sendall(f"{head}{data}".encode())
    with contextlib.suppress(BlockingIOError):
        publisher.recv(65_536, socket.MSG_DONTWAIT)


@contextlib.contextmanager
def python(*arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """This program as a server, and the URL that it names."""
    with tempfile.TemporaryDirectory() as directory:
        program = [sys.executable, "-W", "ignore", __file__, "--serve", *arguments]
        own = {"RUNTIME_DIRECTORY": directory, "STATE_DIRECTORY": directory}
        with running(program, env={**os.environ, **own}) as process:
            yield process.stdout.readline().split()[-1], process


@contextlib.contextmanager
def running(program: list[str], **options) -> Iterator[subprocess.Popen]:
    """A process that ends with the block."""
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
    """The delta with another time."""
    return re.sub(r'"time":"[^"]*"', f'"time":"{at}"', sample)


def measure(server: str, case: Case, sample: str) -> Report:
    """One server under one load."""
    cores = sorted(os.sched_getaffinity(0))
    with SERVERS[server](case, sample) as served:
        os.sched_setaffinity(served.pid, {cores[0]})
        with following(served.url, served.pid, case.subscribers, case.seconds, cores[-1]) as client:
            drive(served.hand, case.rate if server == "nchan" else case.quotes, client)
            return report_of(client)


def drive(hand: Callable[[str], object], a_second: float, client: subprocess.Popen) -> None:
    """Hand over frames, on time whatever becomes of them, until the client has ended."""
    due = time.monotonic()
    while client.poll() is None:
        hand(dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"))
        now = time.monotonic()
        due = max(due + 1 / a_second, now)
        time.sleep(due - now)


SERVERS = {"condord": condord, "naive": naive, "nchan": nchan}


def ratio(rounds: dict[str, list[Report]], server: str, other: str, figure: str) -> float:
    """The median over the rounds; NaN without the other."""
    pairs = zip(rounds[server], rounds.get(other, ()), strict=False)
    ratios = [getattr(a, figure) / (getattr(b, figure) or math.nan) for a, b in pairs]
    return statistics.median(ratios or [math.nan])


def median(reports: list[Report], figure: str) -> float:
    """The median over the rounds."""
    return statistics.median(getattr(report, figure) for report in reports)


def figures(server: str, rounds: dict[str, list[Report]]) -> dict[str, str]:
    """One line of the table."""
    reports = rounds[server]
    told = functools.partial(median, reports)
    over = functools.partial(ratio, rounds, server)
    return {
        "server": server,
        "subscribers": f"{reports[0].subscribers}",
        "frames/s": f"{told('frames_a_second'):.1f}",
        "bytes": f"{told('bytes_a_frame'):.0f}",
        "us each": f"{told('cpu_us'):.1f}",
        "us/naive": f"{over('naive', 'cpu_us'):.2f}",
        "us/nchan": f"{over('nchan', 'cpu_us'):.2f}",
        "p50 ms": f"{told('p50_ms'):.1f}",
        "p99 ms": f"{told('p99_ms'):.1f}",
        "p99/nchan": f"{over('nchan', 'p99_ms'):.2f}",
        "max ms": f"{told('max_ms'):.1f}",
        "kB each": f"{told('kb_a_subscriber'):.1f}",
        "lost": f"{sum(report.lost for report in reports)}",
        "resynced": f"{sum(report.resynced for report in reports)}",
        "busy": f"{told('server_busy'):.0%}",
        "waits": f"{told('server_waits'):.0%}",
        "client": f"{told('client_busy'):.0%}",
    }


def complaints(case: Case, rounds: dict[str, list[Report]]) -> Iterator[str]:
    """What is not as asked of condord."""
    ours = rounds["condord"]
    over = functools.partial(ratio, rounds, "condord")
    asked = [(name, sum(getattr(report, name) for report in ours), 0) for name in ("lost", "resynced", "ended")]
    if case.quotes > case.rate:
        asked.append(("p99 ms", median(ours, "p99_ms"), 500.0))
        asked.append(("of the frames missing", 1 - median(ours, "frames_a_second") / case.rate, 0.05))
    else:
        asked.append(("CPU to naive", over("naive", "cpu_us"), 0.35))
        asked.append(("CPU to nchan", over("nchan", "cpu_us"), 1.0))
        asked.append(("p99 to nchan", over("nchan", "p99_ms"), 1.0))
        asked.append(("kB a subscriber", median(ours, "kb_a_subscriber"), 16.0))
    for name, found, most in asked:
        if found > most:
            yield f"{case.subscribers} subscribers at {case.rate:g} frames a second: {name} {found:.2f}, asked {most:g}"


def run(case: Case, servers: list[str], rounds: int) -> list[str]:
    """Measure in turn and print; returns what is not as asked."""
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
    """What to measure, no more subscribers than files can be opened."""
    for asked in map(int, chosen.subscribers.split(",")):
        if (count := min(asked, room())) < asked:
            print(f"{asked} subscribers are more than the open files allowed: {count}")
        rates = (FAST_RATE, FAST_QUOTES) if chosen.fast else (chosen.rate, chosen.rate)
        window_ms = FAST_WINDOW_MS if chosen.fast else chosen.window_ms or int(900 / chosen.rate)
        yield Case(count, *rates, window_ms, chosen.seconds)


def main() -> int:
    """Print the table; 1 if something is not as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", default="1000,5000")
    parser.add_argument("--rate", type=float, default=4.0, help="frames a second")
    parser.add_argument("--window-ms", type=int, help="condord's window; default: a tenth under the time of a frame")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1, help="of each, in turn; the medians count")
    parser.add_argument("--fast", action="store_true", help=f"windows of {FAST_WINDOW_MS} ms, without naive")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        name, *numbers = chosen.serve
        (serve_condord if name == "condord" else serve_naive)(*map(int, numbers))
        return 0
    servers = ["condord", "nchan"] if chosen.fast else list(SERVERS)
    if shutil.which("nginx") is None or not NCHAN.exists():
        print(f"without nchan: nginx is not installed, or {NCHAN} is not there")
        servers.remove("nchan")
    wrong = [text for case in cases(chosen) for text in run(case, servers, chosen.rounds)]
    print("\n".join(wrong) or "as asked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
