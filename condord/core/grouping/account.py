"""Group the positions of an account into condors: those of its orders first, then by structure.

The held part of each lot is a condor whose legs cost what their fills cost. The other contracts are grouped by
structure, at what remains of each position's cost basis. The parts of a position always add up to the cost basis that
Alpaca reports. So the part with its last contracts gets the cost that the other parts leave: structure, or else the
oldest lot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from condord.core.condor import BookKey, Condor, Leg, condor_of
from condord.core.cost import divide, total_e4
from condord.core.cover import Leftover, Pair, cover
from condord.core.filled_orders import LotLeg
from condord.core.grouping.budget import go_on
from condord.core.grouping.search import Match, match_all
from condord.core.lots import Lot, capped
from condord.core.naming import Names, UnnamedCondor, assign_names, lot_quantities
from condord.core.occ import OptionSymbol, Right
from condord.core.position import Position

_CENT_E4 = 100
_ODD_REMAINDER = "its cost basis is what a condor's fills leave of Alpaca's average over all contracts"


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """Every contract of the account exactly once: in `condors` or in `unmatched`.

    `pairs` lists the unmatched shorts that something other than their own expiration covers. `names` is an argument of
    the next grouping, so that condors keep their ids.
    """

    condors: tuple[Condor, ...] = ()
    unmatched: tuple[Leftover, ...] = ()
    pairs: tuple[Pair, ...] = ()
    names: Names = {}


def group(
    positions: Iterable[Position],
    lots: Iterable[Lot] = (),
    names: Names | None = None,
    *,
    pause: Callable[[], None] = go_on,
) -> Grouping:
    """Find the condors among `positions`, first from `lots`.

    The result depends only on the arguments, and not on the order of `positions`, of which there is one for each
    symbol. Condors are sorted by root, expiration, multiplier and strikes; among equal strikes those of orders come
    first, oldest first.

    `names` are the names of the former grouping. `pause` is called every few milliseconds of a long search. An
    exception that it raises ends the search.
    """
    opened = tuple(lots)
    in_order = sorted(positions, key=lambda position: position.symbol)
    from_orders, held = _from_orders(in_order, opened, lot_quantities(names or {}))
    from_structure, rest = _from_structure(held, pause)
    condors = sorted([*from_orders, *from_structure], key=_rank)
    left_over, open_lots = {position.symbol for position in rest}, {lot.key for lot in opened}
    naming = assign_names([_unnamed(condor) for condor in condors], left_over, open_lots, names or {})
    uncovered = cover(rest)
    return Grouping(
        condors=tuple(msgspec.structs.replace(condor, id=naming[_unnamed(condor).key].id) for condor in condors),
        unmatched=uncovered.leftovers,
        pairs=uncovered.pairs,
        names=naming,
    )


def _from_orders(
    positions: Sequence[Position], lots: Iterable[Lot], before: Mapping[str, int]
) -> tuple[list[Condor], list[Position]]:
    """The condors of the lots, and the positions without their contracts.

    Where a symbol occurs twice, lots take their contracts from its first position.
    """
    first = {held.symbol: held for held in reversed(positions) if held.contract is not None and held.quantity}
    left = dict(first)
    alike = [lot for lot in lots if len({left[leg.symbol].multiplier for leg in lot.legs if leg.symbol in left}) == 1]
    condors = []
    # The newest lot takes its part first, so that the oldest gets the rest of the cost basis.
    for lot in reversed(capped(alike, {held.symbol: held.quantity or 0 for held in left.values()}, before)):
        condors.append(_from_lot(lot, left))
        for leg in condors[-1].legs:
            left[leg.symbol] = _without(left[leg.symbol], leg)
    rest = [(held, left[held.symbol] if first.get(held.symbol) is held else held) for held in positions]
    return condors[::-1], [after for before, after in rest if after.quantity or after is before]


def _from_lot(lot: Lot, held: Mapping[str, Position]) -> Condor:
    outer_put, inner_put, inner_call, outer_call = lot.legs
    position = held[outer_put.symbol]
    key = BookKey(outer_put.contract.root, outer_put.contract.expiration, position.multiplier)
    match = Match(
        strikes=(
            outer_put.contract.strike_mills,
            inner_put.contract.strike_mills,
            inner_call.contract.strike_mills,
            outer_call.contract.strike_mills,
        ),
        short=outer_put.quantity > 0,
        quantity=lot.quantity,
        ambiguous=False,
    )
    legs = (
        _filled(outer_put, held[outer_put.symbol]),
        _filled(inner_put, held[inner_put.symbol]),
        _filled(inner_call, held[inner_call.symbol]),
        _filled(outer_call, held[outer_call.symbol]),
    )
    return msgspec.structs.replace(
        condor_of(key, match, legs, position.underlying),
        entry_source="orders",
        opened_at=lot.opened_at,
        realized_e4=lot.realized_e4(key.multiplier),
        lot=lot.key,
    )


def _filled(leg: LotLeg, position: Position) -> Leg:
    """A leg of a lot. If it takes the last contracts of `position`, it gets all that is left of the cost basis."""
    average_e4, basis_e4 = leg.price_e4, total_e4(leg.costs, position.multiplier)
    if leg.quantity == position.quantity and position.cost_basis_e4 is not None:
        basis_e4 = position.cost_basis_e4
        average_e4 = average_e4 if position.average_entry_e4 is None else position.average_entry_e4
    return _leg(position, leg.quantity, average_e4, basis_e4)


def _leg(position: Position, quantity: int, average_e4: int | None, basis_e4: int | None) -> Leg:
    contract = _contract(position)
    return Leg(
        symbol=position.symbol,
        right=contract.right,
        strike_mills=contract.strike_mills,
        quantity=quantity,
        average_entry_e4=average_e4,
        cost_basis_e4=basis_e4,
        multiplier_assumed=position.multiplier_assumed,
        problem=position.problem,
    )


def _without(position: Position, leg: Leg) -> Position:
    """The rest of `position` without `leg`; the average entry follows from the cost basis left.

    Alpaca averages over all contracts of a symbol, so the cost basis left can have the sign of the other side. The
    problem of the position then explains that.
    """
    quantity = (position.quantity or 0) - leg.quantity
    basis_e4, average_e4 = position.cost_basis_e4, position.average_entry_e4
    problem = position.problem
    if basis_e4 is not None and leg.cost_basis_e4 is not None:
        basis_e4 -= leg.cost_basis_e4
        average_e4 = divide(basis_e4, quantity * position.multiplier) if quantity else None
        if basis_e4 * quantity < 0:
            problem = "; ".join(text for text in (problem, _ODD_REMAINDER) if text)
    return msgspec.structs.replace(
        position, quantity=quantity, average_entry_e4=average_e4, cost_basis_e4=basis_e4, problem=problem
    )


def _unnamed(condor: Condor) -> UnnamedCondor:
    form, symbols = f"{condor.direction} {condor.multiplier}", tuple(leg.symbol for leg in condor.legs)
    return UnnamedCondor(base=condor.id, lot=condor.lot, form=form, quantity=condor.quantity, symbols=symbols)


def _rank(condor: Condor) -> tuple[BookKey, list[int], bool]:
    """The sort key of condors; sorting is stable, so lots of one rank stay oldest first."""
    key = BookKey(condor.root, condor.expiration, condor.multiplier)
    return key, [leg.strike_mills for leg in condor.legs], condor.entry_source == "structure"


def _from_structure(positions: Iterable[Position], pause: Callable[[], None]) -> tuple[list[Condor], list[Position]]:
    """The condors that structure finds among `positions`, and the contracts left, by symbol."""
    rest: list[Position] = []
    groupable: list[tuple[BookKey, Position]] = []
    for position in positions:
        if position.contract is None or not position.quantity:
            rest.append(position)
        else:
            contract = position.contract
            groupable.append((BookKey(contract.root, contract.expiration, position.multiplier), position))
    groupable.sort(key=lambda pair: pair[0])
    books: list[tuple[BookKey, _Allocations]] = []
    for key, pairs in groupby(groupable, key=lambda pair: pair[0]):
        allocations, doubles = _allocations(position for _, position in pairs)
        books.append((key, allocations))
        rest += doubles
    found = match_all(
        [{leg: allocation.quantity for leg, allocation in allocations.items()} for _, allocations in books], pause
    )
    condors: list[Condor] = []
    for (key, allocations), matches in zip(books, found, strict=True):
        condors += [_allocated(key, match, allocations) for match in matches]
        rest += [allocation.rest() for allocation in allocations.values() if allocation.quantity]
    return condors, sorted(rest, key=lambda position: position.symbol)


def _allocations(positions: Iterable[Position]) -> tuple[_Allocations, list[Position]]:
    """The positions of one book by right and strike, and the positions whose contract occurs a second time."""
    allocations: _Allocations = {}
    doubles: list[Position] = []
    for position in positions:
        contract = _contract(position)
        leg = contract.right, contract.strike_mills
        if leg in allocations:  # the same contract under a second symbol: never grouped, never lost
            doubles.append(position)
        else:
            allocations[leg] = _Allocation(position)
    return allocations, doubles


def _contract(position: Position) -> OptionSymbol:
    assert position.contract is not None  # noqa: S101 - group() sorts out positions without a contract
    return position.contract


class _Allocation:
    """Allocates the contracts of a position, and its cost basis pro rata: rounded to cents, the rest to the last."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.quantity = position.quantity or 0
        self._held = self.quantity
        self._basis_left_e4 = position.cost_basis_e4

    def take(self, quantity: int) -> Leg:
        """Allocate `quantity` contracts (signed) to a condor."""
        return _leg(self.position, quantity, self.position.average_entry_e4, self._take_basis_e4(quantity))

    def rest(self) -> Position:
        """Allocate everything that no condor has taken."""
        quantity = self.quantity
        return msgspec.structs.replace(self.position, quantity=quantity, cost_basis_e4=self._take_basis_e4(quantity))

    def _take_basis_e4(self, quantity: int) -> int | None:
        self.quantity -= quantity
        whole_e4, left_e4 = self.position.cost_basis_e4, self._basis_left_e4
        if whole_e4 is None or left_e4 is None:
            return None
        part_e4 = left_e4
        if self.quantity:
            part_e4 = divide(whole_e4 * quantity, self._held * _CENT_E4) * _CENT_E4
        self._basis_left_e4 = left_e4 - part_e4
        return part_e4


_Allocations = dict[tuple[Right, int], _Allocation]
"""Contracts by right and strike in mills."""


def _allocated(key: BookKey, match: Match, allocations: _Allocations) -> Condor:
    """The condor of a match, which takes its contracts out of `allocations`."""
    outer_put, inner_put, inner_call, outer_call = match.strikes
    inner = -match.quantity if match.short else match.quantity
    legs = (
        allocations["put", outer_put].take(-inner),
        allocations["put", inner_put].take(inner),
        allocations["call", inner_call].take(inner),
        allocations["call", outer_call].take(-inner),
    )
    return condor_of(key, match, legs, allocations["put", outer_put].position.underlying)
