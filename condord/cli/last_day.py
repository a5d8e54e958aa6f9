"""How long a condor can still be closed, on the last day on which it trades.

Alpaca stops taking orders before the contracts stop trading, so the time left is that to its cut-off.
"""

from __future__ import annotations

import datetime as dt
import math

from condord.cli import formatting
from condord.core.market_hours import exchange_day
from condord.live.urgency import orders_cutoff
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

_MINUTES_ONLY = 120  # below it, whole hours would be too coarse
_MINUTE_SECONDS = 60


def time_left(condor: CondorJson | BrokenJson, as_of: dt.datetime, unit: str = "") -> str:
    """Return the days to expiration, as `formatting.days`; on the last trading day the time left for orders.

    That is `3 h`, rounded down, or `35 min`, rounded up; `no orders` after the cut-off, and `expired` after the last
    trade. `as_of` is by the exchange's clock.
    """
    days = formatting.days(condor.days_to_expiration, unit)
    if isinstance(condor, BrokenJson) or condor.expiry is None:
        return days
    if condor.expiry.last_trading_at <= as_of:
        return "expired"
    cutoff_at = orders_cutoff(condor)
    if cutoff_at is None or exchange_day(cutoff_at) != exchange_day(as_of):
        return days
    minutes = math.ceil((cutoff_at - as_of).total_seconds() / _MINUTE_SECONDS)
    if minutes <= 0:
        return "no orders"
    return f"{minutes} min" if minutes < _MINUTES_ONLY else f"{minutes // 60} h"
