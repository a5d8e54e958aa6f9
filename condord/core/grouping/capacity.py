"""Compute how many condors a book's legs can form, and share the legs between short and long condors.

Legs are in order of strike. In a short condor, each can only be one of four stages: 0 outer put, 1 inner put, 2 inner
call, 3 outer call; in a long condor its stage is the same with the lowest bit flipped. The most condors of one
direction is the maximum flow through these stages, which equals the minimum cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from condord.core.grouping.budget import SearchBudget

Left = tuple[int, ...]
"""The contracts left of each leg, in order of strike."""
Stages = tuple[int, ...]
"""The stage of each leg, in order of strike."""
Begun = tuple[int, ...]
"""How many condors have one leg (the outer put), two, three, and all four."""
_Path = tuple["_Path", int] | None  # the shares of the legs so far as a linked list, the last one first

_SHARE_WIDTH, _SHARE_PARTS = 10, 8
_SHARE_COST = 12  # the cost of one way to share, in legs looked at


def flow(stages: Stages, left: Sequence[int], begun: Begun = (0, 0, 0, 0)) -> int:
    """The most condors of one direction: from the lowest strike up, each leg extends as many as it can.

    Being greedy is optimal, as a condor that can be extended at one strike can be at any higher one.
    """
    puts, spreads, bodies, condors = begun
    for stage, held in zip(stages, left, strict=True):
        if stage == 0:
            puts += held
        elif stage == 1:
            if puts < held:
                spreads, puts = spreads + puts, 0
            else:
                spreads, puts = spreads + held, puts - held
        elif stage == 2:
            if spreads < held:
                bodies, spreads = bodies + spreads, 0
            else:
                bodies, spreads = bodies + held, spreads - held
        else:
            if bodies < held:
                condors, bodies = condors + bodies, 0
            else:
                condors, bodies = condors + held, bodies - held
    return condors


def shared_out(stages: Stages, left: Left, budget: SearchBudget) -> Left:
    """The contracts of each leg for short condors: for the most condors, and of these the most short ones.

    A beam search from the lowest strike up. Of the ways to share the legs so far, it keeps those with the best bounds,
    as many as half of `budget` allows.
    """
    most = flow(stages, left), flow(tuple(stage ^ 1 for stage in stages), left)
    start: Begun = (0, 0, 0, 0)
    if not all(most):
        return left if most[0] else (0,) * len(left)
    cuts: list[tuple[int, ...]] = [(0,) * 16]
    short_cuts: list[tuple[int, ...]] = [(0,) * 4]
    for stage, held in zip(stages[::-1], left[::-1], strict=True):
        budget.spend(_SHARE_COST)
        cuts.append(cut(cuts[-1], stage, held))
        short_cuts.append(short_cut(short_cuts[-1], stage, held))
    if bound(cuts[-1], start, start) == most[0]:
        return left
    ways_per_leg = budget.left // (2 * _SHARE_COST * len(left))
    parts = min(_SHARE_PARTS, max(2, ways_per_leg // _SHARE_WIDTH))
    width = min(_SHARE_WIDTH, max(1, ways_per_leg // parts))
    ways: Sequence[tuple[int, int, Begun, Begun, _Path]] = [(0, 0, start, start, None)]
    for i, (stage, held) in enumerate(zip(stages, left, strict=True)):
        ahead = {}
        for _, _, short, long, path in ways:
            for share in _parts(stage, held, short, long, parts):
                budget.spend(_SHARE_COST)
                now, other = begun_through(short, stage, share), begun_through(long, stage ^ 1, held - share)
                if (now, other) not in ahead:
                    promise = -bound(cuts[-2 - i], now, other), -short_bound(short_cuts[-2 - i], now)
                    ahead[now, other] = (*promise, now, other, (path, share))
        ways = sorted(ahead.values(), key=lambda way: way[:4])[:width]
    return _unrolled(ways[0][-1])


def _unrolled(path: _Path) -> Left:
    shares = []
    while path is not None:
        path, share = path
        shares.append(share)
    return tuple(reversed(shares))


def _parts(stage: int, held: int, short: Begun, long: Begun, parts: int) -> set[int]:
    """The shares of a leg to try for short condors: from what long ones cannot use up to all that short ones can."""
    most = min(held, short[stage - 1]) if stage else held
    least = min(most, max(0, held - long[(stage ^ 1) - 1])) if stage != 1 else 0
    return {least + (most - least) * n // parts for n in range(parts + 1)}


def begun_through(begun: Begun, stage: int, held: int) -> Begun:
    """`begun` after a leg of `held` contracts has extended as many condors as it can."""
    moved = min(held, begun[stage - 1]) if stage else held
    after = list(begun)
    after[stage] += moved
    if stage:
        after[stage - 1] -= moved
    return tuple(after)


def cut(later: Sequence[int], stage: int, held: int) -> tuple[int, ...]:
    """The minimum cuts from one leg on, indexed by the stages that they start from: 4 * short + long.

    A cut goes through the stages of both directions, from outer put to outer call, and contains the legs at the current
    stage of either. Every condor crosses it, so there are at most as many condors as it has contracts.
    """
    row = [0] * 16
    for at in range(15, -1, -1):
        options = [later[at] + (held if stage in (at // 4, at % 4 ^ 1) else 0)]
        options += row[at + 4 : at + 5]
        options += row[at + 1 : at + 2] if at % 4 < 3 else []
        row[at] = min(options)
    return tuple(row)


def bound(cut: Sequence[int], short: Begun, long: Begun) -> int:
    """An upper bound of the condors that those begun and the legs ahead can form."""
    a, b, c, done = short
    d, e, f, done_long = long
    passed = ((0, a + b + c), (4, b + c), (8, c), (12, 0))
    ahead = [n + min(cut[k] + d + e + f, cut[k + 1] + e + f, cut[k + 2] + f, cut[k + 3]) for k, n in passed]
    return done + done_long + min(ahead)


def short_cut(later: Sequence[int], stage: int, held: int) -> tuple[int, ...]:
    """Like `cut`, only for short condors: indexed by the stage that it starts from."""
    row = [later[at] + (held if stage == at else 0) for at in range(4)]
    for at in (2, 1, 0):
        row[at] = min(row[at], row[at + 1])
    return tuple(row)


def short_bound(cut: Sequence[int], begun: Begun) -> int:
    """The most short condors that those begun and the legs ahead can form; equal to what `flow` finds."""
    a, b, c, done = begun
    return done + min(cut[0] + a + b + c, cut[1] + b + c, cut[2] + c, cut[3])
