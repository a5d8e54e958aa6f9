"""One open stream, and the view that streams with the same filter and interval share."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from condord.live.coalescer import Coalescer
from condord.live.compression import Coding, Frame
from condord.live.published import Selection

RETRY = b"retry: 2000\n"

_RETRY = Frame(RETRY)


class SnapshotSource(Protocol):
    """Makes the snapshot that replaces the frames a subscriber has lost."""

    def resync(self, subscriber: Subscriber, now_at: dt.datetime) -> Frame:
        """Return a snapshot."""


class Subscriber:
    """One open stream. `wake` makes the stream's writer call `take`. The fan-out itself never calls `wake`."""

    __slots__ = (
        "_coding",
        "_fanout",
        "_preface",
        "beats_by_itself",
        "bye",
        "is_evicted",
        "is_lost",
        "ring",
        "view",
        "wake",
    )

    def __init__(
        self, fanout: SnapshotSource, view: View, *, ring_size: int, coding: Coding, wake: Callable[[], None]
    ) -> None:
        self._fanout = fanout
        self._coding = coding
        # `retry` and comments go into the block of the first event: many clients emit an empty event for a block
        # without data.
        self._preface: tuple[Frame, ...] = (_RETRY,)
        self.view = view
        self.ring: deque[Frame] = deque(maxlen=ring_size)
        self.is_lost = False
        self.is_evicted = False
        self.beats_by_itself = False  # it gets heartbeats by `heartbeat_to` only
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
        frames: list[Frame] = []
        if self.ring:
            frames = [*self._preface, *self.ring]
            self._preface = ()
            self.ring.clear()
        if self.bye is not None:
            frames.append(self.bye)
        return self._coding.join(frames, is_last=self.bye is not None) if frames else b""


class View:
    """The stream of one filter and interval: the newest event sent, and its subscribers.

    With an interval, a view may be behind the published document. The first frame of a subscriber that joins or is
    resynced is current, so that subscriber is ahead of its view. Its next delta must begin later than the others', or
    its client would append points to a history twice.
    """

    def __init__(self, selection: Selection, interval_seconds: float) -> None:
        self.selection = selection
        self.is_plain = selection.is_everything and not interval_seconds
        self.coalescer = Coalescer(interval_seconds)
        self.subscribers: dict[Subscriber, None] = {}
        self.number = 0
        self.ahead: dict[Subscriber, int] = {}
        self.firsts: dict[int | None, Frame] = {}
        self.firsts_at: tuple[str, dt.datetime] | None = None


def wake(subscribers: Iterable[Subscriber]) -> None:
    """Have the writers of `subscribers` take the waiting frames."""
    for subscriber in subscribers:
        subscriber.wake()
