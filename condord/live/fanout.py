"""Choose which frame goes to which subscriber, and encode each frame once.

Subscribers with the same filter and interval share a view, and each frame of a view is encoded once. Each subscriber
has a ring of `ring_size` frames. When the ring overflows, its frames are dropped and the subscriber gets a snapshot in
their place, so no subscriber waits for another. A snapshot that replaces missed frames is counted with its reason.

Methods return the subscribers that have frames to take. The caller wakes them.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, get_args

import msgspec

from condord.live import compression as codings
from condord.live import wire
from condord.live.coalescer import Coalescer
from condord.live.compression import Coding, CodingName, Frame
from condord.live.frames import framed
from condord.live.published import Edition, Selection
from condord.live.wire_alerts import AlertJson

RETRY = b"retry: 2000\n"
BYE_RETRIES_MS = tuple(range(500, 5_500, 250))
"""The `retry` of one `bye` after another, so that clients do not all reconnect at once."""

RESYNCS = ("ringOverflow", "unknownEpoch", "replayWindowPassed", "positionsChanged", "historyRestarted")
"""Why a snapshot replaces what was missed."""

Departure = Literal["client", "stalled", "stopped"]
"""Who ended a stream: its client, an eviction because the client took nothing, or the stop of the daemon."""

_RETRY = Frame(RETRY)
_FIRSTS_AGE = dt.timedelta(seconds=1)
"""How long a first frame is shared: its `asOf` is that old."""


class Subscriber:
    """One open stream. `wake` makes the stream's writer call `take`. The fan-out itself never calls `wake`."""

    __slots__ = ("_coding", "_fanout", "_preface", "bye", "is_evicted", "is_lost", "ring", "view", "wake")

    def __init__(self, fanout: Fanout, view: View, *, ring_size: int, coding: Coding, wake: Callable[[], None]) -> None:
        self._fanout = fanout
        self._coding = coding
        # `retry` and comments go into the block of the first event: many clients emit an empty event for a block
        # without data.
        self._preface: tuple[Frame, ...] = (_RETRY,)
        self.view = view
        self.ring: deque[Frame] = deque(maxlen=ring_size)
        self.is_lost = False
        self.is_evicted = False
        self.bye: Frame | None = None
        self.wake = wake

    @property
    def is_over(self) -> bool:
        """Whether the next `take` is the last."""
        return self.bye is not None

    def begin(self, frame: Frame, reason: str | None) -> None:
        """Put the first `frame` into the ring. `reason` is why it is a snapshot instead of the missed deltas, if so."""
        self.ring.append(frame)
        if reason is not None:
            self._preface = (*self._preface[:1], Frame(b": resync, %b\n" % reason.encode()))

    def take(self, now_at: Callable[[], dt.datetime]) -> bytes:
        """Return all waiting frames, joined for one write; empty if there are none.

        The clock is read only for a snapshot in place of lost frames.
        """
        if self.is_lost:
            self.is_lost = False
            self.begin(self._fanout.resync(self, now_at()), "ringOverflow")
        frames = [*self._preface, *self.ring]
        self._preface = ()
        self.ring.clear()
        if self.bye is not None:
            frames.append(self.bye)
        return self._coding.join(frames, is_last=self.bye is not None) if frames else b""


class View:
    """The stream of one filter and interval: the newest event sent, and its subscribers.

    With an interval, a view may be behind the published document. The first frame of a subscriber that joins or is
    resynced is current, so that subscriber is ahead of its view. Its next delta must begin later than that of the
    others, or its client would append points to a history twice.
    """

    def __init__(self, selection: Selection, interval_seconds: float) -> None:
        self.selection = selection
        self.coalescer = Coalescer(interval_seconds)
        self.subscribers: dict[Subscriber, None] = {}
        self.number = 0
        self.ahead: dict[Subscriber, int] = {}
        self.firsts: dict[int | None, Frame] = {}
        self.firsts_at: tuple[str, dt.datetime] | None = None


