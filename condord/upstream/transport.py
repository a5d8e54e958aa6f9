"""Bound the time and the size of answers to alpaca-py's clients, and turn off their own retries.

alpaca-py 0.44 has no timeout, retries with blocking sleeps that its constructor cannot turn off, and reads an answer of
any size into memory. Only this module touches its private parts, and a test fails when they move.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from alpaca.common.rest import RESTClient

from condord.host import bounded_http
from condord.host.network import Network
from condord.upstream import bodies

ATTEMPT_FACTOR = 2.0
"""A timeout bounds connecting and each wait for bytes; a whole attempt may take this many timeouts."""

_log = logging.getLogger(__name__)


def harden(
    client: RESTClient, timeout_seconds: float, on_headers: Callable[[Mapping[str, str]], None], network: Network
) -> None:
    """Replace a client's session by a bounded one, and turn its retries off.

    `on_headers` gets the headers of each answer, on any thread.
    """
    client._session.close()  # noqa: SLF001 - see the docstring of this file
    client._session = _TimedSession(timeout_seconds, on_headers, network)  # noqa: SLF001 - the same
    client._retry = 0  # noqa: SLF001 - the same


class _TimedSession(bounded_http.BoundedSession):
    """A session whose requests have a deadline and a size limit, and follow no redirect."""

    def __init__(
        self, timeout_seconds: float, on_headers: Callable[[Mapping[str, str]], None], network: Network
    ) -> None:
        super().__init__(network)
        self._timeout_seconds = timeout_seconds
        self._on_headers = on_headers
        self._network = network

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        """Return the answer with its whole body."""
        proxy = self._network.proxy(url)
        enforced = {
            "allow_redirects": False,
            "proxies": {"https": proxy.url} if proxy else {},
            "stream": True,
            "timeout": (self._timeout_seconds, self._timeout_seconds),
        }
        began = time.monotonic()
        deadline = began + ATTEMPT_FACTOR * self._timeout_seconds
        status = None
        try:
            with bounded_http.until(deadline):
                response = super().request(method, url, **{**kwargs, **enforced})
                status = response.status_code
                self._on_headers(response.headers)
                return cast("requests.Response", bodies.read_whole(response, bodies.limit_of(url), deadline))
        finally:
            _log_request((method, url), status, began)


def _log_request(args: tuple[Any, ...], status: int | None, began: float) -> None:
    """Log an attempt that is over, without its query, which has all the symbols; `status` is None without an answer."""
    method, url = args[:2]
    ms = round((time.monotonic() - began) * 1000)
    fields = {"method": method, "endpoint": urlsplit(url).path, "status": status, "ms": ms}
    _log.debug("REST request", extra={"fields": fields})


def close(client: RESTClient) -> None:
    """Close the idle connections."""
    client._session.close()  # noqa: SLF001 - see the docstring of this file


def was_dropped(error: BaseException | None) -> bool:
    """Whether a request failed because the server closed a kept connection instead of answering."""
    if not isinstance(error, requests.ConnectionError) or not error.args:
        return False
    return isinstance(error.args[0], urllib3.exceptions.ProtocolError)
