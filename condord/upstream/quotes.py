"""Decides which quotes REST is asked for: all after a gap and in every period, and oftener what the stream lacks.

The stream lacks a symbol that is not subscribed, as there is no connection or no room, and one that it is silent
about while REST has newer quotes of it. Those are polled while the market is open, within a share of what Alpaca
permits. What was asked before a gap confirms nothing after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from condord.core.quote import Tick
from condord.upstream.faults import RestFault
from condord.upstream.option_stream import OptionStream
from condord.upstream.ports import SYMBOLS_A_REQUEST, Brokerage, Desk

POLL_SECONDS = 5.0
POLLS_A_MINUTE = 60


class QuoteReader:
    """Readings for `desk`, which raise `RestFault`; what was answered until then counts."""

    def __init__(self, *, brokerage: Brokerage, desk: Desk, stream: OptionStream) -> None:
        self._brokerage = brokerage
        self._desk = desk
        self._stream = stream

    @property
    def silent(self) -> list[str]:
        """The streamed symbols of which REST has newer quotes than the stream, in a connection that is not silent."""
        if self._stream.link.state != "live":
            return []
        return sorted(self._desk.silent & self._stream.streamed)

    @property
    def lacking(self) -> list[str]:
        """The symbols that the stream does not keep fresh."""
        kept = self._stream.streamed.difference(self.silent)
        return [symbol for symbol in self._desk.symbols if symbol not in kept]

    @property
    def poll_seconds(self) -> float:
        """The time between two polls of what is lacking."""
        return max(POLL_SECONDS, _share_seconds(len(self.lacking)))

    def read_seconds(self, refresh_seconds: float, silence_seconds: float) -> float:
        """The time between two readings of everything: what is silent for longer is looked after by REST."""
        return min(refresh_seconds, max(silence_seconds, _share_seconds(len(self._desk.symbols))))

    async def read(self) -> None:
        """Ask for everything."""
        await self._ask(self._desk.symbols)

    async def poll(self) -> None:
        """Ask for what is lacking."""
        await self._ask(self.lacking)

    async def has_newer(self) -> bool:
        """Whether REST knows a newer quote than the silent stream has brought; False where REST cannot say."""
        answered: list[Tick] = []
        with contextlib.suppress(RestFault):  # what was answered until then counts, and the readings tell of the fault
            await self._brokerage.quotes(self._desk.symbols, answered.extend)
        return self._desk.owes(answered)

    async def _ask(self, symbols: Sequence[str]) -> None:
        if symbols:
            era = self._desk.era
            await self._brokerage.quotes(symbols, lambda ticks: self._desk.confirm(ticks, era))


def _share_seconds(symbols: int) -> float:
    """How long a reading of so many symbols uses up its share of requests."""
    return -(-symbols // SYMBOLS_A_REQUEST) * 60.0 / POLLS_A_MINUTE
