"""Decides what every failure of Alpaca means: what it is called, what to do about it, and how soon it is tried again.

`MEANINGS` is the table, `classify` finds the row, and the rest turns a row into what the callers handle: a `Fault` of a
link or a `RestFault`. Rules: whatever comes, a row is found. A sentence says what kind of thing came; words of others
stand in it only cut, and without anything as long as a key.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, cast

import msgspec
import requests.exceptions as rq
import websockets.exceptions as ws
from alpaca.common.exceptions import APIError
from pybreaker import CircuitBreakerError
from urllib3.exceptions import HTTPError

from condord.live.link import Again, Fault
from condord.live.wire import Code
from condord.upstream.option_protocol import ErrorFrame

SYMBOL_LIMIT = 405

RestCode = Literal["forbidden", "refused", "rateLimited", "serverError", "timeout", "breakerOpen"]
"""What REST has besides the words of streams."""
HowSoon = Again | Literal["fewer", "retry", "asked", "reading", "breaker"]
"""Streams: as `Again`, or `fewer`: the connection stays, and fewer symbols are asked for. REST: `retry` after 1, 2, 4 s
with jitter, `asked`: when Alpaca says, else as `retry`, with the next `reading`, or when the `breaker` allows."""

Of = Literal["stream", "REST"]


class Meaning(msgspec.Struct, frozen=True):
    """One row: the public word, how soon again, what happened, and what a person can do (empty: it heals by itself).

    `{detail}` in the text stands for what only the failure knows.
    """

    code: Code | RestCode
    again: HowSoon
    text: str
    remedy: str = ""

    @property
    def is_outage(self) -> bool:
        """Whether it speaks of the health of Alpaca's REST: it counts for the breaker, and may be gone soon."""
        return self.again in ("retry", "asked")


_KEY = "check the key, the secret and alpaca.paper, then send SIGHUP"
_OTHERS = "if it stays, stop other programs that use this key"
_FEED = 'set alpaca.feed = "indicative" or sign the OPRA agreement'
_STREAM_URLS = "check the stream URLs of the configuration"
_REST_URLS = "check alpaca.trading_url and alpaca.data_url, if they are set"
_NETWORK = "check the network and its name server"
_CLOCK = "check the clock and the CA certificates of this machine"
_PROXY = "check the proxy that the environment names"
_SOCKS = "install the packages python-socks and PySocks, or unset the proxy"
_REPORT = "please report it"

