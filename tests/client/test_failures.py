import http.client
from email.message import Message

import msgspec
import pytest

from condord.client.failures import (
    NO_DAEMON_HINT,
    NOT_CONDORD_HINT,
    Answered404,
    NothingRead,
    TemporarilyUnavailable,
    TooManyRequests,
    connection_error,
    status_error,
)
from condord.errors import AccessDenied, Unavailable
from condord.live.wire import Problem

URL = "http://127.0.0.1:8000"


def of_status(status, detail="", retry_after="", *, has_token=False):
    headers = Message()
    if retry_after:
        headers["Retry-After"] = retry_after
    body = (
        msgspec.json.encode(Problem(type="about:blank", title="", status=status, detail=detail))
        if detail
        else b"<html>"
    )
    return status_error(status, headers, body, url=URL, has_token=has_token)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Unavailable),
        (404, Answered404),
        (408, TemporarilyUnavailable),
        (418, Unavailable),
        (421, Unavailable),
        (429, TooManyRequests),
        (500, TemporarilyUnavailable),
        (503, TemporarilyUnavailable),
    ],
)
def test_a_status_decides_whether_another_attempt_may_succeed(status, kind):
    assert type(of_status(status, "the reason")) is kind
    assert str(of_status(status, "the reason")) == f"{URL} answered {status}: the reason"
    assert str(of_status(status)) == f"{URL} answered {status}"


@pytest.mark.parametrize(("has_token", "text"), [(True, "does not accept the token"), (False, "requires a token")])
def test_a_refused_token_is_distinguished_from_a_missing_one(has_token, text):
    for status in (401, 403):
        error = of_status(status, "the token is missing", has_token=has_token)
        assert (type(error), str(error)) == (AccessDenied, f"{URL} {text}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_another_program_asks_for_no_token(status):
    error = of_status(status)
    assert (type(error), str(error)) == (Unavailable, f"{URL} answered {status}")
    assert error.hint == NOT_CONDORD_HINT


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7.0), ("", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("-1", 0)]
)
def test_only_a_retry_after_in_seconds_is_heeded(given, seconds):
    assert of_status(503, "later", given).retry_after_seconds == seconds


def test_a_404_of_another_program_has_no_detail():
    assert (of_status(404).detail, of_status(404, "no such route").detail) == ("", "no such route")


def test_a_server_that_is_full_has_a_hint_about_subscribers():
    assert "server.max_subscribers" in of_status(503, "the limit of 5 subscribers is reached").hint
    assert not isinstance(of_status(503, "anything else"), NothingRead)


@pytest.mark.parametrize(
    ("raised", "text", "hint"),
    [
        (http.client.BadStatusLine("SSH"), "sent invalid or incomplete HTTP", NOT_CONDORD_HINT),
        (http.client.RemoteDisconnected(), "no daemon at .*: the connection was closed", NO_DAEMON_HINT),
        (TimeoutError(), "did not answer within 2 s", "hangs"),
        (PermissionError(), "this user may not open", "group"),
        (ConnectionRefusedError(111, "Connection refused"), "no daemon at .*: Connection refused", NO_DAEMON_HINT),
    ],
)
def test_without_a_complete_answer_another_attempt_may_succeed(raised, text, hint):
    error = connection_error(raised, url=URL, timeout_seconds=2.0)
    assert type(error) is TemporarilyUnavailable
    with pytest.raises(Unavailable, match=text):
        raise error
    assert hint in error.hint
