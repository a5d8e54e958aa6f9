"""The building blocks of the public JSON: the base of its objects, money, instants and sides."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

Side = Literal["long", "short"]
Dollars = int | float
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""An aware datetime; in JSON RFC 3339, UTC."""


class PublicJson(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A public JSON object, whose names are in camel case."""


def dollars(amount_e4: int) -> Dollars:
    """Return the JSON number for an integer of 1e-4 dollars; whole dollars have no fraction."""
    whole, rest = divmod(amount_e4, 10_000)
    return amount_e4 / 10_000 if rest else whole


def dollars_or_none(amount_e4: int | None) -> Dollars | None:
    """Return `dollars(amount_e4)`, or None for None."""
    return None if amount_e4 is None else dollars(amount_e4)


def e4(amount: Dollars) -> int:
    """Return the integer of 1e-4 dollars from which `dollars` made this number."""
    return round(amount * 10_000)


def e4_or_none(amount: Dollars | None) -> int | None:
    """Return `e4(amount)`, or None for None."""
    return None if amount is None else e4(amount)
