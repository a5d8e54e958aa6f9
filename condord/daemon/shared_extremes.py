"""The extremes of holdings that several ingesters have recorded, each while it led.

The file is written even if it is empty: its name shows ingesters that stand by which account is recorded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from condord.live.minutes import Extremes, HoldingPeriod, MinuteRow, RecordedPast
from condord.upstream.state_files import EXTREMES, Store

MAX_HOLDINGS = 1000
"""How many holdings are kept: those with the newest minutes."""


class _StoredExtremes(msgspec.Struct, frozen=True, kw_only=True):
    """The extremes of one holding, in cents."""

    condor_id: str
    opened_at: dt.datetime | None
    worst: int
    best: int


class SharedExtremes:
    """Keeps the extremes in a file of `store`, which is copied to the next leader."""

    def __init__(self, store: Store) -> None:
        self._root = store
        self._store = store
        self._known: dict[HoldingPeriod, Extremes] = {}

    async def join(self, account_key: str, past: RecordedPast) -> RecordedPast:
        """Return the past of this account, extended by the extremes that the others have recorded."""
        self._store = self._root.of(account_key)
        self._known = dict(past.extremes)
        found = await self._store.read(EXTREMES, list[_StoredExtremes])
        for kept in found or ():
            holding = HoldingPeriod(condor_id=kept.condor_id, opened_at=kept.opened_at)
            self._add(holding, Extremes(worst=kept.worst, best=kept.best))
        if found is None:
            await self._write()
        return msgspec.structs.replace(past, extremes=dict(self._known))

    async def add(self, rows: Sequence[MinuteRow]) -> None:
        """Take the rows of a minute; those that do not count for extremes are ignored."""
        before = dict(self._known)
        for row in rows:
            if row.holding is not None and not row.is_held_back and row.low is not None and row.high is not None:
                self._add(row.holding, Extremes(worst=row.low, best=row.high))
        if self._known != before:
            await self._write()

    async def _write(self) -> None:
        await self._store.write(
            EXTREMES,
            [
                _StoredExtremes(
                    condor_id=holding.condor_id, opened_at=holding.opened_at, worst=each.worst, best=each.best
                )
                for holding, each in self._known.items()
            ],
        )

    def _add(self, holding: HoldingPeriod, extremes: Extremes) -> None:
        before = self._known.pop(holding, extremes)
        worst, best = min(before.worst, extremes.worst), max(before.best, extremes.best)
        self._known[holding] = Extremes(worst=worst, best=best)
        while len(self._known) > MAX_HOLDINGS:
            del self._known[next(iter(self._known))]
