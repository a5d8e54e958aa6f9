"""Decides how alpaca-py's clients behave on the wire: bounded in time and size, and never sent again by themselves.

Every private part of alpaca-py that we touch is here, and a test fails when it moves: alpaca-py 0.44 has no timeout at
all, retries with blocking sleeps that its constructor cannot turn off, and reads whatever comes into memory.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from alpaca.common.rest import RESTClient

ATTEMPT_FACTOR = 2.0
"""A timeout bounds connecting and each wait for bytes; the whole of an attempt gets twice that."""

MOST_BYTES = 32 << 20
_CHUNK_BYTES = 65536

_log = logging.getLogger(__name__)


def tame(client: RESTClient, timeout_seconds: float, heard: Callable[[Mapping[str, str]], None]) -> None:
    """Give a client timeouts and take its own retries away; `heard` gets the headers of each answer, on any thread."""
    session = client._session  # noqa: SLF001 - see the docstring of this file
    request = session.request

    def request_in_time(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own signature
        kwargs = {"timeout": (timeout_seconds, timeout_seconds), **kwargs, "stream": True}
        began = time.monotonic()
        status = None
        try:
            response = request(*args, **kwargs)
            status = response.status_code
            heard(response.headers)
            return _with_body(response, began + ATTEMPT_FACTOR * timeout_seconds)
        finally:
            _log_request(args, status, began)

    session.request = request_in_time  # type: ignore[method-assign]
    client._retry = 0  # noqa: SLF001 - see the docstring of this file


def _log_request(args: tuple[Any, ...], status: int | None, began: float) -> None:
    """Tell of an attempt that is over; without a status where no answer came. A query has all the symbols in it."""
    method, url = args[:2]
    ms = round((time.monotonic() - began) * 1000)
    fields = {"method": method, "endpoint": urlsplit(url).path, "status": status, "ms": ms}
    _log.debug("REST request", extra={"fields": fields})


def close(client: RESTClient) -> None:
    """Close the connections that wait to be used again."""
    client._session.close()  # noqa: SLF001 - see the docstring of this file


def was_dropped(error: BaseException | None) -> bool:
    """Whether a request failed as a connection that stood was closed instead of an answer."""
    if not isinstance(error, requests.ConnectionError) or not error.args:
        return False
    return isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def _with_body(response: requests.Response, deadline: float) -> requests.Response:
    """Read the body before `deadline` (monotonic): a timeout of requests bounds each wait for bytes, not their sum."""
    body = bytearray()
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("the body came too slowly")
            if len(body) > MOST_BYTES:
                raise ValueError("the body is too large")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    finally:
        if not response.raw.isclosed():
            response.close()
    response.raw = io.BytesIO(body)
    response.encoding = "utf-8"  # what JSON is in; otherwise requests may spend minutes on guessing
    return response
