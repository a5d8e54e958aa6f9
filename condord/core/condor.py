"""Decides what a condor is: its legs, its name, and the numbers that no quote moves.

With C = minus the sum of the four cost bases (dollars), m the multiplier, q the contracts, c = C / (m q) and
strikes K1 < K2 <= K3 < K4 of wing widths Wp = K2 - K1 and Wc = K4 - K3:

    short (inner strikes sold):  max profit C,                        max loss max(0, max(Wp, Wc) m q - C)
    long (inner strikes bought): max profit max(Wp, Wc) m q + C,      max loss max(0, -C)
    breakevens:                  K2 - |c| and K3 + |c|, None on a side whose profit or loss never crosses zero

Max loss takes the wider wing; the whole credit counts on both sides. All of it is exact in integers of 1e-4
dollars but `credit_e4` and the breakevens, which are rounded to 1e-4 where the cost basis does not divide.

Orders come before structure: the lots that they left, as far as their contracts are held, are condors whose legs cost
what their own fills did. Structure groups the contracts left, with what is left of each position's cost basis.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

from condord.core.grouping import Match, match
from condord.core.occ import OptionSymbol, Right
from condord.core.orders import Lot, LotLeg, capped
from condord.core.position import Direction, EntrySource, Kind, Position

_CENT_E4 = 100
_ODD_REST = "its cost is what Alpaca's average over all contracts leaves beside the fills of a condor's order"
_E4_PER_MILL = 10


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a position that one condor uses; `quantity` and `cost_basis_e4` are signed."""

    symbol: str
    right: Right
    strike_mills: int
    quantity: int
    average_entry_e4: int | None
    cost_basis_e4: int | None
    multiplier_assumed: bool = False
    problem: str | None = None


_Legs = tuple[Leg, Leg, Leg, Leg]


class Condor(msgspec.Struct, frozen=True, kw_only=True):
    """Four legs, by strike. Money in 1e-4 dollars for the whole quantity, `credit_e4` and strikes per share.

    `opened_at`, and what its rolls made so far, `realized_e4`, are known only from orders; every other number is of the
    legs as they are now.
    """

    id: str
    kind: Kind
    direction: Direction
    underlying: str
    root: str
    expiration: dt.date
    quantity: int
    multiplier: int
    broken_wing: bool
    ambiguous: bool
    legs: _Legs
    credit_e4: int | None
    max_profit_e4: int | None
    max_loss_e4: int | None
    put_width_e4: int
    call_width_e4: int
    lower_breakeven_e4: int | None
    upper_breakeven_e4: int | None
    entry_source: EntrySource = "structure"
    opened_at: dt.datetime | None = None
    realized_e4: int | None = None


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """Contracts of a position that no condor uses; `uncovered_short`: some are short without a long beside them."""

    position: Position
    uncovered_short: bool


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """Every contract of the account in exactly one place, by quantity."""

    condors: tuple[Condor, ...] = ()
    unmatched: tuple[Leftover, ...] = ()


class _Key(msgspec.Struct, frozen=True, order=True):
    """What the legs of one condor have in common."""

    root: str
    expiration: dt.date
    multiplier: int


def group(positions: Iterable[Position], lots: Iterable[Lot] = ()) -> Grouping:
    """Find the condors among `positions` (one for each symbol), those of `lots` first.

    A pure function of both; the order of the positions is of no account. Condors stand by root, expiration, multiplier
    and strikes; of the same strikes those of orders come first, the oldest before.
    """
    condors, held = _from_orders(sorted(positions, key=lambda position: position.symbol), lots)
    rest: list[Position] = []
    groupable: list[tuple[_Key, Position]] = []
    for position in held:
        if position.contract is None or not position.quantity:
            rest.append(position)
        else:
            contract = position.contract
            groupable.append((_Key(contract.root, contract.expiration, position.multiplier), position))
    groupable.sort(key=lambda pair: pair[0])
    for key, pairs in groupby(groupable, key=lambda pair: pair[0]):
        found, left = _group_one(key, [position for _, position in pairs])
        condors += found
        rest += left
    rest.sort(key=lambda position: position.symbol)
    return Grouping(condors=_name_apart(sorted(condors, key=_rank)), unmatched=_flag_uncovered(rest))


def _from_orders(positions: Sequence[Position], lots: Iterable[Lot]) -> tuple[list[Condor], list[Position]]:
    """The condors of the lots, and the positions without their contracts; lots take from the first of a symbol."""
    first = {held.symbol: held for held in reversed(positions) if held.contract is not None and held.quantity}
    left = dict(first)
    alike = [lot for lot in lots if len({left[leg.symbol].multiplier for leg in lot.legs if leg.symbol in left}) == 1]
    condors = []
    for lot in capped(alike, {held.symbol: held.quantity or 0 for held in left.values()}):
        condors.append(_from_lot(lot, left))
        for leg in condors[-1].legs:
            left[leg.symbol] = _without(left[leg.symbol], leg)
    rest = [(held, left[held.symbol] if first.get(held.symbol) is held else held) for held in positions]
    return condors, [after for before, after in rest if after.quantity or after is before]


