"""Make one request to the source, over TCP, TLS or a unix socket, and read the answer as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping

import h11
import msgspec

from condord import __version__
from condord.client.address import Address
from condord.cluster.stall_detector import GRACE_SECONDS, STALL_SECONDS
from condord.errors import AccessDenied
from condord.host import quoting
from condord.host.secret import Secret
from condord.live.remedies import UNTRUSTED_REMEDY, with_remedy

CONNECT_SECONDS = 5.0
"""How long it may take to connect."""
PENDING_SECONDS = 0.1
"""The longest time that reading the waiting messages takes."""
READ_BYTES = 65_536
_GZIP = 31  # zlib's number for a gzip header

PROBLEM_TYPE = "application/problem+json"  # of each answer of a condord that is an error
_TEMPORARY = frozenset({408, 425, 429})
_ADDRESS = "check http or https, the host, the port and the path"
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""The reasons that versions of OpenSSL report if the answer is not TLS."""
_TLS_ALERT = b"\x15\x03"

_TOKEN_HINT = "Name the file with the source's token as cluster.source_token_file, or set $CONDORD_TOKEN."  # noqa: S105


class ConnectionLost(Exception):
    """The connection cannot be made, has ended or is silent; the text is a clause without a full stop.

    The source asks for at least `retry_after_seconds` before the next attempt. `is_unsent`: no request was sent.
    """

    def __init__(self, text: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        self.is_unsent = False
        super().__init__(text)


class Silence(ConnectionLost):
    """Nothing has come in the time that one attempt has. `has_answered`: the head of an answer had come."""

    def __init__(self, text: str, *, has_answered: bool = False) -> None:
        self.has_answered = has_answered
        super().__init__(text)


class ClosedUnanswered(ConnectionLost):
    """The connection has ended before an answer has begun."""

    def __init__(self) -> None:
        super().__init__("it has closed the connection without an answer")


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address of the source, and the token to send. `context` returns the trust store, for TLS."""

    address: Address
    token: Secret | None
    context: Callable[[], ssl.SSLContext]


class Response:
    """An answer whose head was read."""

    def __init__(
        self, status: int, headers: Mapping[str, str], connection: h11.Connection, reader: asyncio.StreamReader
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._reader = reader
        is_deflated = headers.get("content-encoding") == "gzip"
        self._inflating = zlib.decompressobj(_GZIP) if is_deflated else None

    @property
    def content_type(self) -> str:
        """The media type of the body without parameters; empty if the answer has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self, silence_seconds: float) -> bytes:
        """Return the next bytes of the body; empty at its end.

        Raises:
            ConnectionLost: nothing comes for `silence_seconds`, or the connection ends early.
        """
        while True:
            event = await _next_event(self._connection, self._reader, silence_seconds)
            if not isinstance(event, h11.Data):
                return b""
            try:
                data = self._inflating.decompress(event.data) if self._inflating else bytes(event.data)
            except zlib.error as error:
                raise ConnectionLost("it has sent invalid gzip") from error
            if data:
                return data

    async def read_body(self, max_bytes: int, silence_seconds: float) -> bytes:
        """Return the rest of the body.

        Raises:
            ConnectionLost: it is longer than `max_bytes`, or cannot be read.
        """
        parts: list[bytes] = []
        while part := await self.read(silence_seconds):
            parts.append(part)
            if sum(map(len, parts)) > max_bytes:
                raise ConnectionLost(f"its answer is longer than {max_bytes} bytes")
        return b"".join(parts)


@contextlib.asynccontextmanager
async def open_request(
    settings: SourceSettings, method: str, target: str, headers: Mapping[str, str], head_seconds: float
) -> AsyncIterator[Response]:
    """Open a connection, send a request and yield the answer. The connection is closed with the context.

    Raises:
        ConnectionLost: the source cannot be reached or does not answer within `head_seconds`.
    """
    address = settings.address
    reader, writer = await _open_connection(settings)
    try:
        connection = h11.Connection(h11.CLIENT)
        token = {} if settings.token is None else {"Authorization": f"Bearer {settings.token.reveal()}"}
        sent = {"Host": _host(address), "User-Agent": f"condord/{__version__}", **token, **headers}
        request = h11.Request(method=method, target=address.base + target, headers=list(sent.items()))
        writer.write(connection.send(request) + connection.send(h11.EndOfMessage()))
        try:
            head = await _next_event(connection, reader, head_seconds)
        except ClosedUnanswered as closed:
            if address.is_tls or address.uds:
                raise
            raise ConnectionLost(f"{closed}; if it expects TLS, name it with https://") from closed
        assert isinstance(head, h11.Response)  # noqa: S101 - nothing else begins an answer
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        yield Response(head.status_code, found, connection, reader)
    finally:
        writer.transport.abort()


