"""Every failure of Alpaca: its public code, its remedy, and when to try again."""

from __future__ import annotations

from typing import Literal

import msgspec

from condord.live.link import Again
from condord.live.wire import Code

RestCode = Literal["forbidden", "refused", "rateLimited", "serverError", "timeout", "breakerOpen", "budgetUsedUp"]
"""The codes that only REST has."""
HowSoon = Again | Literal["fewer", "retry", "asked", "reading", "breaker", "budget"]
"""When to try again.

Streams: see `Again`; `fewer` keeps the connection and subscribes to fewer symbols. REST: `retry` after 1, 2 and 4 s
with jitter; `asked` at the time that Alpaca names, or else like `retry`; `reading` with the next poll; `breaker` and
`budget` when the circuit breaker or the request budget allows.
"""


class Failure(msgspec.Struct, frozen=True):
    """One row: public code, when to try again, what happened, and what a person can do.

    An empty remedy means that the failure goes away by itself. `{detail}` in the text is filled in by `Diagnosis`.
    """

    code: Code | RestCode
    again: HowSoon
    text: str
    remedy: str = ""

    @property
    def is_outage(self) -> bool:
        """Whether Alpaca's REST, or the network to it, is out of order, which counts for the breaker."""
        return self.again == "retry"

    @property
    def may_retry(self) -> bool:
        """Whether the same request may succeed soon: after an outage, or after the wait for a rate limit."""
        return self.again in ("retry", "asked")


_KEY = "check the key, the secret and alpaca.paper, then restart, or send SIGHUP if only files changed"
_HOLDER = "stop the other program that uses this key; a dead connection can hold the slot for a while"
_OTHERS = "if it lasts, stop other programs that use this key"
_FEED = 'set alpaca.feed = "indicative" or sign the OPRA agreement, then send SIGHUP'
_STOCK_FEED = 'set alpaca.stock_feed = "iex" or subscribe to SIP, then send SIGHUP'
_STREAM_URLS = "check the stream URLs in the configuration"
_REST_URLS = "check alpaca.trading_url and alpaca.data_url, if they are set"
_LASTS = "if it lasts, check the network"
_NETWORK = "check the network and its name server"
_CLOCK = "check the clock and the CA certificates of this machine"
_PROXY = "check the proxy that the environment names"
_SOCKS = "install the packages python-socks and PySocks, or unset the proxy"
_SETTINGS = "correct or unset the variable"
_REPORT = "please report it"

