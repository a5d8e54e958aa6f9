"""Decides which frame goes to which subscriber, and encodes each frame once.

Subscribers with the same filter and interval share a view, and each frame of a view is encoded once. A subscriber has
a ring of `ring_size` frames of its own: when it falls behind, its oldest frames go, and in place of all of them it gets
a snapshot. A snapshot that stands for what was missed is counted with its reason, and the reason is a comment before
it. Nobody waits for anybody. What is returned is the subscribers that have something to take; waking them is the
caller's work. Clients that are all told to go come back one after another.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Callable, Iterator

from condord.live import coding as codings
from condord.live import wire
from condord.live.coalescer import Coalescer
from condord.live.coding import Coding, CodingName, Frame
from condord.live.edition import Edition, Selection

RETRY = b"retry: 2000\n\n"
FAREWELL_RETRIES_MS = tuple(range(500, 5_500, 250))
"""After what time those who are told to go come back, in turn."""

RESYNCS = ("ringOverflow", "unknownEpoch", "replayWindowPassed", "positionsChanged", "historyGrew")
"""Why a snapshot stands for what was missed."""

_RETRY = Frame(RETRY)
_NOTHING = Frame(b"")
_FIRSTS_AGE = dt.timedelta(seconds=1)


class Subscriber:
    """One open stream. `wake` is for the adapter that serves it: called by that adapter alone."""

    __slots__ = ("_coding", "_fanout", "_preface", "farewell", "is_lost", "ring", "view", "wake")

    def __init__(self, fanout: Fanout, view: View, *, ring_size: int, coding: Coding, wake: Callable[[], None]) -> None:
        self._fanout = fanout
        self._coding = coding
        self._preface: tuple[Frame, ...] = (_RETRY,)
        self.view = view
        self.ring: deque[Frame] = deque(maxlen=ring_size)
        self.is_lost = False
        self.farewell: Frame | None = None
        self.wake = wake

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after the next `take`."""
        return self.farewell is not None

    def begin(self, frame: Frame, reason: str | None) -> None:
        """Start with `frame`; `reason` why it is a snapshot and not what was missed."""
        self._preface = (_RETRY,) if reason is None else (_RETRY, Frame(b": resync, %b\n\n" % reason.encode()))
        self.ring.append(frame)

    def take(self, now_at: Callable[[], dt.datetime]) -> bytes:
        """Everything that waits, joined for one write; empty if nothing does. The clock is read only if it is told."""
        if self.is_lost:
            self.is_lost = False
            self.begin(self._fanout.resync(self.view, now_at()), "ringOverflow")
        frames = [*self._preface, *self.ring]
        self._preface = ()
        self.ring.clear()
        if self.farewell is not None:
            frames.append(self.farewell)
        return self._coding.join(frames, is_last=self.farewell is not None) if frames else b""


