"""Limit requests per key and API in fixed windows of one minute."""

from __future__ import annotations

import msgspec

WINDOW_SECONDS = 60


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a request is allowed, and its three X-RateLimit values; `reset` is seconds since 1970."""

    is_allowed: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The X-RateLimit headers of the response."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """At most `limit` requests a minute for each key and API; `at` is seconds since 1970."""

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