MEANINGS: dict[str, Meaning] = {
    # Error frames of the option stream, and the trading stream's one refusal.
    "stream 400": Meaning("malformed", "backoff", "Alpaca did not understand a message of ours (400)", _REPORT),
    "stream 401": Meaning("unreachable", "backoff", "Alpaca says that we are not authenticated (401)"),
    "stream 402": Meaning("authFailed", "halt", "Alpaca refuses the API key (402)", _KEY),
    "stream 403": Meaning("unreachable", "backoff", "Alpaca says that we are authenticated already (403)"),
    "stream 404": Meaning("unreachable", "backoff", "Alpaca waited too long for the authentication (404)"),
    "stream 405": Meaning(
        "symbolLimit",
        "fewer",
        "the plan streams fewer symbols than are held (405)",
        "set alpaca.symbol_limit to what the plan streams; the other symbols are read by REST",
    ),
    "stream 406": Meaning(
        "connectionLimit",
        "longest",
        "another connection holds the account's one option stream (406)",
        "stop the other program that uses this key; a dead connection can hold the slot for a while",
    ),
    "stream 407": Meaning(
        "slowClient", "backoff", "Alpaca dropped us as we read too slowly (407)", "if it stays, relieve this machine"
    ),
    "stream 409": Meaning("insufficientSubscription", "halt", "the plan does not include this feed (409)", _FEED),
    "stream 410": Meaning("malformed", "backoff", "Alpaca has no such subscription on this feed (410)", _REPORT),
    "stream 411": Meaning(
        "insufficientSubscription", "halt", "the key's scope does not include this feed (411)", _FEED
    ),
    "stream 412": Meaning("malformed", "backoff", "Alpaca wants MessagePack on this stream (412)", _REPORT),
    "stream 413": Meaning("malformed", "backoff", "Alpaca does not allow all option quotes at once (413)", _REPORT),
    "stream 500": Meaning("unreachable", "backoff", "Alpaca has an internal error (500)"),
    "stream other": Meaning("unreachable", "backoff", "Alpaca's stream reports error {detail}"),
    "trading stream unauthorized": Meaning("authFailed", "halt", "Alpaca's trading stream refuses the API key", _KEY),
    # Answers to the request that opens a stream.
    "upgrade 401": Meaning("authFailed", "halt", "Alpaca refuses the API key (HTTP 401)", _KEY),
    "upgrade 402": Meaning("authFailed", "halt", "Alpaca refuses the API key (HTTP 402)", _KEY),
    "upgrade 429": Meaning("unreachable", "longest", "Alpaca has too many connections of ours (HTTP 429)", _OTHERS),
    "upgrade 4xx": Meaning("unreachable", "backoff", "Alpaca refuses the connection (HTTP {detail})", _STREAM_URLS),
    "upgrade 5xx": Meaning("unreachable", "backoff", "Alpaca cannot take the connection (HTTP {detail})"),
    "upgrade other": Meaning("malformed", "backoff", "there is no stream (HTTP {detail})", _STREAM_URLS),
    # The sockets of both streams.
    "bad URL": Meaning("unreachable", "backoff", "the URL is not that of a stream", _STREAM_URLS),
    "proxy": Meaning("unreachable", "backoff", "Alpaca cannot be reached, the proxy fails: {detail}", _PROXY),
    "no python-socks": Meaning("unreachable", "backoff", "Alpaca cannot be reached by a SOCKS proxy", _SOCKS),
    "name lookup": Meaning("unreachable", "backoff", "Alpaca's address cannot be looked up: {detail}", _NETWORK),
    "TLS certificate": Meaning("unreachable", "backoff", "Alpaca's certificate is not trusted: {detail}", _CLOCK),
    "TLS": Meaning("unreachable", "backoff", "no secure connection to Alpaca: {detail}"),
    "connect": Meaning("unreachable", "backoff", "Alpaca cannot be reached: {detail}"),
    "socket timeout": Meaning("unreachable", "backoff", "Alpaca did not answer in time"),
    "socket broke off": Meaning("unreachable", "backoff", "the stream was cut: the connection broke off"),
    "socket closed": Meaning("unreachable", "backoff", "the stream was cut: closed with {detail}"),
    "frame too large": Meaning("malformed", "backoff", "Alpaca sent a larger frame than any batch of quotes", _REPORT),
    "no WebSocket": Meaning("malformed", "backoff", "what answers speaks no WebSocket: {detail}", _STREAM_URLS),
    "protocol broken": Meaning("malformed", "backoff", "Alpaca broke the WebSocket protocol: {detail}", _REPORT),
    "socket other": Meaning("unreachable", "backoff", "the stream failed: {detail}", _REPORT),
    # REST.
    "rest 401": Meaning("authFailed", "reading", "Alpaca refuses the API key (401)", _KEY),
    "rest 403": Meaning(
        "forbidden",
        "reading",
        "Alpaca forbids this request (403): the key, or the plan for this feed, does not allow it",
        'check the key; without the OPRA agreement set alpaca.feed = "indicative"',
    ),
    "rest 408": Meaning("timeout", "retry", "Alpaca's REST waited too long for our request (408)"),
    "rest 429": Meaning("rateLimited", "asked", "Alpaca's rate limit is reached (429)", _OTHERS),
    "rest 4xx": Meaning("refused", "reading", "Alpaca refuses this request ({detail})", _REST_URLS),
    "rest 5xx": Meaning("serverError", "retry", "Alpaca's REST has an error of its own ({detail})"),
    "rest bad URL": Meaning("unreachable", "reading", "Alpaca's REST cannot be asked: {detail}", _REST_URLS),
    "rest proxy": Meaning("unreachable", "retry", "Alpaca's REST cannot be reached, the proxy fails: {detail}", _PROXY),
    "rest no PySocks": Meaning("unreachable", "reading", "Alpaca's REST cannot be reached by a SOCKS proxy", _SOCKS),
    "rest name lookup": Meaning("unreachable", "retry", "Alpaca's REST cannot be looked up: {detail}", _NETWORK),
    "rest TLS certificate": Meaning("unreachable", "reading", "Alpaca's certificate is not trusted: {detail}", _CLOCK),
    "rest TLS": Meaning("unreachable", "retry", "Alpaca's REST has no secure connection for us: {detail}"),
    "rest connection": Meaning("unreachable", "retry", "Alpaca's REST cannot be reached: {detail}"),
    "rest timeout": Meaning("timeout", "retry", "Alpaca's REST did not answer in time"),
    "rest not JSON": Meaning("malformed", "retry", "Alpaca's REST answered with something that is no JSON", _REST_URLS),
    "rest wrong shape": Meaning("malformed", "retry", "Alpaca's REST answered with something else ({detail})", _REPORT),
    "rest breaker open": Meaning("breakerOpen", "breaker", "Alpaca's REST failed too often; the breaker is open"),
    "rest other": Meaning("unreachable", "retry", "Alpaca's REST failed ({detail})", _REPORT),
}

