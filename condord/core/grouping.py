"""Decides which legs of one expiration are shown together as iron condors.

A condor is a long put K1 < short put K2 <= short call K3 < long call K4, or the same with every sign reversed.
Of all groupings the signs and quantities allow, the one is taken that is best by, in this order:

1. Contracts: the most in condors.
2. Short before long: of these, the most in short condors.
3. Cards: the fewest.
4. Symmetric wings: the fewest contracts with unequal wings, then the least sum of |put wing - call wing|.
5. Narrow, uniform wings: the least sum of wings, then of their squares: for equal sums, the least spread.
6. Concentric: the least sum of bodies K3 - K2 (the nearest sides are used), then the greatest sum of their squares,
   which joins the k-th nearest put side with the k-th nearest call side; then the same for K4 - K1.
7. Strike order: the least sorted list of (strikes, short first, quantity).

Sums are over contracts. Quotes, time and the order of the legs have no part in it. Quantities are divided by their
common divisor first, so a book held n-fold is grouped the same way.

How it is found, and what is guaranteed:

- 1 and 2: in one direction a greedy pass is exact. When legs could serve both directions, a narrow beam shares them
  out, led by the least cut of both: not proven exact, but so on the small books held against exhaustive search.
- 3 to 7: cards are taken one by one, each as large as the legs left allow, in every order that still reaches 1 and 2,
  with one card more allowed until that succeeds. A best grouping has such an order unless its quantities depend on
  each other in a circle.
- When that has spent its effort, counted in legs looked at and never in time, it has either found the fewest cards and
  keeps the best of those it saw, or a beam takes over: it still reaches 1 and 2, perhaps with more cards. `ambiguous`
  then tells only what was seen: a tie may be missed, never invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import accumulate
from math import gcd
from typing import NamedTuple

import msgspec

from condord.core.occ import Right
from condord.core.spreads import spreads

_EFFORT, _EFFORT_LEGS = 30_000, 12_000_000  # many legs rarely come to an end: leave it to the beam
_BEAM_WIDTH, _BEAM_CHILDREN, _BEAM_TRIES, _BEAM_SIDES = 2, 4, 16, 6
_SHARE_WIDTH, _SHARE_PARTS = 10, 8

_SHAPE: tuple[tuple[Right, int], ...] = (("put", 1), ("put", -1), ("call", -1), ("call", 1))

_Strikes = tuple[int, int, int, int]
_Card = tuple[_Strikes, int, int]  # strikes, 1 for a long condor, contracts
_Left = tuple[int, ...]  # contracts left of each leg, in the order of the ladder
_Want = tuple[int, int]  # contracts still to be grouped: short condors, long condors
_Stages = tuple[int, ...]  # which leg of a condor each leg is: 0 outer put, 1 inner put, 2 inner call, 3 outer call
_Begun = tuple[int, ...]  # how many condors have one leg (the outer put), two, three, all four


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One card: `quantity` contracts of one iron condor.

    `strikes` are mills, K1 < K2 <= K3 < K4: outer put, inner put, inner call, outer call. `short`: the inner strikes
    are sold. `quantity` is at least 1. `ambiguous`: a different grouping of the same book is as good by the
    objectives 1 to 5; all cards of a book say the same.
    """

    strikes: tuple[int, int, int, int]
    short: bool
    quantity: int
    ambiguous: bool


def match(book: Mapping[tuple[Right, int], int]) -> tuple[Match, ...]:
    """Group the legs of one (root, expiration, multiplier) into iron condors.

    `book` holds the signed contracts (long is positive) at each (right, strike in mills); zeros are ignored. The
    result is sorted by strikes, then short first, and holds no two matches of the same strikes and direction. It
    uses at most what is held.
    """
    return _group(book)[0]


def residual(book: Mapping[tuple[Right, int], int], matches: Sequence[Match]) -> dict[tuple[Right, int], int]:
    """What `matches`, grouped from `book`, leave of it: signed contracts by (right, strike in mills), none zero."""
    left = dict(book)
    for card in matches:
        signed = card.quantity if card.short else -card.quantity
        for (right, sign), strike in zip(_SHAPE, card.strikes, strict=True):
            left[right, strike] -= sign * signed
    return {leg: quantity for leg, quantity in left.items() if quantity}


