"""The subscribers of the daemon: who may come, what keeps them awake, and how they are told to go."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable
from typing import Literal, get_args

from condord import config
from condord.desk import wake
from condord.live.coding import CodingName
from condord.live.edition import Selection
from condord.live.fanout import Fanout, Subscriber

DRAIN_SECONDS = 1.0
"""How long streams get to take their `bye`."""

Departure = Literal["client", "stalled", "stopped"]
"""Who has ended a stream: its client, we as nothing was taken, or we as the daemon stops."""


class Audience:
    """Everybody who follows `fanout`; `settings` gives the configuration in force, `now_at` the wall clock (UTC)."""

    def __init__(
        self, fanout: Fanout, *, settings: Callable[[], config.Server], now_at: Callable[[], dt.datetime]
    ) -> None:
        self.taken_bytes = 0
        self.disconnects: dict[str, int] = dict.fromkeys(get_args(Departure), 0)
        self._stalled = 0
        self._fanout = fanout
        self._settings = settings
        self._now_at = now_at
        self._is_closed = False
        self._drained = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether another subscriber may come."""
        return self._fanout.subscribers < self._settings().max_subscribers and not self._is_closed

    @property
    def evicted(self) -> int:
        """How many were closed as they took nothing, those included that are about to leave."""
        return self.disconnects["stalled"] + self._stalled

    @property
    def compresses(self) -> bool:
        """Whether streams are deflated for whoever takes gzip."""
        return self._settings().compression

    def subscribe(
        self,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        coding: CodingName,
        wake: Callable[[], None],
    ) -> Subscriber:
        """Open a stream."""
        return self._fanout.subscribe(
            selection=selection,
            interval_seconds=interval_seconds,
            version=version,
            now_at=self._now_at(),
            wake=wake,
            coding=coding,
        )

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream."""
        self._fanout.unsubscribe(subscriber)
        self.disconnects[self._departure(subscriber)] += 1
        if self._is_closed and not self._fanout.subscribers:
            self._drained.set()

    def take(self, subscriber: Subscriber) -> bytes:
        """Everything that waits for `subscriber`."""
        taken = subscriber.take(self._now_at)
        self.taken_bytes += len(taken)
        return taken

    def note_eviction(self) -> None:
        """A subscriber that took nothing is closed."""
        self._stalled += 1

    def _departure(self, subscriber: Subscriber) -> Departure:
        """Why it leaves. The evicted leave a moment later; of two that leave in it, which is which is no matter."""
        if self._stalled:
            self._stalled -= 1
            return "stalled"
        return "stopped" if subscriber.is_over else "client"

    async def heartbeats(self) -> None:
        """Show everybody that the link is alive, by one timer for all; until cancelled."""
        while True:
            await asyncio.sleep(self._settings().heartbeat_seconds)
            wake(self._fanout.heartbeat(self._now_at()))

    async def say_bye(self, reason: str) -> None:
        """End every stream, and give the subscribers a moment to take it; later ones find no room."""
        self._is_closed = True
        wake(self._fanout.close(reason))
        if self._fanout.subscribers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drained.wait()
