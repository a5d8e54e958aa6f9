"""Encode quotes for a stream, altered by the active quote faults. REST answers are not altered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.core.occ import OptionSymbol
from condord.simulator import stock_wire, wire
from condord.simulator.faults import Faults
from condord.simulator.market import SimulatedQuote
from condord.simulator.stocks import SimulatedTrade
from condord.simulator.wire import EncodedMessage

_Message = dict[str, Any]
_Stream = Literal["option", "stock"]
_UNSUBSCRIBED: Mapping[_Stream, str] = {
    "option": OptionSymbol(root="ZZZZ", expiration=dt.date(2099, 1, 16), right="call", strike_mills=1000).compact,
    "stock": "ZZZZ",
}
_LATE_NS = 5_000_000_000
_DEFAULT_SKEW_SECONDS = 300.0

_PRICE_FAULTS: Mapping[str, Callable[[_Message], _Message]] = {
    "zero-prices": lambda _: {"bp": 0, "bs": 0, "ap": 0, "as": 0},
    "no-bid": lambda _: {"bp": 0, "bs": 0, "bx": "?"},
    "crossed": lambda message: {"bp": round(message["ap"] + 0.05, 2), "bs": 1, "bx": "C"},
    "locked": lambda message: {"bp": message["ap"], "bs": 1, "bx": "C"},
    "stub": lambda _: {"bp": 0.05, "bs": 1, "bx": "C", "ap": 19.95, "as": 1},
    "nan": lambda _: {"bp": float("nan")},
    "null-price": lambda _: {"bp": None},
    "integer-prices": lambda message: {"bp": int(message["bp"]), "ap": int(message["ap"]) + 1},
}


def skew_seconds(faults: Faults, now: float) -> float:
    """The seconds by which the clock and the times of quotes are wrong."""
    args = faults.peek("clock-skew", now)
    return 0.0 if args is None else float(args.get("skew_seconds") or _DEFAULT_SKEW_SECONDS)


class QuoteEncoder:
    """Turns quotes into messages of `stream`.

    An active fault alters as many quotes as its count, and only those of its symbol if it names one.
    """

    def __init__(self, faults: Faults, stream: _Stream = "option") -> None:
        self._faults = faults
        self._stream = stream
        self._message_of = stock_wire.quote_message if stream == "stock" else wire.quote_message
        self._last_ns: dict[str, int] = {}

    def encode(self, quotes: Sequence[SimulatedQuote], now: float) -> list[EncodedMessage]:
        """The messages of `quotes`, in order."""
        has_faults = "quote" in self._faults.active_targets(now)
        messages: list[EncodedMessage] = []
        for quote in quotes:
            if has_faults:
                messages += self._encode_altered(quote, now)
            else:
                messages.append(self._encoded(self._message_of(quote), quote.symbol))
            self._last_ns[quote.symbol] = quote.at_ns
        return messages

    def _encode_altered(self, quote: SimulatedQuote, now: float) -> list[EncodedMessage]:
        if self._is_triggered("silent-symbol", quote, now):
            return []
        ahead = []
        if self._is_triggered("unknown-type", quote, now):
            ahead.append(self._encoded({"T": "zz", "S": quote.symbol, "v": [1, {"a": None}]}, quote.symbol))
        if self._is_triggered("other-messages", quote, now):
            trade = SimulatedTrade(symbol=quote.symbol, at_ns=quote.at_ns, id=1, price=quote.ask, size=1)
            ahead += [self._encoded(other, quote.symbol) for other in stock_wire.messages_of_other_types(trade)]
        if self._is_triggered("unsubscribed-symbol", quote, now):
            unsubscribed = msgspec.structs.replace(quote, symbol=_UNSUBSCRIBED[self._stream])
            ahead.append(self._encoded(self._message_of(unsubscribed), None))
        message = self._message_of(quote)
        for name, alter in _PRICE_FAULTS.items():
            if self._is_triggered(name, quote, now):
                message |= alter(message)
        message |= self._altered_time(quote, now)
        return [*ahead, self._encoded(message, quote.symbol)]

    def _encoded(self, message: _Message, symbol: str | None) -> EncodedMessage:
        text = wire.encode_text(message) if self._stream == "stock" else b""
        return EncodedMessage(symbol=symbol, body=wire.encode(message), text=text)

    def _altered_time(self, quote: SimulatedQuote, now: float) -> _Message:
        at_ns = quote.at_ns + int(skew_seconds(self._faults, now) * 1e9)
        if self._is_triggered("duplicate-time", quote, now):
            at_ns = self._last_ns.get(quote.symbol, at_ns)
        if self._is_triggered("out-of-order-time", quote, now):
            at_ns -= _LATE_NS
        if self._is_triggered("timestamp-32", quote, now):
            return {"t": wire.timestamp(at_ns, 32)}
        if self._is_triggered("timestamp-96", quote, now):
            return {"t": wire.timestamp(at_ns, 96)}
        return {"t": wire.timestamp(at_ns)}

    def _is_triggered(self, name: str, quote: SimulatedQuote, now: float) -> bool:
        return self._faults.trigger(name, now, symbol=quote.symbol, stream=self._stream) is not None
