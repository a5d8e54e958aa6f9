"""Decides what the bytes of the option stream mean: Alpaca's MessagePack handshake, sans I/O.

Frames are arrays of maps. A frame is decoded at once into typed messages; where that fails, element by element, so
that an unknown type, a null or a number of another kind costs only the element that has it, which is counted.
Subscriptions are additive, and an acknowledgement names everything subscribed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from condord.core.quote import Tick

MAX_FRAME_BYTES = 8 * 2**20
"""A frame larger than this ends the connection: Alpaca's batches hold hundreds of quotes of 100 bytes."""


class Success(msgspec.Struct, frozen=True, tag_field="T", tag="success"):
    """`connected` or `authenticated`."""

    msg: str


class ErrorFrame(msgspec.Struct, frozen=True, tag_field="T", tag="error"):
    """Alpaca refuses something; see `condord.upstream.faults`."""

    code: int
    msg: str = ""


class Subscription(msgspec.Struct, frozen=True, tag_field="T", tag="subscription"):
    """All that is subscribed now."""

    quotes: list[str] = []
    trades: list[str] = []


class Trade(msgspec.Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A trade: not asked for, and not used for marks, as it may be 15 minutes old."""


Message = Tick | Success | ErrorFrame | Subscription | Trade


class OptionProtocol:
    """One connection: bytes in, messages out; wishes in, bytes out. `refused` counts over all connections."""

    def __init__(self, *, symbol_limit: int, refused: dict[str, int]) -> None:
        self.refused = refused
        self.acknowledged: frozenset[str] = frozenset()
        self._room = symbol_limit
        self._asked: frozenset[str] = frozenset()
        self._wanted: tuple[str, ...] = ()
        self._denied: frozenset[str] = frozenset()
        self._decoder = msgspec.msgpack.Decoder(list[Message])
        self._one = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()

    def receive(self, data: bytes) -> Sequence[Message]:
        """The messages of one frame; what cannot be read is counted in `refused` and left out."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return self._receive_apart(data)

    def authenticate(self, key_id: str, secret_key: str) -> bytes:
        """The bytes that log in."""
        return self._encoder.encode({"action": "auth", "key": key_id, "secret": secret_key})

    @property
    def is_limited(self) -> bool:
        """Whether some of the wanted symbols do not fit."""
        return len(self._wanted) > self._room

    def want(self, symbols: Sequence[str]) -> None:
        """Wish for quotes of exactly `symbols`, the most important first; what was denied may be asked again."""
        self._wanted = tuple(symbols)
        self._denied = frozenset()

    def due(self) -> list[bytes]:
        """The messages that bring the subscription to the wish, one kind at a time, as each waits for its answer."""
        if self._asked != self.acknowledged:
            return []
        fitting = frozenset(self._wanted[: self._room])
        if surplus := sorted(self.acknowledged - fitting):
            self._asked = self.acknowledged & fitting
            return [self._encoder.encode({"action": "unsubscribe", "quotes": surplus})]
        if missing := sorted(fitting - self.acknowledged - self._denied):
            self._asked = self.acknowledged.union(missing)
            return [self._encoder.encode({"action": "subscribe", "quotes": missing})]
        return []

    def acknowledge(self, quotes: Collection[str]) -> None:
        """Alpaca says what is subscribed now. What it leaves out of what was asked counts as refused."""
        self.acknowledged = frozenset(quotes)
        denied = self._asked - self.acknowledged
        if denied:
            self._denied |= denied
            self._count("unacknowledged")
        self._asked = self.acknowledged

    def shrink(self) -> None:
        """Alpaca's limit is lower than ours (405): nothing has changed there, so ask for half as many more."""
        self._room = len(self.acknowledged) + len(self._asked - self.acknowledged) // 2
        self._asked = self.acknowledged

    def _receive_apart(self, data: bytes) -> list[Message]:
        try:
            elements = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, ValueError, OverflowError):
            self._count("frame")
            return []
        messages: list[Message] = []
        for element in elements:
            try:
                messages.append(self._one.decode(element))
            except (msgspec.MsgspecError, ValueError, OverflowError):
                self._count("element")
        return messages

    def _count(self, kind: str) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1
