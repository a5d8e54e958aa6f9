"""Write the rows of each minute to the database, off the event loop, and report when it cannot be used.

The rows belong to the account that the database was last switched to. Between a change of the key and the first
positions read with it, nothing is recorded: what is shown until then may be another account's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from condord.core.market_hours import exchange_day
from condord.daemon.minute_queue import MinuteQueue
from condord.daemon.store_notice import StoreNotice
from condord.live.minutes import MinuteRow, RecordedPast
from condord.live.wire import NoticeJson
from condord.live.wire_condor import HistoryJson

if TYPE_CHECKING:
    from condord.daemon.shared_extremes import SharedExtremes
    from condord.history.store import HistoryStore

RETRY_SECONDS = 60.0
"""The interval of new attempts while there is no minute to write: a fault may also end at night."""


class Recorder:
    """Records minutes if `is_enabled`; `source` is the environment of the account, `now_at` the exchange's clock (UTC).

    `is_known`: the database has the account of the current key. `is_shown`: its positions have been read. `rows` counts
    the written rows. `shared` has the extremes that other ingesters have recorded. `run` must be running for anything
    to be written.
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        source: str,
        now_at: Callable[[], dt.datetime],
        is_enabled: bool,
        shared: SharedExtremes | None = None,
    ) -> None:
        self.is_enabled = is_enabled
        self._shared = shared
        self.rows = 0
        self._unwritten = 0
        self._store = store
        self._source = source
        self._now_at = now_at
        self._account: str | None = None
        self.is_known = self.is_shown = False
        self._queue = MinuteQueue()
        self._notice = StoreNotice("historyUnavailable")

    def record(self, rows: Sequence[MinuteRow]) -> None:
        """Take the rows of the minute that has just ended."""
        if not (rows and self.is_enabled and self.is_known and self.is_shown):
            return
        self._queue.put(rows)

    def pause(self) -> None:
        """Record nothing until the new key's account is known and its positions are shown: the key has changed."""
        self.is_known = self.is_shown = False

    def show(self) -> None:
        """Note that the positions shown were read with the current key."""
        self.is_shown = True

    async def switch_to(self, account_key: str) -> RecordedPast:
        """Record this account once its positions are shown, and return its recorded past."""
        self.is_known = False
        if account_key != self._account:
            self._queue.clear()
        self._account = account_key
        past = await self._store.switch_to(account_key, self._source, exchange_day(self._now_at()))
        if self._shared is not None:
            past = await self._shared.join(account_key, past)
        self.is_known = account_key == self._account
        return _until(past, self._now_at().timestamp())

    async def run(self) -> None:
        """Write minutes as they end, and waiting ones after a fault, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(RETRY_SECONDS):
                    rows = await self._queue.get()
            except TimeoutError:
                await self._store.retry()
                self._count(0)
                continue
            try:
                await self._store.record(rows)
                self._count(len(rows))
                if self._shared is not None:
                    await self._shared.add(rows)
            finally:
                self._queue.done()

    async def finish(self, rows: Sequence[MinuteRow]) -> None:
        """Take the rows of the running minute, and wait briefly until everything is written."""
        self.record(rows)
        await self._queue.written()

    @property
    def has_fault(self) -> bool:
        """Whether the database cannot be used, or was set aside."""
        return self._store.fault is not None

    def notices(self) -> list[NoticeJson]:
        """The notice that the database cannot be used, if so; its beginning and its end are logged."""
        return self._notice.of(self._store.fault)

    def _count(self, rows: int) -> None:
        """Count rows that were passed to the database, which keeps what it cannot write."""
        fault = self._store.fault
        self._unwritten += rows
        if fault is None or fault.is_set_aside:
            self.rows, self._unwritten = self.rows + self._unwritten, 0


def _until(past: RecordedPast, second: float) -> RecordedPast:
    """The past up to `second`. An earlier run that was stopped recorded its last minute, which may end after that.

    A condor for which nothing else was recorded has no line.
    """
    ends = {identity: bisect_right(line.seconds, second) for identity, line in past.lines.items()}
    lines = {
        identity: HistoryJson(seconds=line.seconds[:end], cents=line.cents[:end])
        for identity, line in past.lines.items()
        if (end := ends[identity])
    }
    return msgspec.structs.replace(past, lines=lines)
