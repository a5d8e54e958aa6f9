"""Find the short contracts that were assigned, from unexplained changes of the account and Alpaca's activities.

An OPASN activity is certain, but arrives the day after. Until then, an assignment is inferred from shares: short
contracts disappeared, and the shares that they deliver were added (puts) or removed (calls). Both may be in the same
reading, or one may follow up to the end of the next session. The rules are:

- Each share explains only one contract. If there are enough shares for only some of the contracts that disappeared, the
  number assigned is known, but not which ones. One assignment then contains them all.
- Contracts that disappeared after their expiration are considered together. A price of the underlying fits if exactly
  these shares would have moved at it. If all prices that fit give the same contracts, these were assigned.
- If a long contract disappeared too, and may have been exercised for the same shares, nothing is inferred. A long that
  disappears later does not withdraw what was inferred before.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from condord.core import occ
from condord.core.activity import Activity
from condord.core.market_hours import exchange_day
from condord.core.occ import OptionSymbol
from condord.live.account_changes import UnexplainedChange, direction


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """`count` of the short `contracts` (counts by symbol) were assigned, and `shares` (signed) of `stock` moved.

    If `count` is less than the contracts, it is not known which ones were assigned. `keys` identify the changes that
    show the assignment. `is_certain` is true if Alpaca has reported it. `stock` is None if no reading showed the
    contracts.
    """

    contracts: dict[str, int]
    count: int
    stock: str | None
    shares: int
    keys: frozenset[str]
    condor_id: str | None = None
    is_certain: bool = False


Meets = Callable[[dt.datetime, dt.datetime], bool]
"""Whether two changes are close enough in time to belong to one assignment."""


def assignments(
    rest: Sequence[UnexplainedChange], unseen: Iterable[Activity], meets: Meets, known: Collection[str]
) -> list[Assignment]:
    """All assignments. Marks the shares that they explain as explained in `rest`.

    `unseen` are OPASN activities that no change shows. `known` has the keys of the assignments found before.
    """
    options = [entry for entry in rest if entry.change.shares]
    stocks = [entry for entry in rest if entry.change.shares is None]
    found = [_confirmed(entry) for entry in options if entry.confirmed]
    found += [_reported(activity) for activity in unseen]
    gone_of: dict[str, list[UnexplainedChange]] = {}
    for entry in options:
        if entry.gone:
            gone_of.setdefault(next(iter(entry.change.shares or ())), []).append(entry)
    for stock, gone in sorted(gone_of.items()):
        moves = [entry for entry in stocks if entry.change.symbol == stock]
        found += _by_price(stock, gone, moves, meets)
        for sign in (1, -1):
            alike = [entry for entry in gone if _direction(entry) == sign]
            known_alike = [entry for entry in alike if entry.change.key in known]
            found += _by_shares(stock, sign, known_alike, moves, meets)
            if all(entry.change.held < 0 for entry in alike if entry.gone):
                found += _by_shares(stock, sign, alike, moves, meets)
    return found


def _confirmed(entry: UnexplainedChange) -> Assignment:
    symbol, count = entry.change.symbol, entry.confirmed
    stock, shares = next(iter((entry.change.shares or {}).items()))
    return Assignment(
        contracts={symbol: count},
        count=count,
        stock=stock,
        shares=shares * count * direction(symbol, -1),
        keys=frozenset([entry.change.key]),
        condor_id=entry.change.condor_id,
        is_certain=True,
    )


def _reported(activity: Activity) -> Assignment:
    return Assignment(
        contracts={activity.symbol: activity.quantity},
        count=activity.quantity,
        stock=None,
        shares=0,
        keys=frozenset([key_of(activity)]),
        is_certain=True,
    )


def key_of(activity: Activity) -> str:
    """Identifies an assignment that no reading showed."""
    return f"{activity.symbol} {activity.id}"


def _by_price(
    stock: str, gone: Sequence[UnexplainedChange], moves: Sequence[UnexplainedChange], meets: Meets
) -> list[Assignment]:
    """The assignments among contracts that disappeared after their expiration, if all prices that fit agree."""
    nearby = [move for move in moves if move.left and any(meets(entry.change.at, move.change.at) for entry in gone)]
    net = sum(move.left if move.change.quantity > 0 else -move.left for move in nearby)
    have_ended = all(_contract(entry).expiration <= exchange_day(entry.change.at) for entry in gone)
    if not net or not have_ended or len({_contract(entry).expiration for entry in gone}) > 1:
        return []
    fitting = [exercised for exercised in _exercised(gone) if _delivered(exercised, stock) == net]
    if not fitting or any(exercised != fitting[0] for exercised in fitting):
        return []
    for entry in (*nearby, *(entry for entry in gone if entry not in fitting[0] or entry.change.held > 0)):
        entry.left = 0
    return [_all_of(entry, stock) for entry in fitting[0] if entry.gone]


def _exercised(gone: Sequence[UnexplainedChange]) -> Iterator[list[UnexplainedChange]]:
    """The contracts of `gone` in the money, for one price of the underlying between each two adjacent strikes."""
    strikes = sorted({_contract(entry).strike_mills for entry in gone})
    for low, high in itertools.pairwise([0, *strikes, 2 * strikes[-1] + 2]):
        yield [entry for entry in gone if _is_in_the_money(_contract(entry), low + high)]


def _is_in_the_money(contract: OptionSymbol, twice_the_price_mills: int) -> bool:
    return (twice_the_price_mills < 2 * contract.strike_mills) == (contract.right == "put")


def _delivered(exercised: Iterable[UnexplainedChange], stock: str) -> int:
    return sum(entry.gone * _shares(entry, stock) * _direction(entry) for entry in exercised)


def _by_shares(
    stock: str, sign: int, gone: Sequence[UnexplainedChange], moves: Sequence[UnexplainedChange], meets: Meets
) -> list[Assignment]:
    """The assignments for which shares came (`sign` 1) or went (-1)."""
    moving = [move for move in moves if move.left and move.change.quantity * sign > 0]
    alike = [entry for entry in gone if entry.gone and any(meets(entry.change.at, move.change.at) for move in moving)]
    found: list[Assignment] = []
    for shares in sorted({_shares(entry, stock) for entry in alike}, reverse=True):
        same = [entry for entry in alike if _shares(entry, stock) == shares]
        near = [move for move in moving if any(meets(entry.change.at, move.change.at) for entry in same)]
        total = sum(entry.gone for entry in same)
        count = min(total, sum(move.left for move in near) // shares)
        left = count * shares
        for move in near:
            left -= move.take(left)
        if count == total:
            found += [_all_of(entry, stock) for entry in same]
        elif count:
            found.append(_some_of(same, stock, count, sign * count * shares))
    return found


def _all_of(entry: UnexplainedChange, stock: str) -> Assignment:
    """The assignment of all contracts of a change."""
    count = entry.take(entry.gone)
    return Assignment(
        contracts={entry.change.symbol: count},
        count=count,
        stock=stock,
        shares=count * _shares(entry, stock) * _direction(entry),
        keys=frozenset([entry.change.key]),
        condor_id=entry.change.condor_id,
    )


def _some_of(same: Sequence[UnexplainedChange], stock: str, count: int, shares: int) -> Assignment:
    """The assignment of some of the contracts of several changes."""
    contracts: Counter[str] = Counter()
    condor_ids = {entry.change.condor_id for entry in same}
    for entry in same:
        contracts[entry.change.symbol] += entry.gone
    return Assignment(
        contracts=dict(contracts),
        count=count,
        stock=stock,
        shares=shares,
        keys=frozenset(entry.change.key for entry in same),
        condor_id=condor_ids.pop() if len(condor_ids) == 1 else None,
    )


def _contract(entry: UnexplainedChange) -> OptionSymbol:
    return occ.parse(entry.change.symbol)


def _shares(entry: UnexplainedChange, stock: str) -> int:
    return (entry.change.shares or {})[stock]


def _direction(entry: UnexplainedChange) -> int:
    return direction(entry.change.symbol, entry.change.held)
