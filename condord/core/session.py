"""Decides whether options trade at an instant, and what day it is at the exchange.

Alpaca's clock is asked once a minute; between two answers the hours it named are enough. Its own timestamp sets the
offset to our clock, so a machine whose clock is wrong still opens and closes with the market. Options on broad indexes
and on index and sector funds trade a quarter of an hour longer than the clock says, on early closes too, where the
hours of the day, from Alpaca's calendar, tell when that began. No calendar library: they cost 75 MB, and one missed an
early close.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

EXCHANGE_ZONE = "America/New_York"
LATE = dt.timedelta(minutes=15)

# Cboe's and Nasdaq's lists of products whose options trade until 16:15.
_LATE_INDEXES = "SPX XSP NDX NQX XND RUT MRUT DJX OEX XEO VIX MXEA MXEF"
_LATE_FUNDS = (
    "SPY QQQ IWM DIA MDY OEF IWB IWD IWF IWN IWO IWV IWZ EEM EFA FXI EWZ KBE KRE XRT XHB XME XOP "
    "XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY SMH DBA DBB DBC DBO UNG USO UUP GDX GDXJ VXX VIXY SVXY UVXY "
    "AUM BKF DBE"
)
LATE_PRODUCTS = frozenset((_LATE_INDEXES + " " + _LATE_FUNDS).split())
"""Underlyings whose options trade until a quarter of an hour after the close."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of Alpaca's clock; `offset` is its time minus ours when it came."""

    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime
    offset: dt.timedelta = dt.timedelta()


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """The regular session of one day, from Alpaca's calendar."""

    open_at: dt.datetime
    close_at: dt.datetime


def hours_of(day: dt.date, open_time: dt.time, close_time: dt.time) -> Hours:
    """The hours of `day` by the exchange's wall clock, daylight saving or not."""
    zone = ZoneInfo(EXCHANGE_ZONE)
    return Hours(
        open_at=dt.datetime.combine(day, open_time, zone).astimezone(dt.UTC),
        close_at=dt.datetime.combine(day, close_time, zone).astimezone(dt.UTC),
    )


def is_trading_at(clock: Clock, hours: Hours | None, now_at: dt.datetime, underlyings: Iterable[str]) -> bool:
    """Whether options on any of `underlyings` trade at `now_at` (aware, our clock).

    `hours` are those of today or of the last session; None where the calendar is not known, and then nothing is late.
    """
    if is_open_at(clock, now_at):
        return True
    there = now_at + clock.offset
    if hours is None or not hours.close_at <= there < hours.close_at + LATE:
        return False
    return not LATE_PRODUCTS.isdisjoint(underlyings)


def is_open_at(clock: Clock, now_at: dt.datetime) -> bool:
    """Whether the market is open at `now_at` (aware, our clock), as far as `clock` reaches."""
    there = now_at + clock.offset
    if clock.is_open:
        return there < clock.next_close or there >= clock.next_open
    return clock.next_open <= there < clock.next_close


def exchange_day(now_at: dt.datetime) -> dt.date:
    """The date at the exchange at `now_at` (aware)."""
    return now_at.astimezone(ZoneInfo(EXCHANGE_ZONE)).date()
