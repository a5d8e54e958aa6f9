"""Poll over REST: on request (rate-limited), once per period, and again after a failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

BURST = 2
PACE_SECONDS = 2.0
"""The pace of polls on request, which is slower than the budget of positions allows."""
RETRY_SECONDS = 5.0
"""How soon a failed poll is repeated; while the breaker is open, a poll sends no request."""
MAX_DOUBLINGS = 5


class Poller:
    """One kind of REST poll: soon after `ask`, every `period` seconds anyway, and sooner after a failure.

    However often `ask` is called, at most `BURST` polls start at once, and then one every `pace` seconds. So a flood of
    refreshes, trade updates, signals or reconnects is limited to that many requests. With `backs_off`, the pauses after
    failures double, up to `period`: an endpoint without a breaker has no other protection.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bool]],
        period: float,
        *,
        pace: float | None = None,
        is_due: bool = True,
        backs_off: bool = False,
    ) -> None:
        self._period = period
        self._pace = PACE_SECONDS if pace is None else pace
        self._read = read
        self._backs_off = backs_off
        self._failures = 0
        self._paid_until = 0.0
        self._asked = asyncio.Event()
        if is_due:
            self._asked.set()

    def set_period(self, period: float) -> None:
        """Poll every `period` seconds after the next poll."""
        self._period = period

    def set_pace(self, pace: float) -> None:
        """Start polls on request at least `pace` seconds apart from now on, but for a burst."""
        self._pace = pace

    def ask(self) -> None:
        """Poll soon; a call during a poll starts another one after it."""
        self._asked.set()

    async def run(self, pause: float = 0.0) -> None:
        """Poll until cancelled; `pause` is in seconds, and merges a burst of requests into one poll."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + min(self._period, self._retry_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._asked.wait()
            may_begin = self._paid_until - (BURST - 1) * self._pace
            await asyncio.sleep(max(pause, min(may_begin, due) - now()))
            self._asked.clear()
            self._paid_until = min(max(now(), self._paid_until) + self._pace, now() + BURST * self._pace)
            self._failures = 0 if await self._read() else self._failures + 1

    @property
    def _retry_seconds(self) -> float:
        if not self._failures:
            return self._period
        return RETRY_SECONDS * 2.0 ** min(self._failures - 1, MAX_DOUBLINGS) if self._backs_off else RETRY_SECONDS
