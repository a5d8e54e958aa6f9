"""Encode the market data streams: frames, timestamps and errors.

A frame is an array of maps, in MessagePack with timestamps as an extension, or in JSON with timestamps as RFC 3339. A
message is encoded once, and all subscribers share its bytes.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.simulator.market import SimulatedQuote

Channel = Literal["quotes", "trades", "bars", "updatedBars", "dailyBars", "statuses", "lulds"]
MESSAGES: Mapping[int, str] = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    411: "insufficient scope",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}
_SECOND = 1_000_000_000


class EncodedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One encoded message for the subscribers of `symbol`; None means every subscriber.

    `body` is MessagePack; `text` is JSON, and empty on the option stream, which has no JSON.
    """

    symbol: str | None
    body: bytes
    channel: Channel = "quotes"
    text: bytes = b""


def timestamp(at_ns: int, bits: Literal[32, 64, 96] = 64) -> msgspec.msgpack.Ext:
    """`at_ns` as the MessagePack timestamp extension (type -1); 32 bits drop the fraction of a second."""
    seconds, nanoseconds = divmod(at_ns, _SECOND)
    if bits == 32:
        return msgspec.msgpack.Ext(-1, struct.pack(">I", seconds))
    if bits == 64:
        return msgspec.msgpack.Ext(-1, struct.pack(">Q", nanoseconds << 34 | seconds))
    return msgspec.msgpack.Ext(-1, struct.pack(">Iq", nanoseconds, seconds))


def quote_message(quote: SimulatedQuote) -> dict[str, Any]:
    """A quote as a map; a missing bid or ask is the integer 0."""
    return {
        "T": "q",
        "S": quote.symbol,
        "t": timestamp(quote.at_ns),
        "bx": quote.bid_exchange,
        "bp": quote.bid or 0,
        "bs": quote.bid_size,
        "ax": quote.ask_exchange,
        "ap": quote.ask or 0,
        "as": quote.ask_size,
        "c": quote.condition,
    }


def trade_message(quote: SimulatedQuote) -> dict[str, Any]:
    """A trade at the ask of `quote`, as a map."""
    return {
        "T": "t",
        "S": quote.symbol,
        "t": timestamp(quote.at_ns),
        "p": quote.ask,
        "s": 1,
        "x": quote.ask_exchange,
        "c": "a",
    }


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as MessagePack."""
    return msgspec.msgpack.encode(message)


def encode_text(message: Mapping[str, Any]) -> bytes:
    """One message as JSON; NaN becomes null."""
    return msgspec.json.encode(message, enc_hook=_instant_of)


def frame(bodies: Sequence[bytes]) -> bytes:
    """A frame: the array of messages that are already encoded."""
    count = len(bodies)
    if count < 16:
        head = bytes([0x90 | count])
    elif count < 1 << 16:
        head = struct.pack(">BH", 0xDC, count)
    else:
        head = struct.pack(">BI", 0xDD, count)
    return head + b"".join(bodies)


def error_message(code: int) -> dict[str, Any]:
    """An error as a map."""
    return {"T": "error", "code": code, "msg": MESSAGES[code]}


def instant_ns(at_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339, with 0 to 9 fractional digits and no trailing zeros."""
    seconds, fraction = divmod(at_ns, _SECOND)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def _instant_of(extension: object) -> str:
    """A timestamp of any length as RFC 3339."""
    assert isinstance(extension, msgspec.msgpack.Ext)  # noqa: S101 - messages contain nothing else that JSON lacks
    data = bytes(extension.data)
    if len(data) == 4:
        return instant_ns(struct.unpack(">I", data)[0] * _SECOND)
    if len(data) == 8:
        (packed,) = struct.unpack(">Q", data)
        return instant_ns((packed & (1 << 34) - 1) * _SECOND + (packed >> 34))
    nanoseconds, seconds = struct.unpack(">Iq", data)
    return instant_ns(seconds * _SECOND + nanoseconds)
