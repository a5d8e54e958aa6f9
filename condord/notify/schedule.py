"""When a message is tried again, and when it expires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from condord.core.calendar import Calendar
from condord.core.expiry import trades_late
from condord.core.market_hours import LATE, exchange_day

RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0)
"""The waits after the first failures of a message."""
LAST_RETRY_SECONDS = 1800.0
"""The wait after each later failure."""
MIN_LIFE = dt.timedelta(seconds=60)
"""How long a message shortly before the close is kept at least, so that it is tried more than once."""


def retry_seconds(attempts: int) -> float:
    """Return how long to wait after `attempts` failures, 1 or more."""
    return RETRY_SECONDS[attempts - 1] if attempts <= len(RETRY_SECONDS) else LAST_RETRY_SECONDS


ExpiresAt = Callable[[str | None], dt.datetime]
"""Returns when a message about an underlying expires; None stands for the account."""


def session_end(calendar: Calendar, now_at: dt.datetime, underlying: str | None) -> dt.datetime:
    """Return when the options on an underlying stop trading in the session under way at `now_at`, or else in the next.

    `now_at` is on the exchange's clock. Without an underlying, the session ends when the last options stop trading.
    """
    later = LATE if underlying is None or trades_late(underlying) else dt.timedelta()
    today = exchange_day(now_at)
    hours = calendar.on(today)
    if hours is None or now_at >= hours.close_at + later:
        hours = calendar.first_after(today)
    return hours.close_at + later


def expiry(session_end_at: dt.datetime, now_at: dt.datetime) -> dt.datetime:
    """Return when a message that is queued at `now_at` expires."""
    return max(session_end_at, now_at + MIN_LIFE)
