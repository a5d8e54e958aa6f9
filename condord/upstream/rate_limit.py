"""The request budget: 200 requests a minute to each API, and none during a pause that Alpaca sets.

Alpaca permits 200 requests a minute, and counts the trading API and the data API separately. They are divided into
shares that never borrow from each other, so that none waits for another:

    share       trading   data   a minute
    positions        45      -   reserved: a fill and the end of an outage are noticed despite other requests
    main             30     95   the clock, which is read every 2 s at most; quotes
    side             40      1   orders, activities and the calendar; splits, once a day
    spare            20      -   contracts and anything else that is not urgent
    account          40      -   balances and transfers, working orders, fills of the day
    past             20      -   activities of the account's past
    prices            -     30   prices of underlyings: stocks and indexes, each every 5 s
    figures           -     30   Alpaca's figures of options, quotes of opposite contracts, dividends
    closes            -     10   closes of stocks on days of the past
                    195    166

A share limits the requests, retries included, in any span of some length. The span for positions is short, 3 requests
in 4 s, so that the next request never waits longer than 4 s; that for prices is 6 in 12 s, and that for the past 5 in
15 s, so that hundreds of pages are read evenly. One bucket of 200 with priorities was rejected: a burst of low priority
could still empty it before a fill.

Other programs may use the same key. So after a 429 with a wait, or an answer that leaves no request, that host gets no
request until then, for a minute at most. The shares `past` and `closes` stop when an answer leaves 60 requests or less,
so that they never use those that others need.
"""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections import deque
from collections.abc import Mapping
from typing import Literal, NamedTuple

Share = Literal["positions", "main", "side", "spare", "account", "past", "prices", "figures", "closes"]
AlpacaHost = Literal["trading", "data"]


class RateLimit(NamedTuple):
    """At most `most` requests in any span of `seconds`."""

    most: int
    seconds: float


SHARES: Mapping[Share, RateLimit] = {
    "positions": RateLimit(3, 4.0),
    "main": RateLimit(95, 60.0),
    "side": RateLimit(20, 30.0),
    "spare": RateLimit(20, 60.0),
    "account": RateLimit(20, 30.0),
    "past": RateLimit(5, 15.0),
    "prices": RateLimit(6, 12.0),
    "figures": RateLimit(30, 60.0),
    "closes": RateLimit(10, 60.0),
}
MAX_PAUSE_SECONDS = 60.0
YIELDING: frozenset[Share] = frozenset({"past", "closes"})
"""The shares whose requests can wait for minutes."""
RESERVE = 60
"""How many requests to a host the shares in `YIELDING` leave to the others."""


class Budget:
    """Recent requests and current pauses; `now` is in monotonic seconds."""

    def __init__(self) -> None:
        self._leaving: dict[Share, deque[float]] = {share: deque(maxlen=bound.most) for share, bound in SHARES.items()}
        self._paused_until: dict[AlpacaHost, float] = {}
        self._yielding_until: dict[AlpacaHost, float] = {}

    def share_seconds(self, share: Share, now: float) -> float:
        """Seconds until the share has room for one request; 0 if it has room now."""
        leaving = self._leaving[share]
        return max(0.0, leaving[0] - now) if len(leaving) == SHARES[share].most else 0.0

    def room(self, share: Share, now: float) -> int:
        """How many requests the share permits at once."""
        return SHARES[share].most - sum(at > now for at in self._leaving[share])

    def pause_seconds(self, host: AlpacaHost, now: float, share: Share | None = None) -> float:
        """Seconds until the pause of `host` ends, or also that of `share`; 0 without one."""
        yielding_until = self._yielding_until.get(host, now) if share in YIELDING else now
        return max(0.0, self._paused_until.get(host, now) - now, yielding_until - now)

    def take(self, share: Share, host: AlpacaHost, now: float) -> bool:
        """Count a request that is sent now. If none may be sent, return False and count nothing."""
        if self.share_seconds(share, now) or self.pause_seconds(host, now, share):
            return False
        self._leaving[share].append(now + SHARES[share].seconds)
        return True

    def pause(self, host: AlpacaHost, seconds: float, now: float) -> None:
        """Send no request to `host` for `seconds`, a minute at most. A pause that ends later stays."""
        until = now + min(MAX_PAUSE_SECONDS, seconds)
        self._paused_until[host] = max(until, self._paused_until.get(host, until))

    def pause_yielding(self, host: AlpacaHost, seconds: float, now: float) -> None:
        """Send no request of the shares `YIELDING` to `host` for `seconds`, a minute at most."""
        self._yielding_until[host] = now + min(MAX_PAUSE_SECONDS, seconds)


def requested_pause(headers: Mapping[str, str], epoch_seconds: float, *, reserve: int = 0) -> float:
    """The seconds until the reset if the headers of an answer leave at most `reserve` requests, else 0."""
    left, reset = (headers.get(f"X-RateLimit-{name}", "") for name in ("Remaining", "Reset"))
    if not all(text.isascii() and text.isdigit() for text in (left, reset)) or float(left) > reserve:
        return 0.0
    return max(0.0, float(reset) - epoch_seconds)


def retry_after(response: object) -> float | None:
    """Seconds until `Retry-After` or `X-RateLimit-Reset` (epoch seconds); None without a usable header.

    A reset in the past is not usable: it is in whole seconds, and this machine's clock may be ahead.
    """
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    after = headers.get("Retry-After", "")
    if after.isascii() and after.isdigit():
        return float(after)
    dated = email.utils.parsedate_tz(after)
    if dated is not None:
        with contextlib.suppress(ValueError, OverflowError):  # the year is out of range
            return max(0.0, email.utils.mktime_tz(dated) - time.time())
    reset = headers.get("X-RateLimit-Reset", "")
    if reset.isascii() and reset.isdigit():
        wait_seconds = float(reset) - time.time()
        return wait_seconds if wait_seconds > 0.0 else None
    return None