def _group(book: Mapping[tuple[Right, int], int]) -> tuple[tuple[Match, ...], int]:
    """The matches of `book`, and the effort they took."""
    legs = sorted((strike, right == "call", held) for (right, strike), held in book.items() if held)
    unit = gcd(*(held for _, _, held in legs))
    search = _Search(_Ladder(legs))
    found = search.run(tuple(abs(held) // unit for _, _, held in legs))
    matches = tuple(
        Match(strikes=strikes, short=not reverse, quantity=quantity * unit, ambiguous=len(found) > 1)
        for strikes, reverse, quantity in found[0].cards
    )
    return matches, search.spent


class _Move(NamedTuple):
    """A card to take: `legs` are the places of its four legs on the ladder."""

    quantity: int
    reverse: int
    legs: tuple[int, int, int, int]


class _Grouping(NamedTuple):
    """Cards, with what they cost by the objectives 3 to 5 and by 6; by 7 they are the cost themselves."""

    cost: tuple[int, ...]
    bodies: tuple[int, ...]
    cards: tuple[_Card, ...]

    def plus(self, card: _Card) -> _Grouping:
        (k1, k2, k3, k4), _, n = card
        put, call = k2 - k1, k4 - k3
        _, broken, uneven, width, squares = self.cost
        body, inner, outer = self.bodies
        held = {other[:2]: other[2] for other in self.cards}
        held[card[:2]] = held.get(card[:2], 0) + n
        wings = (broken + n * (put != call), uneven + n * abs(put - call), width + n * (put + call))
        return _Grouping(
            (len(held), *wings, squares + n * (put * put + call * call)),
            (body + n * (k3 - k2), inner - n * (k3 - k2) ** 2, outer - n * (k4 - k1) ** 2),
            tuple(sorted((*which, quantity) for which, quantity in held.items())),
        )


_NOTHING = _Grouping((0,) * 5, (0,) * 3, ())


class _Ladder:
    """The legs in order of strike, the put before the call: what of a book never changes while it is searched."""

    def __init__(self, legs: Sequence[tuple[int, bool, int]]) -> None:
        stages = tuple((3 if held > 0 else 2) if call else (0 if held > 0 else 1) for _, call, held in legs)
        self.strikes = tuple(strike for strike, _, _ in legs)
        self.stages: tuple[_Stages, _Stages] = (stages, tuple(stage ^ 1 for stage in stages))
        self.layers = tuple([i for i, stage in enumerate(stages) if stage == layer] for layer in range(4))
        outer_put, inner_put, inner_call, outer_call = self.layers
        self.puts = ((outer_put, inner_put), (inner_put, outer_put))
        self.calls = ((inner_call, outer_call), (outer_call, inner_call))

    def card(self, move: _Move) -> _Card:
        k1, k2, k3, k4 = [self.strikes[i] for i in move.legs]
        return (k1, k2, k3, k4), move.reverse, move.quantity

    def most(self, left: _Left) -> _Want:
        """The most short condors, and the most long condors, if there were only them."""
        return _flow(self.stages[0], left), _flow(self.stages[1], left)

    def first(self, left: _Left, want: _Want) -> _Move:
        """A card of the one direction wanted, of the first legs that its greedy pass uses: it costs no contract."""
        reverse = 0 if want[0] else 1
        begun: _Begun = (0, 0, 0, 0)
        used: list[tuple[int, int]] = []
        for i, (stage, held) in enumerate(zip(self.stages[reverse], left, strict=True)):
            before, begun = begun, _through(begun, stage, held)
            if stage == len(used) and begun[stage] > before[stage]:
                used.append((begun[stage] - before[stage], i))
        (a, i), (b, j), (c, k), (d, m) = used
        return _Move(min(a, b, c, d, want[reverse]), reverse, (i, j, k, m))

    def cards_needed(self, left: _Left, total: int) -> int:
        """The fewest legs that hold `total` contracts, summed over the layers: each layer has a leg of each card."""
        held = [sorted([left[i] for i in layer], reverse=True) for layer in self.layers]
        return sum([sums < total for layer in held for sums in accumulate(layer, initial=0)])

    def needs(self, left: _Left, total: int, cards: int) -> list[int]:
        """The least contracts a card through each leg must have so that `cards - 1` more can reach `total`.

        Empty when not even `cards` can. In each layer the `cards - 1` largest legs left must hold the rest.
        """
        need = [0] * len(left)
        for layer in self.layers:
            largest = sorted([left[i] for i in layer], reverse=True)[:cards]
            full = sum(largest)
            if full < total:
                return []
            edge = largest[-1] if len(largest) == cards else 0
            lack = total - full + edge
            if lack > 0:
                for i in layer:
                    need[i] = min(lack, total - full + left[i]) if left[i] >= edge else lack
        return need

    def moves(self, left: _Left, want: _Want, cards: int, sides: int | None = None) -> list[_Move]:
        """Every card, as large as it can be, after which `cards - 1` more might reach `want`.

        Those that use up most legs come first. With `sides` only the first so many spreads of each kind are joined.
        """
        need = self.needs(left, sum(want), cards)
        found: list[_Move] = []
        for reverse in (0, 1) if need else ():
            puts = spreads(self.puts[reverse], left, need, want[reverse], sides)
            calls = spreads(self.calls[reverse], left, need, want[reverse], sides)
            for put, put_need, i, j in puts:
                for call, call_need, k, m in calls:
                    quantity = min(put, call)
                    if quantity >= put_need and quantity >= call_need and self.strikes[j] <= self.strikes[k]:
                        found.append(_Move(quantity, reverse, (i, j, k, m)))
        found.sort(key=lambda move: ([left[i] for i in move.legs].count(move.quantity), move.quantity), reverse=True)
        return found


def _flow(stages: _Stages, left: Sequence[int], begun: _Begun = (0, 0, 0, 0)) -> int:
    """The most condors of one direction: each leg completes all it can, from the lowest strike up.

    Waiting gains nothing: what could go on at one strike could at any higher one.
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


def _shares(ladder: _Ladder, left: _Left) -> _Left:
    """What short condors get of each leg: for the most condors in all, then for the most short ones.

    A beam through the strikes: of the ways to share the legs so far, those stay that promise most.
    """
    most, stages, start = ladder.most(left), ladder.stages[0], (0, 0, 0, 0)
    if not all(most):
        return left if most[0] else (0,) * len(left)
    cuts: list[tuple[int, ...]] = [(0,) * 16]
    for stage, held in zip(stages[::-1], left[::-1], strict=True):
        cuts.append(_cut(cuts[-1], stage, held))
    if _bound(cuts[-1], start, start) == most[0]:
        return left
    ways: list[tuple[int, int, _Begun, _Begun, _Left]] = [(0, 0, start, start, ())]
    for i, (stage, held) in enumerate(zip(stages, left, strict=True)):
        ahead = {}
        for _, _, short, long, path in ways:
            for share in _parts(stage, held, short, long):
                now, other = _through(short, stage, share), _through(long, stage ^ 1, held - share)
                if (now, other) not in ahead:
                    promise = -_bound(cuts[-2 - i], now, other), -_flow(stages[i + 1 :], left[i + 1 :], now)
                    ahead[now, other] = (*promise, now, other, (*path, share))
        ways = sorted(ahead.values())[:_SHARE_WIDTH]
    return ways[0][-1]


def _parts(stage: int, held: int, short: _Begun, long: _Begun) -> set[int]:
    """How much of a leg short condors could get: from what long ones cannot use to all that they can."""
    most = min(held, short[stage - 1]) if stage else held
    least = min(most, max(0, held - long[(stage ^ 1) - 1])) if stage != 1 else 0
    return {least + (most - least) * n // _SHARE_PARTS for n in range(_SHARE_PARTS + 1)}


def _through(begun: _Begun, stage: int, held: int) -> _Begun:
    moved = min(held, begun[stage - 1]) if stage else held
    after = list(begun)
    after[stage] += moved
    if stage:
        after[stage - 1] -= moved
    return tuple(after)


def _cut(later: Sequence[int], stage: int, held: int) -> tuple[int, ...]:
    """The least cuts from one leg on, by the stages (4 * short + long) they start from.

    A cut goes through the stages of both directions, outer put to outer call, and takes the legs that are at their
    stage. Every condor meets it: there are no more of them than it takes contracts.
    """
    row = [0] * 16
    for at in range(15, -1, -1):
        options = [later[at] + (held if stage in (at // 4, at % 4 ^ 1) else 0)]
        options += row[at + 4 : at + 5]
        options += row[at + 1 : at + 2] if at % 4 < 3 else []
        row[at] = min(options)
    return tuple(row)


def _bound(cut: Sequence[int], short: _Begun, long: _Begun) -> int:
    """No more condors than this can become of those begun and the legs ahead."""
    a, b, c, done = short
    d, e, f, done_long = long
    passed = ((0, a + b + c), (4, b + c), (8, c), (12, 0))
    ahead = [n + min(cut[k] + d + e + f, cut[k + 1] + e + f, cut[k + 2] + f, cut[k + 3]) for k, n in passed]
    return done + done_long + min(ahead)


class _Search:
    """Takes cards from a ladder until what is wanted is grouped. `spent` is the effort, in legs looked at."""

    def __init__(self, ladder: _Ladder) -> None:
        self.ladder = ladder
        self.effort = min(_EFFORT, _EFFORT_LEGS // max(1, len(ladder.strikes)) ** 2)
        self.spent = 0
        self.known: dict[tuple[_Left, int, int], tuple[_Grouping, ...]] = {}

    def run(self, left: _Left) -> tuple[_Grouping, ...]:
        """The best grouping, and one other when it is as good by the objectives 1 to 5."""
        shares = _shares(self.ladder, left)
        rest = tuple(held - share for held, share in zip(left, shares, strict=True))
        want = self.ladder.most(shares)[0], self.ladder.most(rest)[1]
        found: tuple[_Grouping, ...] = ()
        for cards in range(len(left) + 1):
            if not found and self.spent < self.effort:
                found = self.fewest(left, want, cards)
        if found := found or self.beam(left, want):
            return found
        short, long = self.beam(shares, (want[0], 0)), self.beam(rest, (0, want[1]))
        return (reduce(_Grouping.plus, long[0].cards, short[0]),)

    def fewest(self, left: _Left, want: _Want, cards: int) -> tuple[_Grouping, ...]:
        """As `run`, of just so many cards; nothing when that cannot be done, or not with the effort left."""
        if not sum(want):
            return (_NOTHING,)
        key = (left, want[0], cards)
        if key not in self.known:
            moves = self.ladder.moves(left, want, cards) if cards else []
            self.spent += len(left) + 4 * len(moves)
            found = set()
            for move in moves:
                after = self.after(left, want, move) if self.spent < self.effort else None
                for tail in self.fewest(*after, cards - 1) if after else ():
                    found.add(tail.plus(self.ladder.card(move)))
            self.known[key] = _first(found)
        return self.known[key]

    def after(self, left: _Left, want: _Want, move: _Move) -> tuple[_Left, _Want] | None:
        """What is left and wanted after a card; None when the contracts wanted could no longer be had."""
        quantity, reverse, legs = move
        rest = list(left)
        for i in legs:
            rest[i] -= quantity
        short, long = (want[0], want[1] - quantity) if reverse else (want[0] - quantity, want[1])
        self.spent += len(left)
        stages = self.ladder.stages
        lost = (short and _flow(stages[0], rest) < short) or (long and _flow(stages[1], rest) < long)
        return None if lost else (tuple(rest), (short, long))

    def beam(self, left: _Left, want: _Want) -> tuple[_Grouping, ...]:
        """As `run`, of few cards; nothing only when short and long condors got in each other's way."""
        states = [(0, _NOTHING, left, want)]
        while states and all(sum(state[3]) for state in states):
            ahead: dict[_Left, tuple[int, _Grouping, _Left, _Want]] = {}
            for _, grouping, held, missing in states:
                for move, rest, still in self.children(held, missing):
                    whole = grouping.plus(self.ladder.card(move))
                    state = (self.ladder.cards_needed(rest, sum(still)), whole, rest, still)
                    ahead[rest] = min(state, ahead.get(rest, state))
            states = sorted(ahead.values())[:_BEAM_WIDTH]
        return _first({state[1] for state in states if not sum(state[3])})

    def children(self, left: _Left, want: _Want) -> list[tuple[_Move, _Left, _Want]]:
        """Cards to go on with: those that use up most legs, then the largest; a safe one if none of them will do."""
        found: list[tuple[_Move, _Left, _Want]] = []
        for move in self.ladder.moves(left, want, sum(left), _BEAM_SIDES)[:_BEAM_TRIES]:
            if len(found) < _BEAM_CHILDREN and (after := self.after(left, want, move)):
                found.append((move, *after))
        if not found and not all(want):
            move = self.ladder.first(left, want)
            found = [(move, *after)] if (after := self.after(left, want, move)) else []
        return found


def _first(found: set[_Grouping]) -> tuple[_Grouping, ...]:
    """The best, and the next if it is as good by the objectives 1 to 5."""
    best = sorted(found)[:2]
    return tuple(grouping for grouping in best if grouping.cost == best[0].cost)
