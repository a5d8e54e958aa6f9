"""Search for the best grouping of one expiration's legs into iron condors.

A condor is a long put K1 < short put K2 <= short call K3 < long call K4, or the same with every sign reversed. Of all
groupings that the signs and quantities allow, the search takes the best by these objectives, in this order:

1. Contracts: the most in condors.
2. Short before long: of these, the most in short condors.
3. Cards: the fewest.
4. Symmetric wings: the fewest contracts with unequal wings, then the least sum of |put wing - call wing|.
5. Narrow, uniform wings: the least sum of wings, then of their squares: for equal sums, the least spread.
6. Concentric: the least sum of bodies K3 - K2 (the nearest sides are used), then the greatest sum of their squares,
   which joins the k-th nearest put side with the k-th nearest call side; then the same for K4 - K1.
7. Strike order: the least sorted list of (strikes, short first, quantity).

A card is one condor of the result, with its quantity. Sums are over contracts. Quotes, time and the order of the legs
have no influence. Quantities are first divided by their greatest common divisor, so a book held n-fold is grouped the
same way.

How the search works, and what it guarantees:

- Objectives 1 and 2: in one direction, a greedy pass is exact. If legs could serve both directions, a narrow beam
  search guided by the minimum cut shares them out. That is not proven exact, but it was on all small books that the
  tests compare with an exhaustive search.
- Objectives 3 to 7: cards are taken one by one, each as large as the legs left allow, in every sequence that still
  reaches 1 and 2. The number of cards allowed grows by one until that succeeds. A best grouping has such a sequence
  unless its quantities depend on each other in a cycle.
- The budget for that is counted in legs, never in time. When it is spent, the search keeps the best grouping seen if it
  has found the fewest cards. Otherwise it goes on as a beam search, which still reaches 1 and 2, perhaps with more
  cards. `ambiguous` then reflects only what was seen: a tie may be missed, but is never invented.
- The books of one account share a bounded budget in proportion to their legs. When a book has used up its share,
  `pairing` joins the remaining legs in one pass. That still reaches 1 and 2, provided that the legs were shared out
  well. All cards of such a book are `ambiguous`, as others might be better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import gcd
from typing import NamedTuple

import msgspec

from condord.core.grouping.budget import SearchBudget, go_on
from condord.core.grouping.capacity import Begun, Left, Stages, begun_through, flow, shared_out
from condord.core.grouping.pairing import Pairing, paired
from condord.core.grouping.spreads import spreads
from condord.core.occ import Right

LegBook = Mapping[tuple[Right, int], int]
"""The signed contracts (long is positive) at each (right, strike in mills)."""

ACCOUNT_BUDGET = 600_000
"""The budget for all books of one account: below 2 s for 10,000 legs, see benchmarks/grouping.py."""
_EXHAUSTIVE_BUDGET, _EXHAUSTIVE_LEGS_SQUARED = 30_000, 12_000_000
"""The limits of the exhaustive search, which rarely finishes with many legs; then the beam search is used."""
_BEAM_WIDTH, _BEAM_CHILDREN, _BEAM_TRIES, _BEAM_SIDES = 2, 4, 16, 6

_Strikes = tuple[int, int, int, int]
_Card = tuple[_Strikes, int, int]  # a condor that is grouped: strikes, 1 if it is long else 0, contracts
_Want = tuple[int, int]  # contracts still to be grouped: short condors, long condors


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One card: `quantity` contracts of one iron condor.

    `strikes` are mills, K1 < K2 <= K3 < K4: outer put, inner put, inner call, outer call. `short` is true if the inner
    strikes are sold. `quantity` is at least 1. `ambiguous` is true if another grouping of the same book is as good by
    the objectives 1 to 5, and is equal for all cards of a book.
    """

    strikes: tuple[int, int, int, int]
    short: bool
    quantity: int
    ambiguous: bool


def match(book: LegBook) -> tuple[Match, ...]:
    """Group the legs of one (root, expiration, multiplier) into iron condors.

    Zeros are ignored. The result is sorted by strikes, then short first. No two matches have the same strikes and
    direction, and together they use at most what the book holds.
    """
    return _group(book, SearchBudget(ACCOUNT_BUDGET))


