import datetime as dt
import email.utils
import socket
import ssl
import time
import typing

import msgspec
import pytest
import requests
import urllib3.exceptions
import websockets.exceptions as ws
from alpaca.common.exceptions import APIError
from hypothesis import given
from hypothesis import strategies as st
from pybreaker import CircuitBreakerError
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Close
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from condord.errors import ConfigError
from condord.live.link import Again
from condord.live.wire import Code
from condord.upstream.bodies import NotJson, TooLarge, UndecodableBody, UnexpectedStatus
from condord.upstream.classify_failure import (
    SYMBOL_LIMIT,
    RequestWait,
    Unauthorized,
    breaker_fault,
    classify,
    connection_fault,
    rest_fault,
    stock_stream_fault,
    stream_fault,
    unauthorized_fault,
)
from condord.upstream.failure_table import FAILURES, HowSoon, RestCode
from condord.upstream.quote_protocol import ErrorFrame
from condord.upstream.rest_fault import RestFault
from condord.upstream.sockets import PingFlood

SECRET = "hunter2hunter2hunter2hunter2hunter2hunt"
EXPIRED = ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")


def frame(code):
    return ErrorFrame(code=code, msg="strange")


def refusal(status, *locations):
    return ws.InvalidStatus(Response(status, "no", Headers(("Location", location) for location in locations)))


def caused(error, cause):
    error.__cause__ = cause
    return error


def ended_by(data):
    """Return what websockets raises for an open connection that receives `data` and then ends."""
    protocol = ClientProtocol(parse_uri("ws://stream.example/"), state=State.OPEN, max_size=10)
    protocol.receive_data(data)
    protocol.receive_eof()
    return protocol.close_exc


def answer(status, headers=None, body="{}"):
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    return APIError(body, requests.HTTPError(response=response))


def through_requests(error, **options):
    """Return what requests raises for the socket error `error`."""

    def fail(*_args, **_kwargs):
        raise error

    with pytest.MonkeyPatch.context() as patch, requests.Session() as session:
        session.trust_env = False
        if isinstance(error, ssl.SSLError):
            patch.setattr("urllib3.connection.HTTPSConnection.connect", fail)
        else:
            patch.setattr("urllib3.util.connection.create_connection", fail)
        with pytest.raises(requests.RequestException) as caught:
            session.get("https://paper-api.example/", **options)
    return caught.value


def raised_by(url, **proxies):
    """Return what requests raises for a request that it never sends."""
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.RequestException) as caught:
            session.get(url, proxies=proxies)
    return caught.value


class UnknownError(Exception):
    """An exception without a rule."""


BY_PROXY = {"proxies": {"https": "http://user:hunter2@proxy.example:3128"}}
NO_SUCH_NAME = socket.gaierror(-2, "Name or service not known")
REFUSED = ConnectionRefusedError(111, "Connection refused")
TUNNEL = OSError("Tunnel connection failed: 407 Proxy Authentication Required")

