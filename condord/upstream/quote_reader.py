"""Read quotes over REST: all of them after a gap and once per period, and more often those that the stream lacks.

The stream lacks a symbol that is not subscribed (no connection, or no room for it), and one about which it is silent
while REST has newer quotes. These are polled while the market is open, within a share of the request budget. An answer
to a request from before a gap confirms nothing after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from condord.core.quote import Tick
from condord.upstream.interfaces import SYMBOLS_PER_REQUEST, AccountSink, Brokerage
from condord.upstream.option_stream import OptionStream
from condord.upstream.rest_fault import RestFault

POLL_SECONDS = 5.0
POLLS_PER_MINUTE = 50
READS_PER_MINUTE = 40
"""Polls and reads may make 95 requests a minute in their share; this leaves 5 to the clock."""


class QuoteReader:
    """Reads quotes for `sink`. A `RestFault` does not undo what was answered before."""

    def __init__(self, *, brokerage: Brokerage, sink: AccountSink, stream: OptionStream) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._stream = stream

    @property
    def silent(self) -> list[str]:
        """The streamed symbols with newer quotes at REST; none while the whole connection is silent."""
        if self._stream.link.state != "live":
            return []
        return sorted(self._sink.silent & self._stream.streamed)

    @property
    def lacking(self) -> list[str]:
        """The symbols for which the stream delivers no quotes."""
        kept = self._stream.streamed.difference(self.silent)
        return [symbol for symbol in self._sink.symbols if symbol not in kept]

    @property
    def poll_seconds(self) -> float:
        """Seconds between two polls of the symbols that the stream lacks."""
        return max(POLL_SECONDS, _seconds(len(self.lacking), POLLS_PER_MINUTE))

    @property
    def requests(self) -> int:
        """How many requests it takes to read the quotes of all symbols."""
        return _requests(len(self._sink.symbols))

    def read_seconds(self, refresh_seconds: float, silence_seconds: float) -> float:
        """Seconds between two reads of all quotes: the shorter argument, or more if the budget requires it.

        A symbol that has been silent for longer is thus covered by polling, unless thousands of contracts are held.
        """
        return max(min(refresh_seconds, silence_seconds), _seconds(len(self._sink.symbols), READS_PER_MINUTE))

    async def read(self) -> None:
        """Read the quotes of all symbols."""
        await self._ask(self._sink.symbols)

    async def poll(self) -> None:
        """Read the quotes of the symbols that the stream lacks."""
        await self._ask(self.lacking)

    async def has_newer(self) -> bool:
        """Whether REST has a newer quote than the silent stream.

        Raises:
            RestFault: it is not known. What REST answered has nothing newer, but it did not answer for all symbols.
        """
        answered: list[Tick] = []
        try:
            await self._brokerage.quotes(self._sink.symbols, answered.extend)
        except RestFault:
            if not self._sink.has_missed(answered):
                raise
            return True
        return self._sink.has_missed(answered)

    async def _ask(self, symbols: Sequence[str]) -> None:
        if symbols:
            generation = self._sink.generation
            await self._brokerage.quotes(symbols, lambda ticks: self._sink.confirm(ticks, generation))


def _requests(symbols: int) -> int:
    return -(-symbols // SYMBOLS_PER_REQUEST)


def _seconds(symbols: int, requests_per_minute: int) -> float:
    """Seconds for which reading `symbols` symbols uses up `requests_per_minute`."""
    return _requests(symbols) * 60.0 / requests_per_minute
