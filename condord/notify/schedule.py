"""When a message is tried again, and when it is given up."""

from __future__ import annotations

import datetime as dt

from condord.core.calendar import Calendar
from condord.core.market_hours import exchange_day

RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0)
"""The waits after the first failures of a message."""
LAST_RETRY_SECONDS = 1800.0
"""The wait after each later failure."""
LEAST_LIFE = dt.timedelta(seconds=60)
"""A message shortly before the close is kept at least this long, so that it is tried more than once."""


def retry_seconds(attempts: int) -> float:
    """Return how long to wait after `attempts` failures, 1 or more."""
    return RETRY_SECONDS[attempts - 1] if attempts <= len(RETRY_SECONDS) else LAST_RETRY_SECONDS


def session_end(calendar: Calendar, now_at: dt.datetime) -> dt.datetime:
    """Return the close of the session that is under way at `now_at` (exchange's clock), or else of the next one."""
    today = exchange_day(now_at)
    hours = calendar.on(today)
    if hours is None or now_at >= hours.close_at:
        hours = calendar.first_after(today)
    return hours.close_at


def expiry(session_end_at: dt.datetime, now_at: dt.datetime) -> dt.datetime:
    """Return when a message that begins to wait at `now_at` is given up."""
    return max(session_end_at, now_at + LEAST_LIFE)
