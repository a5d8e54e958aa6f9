"""Read Alpaca's clock and calendar, for the exchange's time and the hours in which the held contracts trade."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import lru_cache, partial

from condord.core.calendar import DAY, Calendar
from condord.core.expiry import Expiry
from condord.core.held_hours import LastClose, held_hours, last_close
from condord.core.market_hours import Clock, exchange_day
from condord.live import wire
from condord.live.exchange_clock import ExchangeClock
from condord.upstream.interfaces import Brokerage

_DAYS_BACK = 14 * DAY
"""The last session is never further back than this, even with holidays."""
_DAYS_AHEAD = 400 * DAY
"""Covers a year of expirations. Later ones need the sessions of a year that Alpaca may not list yet."""


class HoursReader:
    """The clock and calendar as last read. Both methods raise `RestFault`; `clock` is corrected to match Alpaca's."""

    def __init__(self, *, brokerage: Brokerage, clock: ExchangeClock) -> None:
        self.calendar = Calendar()
        self._brokerage = brokerage
        self._now_at = clock
        self._clock: Clock | None = None
        self._read_on: dt.date | None = None
        self._last_close = _cached_last_close(self.calendar)

    async def read_clock(self) -> None:
        """Read the clock.

        Alpaca read its clock at some instant since the request. An answer that took long, as one does during which the
        process was suspended, does not set the clock back.
        """
        asked_at = self._now_at.machine_at()
        self._clock = clock = await self._brokerage.clock()
        took = max(self._now_at.machine_at() - asked_at, dt.timedelta())
        self._now_at.correct(clock.offset, clock.offset + took)

    async def read_calendar(self) -> None:
        """Read the sessions around today, once per day of the exchange."""
        today = exchange_day(self._now_at())
        if self._read_on != today:
            self.calendar = await self._brokerage.calendar(today - _DAYS_BACK, today + _DAYS_AHEAD)
            self._read_on = today
            self._last_close = _cached_last_close(self.calendar)

    def is_open(self, expiries: Collection[Expiry]) -> bool | None:
        """Whether any of `expiries` trades now; None until the clock has been read."""
        return self.market(expiries).is_open

    @property
    def exchange_time(self) -> dt.datetime | None:
        """The time by Alpaca's clock; None until it has been read."""
        return None if self._clock is None else self._now_at()

    def market(self, expiries: Collection[Expiry]) -> wire.MarketJson:
        """The trading hours of `expiries`, or the market's regular hours if there are none."""
        if self._clock is None:
            return wire.MarketJson(is_open=None, next_open=None, next_close=None)
        hours = held_hours(self._clock, self.calendar, self._now_at(), frozenset(expiries), self._last_close)
        return wire.MarketJson(is_open=hours.is_open, next_open=hours.next_open, next_close=hours.next_close)


def _cached_last_close(calendar: Calendar) -> LastClose:
    """`last_close` by `calendar`, which is asked several times a second about the same few sets of expiries."""
    return lru_cache(maxsize=8)(partial(last_close, calendar))
