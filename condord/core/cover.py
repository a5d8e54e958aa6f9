"""Match the short contracts that are in no condor with what covers them.

Cover is looked for in this order:

1. `sameExpiry`: a long contract of the same right, root and expiration.
2. `laterLong`: a long contract of the same right and deliverable that expires later.
3. `shares`: for a call, the shares that it would deliver.

Each long and each share covers only once. Short shares cover nothing. AM-settled and PM-settled contracts of one day do
not cover each other, as they settle at different prices.

Two contracts have the same deliverable when underlying, multiplier and deliverables are equal, even under different
roots: SPX and SPXW are paid in cash on the same index. An adjusted root equals only itself. Options on volatility
indexes are priced on the future of their own expiration, so a later long does not bound their loss.

Shorts are covered from the last expiration to the first. A long that is eligible for one of them is eligible for every
earlier short too, so this covers as many as possible. Among the eligible longs each short takes the one that leaves the
smallest loss.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from condord.core.expiry import expiry_of
from condord.core.occ import OptionSymbol, Right
from condord.core.position import Cover, Deliverable, Position

_UNLINKED = frozenset({"VIX"})
_CoverGroup = tuple[str, int, tuple[Deliverable, ...], str, Right]


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """Contracts of a position that no condor uses.

    `uncovered_short` is true if some of them are short and nothing covers them. `cover` is what covers a short whose
    contracts are all covered: the weakest kind, if there are several.
    """

    position: Position
    uncovered_short: bool = False
    cover: Cover | None = None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` short contracts (unsigned) that a later long or shares cover.

    `long` is the symbol of the later long, None for shares. `basis_e4` is the cost basis in 1e-4 dollars: of the paired
    contracts of the later long, or, with shares, of the covered calls (negative). None if it is unknown.
    """

    short: str
    long: str | None
    quantity: int
    basis_e4: int | None


class CoverResult(msgspec.Struct, frozen=True, kw_only=True):
    """The leftovers in the order of the positions, and the pairs that the maximum loss needs."""

    leftovers: tuple[Leftover, ...]
    pairs: tuple[Pair, ...] = ()


def cover(
    positions: Sequence[Position], *, stocks: Mapping[str, int] | None = None, settled: Collection[str] = ()
) -> CoverResult:
    """Match the shorts among `positions` with their cover.

    `stocks` holds signed shares by symbol. `settled` holds the symbols past their settlement, which neither need nor
    provide cover.
    """
    remaining = [
        _Remaining(index, held, held.contract)
        for index, held in enumerate(positions)
        if held.contract is not None and held.quantity and held.symbol not in settled
    ]
    shares = {symbol: count for symbol, count in (stocks or {}).items() if count > 0}
    by_kind: dict[_CoverGroup, list[_Remaining]] = {}
    for part in remaining:
        by_kind.setdefault(part.kind, []).append(part)
    pairs = [pair for alike in by_kind.values() for pair in _by_longs(alike)]
    leftovers = [Leftover(position=held) for held in positions]
    for short in sorted((part for part in remaining if part.is_short), key=_Remaining.sort_key):
        pairs += _by_shares(short, shares)
        leftovers[short.index] = Leftover(
            position=short.position,
            uncovered_short=short.left > 0,
            cover=None if short.left else short.cover,
        )
    return CoverResult(leftovers=tuple(leftovers), pairs=tuple(pairs))


class _Remaining:
    """The contracts of a position that are not yet matched, with their part of its cost basis.

    `kind` is equal for contracts of the same right and deliverable. `cover` is what covered the last contract matched.
    `index` is the index of the position in the arguments of `cover`.
    """

    def __init__(self, index: int, position: Position, contract: OptionSymbol) -> None:
        self.index = index
        self.position = position
        self.contract = contract
        self.expiry = expiry_of(contract, position.underlying)
        self.is_short = (position.quantity or 0) < 0
        self.left = abs(position.quantity or 0)
        self.cover: Cover | None = None
        root = contract.root if contract.root_is_adjusted else ""
        self.kind: _CoverGroup = self.expiry.product, position.multiplier, position.deliverables, root, contract.right
        self._basis_e4 = position.cost_basis_e4

    def sort_key(self) -> tuple[int, int, str]:
        """The sort key: the last expiration first, then by strike."""
        return -self.contract.expiration.toordinal(), self.contract.strike_mills, self.position.symbol

    def spend(self, quantity: int) -> int | None:
        """Match `quantity` contracts, and return their cost basis in 1e-4 dollars."""
        part_e4 = None
        if self._basis_e4 is not None:
            part_e4 = self._basis_e4 * quantity // self.left
            self._basis_e4 -= part_e4
        self.left -= quantity
        return part_e4

    def take(self, long: _Remaining, kind: Cover) -> Iterator[Pair]:
        """Let `long` cover as many contracts as both have left; yields a pair if it expires later."""
        quantity = min(self.left, long.left)
        self.spend(quantity)
        self.cover = kind
        basis_e4 = long.spend(quantity)
        if kind == "laterLong":
            yield Pair(short=self.position.symbol, long=long.position.symbol, quantity=quantity, basis_e4=basis_e4)