def _from_lot(lot: Lot, held: Mapping[str, Position]) -> Condor:
    one, two, three, four = (leg.contract for leg in lot.legs)
    strikes = (one.strike_mills, two.strike_mills, three.strike_mills, four.strike_mills)
    outer_put = held[lot.legs[0].symbol]
    key = _Key(one.root, one.expiration, outer_put.multiplier)
    found = Match(strikes=strikes, short=lot.legs[0].quantity > 0, quantity=lot.quantity, ambiguous=False)
    put, inner_put, inner_call, call = (_filled(leg, held[leg.symbol]) for leg in lot.legs)
    return msgspec.structs.replace(
        _condor(key, found, (put, inner_put, inner_call, call), outer_put.underlying),
        entry_source="orders",
        opened_at=lot.opened_at,
        realized_e4=lot.realized_e4 * lot.quantity * key.multiplier,
    )


def _filled(leg: LotLeg, position: Position) -> Leg:
    return Leg(
        symbol=leg.symbol,
        right=leg.contract.right,
        strike_mills=leg.contract.strike_mills,
        quantity=leg.quantity,
        average_entry_e4=leg.price_e4,
        cost_basis_e4=leg.quantity * leg.price_e4 * position.multiplier,
        multiplier_assumed=position.multiplier_assumed,
        problem=position.problem,
    )


def _without(position: Position, leg: Leg) -> Position:
    """What `leg` leaves; the average entry follows from what is left of the cost basis.

    Alpaca averages what was paid over all contracts of a symbol, so the rest can come to cost less than nothing.
    """
    quantity = (position.quantity or 0) - leg.quantity
    basis_e4, average_e4 = position.cost_basis_e4, position.average_entry_e4
    problem = position.problem
    if basis_e4 is not None and leg.cost_basis_e4 is not None:
        basis_e4 -= leg.cost_basis_e4
        average_e4 = _divide(basis_e4, quantity * position.multiplier) if quantity else None
        if basis_e4 * quantity < 0:
            problem = "; ".join(text for text in (problem, _ODD_REST) if text)
    return msgspec.structs.replace(
        position, quantity=quantity, average_entry_e4=average_e4, cost_basis_e4=basis_e4, problem=problem
    )


def _rank(condor: Condor) -> tuple[_Key, list[int], bool]:
    """Those of the same rank stay in the order they are found in."""
    key = _Key(condor.root, condor.expiration, condor.multiplier)
    return key, [leg.strike_mills for leg in condor.legs], condor.entry_source == "structure"


def _group_one(key: _Key, positions: Sequence[Position]) -> tuple[list[Condor], list[Position]]:
    purses: dict[tuple[Right, int], _Purse] = {}
    rest: list[Position] = []
    for position in positions:
        place = _place(position)
        if place in purses:  # the same contract under a second symbol: shown beside, never lost
            rest.append(position)
        else:
            purses[place] = _Purse(position)
    matches = match({place: purse.quantity for place, purse in purses.items()})
    condors = []
    for found in matches:
        legs = _paid(found, purses)
        condors.append(_condor(key, found, legs, purses["put", found.strikes[0]].position.underlying))
    return condors, rest + [purse.rest() for purse in purses.values() if purse.quantity]


def _place(position: Position) -> tuple[Right, int]:
    contract = position.contract
    assert contract is not None  # noqa: S101 - group() keeps those without a contract apart
    return contract.right, contract.strike_mills


