"""Raw bytes on a socket of our own server, and checks of its responses.

Requests are sent valid, with one fault, spliced, pipelined or in pieces, or replaced by any bytes, on a virtual clock
with short limits. Every response must be HTTP with an expected status, and every error a problem document. No exception
may be raised inside the server, and a valid request on another connection must be answered.
"""

import asyncio
import contextlib
import json
import re

from hypothesis import strategies as st

from condord.host.loopback import is_loopback
from condord.http.app import build
from condord.http.guard import Guard
from condord.http.interfaces import GuardSettings
from condord.http.limits import Limits
from tests import virtualtime
from tests.fuzz.damage import spliced
from tests.http.fake_daemon import Answer, Client, FakeDaemon, serving

TOKEN = "a-token-of-some-length"
LIMITS = Limits(
    head_bytes=1000,
    target_bytes=300,
    body_bytes=2000,
    read_bytes=700,
    head_seconds=0.3,
    body_seconds=0.3,
    idle_seconds=0.3,
    unsent_seconds=0.5,
    leave_seconds=0.3,
)
STREAM_SECONDS = 0.5
TIMEOUT_SECONDS = 60.0
EXPECTED_STATUSES = {100, 200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 413, 414, 421, 431, 501, 503}
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([ -~]*)")

METHODS = [b"GET"] * 5 + [b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI", b"get", b"G\xffT", b"X" * 400]
TARGETS = [
    *(b"/api/positions", b"/api/stream", b"/api/status", b"/api/refresh", b"/livez", b"/readyz", b"/", b"*", b""),
    *(
        b"/api/stream?interval=x",
        b"/api/stream?condor=%ff&symbol=%00",
        b"/api/positions/%2e%2e/%00%ff",
        b"//evil/%0d%0a",
    ),
    *(b"http://localhost/livez", b"http://evil/livez", b"localhost:80", b"/?token=x", b"/?access_token=%ff", b"/\x80"),
    *(
        b"/api/tickets",
        b"/api/stream?ticket=x",
        b"/api/stream?ticket=%ff%ED%A0%80",
        b"/assets/x",
        b"/assets/%2e%2e/api/status",
    ),
    *(b"/livez?access_token=" + TOKEN.encode(), b"/" + b"x" * 400, b"/#a", b"/livez/"),
]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"HTTP/1.1 "]
HOSTS = [b"Host: localhost"] * 6 + [
    *(b"Host: evil", b"Host: [::1", b"Host: [::1]:80", b"Host: \xff", b"Host:", b"X: y", b"Host: a\r\nHost: a"),
]
HEADERS = [
    *(b"Accept-Encoding: gzip", b"Accept-Encoding: \xff;q=;q=,,*;q", b"If-None-Match: *", b"Last-Event-ID: test-1"),
    *(
        b"Authorization: Bearer " + TOKEN.encode(),
        b"Authorization: Bearer \xff",
        b"Authorization: \xe9",
        b"Cookie: \xff=;;=",
    ),
    *(b"Origin: null", b"Origin: http://evil"),
    *(
        b"Sec-Fetch-Site: cross-site",
        b"Connection: close",
        b"Connection: upgrade\r\nUpgrade: websocket",
        b"Upgrade: h2c",
    ),
    *(b"Expect: 100-continue", b" folded", b"no colon", b": empty", b"A : b", b"A: \x00", b"A: " + b"x" * 1500),
]
FRAMINGS = [(b"", b"")] * 4 + [
    (b"Content-Length: 5", b"xxxxx"),
    (b"Content-Length: 5", b"xx"),
    (b"Content-Length: 0", b"GET "),
    (b"Content-Length: 3000", b"x" * 3000),
    (b"Content-Length: -1", b""),
    (b"Content-Length: 5\r\nContent-Length: 6", b"xxxxx"),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"5\r\nxxxxx\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"5;a=b\r\nxxxxx\r\n0\r\nTrailer: x\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"fffffffffffffff\r\nx"),
    (b"Transfer-Encoding: chunked", b"zz\r\n"),
    (b"Transfer-Encoding: chunked", (b"1ff\r\n" + b"x" * 511 + b"\r\n") * 5),
    (b"Transfer-Encoding: gzip", b"x"),
]