class _Longs:
    """The longs of one kind that have contracts left, by strike and expiration."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int, int]] = []
        self._remaining: dict[tuple[int, int, int], _Remaining] = {}

    def put(self, part: _Remaining) -> None:
        """Add a long."""
        key = part.contract.strike_mills, part.contract.expiration.toordinal(), part.index
        insort(self._keys, key)
        self._remaining[key] = part

    def best_for(self, short: _Remaining) -> Iterator[_Remaining]:
        """The longs that leave `short` the smallest loss, until it is covered.

        Those without an adverse strike come first, then the nearest.
        """
        while short.left and self._keys:
            at = self._nearest(short.contract.strike_mills, is_put=short.contract.right == "put")
            part = self._remaining[self._keys[at]]
            yield part
            if not part.left:
                del self._remaining[self._keys.pop(at)]

    def rest(self) -> list[_Remaining]:
        """The longs with contracts left."""
        return [self._remaining[key] for key in self._keys]

    def _nearest(self, strike_mills: int, *, is_put: bool) -> int:
        """The index of the best key: for a put the lowest strike from `strike_mills` up, or else the highest below it.

        For a call it is the highest from `strike_mills` down, or else the lowest above.
        """
        first_above = bisect_left(self._keys, (strike_mills if is_put else strike_mills + 1,))
        is_above = first_above < len(self._keys) and (is_put or first_above == 0)
        return first_above if is_above else bisect_left(self._keys, (self._keys[first_above - 1][0],))


def _by_longs(alike: Iterable[_Remaining]) -> Iterator[Pair]:
    """Match the shorts of one kind with its longs, from the last expiration to the first."""
    later = _Longs()
    for _, day in groupby(sorted(alike, key=_Remaining.sort_key), key=lambda part: part.contract.expiration):
        remaining = list(day)
        same_expiry: dict[str, _Longs] = {}
        for part in remaining:
            if not part.is_short:
                same_expiry.setdefault(part.contract.root, _Longs()).put(part)
        for short in (part for part in remaining if part.is_short):
            for long in same_expiry.get(short.contract.root, _Longs()).best_for(short):
                yield from short.take(long, "sameExpiry")
            if short.expiry.product not in _UNLINKED:
                for long in later.best_for(short):
                    yield from short.take(long, "laterLong")
        for long in (long for longs in same_expiry.values() for long in longs.rest()):
            later.put(long)


def _by_shares(short: _Remaining, shares: dict[str, int]) -> Iterator[Pair]:
    """Cover calls by `shares`, and take the shares used out of it."""
    delivered = _delivered(short) if short.contract.right == "call" else {}
    if not delivered or not short.left:
        return
    quantity = min(short.left, *(shares.get(symbol, 0) // amount for symbol, amount in delivered.items()))
    if not quantity:
        return
    for symbol, amount in delivered.items():
        shares[symbol] -= quantity * amount
    short.cover = "shares"
    yield Pair(short=short.position.symbol, long=None, quantity=quantity, basis_e4=short.spend(quantity))


def _delivered(short: _Remaining) -> dict[str, int]:
    """The shares that one contract delivers, by symbol; empty if they are unknown, or not all of it is whole shares."""
    held, contract = short.position, short.contract
    if short.expiry.is_index:
        return {}
    if not held.deliverables:
        is_known = not (contract.root_is_adjusted and held.multiplier_assumed)
        return {held.underlying or contract.root: held.multiplier} if is_known else {}
    delivered: dict[str, int] = {}
    for item in held.deliverables:
        if item.symbol is None or item.amount is None or not item.amount.isdecimal() or not int(item.amount):
            return {}
        delivered[item.symbol] = delivered.get(item.symbol, 0) + int(item.amount)
    return delivered
