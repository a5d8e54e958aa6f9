"""The desk: where everything that Alpaca says meets the clock, and leaves for the subscribers.

The publisher decides; this file asks it again when it said, on the event loop, and wakes whom it names. A quote after
a quiet time is published in the same turn of the loop that brought it. Where writing to all subscribers takes longer
than a window, what has come meanwhile is read first and leaves together: the window grows, and nothing queues up.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from condord.core.orders import Lot
from condord.core.position import Position
from condord.core.quote import Tick
from condord.live import wire
from condord.live.fanout import Subscriber
from condord.live.prices import Prices
from condord.live.publisher import Publisher


def _not_measured(_seconds: float) -> None:
    """Nobody wants to know."""


class Desk:
    """The publisher on `loop`; `now_at` is the wall clock (UTC).

    `observe` is told of each frame how many seconds ago the oldest quote behind it came off the stream, when all have
    been written to who take it.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        loop: asyncio.AbstractEventLoop,
        now_at: Callable[[], dt.datetime],
        observe: Callable[[float], None] = _not_measured,
    ) -> None:
        self._publisher = publisher
        self._loop = loop
        self._now_at = now_at
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None
        self._turned_at = -math.inf

    @property
    def symbols(self) -> tuple[str, ...]:
        """The contracts held, the most important first."""
        return self._publisher.book.symbols

    @property
    def era(self) -> int:
        """How often the stream was cut; to be noted when REST is asked for quotes."""
        return self._prices.era

    @property
    def silent(self) -> frozenset[str]:
        """The contracts of which REST has had newer quotes than the stream for too long, streamed or not."""
        return self._prices.silent_at(self._loop.time())

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Quotes off the stream: the way of every quote."""
        if self._publisher.offer(ticks, self._loop.time()):
            self._arm(self._publisher.coalescer.deadline)

    def confirm(self, ticks: Iterable[Tick], era: int) -> None:
        """Latest quotes by REST, asked for in `era`."""
        self._publisher.confirm(ticks, self._loop.time(), era)
        self._arm(self._publisher.coalescer.deadline)

    def gap(self) -> None:
        """The stream was cut."""
        self._publisher.gap(self._loop.time())
        self._arm(self._publisher.coalescer.deadline)

    def lapse(self, symbols: Iterable[str]) -> None:
        """Nobody has a word of these any more."""
        self._publisher.lapse(symbols, self._loop.time())
        self._arm(self._publisher.coalescer.deadline)

    def expect(self, symbols: Iterable[str]) -> None:
        """These will be held: take their quotes."""
        self._publisher.book.expect(frozenset(symbols))

    def follow(self, symbols: Iterable[str]) -> None:
        """These are streamed from here on."""
        self._prices.follow(symbols)

    def resume(self) -> None:
        """The stream is live."""
        self._prices.resume()

    def set_positions(
        self, positions: Iterable[Position], lots: Iterable[Lot] = (), stocks: Mapping[str, int] | None = None
    ) -> None:
        """What the account holds: options, the lots of its orders, and stocks in shares by symbol."""
        now, now_at = self._loop.time(), self._now_at()
        wake(self._publisher.set_positions(positions, now, now_at, lots=lots, stocks=stocks))
        self._arm(self._publisher.deadline)

    def set_status(self, status: wire.Status) -> None:
        """What can be trusted."""
        wake(self._publisher.set_status(status, self._loop.time(), self._now_at()))
        self._arm(self._publisher.deadline)

    def owes(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have brought any of `ticks`, which are REST's."""
        return self._prices.owes(ticks)

    def set_exchange_time(self, at: dt.datetime) -> None:
        """What the exchange's clock shows (UTC)."""
        self._prices.set_exchange_time(at)

    def doubts_clock(self) -> bool:
        """Whether a quote since the last call was so far ahead or behind that the clock may be what is wrong."""
        return self._prices.take_doubt()

    @property
    def _prices(self) -> Prices:
        return self._publisher.book.prices

    def _arm(self, deadline: float | None) -> None:
        """Turn at `deadline`; at once if that is past and the last turn has been over for a window."""
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        if deadline <= now and now >= self._turned_at + self._publisher.coalescer.window_seconds:
            self._turn()
        else:
            self._timer = self._loop.call_at(deadline, self._turn)

    def _turn(self) -> None:
        self._timer = None
        woken = self._publisher.tick(self._loop.time(), self._now_at())
        wake(woken)
        self._turned_at = self._loop.time()
        heard = self._publisher.take_published()
        if woken and heard is not None:
            self._observe(self._turned_at - heard)
        deadline = self._publisher.deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._turn)


def wake(subscribers: Iterable[Subscriber]) -> None:
    """Tell those who serve them that something waits."""
    for subscriber in subscribers:
        subscriber.wake()
