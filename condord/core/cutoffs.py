"""Until when the contracts of an expiry can be traded at Alpaca on their last day."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from condord.core.calendar import Calendar
from condord.core.expiry import Ending, Expiry, Style, last_trading_day

CutoffKind = Literal["orders", "liquidation"]
CutoffSource = Literal["config", "product"]


class CutoffSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes before 16:00 in New York, or before the early close, on the last trading day; `etfs` are underlyings."""

    order_cutoff_minutes: int = 45
    order_cutoff_minutes_etf: int = 30
    etfs: frozenset[str] = frozenset({"SPY", "QQQ", "IWM", "DIA"})
    liquidation_minutes: int = 45


class Cutoff(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` (UTC) on, Alpaca refuses orders (`orders`) or may close positions (`liquidation`)."""

    kind: CutoffKind
    at: dt.datetime
    source: CutoffSource


def cutoffs(
    expiry: Expiry, ending: Ending, style: Style, calendar: Calendar, settings: CutoffSettings
) -> tuple[Cutoff, ...]:
    """The cut-offs of an expiry, orders first.

    Those of American contracts count from 16:00 or the early close of the last trading day, even if the product trades
    15 minutes longer. European contracts cannot be exercised early, nor deliver shares, and trade until
    `last_trading_at`.
    """
    if style == "european":
        return (Cutoff(kind="orders", at=ending.last_trading_at, source="product"),)
    close_at = calendar.last_until(last_trading_day(ending)).close_at
    minutes = settings.order_cutoff_minutes_etf if expiry.product in settings.etfs else settings.order_cutoff_minutes
    return (
        Cutoff(kind="orders", at=close_at - dt.timedelta(minutes=minutes), source="config"),
        Cutoff(kind="liquidation", at=close_at - dt.timedelta(minutes=settings.liquidation_minutes), source="config"),
    )
