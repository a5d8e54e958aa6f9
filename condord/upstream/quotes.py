"""Decides which quotes REST is asked for: all after a gap and in every period, and oftener what the stream lacks.

The stream lacks a symbol that is not subscribed, as there is no connection or no room, and one that it is silent
about while REST has newer quotes of it. Those are polled while the market is open, within a share of what Alpaca
permits. What was asked before a gap confirms nothing after it.
"""

from __future__ import annotations

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
        return max(POLL_SECONDS, _requests(len(self.lacking)) * 60.0 / POLLS_A_MINUTE)

    def read_seconds(self, refresh_seconds: float, silence_seconds: float) -> float:
        """The time between two readings of everything: what is silent for longer is looked after by REST."""
        least = _requests(len(self._desk.symbols)) * 60.0 / POLLS_A_MINUTE
        return min(refresh_seconds, max(silence_seconds, least))

    async def read(self) -> None:
        """Ask for everything."""
        await self._ask(self._desk.symbols)

    async def poll(self) -> None:
        """Ask for what is lacking."""
        await self._ask(self.lacking)

    async def has_newer(self) -> bool:
        """Whether REST knows a newer quote than the silent stream has brought; False where REST cannot say."""
        newer: list[bool] = []

        def compare(ticks: list[Tick]) -> None:
            newer.append(self._desk.owes(ticks))

        try:
            await self._brokerage.quotes(self._desk.symbols, compare)
        except RestFault:
            return any(newer)
        return any(newer)

    async def _ask(self, symbols: list[str] | tuple[str, ...]) -> None:
        if symbols:
            era = self._desk.era
            await self._brokerage.quotes(symbols, lambda ticks: self._desk.confirm(ticks, era))


def _requests(symbols: int) -> int:
    return -(-symbols // SYMBOLS_A_REQUEST)
