"""The minutes that wait for a slow disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from condord.live.minutes import MinuteRow

QUEUED_MINUTES = 60
"""How many minutes wait; then the oldest is dropped."""
STOP_SECONDS = 1.0
"""How long a stop waits for the last minute to be written."""


class MinuteQueue:
    """The rows of minutes, in their order."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Sequence[MinuteRow]] = asyncio.Queue(QUEUED_MINUTES)

    def put(self, rows: Sequence[MinuteRow]) -> None:
        """Add the rows of a minute; if there is no room, drop the oldest."""
        if self._waiting.full():
            self._drop()
        self._waiting.put_nowait(rows)

    async def get(self) -> Sequence[MinuteRow]:
        """Wait for a minute and return its rows; the caller calls `done` when they are written."""
        return await self._waiting.get()

    def done(self) -> None:
        """Note that the rows of a minute that `get` has returned are written, or cannot be."""
        self._waiting.task_done()

    async def written(self) -> None:
        """Wait until everything is written, `STOP_SECONDS` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._waiting.join()

    def clear(self) -> None:
        """Drop all minutes that wait."""
        while not self._waiting.empty():
            self._drop()

    def _drop(self) -> None:
        self._waiting.get_nowait()
        self._waiting.task_done()
