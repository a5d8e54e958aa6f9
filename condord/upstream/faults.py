"""Decides what every failure of Alpaca means: what it is called, whether to try again, and how soon.

One place for both sockets (`stream_fault` for error frames, `connection_fault` for the transport) and one for REST
(`rest_fault`). Whatever comes, an answer is found: what is not known is `unreachable` with backoff.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

import msgspec
import requests
import websockets.exceptions as ws
from alpaca.common.exceptions import APIError
from pybreaker import CircuitBreakerError

from condord.live.link import Again, Fault
from condord.live.wire import Code

_STREAM_FAULTS: dict[int, tuple[Code, Again, str]] = {
    400: ("malformed", "backoff", "Alpaca did not understand a message of ours (400)"),
    401: ("unreachable", "backoff", "Alpaca says that we are not authenticated (401)"),
    402: (
        "authFailed",
        "halt",
        "Alpaca refuses the API key (402); check the key, the secret and alpaca.paper, then send SIGHUP",
    ),
    403: ("unreachable", "backoff", "Alpaca says that we are authenticated already (403)"),
    404: ("unreachable", "backoff", "Alpaca waited too long for the authentication (404)"),
    406: (
        "connectionLimit",
        "longest",
        "another connection holds the account's one option stream (406); stop the other program that uses this key",
    ),
    407: ("slowClient", "backoff", "Alpaca dropped us because we read too slowly (407)"),
    409: (
        "insufficientSubscription",
        "halt",
        'the plan does not include this feed (409); set alpaca.feed = "indicative" or sign the OPRA agreement',
    ),
    410: ("malformed", "backoff", "Alpaca does not know this subscription on this feed (410)"),
    411: (
        "insufficientSubscription",
        "halt",
        'the key\'s scope does not include this feed (411); set alpaca.feed = "indicative" or use another key',
    ),
    412: ("malformed", "backoff", "Alpaca wants MessagePack on this stream (412)"),
    413: ("malformed", "backoff", "Alpaca does not allow all option quotes at once (413)"),
    500: ("unreachable", "backoff", "Alpaca has an internal error (500)"),
}

SYMBOL_LIMIT = 405


def stream_fault(code: int, message: str) -> Fault:
    """The meaning of an error frame, `{"T": "error", "code", "msg"}`; not of 405, which ends no connection."""
    known = _STREAM_FAULTS.get(code)
    if known is None:
        return Fault(code="unreachable", text=f"Alpaca's stream reports error {code}: {message[:120]}")
    public, again, text = known
    return Fault(code=public, text=text, again=again)


def connection_fault(error: BaseException) -> Fault:
    """The meaning of a failed or ended connection."""
    if isinstance(error, ws.InvalidStatus):
        status = error.response.status_code
        if status in (401, 402):
            return stream_fault(402, "")
        again: Again = "longest" if status == 429 else "backoff"
        return Fault(code="unreachable", text=f"Alpaca refused the connection with HTTP {status}", again=again)
    if isinstance(error, TimeoutError):
        return Fault(code="unreachable", text="Alpaca did not answer in time")
    if isinstance(error, ws.ConnectionClosed):
        return Fault(code="unreachable", text=f"the stream was cut: {_close_text(error)}")
    if isinstance(error, ws.WebSocketException):
        return Fault(code="malformed", text=f"Alpaca broke the WebSocket protocol: {type(error).__name__}")
    if isinstance(error, ImportError):
        text = "Alpaca cannot be reached: the SOCKS proxy of the environment needs the package python-socks"
        return Fault(code="unreachable", text=text)
    return Fault(code="unreachable", text=f"Alpaca cannot be reached: {_os_text(error)}")


def _close_text(error: ws.ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the connection broke off"
    return f"closed with {error.rcvd.code}" + (f" ({error.rcvd.reason[:80]})" if error.rcvd.reason else "")


def _os_text(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror) if strerror else type(error).__name__


class RestFault(Exception):
    """A REST call failed.

    `may_retry`: the same call may succeed soon. `is_outage`: it speaks of Alpaca's health, and counts for the breaker.
    `wait_seconds`: the wait that Alpaca asked for.
    """

    def __init__(
        self, code: str, text: str, *, may_retry: bool, is_outage: bool = True, wait_seconds: float | None = None
    ) -> None:
        self.code = code
        self.text = text
        self.may_retry = may_retry
        self.is_outage = is_outage
        self.wait_seconds = wait_seconds
        super().__init__(text)


def rest_fault(error: Exception) -> RestFault:
    """The meaning of whatever a REST call through alpaca-py, or the decoding of its answer, can raise."""
    if isinstance(error, RestFault):
        return error
    if isinstance(error, CircuitBreakerError):
        return breaker_fault(None)
    if isinstance(error, APIError):
        return _answer_fault(error)
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return RestFault("timeout", "Alpaca's REST did not answer in time", may_retry=True)
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return RestFault("malformed", "Alpaca's REST answered with something that is no JSON", may_retry=True)
    if isinstance(error, (requests.RequestException, OSError)):
        return RestFault("unreachable", "Alpaca's REST cannot be reached", may_retry=True)
    if isinstance(error, (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError)):
        return RestFault(
            "malformed", f"Alpaca's REST answered with something else ({type(error).__name__})", may_retry=True
        )
    return RestFault("unreachable", f"Alpaca's REST failed ({type(error).__name__})", may_retry=True)


def breaker_fault(cause: RestFault | None) -> RestFault:
    """Alpaca is not asked at all for a while, because of `cause`, which keeps its code."""
    if cause is None:
        text = "Alpaca's REST has failed too often; it is asked again when the breaker allows"
        return RestFault("breakerOpen", text, may_retry=False, is_outage=False)
    text = f"{cause.text}, too often in a row; it is asked again when the breaker allows"
    return RestFault(cause.code, text, may_retry=False, is_outage=False)


def _answer_fault(error: APIError) -> RestFault:
    """By HTTP status alone: `.code` and `.message` of alpaca-py's error raise where the body is HTML."""
    status = error.status_code
    if status == 401:
        return RestFault("authFailed", "Alpaca refuses the API key (401)", may_retry=False, is_outage=False)
    if status == 403:
        text = "Alpaca forbids this request (403): the key, or the plan for this feed, does not allow it"
        return RestFault("forbidden", text, may_retry=False, is_outage=False)
    if status == 429:
        text = "Alpaca's rate limit is reached (429)"
        return RestFault("rateLimited", text, may_retry=True, wait_seconds=_asked_wait(error))
    if status is not None and 400 <= status < 500:
        text = f"Alpaca refuses this request ({status})"
        return RestFault("refused", text, may_retry=False, is_outage=False)
    return RestFault("serverError", f"Alpaca's REST has an error of its own ({status})", may_retry=True)


def _asked_wait(error: APIError) -> float | None:
    """Seconds until `Retry-After` or `X-RateLimit-Reset` (epoch seconds); None where neither says.

    Nor does a reset that is past say anything: it comes in whole seconds, and our clock may be ahead.
    """
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    after = headers.get("Retry-After", "")
    if after.isascii() and after.isdigit():
        return float(after)
    dated = email.utils.parsedate_tz(after)
    if dated is not None:
        return max(0.0, email.utils.mktime_tz(dated) - time.time())
    reset = headers.get("X-RateLimit-Reset", "")
    if reset.isascii() and reset.isdigit():
        wait_seconds = float(reset) - time.time()
        return wait_seconds if wait_seconds > 0.0 else None
    return None
