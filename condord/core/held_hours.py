"""The hours in which anything that is held trades: whether it is open now, the next opening, the next close.

One rule gives all three. Alpaca's clock gives the regular session in progress, or the next one. In that session each
expiry held stops trading at its own time: at the close, 15 minutes later, or at its last trading time. An expiry past
its last trading time does not count. The market is open while any of them trades, and closes with the last. An account
without options has the regular session.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry, ending_of, last_trading_day
from condord.core.market_hours import LATE, Clock, exchange_day, is_open_at

LastClose = Callable[[frozenset[Expiry], dt.datetime], dt.datetime | None]
"""`last_close` by one calendar."""


class HeldHours(msgspec.Struct, frozen=True, kw_only=True):
    """`next_open` is the next opening, `next_close` the end of the session in progress, or else of the next (UTC)."""

    is_open: bool
    next_open: dt.datetime
    next_close: dt.datetime


def held_hours(
    clock: Clock,
    calendar: Calendar,
    exchange_at: dt.datetime,
    expiries: frozenset[Expiry],
    last_close_by: LastClose | None = None,
) -> HeldHours:
    """The hours of `expiries` at `exchange_at`, the time by the exchange's clock (aware).

    `last_close_by` replaces `last_close` with `calendar`, so that a caller can cache its results.
    """
    last_close_by = last_close_by or partial(last_close, calendar)
    close_at = _session_close(clock, calendar, exchange_at)
    if close_at is not None:
        last_at = last_close_by(expiries, close_at) if expiries else close_at
        if last_at is not None and exchange_at < last_at:
            return HeldHours(is_open=True, next_open=_next_open(clock, calendar, exchange_at), next_close=last_at)
    next_open = _next_open(clock, calendar, exchange_at)
    next_close = clock.next_close if clock.next_close > next_open else _close_of_day(next_open, calendar)
    last_at = last_close_by(expiries, next_close) or next_close
    return HeldHours(is_open=False, next_open=next_open, next_close=last_at)


def last_close(calendar: Calendar, expiries: Iterable[Expiry], close_at: dt.datetime) -> dt.datetime | None:
    """When the last of `expiries` stops trading in the session that closes at `close_at`; None if none trades in it."""
    day = exchange_day(close_at)
    closes = []
    for expiry in expiries:
        usual_at = close_at + LATE if expiry.is_late else close_at
        ending = ending_of(expiry, calendar)
        last_day = last_trading_day(ending)
        if day < last_day:
            closes.append(usual_at)
        elif day == last_day:
            closes.append(min(usual_at, ending.last_trading_at))
    return max(closes, default=None)


def _session_close(clock: Clock, calendar: Calendar, exchange_at: dt.datetime) -> dt.datetime | None:
    """The regular close of the session in progress, or of one that ended less than 15 minutes ago."""
    if is_open_at(clock, exchange_at):
        return clock.next_close if exchange_at < clock.next_close else _close_of_day(exchange_at, calendar)
    ended = [clock.next_close]
    if (today := calendar.sessions.get(exchange_day(exchange_at))) is not None:
        ended.append(today.close_at)
    return next((close_at for close_at in ended if close_at <= exchange_at < close_at + LATE), None)


def _next_open(clock: Clock, calendar: Calendar, exchange_at: dt.datetime) -> dt.datetime:
    """The clock's next opening, or the calendar's if the clock was read before that opening."""
    return clock.next_open if clock.next_open > exchange_at else calendar.first_after(exchange_day(exchange_at)).open_at


def _close_of_day(at: dt.datetime, calendar: Calendar) -> dt.datetime:
    return calendar.last_until(exchange_day(at)).close_at