STREAM = [  # row, what came, public code, how soon again, what the sentence must contain
    ("stream 400", frame(400), "malformed", "backoff", "did not understand"),
    ("stream 401", frame(401), "unreachable", "backoff", "not authenticated"),
    ("stream 402", frame(402), "authFailed", "halt", "send SIGHUP if only files changed"),
    ("stream 403", frame(403), "unreachable", "backoff", "already authenticated"),
    ("stream 404", frame(404), "unreachable", "backoff", "in time"),
    ("stream 405", frame(405), "symbolLimit", "fewer", "read over REST"),
    ("stream 406", frame(406), "connectionLimit", "longest", "stop the other program"),
    ("stream 407", frame(407), "slowClient", "backoff", "too slowly"),
    ("stream 409", frame(409), "insufficientSubscription", "halt", 'feed = "indicative"'),
    ("stream 410", frame(410), "malformed", "backoff", "subscription"),
    ("stream 411", frame(411), "insufficientSubscription", "halt", 'feed = "indicative"'),
    ("stream 412", frame(412), "malformed", "backoff", "MessagePack"),
    ("stream 413", frame(413), "malformed", "backoff", "all option quotes"),
    ("stream 500", frame(500), "unreachable", "backoff", "internal error"),
    ("stream other", frame(499), "unreachable", "backoff", "499: strange"),
    ("stream other", frame(-1), "unreachable", "backoff", "-1: strange"),
    ("stream other", frame(2**64), "unreachable", "backoff", "18446744073709551616: strange"),
    ("stream other", ErrorFrame(code=408), "unreachable", "backoff", "error 408"),
    ("trading stream unauthorized", Unauthorized(), "authFailed", "halt", "trading stream refuses"),
    ("upgrade 401", refusal(401), "authFailed", "halt", "(HTTP 401); check the key"),
    ("upgrade 402", refusal(402), "authFailed", "halt", "(HTTP 402); check the key"),
    ("upgrade 429", refusal(429), "unreachable", "longest", "HTTP 429"),
    ("upgrade 4xx", refusal(403), "unreachable", "backoff", "HTTP 403"),
    ("upgrade 4xx", refusal(404), "unreachable", "backoff", "check the stream URLs"),
    ("upgrade 5xx", refusal(502), "unreachable", "backoff", "HTTP 502"),
    (
        "upgrade 3xx",
        refusal(302, "wss://other.example/x"),
        "malformed",
        "backoff",
        "to wss://other.example/x (HTTP 302)",
    ),
    ("upgrade 3xx", refusal(308), "malformed", "backoff", "to nowhere (HTTP 308)"),
    (
        "settings",
        ConfigError(["environment X = 'y': no"]),
        "unreachable",
        "backoff",
        "environment X = 'y': no; correct",
    ),
    ("ping flood", PingFlood(), "malformed", "backoff", "pings faster"),
    ("upgrade other", refusal(200), "malformed", "backoff", "HTTP 200"),
    ("bad URL", ws.InvalidURI("http://user:hunter2@x/", "no"), "unreachable", "backoff", "check the stream URLs"),
    (
        "proxy",
        ws.InvalidProxy("ftp://user:hunter2@x:1", "no"),
        "unreachable",
        "backoff",
        "InvalidProxy; check the proxy",
    ),
    ("proxy", ws.InvalidProxyStatus(Response(407, "", Headers())), "unreachable", "backoff", "proxy fails: HTTP 407"),
    ("proxy", caused(ws.ProxyError("socks"), REFUSED), "unreachable", "backoff", "Connection refused"),
    ("proxy", caused(ws.InvalidProxyMessage("no HTTP"), EOFError()), "unreachable", "backoff", "InvalidProxyMessage"),
    ("no python-socks", ImportError("requires python-socks"), "unreachable", "backoff", "SOCKS proxy; install"),
    ("name lookup", NO_SUCH_NAME, "unreachable", "backoff", "Name or service not known; check the network"),
    ("TLS certificate", EXPIRED, "unreachable", "backoff", "has expired; check the clock and the CA certificates"),
    ("TLS", ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "unreachable", "backoff", "WRONG_VERSION_NUMBER"),
    ("connect", REFUSED, "unreachable", "backoff", "Connection refused"),
    ("connect", OSError("Multiple exceptions: …"), "unreachable", "backoff", "Multiple exceptions"),
    ("connect", OSError(), "unreachable", "backoff", "OSError"),
    ("socket timeout", TimeoutError(), "unreachable", "backoff", "in time"),
    ("socket timeout", TimeoutError(110, "Connection timed out"), "unreachable", "backoff", "in time"),
    ("socket broke off", ended_by(b""), "unreachable", "backoff", "connection was lost"),
    ("socket broke off", EOFError(), "unreachable", "backoff", "connection was lost"),
    (
        "socket broke off",
        caused(ws.InvalidMessage("no HTTP"), EOFError()),
        "unreachable",
        "backoff",
        "connection was lost",
    ),
    ("socket closed", ended_by(b"\x88\x02\x03\xe9"), "unreachable", "backoff", "closed with 1001"),
    ("socket closed", ended_by(b"\x88\x08\x03\xf0policy"), "unreachable", "backoff", "1008 (policy)"),
    ("socket closed", ended_by(b"\x88\x02\x03\xf1"), "unreachable", "backoff", "closed with 1009"),
    ("frame too large", ended_by(b"\x82\x7d" + bytes(125)), "malformed", "backoff", "frame larger"),
    ("protocol broken", ended_by(b"\xff\xff"), "malformed", "backoff", "invalid opcode"),
    ("no WebSocket", ws.InvalidUpgrade("Connection"), "malformed", "backoff", "InvalidUpgrade; check the stream URLs"),
    ("no WebSocket", caused(ws.InvalidMessage("x"), ValueError()), "malformed", "backoff", "InvalidMessage"),
    ("socket other", UnknownError(SECRET), "unreachable", "backoff", "UnknownError"),
]

