"""Notices: what a trader should know about the account."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

AccountNoticeCode = Literal["brokenCondor", "assignment", "expiresToday", "lastTradingDay", "expired", "greeksDiffer"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice about `symbols`; `since` is when the reason was first seen (UTC).

    `condor_id` is set if the notice concerns exactly one condor.
    """

    code: AccountNoticeCode
    text: str
    symbols: tuple[str, ...]
    since: dt.datetime
    condor_id: str | None = None
