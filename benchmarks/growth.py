"""Measure how cost grows when the load doubles, six times: condors, quotes a second, subscribers, distinct filters.

The parts of the daemon run in this process, wired as it wires them but without sockets, with time as an argument, so
that only the work itself is measured: CPU time, the least of several repetitions. The exponent is the slope of log cost
over log size (least squares): 1 is proportional, 2 is quadratic. Exit code 1: one is above 1.1.

    condors       a reading of an account with N condors, each with legs of its own, five an underlying and
                  expiration, found among the legs: grouped, compared, rendered and published
    its window    the same accounts: one publication when every leg has a new quote, encoded for one subscriber
    its document  the same accounts: one answer to `GET /api/positions`
    quotes        a second of N quotes for 50 condors, ten a frame: kept, and published four times
    subscribers   one publication of one condor to N subscribers, each of which takes it
    filters       one publication of 960 condors to N subscribers, each of which asked for another one of them

`--crowded` measures another load, without a limit: an account whose condors all have one underlying and expiration, and
no orders that tell them apart. Finding them is a search over pairs of strikes, not over condors.

Run it: python benchmarks/growth.py [--doublings 6] [--repetitions 5] [--only LOAD] [--crowded]
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import daemon_parts
import msgspec

from condord.core.quote import Tick
from condord.live.published import EVERYTHING, Selection
from condord.live.publisher import Publisher
from condord.live.subscriber import wake

MAX_EXPONENT = 1.1
AT = dt.datetime(2026, 11, 20, 15, 31, tzinfo=dt.UTC)
CONDORS_PER_EXPIRATION = 5
"""How many condors share an underlying and an expiration, unless the caller asks for more."""
LEGS = (("P", 0, 1), ("P", 5, -1), ("C", 10, -1), ("C", 15, 1))
ONE, SMALL, MANY = 1, 50, 960
PER_FRAME = 10


def account(condors: int, per_expiration: int = CONDORS_PER_EXPIRATION) -> dict[str, int]:
    """Return the legs of `condors` condors: signed quantities by symbol."""
    held = {}
    for number in range(condors):
        group, place = divmod(number, per_expiration)
        root, day = f"R{chr(65 + group // 12 % 26)}{chr(65 + group // 312)}", f"26{1 + group % 12:02}18"
        size = place % CONDORS_PER_EXPIRATION + 1
        for right, above, quantity in LEGS:
            held[f"{root}{day}{right}{100 + 20 * place + above:05d}000"] = quantity * size
    return held


class MeasuredPublisher:
    """An account with quotes, subscribers and a clock of its own."""

    def __init__(self, condors: int) -> None:
        self.held = account(condors)
        self.publisher: Publisher = daemon_parts.publisher()
        self.now = 0.0
        self.taken = 0
        self._round = itertools.count(1)
        self.publisher.set_positions(daemon_parts.positions(self.held), self.now, AT)
        self.quote(self.held)
        self.turn()

    @property
    def condors(self) -> list[str]:
        """The ids of the condors."""
        return [condor.id for condor in self.publisher.book.edition.document(AT).condors]

    def follow(self, selections: Iterable[Selection]) -> None:
        """Add a subscriber for each of `selections` that takes every frame at once."""
        for selection in selections:
            self._subscribe(selection)

    def _subscribe(self, selection: Selection) -> None:
        def take() -> None:
            self.taken += bool(subscriber.take(lambda: AT))

        subscriber = self.publisher.fanout.subscribe(
            selection=selection, interval_seconds=0.0, version=None, now_at=AT, wake=take
        )
        take()

    def quote(self, symbols: Iterable[str]) -> None:
        """Another quote of each of `symbols`, ten a frame."""
        number = next(self._round)
        at, bid = AT + dt.timedelta(milliseconds=number), 1 + number % 90 / 50
        for some in batched(symbols, PER_FRAME):
            self.publisher.offer([Tick(symbol, at, bid, bid + 0.06, 10.0, 12.0) for symbol in some], self.now)

    def turn(self) -> None:
        """End a window: publish, and let all subscribers take it."""
        self.now += 2 * daemon_parts.WINDOW_SECONDS
        wake(self.publisher.tick(self.now, AT))


class Measured(NamedTuple):
    """The least CPU seconds for a load of `size`."""

    size: int
    seconds: float


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Split into lists of `size`; the last may be shorter."""
    rest = iter(items)
    while some := list(itertools.islice(rest, size)):
        yield some