UNTIL = dt.datetime(2026, 11, 20, 15, 4, 5, tzinfo=dt.UTC)
REST = [  # row, what came, public code, how soon again, what the sentence must contain
    ("rest 401", answer(401), "authFailed", "reading", "(401); check the key"),
    ("rest 403", answer(403), "forbidden", "reading", 'set alpaca.feed = "indicative"'),
    ("rest 4xx", answer(404), "refused", "reading", "(404)"),
    ("rest 4xx", answer(422), "refused", "reading", "(422)"),
    ("rest 408", answer(408), "timeout", "retry", "in time"),
    ("rest 429", answer(429), "rateLimited", "asked", "rate limit"),
    ("rest 5xx", answer(500), "serverError", "retry", "(500)"),
    ("rest 5xx", answer(502, body="<html>Bad gateway</html>"), "serverError", "retry", "(502)"),
    ("rest 5xx", answer(504), "serverError", "retry", "(504)"),
    ("rest other", answer(302), "unreachable", "retry", "(302)"),
    (
        "rest redirect",
        UnexpectedStatus(302, "https://other.example/v2"),
        "malformed",
        "retry",
        "to https://other.example/v2 (HTTP 302)",
    ),
    ("rest redirect", UnexpectedStatus(304), "malformed", "retry", "to nowhere (HTTP 304)"),
    ("rest status", UnexpectedStatus(206), "malformed", "retry", "HTTP 206 instead of 200"),
    ("rest too large", TooLarge("9 rows"), "malformed", "retry", "more than 9 rows"),
    ("rest encoding", UndecodableBody("no gzip"), "malformed", "retry", "other than gzip"),
    (
        "rest settings",
        ConfigError(["environment X = 'y': no"]),
        "unreachable",
        "reading",
        "environment X = 'y': no; correct",
    ),
    ("rest other", APIError("{}"), "unreachable", "retry", "(no status)"),
    ("rest other", APIError("{}", requests.HTTPError()), "unreachable", "retry", "(no status)"),
    ("rest other", UnknownError(SECRET), "unreachable", "retry", "(UnknownError)"),
    ("rest bad URL", raised_by("https://"), "unreachable", "reading", "InvalidURL; check alpaca.trading_url"),
    ("rest bad URL", raised_by("paper-api.example"), "unreachable", "reading", "MissingSchema"),
    (
        "rest no PySocks",
        raised_by("https://x.example/", https="socks5://127.0.0.1:1"),
        "unreachable",
        "reading",
        "install the packages",
    ),
    ("rest proxy", raised_by("https://x.example/", https="http:///"), "unreachable", "retry", "check the proxy"),
    ("rest proxy", through_requests(REFUSED, **BY_PROXY), "unreachable", "retry", "proxy fails: Connection refused"),
    ("rest proxy", through_requests(NO_SUCH_NAME, **BY_PROXY), "unreachable", "retry", "proxy fails: Name or service"),
    ("rest proxy", requests.exceptions.ProxyError(TUNNEL), "unreachable", "retry", "failed: 407"),
    ("rest name lookup", through_requests(NO_SUCH_NAME), "unreachable", "retry", "Name or service not known; check"),
    ("rest TLS certificate", through_requests(EXPIRED), "unreachable", "reading", "has expired; check the clock"),
    ("rest TLS", through_requests(ssl.SSLEOFError(8, "EOF")), "unreachable", "retry", "over TLS: EOF"),
    ("rest TLS", requests.exceptions.SSLError(), "unreachable", "retry", "SSLError"),
    ("rest timeout", through_requests(TimeoutError()), "timeout", "retry", "in time"),
    ("rest timeout", requests.ReadTimeout(), "timeout", "retry", "in time"),
    ("rest timeout", TimeoutError(), "timeout", "retry", "in time"),
    ("rest connection", through_requests(REFUSED), "unreachable", "retry", "reached: Connection refused"),
    ("rest connection", requests.ConnectionError(), "unreachable", "retry", "reached: ConnectionError"),
    ("rest connection", requests.exceptions.ChunkedEncodingError(), "unreachable", "retry", "ChunkedEncodingError"),
    ("rest connection", urllib3.exceptions.ProtocolError(), "unreachable", "retry", "ProtocolError"),
    ("rest connection", OSError(), "unreachable", "retry", "OSError"),
    ("rest not JSON", NotJson(), "malformed", "retry", "did not answer in JSON"),
    ("rest wrong shape", msgspec.ValidationError(), "malformed", "retry", "ValidationError"),
    ("rest wrong shape", ValueError(SECRET), "malformed", "retry", "ValueError"),
    ("rest wrong shape", TypeError(), "malformed", "retry", "TypeError"),
    ("rest wrong shape", KeyError("quotes"), "malformed", "retry", "KeyError"),
    ("rest wrong shape", AttributeError(), "malformed", "retry", "AttributeError"),
    ("rest breaker open", CircuitBreakerError(), "breakerOpen", "breaker", "too often"),
    ("rest budget used up", RequestWait("rest budget used up", UNTIL), "budgetUsedUp", "budget", "at 15:04:05 UTC"),
    ("rest pause", RequestWait("rest pause", UNTIL), "rateLimited", "asked", "before 15:04:05 UTC; if it lasts"),
]


