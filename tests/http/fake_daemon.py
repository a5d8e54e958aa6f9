"""A fake daemon with the real document and fan-out, and two ways to send requests to its application.

`in_memory` calls the application by ASGI, as any server would; `on_our_server` sends requests over a socket, with a
client that reads only what the test asks for.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import json
import socket
import zlib

import msgspec

from condord.core.occ import parse
from condord.core.position import Position
from condord.core.quote import Tick
from condord.errors import Unavailable
from condord.http.app import build
from condord.http.server import HttpServer, ListenAddress, listen
from condord.http.tickets import Tickets
from condord.live import render, wire
from condord.live.account import AccountState
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.fanout import Fanout
from condord.live.prices import Prices
from condord.live.published import Edition
from condord.live.publisher import Publisher
from condord.live.wire_alerts import AlertsJson, ChannelTestJson
from condord.live.wire_history import RecordedJson, TradesJson
from condord.live.wire_risk import StocksJson
from tests.fakes import documents
from tests.live.accounts import MODEL

NOW_AT = dt.datetime(2026, 11, 20, 15, 31, 7, tzinfo=dt.UTC)
LEGS = {"SPY261218P00560000": 1, "SPY261218P00570000": -1, "SPY261218C00630000": -1, "SPY261218C00640000": 1}


def held(symbol: str, quantity: int) -> Position:
    """A position of `quantity` contracts with an entry price of 1.00."""
    return Position(
        symbol=symbol,
        contract=parse(symbol),
        quantity=quantity,
        average_entry_e4=10_000,
        cost_basis_e4=quantity * 1_000_000,
        underlying="SPY",
    )


def tick(symbol: str, bid: float, ask: float, second: int = 0) -> Tick:
    """A quote, `second` seconds after `NOW_AT`."""
    return Tick(symbol, NOW_AT + dt.timedelta(seconds=second), bid, ask)


class FakeDaemon:
    """The interface of a daemon that routes use, with one condor; `now` is its clock in seconds.

    `recorded` is what it has recorded by condor id, None for the account; `history_fault` is raised instead. `asked`
    has the queries. `channel_answers` has what each channel answers to a test; None means never.
    """

    def __init__(self, *, ring_size: int = 8, room: int = 2, settle_seconds: float = 0.0) -> None:
        status = render.unread_status("simulator", "indicative", MODEL, NOW_AT)
        self.edition = Edition(epoch="test", replay_size=16, status=status, totals=render.UNREAD_TOTALS)
        self.fanout = Fanout(self.edition, ring_size=ring_size)
        book = Book(edition=self.edition, prices=Prices(max_symbols=100, ttl_seconds=600.0), min_change_e4=100)
        self.publisher = Publisher(
            account=AccountState(settle_seconds), book=book, coalescer=Coalescer(0.25), fanout=self.fanout
        )
        self.now = 0.0
        self.room = room
        self.is_alive = self.is_ready = True
        self.breaks = False
        self.compresses = True
        self.sent_bytes = 0
        self.subscribers = self
        self.refreshes = 0
        self.opened = []
        self.heartbeats_asked = []
        self.asked = []
        self.records_history = True
        self.recorded = {None: msgspec.convert(documents.recorded(), RecordedJson)}
        self.history_fault = None
        self.closed = msgspec.convert(documents.trades(), TradesJson)
        self.shown_alerts = msgspec.convert(documents.alerts(), AlertsJson)
        self.acknowledged, self.is_kept = [], True
        self.channel_answers = {"phone": ChannelTestJson(ok=True, status=200, text="delivered")}
        self.tested, self.is_channel_removed = [], False
        self.tickets = Tickets("a-token-of-some-length", now_at=lambda: NOW_AT)
        self.publisher.set_positions([held(symbol, quantity) for symbol, quantity in LEGS.items()], 0.0, NOW_AT)

    @property
    def has_room(self) -> bool:
        return self.fanout.subscribers < self.room

    def quote(self, *ticks: Tick) -> None:
        """Publish quotes one second after the previous ones."""
        self.now += 1.0
        self.publisher.offer(ticks, self.now)
        for subscriber in self.publisher.tick(self.now, NOW_AT):
            subscriber.wake()

    def stop(self) -> None:
        """End every stream with a bye event."""
        for subscriber in self.fanout.close("the daemon is stopping"):
            subscriber.wake()

    def document(self):
        return self.edition.document(NOW_AT)

    def condor(self, condor_id):
        return self.edition.one(condor_id, NOW_AT)

    def report(self):
        if self.breaks:
            raise RuntimeError("a secret detail")
        status = self.edition.status
        return wire.StatusReport(
            **{name: getattr(status, name) for name in status.__struct_fields__},
            stocks=StocksJson(state="live", code=None, reason=None, since=NOW_AT, stream=["SPY"], polled=[]),
            version="0",
            pid=1,
            address="http://127.0.0.1:1",
            uptime=1.0,
            reconnects=0,
            subscribers=self.fanout.subscribers,
            max_subscribers=self.room,
            frames=0,
            dropped=0,
            evicted=self.evicted,
            resyncs={},
            refused={},
            tasks=1,
        )

    async def history(self, query):
        self.asked.append(query)
        if self.history_fault is not None:
            raise self.history_fault
        return self.recorded.get(query.condor_id)

    async def trades(self, from_at, until_at):
        self.asked.append((from_at, until_at))
        return self.closed

    def alerts(self):
        return self.shown_alerts

    async def acknowledge(self, alert_id):
        is_known = any(alert.id == alert_id for alert in self.shown_alerts.alerts)
        self.acknowledged += [alert_id] * is_known
        if is_known and not self.is_kept:
            raise Unavailable("the next leader may not know of it", "")
        return is_known

    @property
    def channels(self):
        return self.channel_answers.keys()

    async def test_channel(self, name):
        self.tested.append(name)
        if self.is_channel_removed:
            return None
        if self.channel_answers[name] is None:
            await asyncio.get_running_loop().create_future()
        return self.channel_answers[name]

    def refresh(self):
        self.refreshes += 1

    def now_at(self):
        return NOW_AT

    heartbeat_seconds = 10.0

    def subscribe(
        self,
        selection,
        interval_seconds,
        version,
        coding,
        wake,
        *,
        is_chunked=False,
        heartbeat_seconds=None,
    ):
        self.heartbeats_asked.append(heartbeat_seconds)
        subscriber = self.fanout.subscribe(
            selection=selection,
            interval_seconds=interval_seconds,
            version=version,
            now_at=NOW_AT,
            wake=wake,
            coding=coding,
            is_chunked=is_chunked,
        )
        self.opened.append(subscriber)
        return subscriber

    @property
    def evicted(self):
        return self.fanout.evicted

    def evict(self, subscriber):
        self.fanout.evict(subscriber)

    def unsubscribe(self, subscriber):
        self.fanout.unsubscribe(subscriber)


class BrokenFrame:
    """A frame that raises when it is encoded, like a bug in one stream."""

    def __getattr__(self, name):
        raise RuntimeError("a bug in one stream")


class Answer:
    """A response; `chunks` are the parts of its body as they arrived."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.is_complete = False
        self.arrived = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def plain(self) -> bytes:
        """The decoded body, as far as it has arrived."""
        if self.headers.get("content-encoding") != "gzip":
            return self.body
        reading = zlib.decompressobj(31)
        plain = reading.decompress(self.body)
        assert reading.eof or not self.is_complete, "a gzip stream without its end"
        assert not reading.unused_data
        return plain

    def json(self):
        return json.loads(self.body)

    def add(self, chunk: bytes) -> None:
        """Append a part of the body."""
        self.chunks.append(chunk)
        self.arrived.set()

    async def has(self, text: bytes) -> None:
        """Wait until the body contains `text`."""
        async with asyncio.timeout(60):
            while text not in self.plain:
                self.arrived.clear()
                await self.arrived.wait()


