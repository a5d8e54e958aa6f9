"""Bytes from a host in Alpaca's place: an HTTP response, or the frames of a WebSocket.

The daemon's own response and body readers read the response from memory. The frames reach its own socket, whose
transport never sends, so that all replies are queued.
"""

import asyncio
import functools
import gzip
import io
import time

import requests
import urllib3
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from condord.host import bounded_http
from condord.host.network import Network
from condord.upstream import bodies
from condord.upstream.classify_failure import rest_fault
from condord.upstream.rest_fault import RestFault
from condord.upstream.sockets import MAX_UNSENT_BYTES, Socket
from tests.fuzz import decoders

SECONDS = 60.0
REPEATS = 64
"""How many times an input is sent, to imitate a flood."""
MAX_REPLY_RATIO = 4
"""The maximum ratio of reply to input, rounded up: an empty ping of two bytes has a pong of six."""
EXPECTED_CODES = {"malformed", "unreachable", "timeout"}
NAMES = sorted(decoders.REST)


class _Link:
    """A socket that returns `raw` and then the end of the stream."""

    def __init__(self, raw):
        self._raw = raw

    def makefile(self, _mode):
        return io.BufferedReader(io.BytesIO(self._raw))

    def gettimeout(self):
        return SECONDS

    def settimeout(self, seconds):
        assert 0 < seconds <= SECONDS

    def close(self):
        """Do nothing, as there is no connection."""


def exchanged(name, raw):
    """Read the bytes of a response to the request `name`; returns its body as JSON, a response, or a fault."""
    session = bounded_http.BoundedSession(Network({}))
    request = session.prepare_request(requests.Request("GET", f"https://x{decoders.PATHS.get(name, '/v2/other')}"))
    deadline = time.monotonic() + SECONDS
    try:
        with bounded_http.until(deadline):
            answer = bounded_http._BoundedResponse(_Link(raw), method="GET")
            answer.begin()
            body = urllib3.HTTPResponse(
                body=answer,
                headers=urllib3.HTTPHeaderDict(answer.headers.items()),
                status=answer.status,
                preload_content=False,
                original_response=answer,
            )
            response = session.get_adapter(request.url).build_response(request, body)
            requests.cookies.extract_cookies_to_jar(session.cookies, request, body)
            whole = bodies.read_whole(response, bodies.limit_of(request.url), deadline)
            return whole.json() if isinstance(whole, bodies.OkResponse) and whole.text else whole
    except Exception as error:  # noqa: BLE001 - as `AlpacaRest` does
        return rest_fault(error)
    finally:
        assert len(session.cookies) == 0


def check_exchange(data):
    """Read a response to the request that the first byte selects; check that only 200 gives a result."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    read = exchanged(name, data[1:])
    if isinstance(read, RestFault):
        assert read.code in EXPECTED_CODES, read.text
    elif isinstance(read, requests.Response):
        assert 400 <= read.status_code < 600
        assert read.content == b""
    return read


class _Transport(asyncio.Transport):
    """Accepts everything and sends nothing."""

    def __init__(self):
        super().__init__()
        self.waiting = 0
        self.is_aborted = False

    def write(self, data):
        self.waiting += len(data)

    def get_write_buffer_size(self):
        return self.waiting

    def set_write_buffer_limits(self, high=None, low=None):
        """Do nothing, as the socket has its own limit."""

    def can_write_eof(self):
        return False

    def is_closing(self):
        return self.is_aborted

    def pause_reading(self):
        """Do nothing, as the test calls `data_received` itself."""

    def resume_reading(self):
        """Do nothing, for the same reason."""

    def close(self):
        self.is_aborted = True

    def abort(self):
        self.is_aborted = True


def check_frames(data):
    """Send bytes to an open socket repeatedly; check that it aborts once its queue exceeds the limit."""

    async def scenario():
        protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=1 << 20)
        socket, transport = Socket(protocol, ping_interval=None, max_queue=None), _Transport()
        socket.connection_made(transport)
        socket.response = object()  # the upgrade is done
        for _ in range(REPEATS):
            if transport.is_aborted:
                break
            socket.data_received(data)
            assert transport.is_aborted or transport.waiting <= MAX_UNSENT_BYTES
        assert transport.waiting <= MAX_UNSENT_BYTES + MAX_REPLY_RATIO * len(data) + 200  # and a close frame
        return transport.waiting

    return asyncio.run(scenario())


_pack = functools.partial(gzip.compress, mtime=0)


def _answer(status, *lines, body=b"[]"):
    head = (f"HTTP/1.1 {status} So", *lines, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode() + body


PINGS = b"\x89\x00"
ANSWERS = [
    _answer(200),
    _answer(200, "Content-Encoding: gzip", body=_pack(b" " * (16 << 20))),
    _answer(200, "Content-Encoding: gzip, gzip", body=_pack(_pack(b"[]"))),
    _answer(200, "Content-Encoding: gzip", body=_pack(b"[]")[:-8]),
    _answer(200, "Content-Encoding: br"),
    _answer(200, *(f"Set-Cookie: c{number}=x; Path=/" for number in range(90))),
    *(_answer(status, "Location: https://elsewhere.invalid/") for status in (301, 302, 303, 307, 308)),
    *(_answer(status) for status in (101, 201, 203, 204, 206, 304, 404, 429, 500, 999)),
    b"HTTP/1.1 100 Continue\r\n\r\n" * 300,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n[]",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[]",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]x",
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 7000,
    b"",
]
FRAMES = [
    PINGS * 2048,
    (b"\x89\x7d" + bytes(125)) * 60,
    b"\x8a\x00" * 100,
    b"\x88\x02\x03\xe9",
    b"\x82\x7f" + b"\x7f" + b"\xff" * 7,
    b"\x02\x01a" + PINGS + b"\x80\x01b",
    b"\xff\xff",
]
