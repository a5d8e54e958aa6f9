"""A condor, and the numbers of it that do not depend on quotes.

With C = minus the sum of the four cost bases (dollars), m the multiplier, q the contracts, c = C / (m q),
strikes K1 < K2 <= K3 < K4, and wing widths Wp = K2 - K1 and Wc = K4 - K3:

    short (inner strikes sold):  max profit C,                        max loss max(0, max(Wp, Wc) m q - C)
    long (inner strikes bought): max profit max(Wp, Wc) m q + C,      max loss max(0, -C)
    breakevens:                  K2 - |c| and K3 + |c|, None on a side whose profit or loss never crosses zero

The wider wing sets the maximum loss, and the whole credit counts on both sides. Everything is exact in integers of
1e-4 dollars except `credit_e4` and the breakevens: these are rounded to 1e-4 where the cost basis does not divide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from condord.core.cost import divide
from condord.core.grouping.search import Match
from condord.core.occ import Right
from condord.core.position import Direction, EntrySource, Kind

_E4_PER_MILL = 10


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a position that one condor uses.

    `quantity` and `cost_basis_e4` are signed: long and paid +, short and received -. `average_entry_e4` is per share,
    and `cost_basis_e4` for all of these contracts; both are None where Alpaca gave no usable number.
    """

    symbol: str
    right: Right
    strike_mills: int
    quantity: int
    average_entry_e4: int | None
    cost_basis_e4: int | None
    multiplier_assumed: bool = False
    problem: str | None = None


Legs = tuple[Leg, Leg, Leg, Leg]


class Condor(msgspec.Struct, frozen=True, kw_only=True):
    """A condor with its four legs by strike.

    Money is in 1e-4 dollars for the whole quantity; `credit_e4`, widths and breakevens are per share.

    `opened_at` and `realized_e4`, the profit of its rolls so far, are known only from orders. Every other number
    describes the legs as they are now. `lot` is the key of its lot, None for a condor found by structure.
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
    legs: Legs
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
    lot: str | None = None


class BookKey(msgspec.Struct, frozen=True, order=True):
    """The terms that all legs of a condor share. The contracts with one key are a book, and are grouped together."""

    root: str
    expiration: dt.date
    multiplier: int


class _ProfitAndLoss(NamedTuple):
    """Amounts in 1e-4 dollars: the credit is per share, the others are for all contracts."""

    credit_e4: int | None
    max_profit_e4: int | None
    max_loss_e4: int | None


class _BreakevenPrices(NamedTuple):
    """The breakevens in 1e-4 dollars of the underlying."""

    lower_e4: int | None
    upper_e4: int | None


def condor_of(key: BookKey, match: Match, legs: Legs, underlying: str | None) -> Condor:
    """The condor of a match with its four legs, found by structure; its underlying is the root where unknown."""
    outer_put, inner_put, inner_call, outer_call = match.strikes
    put_width_e4 = (inner_put - outer_put) * _E4_PER_MILL
    call_width_e4 = (outer_call - inner_call) * _E4_PER_MILL
    numbers = _numbers(key, match, legs, max(put_width_e4, call_width_e4))
    breakevens = _breakevens(match, numbers.credit_e4, put_width_e4, call_width_e4)
    return Condor(
        id=condor_id(key.root, key.expiration, match.strikes),
        kind="ironButterfly" if inner_put == inner_call else "ironCondor",
        direction="short" if match.short else "long",
        underlying=underlying or key.root,
        root=key.root,
        expiration=key.expiration,
        quantity=match.quantity,
        multiplier=key.multiplier,
        broken_wing=put_width_e4 != call_width_e4,
        ambiguous=match.ambiguous,
        legs=legs,
        credit_e4=numbers.credit_e4,
        max_profit_e4=numbers.max_profit_e4,
        max_loss_e4=numbers.max_loss_e4,
        put_width_e4=put_width_e4,
        call_width_e4=call_width_e4,
        lower_breakeven_e4=breakevens.lower_e4,
        upper_breakeven_e4=breakevens.upper_e4,
    )


def _numbers(key: BookKey, match: Match, legs: Iterable[Leg], width_e4: int) -> _ProfitAndLoss:
    """The numbers of a condor whose wider wing is `width_e4`; all None unless every cost basis is known."""
    received_e4 = 0
    for leg in legs:
        if leg.cost_basis_e4 is None:
            return _ProfitAndLoss(None, None, None)
        received_e4 -= leg.cost_basis_e4
    shares = key.multiplier * match.quantity
    credit_e4 = divide(received_e4, shares)
    if match.short:
        return _ProfitAndLoss(credit_e4, received_e4, max(0, width_e4 * shares - received_e4))
    return _ProfitAndLoss(credit_e4, width_e4 * shares + received_e4, max(0, -received_e4))


def _breakevens(match: Match, credit_e4: int | None, put_width_e4: int, call_width_e4: int) -> _BreakevenPrices:
    if credit_e4 is None:
        return _BreakevenPrices(None, None)
    distance_e4 = credit_e4 if match.short else -credit_e4
    if distance_e4 < 0:  # a short condor at a debit or a long one at a credit never crosses zero
        return _BreakevenPrices(None, None)
    _, inner_put, inner_call, _ = match.strikes
    return _BreakevenPrices(
        lower_e4=inner_put * _E4_PER_MILL - distance_e4 if distance_e4 < put_width_e4 else None,
        upper_e4=inner_call * _E4_PER_MILL + distance_e4 if distance_e4 < call_width_e4 else None,
    )


def condor_id(root: str, expiration: dt.date, strikes_mills: Iterable[int]) -> str:
    """The id that a condor's strikes give, without a number: `SPY-261218-560-570-630-640`.

    These are the root, the expiration as yymmdd and the strikes in dollars, ascending.
    """
    return f"{root}-{expiration:%y%m%d}-{'-'.join(map(strike_text, strikes_mills))}"


def strike_text(strike_mills: int) -> str:
    """A strike in dollars without trailing zeros: 2500 is `2.5`."""
    whole, mills = divmod(strike_mills, 1000)
    return f"{whole}.{mills:03d}".rstrip("0") if mills else str(whole)
