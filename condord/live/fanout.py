"""Choose which frame goes to which subscriber, and encode each frame once.

Subscribers with the same filter and interval share a view, and each frame of a view is encoded once. Each subscriber
has a ring of `ring_size` frames. When the ring overflows, its frames are dropped and the subscriber gets a snapshot in
their place, so no subscriber waits for another. A snapshot that replaces missed frames is counted with its reason.

A server that follows another passes its frames on to the view of everything, unchanged. A client whose last event is
ahead of this server waits for it, for as long as the caller lets it.

Methods return the subscribers that have frames to take. The caller wakes them.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, get_args

import msgspec

from condord.live import compression as codings
from condord.live import wire
from condord.live.compression import CodingName, Frame
from condord.live.frames import framed
from condord.live.published import Edition, Selection
from condord.live.subscriber import Subscriber, View
from condord.live.wire_alerts import AlertJson

BYE_RETRIES_MS = tuple(range(500, 5_500, 250))
"""The `retry` values of successive `bye`s, so that clients do not all reconnect at once."""

RESYNCS = ("ringOverflow", "unknownEpoch", "replayWindowPassed", "positionsChanged", "historyRestarted")
"""Why a snapshot replaces what was missed."""

Departure = Literal["client", "stalled", "stopped"]
"""Who ended a stream: its client, an eviction because the client took nothing, or the stop of the daemon."""

_FIRSTS_AGE = dt.timedelta(seconds=1)
"""How long a first frame is shared; its `asOf` may be that old."""


class Fanout:
    """The subscribers of `edition`. `ring_size` is in frames. With `follows`, another server makes the events.

    `frames` counts frames given to subscribers; `dropped`, those lost in a full ring; `resyncs`, snapshots by reason.
    """

    def __init__(self, edition: Edition, *, ring_size: int, follows: bool = False) -> None:
        self._edition = edition
        self._ring_size = ring_size
        self._follows = follows
        self._waiting: dict[Subscriber, str] = {}
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
        view = self._views.get((selection, interval_seconds)) or View(selection, interval_seconds)
        encoder = codings.coding(coding, is_chunked=is_chunked)
        subscriber = Subscriber(self, view, ring_size=self._ring_size, coding=encoder, wake=wake)
        if self._byes is not None:
            subscriber.bye = next(self._byes)
        self.subscribers += 1
        if version is not None and self._edition.resume_from(version) == "ahead":
            self._waiting[subscriber] = version
        else:
            self._begin(subscriber, version, now_at)
        return subscriber

    def is_waiting(self, subscriber: Subscriber) -> bool:
        """Whether the last event of the client is ahead of this server, so that it gets no event yet."""
        return subscriber in self._waiting

    def stop_waiting(self, subscriber: Subscriber, now_at: dt.datetime) -> list[Subscriber]:
        """End the wait of a subscriber whose event has not come.

        If this server makes the events, there is no such event, and a snapshot follows. If it follows another, the
        stream ends, because a snapshot would be older than the client's document.
        """
        if subscriber not in self._waiting:
            return []
        if self._follows:
            subscriber.bye = next(_byes("this server is behind the last event of the client"))
        else:
            self._begin(subscriber, self._waiting.pop(subscriber), now_at)
        return [subscriber]

    def evict(self, subscriber: Subscriber) -> None:
        """Record that `subscriber` is being closed because its client takes nothing; `unsubscribe` follows."""
        subscriber.is_evicted = True
        self.evicted += 1

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream and count why it ended; a second call does nothing."""
        view = subscriber.view
        if self._waiting.pop(subscriber, None) is None and view.subscribers.pop(subscriber, self) is self:
            return
        self.subscribers -= 1
        self.disconnects[_departure(subscriber)] += 1
        view.ahead.pop(subscriber, None)
        key = view.selection, view.coalescer.window_seconds
        if not view.subscribers and self._views.get(key) is view:  # one that waits may have a view that nobody joined
            del self._views[key]

    def publish(
        self, now: float, now_at: dt.datetime, *, urgent: bool = False, alerts: Sequence[AlertJson] = ()
    ) -> list[Subscriber]:
        """Give subscribers the changes since the last call; `urgent` ignores the views' intervals.

        `alerts` began to fire, resolved or ended with that. They are urgent, and each is an event for every subscriber.
        """
        urgent = urgent or bool(alerts)
        woken: list[Subscriber] = []
        for view in self._views.values():
            view.coalescer.offer(now)
            needs_snapshot = self._edition.needs_snapshot(view.number)
            if view.coalescer.take(now) or urgent or needs_snapshot:
                frame = self._next(view, view.number, now_at, needs_snapshot=needs_snapshot)
                woken += self._advance(view, frame, now, now_at)
        if self._waiting:
            woken += self._admit(now_at)
        if alerts:
            # They are one frame, so that many at once do not overflow a ring.
            return self._push_to_all(Frame(b"".join(framed("alert", alert) for alert in alerts)))
        return woken

    def pass_on(
        self,
        frame: Frame,
        now: float,
        now_at: dt.datetime,
        *,
        urgent: bool = False,
        with_status: bool = False,
        is_whole: bool = False,
    ) -> list[Subscriber]:
        """Give subscribers the event of the source, which is `frame` for the view of everything.

        `urgent` ignores the views' intervals, and so do the other two. `with_status` adds the status to every frame,
        because the last announced one no longer applies. With `is_whole`, every view needs a snapshot.
        """
        woken: list[Subscriber] = []
        for view in self._views.values():
            since = view.number
            if with_status or is_whole:
                view.firsts_at = None  # they may have the former status
            if is_whole:
                view.ahead.clear()
            if view.is_plain:
                woken += self._advance(view, frame, now, now_at)
                continue
            view.coalescer.offer(now)
            needs_snapshot = is_whole or self._edition.needs_snapshot(since)
            if view.coalescer.take(now) or urgent or with_status or needs_snapshot:
                own = self._next(view, since, now_at, needs_snapshot=needs_snapshot, with_status=with_status)
                woken += self._advance(view, own, now, now_at, with_status=with_status)
        if self._waiting:
            woken += self._admit(now_at)
        return woken

    def pass_on_alert(self, frame: Frame, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Give every subscriber an alert of the followed server, after the values it was found in."""
        for view in self._views.values():
            if view.number != self._edition.number:
                needs_snapshot = self._edition.needs_snapshot(view.number)
                own = self._next(view, view.number, now_at, needs_snapshot=needs_snapshot)
                self._advance(view, own, now, now_at)
        return self._push_to_all(frame)

    def announce(self, frame: Frame) -> list[Subscriber]:
        """Give every subscriber a status without an id, which is never replayed. The edition has that status."""
        for view in self._views.values():
            view.firsts_at = None  # they have the earlier status
        return self._push_to_all(frame)

    def _admit(self, now_at: dt.datetime) -> list[Subscriber]:
        """Begin the streams of clients whose last event this server has reached."""
        admitted = [s for s, v in self._waiting.items() if not s.is_over and self._edition.resume_from(v) != "ahead"]
        for subscriber in admitted:
            self._begin(subscriber, self._waiting.pop(subscriber), now_at)
        return admitted

    def _push_to_all(self, frame: Frame) -> list[Subscriber]:
        subscribers = [subscriber for view in self._views.values() for subscriber in view.subscribers]
        for subscriber in subscribers:
            self._push(subscriber, frame)
        return subscribers

    def tick(self, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Give subscribers the changes that the interval of their view has held back."""
        woken: list[Subscriber] = []
        for view in self._views.values():
            if view.coalescer.take(now):
                needs_snapshot = self._edition.needs_snapshot(view.number)
                frame = self._next(view, view.number, now_at, needs_snapshot=needs_snapshot)
                woken += self._advance(view, frame, now, now_at)
        return woken

    @property
    def deadline(self) -> float | None:
        """When `tick` is due, in loop seconds."""
        deadlines = [view.coalescer.deadline for view in self._views.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def heartbeat(self, now_at: dt.datetime) -> list[Subscriber]:
        """Give a heartbeat to every subscriber with nothing to take, except those that beat by themselves."""
        return self.heartbeat_to((s for s in self._open() if not s.beats_by_itself), now_at)

    def heartbeat_to(self, subscribers: Iterable[Subscriber], now_at: dt.datetime) -> list[Subscriber]:
        """Give a heartbeat to the `subscribers` without waiting frames."""
        frame = Frame(framed("heartbeat", wire.Heartbeat(as_of=now_at)))
        quiet = [s for s in subscribers if not s.ring and not s.is_lost]
        for subscriber in quiet:
            self._push(subscriber, frame)
        return quiet

    def close(self, reason: str) -> list[Subscriber]:
        """End every stream with `bye`; streams opened later end at once."""
        self._byes = _byes(reason)
        subscribers = [*self._open()]
        for subscriber, bye in zip(subscribers, self._byes, strict=False):
            subscriber.bye = bye
        return subscribers

    def _open(self) -> Iterator[Subscriber]:
        yield from (subscriber for view in self._views.values() for subscriber in view.subscribers)
        yield from self._waiting

    def resync(self, subscriber: Subscriber, now_at: dt.datetime) -> Frame:
        """Return the snapshot that replaces the frames a slow subscriber has lost."""
        self._count_resync("ringOverflow")
        self._note_ahead(subscriber)
        return self._snapshot(subscriber.view, now_at)

    def _begin(self, subscriber: Subscriber, version: str | None, now_at: dt.datetime) -> None:
        """Put the first frame into the ring of a subscriber that has joined its view."""
        since = self._edition.resume_from(version)
        if since == "ahead":  # the wait is over: there is no such event
            since = "unknownEpoch"
        key = subscriber.view.selection, subscriber.view.coalescer.window_seconds
        if key not in self._views:  # the first of its view, or the view was dropped while it waited
            self._views[key] = subscriber.view
            subscriber.view.number = self._edition.number
        subscriber.view = self._views[key]
        subscriber.view.subscribers[subscriber] = None
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

    def _advance(
        self, view: View, frame: Frame | None, now: float, now_at: dt.datetime, *, with_status: bool = False
    ) -> Iterable[Subscriber]:
        """Give `frame`, what was published since the last one, to the subscribers of `view`. Returns those to wake."""
        since, view.number = view.number, self._edition.number
        if frame is None:
            view.ahead.clear()
            return ()
        view.coalescer.sent(now)
        if view.ahead:
            return self._advance_each(view, since, frame, now_at, with_status=with_status)
        for subscriber in view.subscribers:
            self._push(subscriber, frame)
        return view.subscribers

    def _advance_each(
        self, view: View, since: int, frame: Frame, now_at: dt.datetime, *, with_status: bool
    ) -> list[Subscriber]:
        """Send `frame` to the subscribers that are at event `since`, and a shorter delta to those already past it."""
        frames: dict[int, Frame | None] = {since: frame}
        woken = []
        for subscriber in view.subscribers:
            number = view.ahead.get(subscriber, since)
            if number not in frames:
                needs_snapshot = self._edition.needs_snapshot(number)
                frames[number] = self._next(
                    view, number, now_at, needs_snapshot=needs_snapshot, with_status=with_status
                )
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

    def _next(
        self, view: View, since: int, now_at: dt.datetime, *, needs_snapshot: bool, with_status: bool = False
    ) -> Frame | None:
        """Return the frame that brings clients at event `since` up to date, or None if `view` shows nothing of it."""
        if needs_snapshot:
            return self._snapshot(view, now_at)
        if with_status:
            return self._caught_up(view, since, now_at)
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
        """Return the events missed since event `since`. After a restart of a proxy, many clients resume at one event.

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
        known_version, made_at = view.firsts_at or ("", now_at)
        if known_version != version or abs(now_at - made_at) > _FIRSTS_AGE:
            view.firsts_at = version, now_at
            view.firsts = {}
        return view.firsts

    def _count_resync(self, reason: str) -> None:
        self.resyncs[reason] = self.resyncs.get(reason, 0) + 1


def _byes(reason: str) -> Iterator[Frame]:
    """Yield `bye` with one `retry` after another, without an end."""
    event = framed("bye", wire.Bye(reason=reason))
    return itertools.cycle([Frame(b"retry: %d\n%b" % (ms, event)) for ms in BYE_RETRIES_MS])


def _departure(subscriber: Subscriber) -> Departure:
    if subscriber.is_evicted:
        return "stalled"
    return "stopped" if subscriber.is_over else "client"