def sentence(name, failure, of):
    diagnosis = classify(failure, of=of)
    remedy = FAILURES[name].remedy
    return f"{diagnosis.text}; {remedy}" if remedy else diagnosis.text


STOCKS = [  # error frames of the stock stream that differ
    ("stock stream 405", frame(405), "symbolLimit", "fewer", "alpaca.stock_symbol_limit"),
    ("stock stream 406", frame(406), "connectionLimit", "longest", "one stock stream"),
    ("stock stream 409", frame(409), "insufficientSubscription", "halt", 'alpaca.stock_feed = "iex"'),
    ("stock stream 411", frame(411), "insufficientSubscription", "halt", 'alpaca.stock_feed = "iex"'),
]


class TestTable:
    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), STREAM)
    def test_each_failure_of_a_stream_has_its_row(self, name, failure, code, again, words):
        diagnosis = classify(failure, of="stream")
        assert (diagnosis.name, diagnosis.failure.code, diagnosis.failure.again) == (name, code, again)
        assert words in sentence(name, failure, "stream")

    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), REST)
    def test_each_failure_of_rest_has_its_row(self, name, failure, code, again, words):
        diagnosis = classify(failure, of="REST")
        assert (diagnosis.name, diagnosis.failure.code, diagnosis.failure.again) == (name, code, again)
        assert words in sentence(name, failure, "REST")
        assert sentence(name, failure, "REST").startswith("Alpaca")

    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), STOCKS)
    def test_each_failure_of_the_stock_stream_has_its_row(self, name, failure, code, again, words):
        diagnosis = classify(failure, of="stock stream")
        assert (diagnosis.name, diagnosis.failure.code, diagnosis.failure.again) == (name, code, again)
        assert words in sentence(name, failure, "stock stream")

    @pytest.mark.parametrize("row", [row for row in STREAM if row[1] not in [stocks[1] for stocks in STOCKS]])
    def test_all_other_failures_of_the_stock_stream_have_the_rows_of_the_option_stream(self, row):
        assert classify(row[1], of="stock stream") == classify(row[1], of="stream")

    def test_each_row_of_the_table_is_used(self):
        assert {row[0] for row in STREAM + STOCKS + REST} == set(FAILURES)

    @pytest.mark.parametrize("of", ["stream", "REST"])
    def test_no_text_contains_a_secret(self, of):
        for name, failure, *_ in STREAM + REST:
            assert "hunter2" not in classify(failure, of=of).text, name

    def test_the_codes_are_public(self):
        for name, failure in FAILURES.items():
            assert failure.code in typing.get_args(Code) or name.startswith("rest ")
            assert failure.code in typing.get_args(Code) + typing.get_args(RestCode)
            of_rest = {"retry", "asked", "reading", "breaker", "budget"}
            assert (failure.again in of_rest) == name.startswith("rest ")
        assert {failure.again for failure in FAILURES.values()} == {
            word for part in typing.get_args(HowSoon) for word in typing.get_args(part)
        }

    def test_every_failure_that_halts_has_a_remedy(self):
        assert all(failure.remedy for failure in FAILURES.values() if failure.again in ("halt", "longest"))

    def test_the_context_of_an_exception_is_not_a_cause(self):
        error = requests.ConnectionError()
        error.__context__ = NO_SUCH_NAME
        assert classify(error, of="REST").name == "rest connection"


