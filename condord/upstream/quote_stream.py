"""A stream of quotes: what the option stream and the stock stream have in common."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from condord.core.quote import Tick
from condord.host.network import Network
from condord.live.link import SERVING, Event, Link, LinkFault
from condord.upstream.classify_failure import SYMBOL_LIMIT
from condord.upstream.interfaces import Login
from condord.upstream.link_runner import LinkRunner
from condord.upstream.quote_protocol import (
    ErrorFrame,
    Message,
    QuoteProtocol,
    Refusals,
    Subscription,
    Success,
    TradeMessage,
)

_KINDS: dict[type[Message], str] = {
    Tick: "quote",
    TradeMessage: "trade",
    Success: "success",
    Subscription: "subscription",
    ErrorFrame: "error",
}


_OTHER = "other"
Sink = TypeVar("Sink")


class QuoteStream(LinkRunner, Generic[Sink]):
    """Receives quotes of `symbols`; subclasses pass them on to `sink`.

    `newer` asks REST whether it has newer quotes, and raises `RestFault` if that stays unknown. `live` is called when a
    connection is live, and `changed` when the status may have changed. `messages` counts messages by kind, over all
    connections; `last_message_at` is when the newest quote arrived.
    """

    refusals: ClassVar[Refusals]

    def __init__(
        self,
        link: Link,
        *,
        url: str,
        login: Login,
        network: Network,
        symbol_limit: int,
        sink: Sink,
        now_at: Callable[[], dt.datetime],
        newer: Callable[[], Awaitable[bool]],
        live: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        headers = {"Content-Type": "application/msgpack"}
        super().__init__(link, url=url, headers=headers, network=network, changed=changed)
        self.symbols: tuple[str, ...] = ()
        self.refused: dict[str, int] = {}
        self.messages = no_messages()
        self.last_message_at: dt.datetime | None = None
        self._login = login
        self._symbol_limit = symbol_limit
        self._sink = sink
        self._now_at = now_at
        self._newer = newer
        self._live = live
        self._answered = asyncio.Event()
        self._protocol = self._new_protocol()

    @abstractmethod
    def offer(self, ticks: Sequence[Tick]) -> None:
        """Pass quotes on."""

    @abstractmethod
    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on."""

    @abstractmethod
    def fault(self, frame: ErrorFrame) -> LinkFault:
        """The fault for an error frame."""

    def _new_protocol(self) -> QuoteProtocol:
        return QuoteProtocol(symbol_limit=self._symbol_limit, refused=self.refused, kinds=self.refusals)

    @property
    def streamed(self) -> frozenset[str]:
        """The symbols that Alpaca has acknowledged on the current connection; none without one."""
        return self._protocol.acknowledged if self.link.state in SERVING else frozenset()

    @property
    def is_limited(self) -> bool:
        """Whether Alpaca streams only some of the wanted symbols because of a symbol limit."""
        return self.link.state in SERVING and self._protocol.is_limited

    @property
    def missing(self) -> list[str]:
        """The wanted symbols that Alpaca does not stream on the current connection, most important first."""
        return self._protocol.missing if self.link.state in SERVING else []

    def want(self, symbols: Sequence[str]) -> None:
        """Stream quotes of exactly `symbols`, given with the most important first."""
        self.symbols = tuple(symbols)
        self._protocol.want(symbols)
        self.resubscribe()

    def subscribe_again(self) -> None:
        """Subscribe again to the refused symbols."""
        self._protocol.subscribe_again()
        self.resubscribe()

    async def settled(self, seconds: float) -> None:
        """Wait until every subscription is answered, `seconds` at most; return at once if the stream is not live."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.link.state in SERVING and not self._protocol.is_settled:
                    self._answered.clear()
                    await self._answered.wait()

    def reload(self, login: Login, url: str) -> None:
        """Connect again, with another key or to another feed."""
        self._login = login
        self.reopen(url)

    def allow(self, symbol_limit: int) -> None:
        """Stream at most `symbol_limit` symbols from now on."""
        if symbol_limit != self._symbol_limit:
            self._symbol_limit = symbol_limit
            self._protocol.allow(symbol_limit)
            self.resubscribe()

    def begin(self) -> None:
        """Start with a new protocol."""
        self._protocol = self._new_protocol()
        self._protocol.want(self.symbols)

    def read(self, data: bytes) -> None:
        """Pass the quotes of a frame on together; other messages are events of the link."""
        messages = self._protocol.receive(data)
        ticks = [message for message in messages if type(message) is Tick]
        if ticks:
            self.messages["quote"] += len(ticks)
            self.last_message_at = self._now_at()
            self.note_data()
            self.offer(ticks)
        if len(ticks) == len(messages):
            return
        for message in messages:
            if type(message) is not Tick:
                self.messages[_KINDS.get(type(message), _OTHER)] += 1
        for message in _newest_controls(messages):
            self._control(message)

    def _control(self, message: Message) -> None:
        if isinstance(message, Success):
            steps: dict[str, Event] = {"connected": "welcomed", "authenticated": "authenticated"}
            if message.msg in steps:
                self.step(steps[message.msg])
        elif isinstance(message, Subscription):
            before = self._protocol.acknowledged
            self._protocol.acknowledge(message.quotes)
            self.follow(self._protocol.acknowledged - before)
            self._answer("acknowledged")
        elif isinstance(message, ErrorFrame):
            if message.code == SYMBOL_LIMIT:
                self._protocol.shrink()
                self._answer("limited")
            else:
                self.step("fault", self.fault(message))

    def _answer(self, event: Event) -> None:
        """Note an answer to a subscription, after which the next part may be sent."""
        self.step(event)
        self._answered.set()

    def authentication(self) -> bytes:
        """The message that logs in."""
        return self._protocol.authenticate(self._login.key_id, self._login.secret_key)

    def subscription(self) -> list[bytes | str]:
        """The due messages that subscribe and unsubscribe."""
        return [*self._protocol.due()]

    def opened(self) -> None:
        """Do nothing: Alpaca sends the first message on this stream."""

    def gap(self) -> None:
        """End the wait for answers to subscriptions."""
        self._answered.set()

    def snapshot(self) -> None:
        """Request the missed quotes over REST."""
        self._live()

    async def ask_newer(self) -> bool:
        """Whether REST has quotes that the stream should have delivered; raises `RestFault` if it does not answer."""
        return await self._newer()


def no_messages() -> dict[str, int]:
    """The counts of a stream that has sent nothing yet."""
    return dict.fromkeys((*_KINDS.values(), _OTHER), 0)


def _newest_controls(messages: Iterable[Message]) -> list[Message]:
    """All messages that matter but quotes; of acknowledgements (each lists all symbols) and 405s only the newest."""
    kept: dict[object, Message] = {}
    for message in messages:
        if isinstance(message, Subscription | ErrorFrame):
            key: object = message.code if isinstance(message, ErrorFrame) else Subscription
            kept.pop(key, None)
            kept[key] = message
        elif isinstance(message, Success):
            kept[message.msg] = message
    return list(kept.values())
