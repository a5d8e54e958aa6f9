"""Open the WebSockets of the streams, only to the host that the configuration names.

Three defaults of websockets are replaced. It follows redirects of the upgrade to any host, which would then receive the
key and the secret. It reads proxies and certificates differently from requests. And it answers every ping, even if the
server does not read the answers, so that they pile up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from condord.host.network import Network
from condord.live.link import CLOSE_SECONDS
from condord.upstream.quote_protocol import MAX_FRAME_BYTES

MAX_UNSENT_BYTES = 262_144
"""How many bytes may wait for a server that does not read. websockets answers pings by itself, without this limit."""


class PingFlood(Exception):
    """The server sends pings and does not read the answers."""


class Socket(ClientConnection):
    """A connection that is aborted when too much waits to be sent. `is_flooded` is True if that happened."""

    is_flooded = False

    def data_received(self, data: bytes) -> None:
        """Pass bytes from the server to websockets, and abort the connection if the answers to pings pile up."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.is_flooded = True
            self.transport.abort()


class _Dial(connect):
    """`connect` without redirects."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return `exc`, so that the redirect fails this attempt."""
        return exc


async def dial(url: str, headers: Mapping[str, str], network: Network) -> Socket:
    """Return an open connection. There is no timeout here: the caller sets one.

    Raises:
        ConfigError: the environment names a proxy or certificates that cannot be used.
        OSError, EOFError, WebSocketException: the connection failed.
        ImportError: the proxy speaks SOCKS, and python-socks is not installed.
    """
    proxy = network.proxy(url)
    tls: dict[str, Any] = {"ssl": network.context} if url.startswith("wss:") else {}
    if proxy is not None and proxy.url.startswith("https:"):
        tls["proxy_ssl"] = network.context
    socket = await _Dial(
        url,
        additional_headers=headers,
        compression=None,
        open_timeout=None,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        max_size=MAX_FRAME_BYTES,
        proxy=proxy.url if proxy else None,
        create_connection=Socket,
        **tls,
    )
    assert isinstance(socket, Socket)  # noqa: S101 - made by `create_connection`
    return socket
