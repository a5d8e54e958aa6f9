import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.http.limits import Limits
from condord.http.request_reader import RequestReader

LIMITS = Limits(head_bytes=200, target_bytes=50, body_bytes=20)
STATUSES = {400, 413, 414, 431, 501}


@pytest.fixture
def reader():
    return RequestReader(LIMITS)


def read(*pieces):
    """Read requests that arrive in `pieces`: the names of their events, and the fault."""
    reader, names = RequestReader(LIMITS), []
    for piece in pieces:
        reader.receive_data(piece)
        while True:
            try:
                event = reader.next_event()
            except h11.RemoteProtocolError:
                return names, reader.fault
            if event in (h11.NEED_DATA, h11.PAUSED):
                break
            names.append(type(event).__name__)
            if isinstance(event, h11.Data):
                assert event.data == b""
    return names, reader.fault


def request(*lines, target="/", method="POST", body=b""):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "\r\n"]).encode() + body


def status(*pieces):
    fault = read(*pieces)[1]
    return fault and fault.status


def test_a_request_within_the_limits_is_read_and_its_body_discarded():
    names, fault = read(request("Content-Length: 20", body=b"x" * 20))
    assert names == ["Request", "Data", "EndOfMessage"]
    assert fault is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (request(target="/" + "x" * 49), None),
        (request(target="/" + "x" * 50), 414),
        (b"GET /" + b"x" * 300, 414),
        (request("A: " + "x" * 130), None),
        (request("A: " + "x" * 180), 431),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 300, 431),
        (request("Content-Length: 20"), None),
        (request("Content-Length: 21"), 413),
        (request("Content-Length: 99999999999999999999"), 413),
        (request("Content-Length: 1, 2"), 400),
        (request("Content-Length: -1"), 400),
        (request("Transfer-Encoding: chunked", body=b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"), None),
        (request("Transfer-Encoding: chunked", body=b"a\r\n" + b"x" * 10 + b"\r\nb\r\n" + b"x" * 11), 413),
        (request("Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
        (request("Transfer-Encoding: chunked", body=b"5;" + b"x" * 300), 413),
        (request("Transfer-Encoding: chunked", body=b"0\r\nA: " + b"x" * 300), 413),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), None),
        (request().replace(b"HTTP/1.1", b"HTTP/2.0"), 400),
        (request("Transfer-Encoding: gzip"), 501),
        (request("Transfer-Encoding: chunked", "Content-Length: 5"), 400),
        (request("Host: other"), 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"\r\n\r\n", 400),
        (request("A : b"), 400),
        (request("A: b\x00c"), 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_every_fault_has_its_status(raw, expected):
    assert status(raw) == expected


def test_the_chunks_of_a_body_are_counted_together():
    head = request("Transfer-Encoding: chunked")
    assert status(head, *[b"5\r\nxxxxx\r\n"] * 4) is None
    assert status(head, *[b"5\r\nxxxxx\r\n"] * 5) == 413


def test_the_body_of_each_request_is_counted_separately(reader):
    for _ in range(3):
        reader.receive_data(request("Content-Length: 15", body=b"x" * 15))
        while reader.next_event() is not h11.NEED_DATA:
            pass
        reader.send(h11.Response(status_code=202, headers=[("Content-Length", "0")]))
        reader.send(h11.EndOfMessage())
        reader.start_next_cycle()
    assert reader.fault is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", "no Host"),
        (request("Host: other"), "more than one Host"),
        (request("Content-Length: -1"), "Content-Length is invalid"),
        (request("Content-Length: 1", "Content-Length: 2"), "more than one Content-Length"),
        (request("Transfer-Encoding: chunked", "Content-Length: 5"), "Transfer-Encoding"),
        (request().replace(b"HTTP/1.1", b"HTTP/9.9"), "HTTP/1.1"),
    ],
)
def test_the_detail_names_the_cause_if_it_is_known(raw, words):
    assert words in read(raw)[1].detail


def test_the_detail_does_not_repeat_the_request():
    _, fault = read(request("Authorization Bearer a-token-of-some-length"))
    assert "token" not in fault.detail


def test_unparsed_bytes_are_counted(reader):
    reader.receive_data(b"GET / ")
    assert reader.next_event() is h11.NEED_DATA
    assert reader.waiting_bytes == 6


def test_a_head_request_is_recognized(reader):
    reader.receive_data(request(method="HEAD"))
    reader.next_event()
    assert reader.has_asked_head


WORDS = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"Content-Length: 9\r\n", b"5\r\nxxxxx\r\n", b"0\r\n"]
)


@given(st.lists(WORDS | st.binary(min_size=1, max_size=300), max_size=12))
def test_any_bytes_are_requests_or_one_fault(pieces):
    _, fault = read(*pieces)
    assert fault is None or fault.status in STATUSES


@given(st.lists(WORDS, min_size=1, max_size=8).map(b"".join), st.data())
def test_the_result_does_not_depend_on_how_the_bytes_are_split(raw, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True) if start < stop]
    whole_names, whole_fault = read(raw)
    names, fault = read(*pieces)
    assert fault == whole_fault
    assert [name for name in names if name != "Data"] == [name for name in whole_names if name != "Data"]
