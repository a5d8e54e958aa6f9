"""Run the replica of a source on the event loop: give it events, wake subscribers, and keep the source's clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from condord.host import logs
from condord.live import wire
from condord.live.remedies import MAKER_REMEDY, WORKER_REMEDY, split_loss, with_remedy
from condord.live.replica import LostCode, Replica, SourceEvent
from condord.live.source_clock import SourceClock
from condord.live.subscriber import wake

_LOST: dict[LostCode, str] = {"sourceLost": "its source", "busLost": "the bus", "leaderLost": "the leader"}

_log = logging.getLogger(__name__)


class RelayFeed:
    """Implements `condord.cluster.interfaces.EventSink`, on `loop`.

    `clock` is the exchange's, estimated from the events. `observe` gets, for each event that was passed on, the seconds
    from its receipt to the last write. `lost_reason` is why the source is lost, or None, and `lost_code` its code; the
    code is None before the source counts as lost.

    A status of a loss is passed on by every relay behind this one. So it names `machine`, where this process runs, and
    `source`, the URL that is followed, unless that is a bus. If the source passes such a status on, that is logged
    once, and its end once. A worker names no source and does not log it, as its daemon does.
    """

    def __init__(
        self,
        replica: Replica,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: SourceClock,
        observe: Callable[[float], None],
        machine: str,
        source: str = "",
        is_worker: bool = False,
    ) -> None:
        self.lost_reason: str | None = "it has not answered yet"
        self.lost_code: LostCode | None = None
        self._replica = replica
        self._loop = loop
        self.clock = clock
        self._observe = observe
        self._machine = machine
        self._source = "" if is_worker else source
        self._is_worker = is_worker
        self._noted: wire.Status | None = None
        self._source_lost_at: float | None = None
        self._event_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def resume_version(self) -> str | None:
        """The id of the last event, to resume after; None if a snapshot is needed."""
        return self._replica.resume_version

    @property
    def needs_snapshot(self) -> bool:
        """Whether there is a gap."""
        return self._replica.needs_snapshot

    @property
    def is_lost(self) -> bool:
        """Whether the source is lost."""
        return self._replica.is_lost

    @property
    def lost_name(self) -> str | None:
        """The lost part of a bus, `the bus` or `the leader on the bus`; None if the bus can be followed."""
        if self.lost_reason is None:
            return None
        return "the bus" if self.lost_code == "busLost" else "the leader on the bus"

    @property
    def lag_ms(self) -> int | None:
        """How much longer the newest event took to arrive than the fastest; while the source is lost, its age.

        None before the first event, and while the source has lost its own source: its heartbeats show nothing then.
        """
        if not self._replica.is_known:
            return None
        if self._replica.is_lost:
            return round(1000 * (self._loop.time() - self._event_at))
        if self._replica.edition.status.code in wire.LOST_CODES:
            return None
        return round(1000 * self.clock.lag.total_seconds())

    def begin(self) -> None:
        """Note that a connection begins."""
        self._replica.begin()
        self.clock.forget()

    def take(self, event: SourceEvent) -> None:
        """Take the next event. This is the fast path of a quote."""
        begun = self._loop.time()
        as_of, woken = self._replica.take(event, begun, self.clock())
        wake(woken)
        self._event_at = self._loop.time()
        if as_of is not None:
            self.clock.observe(as_of)
        if not self._replica.is_lost:
            self.lost_reason = self.lost_code = None
            self._note_status()
        if woken:
            self._observe(self._event_at - begun)
        self._arm()

    def lose(self, reason: str, code: LostCode = "sourceLost") -> None:
        """Note that the source is lost."""
        if self._is_worker:
            self._lose(reason, code, "the daemon of this worker", WORKER_REMEDY)
        else:
            what = f"{_LOST[code]} {self._source}" if code == "sourceLost" and self._source else _LOST[code]
            self._lose(reason, code, what)

    def lose_maker(self, reason: str) -> None:
        """Note that nothing comes from the maker of this ingester, which leads."""
        self._lose(reason, "leaderLost", "its own daemon of the account, the process that reads Alpaca", MAKER_REMEDY)

    def note_takeover(self) -> None:
        """Note that this ingester leads, and that its own daemon of the account has not sent anything yet."""
        text = "leads now, and is reading the account"
        self.lost_reason, self.lost_code = f"it {text}", "leaderLost"
        wake(self._replica.lose("leaderLost", f"{self._machine} {text}", self.clock()))

    def _lose(self, reason: str, code: LostCode, what: str, remedy: str = "") -> None:
        self.lost_reason, self.lost_code = reason, code
        found, remedy = split_loss(reason, code, remedy)
        text = with_remedy(f"{self._machine} has lost {what}: {found}", remedy)
        wake(self._replica.lose(code, text, self.clock()))

    def _note_status(self) -> None:
        """Log that the source has lost its own source, or that it is back."""
        status = self._replica.edition.status
        if status is self._noted or self._is_worker:
            return
        self._noted = status
        is_lost, lost_at, now = status.code in wire.LOST_CODES, self._source_lost_at, self._loop.time()
        if is_lost and lost_at is None:
            self._source_lost_at = now
            fields = logs.fields(source=self._source or None, code=status.code, reason=status.reason)
            _log.warning("The source has lost what it follows", extra=fields)
        elif lost_at is not None and not is_lost:
            self._source_lost_at = None
            fields = logs.fields(source=self._source or None, lasted_seconds=round(now - lost_at, 1))
            _log.info("What the source follows is back", extra=fields)

    def _arm(self) -> None:
        """Schedule `_turn` for the end of a view's interval."""
        deadline = self._replica.fanout.deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._turn)

    def _turn(self) -> None:
        self._timer = None
        wake(self._replica.fanout.tick(self._loop.time(), self.clock()))
        self._arm()
