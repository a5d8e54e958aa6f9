"""Alpaca's MessagePack protocol of the option stream and the stock stream, sans I/O.

A frame is an array of maps. It is decoded into typed messages in one go, or element by element if that fails: an
unknown type, a null, a wrong kind of number or a truncated value costs only its element, which is counted.

Subscriptions are additive, and an acknowledgement names everything subscribed. A symbol that an answer does not grant
is requested again only after `want` with other symbols or `subscribe_again`. So no answer can cause endless requests.
Alpaca's limit may be lower than the configured one. A binary search between the numbers of symbols that it granted and
that it refused (405) finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from condord.core.quote import Tick
from condord.live.wire import Refusal
from condord.upstream import msgpack_walk

MAX_FRAME_BYTES = 4 * 2**20
"""A frame larger than this ends the connection: Alpaca's batches hold hundreds of quotes of 100 bytes."""

MAX_APART = 20_000
"""A frame with an unreadable element is dropped whole if it has more elements than this."""

UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""The exceptions that msgspec raises for any bytes, including text that is not UTF-8 and too deep nesting."""


class Success(msgspec.Struct, frozen=True, tag_field="T", tag="success"):
    """`connected` or `authenticated`."""

    msg: str


class ErrorFrame(msgspec.Struct, frozen=True, tag_field="T", tag="error"):
    """Alpaca refuses something; `condord.upstream.failure_table` lists the codes."""

    code: int
    msg: str = ""


class Subscription(msgspec.Struct, frozen=True, tag_field="T", tag="subscription"):
    """Everything that is subscribed now."""

    quotes: list[str] = []
    trades: list[str] = []


class TradeMessage(msgspec.Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A trade: not subscribed to, and not used for marks, as it may be 15 minutes old."""


class UnusedMessage(msgspec.Struct, frozen=True, gc=False, tag_field="T"):
    """A message of the stock stream that is not used; none is subscribed to, but Alpaca may send corrections anyway."""


class MinuteBar(UnusedMessage, frozen=True, gc=False, tag="b"):
    """The bar of a minute."""


class DailyBar(UnusedMessage, frozen=True, gc=False, tag="d"):
    """The bar of the day so far."""


class UpdatedBar(UnusedMessage, frozen=True, gc=False, tag="u"):
    """The bar of a minute after a late trade."""


class Correction(UnusedMessage, frozen=True, gc=False, tag="c"):
    """A correction of a trade."""


class Cancel(UnusedMessage, frozen=True, gc=False, tag="x"):
    """A cancelled trade."""


class PriceBand(UnusedMessage, frozen=True, gc=False, tag="l"):
    """The limits of a stock's price (limit up, limit down)."""


class TradingStatus(UnusedMessage, frozen=True, gc=False, tag="s"):
    """A halt or a resumption of trading."""


Message = (
    Tick
    | Success
    | ErrorFrame
    | Subscription
    | TradeMessage
    | MinuteBar
    | DailyBar
    | UpdatedBar
    | Correction
    | Cancel
    | PriceBand
    | TradingStatus
)


class Refusals(NamedTuple):
    """The kinds under which a stream counts what it refuses: an element, a whole frame, and a denied subscription."""

    element: Refusal
    frame: Refusal
    unacknowledged: Refusal


