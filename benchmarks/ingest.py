"""What a quote costs from the socket to the book, beside alpaca-py in the same run.

A replay server in a process of its own speaks Alpaca's protocol over a real socket and sends frames of 1 and of 10
quotes as fast as they are taken. Each contender is a fresh process that reports its own CPU time between its first
and its last quote:

    condord     websockets.asyncio, the sans-I/O protocol, the desk and the book (with a publication every 250 ms)
    alpaca-py   `OptionDataStream` with a handler that stores the quote

Run it: python benchmarks/ingest.py [--quotes N] [--rounds N]
"""

import argparse
import asyncio
import datetime as dt
import statistics
import subprocess
import sys
import time

import msgspec

SYMBOLS = [f"SPY261218{right}{strike:05d}000" for right in "PC" for strike in range(500, 600)]
START_NS = 1_790_000_000 * 10**9


def replay(quotes: int, per_frame: int) -> None:
    """Serve one client: handshake, `quotes` quotes in frames of `per_frame`, and then nothing."""
    from websockets.asyncio.server import serve

    encoder = msgspec.msgpack.Encoder()

    def frame(first: int) -> bytes:
        messages = []
        for number in range(first, first + per_frame):
            seconds, nanos = divmod(START_NS + number * 10**6, 10**9)
            stamp = msgspec.msgpack.Ext(-1, ((nanos << 34) | seconds).to_bytes(8, "big"))
            bid = 1.0 + (number % 97) / 100
            message = {"T": "q", "S": SYMBOLS[number % len(SYMBOLS)], "t": stamp, "bx": "C", "bp": bid, "bs": 10}
            messages.append({**message, "ax": "C", "ap": bid + 0.05, "as": 12, "c": "A"})
        return encoder.encode(messages)

    async def talk(socket) -> None:
        await socket.send(encoder.encode([{"T": "success", "msg": "connected"}]))
        await socket.recv()
        await socket.send(encoder.encode([{"T": "success", "msg": "authenticated"}]))
        await socket.recv()
        await socket.send(encoder.encode([{"T": "subscription", "trades": [], "quotes": SYMBOLS}]))
        for first in range(0, quotes, per_frame):
            await socket.send(frame(first))
        await socket.wait_closed()

    async def main() -> None:
        async with serve(talk, "127.0.0.1", 0, compression=None) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await asyncio.sleep(120)

    asyncio.run(main())


class Stopwatch:
    """CPU microseconds from the first quote to the last of `quotes`."""

    def __init__(self, quotes: int) -> None:
        self.left = self.quotes = quotes
        self.done = asyncio.Event()
        self._begin = 0.0

    def count(self, arrived: int) -> None:
        """So many quotes have arrived."""
        if self.left == self.quotes:
            self._begin = time.process_time()
        self.left -= arrived
        if self.left <= 0:
            self.report = 1e6 * (time.process_time() - self._begin) / self.quotes
            self.done.set()

    async def finish(self, running: asyncio.Task) -> None:
        """Wait for the last quote, and end what brought it; an error of it ends the benchmark."""
        counting = asyncio.create_task(self.done.wait())
        await asyncio.wait({running, counting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.wait({running})


def ours(url: str, quotes: int) -> None:
    """Print what a quote costs in condord."""
    from condord.core.occ import parse
    from condord.core.position import Position
    from condord.desk import Desk
    from condord.live import render
    from condord.live.account import Account
    from condord.live.book import Book
    from condord.live.coalescer import Coalescer
    from condord.live.edition import Edition
    from condord.live.fanout import Fanout
    from condord.live.link import Link, LinkSettings
    from condord.live.prices import Prices
    from condord.live.publisher import Publisher
    from condord.upstream.option_stream import OptionStream
    from condord.upstream.ports import Login

    def utc_now() -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    class CountingDesk(Desk):
        def offer(self, ticks) -> None:
            super().offer(ticks)
            watch.count(len(ticks))

    async def never_newer() -> bool:
        return False

    async def main() -> None:
        status = render.unread_status("simulator", "indicative", utc_now())
        edition = Edition(epoch="bench", replay_size=1024, status=status, totals=render.UNREAD_TOTALS)
        book = Book(edition=edition, prices=Prices(max_symbols=10_000, ttl_seconds=600.0), min_change_e4=100)
        fanout = Fanout(edition, ring_size=256)
        publisher = Publisher(account=Account(0.0), book=book, coalescer=Coalescer(0.25), fanout=fanout)
        desk = CountingDesk(publisher, loop=asyncio.get_running_loop(), now_at=utc_now)
        desk.set_positions(
            Position(
                symbol=symbol,
                contract=parse(symbol),
                quantity=1 if number % 2 else -1,
                average_entry_e4=10_000,
                cost_basis_e4=1_000_000 if number % 2 else -1_000_000,
                underlying="SPY",
            )
            for number, symbol in enumerate(SYMBOLS)
        )
        bounds = LinkSettings(
            name="the option stream", silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0
        )
        stream = OptionStream(
            Link(bounds, chance=lambda: 0.5),
            url=url,
            login=Login(lambda: "KEY", lambda: "SECRET"),
            symbol_limit=len(SYMBOLS),
            desk=desk,
            now_at=utc_now,
            newer=never_newer,
            live=lambda: None,
            changed=lambda: None,
        )
        stream.want(SYMBOLS)
        running = asyncio.create_task(stream.run())
        await watch.finish(running)

    watch = Stopwatch(quotes)
    asyncio.run(main())
    print(watch.report)


def theirs(url: str, quotes: int) -> None:
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


def measure(contender: str, quotes: int, per_frame: int) -> float:
    """CPU microseconds a quote of one contender in a fresh process."""
    program = [sys.executable, "-W", "ignore", __file__]
    server = subprocess.Popen([*program, "--replay", str(quotes), str(per_frame)], stdout=subprocess.PIPE, text=True)
    try:
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/v1beta1/indicative"
        told = subprocess.run(
            [*program, "--contender", contender, url, str(quotes)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=110,
        )
        return float(told.stdout.split()[-1])
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quotes", type=int, default=40_000, help="quotes a run, a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn; the median counts")
    parser.add_argument("--replay", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.replay:
        replay(*chosen.replay)
    elif chosen.contender:
        name, url, quotes = chosen.contender
        (ours if name == "condord" else theirs)(url, int(quotes))
    else:
        print(f"{'quotes a frame':>14}  {'condord us':>10}  {'alpaca-py us':>12}  {'ratio':>6}")
        for per_frame in (1, 10):
            rounds = [
                (measure("condord", chosen.quotes, per_frame), measure("alpaca-py", chosen.quotes, per_frame))
                for _ in range(chosen.rounds)
            ]
            mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(a / b for a, b in rounds)
            print(f"{per_frame:>14}  {mine:>10.2f}  {other:>12.2f}  {ratio:>6.3f}")


if __name__ == "__main__":
    main()
