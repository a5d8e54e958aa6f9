"""Read what today's profit or loss and closing orders need: balances, transfers, working orders, and today's fills.

Everything is read with each refresh and after trade events, within the share `account` of 40 requests a minute:

    balances         10 at most, with one more request each for the day's transfers
    working orders   15 at most
    fills            15 at most, if they fit on a page of 100

No failure here concerns positions, quotes or the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from condord.core.calendar import DAY, Calendar
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.position import Holdings
from condord.core.working_order import WorkingOrder
from condord.upstream.interfaces import Brokerage, MarketSink
from condord.upstream.poller import Poller
from condord.upstream.rest_fault import RestFault

BALANCES_PACE_SECONDS = 12.0
ORDERS_PACE_SECONDS = 4.0
FILLS_PACE_SECONDS = 4.0
SETTLE_SECONDS = 3.0
"""How long after a trade event everything is read once more: a fill may not be in the activities at once."""
PAGES_PER_READING = 100
_DEBOUNCE_SECONDS = 0.1
_OVERLAP = dt.timedelta(minutes=5)
"""A read begins this long before the newest known fill, in case an earlier one was listed after it."""
_SECOND = dt.timedelta(seconds=1)


class AccountReader:
    """Reads for `sink`.

    `ready` returns once the account may be shown; it may raise a RestFault. `origin` returns the first order in the
    chain of replacements that led to an order, if the order history knows it. `noting` and `is_good` are as in
    `MarketReader`; the names are `balances`, `workingOrders` and `dayFills`.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        sink: MarketSink,
        now_at: Callable[[], dt.datetime],
        refresh_seconds: float,
        ready: Callable[[], Awaitable[None]],
        origin: Callable[[str], str],
        noting: Callable[[str], AbstractContextManager[None]],
        is_good: Callable[[str], bool],
    ) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._now_at = now_at
        self._refresh_seconds = refresh_seconds
        self._ready = ready
        self._origin = origin
        self._noting = noting
        self._is_good = is_good
        self._key = object()
        self._day: dt.date | None = None
        self._fills: dict[str, DayFill] = {}
        self._origins: dict[str, str] = {}
        self._balances_poll = self._poller(self._read_balances, BALANCES_PACE_SECONDS)
        self._orders_poll = self._poller(self._read_orders, ORDERS_PACE_SECONDS)
        self._fills_poll = self._poller(self._read_fills, FILLS_PACE_SECONDS)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """The coroutines to run as tasks, each until cancelled."""
        return tuple(poll.run(_DEBOUNCE_SECONDS) for poll in self._polls)

    def ask(self) -> None:
        """Read everything again soon."""
        for poll in self._polls:
            poll.ask()

    def traded(self) -> None:
        """Read everything again soon after a trade event, and once more `SETTLE_SECONDS` later."""
        self.ask()
        asyncio.get_running_loop().call_later(SETTLE_SECONDS, self.ask)

    def forget(self) -> None:
        """Read everything again soon, and drop earlier and running readings: the API key has changed."""
        self._key = object()
        self._day, self._fills, self._origins = None, {}, {}
        self.ask()

    @property
    def _polls(self) -> tuple[Poller, ...]:
        return self._balances_poll, self._orders_poll, self._fills_poll

    def _poller(self, read: Callable[[], Coroutine[Any, Any, bool]], pace: float) -> Poller:
        return Poller(read, max(self._refresh_seconds, pace), pace=pace, backs_off=True)

    async def _read_balances(self) -> bool:
        key, today = self._key, exchange_day(self._now_at())
        with self._noting("balances"):
            await self._ready()
            summary = await self._brokerage.account_summary()
            try:
                transfers_e4 = await self._brokerage.transfers_e4(today)
            except RestFault:
                if key is self._key:
                    self._sink.set_account_summary(summary)
                raise
            if key is self._key:
                self._sink.set_account_summary(msgspec.structs.replace(summary, transfers_e4=transfers_e4))
        self._end_with_the_day(self._balances_poll, BALANCES_PACE_SECONDS)
        return self._is_good("balances")

    async def _read_orders(self) -> bool:
        key = self._key
        with self._noting("workingOrders"):
            await self._ready()
            read = await self._brokerage.working_orders()
            if key is self._key:
                orders = [self._with_origin(order) for order in read]
                self._origins = {order.id: order.origin or order.id for order in orders}
                self._sink.set_working_orders(orders)
        return self._is_good("workingOrders")

    def _with_origin(self, order: WorkingOrder) -> WorkingOrder:
        """The order with the first of its chain of replacements as `origin`, as a row names only the last one."""
        before = order.origin or order.id
        first = self._origins.get(before) or self._origin(before)
        return msgspec.structs.replace(order, origin=first if first != order.id else None)

    async def _read_fills(self) -> bool:
        key, today = self._key, exchange_day(self._now_at())
        if self._day != today:
            self._day, self._fills = today, {}
        with self._noting("dayFills"):
            await self._ready()
            is_whole = await self._read_pages(key, today)
            if is_whole and key is self._key:
                fills = sorted(self._fills.items(), key=lambda item: (item[1].at, item[0]))
                self._sink.set_day_fills(today, [fill for _, fill in fills])
        self._end_with_the_day(self._fills_poll, FILLS_PACE_SECONDS)
        return self._is_good("dayFills")

    async def _read_pages(self, key: object, today: dt.date) -> bool:
        """Read the fills since a little before the newest known one. Return whether all are known now."""
        begin = start_of_day(today) - _SECOND
        newest = max((fill.at for fill in self._fills.values()), default=begin)
        after, token = max(begin, newest - _OVERLAP), None
        for _ in range(PAGES_PER_READING):
            page = await self._brokerage.day_fills(today, after, token)
            if key is not self._key:
                return False
            self._fills |= page.fills
            if not page.is_full or page.last_id in (None, token):  # the same id again would never end
                return True
            token = page.last_id
        return False

    def _end_with_the_day(self, poll: Poller, pace: float) -> None:
        """Let the next poll begin with the next day at the exchange at the latest."""
        now_at = self._now_at()
        left = start_of_day(exchange_day(now_at) + DAY) - now_at + _SECOND
        poll.set_period(min(max(self._refresh_seconds, pace), left.total_seconds()))


def closes_of(held: Holdings, calendar: Calendar, now_at: dt.datetime) -> ClosingPrices:
    """The closes that came with the positions; they are from the last session before today."""
    last = calendar.last_until(exchange_day(now_at) - DAY)
    return ClosingPrices(day=exchange_day(last.open_at), prices_e4=held.closes_e4)
