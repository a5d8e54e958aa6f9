"""Rank the spreads (a lower and a higher strike of one right) that can be a side of a card.

Even spreads, whose legs have equal contracts left, come first, then large ones. A book of 100 strikes has thousands of
spreads, and the search needs them at every step. If it needs only a few, they are found without looking at all pairs.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import islice

from condord.core.grouping.budget import SearchBudget

Left = Sequence[int]
"""The contracts that each leg has left, in order of strike."""
Layers = tuple[Sequence[int], Sequence[int]]
"""The legs that can be the lower strike, and those that can be the higher one, both ascending."""
_Spread = tuple[bool, int, int, int]
"""A sort key, least first: whether the legs have different numbers of contracts, minus the contracts, and the legs."""

_PAIRS_PER_LEG = 4
"""Visiting this many pairs takes as long as visiting one leg."""


def spreads(
    layers: Layers, left: Left, need: Sequence[int], most: int, limit: int | None, budget: SearchBudget
) -> list[tuple[int, int, int, int]]:
    """The spreads of `layers`, best first: the contracts, the least contracts needed, the lower and the higher leg.

    `need` is the least number of contracts for each leg, and `most` the greatest for any spread. At most
    `limit` are returned. If visiting all pairs would exceed `budget`, only even spreads are returned.
    """
    if not most:
        return []
    found = _even(layers, left, need, most, limit) if limit is not None else []
    cost = len(layers[0]) * len(layers[1]) // _PAIRS_PER_LEG
    if limit is None or (len(found) < limit and cost <= budget.left):
        budget.spend(cost)
        found = _all(layers, left, need, most)
    chosen = sorted(found)[:limit]
    return [(-negative, max(need[i], need[j]), i, j) for _, negative, i, j in chosen]


def _even(layers: Layers, left: Left, need: Sequence[int], most: int, limit: int) -> list[_Spread]:
    """The first `limit` even spreads of each size: no other spread ranks before these."""
    by_held: dict[int, tuple[list[int], list[int]]] = {}
    for side, layer in enumerate(layers):
        for i in layer:
            if left[i] and need[i] <= min(left[i], most):
                by_held.setdefault(left[i], ([], []))[side].append(i)
    found: list[_Spread] = []
    for held, (lows, highs) in by_held.items():
        pairs = ((False, -min(held, most), i, j) for i in lows for j in highs[bisect(highs, i) :])
        found += islice(pairs, limit)
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