class Fanout:
    """The subscribers of `edition`. `ring_size` is in frames.

    `frames` counts frames given to subscribers; `dropped`, those lost in a full ring; `resyncs`, snapshots by reason.
    """

    def __init__(self, edition: Edition, *, ring_size: int) -> None:
        self._edition = edition
        self._ring_size = ring_size
        self._views: dict[tuple[Selection, float], View] = {}
        self.subscribers = 0
        self.frames = 0
        self.dropped = 0
        self.evicted = 0
        self.disconnects: dict[str, int] = dict.fromkeys(get_args(Departure), 0)
        self.resyncs: dict[str, int] = {}
        self._byes: Iterator[Frame] | None = None

    def subscribe(
        self,
        *,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        now_at: dt.datetime,
        wake: Callable[[], None],
        coding: CodingName = "identity",
        is_chunked: bool = False,
    ) -> Subscriber:
        """Open a stream whose first frame waits in its ring.

        `interval_seconds` is the minimum time between two frames, 0 for the publisher's own pace. `version` is the last
        event that the client has seen. With `is_chunked`, `take` returns HTTP/1.1 chunks.
        """
        key = selection, interval_seconds
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(selection, interval_seconds)
            view.number = self._edition.number
        encoder = codings.coding(coding, is_chunked=is_chunked)
        subscriber = Subscriber(self, view, ring_size=self._ring_size, coding=encoder, wake=wake)
        if self._byes is not None:
            subscriber.bye = next(self._byes)
        view.subscribers[subscriber] = None
        self.subscribers += 1
        self._begin(subscriber, version, now_at)
        return subscriber

    def evict(self, subscriber: Subscriber) -> None:
        """Record that `subscriber` is being closed because its client takes nothing; `unsubscribe` follows."""
        subscriber.is_evicted = True
        self.evicted += 1

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream and count why it ended; a second call does nothing."""
        view = subscriber.view
        if view.subscribers.pop(subscriber, self) is self:
            return
        self.subscribers -= 1
        self.disconnects[_departure(subscriber)] += 1
        view.ahead.pop(subscriber, None)
        if not view.subscribers:
            self._views.pop((view.selection, view.coalescer.window_seconds), None)

    def publish(
        self, now: float, now_at: dt.datetime, *, urgent: bool = False, alerts: Sequence[AlertJson] = ()
    ) -> list[Subscriber]:
        """Give subscribers what was published since the last call; `urgent` ignores the views' intervals.

        `alerts` began to fire, resolved or ended with that. They are urgent, and each is an event for every subscriber.
        """
        urgent = urgent or bool(alerts)
        woken: list[Subscriber] = []
        for view in self._views.values():
            view.coalescer.offer(now)
            needs_snapshot = self._edition.needs_snapshot(view.number)
            if view.coalescer.take(now) or urgent or needs_snapshot:
                woken += self._advance(view, now, now_at, needs_snapshot=needs_snapshot)
        return self._announce(alerts) if alerts else woken

    def _announce(self, alerts: Sequence[AlertJson]) -> list[Subscriber]:
        """Give all subscribers an event for each of `alerts`, after the frames that contain them.

        They are one frame, so that many at once do not overflow a ring.
        """
        frame = Frame(b"".join(framed("alert", alert) for alert in alerts))
        subscribers = [subscriber for view in self._views.values() for subscriber in view.subscribers]
        for subscriber in subscribers:
            self._push(subscriber, frame)
        return subscribers

    def tick(self, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Give subscribers what their view's interval has held back until now."""
        woken: list[Subscriber] = []
        for view in self._views.values():
            if view.coalescer.take(now):
                needs_snapshot = self._edition.needs_snapshot(view.number)
                woken += self._advance(view, now, now_at, needs_snapshot=needs_snapshot)
        return woken

    @property
    def deadline(self) -> float | None:
        """When `tick` is due, in loop seconds."""
        deadlines = [view.coalescer.deadline for view in self._views.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def heartbeat(self, now_at: dt.datetime) -> list[Subscriber]:
        """Give a heartbeat to every subscriber with nothing to take."""
        frame = Frame(framed("heartbeat", wire.Heartbeat(as_of=now_at)))
        quiet = [s for view in self._views.values() for s in view.subscribers if not s.ring and not s.is_lost]
        for subscriber in quiet:
            self._push(subscriber, frame)
        return quiet

    def close(self, reason: str) -> list[Subscriber]:
        """End every stream with `bye`; streams opened later end at once."""
        event = framed("bye", wire.Bye(reason=reason))
        self._byes = itertools.cycle([Frame(b"retry: %d\n%b" % (ms, event)) for ms in BYE_RETRIES_MS])
        subscribers = [subscriber for view in self._views.values() for subscriber in view.subscribers]
        for subscriber, bye in zip(subscribers, self._byes, strict=False):
            subscriber.bye = bye
        return subscribers

    def resync(self, subscriber: Subscriber, now_at: dt.datetime) -> Frame:
        """Return the snapshot that replaces the frames a slow subscriber has lost."""
        self._count_resync("ringOverflow")
        self._note_ahead(subscriber)
        return self._snapshot(subscriber.view, now_at)

    def _begin(self, subscriber: Subscriber, version: str | None, now_at: dt.datetime) -> None:
        since = self._edition.resume_from(version)
        if isinstance(since, int):
            subscriber.begin(self._caught_up(subscriber.view, since, now_at), None)
        else:
            if version is not None:
                self._count_resync(since)
            subscriber.begin(self._snapshot(subscriber.view, now_at), None if version is None else since)
        self.frames += 1
        self._note_ahead(subscriber)

    def _note_ahead(self, subscriber: Subscriber) -> None:
        if subscriber.view.number < self._edition.number:
            subscriber.view.ahead[subscriber] = self._edition.number

    def _advance(self, view: View, now: float, now_at: dt.datetime, *, needs_snapshot: bool) -> Iterable[Subscriber]:
        """Give the subscribers of `view` what was published since its last frame. Returns those to wake."""
        since, view.number = view.number, self._edition.number
        frame = self._snapshot(view, now_at) if needs_snapshot else self._delta(view, since, now_at)
        if frame is None:
            view.ahead.clear()
            return ()
        view.coalescer.sent(now)
        if view.ahead:
            return self._advance_each(view, since, frame, now_at)
        for subscriber in view.subscribers:
            self._push(subscriber, frame)
        return view.subscribers

    def _advance_each(self, view: View, since: int, frame: Frame, now_at: dt.datetime) -> list[Subscriber]:
        """Send `frame` to the subscribers that are at event `since`, and a shorter delta to those already past it."""
        frames: dict[int, Frame | None] = {since: frame}
        woken = []
        for subscriber in view.subscribers:
            number = view.ahead.get(subscriber, since)
            if number not in frames:
                frames[number] = self._frame(view, number, now_at)
            if (own := frames[number]) is not None:
                self._push(subscriber, own)
                woken.append(subscriber)
        view.ahead.clear()
        return woken

    def _push(self, subscriber: Subscriber, frame: Frame) -> None:
        self.frames += 1
        if subscriber.is_lost:
            self.dropped += 1
            return
        if len(subscriber.ring) == subscriber.ring.maxlen:
            self.dropped += len(subscriber.ring) + 1
            subscriber.ring.clear()
            subscriber.is_lost = True
            return
        subscriber.ring.append(frame)

    def _frame(self, view: View, since: int, now_at: dt.datetime) -> Frame | None:
        """Return what brings clients at event `since` up to date, or None if `view` shows nothing of it."""
        needs_snapshot = self._edition.needs_snapshot(since)
        return self._snapshot(view, now_at) if needs_snapshot else self._delta(view, since, now_at)

    def _delta(self, view: View, since: int, now_at: dt.datetime) -> Frame | None:
        delta = self._edition.delta(since, now_at, view.selection)
        return None if delta is None else Frame(framed("delta", delta, self._edition.version))

    def _snapshot(self, view: View, now_at: dt.datetime) -> Frame:
        """Return the document as `view` shows it."""
        firsts = self._firsts(view, now_at)
        if None not in firsts:
            document = self._edition.document(now_at, view.selection)
            firsts[None] = Frame(framed("snapshot", document, self._edition.version))
        return firsts[None]

    def _caught_up(self, view: View, since: int, now_at: dt.datetime) -> Frame:
        """Return what clients at event `since` have missed. After a restart of a proxy, many resume at the same event.

        It is sent even if nothing was missed, so that the client need not wait for a heartbeat to know. It always has
        the status, whose instants move without an event.
        """
        firsts = self._firsts(view, now_at)
        if since not in firsts:
            nothing = wire.Delta(as_of=now_at, quotes=[], valuations=[], unmatched=[])
            missed = self._edition.delta(since, now_at, view.selection) or nothing
            delta = msgspec.structs.replace(missed, status=self._edition.status)
            firsts[since] = Frame(framed("delta", delta, self._edition.version))
        return firsts[since]

    def _firsts(self, view: View, now_at: dt.datetime) -> dict[int | None, Frame]:
        """Return the first frames, by the event they follow (None: a snapshot), of this version and second."""
        version = self._edition.version
        if view.firsts_at is None or view.firsts_at[0] != version or abs(now_at - view.firsts_at[1]) > _FIRSTS_AGE:
            view.firsts_at = version, now_at
            view.firsts = {}
        return view.firsts

    def _count_resync(self, reason: str) -> None:
        self.resyncs[reason] = self.resyncs.get(reason, 0) + 1


def _departure(subscriber: Subscriber) -> Departure:
    if subscriber.is_evicted:
        return "stalled"
    return "stopped" if subscriber.is_over else "client"
