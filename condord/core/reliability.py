"""Whether a condor's profit or loss can be relied on.

While it cannot, no alert is decided by it, and it counts in no extreme. The first of these reasons that applies:

| reason      | test                                                             |
|-------------|------------------------------------------------------------------|
| unknown     | the profit or loss is not known                                  |
| unconfirmed | a leg has had no fresh quote since a gap in the stream           |
| crossed     | a leg's quote is crossed, so that its mark is an earlier one     |
| stub        | a leg's quote is a placeholder, so that its mark is an earlier one |
| wide        | natural and mark differ by more than 20 % of the wider width     |
| opening     | these are the first 120 seconds of a session                     |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.market_hours import exchange_day
from condord.core.quote import Quote
from condord.core.valuation import Valuation

UnreliableReason = Literal["unknown", "unconfirmed", "crossed", "stub", "wide", "opening"]

OPENING = dt.timedelta(seconds=120)
"""How long after the open quotes cannot be relied on."""
WIDTHS_PER_GAP = 5
"""The gap between natural and mark may be at most a fifth of the wider width."""


def unreliable_reason(
    condor: Condor, value: Valuation, quotes: Mapping[str, Quote], *, is_opening: bool
) -> UnreliableReason | None:
    """Why the profit or loss in `value`, made from `quotes` (by symbol), is not reliable; None if it is."""
    if value.unrealized_e4 is None:
        return "unknown"
    if value.unconfirmed:
        return "unconfirmed"
    states = [quotes[leg.symbol].state for leg in condor.legs]
    if "crossed" in states:
        return "crossed"
    if "stub" in states:
        return "stub"
    if value.mark_e4 is None or value.natural_e4 is None:
        return "unknown"
    width_e4 = max(condor.put_width_e4, condor.call_width_e4)
    if abs(value.natural_e4 - value.mark_e4) * WIDTHS_PER_GAP > width_e4:
        return "wide"
    return "opening" if is_opening else None


def is_opening(calendar: Calendar, at: dt.datetime) -> bool:
    """Whether `at`, the exchange's time, is within `OPENING` after the open of that day's session.

    All options open with the stocks, whenever they close.
    """
    hours = calendar.on(exchange_day(at))
    return hours is not None and hours.open_at <= at < hours.open_at + OPENING
