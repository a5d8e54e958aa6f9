"""Open and close the streams of a server's subscribers, up to the limit, and send heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
from collections.abc import Callable
from typing import Protocol

from condord.config import schema
from condord.live.compression import CodingName
from condord.live.fanout import Fanout
from condord.live.published import Selection
from condord.live.subscriber import Subscriber, wake

AHEAD_SECONDS = 3.0
"""How long a client whose last event is ahead of this server is kept waiting."""
DRAIN_SECONDS = 1.0
"""How long a stop waits for the streams to send their `bye` and close."""


class SubscriberSlots(Protocol):
    """The subscribers that may still connect, perhaps counted over several processes."""

    def take(self, own: int, most: int) -> bool:
        """Reserve a slot beside this process's `own` subscribers, of `most` in all; False if none is free."""

    def note(self, own: int) -> None:
        """Replace the number of this process's subscribers."""


class OwnSlots:
    """Slots of a process that serves its port by itself."""

    def take(self, own: int, most: int) -> bool:
        """Whether a slot is free."""
        return own < most

    def note(self, own: int) -> None:
        """Do nothing: the fan-out counts."""


class Subscribers:
    """The streams of `fanout`. `settings` returns the configuration in force, `now_at` the exchange's clock (UTC).

    The processes that serve one port share `slots`. `sent_bytes` counts what was written to all streams, chunk headers
    included.
    """

    def __init__(
        self,
        fanout: Fanout,
        *,
        settings: Callable[[], schema.Server],
        now_at: Callable[[], dt.datetime],
        slots: SubscriberSlots | None = None,
    ) -> None:
        self.sent_bytes = 0
        self.now_at = now_at
        self.evict = fanout.evict
        self._fanout = fanout
        self._settings = settings
        self._slots = slots or OwnSlots()
        self._is_closed = False
        self._drained = asyncio.Event()
        self._beating: dict[float, dict[Subscriber, None]] = {}

    @property
    def has_room(self) -> bool:
        """Whether another stream may open. If so, its slot is reserved until the next stream opens or closes."""
        return not self._is_closed and self._slots.take(self._fanout.subscribers, self._settings().max_subscribers)

    @property
    def compresses(self) -> bool:
        """Whether streams are deflated for clients that accept gzip."""
        return self._settings().compression

    @property
    def heartbeat_seconds(self) -> float:
        """The longest time between two heartbeats."""
        return self._settings().heartbeat_seconds

    def subscribe(
        self,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        coding: CodingName,
        wake: Callable[[], None],
        *,
        is_chunked: bool = False,
        heartbeat_seconds: float | None = None,
    ) -> Subscriber:
        """Open a stream; see `Fanout.subscribe`. The caller has checked `has_room`.

        Heartbeats come at least every `heartbeat_seconds`, which is half a second or more.
        """
        subscriber = self._fanout.subscribe(
            selection=selection,
            interval_seconds=interval_seconds,
            version=version,
            now_at=self.now_at(),
            wake=wake,
            coding=coding,
            is_chunked=is_chunked,
        )
        self.note_slots()
        if self._fanout.is_waiting(subscriber):
            asyncio.get_running_loop().call_later(AHEAD_SECONDS, self._stop_waiting, subscriber)
        if heartbeat_seconds is not None:
            self._beat_for(subscriber, math.floor(heartbeat_seconds * 2) / 2)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream; a second call does nothing."""
        self._fanout.unsubscribe(subscriber)
        self.note_slots()
        if subscriber.beats_by_itself:
            for beating in self._beating.values():
                beating.pop(subscriber, None)
        if self._is_closed and not self._fanout.subscribers:
            self._drained.set()

    def note_slots(self) -> None:
        """Correct the room taken to the number of open streams."""
        self._slots.note(self._fanout.subscribers)

    async def heartbeats(self) -> None:
        """Send heartbeats until cancelled, with one timer for all streams that have not asked for an interval."""
        while True:
            await asyncio.sleep(self._settings().heartbeat_seconds)
            wake(self._fanout.heartbeat(self.now_at()))

    async def say_bye(self, reason: str) -> None:
        """End every stream with `bye`, and wait up to `DRAIN_SECONDS` for them to close. `has_room` stays False."""
        self._is_closed = True
        wake(self._fanout.close(reason))
        if self._fanout.subscribers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drained.wait()

    def _stop_waiting(self, subscriber: Subscriber) -> None:
        wake(self._fanout.stop_waiting(subscriber, self.now_at()))

    def _beat_for(self, subscriber: Subscriber, seconds: float) -> None:
        """Send heartbeats to `subscriber` every `seconds`, with one timer for all that have this interval."""
        subscriber.beats_by_itself = True
        if seconds not in self._beating:
            self._beating[seconds] = {}
            asyncio.get_running_loop().call_later(seconds, self._beat, seconds)
        self._beating[seconds][subscriber] = None

    def _beat(self, seconds: float) -> None:
        beating = self._beating[seconds]
        if not beating:
            del self._beating[seconds]
            return
        wake(self._fanout.heartbeat_to(beating, self.now_at()))
        asyncio.get_running_loop().call_later(seconds, self._beat, seconds)
