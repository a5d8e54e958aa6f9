"""Decides whether options trade now, from Alpaca's clock and calendar, and what time it is at the exchange."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from condord.core.session import Clock, Hours, exchange_day, is_trading_at
from condord.live import wire
from condord.upstream.ports import Brokerage


class HoursReader:
    """What was last read; both readings raise `RestFault`. `now_at` is our own clock (UTC)."""

    def __init__(self, *, brokerage: Brokerage, now_at: Callable[[], dt.datetime]) -> None:
        self._brokerage = brokerage
        self._now_at = now_at
        self._clock: Clock | None = None
        self._session: Hours | None = None
        self._session_day: dt.date | None = None

    async def read_clock(self) -> None:
        """Ask for the clock."""
        self._clock = await self._brokerage.clock()

    async def read_calendar(self) -> None:
        """Ask for the session of today, once a day."""
        today = exchange_day(self._now_at())
        if self._session_day != today:
            self._session, self._session_day = await self._brokerage.trading_day(today), today

    def is_open(self, underlyings: Iterable[str]) -> bool | None:
        """Whether options on any of `underlyings` trade now; None until the clock was read."""
        if self._clock is None:
            return None
        return is_trading_at(self._clock, self._session, self._now_at(), underlyings)

    @property
    def exchange_time(self) -> dt.datetime | None:
        """The time by Alpaca's clock; None until it was read."""
        return None if self._clock is None else self._now_at() + self._clock.offset

    def market(self, underlyings: Iterable[str]) -> wire.Market:
        """What the status says of the market."""
        if self._clock is None:
            return wire.Market(is_open=None, next_open=None, next_close=None)
        return wire.Market(
            is_open=self.is_open(underlyings), next_open=self._clock.next_open, next_close=self._clock.next_close
        )
