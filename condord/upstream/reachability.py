"""Check whether a host can be reached: its name resolves, its port is open, its certificate is trusted.

The trust store is the one that REST and the streams use. Hosts behind a proxy are not checked: the proxy resolves their
names, and the daemon connects only to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from alpaca.common.enums import BaseURL

from condord.host.network import Network
from condord.live.link import LinkFault
from condord.upstream.classify_failure import connection_fault

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class Endpoint(NamedTuple):
    """The target of a connection."""

    scheme: str
    host: str
    port: int

    @property
    def is_secure(self) -> bool:
        """Whether the scheme uses TLS."""
        return self.scheme in ("https", "wss")


def rest_urls(*, paper: bool, trading_url: str, data_url: str) -> tuple[str, str]:
    """The URLs of the trading API and the data API; Alpaca's own where `trading_url` or `data_url` is empty."""
    own = BaseURL.TRADING_PAPER if paper else BaseURL.TRADING_LIVE
    return trading_url or str(own.value), data_url or str(BaseURL.DATA.value)


def endpoints(urls: Iterable[str], network: Network) -> tuple[Endpoint, ...]:
    """The distinct endpoints of `urls`, without those reached through a proxy.

    Raises:
        ValueError: a URL has an invalid port or host.
    """
    direct = [urlsplit(url) for url in urls if network.proxy(url) is None]
    found = [Endpoint(url.scheme, url.hostname or "", url.port or _PORTS[url.scheme]) for url in direct]
    return tuple(dict.fromkeys(found))


def describe_routes(urls: Iterable[str], network: Network) -> str:
    """Describe, for people, through which proxy and with which certificates `urls` are reached."""
    routes: dict[str, list[str]] = {}
    for url in urls:
        proxy = network.proxy(url)
        route = f"through {proxy.address} ({proxy.variable})" if proxy else "without a proxy"
        routes.setdefault(route, []).append(urlsplit(url).hostname or "")
    listed = "; ".join(f"{route}: {', '.join(dict.fromkeys(hosts))}" for route, hosts in routes.items())
    return f"{listed}; {network.certificate_sources}"


async def resolve(endpoint: Endpoint) -> LinkFault | None:
    """Look up the host's name; return the fault, or None if it resolves."""
    try:
        await asyncio.get_running_loop().getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return connection_fault(error)
    return None


async def handshake(endpoint: Endpoint, network: Network) -> LinkFault | None:
    """Connect with TLS and hang up; return the fault, or None. Without TLS there is nothing to check."""
    if not endpoint.is_secure:
        return None
    try:
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=network.context)
    except OSError as error:
        return connection_fault(error)
    writer.transport.abort()
    return None
