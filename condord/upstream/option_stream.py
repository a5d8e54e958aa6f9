"""The option stream: quotes of the held contracts, over Alpaca's one permitted connection."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence

from condord.core.quote import Tick
from condord.live.link import SERVING, Event, Link
from condord.upstream.faults import SYMBOL_LIMIT, stream_fault
from condord.upstream.line import Line
from condord.upstream.option_protocol import ErrorFrame, Message, OptionProtocol, Subscription, Success, Trade
from condord.upstream.ports import Desk, Login

_KINDS: dict[type[Message], str] = {
    Tick: "quote",
    Trade: "trade",
    Success: "success",
    Subscription: "subscription",
    ErrorFrame: "error",
}


class OptionStream(Line):
    """Feeds `desk` with quotes of `symbols`; `newer` asks REST whether it knows newer ones.

    `messages` counts what came, by kind, over all connections.
    """

    def __init__(
        self,
        link: Link,
        *,
        url: str,
        login: Login,
        symbol_limit: int,
        desk: Desk,
        now_at: Callable[[], dt.datetime],
        newer: Callable[[], Awaitable[bool]],
        live: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(link, url=url, headers={"Content-Type": "application/msgpack"}, changed=changed)
        self.symbols: tuple[str, ...] = ()
        self.refused: dict[str, int] = {}
        self.messages = dict.fromkeys(_KINDS.values(), 0)
        self.heard_at: dt.datetime | None = None
        self._login = login
        self._symbol_limit = symbol_limit
        self._desk = desk
        self._now_at = now_at
        self._newer = newer
        self._live = live
        self._answered = asyncio.Event()
        self._protocol = OptionProtocol(symbol_limit=symbol_limit, refused=self.refused)

    @property
    def streamed(self) -> frozenset[str]:
        """The symbols that Alpaca has acknowledged on the connection there is."""
        return self._protocol.acknowledged if self.link.state in SERVING else frozenset()

    @property
    def is_limited(self) -> bool:
        """Whether Alpaca streams only a part of the symbols, as there is room for so many only."""
        return self.link.state in SERVING and self._protocol.is_limited

    @property
    def missing(self) -> list[str]:
        """The symbols that Alpaca does not stream on the connection there is, the most important first."""
        return self._protocol.missing if self.link.state in SERVING else []

    def want(self, symbols: Sequence[str]) -> None:
        """Stream quotes of exactly `symbols`, the most important first."""
        self.symbols = tuple(symbols)
        self._protocol.want(symbols)
        self.resubscribe()

    def hope(self) -> None:
        """Ask again for what was refused."""
        self._protocol.hope()
        self.resubscribe()

    async def settled(self, seconds: float) -> None:
        """Wait until every subscription is answered, `seconds` at most; a stream that is not live asks for none."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.link.state in SERVING and not self._protocol.is_settled:
                    self._answered.clear()
                    await self._answered.wait()

    def reload(self, login: Login, url: str) -> None:
        """Connect anew, with another key or to another feed."""
        self._login = login
        self.reopen(url)

    def allow(self, symbol_limit: int) -> None:
        """Stream at most so many symbols from now on."""
        if symbol_limit != self._symbol_limit:
            self._symbol_limit = symbol_limit
            self._protocol.allow(symbol_limit)
            self.resubscribe()

    def begin(self) -> None:
        """Start the handshake from nothing."""
        self._protocol = OptionProtocol(symbol_limit=self._symbol_limit, refused=self.refused)
        self._protocol.want(self.symbols)

    def read(self, data: bytes) -> None:
        """Quotes go to the desk together; all else moves the link."""
        messages = self._protocol.receive(data)
        ticks = [message for message in messages if type(message) is Tick]
        if ticks:
            self.messages["quote"] += len(ticks)
            self.heard_at = self._now_at()
            self.link.data(self.now())
            self._desk.offer(ticks)
        if len(ticks) == len(messages):
            return
        for message in messages:
            if type(message) is not Tick:
                self.messages[_KINDS[type(message)]] += 1
        for message in _of_weight(messages):
            self._control(message)

    def _control(self, message: Message) -> None:
        if isinstance(message, Success):
            steps: dict[str, Event] = {"connected": "welcomed", "authenticated": "authenticated"}
            if message.msg in steps:
                self.step(steps[message.msg])
        elif isinstance(message, Subscription):
            before = self._protocol.acknowledged
            self._protocol.acknowledge(message.quotes)
            self._desk.follow(self._protocol.acknowledged - before)
            self._answer("acknowledged")
        elif isinstance(message, ErrorFrame):
            if message.code == SYMBOL_LIMIT:
                self._protocol.shrink()
                self._answer("limited")
            else:
                self.step("fault", stream_fault(message.code, message.msg))

    def _answer(self, event: Event) -> None:
        """An answer to a subscription came: the next part may be asked for."""
        self.step(event)
        self._answered.set()

    def authentication(self) -> bytes:
        """The login of the option stream."""
        return self._protocol.authenticate(self._login.key_id, self._login.secret_key)

    def subscription(self) -> list[bytes | str]:
        """What is due, in frames."""
        return [*self._protocol.due()]

    def opened(self) -> None:
        """Alpaca speaks first on this stream."""

    def gap(self) -> None:
        """Every quote is unconfirmed until somebody says so."""
        self._answered.set()
        self._desk.gap()

    def snapshot(self) -> None:
        """Ask REST for what was missed."""
        self._desk.resume()
        self._live()

    async def ask_newer(self) -> bool:
        """Whether REST has quotes that should have come here."""
        return await self._newer()


def _of_weight(messages: Iterable[Message]) -> list[Message]:
    """All but quotes and trades; of acknowledgements, each of which names everything, and of 405 the newest."""
    kept: dict[object, Message] = {}
    for message in messages:
        if isinstance(message, Subscription | ErrorFrame):
            key: object = message.code if isinstance(message, ErrorFrame) else Subscription
            kept.pop(key, None)
            kept[key] = message
        elif isinstance(message, Success):
            kept[message.msg] = message
    return list(kept.values())
