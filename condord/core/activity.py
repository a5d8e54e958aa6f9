"""Alpaca's account activities and corporate actions: fills, fees, assignments, exercises, expirations, splits."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Annotated, Literal

import msgspec

ActivityKind = Literal["FILL", "FEE", "OPASN", "OPEXC", "OPEXP", "OPCSH", "OPTRD", "SPLIT"]
"""Alpaca's codes.

A fill, a fee, an assignment, an exercise, an expiration, a cash settlement, shares delivered, a split.
"""


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One account activity.

    `quantity` is signed for a fill (+ bought, - sold) and unsigned for anything else; 0 means unknown. `at` is when a
    fill happened, or when any other activity was booked, which is the day after `day` at the earliest. `symbol` is
    empty for a fee. `price_e6` is the price of a fill or of delivered shares, in 1e-6 dollars, and `amount_e4` the
    amount that the account received (+) or paid (-) for anything else, in 1e-4 dollars; each None if the row has none.
    `order_id` is the id of the leg that a fill belongs to, and `execution_id` identifies a fill, and the fill that a
    fee is for.
    """

    id: str
    kind: ActivityKind
    symbol: str
    quantity: int
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    day: dt.date
    price_e6: int | None = None
    amount_e4: int | None = None
    order_id: str | None = None
    execution_id: str | None = None


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A split of `symbol` on `day`: `new_shares` for every `old_shares`, both decimals in Alpaca's own text."""

    symbol: str
    new_shares: str
    old_shares: str
    day: dt.date

    @property
    def ratio(self) -> Fraction:
        """New shares for each old one: 4 for a 4:1 split, 1/10 for a reverse split of 1:10."""
        return Fraction(self.new_shares) / Fraction(self.old_shares)
