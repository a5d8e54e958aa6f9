"""Decides what one holding is: so many contracts of one option, and what was paid for them.

Quantities are signed: + long, - short. Money is integers of 1e-4 dollars; a cost basis has the sign of the
quantity (paid: positive, received: negative).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from condord.core.occ import OptionSymbol

Kind = Literal["ironCondor", "ironButterfly"]
Direction = Literal["short", "long"]
EntrySource = Literal["orders", "structure"]
"""The words for a condor stand here, as the wire needs them without what finds condors (13 ms of every command)."""


class Deliverable(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an adjusted contract delivers: `amount`, as Alpaca writes it, of `symbol`; None where unknown."""

    symbol: str | None
    amount: str | None


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What no symbol tells of a contract: the shares that its price is for, whose they are, and what it delivers."""

    multiplier: Annotated[int, msgspec.Meta(gt=0)]
    underlying: str | None
    deliverables: tuple[Deliverable, ...] = ()


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One option contract held.

    `contract` is None where `symbol` cannot be parsed. `quantity`, `average_entry_e4` (per share) and
    `cost_basis_e4` (for all contracts) are None where Alpaca gave no usable number; `problem` says what is wrong.
    `multiplier_assumed`: Alpaca has not told the multiplier and the underlying of this contract (yet). `deliverables`
    are known of adjusted contracts alone.
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


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of an account: its option positions, one for each symbol, and its stocks, signed shares by symbol."""

    options: tuple[Position, ...]
    stocks: dict[str, int]


def unrealized_e4(quantity: int, multiplier: int, mark_e4: int | None, cost_basis_e4: int | None) -> int | None:
    """Profit or loss of signed contracts at a mark, in 1e-4 dollars: q x mark x m - cost basis."""
    if mark_e4 is None or cost_basis_e4 is None:
        return None
    return quantity * mark_e4 * multiplier - cost_basis_e4
