"""Open and close the streams of the daemon's subscribers, up to the limit, and send heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable

from condord.config import schema
from condord.daemon.feed import wake
from condord.live.compression import CodingName
from condord.live.fanout import Fanout, Subscriber
from condord.live.published import Selection

DRAIN_SECONDS = 1.0
"""How long a stop waits for the streams to send their `bye` and close."""


class Subscribers:
    """The streams of `fanout`. `settings` returns the configuration in force, `now_at` the exchange's clock (UTC).

    `sent_bytes` counts what was written to all of them, chunk headers included.
    """

    def __init__(
        self, fanout: Fanout, *, settings: Callable[[], schema.Server], now_at: Callable[[], dt.datetime]
    ) -> None:
        self.sent_bytes = 0
        self.now_at = now_at
        self.evict = fanout.evict
        self._fanout = fanout
        self._settings = settings
        self._is_closed = False
        self._drained = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether another stream may open."""
        return self._fanout.subscribers < self._settings().max_subscribers and not self._is_closed

    @property
    def compresses(self) -> bool:
        """Whether streams are deflated for clients that accept gzip."""
        return self._settings().compression

    def subscribe(
        self,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        coding: CodingName,
        wake: Callable[[], None],
        *,
        is_chunked: bool = False,
    ) -> Subscriber:
        """Open a stream; see `Fanout.subscribe`. The caller has checked `has_room`."""
        return self._fanout.subscribe(
            selection=selection,
            interval_seconds=interval_seconds,
            version=version,
            now_at=self.now_at(),
            wake=wake,
            coding=coding,
            is_chunked=is_chunked,
        )

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream; a second call does nothing."""
        self._fanout.unsubscribe(subscriber)
        if self._is_closed and not self._fanout.subscribers:
            self._drained.set()

    async def heartbeats(self) -> None:
        """Send heartbeats until cancelled, with one timer for all streams."""
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
