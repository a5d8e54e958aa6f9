"""Decides which frame goes to which subscriber, and encodes each frame once.

Subscribers with the same filter and interval share a view, and each frame of a view is encoded once. A subscriber has
a ring of `ring_size` frames of its own: when it falls behind, its oldest frames go, and in place of all of them it gets
a snapshot, which is counted with its reason. Nobody waits for anybody. What is returned is the subscribers that
have something to take; waking them is the caller's work.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable

from condord.live import wire
from condord.live.coalescer import Coalescer
from condord.live.edition import Edition, Selection

RETRY = b"retry: 2000\n\n"

_SNAPSHOT_AGE = dt.timedelta(seconds=1)


class Subscriber:
    """One open stream. `wake` is for the adapter that serves it: called by that adapter alone."""

    __slots__ = ("_fanout", "farewell", "is_lost", "ring", "view", "wake")

    def __init__(self, fanout: Fanout, view: View, ring_size: int, wake: Callable[[], None]) -> None:
        self._fanout = fanout
        self.view = view
        self.ring: deque[bytes] = deque(maxlen=ring_size)
        self.is_lost = False
        self.farewell = b""
        self.wake = wake

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after the next `take`."""
        return bool(self.farewell)

    def take(self, now_at: dt.datetime) -> bytes:
        """Everything that waits, joined for one write; empty if nothing does."""
        if self.is_lost:
            self.is_lost = False
            self.ring.append(RETRY + self._fanout.resync(self.view, now_at))
        frames = b"".join(self.ring) + self.farewell
        self.ring.clear()
        return frames


class View:
    """The stream of one filter and interval: where it stands, and who follows it."""

    def __init__(self, selection: Selection, interval_seconds: float) -> None:
        self.selection = selection
        self.coalescer = Coalescer(interval_seconds)
        self.subscribers: dict[Subscriber, None] = {}
        self.number = 0
        self.snapshot: tuple[str, dt.datetime, bytes] | None = None


class Fanout:
    """All subscribers of `edition`. `ring_size` in frames."""

    def __init__(self, edition: Edition, *, ring_size: int) -> None:
        self._edition = edition
        self._ring_size = ring_size
        self._views: dict[tuple[Selection, float], View] = {}
        self.subscribers = 0
        self.frames = 0
        self.dropped = 0
        self.resyncs: dict[str, int] = {}
        self._farewell = b""

    def subscribe(
        self,
        *,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        now_at: dt.datetime,
        wake: Callable[[], None],
    ) -> Subscriber:
        """Open a stream; its first frames wait in it. `version` is the last event its client has seen."""
        key = selection, interval_seconds
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(selection, interval_seconds)
            view.number = self._edition.number
        subscriber = Subscriber(self, view, self._ring_size, wake)
        subscriber.farewell = self._farewell
        view.subscribers[subscriber] = None
        self.subscribers += 1
        subscriber.ring.append(RETRY + self._first_frame(view, version, now_at))
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream; a second time does nothing."""
        view = subscriber.view
        if view.subscribers.pop(subscriber, self) is self:
            return
        self.subscribers -= 1
        if not view.subscribers:
            self._views.pop((view.selection, view.coalescer.window_seconds), None)

    def publish(self, now: float, now_at: dt.datetime, *, urgent: bool = False) -> list[Subscriber]:
        """Send on what the edition has published since; `urgent` overrides the views' own intervals."""
        woken: list[Subscriber] = []
        for view in self._views.values():
            view.coalescer.offer(now)
            if view.coalescer.take(now) or urgent or self._edition.needs_snapshot(view.number):
                woken += self._advance(view, now, now_at)
        return woken

    def tick(self, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Send what views with an interval of their own have held back."""
        woken: list[Subscriber] = []
        for view in self._views.values():
            if view.coalescer.take(now):
                woken += self._advance(view, now, now_at)
        return woken

    @property
    def deadline(self) -> float | None:
        """When `tick` is due, in loop seconds."""
        deadlines = [view.coalescer.deadline for view in self._views.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def heartbeat(self, now_at: dt.datetime) -> list[Subscriber]:
        """Tell every subscriber with nothing to take that the link is alive."""
        frame = wire.frame("heartbeat", wire.Heartbeat(as_of=now_at))
        quiet = [s for view in self._views.values() for s in view.subscribers if not s.ring and not s.is_lost]
        for subscriber in quiet:
            self._push(subscriber, frame)
        return quiet

    def close(self, reason: str) -> list[Subscriber]:
        """End every stream with `bye`; later ones end at once."""
        self._farewell = wire.frame("bye", wire.Bye(reason=reason))
        everybody = [subscriber for view in self._views.values() for subscriber in view.subscribers]
        for subscriber in everybody:
            subscriber.farewell = self._farewell
        return everybody

    def resync(self, view: View, now_at: dt.datetime) -> bytes:
        """The snapshot that stands for all frames a slow subscriber has lost."""
        self._count_resync("ringOverflow")
        return self._snapshot(view, now_at)

    def _first_frame(self, view: View, version: str | None, now_at: dt.datetime) -> bytes:
        since = self._edition.resume_from(version)
        if isinstance(since, str):
            if version is not None:
                self._count_resync(since)
            self.frames += 1
            return self._snapshot(view, now_at)
        delta = self._edition.delta(since, now_at, view.selection)
        if delta is None:
            return b""
        self.frames += 1
        return wire.frame("delta", delta, self._edition.version)

    def _advance(self, view: View, now: float, now_at: dt.datetime) -> list[Subscriber]:
        since, view.number = view.number, self._edition.number
        if self._edition.needs_snapshot(since):
            frame = self._snapshot(view, now_at)
        else:
            delta = self._edition.delta(since, now_at, view.selection)
            if delta is None:
                return []
            frame = wire.frame("delta", delta, self._edition.version)
        view.coalescer.sent(now)
        for subscriber in view.subscribers:
            self._push(subscriber, frame)
        return list(view.subscribers)

    def _push(self, subscriber: Subscriber, frame: bytes) -> None:
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

    def _snapshot(self, view: View, now_at: dt.datetime) -> bytes:
        """The snapshot frame, encoded anew for each version, and after a second as its `asOf` is then old."""
        version = self._edition.version
        if view.snapshot is None or view.snapshot[0] != version or now_at - view.snapshot[1] > _SNAPSHOT_AGE:
            document = self._edition.document(now_at, view.selection)
            view.snapshot = version, now_at, wire.frame("snapshot", document, version)
        return view.snapshot[2]

    def _count_resync(self, reason: str) -> None:
        self.resyncs[reason] = self.resyncs.get(reason, 0) + 1
