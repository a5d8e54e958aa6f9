"""An exhaustive search for the best grouping of a small book, to compare the real one with.

It takes the first leg that has contracts left and tries everything: leave the leg over, or put it in any condor in
any quantity. It shares no code with the grouping, and its time grows with the product of the quantities: about
twelve legs of a few contracts are its limit.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple


class Optimum(NamedTuple):
    """The value of the best grouping of a book.

    `value` is (contracts, short contracts, -cards, four terms of symmetry and width): more is better. `ways` is how
    many groupings reach it.
    """

    value: tuple[int, ...]
    ways: int


def candidates(book):
    """All condors that the signs and strikes of `book` allow, as (strikes, short, the four legs)."""
    found = []
    for short in (True, False):
        outer = 1 if short else -1
        legs = [
            [k for (right, k), quantity in book.items() if right == side and quantity * sign > 0]
            for side, sign in (("put", outer), ("put", -outer), ("call", -outer), ("call", outer))
        ]
        found += [
            (strikes, short, tuple(zip(("put", "put", "call", "call"), strikes, strict=True)))
            for strikes in product(*legs)
            if strikes[0] < strikes[1] <= strikes[2] < strikes[3]
        ]
    return found


def value_of(strikes, short, quantity):
    """What one card adds to the objectives 1 to 5."""
    put_wing, call_wing = strikes[1] - strikes[0], strikes[3] - strikes[2]
    terms = (
        put_wing != call_wing,
        abs(put_wing - call_wing),
        put_wing + call_wing,
        put_wing**2 + call_wing**2,
    )
    return (quantity, quantity if short else 0, -1, *(-quantity * term for term in terms))


def solve(book):
    """The optimum of `book` by the objectives 1 to 5, from trying every grouping."""
    legs = sorted(leg for leg, quantity in book.items() if quantity)
    place = {leg: index for index, leg in enumerate(legs)}
    condors = [(tuple(place[leg] for leg in used), strikes, short) for strikes, short, used in candidates(book)]

    @cache
    def best(left, after):
        index = next((i for i, quantity in enumerate(left) if quantity), None)
        if index is None:
            return Optimum((0,) * 7, 1)
        dropped = best((*left[:index], 0, *left[index + 1 :]), -1)
        value, ways = dropped
        for number in range(after + 1, len(condors)):
            used, strikes, short = condors[number]
            if index not in used:
                continue
            for quantity in range(1, min(left[i] for i in used) + 1):
                rest = tuple(q - quantity if i in used else q for i, q in enumerate(left))
                tail = best(rest, number if rest[index] else -1)
                sums = tuple(map(sum, zip(value_of(strikes, short, quantity), tail.value, strict=True)))
                if sums > value:
                    value, ways = sums, tail.ways
                elif sums == value:
                    ways += tail.ways
        return Optimum(value, ways)

    return best(tuple(abs(book[leg]) for leg in legs), -1)