class Conversation:
    """One request to an ASGI application; `hang_up` disconnects."""

    def __init__(self, app, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        path, _, query = path.partition("?")
        self.answer = Answer()
        self._app = app
        self._gone = asyncio.Event()
        self._taking = asyncio.Event()
        self._taking.set()
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

    def stall(self) -> None:
        """Stop taking the body."""
        self._taking.clear()

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
            await self._taking.wait()
            if message.get("body"):
                self.answer.chunks.append(message["body"])
            self.answer.is_complete = not message.get("more_body", False)
        self.answer.arrived.set()


class Client:
    """A connection to a server in this loop; it reads only on request."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    @classmethod
    async def connect(cls, port: int, *, receive_bytes: int = 0) -> "Client":
        """Open a connection; `receive_bytes` is the size of the kernel's buffer, 0 for the default."""
        opened = socket.socket()
        if receive_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        opened.setblocking(False)
        client = cls(opened)
        await client._loop.sock_connect(opened, ("127.0.0.1", port))
        return client

    async def ask(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, version="1.1"):
        """Send a request."""
        lines = [f"{method} {path} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in {"Host": "localhost", **(headers or {})}.items()]
        await self.send("\r\n".join([*lines, "\r\n"]).encode("latin-1"))

    async def send(self, raw: bytes) -> None:
        """Send raw bytes."""
        await self._loop.sock_sendall(self.socket, raw)

    async def read(self, answer: Answer, *, is_head: bool = False) -> Answer:
        """Read one response until it or the connection ends."""
        with contextlib.suppress(EOFError):
            status, *lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            answer.status = int(status.split(" ")[1])
            for line in lines:
                name, _, value = line.partition(": ")
                assert name.lower() not in answer.headers, f"duplicate header {name}"
                answer.headers[name.lower()] = value
            if not is_head:
                await self._read_body(answer)
            answer.is_complete = True
            answer.arrived.set()
        return answer

    async def _read_body(self, answer: Answer) -> None:
        if "chunked" in answer.headers.get("transfer-encoding", ""):
            while size := int(await self._until(b"\r\n"), 16):
                answer.add(await self.exactly(size))
                assert await self.exactly(2) == b"\r\n"
            assert await self.exactly(2) == b"\r\n"
        elif "content-length" in answer.headers:
            answer.add(await self.exactly(int(answer.headers["content-length"])))
        else:
            with contextlib.suppress(EOFError):
                while True:
                    answer.add(await self.some())

    async def some(self) -> bytes:
        """The next bytes; raises EOFError at the end."""
        data, self._rest = self._rest or await self._loop.sock_recv(self.socket, 65_536), b""
        if not data:
            raise EOFError
        return data

    async def to_the_end(self) -> None:
        """Read until the connection ends: raises EOFError after a clean close, ConnectionResetError after a reset."""
        while True:
            await self.some()

    async def exactly(self, size: int) -> bytes:
        """Read `size` bytes; raises EOFError if the connection ends first."""
        while len(self._rest) < size:
            self._rest += await self._more()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._rest:
            self._rest += await self._more()
        data, _, self._rest = self._rest.partition(mark)
        return data

    async def _more(self) -> bytes:
        rest, self._rest = self._rest, b""
        try:
            return await self.some()
        finally:
            self._rest = rest

    def close(self) -> None:
        """Disconnect."""
        self.socket.close()


class Exchange:
    """One request to our own server, with the interface of `Conversation`."""

    def __init__(self, port: int, path: str, **request) -> None:
        self.answer = Answer()
        self._port = port
        self._path = path
        self._request = request
        self._client: Client | None = None

    async def run(self) -> Answer:
        client = self._client = await Client.connect(self._port)
        with contextlib.closing(client):
            await client.ask(self._path, **self._request)
            return await client.read(self.answer, is_head=self._request.get("method") == "HEAD")

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):  # the stream may already have ended
            self._client.socket.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def serving(app, **bounds):
    """Serve `app` with our own server; yields the server and its port."""
    listener = listen(ListenAddress(host="127.0.0.1", port=0, uds=""))
    server = HttpServer(app, **bounds)
    running = asyncio.create_task(server.run_on([listener]))
    await server.is_serving.wait()
    try:
        yield server, listener.getsockname()[1]
    finally:
        server.stop()
        await running


@contextlib.asynccontextmanager
async def in_memory(app):
    """Send requests to `app` directly."""
    yield functools.partial(Conversation, app)


@contextlib.asynccontextmanager
async def on_our_server(app):
    """Send requests to `app` through our own server."""
    async with serving(app) as (_, port):
        yield functools.partial(Exchange, port)


def ask(
    daemon, path: str, *, method: str = "GET", headers=None, raises: bool = False, around=lambda app: app
) -> Answer:
    """The response of the application for `daemon`, wrapped by `around`."""

    async def scenario() -> Answer:
        conversation = Conversation(around(build(daemon)), path, method=method, headers=headers)
        with contextlib.suppress(RuntimeError) if raises else contextlib.nullcontext():
            await conversation.run()
        return conversation.answer

    return asyncio.run(scenario())
