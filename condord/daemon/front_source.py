"""The events that a front serves: those of its own maker while it leads, which it also publishes, else the bus's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from condord.cluster.interfaces import Answer, EventSink
from condord.cluster.loss_reason import NO_OTHER_LEADER
from condord.live.replica import LostCode, SourceEvent
from condord.tasks import stopped


class EventFollower(Protocol):
    """Follows the bus or a maker."""

    async def run(self) -> None:
        """Follow until cancelled."""

    def retry(self) -> None:
        """Connect now instead of after the wait."""

    def note_suspension(self, seconds: float) -> None:
        """Report a loss if nothing has been read for too long: this process has not run for `seconds`."""


class RequestAnswerer(Protocol):
    """Answers requests: the maker, or over the bus the leader."""

    async def ask(self, method: str, target: str) -> Answer:
        """Return the answer to a request."""


class FrontSink(EventSink, Protocol):
    """An `EventSink` for the events of a maker, too."""

    def lose_maker(self, reason: str) -> None:
        """Note that nothing comes from the maker of this ingester, until an event brings its status."""

    def note_takeover(self) -> None:
        """Note that this ingester leads, and that its maker has not sent anything yet."""


class AnnouncementSink(Protocol):
    """Gives others on the bus the leader's events and answers."""

    @property
    def forbidden(self) -> str | None:
        """The permission that a leader lacks on the bus; None if none is known to be missing."""

    def lead(self, fence: int) -> None:
        """Publish under this fence from now on."""

    def take(self, event: SourceEvent) -> None:
        """Publish an event."""

    def step_down(self) -> None:
        """Publish nothing from now on."""


class MakerSink:
    """An `EventSink` for the events of a maker: gives each to `feed`, and publishes it under `fence`.

    Nothing is published before the first event, so that nobody gets an earlier leader's document under this fence.
    """

    def __init__(self, feed: FrontSink, announcements: AnnouncementSink, fence: int) -> None:
        self._feed = feed
        self._announcements = announcements
        self._fence = fence
        self._has_begun = False

    @property
    def resume_version(self) -> str | None:
        """The last event, to resume after; None for a first snapshot."""
        return self._feed.resume_version if self._has_begun else None

    @property
    def needs_snapshot(self) -> bool:
        """Whether there is a gap."""
        return self._feed.needs_snapshot

    @property
    def is_lost(self) -> bool:
        """Whether nothing comes from the maker."""
        return self._feed.is_lost

    def begin(self) -> None:
        """Note that a connection begins."""
        self._feed.begin()

    def take(self, event: SourceEvent) -> None:
        """Take and publish the next event.

        Raises:
            UnreadableEvent: it cannot be decoded.
        """
        self._feed.take(event)
        if not self._has_begun:
            self._has_begun = True
            self._announcements.lead(self._fence)
        self._announcements.take(event)

    def lose(self, reason: str, code: LostCode = "leaderLost") -> None:  # noqa: ARG002 - it is always the maker
        """Note that nothing comes from the maker."""
        self._feed.lose_maker(reason)


class FrontSource:
    """Implements `condord.daemon.term.SourceSwitch`.

    `of_bus` follows the leading ingester, and `of_maker` returns a follower of the maker for a sink. `ask_bus` and
    `ask_maker` answer the requests that the front cannot.
    """

    def __init__(
        self,
        feed: FrontSink,
        announcements: AnnouncementSink,
        *,
        of_bus: EventFollower,
        of_maker: Callable[[EventSink], EventFollower],
        ask_bus: RequestAnswerer,
        ask_maker: RequestAnswerer,
    ) -> None:
        self._feed = feed
        self._announcements = announcements
        self._of_bus = of_bus
        self._of_maker = of_maker
        self._ask_bus = ask_bus
        self._ask_maker = ask_maker
        self._followed = of_bus
        self._change = asyncio.Event()  # is set, and replaced, when the source changes next

    @property
    def is_leading(self) -> bool:
        """Whether the maker is followed, not the bus."""
        return self._followed is not self._of_bus

    @property
    def is_lost(self) -> bool:
        """Whether the source sends nothing."""
        return self._feed.is_lost

    @property
    def forbidden(self) -> str | None:
        """The permission that a leader lacks on the bus; None if none is known to be missing."""
        return self._announcements.forbidden

    def lead(self, fence: int) -> None:
        """Follow the maker from now on, and publish its events. An earlier loss is not the maker's."""
        if self._feed.is_lost:
            self._feed.note_takeover()
        self._follow(self._of_maker(MakerSink(self._feed, self._announcements, fence)))

    def stand_by(self) -> None:
        """Follow the bus from now on. What the maker has sent is lost until another leader's frame comes."""
        if self.is_leading:
            self._feed.lose(NO_OTHER_LEADER, "leaderLost")
        self._announcements.step_down()
        self._follow(self._of_bus)

    def retry(self) -> None:
        """Connect now instead of after the wait."""
        self._followed.retry()

    def note_suspension(self, seconds: float) -> None:
        """Report a loss if nothing has been read from the source for too long."""
        self._followed.note_suspension(seconds)

    async def ask(self, method: str, target: str) -> Answer:
        """Return the answer of this process's maker, or, over the bus, of the leader.

        A GET that waits for an answer when this process begins or ceases to lead is sent again: a leader that is gone
        would not answer it, and a copy of an earlier answer may be outdated.

        Raises:
            Unavailable: there is none.
        """
        while True:
            questions = self._ask_maker if self.is_leading else self._ask_bus
            if method != "GET":  # it may have been carried out, so it is not sent again
                return await questions.ask(method, target)
            answering = asyncio.create_task(questions.ask(method, target))
            change = asyncio.create_task(self._change.wait())
            try:
                await asyncio.wait((answering, change), return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    return answering.result()
            finally:
                await stopped((answering, change))

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            following = asyncio.create_task(self._followed.run())
            change = asyncio.create_task(self._change.wait())
            try:
                await asyncio.wait((following, change), return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            finally:
                await stopped((following, change))

    def _follow(self, followed: EventFollower) -> None:
        self._followed = followed
        self._change.set()
        self._change = asyncio.Event()
