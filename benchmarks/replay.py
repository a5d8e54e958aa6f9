"""Serve Alpaca's option stream over a real socket, with quotes of 200 contracts until it is killed.

Each quote moves its contract by some cents, and is stamped with the wall clock when it is sent. Frames are sent as fast
as they are taken, or on schedule: what is due is sent then, even if earlier frames are late. The port is printed on
standard output.

Run it: python benchmarks/replay.py [--per-frame 10] [--rate 20000] [--quotes N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import msgspec

SYMBOLS = [f"SPY261218{right}{strike:05d}000" for right in "PC" for strike in range(500, 600)]
PRICES = 97
"""Bids in turn, a cent apart; not a divisor of the number of symbols, so that each of them moves."""

_STAMP = b"\0CONDORD"
_encoder = msgspec.msgpack.Encoder()


def quotes() -> list[bytes]:
    """Return all quotes, encoded, with a placeholder for the time."""
    stamp = msgspec.msgpack.Ext(-1, _STAMP)
    encoded = []
    for number in range(len(SYMBOLS) * PRICES):
        bid = 1.0 + (number % PRICES) / 100
        message = {"T": "q", "S": SYMBOLS[number % len(SYMBOLS)], "t": stamp, "bx": "C", "bp": bid, "bs": 10}
        encoded.append(_encoder.encode({**message, "ax": "C", "ap": bid + 0.05, "as": 12, "c": "A"}))
    return encoded


def frames(per_frame: int) -> Iterator[bytes]:
    """Yield frames indefinitely."""
    cycle = itertools.cycle(quotes())
    while True:
        seconds, nanos = divmod(time.time_ns(), 10**9)
        stamp = ((nanos << 34) | seconds).to_bytes(8, "big")
        yield _encoder.encode(
            [msgspec.Raw(quote.replace(_STAMP, stamp)) for quote in itertools.islice(cycle, per_frame)]
        )


async def due(rate: float, per_frame: int) -> AsyncIterator[None]:
    """Yield for each frame when it is due; at once if `rate`, in quotes a second, is 0."""
    begin = time.monotonic()
    for number in itertools.count(1):
        if rate:
            wait = begin + number * per_frame / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
        yield


async def talk(socket, per_frame: int, rate: float, most: float) -> None:
    """Do the handshake and send quotes until the client leaves, or `most` of them."""
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):
        await socket.send(_encoder.encode([{"T": "success", "msg": "connected"}]))
        await socket.recv()
        await socket.send(_encoder.encode([{"T": "success", "msg": "authenticated"}]))
        await socket.recv()
        await socket.send(_encoder.encode([{"T": "subscription", "trades": [], "quotes": SYMBOLS}]))
        sent, coming = 0, frames(per_frame)
        async for _ in due(rate, per_frame):
            if sent >= most:
                break
            await socket.send(next(coming))
            sent += per_frame
        await socket.wait_closed()


async def serve(per_frame: int, rate: float, most: float) -> None:
    """Listen, and print the port."""
    from websockets.asyncio.server import serve as listen

    async with listen(lambda socket: talk(socket, per_frame, rate, most), "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


@contextlib.contextmanager
def replaying(per_frame: int, *, rate: float = 0, quotes: int = 0) -> Iterator[tuple[str, int]]:
    """Run the server in a process that ends with the block; yields its URL and pid."""
    program = [sys.executable, __file__, f"--per-frame={per_frame}", f"--rate={rate}", f"--quotes={quotes}"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"ws://127.0.0.1:{int(process.stdout.readline())}/v1beta1/indicative", process.pid
        finally:
            process.kill()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-frame", type=int, default=10, help="quotes in a frame")
    parser.add_argument("--rate", type=float, default=0, help="quotes a second; 0: as fast as they are taken")
    parser.add_argument("--quotes", type=int, default=0, help="how many in all, a whole number of frames; 0: no end")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.per_frame, chosen.rate, chosen.quotes or math.inf))


if __name__ == "__main__":
    main()
