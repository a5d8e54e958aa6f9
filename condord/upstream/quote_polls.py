"""Read quotes over REST: all of them on request and once per period, and often those that the stream lacks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from condord.upstream.interfaces import AccountSink
from condord.upstream.poller import PACE_SECONDS, Poller
from condord.upstream.quote_reader import POLL_SECONDS, QuoteReader


class QuotePolls:
    """Polls `reader`.

    `is_open` returns whether a held contract trades now. `polled` is called after each read that Alpaca has answered,
    and if there is nothing to read. `noting`, `unneeded` and `is_good` are those of `MarketReader`; the names are
    `quotes` and `poll`.
    """

    def __init__(
        self,
        reader: QuoteReader,
        *,
        sink: AccountSink,
        refresh_seconds: float,
        is_open: Callable[[], bool],
        polled: Callable[[], None],
        noting: Callable[[str], AbstractContextManager[None]],
        unneeded: Callable[[str], None],
        is_good: Callable[[str], bool],
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._is_open = is_open
        self._polled = polled
        self._noting = noting
        self._unneeded = unneeded
        self._is_good = is_good
        self._all = Poller(self._read, refresh_seconds, is_due=False)
        self._lacking = Poller(self._poll, POLL_SECONDS)

    def ask(self) -> None:
        """Read all quotes soon."""
        # A poll without contracts would only delay the poll for the first ones.
        if self._sink.symbols:
            self._all.ask()

    def set_periods(self, refresh_seconds: float, silence_seconds: float) -> None:
        """Read all quotes at least this often, and as often as the budget permits; see `QuoteReader.read_seconds`."""
        self._lacking.set_period(self._reader.poll_seconds)
        self._all.set_pace(PACE_SECONDS * max(1, self._reader.requests))
        self._all.set_period(self._reader.read_seconds(refresh_seconds, silence_seconds))

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs until cancelled."""
        return self._all.run(), self._lacking.run()

    async def _read(self) -> bool:
        if not self._sink.symbols:
            self._unneeded("quotes")
            self._polled()
            return True
        with self._noting("quotes"):
            await self._reader.read()
            self._polled()
        return self._is_good("quotes")

    async def _poll(self) -> bool:
        if not (self._is_open() and self._reader.lacking):
            self._unneeded("poll")
            self._polled()
            return True
        with self._noting("poll"):
            await self._reader.poll()
            self._polled()
        return True
