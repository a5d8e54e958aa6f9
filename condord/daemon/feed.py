"""Run the publisher on the event loop: give it Alpaca's data, call it when it is due, and wake the subscribers.

A quote after a quiet time is published in the same iteration of the loop that received it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from condord.core.activity import Activity, Split
from condord.core.calendar import Calendar
from condord.core.filled_orders import Order
from condord.core.lots import LedgerSummary, Lot, traded
from condord.core.naming import Names
from condord.core.position import Position
from condord.core.quote import Tick
from condord.daemon.alert_service import AlertService
from condord.daemon.grouper import BackgroundRunner
from condord.daemon.market_feed import MarketFeed
from condord.daemon.recorded_account import RecordedAccount
from condord.live import wire
from condord.live.alerts import AlertChanges
from condord.live.day import DayMemory
from condord.live.lifecycle import Memory
from condord.live.past import Past, past
from condord.live.publisher import Publisher
from condord.live.subscriber import wake


class Feed(MarketFeed):
    """Publishes Alpaca's data, on `loop`; the `AccountSink` of the supervisor, and its `MarketSink`.

    `now_at` is the exchange's clock (UTC). `observe` gets, for each frame, the seconds from the receipt of the oldest
    quote behind it to the last write. `past` and `alerts` get what they need to know of the account, and
    `require_account` raises a ConfigError if it is one that must not be published here; `requires_account` returns
    whether there are any such.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        loop: asyncio.AbstractEventLoop,
        now_at: Callable[[], dt.datetime],
        work: BackgroundRunner,
        past: RecordedAccount,
        alerts: AlertService,
        require_account: Callable[[str], None] = lambda _account_key: None,
        requires_account: Callable[[], bool] = lambda: False,
        observe: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        super().__init__(publisher, loop=loop, now_at=now_at)
        self._prices = publisher.prices
        self._book = publisher.book
        self._account = publisher.account
        self._coalescer = publisher.coalescer
        self._work = work
        self._orders: Sequence[Order] = ()
        self._ledger = LedgerSummary()
        self._recorder, self._trade_book = past.recorder, past.trade_book
        self._alerts = alerts
        self._require_account = require_account
        self._requires_account = requires_account
        self._observe = observe
        self._past = Past()
        self._past_of = Memory(), DayMemory()
        self._timer: asyncio.TimerHandle | None = None
        self._written_at = -math.inf

    @property
    def symbols(self) -> tuple[str, ...]:
        """The contracts held, the most important first."""
        return self._book.symbols

    @property
    def generation(self) -> int:
        """How often the stream was lost or came back; read it before quotes are requested over REST."""
        return self._prices.generation

    @property
    def silent(self) -> frozenset[str]:
        """The contracts for which REST has had newer quotes than the stream for too long, streamed or not."""
        return self._prices.silent_at(self._loop.time())

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Take quotes from the stream. This is the fast path of every quote."""
        deadline = self._publisher.offer(ticks, self._loop.time())
        if deadline is not None:
            self._arm(deadline)

    def confirm(self, ticks: Iterable[Tick], generation: int) -> None:
        """Take the latest quotes from REST, requested in that `generation`."""
        self._arm(self._publisher.confirm(ticks, self._loop.time(), generation))

    def gap(self) -> None:
        """Mark every quote unconfirmed: the stream was cut."""
        self._arm(self._publisher.gap(self._loop.time()))

    def lapse(self, symbols: Iterable[str]) -> None:
        """Mark `symbols` unconfirmed: neither the stream nor REST has confirmed them recently."""
        self._arm(self._publisher.lapse(symbols, self._loop.time()))

    def expect(self, symbols: Iterable[str]) -> None:
        """Accept quotes of `symbols`, which will be held."""
        self._book.expect(frozenset(symbols))

    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on."""
        self._prices.follow(symbols)

    def resume(self) -> None:
        """Note that the stream is live."""
        self._prices.resume()

    async def lots_of(self, orders: Sequence[Order]) -> tuple[Lot, ...]:
        """Return the condors that `orders` opened and have not closed, found off the loop.

        The result for the last sequence is kept, as the supervisor passes the same one while there are no new orders.
        """
        if orders is not self._orders:
            self._orders, self._ledger = orders, await self._work(functools.partial(traded, orders))
        return self._ledger.lots

    async def regroup(self, positions: Iterable[Position], lots: Iterable[Lot]) -> None:
        """Group positions off the loop, so that `set_positions` with the same arguments need not search.

        Until then subscribers see the last grouping. Cancelling ends the search.
        """
        held, opened = frozenset(positions), tuple(lots)
        while (wanted := self._account.regrouping(held, opened)) is not None:
            self._account.learn(wanted, await self._work(wanted.run))

    def set_positions(
        self,
        positions: Iterable[Position],
        lots: Iterable[Lot] = (),
        stocks: Mapping[str, int] | None = None,
        orders: Iterable[Order] = (),
    ) -> None:
        """Take the account's holdings: options, the lots of its orders, shares by symbol, and filled orders."""
        now, now_at = self._loop.time(), self._now_at()
        held, filled = tuple(positions), orders if isinstance(orders, tuple) else tuple(orders)
        self._recorder.show()
        self._trade_book.set_account(held, filled)
        wake(
            self._publisher.set_positions(
                held, now, now_at, lots=lots, stocks=stocks, orders=filled, traded=self._ledger
            )
        )
        self._arm(self._publisher.deadline)

    def set_bookings(self, activities: Sequence[Activity], splits: Sequence[Split]) -> None:
        """Take the activities of the last days and the announced splits; they count from the next positions on."""
        self._account.lifecycle.set_bookings(activities, splits)
        self._book.day.set_bookings(activities, splits)

    @property
    def awaited_bookings(self) -> frozenset[str]:
        """The changes of the account that only bookings not yet known can explain, by unique keys."""
        return self._account.lifecycle.awaited

    @property
    def memory(self) -> Past:
        """The memory of the account's past; the same object while it does not change."""
        lifecycle, day = self._account.lifecycle.memory, self._book.day.memory
        known_lifecycle, known_day = self._past_of
        if lifecycle is not known_lifecycle or day is not known_day:
            self._past, self._past_of = past(lifecycle, day), (lifecycle, day)
        return self._past

    def recall_memory(self, memory: Memory | None) -> None:
        """Continue with the past that an earlier run knew; None if the account is a different one."""
        self._account.recall_memory(memory)
        self._book.day.recall(memory.day if isinstance(memory, Past) else None)

    @property
    def names(self) -> Names:
        """The names of the condors."""
        return self._account.names

    def recall_names(self, names: Names) -> None:
        """Name condors as an earlier run did, from the next positions on."""
        self._account.recall(names)

    def forget_names(self) -> None:
        """Name condors without regard to earlier names, and forget balances and orders: the account has changed."""
        self._account.forget_names()
        self._recorder.pause()
        self._trade_book.forget()
        self._alerts.forget()
        self._book.recall_past(None)
        now = self._loop.time()
        self._publisher.set_working_orders((), now)
        self._arm(self._publisher.set_account_summary(None, now))

    @property
    def requires_account(self) -> bool:
        """Whether only a certain account may be published here."""
        return self._requires_account()

    def note_account(self, account_key: str) -> None:
        """Note that the API key belongs to this account.

        Raises:
            ConfigError: the account must not be published here.
        """
        self._require_account(account_key)
        self._alerts.note_account(account_key)

    def note_orders(self) -> None:
        """Note that the positions set last were set with the account's orders, or that these cannot be read."""
        self._alerts.note_orders()

    def show_alerts(self, changes: AlertChanges) -> None:
        """Publish the alerts that other rules, a restart or an acknowledgement have changed."""
        wake(self._publisher.show_alerts(changes, self._loop.time(), self._now_at()))
        self._arm(self._publisher.deadline)

    def set_status(self, status: wire.Status) -> None:
        """Take the status of the upstream. The notices of the daemon's own databases are added."""
        if notices := [*self._recorder.notices(), *self._alerts.notices()]:
            status = msgspec.structs.replace(status, notices=[*status.notices, *notices])
        wake(self._publisher.set_status(status, self._loop.time(), self._now_at()))
        self._arm(self._publisher.deadline)

    def has_missed(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have delivered any of `ticks`, which come from REST."""
        return self._prices.has_missed(ticks)

    def set_calendar(self, calendar: Calendar) -> None:
        """Take the sessions of the exchange."""
        self._trade_book.set_calendar(calendar)
        self._account.set_calendar(calendar)

    def set_exchange_time(self, at: dt.datetime) -> None:
        """Take the time on the exchange's clock (UTC)."""
        self._prices.set_exchange_time(at)

    def doubts_clock(self) -> bool:
        """Whether a quote since the last call was so far ahead or behind that the clock may be wrong."""
        return self._prices.take_clock_doubt()

    def _arm(self, deadline: float | None) -> None:
        """Call `_turn` at `deadline`, or at once if that has passed and the last frames were written a window ago.

        If writing to all subscribers takes longer than a window, the loop gets time to read what has arrived meanwhile,
        which the next turn publishes together. So the window grows, and nothing queues up.
        """
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        if deadline <= now and now >= self._written_at + self._coalescer.window_seconds:
            self._turn()
        else:
            self._timer = self._loop.call_at(deadline, self._turn)

    def _turn(self) -> None:
        self._timer = None
        woken = self._publisher.tick(self._loop.time(), self._now_at())
        wake(woken)
        received = self._publisher.take_received()
        if woken:
            self._written_at = self._loop.time()
            if received is not None:
                self._observe(self._written_at - received)
        deadline = self._publisher.deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._turn)
