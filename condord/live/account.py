"""Decides which reading of the account is shown, and what is to be said about it.

A reading is grouped once, held back while its legs may still be changing (`settling`), and compared with the one
shown before it (`life`). All contracts of the newest reading are to be streamed at once, held back or not, so that
they have prices when they are shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from condord.core.condor import Grouping, group
from condord.core.orders import Lot
from condord.core.position import Position
from condord.live.life import Life, Reading
from condord.live.settling import Settling


class Account:
    """What the account holds, from reading to reading. `settle_seconds` as in `Settling`."""

    def __init__(self, settle_seconds: float) -> None:
        self.settling: Settling[Reading] = Settling(settle_seconds)
        self.life = Life()
        self._held: frozenset[Position] = frozenset()
        self._lots: tuple[Lot, ...] = ()
        self._grouping = Grouping()

    @property
    def symbols(self) -> frozenset[str]:
        """The contracts of the newest reading that can be streamed."""
        return frozenset(position.symbol for position in self._held if position.contract is not None)

    def offer(
        self, positions: Iterable[Position], lots: Iterable[Lot], stocks: Mapping[str, int], now: float
    ) -> Reading | None:
        """Take a reading; what to show now, or None while it is held back."""
        held, opened = frozenset(positions), tuple(lots)
        if (held, opened) != (self._held, self._lots):
            self._held, self._lots, self._grouping = held, opened, group(held, opened)
        reading = Reading(
            positions=tuple(sorted(held, key=lambda position: position.symbol)), grouping=self._grouping, stocks=stocks
        )
        left = ((leftover.position.symbol, leftover.position.quantity or 0) for leftover in self._grouping.unmatched)
        return self.settling.offer(reading, dict(left), now)

    @property
    def deadline(self) -> float | None:
        """When `expire` is due, in loop seconds."""
        return self.settling.deadline

    def expire(self, now: float) -> Reading | None:
        """The reading that has been held back for long enough, or None."""
        return self.settling.expire(now)

    def follow(self, reading: Reading, day: dt.date, now_at: dt.datetime) -> None:
        """`reading` is shown on `day`, the date at the exchange: `life` tells what that means."""
        self.life.follow(reading, day, now_at)
