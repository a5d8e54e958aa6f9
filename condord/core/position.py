"""Positions: the contracts held of one option, and their cost.

Quantities are signed: + long, - short. Money is integers of 1e-4 dollars. A cost basis has the sign of the quantity:
paid is positive, received is negative.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from condord.core.expiry import Style
from condord.core.occ import OptionSymbol

Kind = Literal["ironCondor", "ironButterfly"]
Direction = Literal["short", "long"]
EntrySource = Literal["orders", "structure"]
Cover = Literal["sameExpiry", "laterLong", "shares"]
"""These types of a condor are here because the wire needs them, and importing core/condor costs a command 13 ms."""


class Deliverable(msgspec.Struct, frozen=True, kw_only=True):
    """One item that an adjusted contract delivers: `amount`, in Alpaca's text, of `symbol`; each None if unknown."""

    symbol: str | None
    amount: str | None


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a contract that its symbol does not contain.

    `multiplier` is the number of shares that its price is for. `deliverables` is empty for standard contracts.
    `style` is None if Alpaca names none.
    """

    multiplier: Annotated[int, msgspec.Meta(gt=0)]
    underlying: str | None
    deliverables: tuple[Deliverable, ...] = ()
    style: Style | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One option contract held.

    `contract` is None if `symbol` cannot be parsed. `quantity`, `average_entry_e4` (per share) and `cost_basis_e4` (for
    all contracts) are None if Alpaca gave no usable number; `problem` then describes what is wrong.
    `multiplier_assumed` is true until Alpaca has given the multiplier and the underlying of the contract.
    `deliverables` are known only for adjusted contracts. `average_entry_e6` is the average in 1e-6 dollars, the
    precision in which Alpaca gives it. `style` is None until Alpaca has named it.
    """

    symbol: str
    contract: OptionSymbol | None
    quantity: int | None
    average_entry_e4: int | None
    cost_basis_e4: int | None
    multiplier: int = 100
    multiplier_assumed: bool = False
    underlying: str | None = None
    deliverables: tuple[Deliverable, ...] = ()
    problem: str | None = None
    average_entry_e6: int | None = None
    style: Style | None = None


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """The holdings of an account: option positions, one for each symbol, and stocks as signed shares by symbol.

    `closes_e4` has the closes of the session before, per share, of the options for which Alpaca gives one. They are not
    in `Position`, because any change of a position starts a new search for condors.
    """

    options: tuple[Position, ...]
    stocks: dict[str, int]
    closes_e4: dict[str, int] = {}


def unrealized_e4(quantity: int, multiplier: int, mark_e4: int | None, cost_basis_e4: int | None) -> int | None:
    """The profit or loss of signed contracts at a mark, in 1e-4 dollars: q x mark x m - cost basis.

    None if the mark or the cost basis is unknown.
    """
    if mark_e4 is None or cost_basis_e4 is None:
        return None
    return quantity * mark_e4 * multiplier - cost_basis_e4
