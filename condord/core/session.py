"""Decides whether the options market is open at an instant, and what day it is there.

Alpaca's clock is asked once a minute; between two answers the hours it named are enough. Its own timestamp sets the
offset to our clock, so a machine whose clock is wrong still opens and closes with the market. No calendar library:
they cost 75 MB, and one missed an early close.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

EXCHANGE_ZONE = "America/New_York"


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of Alpaca's clock; `offset` is its time minus ours when it came."""

    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime
    offset: dt.timedelta = dt.timedelta()


def is_open_at(clock: Clock, now_at: dt.datetime) -> bool:
    """Whether the market is open at `now_at` (aware, our clock), as far as `clock` reaches."""
    there = now_at + clock.offset
    if clock.is_open:
        return there < clock.next_close or there >= clock.next_open
    return clock.next_open <= there < clock.next_close


def next_change_at(clock: Clock, now_at: dt.datetime) -> dt.datetime | None:
    """The next open or close after `now_at`, on our clock; None where `clock` reaches no further."""
    there = now_at + clock.offset
    ahead = [instant for instant in (clock.next_open, clock.next_close) if instant > there]
    return min(ahead) - clock.offset if ahead else None


def exchange_day(now_at: dt.datetime) -> dt.date:
    """The date at the exchange at `now_at` (aware)."""
    return now_at.astimezone(ZoneInfo(EXCHANGE_ZONE)).date()
