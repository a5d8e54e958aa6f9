"""The stock stream: quotes of the underlyings. It has a slot of its own and never touches the option stream."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from condord.core.quote import Tick
from condord.core.underlying import StockSnapshot
from condord.live.link import LinkFault
from condord.upstream.classify_failure import stock_stream_fault
from condord.upstream.interfaces import StockSink
from condord.upstream.quote_protocol import ErrorFrame, Refusals
from condord.upstream.quote_stream import QuoteStream

QUIET_SECONDS = 20.0
"""A stock without a quote for this long is polled too: a price needs a confirmation within 60 s."""

_AHEAD = dt.timedelta(seconds=5)
"""A quote from further in the future is wrong, and must not make all later ones look old."""


class StockStream(QuoteStream[StockSink]):
    """Receives quotes of stocks and passes them on to the sink."""

    refusals = Refusals(element="stockElement", frame="stockFrame", unacknowledged="stockUnacknowledged")

    # Of the current connection, from `begin` on: the time of the newest quote, and when a quote arrived last.
    _newest_at: dict[str, dt.datetime]
    _received_at: dict[str, float]

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Pass quotes on."""
        now, latest_at = self.now(), self._now_at() + _AHEAD
        for tick in ticks:
            newest_at = self._newest_at.get(tick.symbol)
            if newest_at is None:
                continue  # not subscribed
            self._received_at[tick.symbol] = now
            if newest_at < tick.at <= latest_at:
                self._newest_at[tick.symbol] = tick.at
        self._sink.offer_stocks(ticks)

    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on; no earlier quote of them is expected."""
        for symbol in symbols:
            self._newest_at[symbol] = self._now_at()

    def fault(self, frame: ErrorFrame) -> LinkFault:
        """The fault for an error frame."""
        return stock_stream_fault(frame.code, frame.msg)

    def begin(self) -> None:
        """Forget the deliveries of the last connection."""
        super().begin()
        self._newest_at, self._received_at = {}, {}

    @property
    def delivered(self) -> frozenset[str]:
        """The stocks that a working connection has sent a quote of recently; REST need not be asked for them."""
        if self.link.state != "live":
            return frozenset()
        since = self.now() - QUIET_SECONDS
        return frozenset(symbol for symbol in self.streamed if self._received_at.get(symbol, since) > since)

    def has_missed(self, snapshots: Iterable[StockSnapshot]) -> bool:
        """Whether the stream should have delivered a quote of `snapshots`, which come from REST."""
        streamed = self.streamed
        return any(
            snapshot.quote is not None
            and snapshot.symbol in streamed
            and snapshot.quote.at > self._newest_at[snapshot.symbol]
            for snapshot in snapshots
        )
