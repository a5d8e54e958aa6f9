"""Keep the account's past, and find the condors closed in it.

Orders, activities and closes arrive one after the other, and each may complete a trade. After each change all trades
are computed again, on a separate thread, and saved. Trades from before the time that was read from Alpaca are those
that an earlier run saved. Everything is also kept in memory, so trades can be read while the database cannot be used.
State that could not be loaded at the start is loaded once the database works again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from condord.core import trades
from condord.core.activity import Activity
from condord.core.calendar import Calendar
from condord.core.filled_orders import Order
from condord.core.position import Position
from condord.core.trade import Trade
from condord.daemon.grouper import BackgroundRunner
from condord.daemon.recorder import RETRY_SECONDS
from condord.errors import Unavailable
from condord.live import render_trades
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
from condord.live.wire_history import TradesJson

if TYPE_CHECKING:
    from condord.history.store import HistoryStore

WHOLE = dt.timedelta(days=390)
"""Trades opened longer ago are never removed: orders are kept for 400 days, so they cannot be computed again."""
DEBOUNCE_SECONDS = 0.2
"""How long after a change the trades are computed again, as one fill changes both orders and activities."""

_ActivityKey = tuple[str, str, str]
"""Alpaca's id, which is not unique by itself, the kind, and the symbol."""
ClosesE4 = Mapping[tuple[str, dt.date], int]


class _Evidence(msgspec.Struct, kw_only=True):
    """The inputs from which the trades of one account are computed; `orders` is None until positions have been read.

    `account_key` is None until the database has been switched to the account. `has_past`: the recorded minutes were
    recalled; `is_loaded`: the stored trades are in memory; `is_recalled`: so are the stored activities.
    """

    account_key: str | None = None
    has_past: bool = False
    is_loaded: bool = False
    is_recalled: bool = False
    orders: Sequence[Order] | None = None
    activities: dict[_ActivityKey, Activity] = {}
    complete_from: dt.datetime | None = None
    multipliers: dict[str, int] = {}
    closes_e4: dict[tuple[str, dt.date], int] = {}


class TradeBook:
    """Implements `condord.upstream.interfaces.TradeSink`.

    `switch` loads another account's past, and `recall` gets it. `work` runs long computations off the loop. `now_at` is
    the exchange's clock (UTC).
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        switch: Callable[[str], Awaitable[RecordedPast]],
        recall: Callable[[RecordedPast], None],
        work: BackgroundRunner,
        now_at: Callable[[], dt.datetime],
    ) -> None:
        self._store = store
        self._switch = switch
        self._recall = recall
        self._work = work
        self._now_at = now_at
        self._evidence = _Evidence()
        self._calendar = Calendar()
        self._trades: tuple[Trade, ...] = ()
        self._complete_from: dt.datetime | None = None
        self._needed_closes: frozenset[tuple[str, dt.date]] = frozenset()
        self._has_changed = asyncio.Event()

    def forget(self) -> None:
        """Forget the account: the key has changed."""
        self._begin(_Evidence())

    async def switch_to(self, account_key: str) -> None:
        """Continue with the stored state of this account, whose orders may already be known."""
        known = self._evidence
        evidence = self._begin(_Evidence(orders=known.orders, multipliers=known.multipliers))
        await self._continue(evidence, account_key)

    async def _continue(self, evidence: _Evidence, account_key: str) -> None:
        past = await self._switch(account_key)
        if evidence is not self._evidence:
            return  # the account was switched again meanwhile
        evidence.account_key, evidence.has_past = account_key, self._is_usable
        self._recall(past)
        await self._load(evidence)

    def _begin(self, evidence: _Evidence) -> _Evidence:
        self._evidence = evidence
        self._trades, self._complete_from, self._needed_closes = (), None, frozenset()
        return evidence

    async def _load(self, evidence: _Evidence) -> None:
        """Load the stored trades, unless that was done; if the database cannot be used, try again later."""
        if evidence.is_loaded:
            return
        stored = await self._store.load_trades()
        if evidence is self._evidence:
            evidence.is_loaded = self._is_usable
            self._trades = _joined(self._trades, stored, evidence.complete_from, self._now_at() - WHOLE)

    @property
    def _is_usable(self) -> bool:
        fault = self._store.fault
        return fault is None or fault.is_set_aside

    async def recall_past(self) -> tuple[Sequence[Activity], dt.datetime | None]:
        """Return the stored activities, oldest first, and the instant since which they are complete."""
        evidence = self._evidence
        activities, complete_from = await self._store.load_activities()
        if evidence is self._evidence:
            evidence.activities = _by_key(activities) | evidence.activities
            evidence.complete_from = evidence.complete_from or complete_from
            self._complete_from = evidence.complete_from
            evidence.is_recalled = True
            self._has_changed.set()
        return activities, complete_from

    async def add_past(self, activities: Sequence[Activity], complete_from: dt.datetime) -> None:
        """Store activities, which may be stored already; since `complete_from`, all are now known."""
        evidence = self._evidence
        new = _by_key(activities)
        if complete_from != evidence.complete_from or any(evidence.activities.get(key) != new[key] for key in new):
            evidence.activities |= new
            self._needed_closes |= trades.wanted_closes(activities, calendar=self._calendar)
            evidence.complete_from = complete_from
            self._has_changed.set()
        await self._store.add_activities(activities, complete_from)

    @property
    def wanted_closes(self) -> frozenset[tuple[str, dt.date]]:
        """The stocks and days whose closes assignments and exercises need, and which are not known yet."""
        return self._needed_closes - self._evidence.closes_e4.keys()

    def add_day_closes(self, closes_e4: ClosesE4) -> None:
        """Take closes of stocks, in 1e-4 dollars."""
        self._evidence.closes_e4 |= closes_e4
        self._has_changed.set()

    def set_calendar(self, calendar: Calendar) -> None:
        """Take the sessions of the exchange."""
        if calendar != self._calendar:
            self._calendar = calendar
            self._has_changed.set()

    def set_account(self, positions: Iterable[Position], orders: Sequence[Order]) -> None:
        """Take all orders that filled options, and the positions, whose multipliers orders do not contain.

        The same sequence of orders as before is not a change.
        """
        evidence = self._evidence
        multipliers = {each.symbol: each.multiplier for each in positions}
        if orders is not evidence.orders or not multipliers.items() <= evidence.multipliers.items():
            evidence.orders = orders
            evidence.multipliers |= multipliers
            self._has_changed.set()

    async def run(self) -> None:
        """Compute the trades again after each change, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._has_changed.wait()
            evidence = self._evidence
            if evidence.account_key is not None and not evidence.has_past and self._is_usable:
                await self._continue(evidence, evidence.account_key)
            if self._has_changed.is_set():
                await asyncio.sleep(DEBOUNCE_SECONDS)
                self._has_changed.clear()
                await self._compute()

    async def _compute(self) -> None:
        evidence, orders, complete_from = self._evidence, self._evidence.orders, self._evidence.complete_from
        if orders is None or not evidence.is_recalled:
            return  # with a part of the evidence the trades would be wrong
        if not orders:
            self._complete_from = complete_from
            return
        computation = functools.partial(
            _find,
            orders=tuple(orders),
            activities=tuple(evidence.activities.values()),
            multipliers=dict(evidence.multipliers),
            closes_e4=dict(evidence.closes_e4),
            calendar=self._calendar,
        )
        found, needed = await self._work(computation)
        if evidence is not self._evidence:
            return  # they belong to the former account
        self._needed_closes, self._complete_from = needed, complete_from
        self._trades = _joined(found, self._trades, complete_from, self._now_at() - WHOLE)
        await self._load(evidence)
        if evidence is self._evidence:
            await self._store.save_trades(self._trades)

    async def trades(self, from_at: dt.datetime | None, until_at: dt.datetime | None) -> TradesJson:
        """The condors closed between two instants, the second not included; None is unbounded."""
        if self._evidence.account_key is not None and self._is_usable:
            await self._load(self._evidence)
        complete_from = self._complete_from
        shown = [
            trade
            for trade in self._trades
            if (from_at is None or from_at <= trade.closed_at) and (until_at is None or trade.closed_at < until_at)
        ]
        extremes: Mapping[HoldingPeriod, Extremes] = {}
        with contextlib.suppress(Unavailable):  # the notice shows the reason
            extremes = await self._store.extremes(render_trades.holdings(shown))
        return render_trades.answer(shown, extremes, complete_from)