def _request(method, target, version, host, headers, framing):
    lines = [b" ".join([method, target, version]), host, *headers, *([framing[0]] if framing[0] else []), b"", b""]
    return b"\r\n".join(lines) + framing[1]


_chosen = st.sampled_from
REQUESTS = st.builds(
    _request,
    _chosen(METHODS),
    _chosen(TARGETS),
    _chosen(VERSIONS),
    _chosen(HOSTS),
    st.lists(_chosen(HEADERS), max_size=3),
    _chosen(FRAMINGS),
)
SENT = st.lists(REQUESTS | REQUESTS.flatmap(spliced) | st.binary(max_size=200), min_size=1, max_size=4).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=4)


def check_socket(raw, cuts, needs_token):
    """Send `raw` in pieces and check the responses; returns their status, headers and body."""
    received = virtualtime.run(_play(raw, sorted(cuts), needs_token))
    found = answers(received, has_asked_head=b"HEAD" in raw)
    for status, headers, body in found:
        assert status in EXPECTED_STATUSES, (status, body)
        if status >= 400:
            assert headers[b"content-type"] == b"application/problem+json"
            assert headers[b"x-content-type-options"] == b"nosniff"
            assert body is None or json.loads(body)["status"] == status
    if TOKEN.encode() not in raw:
        assert TOKEN.encode() not in received
    return found


async def _play(raw, cuts, needs_token):
    broken = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    daemon = FakeDaemon(room=10)
    token = (lambda: TOKEN) if needs_token else None
    guard = Guard(
        build(daemon), GuardSettings(knows_host=is_loopback, origins=frozenset(), token=token, tickets=daemon.tickets)
    )
    async with serving(guard, limits=LIMITS, subscribers=lambda: 10) as (server, port):
        received = await _converse(port, raw, cuts, daemon)
        with contextlib.closing(await Client.connect(port)) as client:
            await client.ask("/api/positions", headers={"Authorization": f"Bearer {TOKEN}"})
            assert (await client.read(Answer())).json()["version"] == daemon.edition.version
        await virtualtime.until(lambda: not server.server_state.connections, within=TIMEOUT_SECONDS)
        assert daemon.fanout.subscribers == 0
    assert broken == []
    return received


async def _converse(port, raw, cuts, daemon):
    """Everything that arrives until the server closes the connection."""
    received = bytearray()
    with contextlib.closing(await Client.connect(port)) as client:
        sending = asyncio.create_task(_send(client, raw, cuts))
        ending = asyncio.create_task(_end_streams(daemon))
        with contextlib.suppress(EOFError, ConnectionError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while True:
                    received += await client.some()
        sending.cancel()
        ending.cancel()
        await asyncio.gather(sending, ending, return_exceptions=True)
    return bytes(received)


async def _send(client, raw, cuts):
    with contextlib.suppress(ConnectionError):
        for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            if raw[start:stop]:
                await client.send(raw[start:stop])
                await asyncio.sleep(0.01)


async def _end_streams(daemon):
    while True:
        await asyncio.sleep(STREAM_SECONDS)
        daemon.stop()


def answers(received, *, has_asked_head):
    """The responses in `received`: status, headers and body; the last body is None if it is incomplete."""
    found = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        line, *lines = head.split(b"\r\n")
        status = int(_STATUS_LINE.fullmatch(line)[1])
        pairs = [_HEADER.fullmatch(line).groups() for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), pairs
        body = None
        is_bare = has_asked_head and (not received or received.startswith(b"HTTP/1.1 "))
        if not is_bare and status not in (100, 204, 304):
            body, received = _body(headers, received)
        found.append((status, headers, body))
    return found


def _body(headers, received):
    if b"content-length" in headers:
        size = int(headers[b"content-length"])
        return (received[:size] if len(received) >= size else None), received[size:]
    if headers.get(b"transfer-encoding") != b"chunked":
        assert headers[b"connection"] == b"close"
        return received, b""
    body = b""
    while True:
        size, end, received = received.partition(b"\r\n")
        if not end or len(received) < int(size, 16) + 2:
            return None, b""
        body += received[: int(size, 16)]
        received = received[int(size, 16) + 2 :]
        if int(size, 16) == 0:
            return body, received
