"""Decides whether the way to a host is open: its name, its port, and a certificate that is trusted.

Rules: with the certificates that the parts use which go that way later: REST those of requests, streams those of the
system. Where a proxy stands between, it looks names up and only it is connected to, so nothing is asked here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from alpaca.common.enums import BaseURL
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from condord.live.link import Fault
from condord.upstream.faults import connection_fault

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Endpoint(NamedTuple):
    """Where a connection goes."""

    scheme: str
    host: str
    port: int

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken there."""
        return self.scheme in ("https", "wss")


def rest_urls(*, paper: bool, trading_url: str, data_url: str) -> tuple[str, str]:
    """The two of REST, where empty ones are Alpaca's own."""
    own = BaseURL.TRADING_PAPER if paper else BaseURL.TRADING_LIVE
    return trading_url or str(own.value), data_url or str(BaseURL.DATA.value)


def endpoints(urls: Iterable[str]) -> tuple[Endpoint, ...]:
    """The endpoints of `urls`, each once; without those that a proxy of the environment is asked for.

    Raises:
        ValueError: a port is no number that a port can have.
    """
    found = [Endpoint(url.scheme, url.hostname or "", url.port or _PORTS[url.scheme]) for url in map(urlsplit, urls)]
    return tuple(dict.fromkeys(each for each in found if not _is_proxied(each)))


async def look_up(endpoint: Endpoint) -> Fault | None:
    """What is wrong with the name."""
    try:
        await asyncio.get_running_loop().getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return connection_fault(error)
    return None


async def greet(endpoint: Endpoint) -> Fault | None:
    """What is wrong with a connection that speaks TLS; of one that does not nothing is asked."""
    if not endpoint.is_secure:
        return None
    try:
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=_context(endpoint))
    except OSError as error:
        return connection_fault(error)
    writer.transport.abort()
    return None


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    if endpoint.scheme == "wss":
        return ssl.create_default_context()
    bundle = next((named for name in _BUNDLES if (named := os.environ.get(name))), DEFAULT_CA_BUNDLE_PATH)
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def _is_proxied(endpoint: Endpoint) -> bool:
    """As requests and websockets see it: a proxy for the scheme or for all, and no exception for the host."""
    proxies = urllib.request.getproxies()
    schemes = {"ws": ("ws", "socks", "http"), "wss": ("wss", "socks", "https")}.get(endpoint.scheme, (endpoint.scheme,))
    is_named = any(scheme in proxies for scheme in (*schemes, "all"))
    return is_named and not urllib.request.proxy_bypass(endpoint.host)
