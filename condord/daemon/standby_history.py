"""Record the minutes of the document that a front follows while it stands by.

While the front leads, its maker writes the database. So the front closes the database before a maker begins, and opens
it again when the maker has ended. Both record by the same rules, and what both have of one minute is merged.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from condord.cluster.bus import BusError
from condord.cluster.interfaces import EventSink
from condord.daemon.minute_queue import MinuteQueue
from condord.daemon.store_notice import StoreNotice
from condord.history.file import StoredAccount
from condord.live.followed_minutes import FollowedMinutes
from condord.live.minutes import MinuteRow
from condord.live.published import Edition
from condord.live.replica import LostCode, SourceEvent

if TYPE_CHECKING:
    from condord.history.store import HistoryStore

_log = logging.getLogger(__name__)


class StandbyHistory:
    """Records while this process does not lead; `run` must be running for anything to be written.

    `account_hash` asks the bus which account the leader records, None if that is not known yet; it may raise
    `BusError`. `is_enabled` returns whether to record. `open_store` opens an account's database, given whether the
    file outlives the process, as a simulator's does not. `now_at` is the exchange's clock (UTC).
    """

    def __init__(
        self,
        edition: Edition,
        *,
        account_hash: Callable[[], Awaitable[str | None]],
        is_enabled: Callable[[], bool],
        open_store: Callable[[bool], HistoryStore],
        now_at: Callable[[], dt.datetime],
    ) -> None:
        self._edition = edition
        self._account_hash = account_hash
        self._is_enabled = is_enabled
        self._open_store = open_store
        self._now_at = now_at
        self._loop = asyncio.get_running_loop()
        self._minutes: FollowedMinutes | None = FollowedMinutes(edition)
        self._changed: bool | None = None  # None: nothing has changed since `flush`; True: the whole document has
        self._timer: asyncio.TimerHandle | None = None
        self._queue = MinuteQueue()
        self._hash: str | None = None
        self._store: HistoryStore | None = None
        self._is_released = False
        self._notice = StoreNotice("historyUnavailable")

    def note(self, *, is_whole: bool = False) -> None:
        """Note that the document has changed, entirely if `is_whole`; `flush` must follow soon."""
        if self._changed is None:
            self._changed = is_whole
            self._loop.call_soon(self.flush)
        else:
            self._changed = self._changed or is_whole

    def flush(self) -> None:
        """Record from the changes that were noted; must be called before the next event."""
        is_whole, self._changed = self._changed, None
        if is_whole is not None and self._minutes is not None:
            self._minutes.take(self._loop.time(), self._now_at(), is_whole=is_whole)
            self._arm()

    async def run(self) -> None:
        """Write minutes as they end, until cancelled."""
        while True:
            rows = await self._queue.get()
            try:
                await self._write(rows)
            finally:
                self._queue.done()

    async def release(self) -> None:
        """Record the running minute, and close the database, as a maker is about to write it.

        Rows not written within a second are dropped.
        """
        self.flush()
        minutes, self._minutes = self._minutes, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if minutes is not None:
            self._put(minutes.running())
        await self._queue.written()
        self._queue.clear()
        self._is_released = True
        store, self._store = self._store, None
        if store is not None:
            await asyncio.to_thread(store.close)

    def resume(self) -> None:
        """Record again from the next event on, as no maker writes any longer."""
        if self._minutes is None:
            self._minutes, self._is_released = FollowedMinutes(self._edition), False

    def _arm(self) -> None:
        deadline = None if self._minutes is None else self._minutes.deadline
        if self._timer is not None and self._timer.when() == deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._turn)

    def _turn(self) -> None:
        self._timer = None
        if self._minutes is not None:
            self._put(self._minutes.end(self._loop.time(), self._now_at()))
            self._arm()

    def _put(self, rows: Sequence[MinuteRow]) -> None:
        if rows and self._is_enabled():
            self._queue.put(rows)

    async def _write(self, rows: Sequence[MinuteRow]) -> None:
        before, source = self._hash, self._edition.status.source
        if self._minutes is not None or before is None:  # so that a takeover does not wait for the bus
            self._hash = await self._ask_account_hash()
        if self._hash is None or before not in (None, self._hash):
            return  # the minute may have values from both accounts
        if self._is_released:
            return  # the bus has answered too late
        if self._store is None:
            self._store = self._open_store(source != "simulator")
        self._store.use(StoredAccount(self._hash, source))
        await self._store.record(rows)
        self._notice.of(self._store.fault)

    async def _ask_account_hash(self) -> str | None:
        try:
            return await self._account_hash() or self._hash
        except BusError as error:
            _log.debug("The account is not known", extra={"fields": {"reason": str(error)}})
            return self._hash


class RecordedSink:
    """An `EventSink` that passes events to `feed`, and the resulting changes of the document to `history`.

    The stored snapshot of a leader that is lost is never recorded as current: `lose` follows it at once.
    """

    def __init__(self, feed: EventSink, history: StandbyHistory) -> None:
        self._feed = feed
        self._history = history

    @property
    def resume_version(self) -> str | None:
        """The id of the last event, to resume after; None if a snapshot is needed."""
        return self._feed.resume_version

    @property
    def needs_snapshot(self) -> bool:
        """Whether there is a gap."""
        return self._feed.needs_snapshot

    @property
    def is_lost(self) -> bool:
        """Whether the source is lost."""
        return self._feed.is_lost

    def begin(self) -> None:
        """Note that a connection begins."""
        self._feed.begin()

    def take(self, event: SourceEvent) -> None:
        """Take the next event.

        Raises:
            UnreadableEvent: it cannot be decoded.
        """
        self._history.flush()
        self._feed.take(event)
        if event.name in ("snapshot", "delta"):
            self._history.note(is_whole=event.name == "snapshot")

    def lose(self, reason: str, code: LostCode = "sourceLost") -> None:
        """Note that the source is lost."""
        self._feed.lose(reason, code)
        self._history.note()
