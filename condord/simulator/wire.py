"""Decides the bytes of the option stream: MessagePack batches, timestamps as an extension, error frames.

Rules: a frame is an array of maps; a quote's `t` is the timestamp extension (-1) of 64 bits, or of 32 or 96 where
asked for; no bid is the integer 0. A quote is encoded once and its bytes are shared by all subscribers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.simulator.market import Quote

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


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """One encoded message; `symbol` says whose subscribers get it, null: all of them."""

    symbol: str | None
    body: bytes
    channel: Literal["quotes", "trades"] = "quotes"


def timestamp(at_ns: int, bits: Literal[32, 64, 96] = 64) -> msgspec.msgpack.Ext:
    """The MessagePack timestamp of `at_ns`; 32 bits drop the fraction."""
    seconds, nanoseconds = divmod(at_ns, _SECOND)
    if bits == 32:
        return msgspec.msgpack.Ext(-1, struct.pack(">I", seconds))
    if bits == 64:
        return msgspec.msgpack.Ext(-1, struct.pack(">Q", nanoseconds << 34 | seconds))
    return msgspec.msgpack.Ext(-1, struct.pack(">Iq", nanoseconds, seconds))


def quote_message(quote: Quote) -> dict[str, Any]:
    """The map of one quote."""
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


def trade_message(quote: Quote) -> dict[str, Any]:
    """The map of one trade, done at the ask of `quote`."""
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


def frame(bodies: Sequence[bytes]) -> bytes:
    """One frame: the array of messages that are encoded already."""
    count = len(bodies)
    if count < 16:
        head = bytes([0x90 | count])
    elif count < 1 << 16:
        head = struct.pack(">BH", 0xDC, count)
    else:
        head = struct.pack(">BI", 0xDD, count)
    return head + b"".join(bodies)


def error_message(code: int) -> dict[str, Any]:
    """The map of one error."""
    return {"T": "error", "code": code, "msg": MESSAGES[code]}
