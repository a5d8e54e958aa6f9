"""When contracts last trade, and when they settle.

Neither follows from the expiration date alone:

- AM-settled options (the monthly options on some indexes) last trade in the session before their expiration date, and
  settle at the opening prices of that date.
- PM-settled index options trade to 15 minutes after the close, except on their last day, when they stop at the close.
- Options on some funds trade to 15 minutes after the close on every day, including the last.

On a day with an early close, all of these times count from the early close. Only the root decides which rule applies.

Sources: Cboe's and Nasdaq's product specifications, and the lists of products that trade until 16:15 which brokers
publish.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from condord.core.calendar import DAY, REGULAR, Calendar
from condord.core.market_hours import LATE, exchange_day, hours_of
from condord.core.occ import OptionSymbol

Settlement = Literal["am", "pm"]
Style = Literal["american", "european"]

_AM_MONTHLIES = frozenset({"SPX", "NDX", "RUT", "DJX"})
_AM_ALWAYS = frozenset({"VIX", "VIXW"})
_UNDERLYINGS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "MRUTW": "MRUT"}
_AMERICAN_INDEXES = frozenset({"OEX"})
_INDEX_NAMES = "SPX XSP NDX NQX XND RUT MRUT DJX OEX XEO VIX MXEA MXEF"
_FUND_NAMES = (
    "SPY QQQ IWM DIA MDY OEF IWB IWD IWF IWN IWO IWV IWZ EEM EFA FXI EWZ IYR TLT LQD KBE KRE XRT XHB XME XOP "
    "XLB XLC XLE XLF XLG XLI XLK XLP XLRE XLU XLV XLY SMH SLX MOO DBA DBB DBC DBE DBO DBS UNG USO UUP OIL GAZ GDX "
    "GDXJ VXX VXZ VIXY VIXM SVXY UVXY UVIX AUM BKF"
)
_INDEXES = frozenset(_INDEX_NAMES.split())
_LATE_FUNDS = frozenset(_FUND_NAMES.split())
_FRIDAY = 4


class Expiry(msgspec.Struct, frozen=True, order=True):
    """The root, underlying and expiration date that contracts ending together have in common."""

    root: str
    underlying: str
    day: dt.date

    @property
    def product(self) -> str:
        """The index or fund whose hours apply; known from the root even before Alpaca has given the underlying."""
        return _UNDERLYINGS.get(self.root, self.underlying)

    @property
    def is_index(self) -> bool:
        """Whether the underlying is a broad index, so that it settles in cash and never delivers shares."""
        return self.product in _INDEXES

    @property
    def is_late(self) -> bool:
        """Whether it trades until 15 minutes after the close; its last day can differ."""
        return trades_late(self.product)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How an expiry ends (UTC): trading stops at `last_trading_at`, and its value is fixed at `settles_at`."""

    settlement: Settlement
    last_trading_at: dt.datetime
    settles_at: dt.datetime


def trades_late(product: str) -> bool:
    """Whether the options on an index or fund trade until 15 minutes after the close."""
    return product in _INDEXES or product in _LATE_FUNDS


def assumed_underlying(root: str) -> str:
    """The underlying of a root until Alpaca has given it: the index that some weekly options have, else the root."""
    return _UNDERLYINGS.get(root, root)


def expiry_of(contract: OptionSymbol, underlying: str | None) -> Expiry:
    """The expiry of a contract; an unknown underlying is assumed from the root."""
    return Expiry(contract.root, underlying or assumed_underlying(contract.root), contract.expiration)


def style_of(expiry: Expiry) -> Style:
    """Whether the options can be exercised early. Options on indexes cannot, except for OEX."""
    return "european" if expiry.is_index and expiry.product not in _AMERICAN_INDEXES else "american"


def settlement_of(expiry: Expiry, calendar: Calendar) -> Settlement:
    """Whether an expiry settles at the opening (am) or the closing prices (pm)."""
    is_am = expiry.root in _AM_ALWAYS or (expiry.root in _AM_MONTHLIES and _is_monthly(expiry.day, calendar))
    return "am" if is_am else "pm"


def ending_of(expiry: Expiry, calendar: Calendar) -> Ending:
    """When an expiry last trades and when it settles, by `calendar`."""
    settlement = settlement_of(expiry, calendar)
    if settlement == "am":
        close_at = calendar.last_until(expiry.day - DAY).close_at
        return Ending(
            settlement=settlement,
            last_trading_at=close_at + LATE if expiry.is_late else close_at,
            settles_at=hours_of(expiry.day, *REGULAR).open_at,
        )
    last_at = calendar.last_until(expiry.day).close_at
    if expiry.is_late and not expiry.is_index:
        last_at += LATE
    return Ending(settlement=settlement, last_trading_at=last_at, settles_at=last_at)


def last_trading_day(ending: Ending) -> dt.date:
    """The date in New York of the last session in which an expiry trades."""
    return exchange_day(ending.last_trading_at)


def _is_monthly(day: dt.date, calendar: Calendar) -> bool:
    """Whether `day` is the third Friday, or the Thursday before it if that Friday is a holiday.

    These roots have no other expirations, so a Thursday counts unless the calendar has a session on the Friday.
    """
    third_friday = day.replace(day=15) + (_FRIDAY - day.replace(day=15).weekday()) % 7 * DAY
    if day == third_friday:
        return True
    return day == third_friday - DAY and not (calendar.knows(third_friday) and calendar.on(third_friday) is not None)
