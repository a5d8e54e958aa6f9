"""Classification of failures: from an exception or an error frame to its row in `failure_table`.

`classify` finds a row for every failure. The other functions turn the row into a `LinkFault` or a `RestFault`. Text
from outside is shortened, and anything as long as a key is removed from it.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

import msgspec
import requests.exceptions as rq
import websockets.exceptions as ws
from alpaca.common.exceptions import APIError
from pybreaker import CircuitBreakerError
from urllib3.exceptions import HTTPError

from condord.errors import ConfigError
from condord.host.bounded_http import TooLarge
from condord.host.quoting import excerpt, printable
from condord.live.link import Again, LinkFault
from condord.live.wire import Code
from condord.upstream.bodies import NotJson, UndecodableBody, UnexpectedStatus, target_of
from condord.upstream.failure_table import FAILURES, Failure
from condord.upstream.quote_protocol import ErrorFrame
from condord.upstream.rate_limit import retry_after
from condord.upstream.rest_fault import RestFault
from condord.upstream.sockets import PingFlood

SYMBOL_LIMIT = 405
_REDIRECTS = 3

FailureOrigin = Literal["stream", "stock stream", "REST"]
Why = Literal["rest budget used up", "rest pause"]
"""The rows for a request that waits."""

_Rules: TypeAlias = tuple[tuple[str, tuple[type[BaseException], ...]], ...]

_SOCKET_RULES: _Rules = (
    ("settings", (ConfigError,)),
    ("ping flood", (PingFlood,)),
    ("proxy", (ws.ProxyError, ws.InvalidProxy)),
    ("bad URL", (ws.InvalidURI,)),
    ("TLS certificate", (ssl.SSLCertVerificationError,)),
    ("TLS", (ssl.SSLError,)),
    ("name lookup", (socket.gaierror,)),
    ("socket timeout", (TimeoutError,)),
    ("socket broke off", (EOFError,)),
    ("no python-socks", (ImportError,)),
    ("no WebSocket", (ws.InvalidHandshake,)),
    ("protocol broken", (ws.WebSocketException,)),
    ("connect", (OSError,)),
)
"""The first rule that the error or one of its causes satisfies applies; causes come before errors that hide them."""

_REST_RULES: _Rules = (
    ("rest settings", (ConfigError,)),
    ("rest too large", (TooLarge,)),
    ("rest encoding", (UndecodableBody,)),
    ("rest breaker open", (CircuitBreakerError,)),
    ("rest proxy", (rq.ProxyError, rq.InvalidProxyURL)),
    ("rest no PySocks", (rq.InvalidSchema,)),
    ("rest bad URL", (rq.InvalidURL, rq.MissingSchema)),
    ("rest TLS certificate", (ssl.SSLCertVerificationError,)),
    ("rest TLS", (ssl.SSLError, rq.SSLError)),
    ("rest name lookup", (socket.gaierror,)),
    ("rest timeout", (TimeoutError, rq.Timeout)),
    ("rest not JSON", (NotJson,)),
    ("rest connection", (OSError, rq.RequestException, HTTPError)),
    ("rest wrong shape", (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, RecursionError)),
)

_CLOSED_BY_US = {1002: "protocol broken", 1007: "protocol broken", 1009: "frame too large"}
"""The codes with which the library websockets ends a connection by itself."""


class Unauthorized(msgspec.Struct, frozen=True):
    """The trading stream refused the login."""


class RequestWait(msgspec.Struct, frozen=True):
    """A request waits until an instant (UTC) for room in our budget, or for the end of a pause that Alpaca set."""

    why: Why
    until_at: dt.datetime


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a failure's row, the detail of its text, and the wait that Alpaca asked for."""

    name: str
    detail: str = ""
    wait_seconds: float | None = None

    @property
    def failure(self) -> Failure:
        """The row."""
        return FAILURES[self.name]

    @property
    def text(self) -> str:
        """What happened, for people."""
        return self.failure.text.format(detail=self.detail)


def classify(failure: object, *, of: FailureOrigin) -> Diagnosis:
    """The row for a failure of a stream or of REST: an exception, `ErrorFrame`, `Unauthorized` or `RequestWait`."""
    if of == "stock stream" and isinstance(failure, ErrorFrame) and f"{of} {failure.code}" in FAILURES:
        return Diagnosis(name=f"{of} {failure.code}")
    return _classify_rest(failure) if of == "REST" else _classify_stream(failure)


def _classify_stream(failure: object) -> Diagnosis:
    if isinstance(failure, Unauthorized):
        return Diagnosis(name="trading stream unauthorized")
    if isinstance(failure, ErrorFrame):
        detail = f"{failure.code}: {excerpt(failure.msg)}" if failure.msg else f"{failure.code}"
        return Diagnosis(name=_numbered("stream", failure.code), detail=detail)
    if isinstance(failure, ws.InvalidStatus):
        status = failure.response.status_code
        target = target_of(", ".join(failure.response.headers.get_all("Location")))
        return Diagnosis(name=_numbered("upgrade", status), detail=_unfollowed(status, target))
    if isinstance(failure, ws.ConnectionClosed):
        return _classify_close(failure)
    causes = list(_causes(failure))
    return Diagnosis(name=_first_rule(_SOCKET_RULES, causes) or "socket other", detail=_detail(causes, failure))