_Rules: TypeAlias = tuple[tuple[str, tuple[type[BaseException], ...]], ...]

_SOCKET_RULES: _Rules = (
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
"""The first rule that the error, or one beneath it, satisfies; the order tells a cause from what it looks like."""

_REST_RULES: _Rules = (
    ("rest breaker open", (CircuitBreakerError,)),
    ("rest proxy", (rq.ProxyError, rq.InvalidProxyURL)),
    ("rest no PySocks", (rq.InvalidSchema,)),
    ("rest bad URL", (rq.InvalidURL, rq.MissingSchema)),
    ("rest TLS certificate", (ssl.SSLCertVerificationError,)),
    ("rest TLS", (ssl.SSLError, rq.SSLError)),
    ("rest name lookup", (socket.gaierror,)),
    ("rest timeout", (TimeoutError, rq.Timeout)),
    ("rest not JSON", (rq.JSONDecodeError,)),
    ("rest connection", (OSError, rq.RequestException, HTTPError)),
    ("rest wrong shape", (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, RecursionError)),
)

_CLOSED_BY_US = {1002: "protocol broken", 1007: "protocol broken", 1009: "frame too large"}
"""The codes with which websockets itself ends a connection."""


class Unauthorized(msgspec.Struct, frozen=True):
    """The trading stream's answer to a login that it does not accept."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a failure, and what only this failure knows; `wait_seconds` is what Alpaca asked for."""

    name: str
    detail: str = ""
    wait_seconds: float | None = None

    @property
    def meaning(self) -> Meaning:
        """The row."""
        return MEANINGS[self.name]

    @property
    def text(self) -> str:
        """What happened, for people."""
        return self.meaning.text.format(detail=self.detail)


def classify(failure: object, *, of: Of) -> Diagnosis:
    """The row for `failure`: an exception, an error frame, or `Unauthorized`; of a stream or of REST."""
    return _of_rest(failure) if of == "REST" else _of_stream(failure)


def _of_stream(failure: object) -> Diagnosis:
    if isinstance(failure, Unauthorized):
        return Diagnosis(name="trading stream unauthorized")
    if isinstance(failure, ErrorFrame):
        detail = f"{failure.code}: {_plain(failure.msg)}" if failure.msg else f"{failure.code}"
        return Diagnosis(name=_numbered("stream", failure.code), detail=detail)
    if isinstance(failure, ws.InvalidStatus):
        status = failure.response.status_code
        return Diagnosis(name=_numbered("upgrade", status), detail=f"{status}")
    if isinstance(failure, ws.ConnectionClosed):
        return _of_closing(failure)
    beneath = list(_beneath(failure))
    return Diagnosis(name=_ruled(_SOCKET_RULES, beneath) or "socket other", detail=_detail(beneath, failure))


def _of_closing(closing: ws.ConnectionClosed) -> Diagnosis:
    """By the close frame that came, or else by the one that we sent, which says what was wrong with their frames."""
    theirs, ours = closing.rcvd, closing.sent
    if ours is not None and ours.code in _CLOSED_BY_US and closing.rcvd_then_sent is not True:
        return Diagnosis(name=_CLOSED_BY_US[ours.code], detail=_plain(ours.reason))
    if theirs is None:
        return Diagnosis(name="socket broke off")
    detail = f"{theirs.code} ({_plain(theirs.reason)})" if theirs.reason else f"{theirs.code}"
    return Diagnosis(name="socket closed", detail=detail)


def _of_rest(failure: object) -> Diagnosis:
    """An answer by its HTTP status alone: `.code` and `.message` of alpaca-py's error raise where the body is HTML."""
    if isinstance(failure, APIError):
        response = getattr(failure, "response", None)
        status = getattr(response, "status_code", None)
        name = _numbered("rest", status) if isinstance(status, int) else "rest other"
        wait_seconds = _asked_wait(response) if MEANINGS[name].again == "asked" else None
        return Diagnosis(name=name, detail=f"{status or 'no status'}", wait_seconds=wait_seconds)
    beneath = list(_beneath(failure))
    return Diagnosis(name=_ruled(_REST_RULES, beneath) or "rest other", detail=_detail(beneath, beneath[-1]))


def stream_fault(code: int, message: str) -> Fault:
    """The meaning of an error frame, `{"T": "error", "code", "msg"}`; not of 405, which ends no connection."""
    return _fault(ErrorFrame(code=code, msg=message))


def unauthorized_fault() -> Fault:
    """The meaning of a refused login on the trading stream."""
    return _fault(Unauthorized())


def connection_fault(error: BaseException) -> Fault:
    """The meaning of a failed or ended connection."""
    return _fault(error)


def _fault(failure: object) -> Fault:
    diagnosis = classify(failure, of="stream")
    meaning = diagnosis.meaning
    again: Again = meaning.again if meaning.again in ("longest", "halt") else "backoff"
    code = cast("Code", meaning.code)  # as every row but those of REST has: `test_the_words_are_public_ones`
    return Fault(code=code, text=diagnosis.text, remedy=meaning.remedy, again=again)


class RestFault(Exception):
    """A REST call failed: a public code, what happened, what a person can do.

    `may_retry`: the same call may succeed soon. `is_outage`: it speaks of Alpaca's health, and counts for the breaker.
    `wait_seconds`: the wait that Alpaca asked for.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        may_retry: bool,
        is_outage: bool = True,
        wait_seconds: float | None = None,
        remedy: str = "",
    ) -> None:
        self.code = code
        self.text = text
        self.remedy = remedy
        self.may_retry = may_retry
        self.is_outage = is_outage
        self.wait_seconds = wait_seconds
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """The sentence for people."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def rest_fault(error: Exception) -> RestFault:
    """The meaning of whatever a REST call through alpaca-py, or the decoding of its answer, can raise."""
    if isinstance(error, RestFault):
        return error
    diagnosis = classify(error, of="REST")
    meaning = diagnosis.meaning
    return RestFault(
        meaning.code,
        diagnosis.text,
        may_retry=meaning.is_outage,
        is_outage=meaning.is_outage,
        wait_seconds=diagnosis.wait_seconds,
        remedy=meaning.remedy,
    )


def breaker_fault(cause: RestFault | None) -> RestFault:
    """Alpaca is not asked at all for a while, because of `cause`, which keeps its code and its remedy."""
    if cause is None:
        return rest_fault(CircuitBreakerError())
    text = f"{cause.text}, too often in a row; it is asked again when the breaker allows"
    return RestFault(cause.code, text, may_retry=False, is_outage=False, remedy=cause.remedy)


def _numbered(kind: str, number: int) -> str:
    """The row of a number: its own, that of its hundred, or that of all others."""
    names = (f"{kind} {number}", f"{kind} {number // 100}xx")
    return next((name for name in names if name in MEANINGS), f"{kind} other")


def _ruled(rules: _Rules, beneath: list[object]) -> str | None:
    return next((name for name, kinds in rules if any(isinstance(error, kinds) for error in beneath)), None)


def _beneath(failure: object) -> Iterator[object]:
    """`failure` and what it was made of, outermost first: requests passes causes as arguments, others raise from them.

    Not the context: that may be another failure which was being handled.
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


def _detail(beneath: list[object], named: object) -> str:
    """What the system says about the failure, or else the kind of `named`: texts of libraries may quote what came."""
    for error in beneath:
        if isinstance(error, ws.InvalidProxyStatus):
            return f"HTTP {error.response.status_code}"
        if isinstance(error, OSError):
            said = getattr(error, "verify_message", "") or error.strerror
            if not said and type(error) is OSError and error.args:  # of asyncio's and http.client's own making
                said = error.args[0]
            if isinstance(said, str) and said:
                return _plain(said)
    return _printable(type(named).__name__)


_KEY_LIKE = re.compile(r"[A-Za-z0-9+/]{20,}")
_SAID_LENGTH = 100


def _plain(said: str) -> str:
    """Words of others, cut; a key would have 20 characters or more."""
    return _printable(_KEY_LIKE.sub("…", said))


def _printable(said: str) -> str:
    """What cannot be printed may be what JSON cannot carry either."""
    return "".join(letter if letter.isprintable() else "?" for letter in said[:_SAID_LENGTH])


def _asked_wait(response: object) -> float | None:
    """Seconds until `Retry-After` or `X-RateLimit-Reset` (epoch seconds); None where neither says.

    Nor does a reset that is past say anything: it comes in whole seconds, and our clock may be ahead.
    """
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    after = headers.get("Retry-After", "")
    if after.isascii() and after.isdigit():
        return float(after)
    dated = email.utils.parsedate_tz(after)
    if dated is not None:
        with contextlib.suppress(ValueError, OverflowError):  # a year that no calendar has
            return max(0.0, email.utils.mktime_tz(dated) - time.time())
    reset = headers.get("X-RateLimit-Reset", "")
    if reset.isascii() and reset.isdigit():
        wait_seconds = float(reset) - time.time()
        return wait_seconds if wait_seconds > 0.0 else None
    return None
