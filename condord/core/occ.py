"""Parse option symbols of the OSI (Options Symbology Initiative).

A symbol is parsed from the right. The last 15 characters are fixed: yymmdd, C or P, and the strike in mills (1e-3
dollars) as 8 digits. Everything before them is the root. Only ASCII is accepted. Strikes stay integers of mills, so
that 2.01 is 2010 and not 2009.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from condord.errors import SymbolError

Right = Literal["put", "call"]

_TAIL = 15
_ROOT_WIDTH = 6
_MAX_NAMED = 5
_ROOT = re.compile(r"[A-Z0-9]{1,6}")
_TAIL_FORM = re.compile(r"([0-9]{6})([CP])([0-9]{8})")
_RIGHTS: dict[str, Right] = {"P": "put", "C": "call"}


class OptionSymbol(msgspec.Struct, frozen=True, kw_only=True, order=False):
    """One option contract, with the fields of its symbol.

    `root` is not the underlying: SPXW is a root of SPX, and XOM2 of XOM. `strike_mills` is 1 to 99,999,999.
    """

    root: str
    expiration: dt.date
    right: Right
    strike_mills: int

    @property
    def compact(self) -> str:
        """The symbol as Alpaca writes it, without padding: 16 to 21 characters."""
        day = self.expiration
        # Formatted by number: strftime takes three times as long, and the simulator writes every quote's symbol.
        date = f"{day.year % 100:02}{day.month:02}{day.day:02}"
        return f"{self.root}{date}{self.right[0].upper()}{self.strike_mills:08}"

    @property
    def root_is_adjusted(self) -> bool:
        """Whether the root contains a digit, as in adjusted (XOM2) and FLEX (4SPX) contracts."""
        return any(character.isdigit() for character in self.root)


def parse(value: object) -> OptionSymbol:
    """Parse an option symbol, padded to 21 characters or not.

    Raises:
        SymbolError: `reason` is `type`, `length`, `padding`, `format`, `root`, `date` or `strike`.
    """
    if not isinstance(value, str):
        raise SymbolError(value, "type", f"a string is needed, not {type(value).__name__}")
    return _parse(value)


@lru_cache(maxsize=4096)
def _parse(value: str) -> OptionSymbol:
    if not _TAIL < len(value) <= _TAIL + _ROOT_WIDTH:
        raise SymbolError(value, "length", f"16 to 21 characters are needed, not {len(value)}")
    head, tail = value[:-_TAIL], value[-_TAIL:]
    matched = _TAIL_FORM.fullmatch(tail)
    if matched is None:
        raise SymbolError(value, "format", "its last 15 characters are not yymmdd, C or P, and 8 digits")
    root = _parse_root(value, head)
    day, right, strike = matched.groups()
    strike_mills = int(strike)
    if strike_mills == 0:
        raise SymbolError(value, "strike", "the strike is zero")
    return OptionSymbol(root=root, expiration=_parse_date(value, day), right=_RIGHTS[right], strike_mills=strike_mills)


def symbols_text(symbols: Sequence[str]) -> str:
    """Symbols for people: the first five, and how many more there are."""
    more = len(symbols) - _MAX_NAMED
    return ", ".join(symbols[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _parse_root(value: str, head: str) -> str:
    root = head.rstrip(" ") if len(head) == _ROOT_WIDTH else head
    if " " in root and len(head) != _ROOT_WIDTH:
        raise SymbolError(value, "format", "blanks are allowed only in a symbol padded to 21 characters")
    if " " in root or not root:
        raise SymbolError(value, "padding", "blanks are allowed only after the root")
    if _ROOT.fullmatch(root) is None:
        raise SymbolError(value, "root", "a root is 1 to 6 of A-Z and 0-9")
    if root.isdigit():
        raise SymbolError(value, "root", "a root has at least one letter")
    return root


def _parse_date(value: str, day: str) -> dt.date:
    try:
        return dt.date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError as error:
        raise SymbolError(value, "date", f"{day} is not a date") from error