def _classify_close(closing: ws.ConnectionClosed) -> Diagnosis:
    # The close frame that we sent names the fault in the received data, unless it only answers a close.
    received, sent = closing.rcvd, closing.sent
    if sent is not None and sent.code in _CLOSED_BY_US and closing.rcvd_then_sent is not True:
        return Diagnosis(name=_CLOSED_BY_US[sent.code], detail=excerpt(sent.reason))
    if received is None:
        return Diagnosis(name="socket broke off")
    detail = f"{received.code} ({excerpt(received.reason)})" if received.reason else f"{received.code}"
    return Diagnosis(name="socket closed", detail=detail)


def _classify_rest(failure: object) -> Diagnosis:
    # Only the HTTP status of an answer counts: `.code` and `.message` of alpaca-py's error raise if the body is HTML.
    if isinstance(failure, RequestWait):
        return Diagnosis(name=failure.why, detail=f"{failure.until_at:%H:%M:%S} UTC")
    if isinstance(failure, APIError):
        response = getattr(failure, "response", None)
        status = getattr(response, "status_code", None)
        name = _numbered("rest", status) if isinstance(status, int) else "rest other"
        wait_seconds = retry_after(response) if FAILURES[name].again == "asked" else None
        return Diagnosis(name=name, detail=f"{status or 'no status'}", wait_seconds=wait_seconds)
    if isinstance(failure, UnexpectedStatus):
        name = "rest redirect" if _is_redirect(failure.status) else "rest status"
        return Diagnosis(name=name, detail=_unfollowed(failure.status, failure.target))
    causes = list(_causes(failure))
    return Diagnosis(name=_first_rule(_REST_RULES, causes) or "rest other", detail=_detail(causes, causes[-1]))


def _is_redirect(status: int) -> bool:
    return status // 100 == _REDIRECTS


def _unfollowed(status: int, target: str) -> str:
    """The status, and the target if it is a redirect."""
    return f"{target or 'nowhere'} (HTTP {status})" if _is_redirect(status) else f"{status}"


def stream_fault(code: int, message: str) -> LinkFault:
    """The fault for an error frame, `{"T": "error", "code", "msg"}`; not for 405, which ends no connection."""
    return _fault(ErrorFrame(code=code, msg=message))


def stock_stream_fault(code: int, message: str) -> LinkFault:
    """The fault for an error frame of the stock stream, which has its own plan and slot."""
    return _fault(ErrorFrame(code=code, msg=message), of="stock stream")


def unauthorized_fault() -> LinkFault:
    """The fault for a refused login on the trading stream."""
    return _fault(Unauthorized())


def connection_fault(error: BaseException) -> LinkFault:
    """The fault for a failed or ended connection."""
    return _fault(error)


def _fault(failure: object, of: FailureOrigin = "stream") -> LinkFault:
    diagnosis = classify(failure, of=of)
    failure = diagnosis.failure
    again: Again = failure.again if failure.again in ("longest", "halt") else "backoff"
    code = cast("Code", failure.code)  # only rows of REST have other codes: `test_the_codes_are_public`
    return LinkFault(code=code, text=diagnosis.text, remedy=failure.remedy, again=again)


def rest_fault(error: Exception | RequestWait) -> RestFault:
    """The fault for a wait, or for anything that a call through alpaca-py or the parsing of its answer can raise."""
    if isinstance(error, RestFault):
        return error
    diagnosis = classify(error, of="REST")
    failure = diagnosis.failure
    return RestFault(
        failure.code,
        diagnosis.text,
        may_retry=failure.may_retry,
        is_outage=failure.is_outage,
        wait_seconds=diagnosis.wait_seconds,
        remedy=failure.remedy,
    )


def breaker_fault(cause: RestFault | None) -> RestFault:
    """The fault while the breaker is open: the newest outage's, with its code and remedy."""
    if cause is None:
        return rest_fault(CircuitBreakerError())
    text = f"{cause.text}, too often in a row; no request goes until the breaker allows"
    return RestFault(cause.code, text, may_retry=False, is_outage=False, remedy=cause.remedy)


def _numbered(kind: str, number: int) -> str:
    """The row for a number: its own, or else that of its hundreds (`4xx`), or else `other`."""
    names = (f"{kind} {number}", f"{kind} {number // 100}xx")
    return next((name for name in names if name in FAILURES), f"{kind} other")


def _first_rule(rules: _Rules, causes: list[object]) -> str | None:
    return next((name for name, kinds in rules if any(isinstance(error, kinds) for error in causes)), None)


def _causes(failure: object) -> Iterator[object]:
    """`failure` and its causes, outermost first: requests passes causes as arguments, others raise from them.

    The context does not count: it may be an unrelated failure that was being handled.
    """
    waiting, seen = [failure], set()
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        if isinstance(error, BaseException):
            waiting += [part for part in (error.__cause__, *error.args) if isinstance(part, BaseException)]


def _detail(causes: list[object], named: object) -> str:
    """The operating system's text for the failure, or the class of `named`: texts of libraries may quote a secret."""
    for error in causes:
        if isinstance(error, ConfigError):
            return str(error)
        if isinstance(error, TooLarge):
            return error.what
        if isinstance(error, ws.InvalidProxyStatus):
            return f"HTTP {error.response.status_code}"
        if isinstance(error, OSError):
            text = getattr(error, "verify_message", "") or error.strerror
            if not text and type(error) is OSError and error.args:  # asyncio and http.client raise these themselves
                text = error.args[0]
            if isinstance(text, str) and text:
                return excerpt(text)
    return printable(type(named).__name__)
