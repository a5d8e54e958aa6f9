"""Measure the quality and the speed of grouping legs into condors. Run it from the root of the repository.

Quality is compared with the exhaustive search of the tests, on small books from a seed. Speed is the processor time of
crowded books, whose condors overlap on one grid of strikes.

Run it: python benchmarks/grouping.py [--seed 1] [--books 300] [--times 60]
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from condord.core.grouping import match
from condord.core.grouping.account import group
from condord.core.occ import parse
from condord.core.position import Position
from tests.core.grouping_oracle import solve, value_of

SMALL = (
    # condors, grid, most contracts, share of long ones, noise legs
    (1, 8, 5, 0.2, 3),
    (2, 9, 4, 0.2, 3),
    (3, 9, 3, 0.2, 3),
    (4, 9, 2, 0.3, 3),
)


def overlapping(chance, condors, grid, most, long, noise):
    """A book of overlapping `condors` with random strikes and quantities, and up to `noise` more legs."""
    held = {}
    for _ in range(condors):
        strikes = sorted(chance.sample(range(1, grid + 1), 4))
        strikes[2] = strikes[1] if chance.random() < 0.2 else strikes[2]
        quantity = chance.randint(1, most) * (-1 if chance.random() < long else 1)
        for right, strike, sign in zip(("put", "put", "call", "call"), strikes, (1, -1, -1, 1), strict=True):
            leg = (right, strike * 1000)
            held[leg] = held.get(leg, 0) + sign * quantity
    for _ in range(chance.randint(0, noise)):
        held[chance.choice(["put", "call"]), chance.randint(1, grid) * 1000] = chance.choice([-2, -1, 1, 2])
    return {leg: quantity for leg, quantity in held.items() if quantity}


def many_legs(chance, legs, most=20, long=0.2):
    """A book of exactly `legs` legs, made of overlapping condors on a grid of about half as many strikes."""
    held = {}
    while len(held) != legs:
        held = held if len(held) < legs else {}
        for leg, quantity in overlapping(chance, 1, legs // 2 + 4, most, long, 0).items():
            held[leg] = held.get(leg, 0) + quantity
        held = {leg: quantity for leg, quantity in held.items() if quantity}
    return held


def random_signs(chance, legs, most=300):
    """A book without structure: a leg of a random sign at each strike of both rights."""
    return {
        (right, strike * 1000): chance.choice((-1, 1)) * chance.randint(1, most)
        for strike in range(1, legs // 2 + 1)
        for right in ("put", "call")
    }


def value(matches):
    parts = [value_of(card.strikes, card.short, card.quantity) for card in matches]
    return tuple(map(sum, zip((0,) * 7, *parts, strict=True)))


def seconds(book):
    """Processor seconds of one grouping."""
    start = time.process_time()
    match(book)
    return time.process_time() - start


def print_quality(seed, count):
    for shape in SMALL:
        chance = random.Random(seed)
        lost = short_lost = cards = order = flagged = 0
        for _ in range(count):
            held = overlapping(chance, *shape)
            best, matches = solve(held), match(held)
            found = value(matches)
            lost += found[0] < best.value[0]
            short_lost += found[0] == best.value[0] and found[1] < best.value[1]
            cards += found[:2] == best.value[:2] and found[2] < best.value[2]
            order += found[:3] == best.value[:3] and found < best.value
            flagged += any(card.ambiguous for card in matches) != (best.ways > 1)
        print(
            f"{shape[0]} condors, {count} books: contracts lost {lost / count:.2%}, short contracts lost"
            f" {short_lost / count:.2%}, cards over the optimum {cards / count:.2%}, wings worse {order / count:.2%},"
            f" ambiguous wrong {flagged / count:.2%}"
        )


def print_times(seed, count):
    for name, make in (("overlapping condors", many_legs), ("random signs", random_signs)):
        chance = random.Random(seed)
        times = sorted(seconds(make(chance, 40)) * 1000 for _ in range(count))
        print(f"40 legs, {name}: median {statistics.median(times):.1f} ms, worst {times[-1]:.1f} ms")
        account = [make(chance, 40) for _ in range(50)]
        print(f"2000 legs in 50 expirations, {name}: {sum(map(seconds, account)):.2f} s")
        sizes = (20, 40, 80)
        medians = [statistics.median(seconds(make(chance, legs)) for _ in range(count // 3)) for legs in sizes]
        exponent = math.log2(medians[-1] / medians[0]) / (len(sizes) - 1)
        shown = ", ".join(f"{legs} legs {m * 1000:.1f} ms" for legs, m in zip(sizes, medians, strict=True))
        print(f"growth, {name}: {shown}: exponent {exponent:.2f}")


def account(books):
    """The positions of one account with a root for each book, at an entry of one dollar a share."""
    positions = []
    for number, book in enumerate(books):
        root = "R" + "".join(chr(ord("A") + int(digit)) for digit in str(number))
        for (right, strike), quantity in book.items():
            symbol = f"{root}261218{'P' if right == 'put' else 'C'}{strike:08d}"
            basis_e4 = quantity * 1_000_000
            held = Position(
                symbol=symbol,
                contract=parse(symbol),
                quantity=quantity,
                average_entry_e4=10_000,
                cost_basis_e4=basis_e4,
            )
            positions.append(held)
    return positions


def print_accounts(seed):
    """Print the wall time of whole accounts, whose books share one budget; the target is 2 s for 10,000 legs."""
    for name, make in (
        ("random signs, 1 to 3 contracts", lambda chance, legs: random_signs(chance, legs, 3)),
        ("random signs, 1 to 300 contracts", random_signs),
        ("overlapping condors", many_legs),
    ):
        for expirations, legs in ((1, 2000), (1, 6000), (1, 10_000), (10, 1000), (40, 250), (250, 40)):
            if make is many_legs and legs > 1000:
                continue  # drawing a book with exactly this many legs takes minutes
            chance = random.Random(seed)
            held = account(make(chance, legs) for _ in range(expirations))
            pauses = [time.perf_counter()]
            found = group(held, pause=lambda pauses=pauses: pauses.append(time.perf_counter()))
            took = time.perf_counter() - pauses[0]
            slice_ms = max(later - before for before, later in pairwise(pauses)) * 1000
            doubtful = sum(condor.ambiguous for condor in found.condors) / max(1, len(found.condors))
            print(
                f"{expirations} x {legs} legs, {name}: {took:.2f} s, {len(found.condors)} condors, {doubtful:.0%}"
                f" ambiguous, longest time without a pause {slice_ms:.0f} ms"
            )


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--books", type=int, default=300, help="books of each shape for the quality")
    options.add_argument("--times", type=int, default=60, help="books for the speed")
    chosen = options.parse_args()
    print_quality(chosen.seed, chosen.books)
    print_times(chosen.seed, chosen.times)
    print_accounts(chosen.seed)


if __name__ == "__main__":
    main()
