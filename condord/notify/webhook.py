"""Send webhooks: one POST, to the configured host and no other, within bounds of time and size."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import responses
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from condord import __version__
from condord.errors import ConfigError
from condord.host import bounded_http
from condord.host.loopback import refusal
from condord.notify.channel import Channel
from condord.notify.messages import WebhookRequest
from condord.notify.outcome import Outcome
from condord.notify.signing import key_of, signature

TIMEOUT_SECONDS = 10.0
"""The timeout of connecting, and of each wait for bytes."""
ATTEMPT_SECONDS = 20.0
"""The limit for a whole attempt, except for the name lookup, which cannot be interrupted."""

_NOT_SENT = Outcome(ok=False, text="The URL must be https://, or http:// to this machine.")
_BAD_KEY = Outcome(ok=False, text="The signing secret is not valid: it must be whsec_ and base64.")
_BAD_NETWORK = Outcome(ok=False, text="The proxy or the certificates that the environment names cannot be used.")
_TEXTS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((requests.exceptions.ProxyError,), "The proxy cannot be reached, or refuses the connection."),
    ((requests.exceptions.SSLError,), "Its TLS certificate is not trusted, or TLS failed."),
    ((urllib3.exceptions.NameResolutionError,), "The name of its host cannot be resolved."),
    ((urllib3.exceptions.NewConnectionError,), "It cannot be reached: {reason}."),
    ((requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError), "It did not answer in time."),
    ((bounded_http.TooLarge,), "The head of its answer is too large."),
    ((ValueError,), "Its URL is not valid."),
    ((requests.ConnectionError, urllib3.exceptions.ProtocolError), "It closed the connection without an answer."),
)
"""The first that fits an error, or one of its causes, whose own texts contain the URL. `reason` is the system's."""
_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, bounded_http.TooLarge, OSError, ValueError)
_THIS_MESSAGE = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)


class WebhookProxy(Protocol):
    """A proxy for TLS connections."""

    @property
    def url(self) -> str:
        """The URL with a scheme."""
        ...


class WebhookNetwork(bounded_http.Trust, Protocol):
    """The daemon's trust store and proxies."""

    def proxy(self, url: str) -> WebhookProxy | None:
        """The proxy for `url`; None if it is connected to directly."""
        ...


def post(network: WebhookNetwork, channel: Channel, request: WebhookRequest, at: dt.datetime) -> Outcome:
    """Send a webhook, and return how it was answered; only 2xx is a success. `at` is the machine's time.

    This blocks for `ATTEMPT_SECONDS` at most, apart from the name lookup.
    """
    url = channel.url.reveal().strip()
    if not _may_be_sent(url):
        return _NOT_SENT
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"condord/{__version__}",
        "Connection": "close",
        "webhook-id": request.id,
        "webhook-timestamp": str(int(at.timestamp())),
    }
    if channel.signing_key is not None:
        key = key_of(channel.signing_key)
        if key is None:
            return _BAD_KEY
        headers["webhook-signature"] = signature(key, request.id, int(at.timestamp()), request.body)
    try:
        return _answer_of(_status(network, url, request.body, headers))
    except ConfigError:
        return _BAD_NETWORK
    except _ERRORS as error:
        return Outcome(ok=False, text=_text_of(error), is_down=True)


def _status(network: WebhookNetwork, url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer, whose body is not read."""
    proxy = network.proxy(url)
    with (
        bounded_http.BoundedSession(network) as session,
        bounded_http.until(time.monotonic() + ATTEMPT_SECONDS),
        session.post(
            url,
            data=body,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
            proxies={"https": proxy.url} if proxy else {},
        ) as response,
    ):
        return response.status_code


def _may_be_sent(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not refusal(url)


def _answer_of(status: int) -> Outcome:
    text = f"HTTP {status}"
    if status in responses:
        text += f" {responses[status]}"
    if 200 <= status < 300:
        return Outcome(ok=True, status=status, text=text)
    if 300 <= status < 400:
        text += ": redirects are not followed"
    is_gone = status == HTTPStatus.GONE
    if is_gone:
        text += ": a daemon that gets this answer disables the channel until it restarts or the channel changes"
    is_down = status not in _THIS_MESSAGE
    return Outcome(ok=False, status=status, text=text, is_gone=is_gone, is_down=is_down)


def _text_of(error: BaseException) -> str:
    causes = tuple(_causes(error))
    fits = (text for types, text in _TEXTS if any(isinstance(each, types) for each in causes))
    reasons = (each.strerror for each in causes if isinstance(each, OSError) and each.errno)
    return next(fits, "The request failed.").format(reason=next(reasons, "the connection failed"))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: requests wraps errors of urllib3, which wraps system errors."""
    found: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found.add(id(each))
            yield each
            linked = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
            waiting += [cause for cause in linked if isinstance(cause, BaseException)]