def least(repetitions: int, work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> float:
    """Return the least CPU seconds of `work`, each time after `prepare` and a garbage collection."""
    found = math.inf
    for _ in range(repetitions):
        prepare()
        gc.collect()
        begin = time.process_time()
        work()
        found = min(found, time.process_time() - begin)
    return found


def reading(condors: int, repetitions: int) -> float:
    """Measure the first reading of the account, as costly as one that changes everything."""
    rows = daemon_parts.positions(account(condors))
    return least(repetitions, lambda: daemon_parts.publisher().set_positions(rows, 0.0, AT))


def crowded(condors: int, repetitions: int) -> float:
    """Measure the same for an account on one expiration."""
    rows = daemon_parts.positions(account(condors, condors))
    return least(repetitions, lambda: daemon_parts.publisher().set_positions(rows, 0.0, AT))


def window(condors: int, repetitions: int) -> float:
    """Measure one publication of everything."""
    measured = MeasuredPublisher(condors)
    assert len(measured.condors) == condors
    return publication(measured, [EVERYTHING], repetitions)


def document(condors: int, repetitions: int) -> float:
    """Measure building and encoding the document."""
    edition = MeasuredPublisher(condors).publisher.book.edition
    return least(repetitions, lambda: msgspec.json.encode(edition.document(AT)))


def quotes(a_second: int, repetitions: int) -> float:
    """Measure a second of quotes: four windows with a quarter of them each."""
    measured = MeasuredPublisher(SMALL)
    measured.follow([EVERYTHING])
    cycle = itertools.cycle(measured.held)

    def second() -> None:
        for _ in range(4):
            measured.quote(itertools.islice(cycle, a_second // 4))
            measured.turn()

    return least(repetitions, second)


def subscribers(count: int, repetitions: int) -> float:
    """Measure one publication to all subscribers."""
    return publication(MeasuredPublisher(ONE), [EVERYTHING] * count, repetitions)


def filters(count: int, repetitions: int) -> float:
    """Measure one publication to as many filters."""
    measured = MeasuredPublisher(MANY)
    return publication(
        measured, [Selection(condors=frozenset([name])) for name in measured.condors[:count]], repetitions
    )


def publication(measured: MeasuredPublisher, selections: list[Selection], repetitions: int) -> float:
    """Measure a window in which every leg has a new quote, so that each subscriber has something to take."""
    measured.follow(selections)
    measured.taken = 0
    seconds = least(repetitions, measured.turn, lambda: measured.quote(measured.held))
    assert measured.taken == repetitions * len(selections)
    return seconds


LOADS: dict[str, tuple[int, Callable[[int, int], float]]] = {
    "condors": (10, reading),
    "its window": (10, window),
    "its document": (10, document),
    "quotes": (500, quotes),
    "subscribers": (500, subscribers),
    "filters": (15, filters),
}
"""The least size of each load, and what it costs in CPU seconds."""
CROWDED = (10, crowded, 4)


def exponent(series: list[Measured]) -> float:
    """Return the slope of log cost over log size."""
    sizes, costs = ([math.log(measured[index]) for measured in series] for index in (0, 1))
    return statistics.linear_regression(sizes, costs).slope


def main() -> int:
    """Print the table; return 1 if an exponent exceeds the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doublings", type=int, choices=range(1, 7), default=6)
    parser.add_argument("--repetitions", type=int, default=5, help="of each; the least counts")
    parser.add_argument("--only", choices=LOADS, help="only this load")
    parser.add_argument("--crowded", action="store_true", help="also an account on one expiration; half a minute")
    chosen = parser.parse_args()
    names = [name for name in LOADS if chosen.only in (None, name)]
    exponents = [grown(name, *LOADS[name], chosen.doublings, chosen.repetitions) for name in names]
    if chosen.crowded:
        grown("crowded", *CROWDED, 1)
    return 1 if max(exponents) > MAX_EXPONENT else 0


def grown(name: str, size: int, cost: Callable[[int, int], float], doublings: int, repetitions: int) -> float:
    """Print what a load costs as it doubles; returns the exponent."""
    sizes = [size * 2**doubling for doubling in range(doublings + 1)]
    series = [Measured(load, cost(load, repetitions)) for load in sizes]
    found = exponent(series)
    print(f"{name:<13}", *(f"{measured.size:>9,}" for measured in series), "  exponent")
    print(f"{'CPU ms':<13}", *(f"{1e3 * measured.seconds:>9.3g}" for measured in series), f"{found:>10.2f}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
