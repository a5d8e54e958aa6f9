import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fuzz.sockets import CUTS, REQUESTS, SENT, TOKEN, answers, check_socket

GOOD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def statuses(raw, cuts=(), *, needs_token=False):
    return [status for status, *_ in check_socket(raw, cuts, needs_token)]


@pytest.mark.slow
@settings(max_examples=examples(150), deadline=None)
@given(REQUESTS, CUTS, st.booleans())
def test_the_server_keeps_serving_after_a_faulty_request(raw, cuts, needs_token):
    check_socket(raw, cuts, needs_token)


@pytest.mark.slow
@settings(max_examples=examples(150), deadline=None)
@given(SENT, CUTS, st.booleans())
def test_the_server_keeps_serving_after_any_bytes(raw, cuts, needs_token):
    check_socket(raw, cuts, needs_token)


@pytest.mark.slow
@settings(max_examples=examples(50), deadline=None)
@given(st.binary(min_size=1, max_size=5000))
def test_bytes_that_are_not_a_request_get_at_most_one_response(raw):
    assert len(statuses(raw)) <= 1


@pytest.mark.parametrize("needs_token", [False, True])
def test_a_valid_request_sent_in_pieces_is_answered(needs_token):
    raw = GOOD.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n")
    assert statuses(raw, [1, 5, 30], needs_token=needs_token)[0] == 200


def test_a_valid_request_before_an_invalid_one_is_answered():
    assert statuses(GOOD + GOOD + b"no request\r\n\r\n" + GOOD) == [200, 200, 400]


def test_a_stream_is_read_to_its_end():
    ((status, _, body), *_) = check_socket(GOOD.replace(b"/livez", b"/api/stream"), [], needs_token=False)
    assert status == 200
    assert body.endswith(b"}\n\n")
    assert b"event: bye" in body


@pytest.mark.parametrize(
    "received",
    [b"HTTP/1.1 200\r\n\r\n", b"nothing of the kind\r\n\r\n", b"HTTP/1.1 200 OK\r\nA\xff: b\r\n\r\n", b"HTTP"],
)
def test_an_invalid_response_would_be_detected(received):
    with pytest.raises((AssertionError, TypeError, AttributeError)):
        answers(received, has_asked_head=False)
