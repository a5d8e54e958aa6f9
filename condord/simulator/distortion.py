"""Decides how active faults bend the quotes on their way to the subscribers.

Rules: without a quote fault every quote passes as it is; an event bends as many quotes as its count says, of one
symbol where it names one; only the stream is bent, REST keeps the truth.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from condord.core.occ import OptionSymbol
from condord.simulator import wire
from condord.simulator.faults import Faults
from condord.simulator.market import Quote
from condord.simulator.wire import Encoded

_Message = dict[str, Any]
_STRANGER = OptionSymbol(root="ZZZZ", expiration=dt.date(2099, 1, 16), right="call", strike_mills=1000).compact
_LATE_NS = 5_000_000_000
_DEFAULT_SKEW_SECONDS = 300.0

_PRICES: Mapping[str, Callable[[_Message], _Message]] = {
    "no-bid": lambda _: {"bp": 0, "bs": 0, "bx": "?"},
    "crossed": lambda message: {"bp": round(message["ap"] + 0.05, 2), "bs": 1, "bx": "C"},
    "locked": lambda message: {"bp": message["ap"], "bs": 1, "bx": "C"},
    "stub": lambda _: {"bp": 0.05, "bs": 1, "bx": "C", "ap": 19.95, "as": 1},
    "nan": lambda _: {"bp": float("nan")},
    "null-price": lambda _: {"bp": None},
    "integer-prices": lambda message: {"bp": int(message["bp"]), "ap": int(message["ap"]) + 1},
}


def skew_seconds(faults: Faults, now: float) -> float:
    """By how much clocks are off."""
    args = faults.look("clock-skew", now)
    return 0.0 if args is None else float(args.get("skew_seconds") or _DEFAULT_SKEW_SECONDS)


class Distortion:
    """Turns quotes into messages, bent by the faults at work."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._last_ns: dict[str, int] = {}

    def encode(self, quotes: Sequence[Quote], now: float) -> list[Encoded]:
        """The messages of `quotes`, each encoded once, in order."""
        is_bent = "quote" in self._faults.places(now)
        messages: list[Encoded] = []
        for quote in quotes:
            if is_bent:
                messages += self._bend(quote, now)
            else:
                messages.append(Encoded(symbol=quote.symbol, body=wire.encode(wire.quote_message(quote))))
            self._last_ns[quote.symbol] = quote.at_ns
        return messages

    def _bend(self, quote: Quote, now: float) -> list[Encoded]:
        if self._strikes("silent-symbol", quote, now):
            return []
        ahead = []
        if self._strikes("unknown-type", quote, now):
            unknown = {"T": "zz", "S": quote.symbol, "v": [1, {"a": None}]}
            ahead.append(Encoded(symbol=quote.symbol, body=wire.encode(unknown)))
        if self._strikes("unsubscribed-symbol", quote, now):
            stranger = msgspec.structs.replace(quote, symbol=_STRANGER)
            ahead.append(Encoded(symbol=None, body=wire.encode(wire.quote_message(stranger))))
        message = wire.quote_message(quote)
        for name, bend in _PRICES.items():
            if self._strikes(name, quote, now):
                message |= bend(message)
        message |= self._time(quote, now)
        return [*ahead, Encoded(symbol=quote.symbol, body=wire.encode(message))]

    def _time(self, quote: Quote, now: float) -> _Message:
        at_ns = quote.at_ns + int(skew_seconds(self._faults, now) * 1e9)
        if self._strikes("duplicate-time", quote, now):
            at_ns = self._last_ns.get(quote.symbol, at_ns)
        if self._strikes("out-of-order-time", quote, now):
            at_ns -= _LATE_NS
        if self._strikes("timestamp-32", quote, now):
            return {"t": wire.timestamp(at_ns, 32)}
        if self._strikes("timestamp-96", quote, now):
            return {"t": wire.timestamp(at_ns, 96)}
        return {"t": wire.timestamp(at_ns)}

    def _strikes(self, name: str, quote: Quote, now: float) -> bool:
        return self._faults.strike(name, now, symbol=quote.symbol) is not None
