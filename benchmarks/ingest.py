"""Measure what a quote costs from the socket to the book, beside alpaca-py, and the core a busy market leaves free.

All quotes come from replay.py, a server in a process of its own that speaks Alpaca's protocol over a real socket. One
run measures three things:

1. CPU time a quote, in frames of 1 and of 10 quotes, as fast as they are taken. Each contender is a fresh process that
   reports its own CPU time between its first and its last quote:

    condord     websockets.asyncio, the sans-I/O protocol, the feed and the book, with a publication every 250 ms
    alpaca-py   `OptionDataStream` with a handler that stores the quote

2. A busy market: 20,000 quotes a second over 200 held contracts, all of which move in every window of 250 ms. The
   daemon of `service.run` serves one subscriber on a real socket, with only the option stream in the supervisor's
   place. The share of a core is the user and system time of that whole process. A latency is the time from the moment
   when the window's timer is due until the delta is written to the subscriber's connection.
3. A quiet market: one quote every 100 ms with a window of 50 ms, so that each leaves at once. A latency is the time
   from `OptionStream.read` until the delta is written.

The bounds are the ratios of 1.5 and 10 us a quote to the 11.8 and 45 us of alpaca-py on the machine where they were
set, as ratios depend less on the machine, and a quarter of a core in the busy market with ten quotes a frame. The busy
market with one quote a frame has no bound. Exit code 1: a bound is exceeded. `waited` is the share of the time in which
the daemon could have run and others had its core; if it is not small, do not trust the latencies.

Run it: python benchmarks/ingest.py [--quotes 40000] [--rounds 3] [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from replay import SYMBOLS, replaying

ASKED = {1: 10 / 45, 10: 1.5 / 11.8}
"""CPU of condord to that of alpaca-py, by quotes in a frame."""
ASKED_SHARE, ASKED_SHARE_PER_FRAME = 0.25, 10
BUSY_RATE, BUSY_WINDOW_SECONDS = 20_000, 0.25
QUIET_RATE, QUIET_WINDOW_SECONDS = 10, 0.05

HEAD = f"{'quotes a frame':>14}  {'quotes/s':>10}  {'of a core':>12}  {'waited':>6}"
HELD = {symbol: 1 if number % 2 else -1 for number, symbol in enumerate(SYMBOLS)}


class Stopwatch:
    """CPU microseconds from the first quote to the last of `quotes`."""

    def __init__(self, quotes: int) -> None:
        self.left = self.quotes = quotes
        self.done = asyncio.Event()
        self._begin = 0.0

    def count(self, arrived: int) -> None:
        """Count quotes that have arrived."""
        if self.left == self.quotes:
            self._begin = time.process_time()
        self.left -= arrived
        if self.left <= 0:
            self.report = 1e6 * (time.process_time() - self._begin) / self.quotes
            self.done.set()

    async def finish(self, running: asyncio.Task) -> None:
        """Wait for the last quote and end `running`; an error in it is raised."""
        counting = asyncio.create_task(self.done.wait())
        await asyncio.wait({running, counting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.wait({running})


def measure_condord(url: str, quotes: int) -> None:
    """Print what a quote costs in condord."""
    import daemon_parts

    from condord.daemon.feed import Feed
    from condord.daemon.grouper import Grouper

    class CountingFeed(Feed):
        def offer(self, ticks) -> None:
            super().offer(ticks)
            watch.count(len(ticks))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        publisher = daemon_parts.publisher()
        feed = CountingFeed(
            publisher,
            loop=loop,
            now_at=daemon_parts.utc_now,
            work=Grouper().run,
            past=daemon_parts.unrecorded_past(),
            alerts=daemon_parts.unstored_alerts(publisher),
        )
        feed.set_positions(daemon_parts.positions(HELD))
        running = asyncio.create_task(daemon_parts.option_stream(url, SYMBOLS, feed).run())
        await watch.finish(running)

    watch = Stopwatch(quotes)
    asyncio.run(main())
    print(watch.report)


def measure_alpaca_py(url: str, quotes: int) -> None:
    """Print what a quote costs in alpaca-py."""
    from alpaca.data.live.option import OptionDataStream

    watch = Stopwatch(quotes)
    stored = {}

    async def main() -> None:
        stream = OptionDataStream("KEY", "SECRET", url_override=url)

        async def store(quote) -> None:
            stored[quote.symbol] = quote
            watch.count(1)

        stream.subscribe_quotes(store, *SYMBOLS)
        running = asyncio.create_task(stream._run_forever())  # noqa: SLF001 - `run` would own the loop
        await watch.finish(running)

    asyncio.run(main())
    print(watch.report)


def daemon(url: str, window_seconds: float) -> None:
    """Be the daemon until SIGTERM; then print how many quotes came, in what time, and the latencies."""
    import daemon_parts

    from condord.daemon import build
    from condord.daemon.feed import Feed
    from condord.http.subscriber_writer import SubscriberWriter
    from condord.upstream.option_stream import OptionStream

    read_at = begin_at = 0.0
    arrived = [0, 0.0, 0.0]  # quotes, and when the first and the last arrived
    latencies: dict[str, list[float]] = {"leading": [], "timed": []}
    kind = ""

    class TimedStream(OptionStream):
        def read(self, data: bytes) -> None:
            nonlocal read_at
            read_at = time.monotonic()
            super().read(data)

    class TimedFeed(Feed):
        def offer(self, ticks) -> None:
            arrived[0] += len(ticks)
            arrived[1] = arrived[1] or read_at
            arrived[2] = read_at
            super().offer(ticks)

        def _turn(self) -> None:
            nonlocal begin_at, kind
            begin_at, kind = (read_at, "leading") if self._timer is None else (self._timer.when(), "timed")
            super()._turn()
            kind = ""

    class Quotes(daemon_parts.FakeSupervisor):
        async def run(self) -> None:
            self.sink.set_positions(daemon_parts.positions(HELD))
            await daemon_parts.option_stream(url, SYMBOLS, self.sink, TimedStream).run()

    wake = SubscriberWriter.wake

    def timed_wake(writer: SubscriberWriter) -> None:
        wake(writer)
        if kind:
            latencies[kind].append(time.monotonic() - begin_at)

    SubscriberWriter.wake = timed_wake
    build.Feed = TimedFeed
    daemon_parts.serve(Quotes, window_seconds)
    print(json.dumps({"rate": arrived[0] / (arrived[2] - arrived[1]), **latencies}))


class Latency(NamedTuple):
    """Percentiles over `count` deltas, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        """Return the percentiles without the first tenth, in which caches are cold."""
        warm = sorted(seconds[len(seconds) // 10 :])
        return cls(len(warm), 1e3 * warm[len(warm) // 2], 1e3 * warm[len(warm) * 99 // 100])


class Market(NamedTuple):
    """How a market went: `rate` in quotes a second, `share` and `waited` in cores, latencies in seconds."""

    rate: float
    share: float
    waited: float
    leading: list[float]
    timed: list[float]


def watch_market(rate: float, per_frame: int, window_seconds: float, seconds: float) -> Market:
    """Run the daemon at `rate` quotes a second, on a core of its own if there are two."""
    from subscribers import following, report_of

    cores = sorted(os.sched_getaffinity(0))
    with replaying(per_frame, rate=rate) as (stream_url, replay_pid), tempfile.TemporaryDirectory() as directory:
        os.sched_setaffinity(replay_pid, {cores[-1]})
        with running("--daemon", stream_url, str(window_seconds), RUNTIME_DIRECTORY=directory) as process:
            os.sched_setaffinity(process.pid, {cores[0]})
            url = f"{process.stdout.readline().strip()}/api/stream"
            with following(url, process.pid, 1, seconds, cores[-1]) as client:
                seen = report_of(client)
            process.terminate()
            output, _ = process.communicate()
    return Market(share=seen.server_busy, waited=seen.server_waits, **json.loads(output))


@contextlib.contextmanager
def running(*arguments: str, **environ: str) -> Iterator[subprocess.Popen]:
    """Run this program as a child that ends with the block."""
    program = [sys.executable, "-W", "ignore", __file__, *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}) as process:
        try:
            yield process
        finally:
            process.kill()


def measure(contender: str, quotes: int, per_frame: int) -> float:
    """Return the CPU microseconds a quote of one contender in a fresh process."""
    with (
        replaying(per_frame, quotes=quotes) as (url, _),
        running("--contender", contender, url, str(quotes)) as process,
    ):
        return float(process.communicate(timeout=110)[0].split()[-1])


def costs(quotes: int, rounds: int) -> Iterator[str]:
    """Print what a quote costs; returns the bounds that are exceeded."""
    print("CPU a quote, as fast as they are taken")
    print(f"{'quotes a frame':>14}  {'condord us':>10}  {'alpaca-py us':>12}  {'ratio':>6}  {'asked':>6}")
    for per_frame, asked in ASKED.items():
        pairs = [
            (measure("condord", quotes, per_frame), measure("alpaca-py", quotes, per_frame)) for _ in range(rounds)
        ]
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{per_frame:>14}  {mine:>10.2f}  {other:>12.2f}  {ratio:>6.3f}  {asked:>6.3f}", flush=True)
        if ratio > asked:
            yield f"{per_frame} a frame: {ratio:.3f} of the CPU of alpaca-py, asked {asked:.3f}"


def markets(seconds: float) -> Iterator[str]:
    """Print how the daemon does; returns the bounds that are exceeded."""
    print(f"\nA busy market: {BUSY_RATE} quotes a second over {len(SYMBOLS)} contracts, one subscriber")
    print(f"{HEAD}  timer due to delta written")
    for per_frame in ASKED:
        market = watch_market(BUSY_RATE, per_frame, BUSY_WINDOW_SECONDS, seconds)
        print(row(per_frame, market), shown(market.timed), flush=True)
        if market.share > ASKED_SHARE and per_frame == ASKED_SHARE_PER_FRAME:
            yield f"{per_frame} a frame: {market.share:.1%} of a core, asked {ASKED_SHARE:.0%}"
        if market.rate < 0.98 * BUSY_RATE:
            yield f"{per_frame} a frame: {market.rate:.0f} quotes a second came instead of {BUSY_RATE}"
    print(f"\nA quiet market: {QUIET_RATE} quotes a second, one subscriber")
    print(f"{HEAD}  frame received to delta written")
    market = watch_market(QUIET_RATE, 1, QUIET_WINDOW_SECONDS, seconds)
    print(row(1, market), shown(market.leading), flush=True)


def row(per_frame: int, market: Market) -> str:
    """Return a line under `HEAD`."""
    return f"{per_frame:>14}  {market.rate:>10.0f}  {market.share:>12.1%}  {market.waited:>6.1%} "


def shown(seconds: list[float]) -> str:
    """Return latencies as text."""
    latency = Latency.of(seconds)
    return f"p50 {latency.p50_ms:.2f} ms, p99 {latency.p99_ms:.2f} ms, of {latency.count}"


def main() -> int:
    """Print the tables; return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quotes", type=int, default=40_000, help="quotes a run of the first table, a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn; the median counts")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each market")
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--daemon", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        name, url, quotes = chosen.contender
        (measure_condord if name == "condord" else measure_alpaca_py)(url, int(quotes))
        return 0
    if chosen.daemon:
        url, window_seconds = chosen.daemon
        daemon(url, float(window_seconds))
        return 0
    wrong = [*costs(chosen.quotes, chosen.rounds), *markets(chosen.seconds)]
    if wrong:
        print("", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
