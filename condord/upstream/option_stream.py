"""The option stream: quotes of the held contracts, over the only connection that Alpaca permits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from condord.core.quote import Tick
from condord.live.link import LinkFault
from condord.upstream.classify_failure import stream_fault
from condord.upstream.interfaces import QuoteSink
from condord.upstream.quote_protocol import ErrorFrame, Refusals
from condord.upstream.quote_stream import QuoteStream


class OptionStream(QuoteStream[QuoteSink]):
    """Receives quotes of option contracts and passes them on to the sink."""

    refusals = Refusals(element="element", frame="frame", unacknowledged="unacknowledged")

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Pass quotes on."""
        self._sink.offer(ticks)

    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on."""
        self._sink.follow(symbols)

    def fault(self, frame: ErrorFrame) -> LinkFault:
        """The fault for an error frame."""
        return stream_fault(frame.code, frame.msg)

    def gap(self) -> None:
        """Mark every quote as unconfirmed."""
        super().gap()
        self._sink.gap()

    def snapshot(self) -> None:
        """Request the missed quotes over REST."""
        self._sink.resume()
        super().snapshot()
