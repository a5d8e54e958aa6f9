import datetime as dt
import email.utils
import ssl
import time

import msgspec
import pytest
import requests
import urllib3.exceptions
import websockets.exceptions as ws
from alpaca.common.exceptions import APIError
from pybreaker import CircuitBreakerError
from websockets.datastructures import Headers
from websockets.frames import Close
from websockets.http11 import Response

from condord.upstream.faults import RestFault, connection_fault, rest_fault, stream_fault

STREAM = [  # code of the error frame, public code, remedy, what the sentence must tell
    (400, "malformed", "backoff", "did not understand"),
    (401, "unreachable", "backoff", "not authenticated"),
    (402, "authFailed", "halt", "SIGHUP"),
    (403, "unreachable", "backoff", "authenticated already"),
    (404, "unreachable", "backoff", "too long"),
    (406, "connectionLimit", "longest", "stop the other program"),
    (407, "slowClient", "backoff", "too slowly"),
    (409, "insufficientSubscription", "halt", 'feed = "indicative"'),
    (410, "malformed", "backoff", "subscription"),
    (411, "insufficientSubscription", "halt", 'feed = "indicative"'),
    (412, "malformed", "backoff", "MessagePack"),
    (413, "malformed", "backoff", "all option quotes"),
    (500, "unreachable", "backoff", "internal error"),
    (499, "unreachable", "backoff", "499: strange"),
    (-1, "unreachable", "backoff", "-1: strange"),
]


@pytest.mark.parametrize(("number", "code", "remedy", "told"), STREAM)
def test_each_error_of_the_stream_has_a_code_a_remedy_and_a_sentence(number, code, remedy, told):
    fault = stream_fault(number, "strange")
    assert (fault.code, fault.again) == (code, remedy)
    assert told in fault.text


def test_an_unknown_error_is_told_in_part_only():
    assert len(stream_fault(499, "x" * 10_000).text) < 200


def refusal(status):
    return ws.InvalidStatus(Response(status, "no", Headers()))


CONNECTION = [
    (refusal(401), "authFailed", "halt", "402"),
    (refusal(402), "authFailed", "halt", "402"),
    (refusal(403), "unreachable", "backoff", "HTTP 403"),
    (refusal(429), "unreachable", "longest", "HTTP 429"),
    (refusal(502), "unreachable", "backoff", "HTTP 502"),
    (TimeoutError(), "unreachable", "backoff", "in time"),
    (ws.ConnectionClosedError(None, None), "unreachable", "backoff", "broke off"),
    (ws.ConnectionClosedOK(Close(1001, ""), None), "unreachable", "backoff", "closed with 1001"),
    (ws.ConnectionClosedError(Close(1008, "policy"), None), "unreachable", "backoff", "1008 (policy)"),
    (ws.InvalidHandshake(), "malformed", "backoff", "InvalidHandshake"),
    (ws.InvalidMessage("not HTTP"), "malformed", "backoff", "InvalidMessage"),
    (ConnectionRefusedError(111, "Connection refused"), "unreachable", "backoff", "Connection refused"),
    (OSError("Multiple exceptions"), "unreachable", "backoff", "OSError"),
    (ssl.SSLCertVerificationError(1, "certificate verify failed"), "unreachable", "backoff", "certificate"),
    (EOFError(), "unreachable", "backoff", "EOFError"),
    (ImportError("no python-socks"), "unreachable", "backoff", "SOCKS proxy"),
]


@pytest.mark.parametrize(("error", "code", "remedy", "told"), CONNECTION, ids=lambda value: type(value).__name__)
def test_each_failure_of_a_connection_has_a_code_a_remedy_and_a_sentence(error, code, remedy, told):
    fault = connection_fault(error)
    assert (fault.code, fault.again) == (code, remedy)
    assert told in fault.text


def test_the_reason_of_a_close_is_told_in_part_only():
    assert len(connection_fault(ws.ConnectionClosedError(Close(1008, "x" * 120), None)).text) < 140


def answer(status, headers=None, body="{}"):
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    return APIError(body, requests.HTTPError(response=response))


REST = [  # what was raised, code, may it be tried again, does it count for the breaker
    (answer(401), "authFailed", False, False),
    (answer(403), "forbidden", False, False),
    (answer(404), "refused", False, False),
    (answer(422), "refused", False, False),
    (answer(429), "rateLimited", True, True),
    (answer(500), "serverError", True, True),
    (answer(502, body="<html>Bad gateway</html>"), "serverError", True, True),
    (answer(504), "serverError", True, True),
    (APIError("{}"), "serverError", True, True),
    (requests.ConnectTimeout(), "timeout", True, True),
    (requests.ReadTimeout(), "timeout", True, True),
    (TimeoutError(), "timeout", True, True),
    (requests.ConnectionError(), "unreachable", True, True),
    (requests.exceptions.SSLError(), "unreachable", True, True),
    (requests.exceptions.ChunkedEncodingError(), "unreachable", True, True),
    (urllib3.exceptions.ProtocolError(), "unreachable", True, True),
    (OSError(), "unreachable", True, True),
    (requests.exceptions.JSONDecodeError("no", "<html>", 0), "malformed", True, True),
    (msgspec.ValidationError(), "malformed", True, True),
    (ValueError(), "malformed", True, True),
    (TypeError(), "malformed", True, True),
    (KeyError("quotes"), "malformed", True, True),
    (AttributeError(), "malformed", True, True),
    (CircuitBreakerError(), "breakerOpen", False, False),
    (RuntimeError(), "unreachable", True, True),
]


@pytest.mark.parametrize(("error", "code", "may_retry", "is_outage"), REST)
def test_each_failure_of_rest_has_a_code_and_is_judged(error, code, may_retry, is_outage):
    fault = rest_fault(error)
    assert (fault.code, fault.may_retry, fault.is_outage) == (code, may_retry, is_outage)
    assert fault.text.startswith("Alpaca")
    assert fault.wait_seconds is None


def test_a_fault_stays_the_fault_that_it_is():
    fault = RestFault("timeout", "late", may_retry=True)
    assert rest_fault(fault) is fault


def test_the_sentence_repeats_nothing_that_came():
    assert "hunter2" not in str(rest_fault(answer(500, body="hunter2")))
    assert "hunter2" not in str(rest_fault(ValueError("hunter2")))


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

    def test_retry_after_goes_before_the_reset(self):
        assert self.wait(Retry_After="3", X_RateLimit_Reset=str(int(time.time()) + 60)) == 3.0

    def test_a_reset_in_the_past_asks_for_no_wait_of_its_own(self):
        assert self.wait(X_RateLimit_Reset=str(int(time.time()) - 2)) is None

    @pytest.mark.parametrize("text", ["", "soon", "-3", "1.5", "٣", "Fri, 99 Foo 99999999999 99:99:99 GMT"])
    def test_what_cannot_be_read_asks_for_nothing(self, text):
        assert self.wait(Retry_After=text, X_RateLimit_Reset=text) is None