class _Purse:
    """A position from which condors take contracts; the cost basis goes pro rata to the cent, the rest to the last."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.quantity = position.quantity or 0
        self._held = self.quantity
        self._unpaid_e4 = position.cost_basis_e4

    def take(self, quantity: int) -> Leg:
        position = self.position
        right, strike_mills = _place(position)
        return Leg(
            symbol=position.symbol,
            right=right,
            strike_mills=strike_mills,
            quantity=quantity,
            average_entry_e4=position.average_entry_e4,
            cost_basis_e4=self._pay_out(quantity),
            multiplier_assumed=position.multiplier_assumed,
            problem=position.problem,
        )

    def rest(self) -> Position:
        quantity = self.quantity
        return msgspec.structs.replace(self.position, quantity=quantity, cost_basis_e4=self._pay_out(quantity))

    def _pay_out(self, quantity: int) -> int | None:
        self.quantity -= quantity
        whole_e4, unpaid_e4 = self.position.cost_basis_e4, self._unpaid_e4
        if whole_e4 is None or unpaid_e4 is None:
            return None
        part_e4 = unpaid_e4
        if self.quantity:
            part_e4 = _divide(whole_e4 * quantity, self._held * _CENT_E4) * _CENT_E4
        self._unpaid_e4 = unpaid_e4 - part_e4
        return part_e4


def _paid(found: Match, purses: Mapping[tuple[Right, int], _Purse]) -> _Legs:
    outer_put, inner_put, inner_call, outer_call = found.strikes
    inner = -found.quantity if found.short else found.quantity
    return (
        purses["put", outer_put].take(-inner),
        purses["put", inner_put].take(inner),
        purses["call", inner_call].take(inner),
        purses["call", outer_call].take(-inner),
    )


def _condor(key: _Key, found: Match, legs: _Legs, underlying: str | None) -> Condor:
    outer_put, inner_put, inner_call, outer_call = found.strikes
    put_width_e4 = (inner_put - outer_put) * _E4_PER_MILL
    call_width_e4 = (outer_call - inner_call) * _E4_PER_MILL
    numbers = _numbers(key, found, legs, max(put_width_e4, call_width_e4))
    breakevens = _breakevens(found, numbers[0], put_width_e4, call_width_e4)
    return Condor(
        id=condor_id(key.root, key.expiration, found.strikes),
        kind="ironButterfly" if inner_put == inner_call else "ironCondor",
        direction="short" if found.short else "long",
        underlying=underlying or key.root,
        root=key.root,
        expiration=key.expiration,
        quantity=found.quantity,
        multiplier=key.multiplier,
        broken_wing=put_width_e4 != call_width_e4,
        ambiguous=found.ambiguous,
        legs=legs,
        credit_e4=numbers[0],
        max_profit_e4=numbers[1],
        max_loss_e4=numbers[2],
        put_width_e4=put_width_e4,
        call_width_e4=call_width_e4,
        lower_breakeven_e4=breakevens[0],
        upper_breakeven_e4=breakevens[1],
    )


def _numbers(key: _Key, found: Match, legs: Iterable[Leg], width_e4: int) -> tuple[int | None, int | None, int | None]:
    """Credit per share, maximum profit and maximum loss in 1e-4 dollars; None without every cost basis."""
    received_e4 = 0
    for leg in legs:
        if leg.cost_basis_e4 is None:
            return None, None, None
        received_e4 -= leg.cost_basis_e4
    shares = key.multiplier * found.quantity
    credit_e4 = _divide(received_e4, shares)
    if found.short:
        return credit_e4, received_e4, max(0, width_e4 * shares - received_e4)
    return credit_e4, width_e4 * shares + received_e4, max(0, -received_e4)


def _breakevens(
    found: Match, credit_e4: int | None, put_width_e4: int, call_width_e4: int
) -> tuple[int | None, int | None]:
    """Lower and upper, in 1e-4 dollars of the underlying."""
    if credit_e4 is None:
        return None, None
    distance_e4 = credit_e4 if found.short else -credit_e4
    if distance_e4 < 0:  # a short condor that cost, a long one that paid: all of it lies on one side of zero
        return None, None
    _, inner_put, inner_call, _ = found.strikes
    lower_e4 = inner_put * _E4_PER_MILL - distance_e4 if distance_e4 < put_width_e4 else None
    upper_e4 = inner_call * _E4_PER_MILL + distance_e4 if distance_e4 < call_width_e4 else None
    return lower_e4, upper_e4


def condor_id(root: str, expiration: dt.date, strikes: Iterable[int]) -> str:
    """`SPY-261218-560-570-630-640`: root, yymmdd, strikes in dollars ascending."""
    named = "-".join(strike_text(strike_mills) for strike_mills in strikes)
    return f"{root}-{expiration:%y%m%d}-{named}"


def strike_text(strike_mills: int) -> str:
    """A strike in dollars without trailing zeros: 2500 is `2.5`."""
    whole, mills = divmod(strike_mills, 1000)
    return f"{whole}.{mills:03d}".rstrip("0") if mills else str(whole)


def _name_apart(condors: Iterable[Condor]) -> tuple[Condor, ...]:
    """Ids made unique: the same condor a second time gets `-2`."""
    seen: dict[str, int] = {}
    named = []
    for condor in condors:
        seen[condor.id] = count = seen.get(condor.id, 0) + 1
        named.append(condor if count == 1 else msgspec.structs.replace(condor, id=f"{condor.id}-{count}"))
    return tuple(named)


def _flag_uncovered(positions: Sequence[Position]) -> tuple[Leftover, ...]:
    """Mark shorts without a long of the same root, expiration and right; longs cover shorts in order of strike."""
    longs: dict[tuple[str, dt.date, Right], int] = {}
    for position in positions:
        if position.contract is not None and (position.quantity or 0) > 0:
            side = _side(position.contract)
            longs[side] = longs.get(side, 0) + (position.quantity or 0)
    flagged = []
    for position in positions:
        short = -(position.quantity or 0)
        uncovered = position.contract is not None and short > 0
        if position.contract is not None and short > 0:
            side = _side(position.contract)
            available = longs.get(side, 0)
            longs[side] = max(0, available - short)
            uncovered = available < short
        flagged.append(Leftover(position=position, uncovered_short=uncovered))
    return tuple(flagged)


def _side(contract: OptionSymbol) -> tuple[str, dt.date, Right]:
    return contract.root, contract.expiration, contract.right


def _divide(numerator: int, denominator: int) -> int:
    """The quotient rounded to the nearest integer, halves away from zero."""
    quotient, rest = divmod(abs(numerator), abs(denominator))
    rounded = quotient + (2 * rest >= abs(denominator))
    return rounded if (numerator < 0) == (denominator < 0) else -rounded
