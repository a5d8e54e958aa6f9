"""Measure what gzip costs: deflating a frame once for all, beside a zlib stream for each subscriber.

There are three kinds of frames, made as the daemon makes them for an account of `CONDORS` condors: the delta of one
condor of which a leg has moved, the delta of a busy window, and the snapshot. The first two are series of different
frames in one stream, so that a zlib stream can use what it has sent before. Real prices repeat themselves less, so
`gzip apart` is its best case. CPU is that of this process, of the quickest of `REPEATS`, in microseconds a frame:

    deflate    once a frame, for any number of subscribers
    join       for each subscriber with gzip: the checksum over the frame, and the deflated piece
    identity   for each subscriber without
    apart      for each subscriber if each had its own stream, at the same level. Measured with `STREAMS` of them, as
               each takes a quarter of a megabyte, and scaled up
    CPU ratio  apart for all subscribers, to one deflate and as many joins

Run it: python benchmarks/compression.py [--subscribers 1000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import daemon_parts

from condord.core.quote import Tick
from condord.live import compression
from condord.live.published import Selection

CONDORS = 50
FRAMES = 40
REPEATS = 5
STREAMS = 100
LEVEL = 6
"""The same value as in condord/live/compression.py."""
_GZIP = 31

Raws = list[bytes]


class Cost(NamedTuple):
    """The bytes and CPU microseconds of one frame."""

    raw: float
    shared: float
    apart: float
    deflate_us: float
    join_us: float
    identity_us: float
    apart_us: float


class Frames:
    """The frames of a publisher with `CONDORS` condors."""

    def __init__(self) -> None:
        today = daemon_parts.utc_now().date()
        self._condors = [legs(today + dt.timedelta(weeks=1 + number)) for number in range(CONDORS)]
        self._publisher = daemon_parts.publisher()
        self._now = self._moves = 0
        held = {symbol: quantity for condor in self._condors for symbol, quantity in condor.items()}
        self._publisher.set_positions(daemon_parts.positions(held), self._now, daemon_parts.utc_now())
        self._subscriber = self._publisher.fanout.subscribe(
            selection=Selection(), interval_seconds=0.0, version=None, now_at=daemon_parts.utc_now(), wake=lambda: None
        )
        self._move(list(held))

    def snapshot(self) -> bytes:
        """Return the snapshot of a new subscriber."""
        newcomer = self._publisher.fanout.subscribe(
            selection=Selection(), interval_seconds=0.0, version=None, now_at=daemon_parts.utc_now(), wake=lambda: None
        )
        try:
            return newcomer.take(daemon_parts.utc_now)
        finally:
            self._publisher.fanout.unsubscribe(newcomer)

    def delta(self, quotes: int) -> bytes:
        """Return the delta of a window in which `quotes` contracts, the legs of the first condors, have moved."""
        return self._move([symbol for condor in self._condors for symbol in condor][:quotes])

    def _move(self, symbols: list[str]) -> bytes:
        self._now += 1
        self._moves += 1
        at = daemon_parts.utc_now()
        bid = 2 + self._moves % 47 / 20
        ticks = [
            Tick(symbol, at, round(bid + place % 7 / 10, 2), round(bid + place % 7 / 10 + 0.05, 2), 10 + place, 12)
            for place, symbol in enumerate(symbols)
        ]
        self._publisher.offer(ticks, self._now)
        self._publisher.tick(self._now, at)
        return self._subscriber.take(lambda: at)


def legs(expiration: dt.date) -> dict[str, int]:
    """Return a condor of SPY: signed quantities by symbol."""
    strikes = {"P00705000": 2, "P00715000": -2, "C00770000": -2, "C00780000": 2}
    return {f"SPY{expiration:%y%m%d}{strike}": quantity for strike, quantity in strikes.items()}


def measure(raws: Raws, subscribers: int) -> Cost:
    """Measure what frames of one kind cost."""
    check(raws)
    frames = [compression.Frame(raw) for raw in raws]
    shared = sum(len(frame.deflated.raw) for frame in frames)
    apart = sum(len(piece) for piece in deflated_apart(raws))
    singles = [[frame] for frame in frames]

    def join(codings: list[compression.Coding]) -> None:
        for single in singles:
            for coding in codings:
                coding.join(single, is_last=False)

    packed: list[compression.Coding] = [compression.coding("gzip", is_chunked=True) for _ in range(subscribers)]
    plain: list[compression.Coding] = [compression.coding("identity", is_chunked=True)] * subscribers
    return Cost(
        raw=sum(map(len, raws)) / len(raws),
        shared=shared / len(raws),
        apart=apart / len(raws),
        deflate_us=quickest_us(lambda: [compression.Frame(raw).deflated for raw in raws]) / len(raws),
        join_us=quickest_us(lambda: join(packed)) / len(raws) / subscribers,
        identity_us=quickest_us(lambda: join(plain)) / len(raws) / subscribers,
        apart_us=quickest_us(lambda: all_apart(raws)) / len(raws) / STREAMS,
    )


def check(raws: Raws) -> None:
    """Check that both ways inflate to the frames."""
    gzip = compression.coding("gzip")
    frames = [compression.Frame(raw) for raw in raws]
    whole = b"".join(gzip.join([frame], is_last=frame is frames[-1]) for frame in frames)
    if zlib.decompress(whole, _GZIP) != b"".join(raws):
        raise ValueError("the shared stream is not what was sent")
    if zlib.decompressobj(_GZIP).decompress(b"".join(deflated_apart(raws))) != b"".join(raws):
        raise ValueError("the stream apart is not what was sent")


def deflated_apart(raws: Raws) -> Raws:
    """Return the pieces of a stream for one subscriber, each of which can be inflated when it arrives."""
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    return [stream.compress(raw) + stream.flush(zlib.Z_SYNC_FLUSH) for raw in raws]


def all_apart(raws: Raws) -> None:
    """Do the same for `STREAMS` subscribers, frame by frame."""
    streams = [zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP) for _ in range(STREAMS)]
    for raw in raws:
        for stream in streams:
            stream.compress(raw) + stream.flush(zlib.Z_SYNC_FLUSH)


def quickest_us(work: Callable[[], object]) -> float:
    """Return the CPU microseconds of the quickest of `REPEATS`."""
    taken = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        work()
        taken.append(time.process_time_ns() - began)
    return min(taken) / 1e3


def figures(name: str, cost: Cost, subscribers: int) -> dict[str, str]:
    """Return one line of the table."""
    shared_us = cost.deflate_us + subscribers * cost.join_us
    return {
        "frame": name.ljust(20),
        "bytes": f"{cost.raw:.0f}",
        "gzip": f"{cost.shared:.0f}",
        "%": f"{100 * cost.shared / cost.raw:.0f}",
        "gzip apart": f"{cost.apart:.0f}",
        "deflate": f"{cost.deflate_us:.0f}",
        "join": f"{cost.join_us:.2f}",
        "identity": f"{cost.identity_us:.2f}",
        "apart": f"{cost.apart_us:.0f}",
        f"ms for {subscribers}": f"{shared_us / 1e3:.2f}",
        "apart ms": f"{subscribers * cost.apart_us / 1e3:.1f}",
        "CPU ratio": f"{subscribers * cost.apart_us / shared_us:.0f}",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=1000)
    subscribers = parser.parse_args().subscribers
    frames = Frames()
    kinds = {
        "delta, 1 quote": [frames.delta(1) for _ in range(FRAMES)],
        "delta, 40 quotes": [frames.delta(40) for _ in range(FRAMES)],
        f"snapshot, {CONDORS} condors": [frames.snapshot()],
    }
    lines = [figures(name, measure(raws, subscribers), subscribers) for name, raws in kinds.items()]
    for line in (dict(zip(lines[0], lines[0], strict=True)), *lines):
        print(*(text.rjust(max(len(name), 7)) for name, text in line.items()))


if __name__ == "__main__":
    main()
