"""Follow the leading ingester over the bus: take frames, request missing events, and notice silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from condord.cluster.bus import Bus, BusError, BusMessage
from condord.cluster.bus_frames import FAULT, SNAPSHOTS, fence_of, frames_subject, head_of, resume_subject
from condord.cluster.bus_order import BusOrder
from condord.cluster.event_blocks import EventBlocks
from condord.cluster.fenced import FencedKey
from condord.cluster.follower import suspended
from condord.cluster.interfaces import EventSink
from condord.cluster.kv import BusRefusal, KvBucket
from condord.cluster.lease import accounts, holder_of
from condord.cluster.loss_reason import LossReason
from condord.cluster.stall_detector import StallDetector
from condord.errors import CondordError, ConfigError
from condord.live.remedies import with_remedy
from condord.live.replica import LostCode, SourceEvent, UnreadableEvent

RESUME_SECONDS = 2.0
"""How long the leader may take to send missing events."""
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.02, 0.5
WATCH_SECONDS = 0.1
DISCOVERY_SECONDS = 0.5

_log = logging.getLogger(__name__)


class BusFollower:
    """Follows one account and gives its events to `sink`.

    An empty `account` stands for the only one with a lease on the bus; `refused` gets the error if there are several.
    `chance` returns a number in [0, 1) that spreads the questions of many followers. `is_silent` returns whether the
    bus does not answer this process any longer, although its connection may not have ended yet. `obstacle` returns why
    this process could not lead when it last tried to, or None.
    """

    def __init__(
        self,
        bus: Bus,
        account: str,
        sink: EventSink,
        *,
        refused: Callable[[CondordError], None],
        chance: Callable[[], float],
        is_silent: Callable[[], bool] = lambda: False,
        obstacle: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.account = account
        self._bus = bus
        self._sink = sink
        self._refused = refused
        self._chance = chance
        self._is_silent = is_silent
        self._obstacle = obstacle
        self._loop = asyncio.get_running_loop()
        self.order = BusOrder(self._loop.time())
        self._is_known = bool(account)
        self._loss = LossReason()
        self._code: LostCode | None = None
        self._has_run = False
        self._suspensions = 0
        self._logged_code: LostCode | None = None
        self._lost_at: float | None = None  # when the loss began that was logged last
        self._wake = asyncio.Event()
        bus.watch(self._connection_changed)

    @property
    def reason(self) -> str:
        """Why nothing is followed; otherwise the reason for the last loss.

        What was found during an earlier connection or an earlier loss is left out. An operation that the bus forbids
        now is the reason for any loss.
        """
        if not self._bus.is_connected:
            return self._bus.reason
        obstacle = self._obstacle()
        own = "" if obstacle is None else f"; this ingester could not lead: {obstacle}"
        return self._bus.denials.text or self._loss.text(self.order.leader) + own

    def retry(self) -> None:
        """Connect now instead of after the wait."""
        self._bus.retry()

    async def run(self) -> None:
        """Follow until cancelled; the bus runs elsewhere. It may be run again later.

        If the bus is lost when it is run again, that is reported at once.
        """
        is_lost = not self._bus.is_connected or self._is_silent()
        self.order.restart(self._loop.time(), is_lost=self._has_run and is_lost)
        self._has_run = True
        self._loss.begin(self.order.leader)
        self._code = self._logged_code = self._lost_at = None
        self._wake.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._follow())

    def expect(self, fence: int, name: str) -> None:
        """Drop frames of leaders with a lower fence than this one, under which this process leads as `name`."""
        self.order.expect(fence, name)
        self._loss.note_own_term(name)

    def note_suspension(self, seconds: float) -> None:
        """Report a loss, and ask the leader for its state, if nothing has been read for `LOST_SECONDS`.

        This process has not run for `seconds`. That is not logged as a loss, as the leader may have run all the time.
        """
        if self._has_run and self.order.note_suspension(self._loop.time(), seconds):
            self._suspensions += 1
            self._loss.find(suspended(seconds))
            self._code = "leaderLost" if self._bus.is_connected else "busLost"
            self._sink.lose(self.reason, self._code)
            self._wake.set()

    async def _follow(self) -> None:
        if not self._is_known:
            self.account = await self._only_account()
            self._is_known = True
        subscription = await self._bus.subscribe(frames_subject(self.account), self._take)
        try:
            await self._catch_up()
        finally:
            await subscription.end()

    async def _catch_up(self) -> None:
        """Whenever something is missing, ask for it."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.order.is_behind and self._bus.is_connected:
                has_caught_up = await self._request_missing()
                failures = 0 if has_caught_up else failures + 1
                pause = min(MIN_PAUSE_SECONDS * 2.0 ** min(failures, 16), MAX_PAUSE_SECONDS)
                await asyncio.sleep(pause * (0.5 + self._chance()))

    async def _only_account(self) -> str:
        """Wait until one account has a lease on the bus, and return it."""
        while True:
            try:
                found = await accounts(self._bus)
            except BusError as error:
                remedy = error.remedy if isinstance(error, BusRefusal) else ""
                self._loss.find(with_remedy(str(error), remedy))
                found = []
            else:
                self._loss.find("no ingester holds a lease on the bus")
            if len(found) == 1:
                self._loss.find(None)
                _log.info("The bus has one account", extra={"fields": {"account": found[0]}})
                return found[0]
            if found:
                names = ", ".join(found)
                self._refused(ConfigError([f"the bus has several accounts: {names}"], "Set cluster.account to one."))
                await asyncio.Event().wait()
            await asyncio.sleep(DISCOVERY_SECONDS)

    def _connection_changed(self) -> None:
        self._loss.find(None)
        if self._bus.is_connected:
            self.order.begin(self._loop.time())
            self._wake.set()

    def _take(self, message: BusMessage) -> None:
        """Take the next frame. This is the fast path of a quote."""
        head = head_of(message.headers)
        if head is None:
            return
        try:
            for event in EventBlocks().feed(message.data):
                self._pass_on(self.order.take(head, event, self._loop.time()))
        except UnreadableEvent as error:
            self._note_missing(str(error))
        if self.order.is_behind:
            self._wake.set()

    def _pass_on(self, events: Sequence[SourceEvent]) -> None:
        """Give events to the sink.

        Raises:
            UnreadableEvent: one of them cannot be decoded.
        """
        for event in events:
            self._sink.take(event)
        if self._sink.needs_snapshot and events:
            self._note_missing("events are missing")

    def _note_missing(self, reason: str) -> None:
        self._loss.find(reason)
        self.order.miss()

    async def _request_missing(self) -> bool:
        """Request the missing events from the leader. Return whether nothing is missing any longer."""
        before, suspensions = self.order.version, self._suspensions
        try:
            version = (self._sink.resume_version or "").encode()
            message = await self._bus.ask(resume_subject(self.account), version, seconds=RESUME_SECONDS)
            fence = fence_of(message.headers)
            if fence is None:
                raise BusError("the leader answers without a fence")
            if FAULT in message.headers:
                raise BusError(f"the leader answers that {message.headers[FAULT]}")
            events = EventBlocks().feed(message.data)
        except (BusError, UnreadableEvent) as error:
            self._loss.note_failure(error)
            await self._show_stored()
            return False
        if self._suspensions != suspensions:
            return False  # the answer has waited
        if self.order.version != before or not self.order.is_behind:
            return not self.order.is_behind
        passed = self.order.catch_up(fence, events, self._loop.time())
        if passed is None:
            await self._check_lease(fence)
            return False
        self._begin(passed)
        return not self.order.is_behind

    def _begin(self, events: Sequence[SourceEvent]) -> None:
        """Give the sink the requested events, as if a connection had begun."""
        self._sink.begin()
        try:
            self._pass_on(events)
        except UnreadableEvent as error:
            self._note_missing(str(error))

    async def _show_stored(self) -> None:
        """Show the stored snapshot, unconfirmed, if there is nothing else to show or the leader is lost."""
        if self._sink.resume_version is not None and self._code != "leaderLost":
            return
        try:
            stored = await FencedKey(KvBucket(self._bus, SNAPSHOTS), self.account).read()
            events = [] if stored is None else EventBlocks().feed(stored.value)
        except (BusError, UnreadableEvent):
            return  # `reason` stays: why the leader does not answer
        if stored is None or not events or not self.order.is_behind:
            return
        if shown := self.order.show_stored(stored.fence, events[0]):
            self._begin(shown)
            self._sink.lose(self.reason, self._code or "leaderLost")

    async def _check_lease(self, fence: int) -> None:
        """Accept a lower fence if the leader that answered with it holds the lease: the bus has lost its state."""
        if fence >= self.order.fence or self._code is None:
            return
        try:
            lease = await holder_of(self._bus, self.account)
        except BusError as error:
            self._loss.note_failure(error)
            return
        if lease is not None and lease.fence == fence:
            _log.warning("The bus has lost its state", extra={"fields": {"fence": fence, "before": self.order.fence}})
            self.order.start_over(fence)

    async def _watch(self) -> None:
        """Report when the leader or the bus is lost, and keep requesting missing events until it is back."""
        stalls = StallDetector(self._loop.time())
        while True:
            now = self._loop.time()
            if stalls.has_recovered(now):
                self._judge(now)
            await asyncio.sleep(WATCH_SECONDS)

    def _judge(self, now: float) -> None:
        code = self.order.lost(now, is_connected=self._bus.is_connected)
        if code is not None:
            self._wake.set()
            if self._code is None:
                self._loss.lose(self.order.leader)
            self._sink.lose(self.reason, code)
        elif not self.order.is_behind:
            self._loss.find(None)
        if not self.order.is_behind:
            self._loss.note_followed()
        if code != self._logged_code and (code is not None or self.order.leader):
            self._log_change(code)
        self._code = code

    def _log_change(self, code: LostCode | None) -> None:
        """Log that the leader is lost or back, or that it is lost for another reason."""
        self._logged_code, now = code, self._loop.time()
        if code is None:
            lasted = {} if self._lost_at is None else {"lasted_seconds": round(now - self._lost_at, 1)}
            fields = {"leader": self.order.leader, "fence": self.order.fence, **lasted}
            _log.info("There is a leader" if self._lost_at is None else "The leader is back", extra={"fields": fields})
            self._lost_at = None
            return
        if self._loss.has_followed and self._lost_at is None:
            self._lost_at = now
        event = "The leader is lost" if self._loss.has_followed else "There is no leader yet"
        _log.warning(event, extra={"fields": {"bus": self._bus.urls, "code": code, "reason": self.reason}})