words = st.text(st.characters(exclude_categories=())) | st.text("aZ09+/ ", min_size=15).map(
    lambda text: f"x {text * 9}"
)


@st.composite
def exceptions(draw):
    """Errors of any class, known or not, with any arguments and causes, also circular ones."""
    known = [type(row[1]) for row in STREAM + REST if type(row[1]).__init__ in (Exception.__init__, OSError.__init__)]
    plain = st.sampled_from([*known, UnknownError, BaseException, Exception, OSError, ConnectionError, ssl.SSLError])
    name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
    kinds = plain | st.builds(lambda name, base: type(name, (base,), {}), name, plain)
    arguments = st.lists(st.none() | st.integers() | words | st.binary(), max_size=3)
    errors = [draw(kinds)(*draw(arguments)) for _ in range(draw(st.integers(1, 4)))]
    for error in errors:
        error.__cause__ = draw(st.none() | st.sampled_from(errors))
        error.args += tuple(draw(st.lists(st.sampled_from(errors), max_size=2)))
    return errors[0]


@pytest.mark.slow
@given(
    failure=st.one_of(
        exceptions(),
        st.builds(ErrorFrame, code=st.integers(), msg=words),
        st.integers().map(refusal),
        st.builds(answer, st.integers() | st.none(), body=words),
        st.none(),
        st.integers(),
        words,
    ),
    of=st.sampled_from(["stream", "REST"]),
)
def test_every_failure_has_a_row_and_a_short_sentence_that_can_be_sent(failure, of):
    diagnosis = classify(failure, of=of)
    assert diagnosis.failure is FAILURES[diagnosis.name]
    assert diagnosis.name.startswith("rest ") == (of == "REST")
    assert diagnosis.text.isprintable()
    assert len(diagnosis.text) < 250
    msgspec.json.encode(diagnosis.text)


@given(words, st.text("abcXYZ019+/", min_size=20, max_size=60), words)
def test_no_text_contains_anything_as_long_as_a_key(before, key, after):
    text = stream_fault(499, f"{before} {key} {after}").text
    assert key not in text
    assert key[:20] not in text
    assert len(text) < 150


