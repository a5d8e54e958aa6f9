"""Join the legs of one direction into condors in a single pass over the strikes.

From the lowest strike up, each leg extends as many of the condors begun below it as it can, the nearest first. That
groups the most contracts (see `capacity.flow`) in time proportional to the legs. It considers neither the wings nor the
number of cards, so it is used only where a search would take too long.
"""

from __future__ import annotations

from collections.abc import Sequence

Pairing = tuple[int, tuple[int, ...]]
"""The number of condors, and the indexes of their legs."""


def paired(stages: Sequence[int], left: Sequence[int]) -> list[Pairing]:
    """The most condors of one direction that `left` contracts of each leg allow, as cards of four legs each.

    `stages` contains for each leg, in order of strike, which leg of a condor it is: 0 outer put, 1 inner put, 2 inner
    call, 3 outer call. There are at most as many cards as legs.
    """
    begun: tuple[list[Pairing], ...] = ([], [], [], [])
    for index, (stage, held) in enumerate(zip(stages, left, strict=True)):
        if stage == 0:
            if held:
                begun[0].append((held, (index,)))
            continue
        below = begun[stage - 1]
        while held and below:
            quantity, legs = below.pop()
            used = min(quantity, held)
            held -= used  # noqa: PLW2901 - what the leg still has
            if used < quantity:
                below.append((quantity - used, legs))
            begun[stage].append((used, (*legs, index)))
    return begun[3]
