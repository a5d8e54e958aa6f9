"""How long a condor, whole or broken, can still be closed, and what happens on the last day on which it trades.

Alpaca stops taking orders before the contracts stop trading, so the time left ends at its cut-off.
"""

from __future__ import annotations

import datetime as dt

from condord.cli import formatting
from condord.core.market_hours import exchange_day
from condord.live.urgency import orders_cutoff
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

_MINUTES_ONLY = 120  # below it, whole hours would be too coarse
AWAITS_SETTLEMENT = "expired, awaits settlement"
_MINUTE = dt.timedelta(minutes=1)
_UNDER_A_MINUTE = "under a minute"
_AHEAD = {"orders": "orders until", "liquidation": "may be liquidated from"}
_PASSED = {"orders": "no orders since", "liquidation": "may be liquidated at any time since"}


def time_left(condor: CondorJson | BrokenJson, as_of: dt.datetime, unit: str = "") -> str:
    """Return the days to expiration, as `formatting.days`; on the last trading day the time left for orders.

    That is `3 h` or `35 min`, rounded down so that it is never more than is left, and `under a minute`, or `<1 min`
    with a `unit`; `no orders` after the cut-off, and `expired` after the last trade. `as_of` is by the exchange's
    clock.
    """
    days = formatting.days(condor.days_to_expiration, unit)
    if condor.expiry is None:
        return days
    if condor.expiry.last_trading_at <= as_of:
        return "expired"
    cutoff_at = orders_cutoff(condor)
    if cutoff_at is None or exchange_day(cutoff_at) != exchange_day(as_of):
        return days
    if cutoff_at <= as_of:
        return "no orders"
    minutes = (cutoff_at - as_of) // _MINUTE
    if not minutes:
        return "<1 min" if unit else _UNDER_A_MINUTE
    return f"{minutes} min" if minutes < _MINUTES_ONLY else f"{minutes // 60} h"


def expiry_lines(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> list[str]:
    """Return the days, the cut-offs and the end in the order of time, by the exchange's clock at `as_of`.

    After the last trade nothing depends on the cut-offs any longer.
    """
    today, expiry = exchange_day(as_of), condor.expiry
    days = AWAITS_SETTLEMENT if awaits_settlement(condor, as_of) else formatting.days(condor.days_to_expiration)
    lines = [f"{formatting.date(condor.expiration, today)}, {days}"]
    if expiry is None:
        return lines
    has_ended = expiry.last_trading_at <= as_of
    ends = (
        []
        if has_ended
        else [(each.at, (_PASSED if each.at <= as_of else _AHEAD)[each.kind]) for each in expiry.cutoffs]
    )
    ends.append((expiry.last_trading_at, "last traded" if has_ended else "last trades"))
    if expiry.settles_at > expiry.last_trading_at:
        ends.append((expiry.settles_at, "settles at the opening prices of"))
    return lines + [f"{what} {_at(at, as_of)}" for at, what in sorted(ends)]


def has_expired(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> bool:
    """Return whether its last trade has passed; without an expiry, whether its expiration day has."""
    return condor.days_to_expiration < 0 if condor.expiry is None else condor.expiry.last_trading_at <= as_of


def awaits_settlement(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> bool:
    """Return whether its settlement prices are those of the past, although it is still held.

    Without an expiry, that is so after the expiration day.
    """
    return condor.days_to_expiration < 0 if condor.expiry is None else condor.expiry.settles_at <= as_of


def no_orders_since(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> str:
    """Return a sentence that no orders are taken any longer; empty while they are, or if that is not known."""
    cutoff_at = orders_cutoff(condor)
    if cutoff_at is None or cutoff_at > as_of:
        return ""
    return f"Alpaca has taken no orders for it since {formatting.moment(cutoff_at, as_of)}"


def _at(at: dt.datetime, as_of: dt.datetime) -> str:
    """Return the date and the time in New York, and how far away it is today."""
    local, today = formatting.in_new_york(at), exchange_day(as_of)
    text = f"{formatting.date(local.date(), today)} {local:%H:%M} ET"
    if at <= as_of:
        return f"{text}, {formatting.age(at, as_of)}"
    is_today = local.date() == today
    if not is_today:
        return text
    return f"{text}, {formatting.ahead(at, as_of) if at - as_of >= _MINUTE else f'in {_UNDER_A_MINUTE}'}"
