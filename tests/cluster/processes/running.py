"""Relays as child processes, and what reads their streams byte by byte."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from condord.cluster.event_blocks import EventBlocks
from condord.live.replica import SourceEvent
from tests.e2e.running import TIMEOUT_SECONDS, Condord, Follower, Program, settled, until
from tests.fakes.faulty_link import FaultyLink

QUICK_RELAY = {"CONDORD_SERVER_HEARTBEAT_SECONDS": "1"}


class Relay(Condord):
    """`condord relay` of `source`, a URL."""

    def __init__(self, source: str, *arguments: str, **environ: str) -> None:
        flags = arguments if {"--port", "--uds"} & set(arguments) else ("--port", "0", *arguments)
        Program.__init__(self, "relay", "--source", source, *flags, environ={**QUICK_RELAY, **environ})
        self.url = self.await_line(r"serves at (\S+)")[1]

    def await_read(self) -> None:
        """Wait until the relay serves a document."""
        until(lambda: self.get("/api/positions")[0] == 200, lambda: f"a document: {self.stderr}")

    def await_code(self, code: str | None) -> dict:
        """Wait until its status has this code."""

        def check():
            status = self.status()
            return status if status["code"] == code else None

        return until(check, f"code {code}")


class Raw:
    """A stream client in a thread that keeps every event as it came. After `pause` it reads nothing."""

    def __init__(self, url: str, path: str = "/api/stream", *, receive_bytes: int = 0) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect((host, int(port)))
        self.socket.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        self.events: list[SourceEvent] = []
        self._flows = threading.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        blocks, head = EventBlocks(), b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in head:
                head += self.socket.recv(1)
            while self._flows.wait() and (chunk := self.socket.recv(65_536)):
                self.events += blocks.feed(chunk)

    def pause(self) -> None:
        """Take nothing until `resume`."""
        self._flows.clear()

    def resume(self) -> None:
        """Read again."""
        self._flows.set()

    def by_id(self) -> dict[str, bytes]:
        """The blocks of deltas and snapshots that came after the first event, by their ids."""
        return {event.id: event.block for event in self.events[1:] if event.id}

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._flows.set()
        self._thread.join(TIMEOUT_SECONDS)
        self.socket.close()


class Link:
    """A `FaultyLink` to the port of `url`, on a loop of its own thread; `url` is where it listens, with TLS by `context`."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.fake = FaultyLink(int(url.rpartition(":")[2]), context)
        self._run(self.fake.__aenter__())
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.fake.port}"

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_SECONDS)

    def do(self, name: str) -> None:
        """Call a method of the link: `stall`, `resume` or `reset`."""

        async def call():
            getattr(self.fake, name)()

        self._run(call())

    def set(self, **attributes: object) -> None:
        """Set attributes of the link: `refuses`, `cut_after`."""
        for name, value in attributes.items():
            setattr(self.fake, name, value)

    def close(self) -> None:
        """Close the link."""
        self._run(self.fake.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_SECONDS)
        self._loop.close()


@contextmanager
def closing_link(url: str, context: ssl.SSLContext | None = None) -> Iterator[Link]:
    """A link to `url`, closed at the end."""
    link = Link(url, context)
    try:
        yield link
    finally:
        link.close()


def same_documents(one: Follower, other: Follower, count: int, *, but_status: bool = False) -> int:
    """Compare what two followers held at the same versions; returns at how many, at least `count`."""

    def common():
        versions = one.documents.keys() & other.documents.keys()
        return versions if len(versions) >= count else None

    versions = until(common, f"{count} versions that both have")
    for version in versions:
        mine, theirs = settled(one.documents[version]), settled(other.documents[version])
        if but_status:
            theirs = {**theirs, "status": mine["status"]}
        assert mine == theirs, version
    return len(versions)


def compare_servers(one: Condord, other: Condord, count: int) -> None:
    """Compare `GET /api/positions` of two servers at `count` versions that both had."""
    at: dict[str, dict[int, dict]] = {}

    def check():
        for number, server in enumerate((one, other)):
            document = server.document()
            at.setdefault(document["version"], {})[number] = settled(document)
        both = [pair for pair in at.values() if len(pair) == 2]
        assert all(pair[0] == pair[1] for pair in both)
        return len(both) >= count

    until(check, f"{count} versions of both", pause=0.0)
