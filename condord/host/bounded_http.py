"""Add two bounds that requests lacks: on the size of a response head, and on the time for a whole answer.

A timeout of requests bounds only each wait for bytes, so a head may trickle in for days while threads that read such
heads pile up. http.client accepts heads of 6 MB and any number of interim answers. Both read from one file object, so
its bytes are counted and timed here. Cookies are dropped: requests would send them with every later request.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter

MAX_HEAD_BYTES = 65_536


class TooLarge(Exception):
    """An answer beyond a limit; `what` names the limit, for example `500 rows`."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"more than {what}")


class Trust(Protocol):
    """The certificates that the daemon trusts."""

    @property
    def context(self) -> ssl.SSLContext:
        """The trust store for every TLS connection."""
        ...


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextlib.contextmanager
def until(deadline: float) -> Iterator[None]:
    """Set the deadline (monotonic seconds) of everything that this thread reads from a server in the block."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class BoundedSession(requests.Session):
    """A session that reads nothing from the environment, keeps no cookies and follows no redirects."""

    def __init__(self, network: Trust) -> None:
        super().__init__()
        self.trust_env = False  # the callers have the proxies and certificates, and a .netrc must not set a password
        self.headers["Accept-Encoding"] = "gzip"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(network))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: requests would read the whole body of a redirect to prepare a request that is never sent."""


class _Adapter(HTTPAdapter):
    """An adapter with the trust store of `network` and bounded connections."""

    def __init__(self, network: Trust) -> None:
        self._network = network
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        if proxy.startswith("https://"):
            kwargs["proxy_ssl_context"] = self._network.context
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.startswith("socks"):  # SOCKS managers have their own pools
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the same
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if host["scheme"] == "https":
            pool = {"ssl_context": self._network.context, "cert_reqs": "CERT_REQUIRED"}
        return host, pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401 - the same
        """Add no certificates: the context has them all."""


class _BoundedReader(io.RawIOBase):
    """The bytes of one answer, before the deadline; until `end_head` at most `MAX_HEAD_BYTES`."""

    def __init__(self, raw: Any, sock: Any) -> None:  # noqa: ANN401 - a socket, or urllib3's substitute for one
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._timeout_seconds: float = sock.gettimeout() or math.inf
        self._deadline = _deadline.get()
        self._left = MAX_HEAD_BYTES

    def readable(self) -> bool:
        return True

    def end_head(self) -> None:
        """Stop counting: the caller bounds the body."""
        self._left = -1

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - as the base has it
        left = min(self._timeout_seconds, self._deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        if left < math.inf:
            self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        if self._left >= 0:
            self._left -= count or 0
            if self._left < 0:
                raise TooLarge(f"{MAX_HEAD_BYTES} bytes in its head")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that is read through a `_BoundedReader`, without cookies."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own signature
        super().__init__(sock, *args, **kwargs)
        self._reader = _BoundedReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.end_head()
        for name in ("Set-Cookie", "Set-Cookie2"):
            del self.msg[name]


class _BoundedConnection(urllib3.connection.HTTPConnection):
    response_class = _BoundedResponse


class _BoundedSecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _BoundedSecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}