class View:
    """The stream of one filter and interval: where it stands, and who follows it."""

    def __init__(self, selection: Selection, interval_seconds: float) -> None:
        self.selection = selection
        self.coalescer = Coalescer(interval_seconds)
        self.subscribers: dict[Subscriber, None] = {}
        self.number = 0
        self.firsts: dict[int | None, Frame] = {}
        self.firsts_at: tuple[str, dt.datetime] | None = None


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
        self._farewells: Iterator[Frame] | None = None

    def subscribe(
        self,
        *,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        now_at: dt.datetime,
        wake: Callable[[], None],
        coding: CodingName = "identity",
    ) -> Subscriber:
        """Open a stream; its first frames wait in it. `version` is the last event its client has seen."""
        key = selection, interval_seconds
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(selection, interval_seconds)
            view.number = self._edition.number
        subscriber = Subscriber(self, view, ring_size=self._ring_size, coding=codings.coding(coding), wake=wake)
        if self._farewells is not None:
            subscriber.farewell = next(self._farewells)
        view.subscribers[subscriber] = None
        self.subscribers += 1
        self._begin(subscriber, version, now_at)
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
            if view.coalescer.take(now) or urgent or self._edition.needs_snapshot(view.number, view.selection):
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
        frame = Frame(wire.frame("heartbeat", wire.Heartbeat(as_of=now_at)))
        quiet = [s for view in self._views.values() for s in view.subscribers if not s.ring and not s.is_lost]
        for subscriber in quiet:
            self._push(subscriber, frame)
        return quiet

    def close(self, reason: str) -> list[Subscriber]:
        """End every stream with `bye`; later ones end at once."""
        bye = wire.frame("bye", wire.Bye(reason=reason))
        self._farewells = itertools.cycle([Frame(b"retry: %d\n%b" % (ms, bye)) for ms in FAREWELL_RETRIES_MS])
        everybody = [subscriber for view in self._views.values() for subscriber in view.subscribers]
        for subscriber, farewell in zip(everybody, self._farewells, strict=False):
            subscriber.farewell = farewell
        return everybody

    def resync(self, view: View, now_at: dt.datetime) -> Frame:
        """The snapshot that stands for all frames a slow subscriber has lost."""
        self._count_resync("ringOverflow")
        return self._snapshot(view, now_at)

    def _begin(self, subscriber: Subscriber, version: str | None, now_at: dt.datetime) -> None:
        since = self._edition.resume_from(version, subscriber.view.selection)
        if isinstance(since, int):
            subscriber.begin(self._caught_up(subscriber.view, since, now_at), None)
        else:
            if version is not None:
                self._count_resync(since)
            subscriber.begin(self._snapshot(subscriber.view, now_at), None if version is None else since)
        self.frames += 1

    def _advance(self, view: View, now: float, now_at: dt.datetime) -> list[Subscriber]:
        since, view.number = view.number, self._edition.number
        is_whole = self._edition.needs_snapshot(since, view.selection)
        frame = self._snapshot(view, now_at) if is_whole else self._delta(view, since, now_at)
        if not frame.raw:
            return []
        view.coalescer.sent(now)
        for subscriber in view.subscribers:
            self._push(subscriber, frame)
        return list(view.subscribers)

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

    def _delta(self, view: View, since: int, now_at: dt.datetime) -> Frame:
        """What changed since an event; empty where `view` shows nothing of it."""
        delta = self._edition.delta(since, now_at, view.selection)
        return _NOTHING if delta is None else Frame(wire.frame("delta", delta, self._edition.version))

    def _snapshot(self, view: View, now_at: dt.datetime) -> Frame:
        """The document as `view` shows it."""
        firsts = self._firsts(view, now_at)
        if None not in firsts:
            document = self._edition.document(now_at, view.selection)
            firsts[None] = Frame(wire.frame("snapshot", document, self._edition.version))
        return firsts[None]

    def _caught_up(self, view: View, since: int, now_at: dt.datetime) -> Frame:
        """What clients have missed that were at an event: many come back at once with the same.

        Who has missed nothing is told that, so that nobody has to wait for a heartbeat to know it.
        """
        firsts = self._firsts(view, now_at)
        if since not in firsts:
            delta = self._edition.delta(since, now_at, view.selection)
            nothing = wire.Delta(as_of=now_at, quotes=[], valuations=[], unmatched=[])
            firsts[since] = Frame(wire.frame("delta", delta or nothing, self._edition.version))
        return firsts[since]

    def _firsts(self, view: View, now_at: dt.datetime) -> dict[int | None, Frame]:
        """First frames by the event they follow: of one version, and for a second, as their `asOf` is then old."""
        version = self._edition.version
        if view.firsts_at is None or view.firsts_at[0] != version or abs(now_at - view.firsts_at[1]) > _FIRSTS_AGE:
            view.firsts_at = version, now_at
            view.firsts = {}
        return view.firsts

    def _count_resync(self, reason: str) -> None:
        self.resyncs[reason] = self.resyncs.get(reason, 0) + 1