def _find(
    pause: Callable[[], None],
    *,
    orders: Sequence[Order],
    activities: Sequence[Activity],
    multipliers: Mapping[str, int],
    closes_e4: ClosesE4,
    calendar: Calendar,
) -> tuple[tuple[Trade, ...], frozenset[tuple[str, dt.date]]]:
    """The trades, newest first, and the closes that would complete them."""
    found = trades.trades(
        orders, activities, multipliers=multipliers, closes_e4=closes_e4, calendar=calendar, pause=pause
    )
    return found, trades.wanted_closes(activities, calendar=calendar)


def _joined(
    found: Iterable[Trade], stored: Iterable[Trade], complete_from: dt.datetime | None, opened_from: dt.datetime
) -> tuple[Trade, ...]:
    """The trades found in the evidence, and the stored ones from before it; newest first.

    Activities are known from `complete_from` on, and orders from `opened_from` on. A stored result stays until the
    close that it was computed from has been read again.
    """
    known = {_key(trade): trade for trade in stored}
    older = {
        key: trade
        for key, trade in known.items()
        if complete_from is None
        or trade.closed_at < complete_from
        or (trade.opened_at is not None and trade.opened_at < opened_from)
    }
    # The evidence may cover only the end of a stored trade.
    ends = {(trade.id, trade.closed_at) for trade in older.values() if trade.opened_at is not None}
    new = {
        _key(trade): _with_result(trade, known.get(_key(trade)))
        for trade in found
        if trade.opened_at is not None or (trade.id, trade.closed_at) not in ends
    }
    return tuple(sorted((older | new).values(), key=lambda trade: (trade.closed_at, trade.id), reverse=True))


def _with_result(found: Trade, stored: Trade | None) -> Trade:
    lacks_close = found.how == "assigned" and found.realized_e4 is None
    is_same = stored is not None and (stored.how, stored.quantity, stored.credit_e4) == (
        found.how,
        found.quantity,
        found.credit_e4,
    )
    if not lacks_close or stored is None or not is_same:
        return found
    return msgspec.structs.replace(stored, is_whole=found.is_whole)


def _by_key(activities: Iterable[Activity]) -> dict[_ActivityKey, Activity]:
    return {(activity.id, activity.kind, activity.symbol): activity for activity in activities}


def _key(trade: Trade) -> tuple[str, dt.datetime | None, dt.datetime]:
    return trade.id, trade.opened_at, trade.closed_at
