"""A daemon that routes can be asked through, without a server: the real document and fan-out, and an ASGI client."""

import asyncio
import contextlib
import datetime as dt
import json

from condord.core.occ import parse
from condord.core.position import Position
from condord.core.quote import Tick
from condord.http.app import build
from condord.live import render, wire
from condord.live.account import Account
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.edition import Edition
from condord.live.fanout import Fanout
from condord.live.prices import Prices
from condord.live.publisher import Publisher

NOW_AT = dt.datetime(2026, 11, 20, 15, 31, 7, tzinfo=dt.UTC)
LEGS = {"SPY261218P00560000": 1, "SPY261218P00570000": -1, "SPY261218C00630000": -1, "SPY261218C00640000": 1}


def held(symbol: str, quantity: int) -> Position:
    """So many contracts, entered at 1.00."""
    return Position(
        symbol=symbol,
        contract=parse(symbol),
        quantity=quantity,
        average_entry_e4=10_000,
        cost_basis_e4=quantity * 1_000_000,
        underlying="SPY",
    )


def tick(symbol: str, bid: float, ask: float, second: int = 0) -> Tick:
    """A quote so many seconds after `NOW_AT`."""
    return Tick(symbol, NOW_AT + dt.timedelta(seconds=second), bid, ask)


class FakeDaemon:
    """The port that routes see, with one condor behind it; `now` is its clock."""

    def __init__(self, *, ring_size: int = 8, room: int = 2, settle_seconds: float = 0.0) -> None:
        status = render.unread_status("simulator", "indicative", NOW_AT)
        self.edition = Edition(epoch="test", replay_size=16, status=status, totals=render.UNREAD_TOTALS)
        self.fanout = Fanout(self.edition, ring_size=ring_size)
        book = Book(edition=self.edition, prices=Prices(max_symbols=100, ttl_seconds=600.0), min_change_e4=100)
        self.publisher = Publisher(
            account=Account(settle_seconds), book=book, coalescer=Coalescer(0.25), fanout=self.fanout
        )
        self.now = 0.0
        self.room = room
        self.is_alive = self.is_ready = True
        self.breaks = False
        self.refreshes = 0
        self.publisher.set_positions([held(symbol, quantity) for symbol, quantity in LEGS.items()], 0.0, NOW_AT)

    @property
    def has_room(self) -> bool:
        return self.fanout.subscribers < self.room

    def quote(self, *ticks: Tick) -> None:
        """Publish quotes, a second after the last."""
        self.now += 1.0
        self.publisher.offer(ticks, self.now)
        for subscriber in self.publisher.tick(self.now, NOW_AT):
            subscriber.wake()

    def document(self):
        return self.edition.document(NOW_AT)

    def one(self, identity):
        return self.edition.one(identity, NOW_AT)

    def report(self):
        if self.breaks:
            raise RuntimeError("a secret of the inside")
        status = self.edition.status
        return wire.StatusReport(
            **{name: getattr(status, name) for name in status.__struct_fields__},
            version="0",
            pid=1,
            address="http://127.0.0.1:1",
            uptime=1.0,
            reconnects=0,
            subscribers=self.fanout.subscribers,
            max_subscribers=self.room,
            frames=0,
            dropped=0,
            resyncs={},
            refused={},
            tasks=1,
        )

    def refresh(self):
        self.refreshes += 1

    def subscribe(self, selection, interval_seconds, version, wake):
        return self.fanout.subscribe(
            selection=selection, interval_seconds=interval_seconds, version=version, now_at=NOW_AT, wake=wake
        )

    def unsubscribe(self, subscriber):
        self.fanout.unsubscribe(subscriber)

    def take(self, subscriber):
        return subscriber.take(NOW_AT)


class Answer:
    """What came back; `chunks` are the parts of the body as they were sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.is_complete = False
        self.arrived = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def json(self):
        return json.loads(self.body)

    async def has(self, text: bytes) -> None:
        """Return once `text` has come."""
        async with asyncio.timeout(5):
            while text not in self.body:
                self.arrived.clear()
                await self.arrived.wait()


class Conversation:
    """One request to an ASGI application; `hang_up` disconnects."""

    def __init__(self, app, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        path, _, query = path.partition("?")
        self.answer = Answer()
        self._app = app
        self._gone = asyncio.Event()
        self._asked = False
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in {"Host": "localhost", **(headers or {})}.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8420),
            "state": {},
        }

    async def run(self) -> Answer:
        await self._app(self._scope, self._receive, self._send)
        return self.answer

    def hang_up(self) -> None:
        self._gone.set()

    async def _receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            if message.get("body"):
                self.answer.chunks.append(message["body"])
            self.answer.is_complete = not message.get("more_body", False)
        self.answer.arrived.set()


def ask(
    daemon, path: str, *, method: str = "GET", headers=None, raises: bool = False, around=lambda app: app
) -> Answer:
    """The answer of the application around `daemon`, or of what `around` wraps it in."""

    async def scene() -> Answer:
        conversation = Conversation(around(build(daemon)), path, method=method, headers=headers)
        with contextlib.suppress(RuntimeError) if raises else contextlib.nullcontext():
            await conversation.run()
        return conversation.answer

    return asyncio.run(scene())
