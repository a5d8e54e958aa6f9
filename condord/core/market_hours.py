"""The exchange's time, and whether the market is open.

Alpaca's clock is read once a minute. Between two answers, the next opening and close in the last one are used. Its
timestamp gives the offset of this machine's clock, so the market opens and closes on time even if that clock is wrong.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

EXCHANGE_ZONE = "America/New_York"
LATE = dt.timedelta(minutes=15)
"""How long after the close of stocks the options on broad indexes and on index and sector funds trade."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of Alpaca's clock; `offset` is its timestamp minus this machine's time on arrival."""

    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime
    offset: dt.timedelta = dt.timedelta()


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """The regular session of one day, from Alpaca's calendar."""

    open_at: dt.datetime
    close_at: dt.datetime


def hours_of(day: dt.date, open_time: dt.time, close_time: dt.time) -> Hours:
    """The hours of `day` from its opening and closing time in New York."""
    zone = ZoneInfo(EXCHANGE_ZONE)
    return Hours(
        open_at=dt.datetime.combine(day, open_time, zone).astimezone(dt.UTC),
        close_at=dt.datetime.combine(day, close_time, zone).astimezone(dt.UTC),
    )


def is_open_at(clock: Clock, exchange_at: dt.datetime) -> bool:
    """Whether the market is open at `exchange_at` (aware, by the exchange's clock), by the times in `clock`."""
    if clock.is_open:
        return exchange_at < clock.next_close or exchange_at >= clock.next_open
    return clock.next_open <= exchange_at < clock.next_close


def exchange_day(now_at: dt.datetime) -> dt.date:
    """The date in New York at `now_at` (aware)."""
    return now_at.astimezone(ZoneInfo(EXCHANGE_ZONE)).date()


def start_of_day(day: dt.date) -> dt.datetime:
    """Midnight in New York at the start of `day`, in UTC."""
    return dt.datetime.combine(day, dt.time(), ZoneInfo(EXCHANGE_ZONE)).astimezone(dt.UTC)


def wall_time(at: dt.datetime) -> str:
    """The time in New York as HH:MM."""
    return f"{at.astimezone(ZoneInfo(EXCHANGE_ZONE)):%H:%M}"
