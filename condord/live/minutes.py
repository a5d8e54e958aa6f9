"""The rows that are recorded for each condor and for the account at the end of a minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from condord.live.wire_condor import HistoryJson


class HoldingPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A condor of one account from opening to closing: its id, and when it was opened, None if that is not known.

    It stays the same holding when its `opened_at` becomes known.
    """

    condor_id: str
    opened_at: dt.datetime | None


class MinuteRow(msgspec.Struct, frozen=True, kw_only=True):
    """The row of one minute; `holding` is None for the account, whose `price_e4` and `quantity` are None.

    `second` is the end of the minute, in seconds since 1970. `cents` and `natural_cents` (profit or loss at mark and at
    natural) and `price_e4` (of the underlying) are the last known values, None if none was known. `low` and `high` are
    the extremes of the profit or loss at mark published in the minute. `credit_e4` is per share. `is_held_back`: a
    value could not be relied on (`core/reliability`), so the minute does not count for the extremes of the holding.
    """

    holding: HoldingPeriod | None
    second: int
    cents: int | None
    natural_cents: int | None
    price_e4: int | None
    low: int | None
    high: int | None
    quantity: int | None
    credit_e4: int | None = None
    is_held_back: bool = False


class Extremes(msgspec.Struct, frozen=True, kw_only=True):
    """The least and the greatest profit or loss of a holding, in cents."""

    worst: int
    best: int


class RecordedPast(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded data of an account at a start: session lines by condor id, and the extremes of all holdings.

    A line has the minutes since the quantity or the credit of the condor last changed. `quantities` and `credits_e4`
    have these by condor id.
    """

    lines: Mapping[str, HistoryJson] = {}
    quantities: Mapping[str, int] = {}
    credits_e4: Mapping[str, int | None] = {}
    extremes: Mapping[HoldingPeriod, Extremes] = {}