def match_all(books: Sequence[LegBook], pause: Callable[[], None] = go_on) -> list[tuple[Match, ...]]:
    """Like `match` for all books of one account, within a bounded budget for all of them together.

    Small books are searched first, and larger ones get the budget that they leave. `pause` is called every few
    milliseconds. An exception that it raises ends the search.
    """
    left, legs = ACCOUNT_BUDGET, sum(map(len, books))
    matches: list[tuple[Match, ...]] = [()] * len(books)
    for number in sorted(range(len(books)), key=lambda number: len(books[number])):
        budget = SearchBudget(left * len(books[number]) // max(1, legs), pause)
        matches[number] = _group(books[number], budget)
        left, legs = max(0, left - budget.spent), legs - len(books[number])
        pause()
    return matches


def _group(book: LegBook, budget: SearchBudget) -> tuple[Match, ...]:
    """Like `match`, within `budget`."""
    legs = sorted((strike, right == "call", held) for (right, strike), held in book.items() if held)
    unit = gcd(*(held for _, _, held in legs))
    search = _Search(_Ladder(legs), budget)
    found = search.run(tuple(abs(held) // unit for _, _, held in legs))
    is_ambiguous = len(found) > 1 or search.has_paired
    return tuple(
        Match(strikes=strikes, short=not reverse, quantity=quantity * unit, ambiguous=is_ambiguous)
        for strikes, reverse, quantity in found[0].cards
    )


class _Move(NamedTuple):
    """A card to take; `legs` are the indexes of its four legs on the ladder."""

    quantity: int
    reverse: int
    legs: tuple[int, int, int, int]


class _Cards(NamedTuple):
    """Cards with their cost: `cost` by the objectives 3 to 5, `bodies` by 6, and the cards themselves by 7."""

    cost: tuple[int, ...]
    bodies: tuple[int, ...]
    cards: tuple[_Card, ...]

    def plus(self, card: _Card) -> _Cards:
        (k1, k2, k3, k4), _, n = card
        put, call = k2 - k1, k4 - k3
        _, broken, uneven, width, squares = self.cost
        body, inner, outer = self.bodies
        held = {other[:2]: other[2] for other in self.cards}
        held[card[:2]] = held.get(card[:2], 0) + n
        wings = (broken + n * (put != call), uneven + n * abs(put - call), width + n * (put + call))
        return _Cards(
            (len(held), *wings, squares + n * (put * put + call * call)),
            (body + n * (k3 - k2), inner - n * (k3 - k2) ** 2, outer - n * (k4 - k1) ** 2),
            tuple(sorted((*which, quantity) for which, quantity in held.items())),
        )


_NOTHING = _Cards((0,) * 5, (0,) * 3, ())


class _State(NamedTuple):
    """A state of the beam search: the least number of cards still needed, the cards taken, what is left and wanted."""

    cards_needed: int
    taken: _Cards
    left: Left
    want: _Want


def _move(pairing: Pairing, reverse: int) -> _Move:
    quantity, (i, j, k, m) = pairing
    return _Move(quantity, reverse, (i, j, k, m))


def _joined(cards: Iterable[_Card]) -> _Cards:
    """All of `cards` together, without their cost, as they are not compared with others."""
    held: Counter[tuple[_Strikes, int]] = Counter()
    for strikes, reverse, quantity in cards:
        held[strikes, reverse] += quantity
    return _Cards((0,) * 5, (0,) * 3, tuple(sorted((*which, quantity) for which, quantity in held.items())))


class _Ladder:
    """The legs of a book in order of strike, at each strike the put before the call. A search does not change it."""

    def __init__(self, legs: Sequence[tuple[int, bool, int]]) -> None:
        stages = tuple((3 if held > 0 else 2) if call else (0 if held > 0 else 1) for _, call, held in legs)
        self.strikes = tuple(strike for strike, _, _ in legs)
        self.stages: tuple[Stages, Stages] = (stages, tuple(stage ^ 1 for stage in stages))
        self.layers = tuple([i for i, stage in enumerate(stages) if stage == layer] for layer in range(4))
        outer_put, inner_put, inner_call, outer_call = self.layers
        self.puts = ((outer_put, inner_put), (inner_put, outer_put))
        self.calls = ((inner_call, outer_call), (outer_call, inner_call))
        self.indexes = {(call, strike): index for index, (strike, call, _) in enumerate(legs)}

    def rest(self, left: Left, cards: Iterable[_Card]) -> Left:
        """The contracts of `left` that are in none of `cards`."""
        rest = list(left)
        for (k1, k2, k3, k4), _, quantity in cards:
            for leg in ((False, k1), (False, k2), (True, k3), (True, k4)):
                rest[self.indexes[leg]] -= quantity
        return tuple(rest)

    def card(self, move: _Move) -> _Card:
        k1, k2, k3, k4 = [self.strikes[i] for i in move.legs]
        return (k1, k2, k3, k4), move.reverse, move.quantity

    def most(self, left: Left) -> _Want:
        """The most short condors, and the most long condors, each without the other direction."""
        return flow(self.stages[0], left), flow(self.stages[1], left)

    def first(self, left: Left, want: _Want) -> _Move:
        """A card in the only wanted direction, of the first legs that the greedy pass uses: it costs no condor."""
        reverse = 0 if want[0] else 1
        begun: Begun = (0, 0, 0, 0)
        used: list[tuple[int, int]] = []
        for i, (stage, held) in enumerate(zip(self.stages[reverse], left, strict=True)):
            before, begun = begun, begun_through(begun, stage, held)
            if stage == len(used) and begun[stage] > before[stage]:
                used.append((begun[stage] - before[stage], i))
        (a, i), (b, j), (c, k), (d, m) = used
        return _Move(min(a, b, c, d, want[reverse]), reverse, (i, j, k, m))

    def cards_needed(self, left: Left, total: int) -> int:
        """A lower bound of the cards for `total` contracts: the fewest legs that hold them, summed over the layers."""
        held = [sorted([left[i] for i in layer], reverse=True) for layer in self.layers]
        return sum([sums < total for layer in held for sums in accumulate(layer, initial=0)])

    def needs(self, left: Left, total: int, cards: int) -> list[int]:
        """The least contracts that a card with each leg needs, so that `cards - 1` more cards can reach `total`.

        Empty if not even `cards` cards can. In each layer, the `cards - 1` largest legs left must hold the rest.
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

    def moves(self, left: Left, want: _Want, cards: int, budget: SearchBudget, limit: int | None = None) -> list[_Move]:
        """Every card, as large as possible, after which `cards - 1` more cards might reach `want`.

        Cards that use up the most legs come first. `limit` is the most spreads of each kind to join.
        """
        need = self.needs(left, sum(want), cards)
        found: list[_Move] = []
        for reverse in (0, 1) if need else ():
            puts = spreads(self.puts[reverse], left, need, want[reverse], limit, budget)
            calls = spreads(self.calls[reverse], left, need, want[reverse], limit, budget)
            for put, put_need, i, j in puts:
                for call, call_need, k, m in calls:
                    quantity = min(put, call)
                    if quantity >= put_need and quantity >= call_need and self.strikes[j] <= self.strikes[k]:
                        found.append(_Move(quantity, reverse, (i, j, k, m)))
        found.sort(key=lambda move: ([left[i] for i in move.legs].count(move.quantity), move.quantity), reverse=True)
        return found


class _Search:
    """Takes condors from the legs of a ladder until everything possible is grouped, within `budget`.

    `has_paired` becomes true if the budget was too small, and the rest was paired in one pass.
    """

    def __init__(self, ladder: _Ladder, budget: SearchBudget) -> None:
        self.ladder = ladder
        self.budget = budget
        self.has_paired = False
        self.exhaustive = min(
            budget.limit // 2, _EXHAUSTIVE_BUDGET, _EXHAUSTIVE_LEGS_SQUARED // max(1, len(ladder.strikes)) ** 2
        )
        self.known: dict[tuple[Left, int, int], tuple[_Cards, ...]] = {}

    def run(self, left: Left) -> tuple[_Cards, ...]:
        """The best grouping, and a second one if it is as good by the objectives 1 to 5."""
        shares = shared_out(self.ladder.stages[0], left, self.budget)
        rest = tuple(held - share for held, share in zip(left, shares, strict=True))
        want = self.ladder.most(shares)[0], self.ladder.most(rest)[1]
        found: tuple[_Cards, ...] = ()
        for cards in range(len(left) + 1):
            if not found and self.budget.spent < self.exhaustive:
                found = self.fewest(left, want, cards)
        found = found or self.beam(left, want)
        if not found:
            short, long = self.one_way(shares, (want[0], 0)), self.one_way(rest, (0, want[1]))
            found = (_joined((*short.cards, *long.cards)),)
        return self.completed(found, left)

    def completed(self, found: tuple[_Cards, ...], left: Left) -> tuple[_Cards, ...]:
        """`found`, with the condors that are still possible because the legs were not shared out perfectly."""
        rest = self.ladder.rest(left, found[0].cards)
        more: list[_Card] = []
        for reverse, stages in enumerate(self.ladder.stages):
            joined = [self.ladder.card(_move(pairing, reverse)) for pairing in paired(stages, rest)]
            rest = self.ladder.rest(rest, joined)
            more += joined
        if not more:
            return found
        self.has_paired = True
        return (_joined((*found[0].cards, *more)),)

    def fewest(self, left: Left, want: _Want, cards: int) -> tuple[_Cards, ...]:
        """Like `run`, with exactly `cards` cards; empty if that is impossible, or too much for the budget left."""
        if not sum(want):
            return (_NOTHING,)
        key = (left, want[0], cards)
        if key not in self.known:
            moves = self.ladder.moves(left, want, cards, self.budget) if cards else []
            self.budget.spend(len(left) + 4 * len(moves))
            found = set()
            for move in moves:
                after = self.after(left, want, move) if self.budget.spent < self.exhaustive else None
                for tail in self.fewest(*after, cards - 1) if after else ():
                    found.add(tail.plus(self.ladder.card(move)))
            self.known[key] = _first(found)
        return self.known[key]

    def after(self, left: Left, want: _Want, move: _Move) -> tuple[Left, _Want] | None:
        """The legs left and the quantities wanted after a card; None if the rest could no longer be grouped."""
        quantity, reverse, legs = move
        rest = list(left)
        for i in legs:
            rest[i] -= quantity
        short, long = (want[0], want[1] - quantity) if reverse else (want[0] - quantity, want[1])
        self.budget.spend(len(left))
        stages = self.ladder.stages
        lost = (short and flow(stages[0], rest) < short) or (long and flow(stages[1], rest) < long)
        return None if lost else (tuple(rest), (short, long))

    def beam(self, left: Left, want: _Want) -> tuple[_Cards, ...]:
        """Like `run`, with few cards; empty if short and long condors block each other, or the budget is spent."""
        states = self.ahead(_State(0, _NOTHING, left, want), half_of=self.budget.left)
        return _first({state.taken for state in states if not sum(state.want)})

    def one_way(self, left: Left, want: _Want) -> _Cards:
        """Like `beam`, for one direction; once the budget is spent, the remaining legs are joined in one pass."""
        state = self.ahead(_State(0, _NOTHING, left, want), half_of=2 * self.budget.left)[0]
        if not sum(state.want):
            return state.taken
        self.has_paired = True
        reverse = 0 if want[0] else 1
        found = paired(self.ladder.stages[reverse], state.left)
        self.budget.spend(len(left) + len(found))
        return _joined((*state.taken.cards, *(self.ladder.card(_move(pairing, reverse)) for pairing in found)))

    def ahead(self, start: _State, *, half_of: int) -> list[_State]:
        """Take card by card until no state is left, a state is finished, or half of `half_of` is spent."""
        end = self.budget.spent + half_of // 2
        states = [start]
        while states and all(sum(state.want) for state in states) and self.budget.spent < end:
            ahead: dict[Left, _State] = {}
            for _, taken, held, missing in states:
                for move, rest, still in self.children(held, missing):
                    more = taken.plus(self.ladder.card(move))
                    self.budget.spend(4 * len(more.cards))
                    state = _State(self.ladder.cards_needed(rest, sum(still)), more, rest, still)
                    ahead[rest] = min(state, ahead.get(rest, state))
            states = sorted(ahead.values())[:_BEAM_WIDTH]
        return states

    def children(self, left: Left, want: _Want) -> list[tuple[_Move, Left, _Want]]:
        """The next cards to try: those that use up the most legs, then the largest; if none works, a safe one."""
        found: list[tuple[_Move, Left, _Want]] = []
        self.budget.spend(2 * len(left))
        moves = self.ladder.moves(left, want, sum(left), self.budget, _BEAM_SIDES)
        for move in moves[:_BEAM_TRIES]:
            if len(found) < _BEAM_CHILDREN and (after := self.after(left, want, move)):
                found.append((move, *after))
        if not found and not all(want):
            move = self.ladder.first(left, want)
            found = [(move, *after)] if (after := self.after(left, want, move)) else []
        return found


def _first(found: set[_Cards]) -> tuple[_Cards, ...]:
    """The best grouping, and the next if it is as good by the objectives 1 to 5."""
    best = sorted(found)[:2]
    return tuple(grouping for grouping in best if grouping.cost == best[0].cost)