FAILURES: dict[str, Failure] = {
    # Error frames of the option stream, and the trading stream's one refusal.
    "stream 400": Failure("malformed", "backoff", "Alpaca did not understand our message (400)", _REPORT),
    "stream 401": Failure("unreachable", "backoff", "Alpaca reports that the stream is not authenticated (401)"),
    "stream 402": Failure("authFailed", "halt", "Alpaca refuses the API key (402)", _KEY),
    "stream 403": Failure("unreachable", "backoff", "Alpaca reports that the stream is already authenticated (403)"),
    "stream 404": Failure("unreachable", "backoff", "Alpaca received no authentication in time (404)"),
    "stream 405": Failure(
        "symbolLimit",
        "fewer",
        "the plan streams fewer symbols than are held (405)",
        "set alpaca.symbol_limit to the limit of the plan; the other symbols are read over REST",
    ),
    "stream 406": Failure(
        "connectionLimit",
        "longest",
        "another connection holds the account's one option stream (406)",
        _HOLDER,
    ),
    "stream 407": Failure(
        "slowClient",
        "backoff",
        "Alpaca closed the stream because it was read too slowly (407)",
        "if it lasts, reduce the load of this machine",
    ),
    "stream 409": Failure("insufficientSubscription", "halt", "the plan does not include this feed (409)", _FEED),
    "stream 410": Failure("malformed", "backoff", "Alpaca has no such subscription on this feed (410)", _REPORT),
    "stream 411": Failure(
        "insufficientSubscription", "halt", "the key's scope does not include this feed (411)", _FEED
    ),
    "stream 412": Failure("malformed", "backoff", "Alpaca requires MessagePack on this stream (412)", _REPORT),
    "stream 413": Failure("malformed", "backoff", "Alpaca does not allow all option quotes at once (413)", _REPORT),
    "stream 500": Failure("unreachable", "backoff", "Alpaca has an internal error (500)"),
    "stream other": Failure("unreachable", "backoff", "Alpaca's stream reports error {detail}"),
    # Error frames of the stock stream that differ from the option stream's.
    "stock stream 405": Failure(
        "symbolLimit",
        "fewer",
        "the plan streams fewer stocks than are needed (405)",
        "set alpaca.stock_symbol_limit to the limit of the plan; the other stocks are read over REST",
    ),
    "stock stream 406": Failure(
        "connectionLimit",
        "longest",
        "another connection holds the account's one stock stream (406)",
        _HOLDER,
    ),
    "stock stream 409": Failure(
        "insufficientSubscription", "halt", "the plan does not include this stock feed (409)", _STOCK_FEED
    ),
    "stock stream 411": Failure(
        "insufficientSubscription", "halt", "the key's scope does not include this stock feed (411)", _STOCK_FEED
    ),
    "trading stream unauthorized": Failure("authFailed", "halt", "Alpaca's trading stream refuses the API key", _KEY),
    # Answers to the request that opens a stream.
    "upgrade 401": Failure("authFailed", "halt", "Alpaca refuses the API key (HTTP 401)", _KEY),
    "upgrade 402": Failure("authFailed", "halt", "Alpaca refuses the API key (HTTP 402)", _KEY),
    "upgrade 429": Failure("unreachable", "longest", "Alpaca reports too many connections (HTTP 429)", _OTHERS),
    "upgrade 3xx": Failure(
        "malformed", "backoff", "the stream redirects to {detail}, which is not followed", _STREAM_URLS
    ),
    "upgrade 4xx": Failure("unreachable", "backoff", "Alpaca refuses the connection (HTTP {detail})", _STREAM_URLS),
    "upgrade 5xx": Failure("unreachable", "backoff", "Alpaca cannot take the connection (HTTP {detail})"),
    "upgrade other": Failure("malformed", "backoff", "no stream at this URL (HTTP {detail})", _STREAM_URLS),
    # The sockets of the streams.
    "bad URL": Failure("unreachable", "backoff", "the stream URL is invalid", _STREAM_URLS),
    "settings": Failure("unreachable", "backoff", "Alpaca cannot be reached: {detail}", _SETTINGS),
    "proxy": Failure("unreachable", "backoff", "Alpaca cannot be reached because the proxy fails: {detail}", _PROXY),
    "no python-socks": Failure("unreachable", "backoff", "Alpaca cannot be reached through a SOCKS proxy", _SOCKS),
    "name lookup": Failure("unreachable", "backoff", "Alpaca's host cannot be resolved: {detail}", _NETWORK),
    "TLS certificate": Failure("unreachable", "backoff", "Alpaca's certificate is not trusted: {detail}", _CLOCK),
    "TLS": Failure("unreachable", "backoff", "Alpaca cannot be reached over TLS: {detail}"),
    "connect": Failure("unreachable", "backoff", "Alpaca cannot be reached: {detail}", _LASTS),
    "socket timeout": Failure("unreachable", "backoff", "Alpaca did not answer in time"),
    "socket broke off": Failure("unreachable", "backoff", "the stream was cut: the connection was lost"),
    "socket closed": Failure("unreachable", "backoff", "the stream was cut: closed with {detail}"),
    "ping flood": Failure("malformed", "backoff", "Alpaca sends pings faster than it reads the pongs", _REPORT),
    "frame too large": Failure("malformed", "backoff", "Alpaca sent a frame larger than any batch of quotes", _REPORT),
    "no WebSocket": Failure("malformed", "backoff", "the server does not speak WebSocket: {detail}", _STREAM_URLS),
    "protocol broken": Failure("malformed", "backoff", "Alpaca violated the WebSocket protocol: {detail}", _REPORT),
    "socket other": Failure("unreachable", "backoff", "the stream failed: {detail}", _REPORT),
    # REST.
    "rest 401": Failure("authFailed", "reading", "Alpaca refuses the API key (401)", _KEY),
    "rest 403": Failure(
        "forbidden",
        "reading",
        "Alpaca forbids this request (403): the key or the plan does not allow it",
        'check the key; without OPRA set alpaca.feed = "indicative", and without SIP set alpaca.stock_feed = "iex"',
    ),
    "rest 408": Failure("timeout", "retry", "Alpaca's REST received no request in time (408)"),
    "rest 429": Failure("rateLimited", "asked", "Alpaca's rate limit is reached (429)", _OTHERS),
    "rest redirect": Failure(
        "malformed", "retry", "Alpaca's REST redirects to {detail}, which is not followed", _REST_URLS
    ),
    "rest 4xx": Failure("refused", "reading", "Alpaca refuses this request ({detail})", _REST_URLS),
    "rest 5xx": Failure("serverError", "retry", "Alpaca's REST has an internal error ({detail})"),
    "rest status": Failure("malformed", "retry", "Alpaca's REST answered HTTP {detail} instead of 200", _REST_URLS),
    "rest settings": Failure("unreachable", "reading", "Alpaca's REST cannot be reached: {detail}", _SETTINGS),
    "rest bad URL": Failure("unreachable", "reading", "Alpaca's REST has an invalid URL: {detail}", _REST_URLS),
    "rest proxy": Failure(
        "unreachable", "retry", "Alpaca's REST cannot be reached because the proxy fails: {detail}", _PROXY
    ),
    "rest no PySocks": Failure(
        "unreachable", "reading", "Alpaca's REST cannot be reached through a SOCKS proxy", _SOCKS
    ),
    "rest name lookup": Failure("unreachable", "retry", "Alpaca's REST host cannot be resolved: {detail}", _NETWORK),
    "rest TLS certificate": Failure("unreachable", "reading", "Alpaca's certificate is not trusted: {detail}", _CLOCK),
    "rest TLS": Failure("unreachable", "retry", "Alpaca's REST cannot be reached over TLS: {detail}"),
    "rest connection": Failure("unreachable", "retry", "Alpaca's REST cannot be reached: {detail}"),
    "rest timeout": Failure("timeout", "retry", "Alpaca's REST did not answer in time"),
    "rest not JSON": Failure("malformed", "retry", "Alpaca's REST did not answer in JSON", _REST_URLS),
    "rest too large": Failure("malformed", "retry", "Alpaca's REST answered with more than {detail}", _REPORT),
    "rest encoding": Failure("malformed", "retry", "Alpaca's REST answered in an encoding other than gzip", _REPORT),
    "rest wrong shape": Failure(
        "malformed", "retry", "Alpaca's REST answered in an unexpected shape ({detail})", _REPORT
    ),
    "rest breaker open": Failure("breakerOpen", "breaker", "Alpaca's REST failed too often; the breaker is open"),
    "rest budget used up": Failure(
        "budgetUsedUp",
        "budget",
        "Alpaca gets the next request at {detail}: the budget of requests per minute is used up",
    ),
    "rest pause": Failure("rateLimited", "asked", "Alpaca allows no request before {detail}", _OTHERS),
    "rest other": Failure("unreachable", "retry", "Alpaca's REST failed ({detail})", _REPORT),
}

REMEDIES = frozenset(failure.remedy for failure in FAILURES.values() if failure.remedy)
"""Every remedy: `condord.live.remedies.split_remedy` finds them in what a daemon reports."""
