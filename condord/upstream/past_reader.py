"""Read the account's past, from which closed trades are found: its activities, and closes of stocks.

The stored activities are completed first, from the newest one on. Then the past is read back as far as history is
kept, newest first, and each page is stored before the next is requested, so that a restart continues there. The newest
activities are read again after trade events, and every quarter of an hour with all that may have been booked late. The
latter are also read while a change of the account awaits its booking, with growing pauses.

All of it stays within two shares of the request budget, `past` and `closes`, which no other request uses. No failure
here concerns positions, quotes or the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from typing import Any

from condord.core.activity import Activity
from condord.core.market_hours import exchange_day, start_of_day
from condord.tasks import loop_time
from condord.upstream.interfaces import ActivityPage, Brokerage, TradeSink
from condord.upstream.order_history import reach
from condord.upstream.past_progress import PastProgress, PastRequest
from condord.upstream.poller import Poller
from condord.upstream.rest_fault import RestFault

WHOLE_SECONDS = 900.0
"""How often the latest activities are read again, as some are booked late."""
PACE_SECONDS = 6.0
SETTLE_SECONDS = (3.0, 60.0)
"""When the newest activities are read once more after a trade event: fills and fees may not be listed at once."""
CLOSES_SECONDS = 60.0
"""How often newly wanted closes are read."""
FINAL_AFTER = dt.timedelta(minutes=20)
"""How long after the end of a day its close is read: without a subscription, nothing newer than 15 minutes may be."""
_DEBOUNCE_SECONDS = 0.1
_ROUNDING_SECONDS = 1.0


class PastReader:
    """Reads the account's activities and the closes of stocks for `sink`, once `switch_to` has named the account.

    `keep_days` returns for how many days history is kept, 0 for indefinitely. `noting` and `is_good` are as in
    `MarketReader`, here for the reads `past` and `closes`. `date` is called with the activities of the account, first
    the stored ones and then those that are read.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        sink: TradeSink,
        now_at: Callable[[], dt.datetime],
        keep_days: Callable[[], int],
        noting: Callable[[str], AbstractContextManager[None]],
        unneeded: Callable[[str], None],
        is_good: Callable[[str], bool],
        date: Callable[[Iterable[Activity]], Awaitable[None]],
    ) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._now_at = now_at
        self._keep_days = keep_days
        self._noting = noting
        self._unneeded = unneeded
        self._is_good = is_good
        self._date = date
        self._account_key: str | None = None
        self._progress: PastProgress | None = None
        self._generation = object()
        self._is_asked = False
        self._has_traded = False
        self._whole_at = 0.0
        self._absent: set[tuple[str, dt.date]] = set()
        self._absent_on: dt.date | None = None
        self._activities = Poller(self._read_activities, WHOLE_SECONDS, pace=PACE_SECONDS, is_due=False, backs_off=True)
        self._closes = Poller(self._read_closes, CLOSES_SECONDS, is_due=False, backs_off=True)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """The coroutines to run as tasks, each until cancelled."""
        return self._activities.run(_DEBOUNCE_SECONDS), self._closes.run(_DEBOUNCE_SECONDS)

    def switch_to(self, account_key: str | None) -> None:
        """Read the past of this account from now on, and drop the reading of another; None: no account."""
        if account_key == self._account_key:
            return
        self._account_key, self._progress, self._generation = account_key, None, object()
        self._is_asked = self._has_traded = False
        self._absent = set()
        if account_key is not None:
            self._activities.ask()

    def ask(self) -> None:
        """Read the newest activities again soon, late bookings included."""
        self._is_asked = True
        self._activities.ask()

    def traded(self) -> None:
        """Read the newest activities again soon after a trade event, and once more after each of `SETTLE_SECONDS`."""
        self._ask_newest()
        for seconds in SETTLE_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self._ask_newest)

    def _ask_newest(self) -> None:
        self._has_traded = True
        self._activities.ask()

    async def _read_activities(self) -> bool:
        generation, account_key, progress = self._generation, self._account_key, self._progress
        if account_key is None:
            return True
        if progress is None:
            await self._sink.switch_to(account_key)
            stored, complete_from = await self._sink.recall_past()
            if generation is not self._generation:
                return True
            self._progress = progress = PastProgress(stored, complete_from, self._now_at())
            self._whole_at, self._is_asked = loop_time(), False
            self._closes.ask()
            await self._date(stored)
        is_answered = True
        while is_answered and (request := self._next(progress)) is not None:
            is_answered = await self._read_page(progress, request)
        return is_answered or self._is_good("past")

    def _next(self, progress: PastProgress) -> PastRequest | None:
        """The next page of the missing activities; None if nothing is, or if the account has changed."""
        if progress is not self._progress:
            return None
        self._pass_on_requests(progress)
        return progress.request(self._now_at(), self._oldest_at())

    async def _read_page(self, progress: PastProgress, request: PastRequest) -> bool:
        """Read and store a page, and note how it ended. Return whether Alpaca answered."""
        is_answered = False
        with self._noting("past"):
            try:
                page = await self._page(request)
            except RestFault as fault:
                if not fault.may_retry:
                    progress.restart()
                raise
            is_answered = True
        if is_answered and progress is self._progress:
            progress.take(request, page, self._oldest_at())
            await self._sink.add_past(page.activities, progress.complete_from)
            self._closes.ask()
            if progress is self._progress:
                await self._date(page.activities)
        return is_answered

    def _pass_on_requests(self, progress: PastProgress) -> None:
        now = loop_time()
        if self._is_asked or now >= self._whole_at + WHOLE_SECONDS - _ROUNDING_SECONDS:
            progress.ask(self._now_at(), is_whole=True)
            self._whole_at = now
        elif self._has_traded:
            progress.ask(self._now_at(), is_whole=False)
        self._is_asked = self._has_traded = False

    async def _page(self, request: PastRequest) -> ActivityPage:
        if request.direction == "later":
            return await self._brokerage.later_activities(request.at, request.token)
        return await self._brokerage.past_activities(request.at, request.token)

    def _oldest_at(self) -> dt.datetime:
        return start_of_day(exchange_day(self._now_at() - reach(self._keep_days())))

    async def _read_closes(self) -> bool:
        generation, today = self._generation, exchange_day(self._now_at() - FINAL_AFTER)
        if self._progress is None:
            return True
        if self._absent_on != today:
            self._absent_on, self._absent = today, set()
        wanted = {(symbol, day) for symbol, day in self._sink.wanted_closes if day < today} - self._absent
        if not wanted:
            self._unneeded("closes")
            return True
        with self._noting("closes"):
            days = [day for _, day in wanted]
            symbols = sorted({symbol for symbol, _ in wanted})
            closes_e4 = await self._brokerage.day_closes(symbols, min(days), max(days))
            if generation is self._generation:
                self._sink.add_day_closes({key: closes_e4[key] for key in wanted if key in closes_e4})
                self._absent |= wanted - closes_e4.keys()
        return self._is_good("closes")
