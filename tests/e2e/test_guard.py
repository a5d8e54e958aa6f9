"""Hostile and broken clients lock no other client out of the real daemon, and learn nothing."""

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

from condord.host.loopback import is_loopback
from condord.http.app import build
from condord.http.guard import Guard
from condord.http.interfaces import GuardSettings
from condord.http.limits import Limits
from condord.http.server import HttpServer, ListenAddress, listen
from tests.e2e.running import Condord, Follower, Simulated, closing_program, fetch, token_environ, until
from tests.http.fake_daemon import FakeDaemon

pytestmark = pytest.mark.slow

STALLED = 200
TIMEOUT_SECONDS = 60.0
HALF = b"GET /api/positions HTTP/1.1\r\nHost: localhost\r\nX: "
TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)


def everything(client: socket.socket) -> tuple[int, dict, bytes]:
    """Status, headers and body of one response, after which the connection must end."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    body = answer.read()
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def exchange(url: str, raw: bytes) -> tuple[int, dict, bytes]:
    with connect(url) as client:
        client.sendall(raw)
        return everything(client)


def resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


@contextlib.contextmanager
def served(limits: Limits):
    """The URL of a server with these limits, on its own loop in a thread."""
    ready, found = threading.Event(), []

    async def main():
        listener = listen(ListenAddress(host="127.0.0.1", port=0, uds=""))
        settings = GuardSettings(knows_host=is_loopback, origins=frozenset(), token=None)
        server = HttpServer(Guard(build(FakeDaemon()), settings), limits=limits, subscribers=lambda: 2)
        found.extend([server, f"http://127.0.0.1:{listener.getsockname()[1]}"])
        serving = asyncio.create_task(server.run_on([listener]))
        await server.is_serving.wait()
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(TIMEOUT_SECONDS)
    server, url = found
    try:
        yield url
    finally:
        server.stop()
        thread.join(TIMEOUT_SECONDS)


@pytest.fixture
def simulated(lasting_simulated):
    return lasting_simulated


class TestBadRequests:
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
    def test_a_bad_request_gets_a_problem_and_is_not_logged_as_a_bug(self, lasting_condord, raw, status):
        found, headers, body = exchange(lasting_condord.url, raw)
        assert (found, json.loads(body)["status"]) == (status, status)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-content-type-options"] == "nosniff"
        assert not [line for line in lasting_condord.stderr if "Traceback" in line or "rror" in line]


class TestTheDaemon:
    def test_a_shutdown_answers_incomplete_requests_and_waits_for_no_client(self, simulated):
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
            assert program.process.wait(TIMEOUT_SECONDS) == 0
            assert not [line for line in program.stderr if "error" in line.split()]

    def test_responses_of_the_connection_layer_are_counted(self, simulated):
        with closing_program(Condord(simulated)) as program:
            assert exchange(program.url, b"BAD\r\n\r\n")[0] == 400
            whole_url = program.url + "/livez"
            exchange(program.url, f"GET {whole_url} HTTP/1.0\r\nHost: {program.url[7:]}\r\n\r\n".encode())
            metrics = program.get("/metrics")[1]
            assert 'condord_http_requests_total{route="other",status="400"} 1.0' in metrics
            assert 'condord_http_requests_total{route="/livez",status="200"} 1.0' in metrics

    def test_stalled_partial_requests_cost_little_and_lock_out_no_client(self, simulated):
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
            until(lambda: len(follower.events) > seen, "the stream continues")
            follower.close()

    def test_a_token_is_accepted_in_every_form_and_never_revealed(self, simulated, tmp_path):
        with closing_program(Condord(simulated, **token_environ(tmp_path, TOKEN))) as program:
            assert program.get("/api/status")[0] == 401
            assert program.get("/api/status", Authorization="Bearer w\xe9")[0] == 401
            assert program.get("/api/status", Authorization=f"Bearer {TOKEN}")[0] == 200
            assert program.get(f"/api/status?access_token={TOKEN}")[0] == 200
            status, headers, ticket = fetch(f"{program.url}/api/tickets", method="POST", headers=BEARER)
            assert (status, headers["Cache-Control"]) == (201, "no-store")
            until(lambda: program.get("/readyz", Authorization=f"Bearer {TOKEN}")[0] == 200, "it is ready")
            opened = f"/api/stream?ticket={ticket['ticket']}"
            with contextlib.closing(Follower(program.url, opened)) as follower:
                until(lambda: follower.names[:1] == ["snapshot"], "a snapshot")
                assert program.get(opened)[0] == 401
                assert program.get("/api/status?ticket=" + ticket["ticket"])[0] == 401
            raw = f"GET /?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            status, headers, body = exchange(program.url, raw)
            assert (status, "set-cookie" in headers) == (400, False)
            assert b"/#token=TOKEN" in body
            output = f"{headers}{body}{program.stderr}"
            assert [secret for secret in (TOKEN, ticket["ticket"]) if secret in output] == []

    def test_the_page_needs_no_token_and_a_ticket_of_one_daemon_opens_a_stream_of_another(self, simulated, tmp_path):
        environ = token_environ(tmp_path, TOKEN)
        with closing_program(Condord(simulated, **environ)) as first, closing_program(Simulated()) as elsewhere:
            assert first.get("/")[0] == 200
            ticket = fetch(f"{first.url}/api/tickets", method="POST", headers=BEARER)[2]
            with closing_program(Condord(elsewhere, **environ)) as second:
                opened = f"/api/stream?ticket={ticket['ticket']}"
                for program in (first, second):
                    with contextlib.closing(Follower(program.url, opened)) as follower:
                        until(lambda follower=follower: follower.names, "an event")
                    assert program.get(opened)[0] == 401

    def test_a_daemon_at_debug_level_logs_no_ticket_and_no_token(self, simulated, tmp_path):
        environ = {**token_environ(tmp_path, TOKEN), "CONDORD_LOG_LEVEL": "debug"}
        with closing_program(Condord(simulated, **environ)) as program:
            _, _, ticket = fetch(f"{program.url}/api/tickets", method="POST", headers=BEARER)
            for query in (f"ticket={ticket['ticket']}", f"access_token={TOKEN}"):
                with contextlib.closing(Follower(program.url, f"/api/stream?{query}")) as follower:
                    until(lambda follower=follower: follower.names, "an event")
            for query in (f"ticket={ticket['ticket']}", "access_token=none"):
                assert program.get(f"/api/stream?{query}")[0] == 401
                exchange(program.url, f"GET /api/stream?{query}\xff\x00 BAD\r\n\r\n".encode("latin-1"))
            assert program.stop() == 0
            log = "".join(program.stderr)
            assert [secret for secret in (TOKEN, ticket["ticket"], "ticket=", "access_token=") if secret in log] == []


class TestShorterBounds:
    LIMITS = Limits(head_seconds=0.4, idle_seconds=0.3, body_seconds=0.4)

    def test_a_head_sent_byte_by_byte_is_refused_as_too_slow(self):
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
    def test_a_body_sent_byte_by_byte_is_refused_as_too_slow(self, path):
        with served(self.LIMITS) as url, connect(url) as client:
            client.sendall(path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - began < 0.6:
                    client.sendall(b"x")
                    time.sleep(0.02)
            assert everything(client)[0] == 408

    def test_an_endless_chunked_body_is_refused_as_too_large(self):
        with served(Limits()) as url, connect(url) as client:
            client.sendall(b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(70):
                    client.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            assert everything(client)[0] == 413

    def test_a_client_that_sends_nothing_is_disconnected(self):
        with served(self.LIMITS) as url, connect(url) as client:
            assert everything(client)[0] == 408

    def test_a_client_beyond_the_limit_gets_503_with_retry_after(self):
        with served(Limits(other_connections=0)) as url, contextlib.ExitStack() as stack:
            for _ in range(2):
                stream = stack.enter_context(connect(url))
                stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert stream.recv(64).startswith(b"HTTP/1.1 200 ")
            status, headers, body = exchange(url, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (status, headers["retry-after"]) == (503, "10")
            assert json.loads(body)["status"] == 503
