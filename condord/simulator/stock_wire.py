"""Encode what the stock stream carries: quotes, trades, bars, and the messages that few clients read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from condord.simulator import wire
from condord.simulator.market import SimulatedQuote
from condord.simulator.stocks import MinuteEnd, SimulatedTrade, StockBar
from condord.simulator.wire import Channel, EncodedMessage

_SECOND = 1_000_000_000
_TAPES = {"SPY": "B", "IWM": "B"} | dict.fromkeys(("QQQ", "NVDA", "AAPL", "AMD", "INTC"), "C")
_BAND = 0.05


def quote_message(quote: SimulatedQuote) -> dict[str, Any]:
    """A quote as a map, like an option's, with a list of conditions and a tape."""
    return wire.quote_message(quote) | {"c": [quote.condition], "z": _tape(quote.symbol)}


def trade_message(trade: SimulatedTrade) -> dict[str, Any]:
    """A trade as a map."""
    return {"T": "t", "S": trade.symbol, "t": wire.timestamp(trade.at_ns)} | _trade_fields(trade)


def bar_message(kind: str, bar: StockBar) -> dict[str, Any]:
    """A bar as a map; `kind` is b for a minute, u for a corrected minute, d for a session."""
    return {"T": kind, "S": bar.symbol} | bar_fields(bar) | {"t": wire.timestamp(bar.start * _SECOND)}


def bar_fields(bar: StockBar) -> dict[str, Any]:
    """The fields that bars have on the stream and over REST; `t` is RFC 3339."""
    return {
        "t": wire.instant_ns(bar.start * _SECOND),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": bar.count,
        "vw": bar.mean,
    }


def bar_messages(end: MinuteEnd) -> list[EncodedMessage]:
    """The bars that the end of a minute sends."""
    bars: list[tuple[Channel, str, StockBar]] = [("bars", "b", end.minute), ("dailyBars", "d", end.session)]
    if end.is_corrected:
        bars.append(("updatedBars", "u", end.minute))
    return [encoded(bar_message(kind, bar), channel) for channel, kind, bar in bars]


def correction_message(trade: SimulatedTrade) -> dict[str, Any]:
    """A correction of a trade, as a map: one share fewer than was reported."""
    original = {"oi": trade.id, "op": trade.price, "os": trade.size + 1, "oc": trade.conditions}
    corrected = {"ci": trade.id, "cp": trade.price, "cs": trade.size, "cc": trade.conditions}
    return _head("c", trade) | {"x": trade.exchange, **original, **corrected, "z": _tape(trade.symbol)}


def cancel_message(trade: SimulatedTrade) -> dict[str, Any]:
    """The cancellation of a trade, as a map."""
    fields = {"i": trade.id, "x": trade.exchange, "p": trade.price, "s": trade.size, "a": "C"}
    return _head("x", trade) | fields | {"z": _tape(trade.symbol)}


def band_message(trade: SimulatedTrade) -> dict[str, Any]:
    """The prices between which a stock may trade, as a map."""
    up, down = round(trade.price * (1 + _BAND), 2), round(trade.price * (1 - _BAND), 2)
    return _head("l", trade) | {"u": up, "d": down, "i": "B", "z": _tape(trade.symbol)}


def status_message(trade: SimulatedTrade) -> dict[str, Any]:
    """The trading status of a stock, as a map."""
    codes = {"sc": "T", "sm": "Trading Resumption", "rc": "", "rm": ""}
    return _head("s", trade) | codes | {"z": _tape(trade.symbol)}


RARE_MESSAGES: Mapping[Channel, Sequence[Callable[[SimulatedTrade], dict[str, Any]]]] = {
    "trades": (correction_message, cancel_message),
    "lulds": (band_message,),
    "statuses": (status_message,),
}
"""The messages that are sent now and then, by channel."""


def messages_of_other_types(trade: SimulatedTrade) -> list[dict[str, Any]]:
    """One message of each type but quotes and trades, at the price of `trade`."""
    second = trade.at_ns // _SECOND
    price = trade.price
    bar = StockBar(symbol=trade.symbol, start=second, open=price, high=price, low=price, close=price, volume=1, count=1)
    rare = [build(trade) for builders in RARE_MESSAGES.values() for build in builders]
    return [*(bar_message(kind, bar) for kind in "bud"), *rare]


def encoded(message: Mapping[str, Any], channel: Channel) -> EncodedMessage:
    """A message in both formats, for the subscribers of its symbol on `channel`."""
    return EncodedMessage(
        symbol=str(message["S"]), body=wire.encode(message), text=wire.encode_text(message), channel=channel
    )


def quote_fields(quote: SimulatedQuote) -> dict[str, Any]:
    """A quote as the REST API shows it."""
    message = quote_message(quote)
    return {key: message[key] for key in ("ap", "as", "ax", "bp", "bs", "bx", "c", "z")} | {
        "t": wire.instant_ns(quote.at_ns)
    }


def trade_fields(trade: SimulatedTrade) -> dict[str, Any]:
    """A trade as the REST API shows it."""
    return {"t": wire.instant_ns(trade.at_ns)} | _trade_fields(trade)


def _trade_fields(trade: SimulatedTrade) -> dict[str, Any]:
    return {
        "x": trade.exchange,
        "p": trade.price,
        "s": trade.size,
        "c": trade.conditions,
        "i": trade.id,
        "z": _tape(trade.symbol),
    }


def _head(kind: str, trade: SimulatedTrade) -> dict[str, Any]:
    return {"T": kind, "S": trade.symbol, "t": wire.timestamp(trade.at_ns)}


def _tape(symbol: str) -> str:
    """The tape on which a stock is reported."""
    return _TAPES.get(symbol, "A")