class TestStreamFault:
    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), STREAM)
    def test_the_text_of_a_failure_comes_from_the_table(self, name, failure, code, again, words):
        if isinstance(failure, ErrorFrame):
            fault = stream_fault(failure.code, failure.msg)
        else:
            fault = unauthorized_fault() if isinstance(failure, Unauthorized) else connection_fault(failure)
        expected = again if again in typing.get_args(Again) else "backoff"
        assert (fault.code, fault.again, fault.remedy) == (code, expected, FAILURES[name].remedy)
        assert fault.reason == sentence(name, failure, "stream")

    def test_only_the_symbol_limit_ends_no_connection(self):
        fewer = [name for name, failure in FAILURES.items() if failure.again == "fewer"]
        assert fewer == [f"stream {SYMBOL_LIMIT}", f"stock stream {SYMBOL_LIMIT}"]

    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), STOCKS)
    def test_the_stock_stream_has_texts_of_its_own(self, name, failure, code, again, words):
        fault = stock_stream_fault(failure.code, failure.msg)
        assert (fault.code, fault.remedy) == (code, FAILURES[name].remedy)
        assert words in fault.reason

    def test_the_reason_for_a_close_is_shortened(self):
        assert len(connection_fault(ws.ConnectionClosedError(Close(1008, "x y " * 30), None)).text) < 150


class TestRestFault:
    @pytest.mark.parametrize(("name", "failure", "code", "again", "words"), REST)
    def test_the_text_of_a_failure_comes_from_the_table(self, name, failure, code, again, words):
        fault = rest_fault(failure)
        assert (fault.code, fault.may_retry, fault.is_outage) == (code, again in ("retry", "asked"), again == "retry")
        assert fault.reason == str(fault) == sentence(name, failure, "REST")
        assert fault.wait_seconds is None

    def test_a_fault_is_returned_unchanged(self):
        fault = RestFault("timeout", "late", may_retry=True)
        assert rest_fault(fault) is fault
        assert fault.reason == "late"

    def test_while_the_breaker_is_open_the_last_cause_is_given_with_its_remedy(self):
        fault = breaker_fault(rest_fault(through_requests(NO_SUCH_NAME)))
        assert (fault.code, fault.may_retry, fault.is_outage) == ("unreachable", False, False)
        assert "Name or service not known, too often in a row" in fault.text
        assert fault.reason.endswith("check the network and its name server")

    def test_a_breaker_without_a_cause_has_a_code_of_its_own(self):
        fault = breaker_fault(None)
        assert (fault.code, fault.may_retry, fault.is_outage) == ("breakerOpen", False, False)


class TestRateLimit:
    def wait(self, **headers):
        return rest_fault(answer(429, {name.replace("_", "-"): text for name, text in headers.items()})).wait_seconds

    def test_retry_after_names_seconds(self):
        assert self.wait(Retry_After="7") == 7.0

    def test_retry_after_names_an_instant(self):
        instant = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
        assert 28.0 < self.wait(Retry_After=instant) <= 30.0

    def test_retry_after_in_the_past_is_now(self):
        assert self.wait(Retry_After="Fri, 20 Nov 2020 15:00:00 GMT") == 0.0

    def test_the_reset_is_in_epoch_seconds(self):
        assert 4.0 < self.wait(X_RateLimit_Reset=str(int(time.time()) + 6)) <= 6.0

    def test_retry_after_takes_precedence_over_the_reset(self):
        assert self.wait(Retry_After="3", X_RateLimit_Reset=str(int(time.time()) + 60)) == 3.0

    def test_a_reset_in_the_past_asks_for_no_wait_of_its_own(self):
        assert self.wait(X_RateLimit_Reset=str(int(time.time()) - 2)) is None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "soon",
            "-3",
            "1.5",
            "٣",
            "Fri, 99 Foo 99999999999 99:99:99 GMT",
            "Fri, 20 Nov 99999999999 15:00:00 GMT",
            "1 Jan 10000 00:00 +0000",
        ],
    )
    def test_an_unreadable_retry_after_asks_for_no_wait(self, text):
        assert self.wait(Retry_After=text, X_RateLimit_Reset=text) is None

    def test_only_an_answer_that_asks_for_a_wait_is_read_for_one(self):
        assert rest_fault(answer(503, {"Retry-After": "7"})).wait_seconds is None

    @pytest.mark.slow
    @given(words | st.from_regex(r"\w{3}, \d+ (Jan|Nov) \d+ \d+:\d+:\d+ [+-]?\w+", fullmatch=True), words)
    def test_any_header_is_read_or_ignored(self, after, reset):
        wait = self.wait(Retry_After=after, X_RateLimit_Reset=reset)
        assert wait is None or wait >= 0.0
