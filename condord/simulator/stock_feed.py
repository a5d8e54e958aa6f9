"""Send what happens to stocks to the subscribers of the stock stream."""

from __future__ import annotations

import random
from collections.abc import Sequence

from condord.simulator import stock_wire
from condord.simulator.faults import Faults
from condord.simulator.quote_encoder import QuoteEncoder
from condord.simulator.stocks import MinuteEnd, SimulatedTrade, StockEvent
from condord.simulator.streams import Streams
from condord.simulator.wire import EncodedMessage

_RARE_SHARE = 0.02
"""The share of trades that are followed by a rare message of one kind."""


class StockFeed:
    """Encodes events for the stock stream, altered by its faults; `seed` decides when the rare messages come."""

    def __init__(self, streams: Streams, faults: Faults, *, seed: int) -> None:
        self._streams = streams
        self._encoder = QuoteEncoder(faults, "stock")
        self._random = random.Random(seed)  # noqa: S311 - messages, not secrets

    def publish(self, events: Sequence[StockEvent], now: float) -> None:
        """Send those of `events` that a client may have subscribed to."""
        if not events or not self._streams.connections("stock"):
            return
        subscribed = self._streams.subscribed("stock")
        messages: list[EncodedMessage] = []
        for event in events:
            if isinstance(event, MinuteEnd):
                messages += stock_wire.bar_messages(event)
            elif isinstance(event, SimulatedTrade):
                messages += self._trade(event)
            # A fault that alters one quote must not be used up by one that nobody receives.
            elif "*" in subscribed or event.symbol in subscribed:
                messages += self._encoder.encode([event], now)
        self._streams.offer_stocks(messages, now)

    def _trade(self, trade: SimulatedTrade) -> list[EncodedMessage]:
        messages = [stock_wire.encoded(stock_wire.trade_message(trade), "trades")]
        for channel, builders in stock_wire.RARE_MESSAGES.items():
            rare = [build(trade) for build in builders if self._random.random() < _RARE_SHARE]
            messages += [stock_wire.encoded(message, channel) for message in rare]
        return messages
