"""A source in the loop of the test, whose answers the test writes, and a taker of its events."""

import asyncio
import contextlib

from condord.client.address import parse_url
from condord.cluster.connection import SourceSettings
from condord.host.secret import Secret

SNAPSHOT = b"event: snapshot\nid: k3f9-1\ndata: {}\n\n"
DELTA = b"event: delta\nid: k3f9-2\ndata: {}\n\n"
HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"


def answer(status, body=b"", *headers):
    """A whole answer."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers))
    return head.encode() + b"\r\n" + body


class FakeSource:
    """Serves each connection with the next of `scripts`: bytes are sent, a number of seconds is slept.

    After its script a connection is closed; `HOLD` keeps it open. `heads` has the requests. The last script is repeated.
    """

    HOLD = object()

    def __init__(self, *scripts, uds=None, context=None):
        self.scripts = [*scripts]
        self.heads = []
        self.connections = 0
        self._uds = uds
        self._context = context

    async def __aenter__(self):
        if self._uds:
            self._server = await asyncio.start_unix_server(self._serve, self._uds)
            self.url = f"unix://{self._uds}"
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
            port = self._server.sockets[0].getsockname()[1]
            self.url = f"http{'s' if self._context else ''}://127.0.0.1:{port}"
        self._tasks = set()
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def settings(self, token=None, context=None, base=""):
        return SourceSettings(
            address=parse_url(self.url + base, allows_tls=True),
            token=Secret(token) if token else None,
            context=lambda: context,
        )

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        # Python 3.11 logs a task of a server that is cancelled.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            for step in script:
                if step is self.HOLD:
                    await reader.read()
                elif isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await asyncio.sleep(step)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            writer.close()
            await writer.wait_closed()


class FakeSink:
    """Takes events; `calls` has their names, and what else was noted."""

    def __init__(self, resume_version=None):
        self.resume_version = resume_version
        self.needs_snapshot = self.is_lost = False
        self.calls = []
        self.error = None
        self.on_take = lambda event: None

    def begin(self):
        self.calls.append("begin")

    def take(self, event):
        self.calls.append(event.name)
        if self.error is not None:
            raise self.error
        # A snapshot has the status, and so has the first delta after a resume.
        self.is_lost = self.is_lost and not (event.name == "snapshot" or self.calls[-2:] == ["begin", "delta"])
        self.on_take(event)

    def lose(self, reason):
        self.is_lost = True
        self.calls.append(f"lost: {reason}")
