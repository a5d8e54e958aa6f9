"""Decides what the bytes of the option stream mean: Alpaca's MessagePack handshake, sans I/O.

Frames are arrays of maps. A frame is decoded at once into typed messages; where that fails, element by element, so
that an unknown type, a null, a number of another kind or a cut costs only the element that has it, which is counted.
Subscriptions are additive, and an acknowledgement names everything subscribed. What an answer does not grant is asked
for again only after another wish or when somebody hopes again, so that no answer whatever makes us ask without end.
Alpaca's limit may be lower than ours: between what it has granted and what it has refused (405) the middle is tried.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from condord.core.quote import Tick
from condord.live.wire import Refusal
from condord.upstream import msgpack_walk

MAX_FRAME_BYTES = 4 * 2**20
"""A frame larger than this ends the connection: Alpaca's batches hold hundreds of quotes of 100 bytes."""

MAX_APART = 20_000
"""An array of more elements than this is not read element by element when something in it is unreadable."""

UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What msgspec raises about bytes: also of text that is no UTF-8, and of nesting without end."""


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
        self._limit = symbol_limit
        self._room = symbol_limit
        self._too_many: int | None = None
        self._missing: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._wanted: tuple[str, ...] = ()
        self._denied: frozenset[str] = frozenset()
        self._stuck: frozenset[str] = frozenset()
        self._decoder = msgspec.msgpack.Decoder(list[Message])
        self._one = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()

    def receive(self, data: bytes) -> Sequence[Message]:
        """The messages of one frame; what cannot be read is counted in `refused` and left out."""
        try:
            return self._decoder.decode(data)
        except UNREADABLE:
            return self._receive_apart(data)

    def authenticate(self, key_id: str, secret_key: str) -> bytes:
        """The bytes that log in."""
        return self._encoder.encode({"action": "auth", "key": key_id, "secret": secret_key})

    @property
    def is_limited(self) -> bool:
        """Whether some of the wanted symbols are missing because there is room for so many only."""
        return bool(self._missing) and (self._too_many is not None or len(self._wanted) > self._limit)

    @property
    def missing(self) -> list[str]:
        """The wanted symbols that no answer has granted, or that do not fit, in their order."""
        return [symbol for symbol in self._wanted if symbol in self._missing]

    @property
    def is_settled(self) -> bool:
        """Whether no answer is awaited."""
        return self._asked == self.acknowledged

    def want(self, symbols: Sequence[str]) -> None:
        """Wish for quotes of exactly `symbols`, the most important first; another wish may ask for what was denied."""
        if tuple(symbols) == self._wanted:
            return
        self._wanted = tuple(symbols)
        self._denied = self._stuck = frozenset()
        self._note_missing()

    def allow(self, symbol_limit: int) -> None:
        """There may be so many symbols from now on."""
        self._limit = symbol_limit
        self.hope()
        self._note_missing()

    def hope(self) -> None:
        """Alpaca may have changed its mind: whatever was refused may be asked for again."""
        self._room = self._limit
        self._denied = self._stuck = frozenset()

    def due(self) -> list[bytes]:
        """The messages that bring the subscription to the wish, one kind at a time, as each waits for its answer."""
        if not self.is_settled:
            return []
        fitting = self._fitting()
        if surplus := sorted(self.acknowledged - fitting - self._stuck):
            self._asked = self.acknowledged.difference(surplus)
            return [self._encoder.encode({"action": "unsubscribe", "quotes": surplus})]
        if missing := sorted(fitting - self.acknowledged):
            self._asked = self.acknowledged.union(missing)
            return [self._encoder.encode({"action": "subscribe", "quotes": missing})]
        return []

    def acknowledge(self, quotes: Collection[str]) -> None:
        """Alpaca says what is subscribed now. What it leaves out of what was asked counts as refused."""
        leaving = self.acknowledged - self._asked
        self.acknowledged = frozenset(quotes)
        self._stuck |= leaving & self.acknowledged
        denied = self._asked - self.acknowledged
        if denied:
            self._denied |= denied
            self._count("unacknowledged")
        self._asked = self.acknowledged
        self._note_missing()
        self._grow()

    def shrink(self) -> None:
        """Alpaca's limit is lower than ours (405): nothing has changed there, so try half as many more."""
        self._too_many = max(len(self._asked), len(self.acknowledged) + 1)
        self._room = (len(self.acknowledged) + self._too_many) // 2
        self._stuck |= self.acknowledged - self._asked
        self._asked = self.acknowledged
        self._note_missing()

    def _grow(self) -> None:
        """What was too many once may be disproved by now; until it is, try the middle."""
        granted = len(self.acknowledged)
        if not self._missing or (self._too_many is not None and granted >= self._too_many):
            self._too_many = None
        elif self._too_many is not None and granted >= self._room:
            self._room = max(self._room, (granted + self._too_many) // 2)

    def _note_missing(self) -> None:
        unfit = frozenset(self._wanted) - self._fitting()
        self._missing = (self._missing.intersection(self._wanted) | unfit) - self.acknowledged

    def _askable(self) -> list[str]:
        """What is wanted and was not denied, in order."""
        return [symbol for symbol in self._wanted if symbol not in self._denied and symbol not in self._stuck]

    def _fitting(self) -> frozenset[str]:
        """What of the askable has room beside that which Alpaca will not let go."""
        return frozenset(self._askable()[: max(0, self._room - len(self._stuck & self.acknowledged))])

    def _receive_apart(self, data: bytes) -> list[Message]:
        count = msgpack_walk.count(data)
        if count is None or count > MAX_APART:
            self._count("frame")
            return []
        messages: list[Message] = []
        for element in msgpack_walk.elements(data):
            try:
                messages.append(self._one.decode(element))
            except UNREADABLE:
                self._count("element")
        return messages

    def _count(self, kind: Refusal) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1
