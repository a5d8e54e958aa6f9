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
from condord.client.http import Address
from condord.errors import Refused
from condord.host.secret import Secret

CONNECT_SECONDS = 5.0
"""How long it may take to connect."""
READ_BYTES = 65_536
_GZIP = 31  # zlib's number for a gzip header

_TOKEN_HINT = "Name the file with the source's token as cluster.source_token_file, or set $CONDORD_TOKEN."  # noqa: S105


class Lost(Exception):
    """The connection cannot be made, has ended or is silent; the text is a clause without a full stop.

    The source asks for at least `retry_after_seconds` before the next attempt.
    """

    def __init__(self, text: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(text)


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the source is, and the token it gets. `context` returns the trust store, for TLS."""

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

    async def read(self, silence_seconds: float) -> bytes:
        """Return the next bytes of the body; empty at its end.

        Raises:
            Lost: nothing comes for `silence_seconds`, or the connection ends early.
        """
        while True:
            event = await _next_event(self._connection, self._reader, silence_seconds)
            if not isinstance(event, h11.Data):
                return b""
            try:
                data = self._inflating.decompress(event.data) if self._inflating else bytes(event.data)
            except zlib.error as error:
                raise Lost("it has sent invalid gzip") from error
            if data:
                return data

    async def whole(self, max_bytes: int, silence_seconds: float) -> bytes:
        """Return the rest of the body.

        Raises:
            Lost: it is longer than `max_bytes`, or cannot be read.
        """
        parts: list[bytes] = []
        while part := await self.read(silence_seconds):
            parts.append(part)
            if sum(map(len, parts)) > max_bytes:
                raise Lost(f"its answer is longer than {max_bytes} bytes")
        return b"".join(parts)


@contextlib.asynccontextmanager
async def asked(
    settings: SourceSettings, method: str, target: str, headers: Mapping[str, str], head_seconds: float
) -> AsyncIterator[Response]:
    """Open a connection, send a request and yield the answer. The connection is closed with the context.

    Raises:
        Lost: the source cannot be reached or does not answer within `head_seconds`.
    """
    address = settings.address
    reader, writer = await _opened(settings)
    try:
        connection = h11.Connection(h11.CLIENT)
        token = {} if settings.token is None else {"Authorization": f"Bearer {settings.token.reveal()}"}
        sent = {"Host": _host(address), "User-Agent": f"condord/{__version__}", **token, **headers}
        request = h11.Request(method=method, target=address.base + target, headers=list(sent.items()))
        writer.write(connection.send(request) + connection.send(h11.EndOfMessage()))
        head = await _next_event(connection, reader, head_seconds)
        assert isinstance(head, h11.Response)  # noqa: S101 - nothing else begins an answer
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        yield Response(head.status_code, found, connection, reader)
    finally:
        writer.transport.abort()


def refusal(settings: SourceSettings, status: int) -> Refused | None:
    """Return the error that ends a relay if `status` refuses the token; otherwise None."""
    if status not in (401, 403):
        return None
    url = settings.address.url
    text = f"{url} does not accept the token" if settings.token else f"{url} requires a token"
    return Refused(text, _TOKEN_HINT)


async def _opened(settings: SourceSettings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = settings.address
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if address.uds:
                return await asyncio.open_unix_connection(address.uds, limit=READ_BYTES)
            context = settings.context() if address.is_tls else None
            return await asyncio.open_connection(address.host, address.port, limit=READ_BYTES, ssl=context)
    except OSError as error:
        raise unreachable(error) from error


def unreachable(error: OSError) -> Lost:
    """Return our error for one that occurred while connecting."""
    if isinstance(error, TimeoutError):
        return Lost(f"it cannot be reached within {CONNECT_SECONDS:g} s")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Lost(f"its certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Lost(f"TLS fails: {error.reason or 'it ended early'}")
    return Lost(f"it cannot be reached: {_reason(error)}")


async def _next_event(
    connection: h11.Connection, reader: asyncio.StreamReader, silence_seconds: float
) -> h11.Response | h11.Data | h11.EndOfMessage | h11.ConnectionClosed:
    """Return the next event of the answer, interim answers left out.

    Raises:
        Lost: nothing comes for `silence_seconds`, the connection is reset, or it is not HTTP.
    """
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(silence_seconds):
                    data = await reader.read(READ_BYTES)
                if not data and connection.their_state is h11.SEND_RESPONSE:
                    raise Lost("it has closed the connection")
                connection.receive_data(data)
            elif isinstance(event, h11.Response | h11.Data | h11.EndOfMessage | h11.ConnectionClosed):
                return event
            elif not isinstance(event, h11.InformationalResponse):
                raise Lost("it does not answer as a server does")
    except TimeoutError as error:
        raise Lost(f"nothing has come for {silence_seconds:g} s") from error
    except h11.RemoteProtocolError as error:
        raise Lost("it has sent invalid or incomplete HTTP") from error
    except OSError as error:
        raise Lost(f"the connection was lost: {_reason(error)}") from error


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
