"""Read the market's hours over REST: the clock once per period and on request, and the calendar after the clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from condord.upstream.interfaces import AccountSink
from condord.upstream.market_hours import HoursReader
from condord.upstream.poller import Poller


class HoursPolls:
    """Polls `reader`. `noting` and `is_good` are those of `Health`; the names are `clock` and `calendar`."""

    def __init__(
        self,
        reader: HoursReader,
        *,
        sink: AccountSink,
        refresh_seconds: float,
        noting: Callable[[str], AbstractContextManager[None]],
        is_good: Callable[[str], bool],
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._noting = noting
        self._is_good = is_good
        self._clock = Poller(self._read_clock, refresh_seconds)
        self._calendar = Poller(self._read_calendar, refresh_seconds, is_due=False, backs_off=True)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs until cancelled."""
        return self._clock.run(), self._calendar.run()

    def ask(self) -> None:
        """Read the clock soon, and the calendar after it."""
        self._clock.ask()

    def pass_time(self) -> None:
        """Give the sink the time by Alpaca's clock, if that has been read."""
        if (exchange_time := self._reader.exchange_time) is not None:
            self._sink.set_exchange_time(exchange_time)

    async def _read_clock(self) -> bool:
        with self._noting("clock"):
            await self._reader.read_clock()
        self.pass_time()
        self._calendar.ask()
        return self._is_good("clock")

    async def _read_calendar(self) -> bool:
        # Not with the clock, which is vital and must not wait for a call that is not.
        with self._noting("calendar"):
            await self._reader.read_calendar()
            self._sink.set_calendar(self._reader.calendar)
        return self._is_good("calendar")
