"""Decides when a request may go: 200 a minute for all callers, and none before Alpaca wants one.

Alpaca permits 200 requests a minute, and counts the trading API and the data API apart; our 200 are for both. They are
divided into two shares that never borrow: 140 for positions, quotes and clock ("main"), 60 for contracts, orders and
the calendar ("side"), so that the one never waits for the other. A share counts over any 60 seconds, retries included.

Alpaca's own word counts for the host that said it, as other programs may use the same key: after a 429 with a wait, or
an answer that leaves no request, that host is asked nothing until then, at most for a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal

Share = Literal["main", "side"]
Host = Literal["trading", "data"]

SHARES: Mapping[Share, int] = {"main": 140, "side": 60}
WINDOW_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 60.0


class Budget:
    """What has gone in the last minute, and who wants a pause; `now` is in monotonic seconds, and never runs back."""

    def __init__(self) -> None:
        self._leaving: dict[Share, deque[float]] = {share: deque(maxlen=most) for share, most in SHARES.items()}
        self._paused_until: dict[Host, float] = {}

    def share_seconds(self, share: Share, now: float) -> float:
        """Seconds until the share has room for one request; 0 if it has."""
        leaving = self._leaving[share]
        return max(0.0, leaving[0] - now) if len(leaving) == SHARES[share] else 0.0

    def pause_seconds(self, host: Host, now: float) -> float:
        """Seconds for which Alpaca wants no request to `host`."""
        return max(0.0, self._paused_until.get(host, now) - now)

    def take(self, share: Share, host: Host, now: float) -> bool:
        """Count one request that goes now; False, and nothing counted, if none may go."""
        if self.share_seconds(share, now) or self.pause_seconds(host, now):
            return False
        self._leaving[share].append(now + WINDOW_SECONDS)
        return True

    def pause(self, host: Host, seconds: float, now: float) -> None:
        """Alpaca wants no request to `host` for so long; what it said before still holds."""
        until = now + min(LONGEST_PAUSE_SECONDS, seconds)
        self._paused_until[host] = max(until, self._paused_until.get(host, until))


def told_pause(headers: Mapping[str, str], epoch_seconds: float) -> float:
    """Seconds that the headers of any answer ask us to wait: until the reset if no request is left, else 0."""
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") != "0" or not (reset.isascii() and reset.isdigit()):
        return 0.0
    return max(0.0, float(reset) - epoch_seconds)
