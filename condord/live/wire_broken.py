"""The public JSON of broken condors, and the sum that every client computes from it.

Deltas do not carry the profit or loss of a broken condor, as it follows from the entries of `unmatched`, which they do
carry. A client sums it after each delta exactly as `left_pl` does, so its document equals the daemon's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from condord.core.occ import Right
from condord.core.position import Direction, Kind
from condord.live.wire_risk import ExpiryJson
from condord.live.wire_values import Dollars, Instant, PublicJson, Side, dollars, e4

_E4_PER_CENT = 100


class BrokenLeg(PublicJson, frozen=True, kw_only=True):
    """One leg of the condor as it was. `held` of its `quantity` contracts are left, and are in `unmatched`."""

    symbol: str
    right: Right
    strike: Dollars
    side: Side
    quantity: int
    held: int


class BrokenJson(PublicJson, frozen=True, kw_only=True):
    """A condor that lost the legs `missing` other than by filled orders.

    `missing` is empty if orders closed its legs and left a short uncovered. `unrealizedPl` is the sum over the entries
    of `unmatched` that hold what is left of it, null if one of them is. An entry with more contracts than `held` counts
    by quantity, rounded to the cent, half a cent up. Deltas do not carry it: a client sums it again when one of these
    entries changes. `expiry` belongs to the contracts that are left, null if an older condord sends none.
    """

    id: str
    kind: Kind
    direction: Direction
    underlying: str
    root: str
    expiration: dt.date
    days_to_expiration: int
    quantity: int
    opened_at: Instant | None
    legs: list[BrokenLeg]
    missing: list[str]
    unrealized_pl: Dollars | None
    since: Instant
    expiry: ExpiryJson | None = None


def left_pl(parts: Iterable[tuple[int, int | None, Dollars | None]]) -> Dollars | None:
    """Return the profit or loss of the legs left of a condor, or None if a part is unknown.

    Each part is `held`, at least 1, with the quantity and the profit or loss of the unmatched entry that has them.
    """
    total_e4 = 0
    for held, quantity, pl in parts:
        if not quantity or pl is None:
            return None
        total_e4 += _share_e4(e4(pl), held, quantity)
    return dollars(total_e4)


def _share_e4(pl_e4: int, held: int, quantity: int) -> int:
    """Return the share of `held` contracts; a whole entry keeps its fractions of a cent."""
    if held == quantity:
        return pl_e4
    cents_of_quantity = quantity * _E4_PER_CENT
    return (2 * pl_e4 * held + cents_of_quantity) // (2 * cents_of_quantity) * _E4_PER_CENT
