"""Decides which pairs of legs come first as a side of a card: a lower and a higher strike, even and large ones first.

A book of 100 strikes has thousands of pairs, and the search asks at every step: where it wants a few only, they are
found without looking at all.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import islice

Left = Sequence[int]
"""The contracts that each leg has left, by its place among the strikes."""
Layers = tuple[Sequence[int], Sequence[int]]
"""The legs that may be the lower strike and those that may be the higher one, as they go up."""
_Spread = tuple[bool, int, int, int]  # not even, contracts (negative), its legs: the first are the best


def spreads(
    layers: Layers, left: Left, need: Sequence[int], most: int, sides: int | None
) -> list[tuple[int, int, int, int]]:
    """The sides a card may have: contracts it has, contracts it must have, its legs; even and large ones first."""
    if not most:
        return []
    found = _even(layers, left, need, most, sides) if sides is not None else []
    if sides is None or len(found) < sides:
        found = _all(layers, left, need, most)
    chosen = sorted(found)[:sides]
    return [(-negative, max(need[i], need[j]), i, j) for _, negative, i, j in chosen]


def _even(layers: Layers, left: Left, need: Sequence[int], most: int, sides: int) -> list[_Spread]:
    """The first `sides` of each number of contracts that both legs have left: no other spread comes before these."""
    by_held: dict[int, tuple[list[int], list[int]]] = {}
    for side, layer in enumerate(layers):
        for i in layer:
            if left[i] and need[i] <= min(left[i], most):
                by_held.setdefault(left[i], ([], []))[side].append(i)
    found: list[_Spread] = []
    for held, (lows, highs) in by_held.items():
        pairs = ((False, -min(held, most), i, j) for i in lows for j in highs[bisect(highs, i) :])
        found += islice(pairs, sides)
    return found


def _all(layers: Layers, left: Left, need: Sequence[int], most: int) -> list[_Spread]:
    lows, highs = layers
    found: list[_Spread] = []
    for i in lows:
        for j in highs[bisect(highs, i) :] if left[i] else ():
            quantity = min(left[i], left[j], most)
            if quantity and quantity >= max(need[i], need[j]):
                found.append((left[i] != left[j], -quantity, i, j))
    return found
