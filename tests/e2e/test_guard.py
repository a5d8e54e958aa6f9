"""Hostile and broken clients of the real daemon keep nobody out, and learn nothing."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from condord.config import is_loopback
from condord.http.app import build
from condord.http.guard import Guard
from condord.http.limits import Limits
from condord.http.ports import GuardSettings
from condord.http.server import Address, Server, listen
from tests.e2e.running import Condord, Follower, closing_program, until
from tests.http.asking import FakeDaemon

pytestmark = pytest.mark.slow

STALLED = 200
PATIENCE_SECONDS = 10.0
HALF = b"GET /api/positions HTTP/1.1\r\nHost: localhost\r\nX: "
TOKEN = "a-token-of-some-length"


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)


def everything(client: socket.socket) -> tuple[int, dict, bytes]:
    """Status, headers and body of one answer, after which the connection has to end."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    body = answer.read()
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def tell(url: str, raw: bytes) -> tuple[int, dict, bytes]:
    with connect(url) as client:
        client.sendall(raw)
        return everything(client)


def resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


@contextlib.contextmanager
def served(limits: Limits):
    """A server with these bounds on a loop of its own, in a thread; its URL."""
    ready, found = threading.Event(), []

    async def main():
        listener = listen(Address(host="127.0.0.1", port=0, uds=""))
        settings = GuardSettings(knows_host=is_loopback, origins=frozenset(), token=None)
        server = Server(Guard(build(FakeDaemon()), settings), limits=limits, subscribers=lambda: 2)
        found.extend([server, f"http://127.0.0.1:{listener.getsockname()[1]}"])
        serving = asyncio.create_task(server.run_on([listener]))
        await server.is_serving.wait()
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    server, url = found
    try:
        yield url
    finally:
        server.stop()
        thread.join(PATIENCE_SECONDS)


class TestTheDaemon:
    def test_a_stop_answers_who_has_not_asked_yet_and_waits_for_nobody(self, simulated):
        slow = b"GET /api/positions HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
        with closing_program(Condord(simulated)) as program, contextlib.ExitStack() as stack:
            program.await_priced()
            half = stack.enter_context(connect(program.url))
            half.sendall(b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
            unread = stack.enter_context(connect(program.url))
            unread.sendall(slow)
            until(lambda: "condord_http_requests_total" in program.get("/metrics")[1], "it answers")
            program.process.terminate()
            status, headers, _ = everything(half)
            assert (status, headers["content-type"]) == (503, "application/problem+json")
            assert program.process.wait(PATIENCE_SECONDS) == 0
            assert not [line for line in program.stderr if "error" in line.split()]

    def test_answers_of_a_connection_are_counted(self, simulated):
        with closing_program(Condord(simulated)) as program:
            assert tell(program.url, b"BAD\r\n\r\n")[0] == 400
            whole_url = program.url + "/livez"
            tell(program.url, f"GET {whole_url} HTTP/1.0\r\nHost: {program.url[7:]}\r\n\r\n".encode())
            told = program.get("/metrics")[1]
            assert 'condord_http_requests_total{route="other",status="400"} 1.0' in told
            assert 'condord_http_requests_total{route="/livez",status="200"} 1.0' in told

    def test_stalled_half_requests_keep_nobody_out_and_cost_little(self, simulated):
        environ = {"CONDORD_SERVER_MAX_SUBSCRIBERS": "20"}
        with closing_program(Condord(simulated, **environ)) as program, contextlib.ExitStack() as stack:
            program.await_state("live")
            follower = Follower(program.url)
            before = resident(program.process.pid)
            for _ in range(STALLED):
                client = stack.enter_context(connect(program.url))
                client.sendall(HALF + b"x" * 10_000)
            assert program.get("/livez")[0] == 200
            assert program.get("/api/positions")[0] == 200
            assert resident(program.process.pid) - before < 20_000_000
            seen = len(follower.events)
            until(lambda: len(follower.events) > seen, "the stream goes on")
            follower.close()

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"GET /api/positions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET /" + b"x" * 20_000, 414),
            (HALF + b"x" * 20_000, 431),
            (b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n", 413),
        ],
    )
    def test_a_bad_request_is_a_problem_and_no_bug(self, condord, raw, status):
        told, headers, body = tell(condord.url, raw)
        assert (told, json.loads(body)["status"]) == (status, status)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-content-type-options"] == "nosniff"
        assert not [line for line in condord.stderr if "Traceback" in line or "rror" in line]

    def test_a_token_opens_by_each_way_and_shows_nowhere(self, simulated, tmp_path):
        path = tmp_path / "token"
        path.write_text(TOKEN)
        path.chmod(0o600)
        with closing_program(Condord(simulated, CONDORD_SERVER_TOKEN_FILE=str(path))) as program:
            assert program.get("/api/status")[0] == 401
            assert program.get("/api/status", Authorization="Bearer w\xe9")[0] == 401
            assert program.get("/api/status", Authorization=f"Bearer {TOKEN}")[0] == 200
            assert program.get(f"/api/status?access_token={TOKEN}")[0] == 200
            raw = f"GET /?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            status, headers, body = tell(program.url, raw)
            assert status == 303
            cookie = headers["set-cookie"].partition(";")[0]
            assert program.get("/api/status", Cookie=cookie)[0] == 200
            assert TOKEN not in f"{headers}{body}{program.stderr}"


class TestShorterBounds:
    LIMITS = Limits(head_seconds=0.4, idle_seconds=0.3, body_seconds=0.4)

    def test_a_head_of_single_bytes_is_told_that_it_is_too_slow(self):
        with served(self.LIMITS) as url, connect(url) as client:
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                for byte in HALF * 10:
                    client.sendall(bytes([byte]))
                    time.sleep(0.01)
                    if time.monotonic() - began > 0.5:
                        break
            status, headers, body = everything(client)
            assert (status, json.loads(body)["title"]) == (408, "Request Timeout")
            assert headers["connection"] == "close"

    @pytest.mark.parametrize("path", [b"POST /api/refresh", b"GET /api/stream"])
    def test_a_body_of_single_bytes_is_told_that_it_is_too_slow(self, path):
        with served(self.LIMITS) as url, connect(url) as client:
            client.sendall(path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - began < 0.6:
                    client.sendall(b"x")
                    time.sleep(0.02)
            assert everything(client)[0] == 408

    def test_a_body_without_end_is_too_large_in_chunks_too(self):
        with served(Limits()) as url, connect(url) as client:
            client.sendall(b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(70):
                    client.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            assert everything(client)[0] == 413

    def test_a_client_that_says_nothing_is_let_go(self):
        with served(self.LIMITS) as url, connect(url) as client:
            assert everything(client)[0] == 408

    def test_where_all_have_asked_the_next_is_told_when_to_come_again(self):
        with served(Limits(others=0)) as url, contextlib.ExitStack() as stack:
            for _ in range(2):
                stream = stack.enter_context(connect(url))
                stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert stream.recv(64).startswith(b"HTTP/1.1 200 ")
            status, headers, body = tell(url, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (status, headers["retry-after"]) == (503, "10")
            assert json.loads(body)["status"] == 503
