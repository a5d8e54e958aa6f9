"""Decides when what is known becomes what is published: quotes in, frames out, on one clock.

The way of a quote: `offer` keeps it, and if the window is over it is judged, published and handed to the
subscribers in the same turn; otherwise that happens at `deadline`. Positions and status do not wait for the
window. Every method takes `now` (loop seconds), and those that publish take `now_at` (UTC); they return the
subscribers to wake.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from condord.core.orders import Lot
from condord.core.position import Position
from condord.core.quote import Tick
from condord.core.session import exchange_day
from condord.live import wire
from condord.live.account import Account
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.fanout import Fanout, Subscriber
from condord.live.life import Reading


class Publisher:
    """The one writer of the published document."""

    def __init__(self, *, account: Account, book: Book, coalescer: Coalescer, fanout: Fanout) -> None:
        self.account = account
        self.book = book
        self.coalescer = coalescer
        self.fanout = fanout
        self._heard: float | None = None
        self._published: float | None = None

    def offer(self, ticks: Collection[Tick], now: float) -> bool:
        """Take quotes off the stream; look at `deadline` afterwards if it says True."""
        self.book.prices.offer(ticks)
        if self._heard is None:
            self._heard = now
        return self.coalescer.offer(now)

    def confirm(self, ticks: Iterable[Tick], now: float, era: int) -> None:
        """Take REST's latest quotes, asked for in `era` of the prices; look at `deadline` afterwards."""
        self.book.prices.confirm(ticks, now, era)
        self.coalescer.offer(now)

    def gap(self, now: float) -> None:
        """The stream was cut: every quote is unconfirmed; the next status tells, or look at `deadline` afterwards."""
        self.book.cut()
        self.coalescer.offer(now)

    def lapse(self, symbols: Iterable[str], now: float) -> None:
        """Nobody has a word of `symbols` any more; look at `deadline` afterwards."""
        self.book.prices.lapse(symbols)
        self.coalescer.offer(now)

    def set_positions(
        self,
        positions: Iterable[Position],
        now: float,
        now_at: dt.datetime,
        *,
        lots: Iterable[Lot] = (),
        stocks: Mapping[str, int] | None = None,
    ) -> list[Subscriber]:
        """Take what the account holds, the lots of its orders, and its stocks; a change is a snapshot to everybody.

        An account in pieces is held back for a moment; look at `deadline` afterwards.
        """
        shown = self._show(self.account.offer(positions, lots, stocks or {}, now), now, now_at)
        self.book.expect(self.account.symbols)
        return shown

    def _show(self, reading: Reading | None, now: float, now_at: dt.datetime) -> list[Subscriber]:
        if reading is None:
            return []
        day = exchange_day(now_at)
        self.account.follow(reading, day, now_at)
        if not self.book.set_account(reading, day, now, self.account.life):
            return []
        return self.fanout.publish(now, now_at, urgent=True)

    def set_status(self, status: wire.Status, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Take the status; a change leaves at once. As it comes in quiet times too, look at `deadline` afterwards."""
        self.coalescer.offer(now)  # what was confirmed may have expired since, and nothing else would say so
        if not self.book.set_status(status, now):
            return []
        return self.fanout.publish(now, now_at, urgent=True)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due, in loop seconds; None: nothing waits."""
        deadlines = (self.coalescer.deadline, self.fanout.deadline, self.account.deadline, self.book.trail.deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Publish what is due."""
        woken = self._show(self.account.expire(now), now, now_at)
        has_moved = False
        if self.coalescer.take(now):
            heard, self._heard = self._heard, None
            if self.book.publish(now):
                has_moved = True
                self.coalescer.sent(now)
                self._published = heard
        has_grown = self.book.trail.is_due(now) and self.book.record(now_at)
        if has_moved or has_grown:
            woken += self.fanout.publish(now, now_at)
        return woken + self.fanout.tick(now, now_at)

    def take_published(self) -> float | None:
        """When the oldest quote behind what `tick` has published came off the stream; None if there is none, once."""
        heard, self._published = self._published, None
        return heard
