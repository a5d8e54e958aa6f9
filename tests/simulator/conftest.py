"""A simulation at a fixed instant, and requests to it over ASGI."""

import asyncio
import datetime as dt
import json

import pytest

from condord.simulator.entitlements import Entitlements
from condord.simulator.scenarios import scenario
from condord.simulator.server import build_application
from condord.simulator.simulation import Simulation

STARTED_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)  # a Friday, 10:00 in New York
KEYS = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}


class Response:
    """One HTTP response."""

    def __init__(self, status, headers, chunks, raw_headers):
        self.status = status
        self.raw_headers = raw_headers
        self.headers = headers
        self.chunks = chunks
        self.body = b"".join(chunks)

    def all(self, name):
        """The values of every header called `name`."""
        return [value.decode() for key, value in self.raw_headers if key.decode() == name]

    @property
    def json(self):
        return json.loads(self.body)


class Harness:
    """One simulation with clocks that the test sets, and its HTTP application."""

    def __init__(self, name="default", *, rate_limit=200, **entitlements):
        self.now = 1000.0
        self.wall = 1_795_000_000.0
        self.simulation = Simulation(
            scenario=scenario(name),
            seed=1,
            entitlements=Entitlements(**entitlements),
            started_at=STARTED_AT,
            now=self.now,
        )
        self.stopping = asyncio.Event()
        self.app = build_application(
            self.simulation,
            rate_limit=rate_limit,
            now=lambda: self.now,
            stopping=self.stopping,
            wall=lambda: self.wall,
        )

    def tick(self, seconds=0.05):
        self.now += seconds
        self.simulation.tick(self.now)

    def inject(self, fault, **args):
        self.simulation.faults.activate(fault, self.now, **args)

    def post(self, path, body):
        """Change the simulator by one of its admin routes, which take no keys."""
        return self.request(f"/simulator/{path}", method="POST", body=body, headers={})

    def request(self, target, *, method="GET", body=None, headers=KEYS):
        return asyncio.run(self.request_async(target, method=method, body=body, headers=headers))

    async def request_async(self, target, *, method="GET", body=None, headers=KEYS, disconnects=False):
        path, _, query = target.partition("?")
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        incoming = [{"type": "http.request", "body": content}]
        started, chunks = {}, []

        async def receive():
            if incoming:
                return incoming.pop()
            if not disconnects:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message):
            started.update(message)
            if message["type"] == "http.response.body" and message.get("body"):
                chunks.append(message["body"])

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
        }
        await self.app(scope, receive, send)
        decoded = {key.decode(): value.decode() for key, value in started["headers"]}
        return Response(started["status"], decoded, chunks, started["headers"])


@pytest.fixture
def make_harness():
    return Harness


@pytest.fixture
def harness():
    return Harness()
