"""Measure what the session's lines cost a subscriber: points appended by deltas, and a snapshot a minute instead.

The publisher runs in this process with time as an argument, for an hour in the middle of a session: each condor has a
line of 240 points, its model figures, and `--moves` windows a minute in which all legs move. The columns are bytes per
subscriber and hour, plain and gzipped as the daemon does it:

    quotes     all deltas except those of the end of a minute: the same either way
    appended   the deltas of the end of a minute
    snapshots  the snapshots that would stand in their place

Run it: python benchmarks/lines.py [--condors 12 300] [--moves 4]
"""

from __future__ import annotations

import argparse
import datetime as dt
from typing import NamedTuple

import daemon_parts
import growth
from msgspec.structs import replace

from condord.core.occ import parse
from condord.core.quote import Tick
from condord.live import compression
from condord.live.minutes import RecordedPast
from condord.live.published import EVERYTHING
from condord.live.wire import MarketJson
from condord.live.wire_condor import HistoryJson

AT = dt.datetime(2025, 11, 21, 18, 30, tzinfo=dt.UTC)
POINTS = 240
MINUTES = 60


class Bytes(NamedTuple):
    """Bytes as they are and gzipped."""

    plain: int = 0
    gzipped: int = 0

    def plus(self, sent: bytes) -> Bytes:
        """Add what a subscriber was sent."""
        if not sent:
            return self
        return Bytes(self.plain + len(sent), self.gzipped + len(compression.Frame(sent).deflated.raw))

    def __str__(self) -> str:
        return f"{self.plain / 1e6:9.2f} MB {self.gzipped / 1e6:9.2f} MB"


class Hour:
    """An hour of an account with this many condors."""

    def __init__(self, condors: int) -> None:
        self.held = growth.account(condors)
        self.publisher = daemon_parts.publisher()
        self.now = 0.0
        self.number = 0
        self.publisher.set_positions(daemon_parts.positions(self.held), self.now, self.at)
        session = MarketJson(is_open=True, next_open=AT, next_close=AT + dt.timedelta(hours=3))
        self.publisher.set_status(replace(daemon_parts.live_status(), market=session), self.now, self.at)
        self.subscriber = self._subscribe()
        self.move()
        self.pass_time(1.0)
        self._recall()
        self.pass_time(1.0)

    @property
    def at(self) -> dt.datetime:
        """The exchange's time."""
        return AT + dt.timedelta(seconds=self.now)

    def move(self) -> None:
        """Publish another quote of each leg, and another price of each underlying."""
        self.number += 1
        legs = {symbol: parse(symbol) for symbol in self.held}
        step = self.number % 9 / 100
        bids = {symbol: 1.0 + step + leg.strike_mills % 7_000 / 10_000 for symbol, leg in legs.items()}
        self.publisher.offer([Tick(symbol, self.at, bid, bid + 0.04, 10, 12) for symbol, bid in bids.items()], self.now)
        stocks = [
            Tick(root, self.at, 150.0 + step, 150.02 + step, 1, 1) for root in {leg.root for leg in legs.values()}
        ]
        self.publisher.offer_stocks(stocks, self.now)

    def pass_time(self, seconds: float) -> list[bytes]:
        """Tick while that is due; return what was sent at each moment."""
        until, sent = self.now + seconds, []
        while (deadline := self.publisher.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.publisher.tick(self.now, self.at)
            sent.append(self.subscriber.take(lambda: self.at))
        self.now = until
        return sent

    def snapshot(self) -> bytes:
        """Return the snapshot of a subscriber that comes now."""
        newcomer = self._subscribe()
        try:
            return newcomer.take(lambda: self.at)
        finally:
            self.publisher.fanout.unsubscribe(newcomer)

    def _subscribe(self):
        return self.publisher.fanout.subscribe(
            selection=EVERYTHING, interval_seconds=0.0, version=None, now_at=self.at, wake=lambda: None
        )

    def _recall(self) -> None:
        condors = self.publisher.book.edition.document(self.at).condors
        first = int(AT.timestamp()) - 60 * POINTS
        line = HistoryJson(
            seconds=[first + 60 * minute for minute in range(POINTS)],
            cents=[14_000 + minute * 37 % 9_000 for minute in range(POINTS)],
        )
        self.publisher.book.recall_past(
            RecordedPast(
                lines={condor.id: line for condor in condors},
                quantities={condor.id: condor.quantity for condor in condors},
                credits_e4={condor.id: round(condor.credit * 10_000) for condor in condors},
            )
        )
        self.move()


def measure(condors: int, moves: int) -> tuple[Bytes, Bytes, Bytes]:
    """Return the bytes of quotes, of appended points, and of snapshots in the place of these."""
    hour = Hour(condors)
    quotes, appended, snapshots = Bytes(), Bytes(), Bytes()
    for _ in range(MINUTES):
        for _ in range(moves):
            hour.move()
            for sent in hour.pass_time(60.0 / moves):
                if b'"history":' in sent:
                    appended = appended.plus(sent)
                    snapshots = snapshots.plus(hour.snapshot())
                else:
                    quotes = quotes.plus(sent)
    return quotes, appended, snapshots


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--condors", type=int, nargs="+", default=[12, 300])
    parser.add_argument("--moves", type=int, default=4)
    options = parser.parse_args()
    print(f"{'condors':>7} {'quotes, gzipped':>26} {'appended, gzipped':>26} {'snapshots, gzipped':>26}")
    for condors in options.condors:
        print(f"{condors:7}", *(f"{each!s:>26}" for each in measure(condors, options.moves)))


if __name__ == "__main__":
    main()