class QuoteProtocol:
    """The protocol of one connection: it turns bytes into messages, and wanted symbols into bytes.

    `refused` counts over all connections, by the names in `kinds`.
    """

    def __init__(self, *, symbol_limit: int, refused: dict[str, int], kinds: Refusals) -> None:
        self.refused = refused
        self.acknowledged: frozenset[str] = frozenset()
        self._kinds = kinds
        self._limit = symbol_limit
        self._room = symbol_limit
        """How many symbols to subscribe to: the limit, or what the search for Alpaca's limit tries next."""
        self._too_many: int | None = None
        """The number of symbols that Alpaca's newest 405 has refused; None without a limit of Alpaca's."""
        self._missing: frozenset[str] = frozenset()
        self._requested: frozenset[str] = frozenset()
        self._wanted: tuple[str, ...] = ()
        self._denied: frozenset[str] = frozenset()
        """Requested symbols that an acknowledgement left out."""
        self._stuck: frozenset[str] = frozenset()
        """Symbols that Alpaca did not unsubscribe when it was asked to."""
        self._decoder = msgspec.msgpack.Decoder(list[Message])
        self._element_decoder = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()

    def receive(self, data: bytes) -> Sequence[Message]:
        """Return the messages of one frame; what cannot be read is counted in `refused` and left out."""
        try:
            return self._decoder.decode(data)
        except UNREADABLE:
            return self._receive_apart(data)

    def authenticate(self, key_id: str, secret_key: str) -> bytes:
        """Return the login message."""
        return self._encoder.encode({"action": "auth", "key": key_id, "secret": secret_key})

    @property
    def is_limited(self) -> bool:
        """Whether wanted symbols are missing because of the configured limit or Alpaca's."""
        return bool(self._missing) and (self._too_many is not None or len(self._wanted) > self._limit)

    @property
    def missing(self) -> list[str]:
        """The wanted symbols that no answer has granted, or for which there is no room, in order."""
        return [symbol for symbol in self._wanted if symbol in self._missing]

    @property
    def is_settled(self) -> bool:
        """Whether every request is answered."""
        return self._requested == self.acknowledged

    def want(self, symbols: Sequence[str]) -> None:
        """Set the wanted symbols, most important first. If they change, refused symbols are requested again."""
        if tuple(symbols) == self._wanted:
            return
        self._wanted = tuple(symbols)
        self._denied = self._stuck = frozenset()
        self._note_missing()

    def allow(self, symbol_limit: int) -> None:
        """Set the configured limit of symbols."""
        self._limit = symbol_limit
        self.subscribe_again()
        self._note_missing()

    def subscribe_again(self) -> None:
        """Allow refused symbols to be requested again, as Alpaca's limit may have changed."""
        self._room = self._limit
        self._denied = self._stuck = frozenset()

    def due(self) -> list[bytes]:
        """Return the next request, if the subscription is not as wanted and no answer is awaited."""
        if not self.is_settled:
            return []
        fitting = self._fitting()
        if surplus := sorted(self.acknowledged - fitting - self._stuck):
            self._requested = self.acknowledged.difference(surplus)
            return [self._encoder.encode({"action": "unsubscribe", "quotes": surplus})]
        if missing := sorted(fitting - self.acknowledged):
            self._requested = self.acknowledged.union(missing)
            return [self._encoder.encode({"action": "subscribe", "quotes": missing})]
        return []

    def acknowledge(self, quotes: Collection[str]) -> None:
        """Handle an acknowledgement, which lists every subscribed symbol. Requested symbols not in it are refused."""
        leaving = self.acknowledged - self._requested
        self.acknowledged = frozenset(quotes)
        self._stuck |= leaving & self.acknowledged
        denied = self._requested - self.acknowledged
        if denied:
            self._denied |= denied
            self._count(self._kinds.unacknowledged)
        self._requested = self.acknowledged
        self._note_missing()
        self._grow()

    def shrink(self) -> None:
        """Handle a 405: Alpaca's limit is lower, and the subscription is unchanged. Try half as many new symbols."""
        self._too_many = max(len(self._requested), len(self.acknowledged) + 1)
        self._room = (len(self.acknowledged) + self._too_many) // 2
        self._stuck |= self.acknowledged - self._requested
        self._requested = self.acknowledged
        self._note_missing()

    def _grow(self) -> None:
        """Drop an upper bound of Alpaca's limit that was disproved; otherwise try the middle of both bounds."""
        granted = len(self.acknowledged)
        if not self._missing or (self._too_many is not None and granted >= self._too_many):
            self._too_many = None
        elif self._too_many is not None and granted >= self._room:
            self._room = max(self._room, (granted + self._too_many) // 2)

    def _note_missing(self) -> None:
        unfit = frozenset(self._wanted) - self._fitting()
        self._missing = (self._missing.intersection(self._wanted) | unfit) - self.acknowledged

    def _requestable(self) -> list[str]:
        """The wanted symbols that were not refused, in order."""
        return [symbol for symbol in self._wanted if symbol not in self._denied and symbol not in self._stuck]

    def _fitting(self) -> frozenset[str]:
        """The first requestable symbols that fit into the limit with those that Alpaca did not unsubscribe."""
        return frozenset(self._requestable()[: max(0, self._room - len(self._stuck & self.acknowledged))])

    def _receive_apart(self, data: bytes) -> list[Message]:
        count = msgpack_walk.count(data)
        if count is None or count > MAX_APART:
            self._count(self._kinds.frame)
            return []
        messages: list[Message] = []
        for element in msgpack_walk.elements(data):
            try:
                messages.append(self._element_decoder.decode(element))
            except UNREADABLE:
                self._count(self._kinds.element)
        return messages

    def _count(self, kind: Refusal) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1
