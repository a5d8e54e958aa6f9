"""Decides how many requests a key may still make: a fixed window of a minute, counted by key and API."""

from __future__ import annotations

import msgspec

WINDOW_SECONDS = 60


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What one request is told: whether it may pass, and the three X-RateLimit values."""

    is_allowed: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers every answer carries."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimit:
    """The windows of every key; `at` is seconds since 1970."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._window = -1
        self._used: dict[tuple[str, str], int] = {}

    def take(self, key: str, api: str, at: float) -> Allowance:
        """Count one request of `key` to `api`."""
        window = int(at) // WINDOW_SECONDS
        if window != self._window:
            self._window = window
            self._used.clear()
        used = self._used.get((key, api), 0) + 1
        self._used[key, api] = used
        return Allowance(
            is_allowed=used <= self.limit,
            limit=self.limit,
            remaining=max(0, self.limit - used),
            reset=(window + 1) * WINDOW_SECONDS,
        )