def require(settings: SourceSettings, response: Response, content_type: str) -> None:
    """Check that an answer is a condord's, with 200 and of this type.

    Raises:
        AccessDenied: the source does not accept the token.
        ConnectionLost: it cannot answer now, or there is no condord at the address.
    """
    if (error := refusal(settings, response)) is not None:
        raise error
    status = response.status
    if status == 200:
        if response.content_type != content_type:
            found = quoting.printable(response.content_type) or "no type"
            raise ConnectionLost(f"it answers with {found} and is not a condord; {_ADDRESS}")
    elif 300 <= status < 400:
        target = quoting.excerpt(response.headers.get("location", "")) or "nowhere"
        raise ConnectionLost(f"it redirects to {target}; name the address of the condord itself")
    elif response.content_type == PROBLEM_TYPE or status >= 500 or status in _TEMPORARY:
        after = response.headers.get("retry-after", "")
        raise ConnectionLost(f"it answers {status}", float(after) if after.isdigit() else 0.0)
    else:
        raise ConnectionLost(f"it answers {status} and is not a condord; {_ADDRESS}")


def refusal(settings: SourceSettings, response: Response) -> AccessDenied | None:
    """Return the error that ends a relay if the source refuses the token; otherwise None."""
    url, status = settings.address.url, response.status
    if status not in (401, 403):
        return None
    if response.content_type != PROBLEM_TYPE:
        text = f"{url} answers {status}, but not as a condord: a proxy or another server refuses the request"
        return AccessDenied(text, f"{_ADDRESS.capitalize()} of cluster.source. {_TOKEN_HINT}")
    text = f"{url} does not accept the token" if settings.token else f"{url} requires a token"
    return AccessDenied(text, _TOKEN_HINT)


async def _open_connection(settings: SourceSettings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = settings.address
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if address.uds:
                return await asyncio.open_unix_connection(address.uds, limit=READ_BYTES)
            context = settings.context() if address.is_tls else None
            return await asyncio.open_connection(address.host, address.port, limit=READ_BYTES, ssl=context)
    except OSError as error:
        lost = unreachable(error)
        lost.is_unsent = True
        raise lost from error


def unreachable(error: OSError) -> ConnectionLost:
    """Return our error for one that occurred while connecting."""
    if isinstance(error, TimeoutError):
        return Silence(f"it cannot be reached within {CONNECT_SECONDS:g} s")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionLost(with_remedy(f"its certificate is not trusted: {error.verify_message}", UNTRUSTED_REMEDY))
    if isinstance(error, ssl.SSLError):
        if error.reason in _NO_TLS:
            return ConnectionLost("it offers no TLS; check the port")
        return ConnectionLost(f"TLS fails: {error.reason or 'it ended early'}")
    return ConnectionLost(f"it cannot be reached: {_reason(error)}")


async def _next_event(
    connection: h11.Connection, reader: asyncio.StreamReader, silence_seconds: float
) -> h11.Response | h11.Data | h11.EndOfMessage | h11.ConnectionClosed:
    """Return the next event of the answer, interim answers left out.

    Raises:
        ConnectionLost: nothing comes for `silence_seconds`, the connection is reset, or it is not HTTP.
    """
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await _read_within(silence_seconds, reader)
                if not data and connection.their_state is h11.SEND_RESPONSE:
                    raise ClosedUnanswered
                if data.startswith(_TLS_ALERT) and connection.their_state is h11.SEND_RESPONSE:
                    raise ConnectionLost("it expects TLS; name it with https://")
                connection.receive_data(data)
            elif isinstance(event, h11.Response | h11.Data | h11.EndOfMessage | h11.ConnectionClosed):
                return event
            elif not isinstance(event, h11.InformationalResponse):
                raise ConnectionLost("it does not answer as a server does")
    except TimeoutError as error:
        has_answered = connection.their_state is not h11.SEND_RESPONSE
        raise Silence(f"nothing has come for {silence_seconds:g} s", has_answered=has_answered) from error
    except h11.RemoteProtocolError as error:
        raise ConnectionLost("it has sent invalid or incomplete HTTP") from error
    except OSError as error:
        raise ConnectionLost(f"the connection was lost: {_reason(error)}") from error


async def _read_within(seconds: float, reader: asyncio.StreamReader) -> bytes:
    """Return the next bytes, empty at the end.

    Raises:
        TimeoutError: none come for so long, while this process runs.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        async with asyncio.timeout_at(until):
            return await reader.read(READ_BYTES)
    except TimeoutError:
        # If this process was stopped, the time may be over before it has read the waiting messages.
        more_seconds = GRACE_SECONDS if loop.time() - until > STALL_SECONDS else PENDING_SECONDS
    async with asyncio.timeout(more_seconds):
        return await reader.read(READ_BYTES)


def _reason(error: OSError) -> str:
    """Return the system's words for an error, which asyncio replaces with its own."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "the name is not known"
    if isinstance(error, ssl.SSLError):
        return "TLS ended early"
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"


def _host(address: Address) -> str:
    if address.uds:
        return "localhost"
    host = f"[{address.host}]" if ":" in address.host else address.host
    default = 443 if address.is_tls else 80
    return host if address.port == default else f"{host}:{address.port}"
