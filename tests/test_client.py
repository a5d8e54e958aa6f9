"""The client against a daemon that says what it is told to; the parser and the resumption without any."""

import json
import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord import client
from condord.client import Daemon, Event, EventParser, Resumption, decoded, parse_url
from condord.errors import EXIT_FAILED, EXIT_REFUSED, EXIT_UNAVAILABLE, CondordError, NotFound, Refused, Unavailable
from condord.live import wire
from tests.fakes import documents
from tests.fakes.daemon import HOLD, problem, raw, serving
from tests.fakes.daemon import json as json_answer


def event(data, name="message", **identity):
    return Event(name=name, data=data, **({"id": None} | identity))


# --- the parser


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [event("a")]),
        (b"data:a\n\n", [event("a")]),
        (b"data:  a\n\n", [event(" a")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [event("a"), event("b"), event("c")]),
        (b"data: a\ndata: b\ndata\n\n", [event("a\nb\n")]),
        (b"data\n\n", [event("")]),
        (b"event: delta\nid: k-1\ndata: {}\n\n", [event("{}", "delta", id="k-1")]),
        (b"id: k-1\ndata: a\n\ndata: b\n\n", [event("a", id="k-1"), event("b")]),
        (b"id: k-1\n\ndata: a\n\n", [event("a", id="k-1")]),
        (b"id: a\0b\ndata: a\n\n", [event("a")]),
        (b"id\ndata: a\n\n", [event("a", id="")]),
        (b"event: delta\n\ndata: a\n\n", [event("a")]),
        (b": ping\n\n:\n\ndata: a\n: in between\ndata: b\n\n", [event("a\nb")]),
        (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [event("b")]),
        (b"Data: a\nunknown: b\n\n", []),
        (b"data: a\n", []),
        (b"data: \xe2\x82\xac \xff\n\n", [event("€ \N{REPLACEMENT CHARACTER}")]),
        (b"data: a\x85b\x0bc\n\n", [event("a\N{REPLACEMENT CHARACTER}b\x0bc")]),
    ],
)
def test_the_parser_reads_as_the_standard_says(stream, events):
    assert EventParser().feed(stream) == events


@pytest.mark.parametrize(
    ("line", "retry_ms"), [("retry: 2000", 2000), ("retry: 2s", None), ("retry:", None), ("retry: ²", None)]
)
def test_retry_counts_only_if_it_is_digits(line, retry_ms):
    parser = EventParser()
    parser.feed(f"{line}\n\n".encode())
    assert parser.retry_ms == retry_ms


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["", "data", "data: {}", "event: delta", "id: k-1", "retry: 5", ":", ": ping", "id: \0", "dat"]
        ),
        st.builds("data: {}".format, st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    )
)


@pytest.mark.slow
@given(LINES, st.data())
def test_the_same_events_come_out_wherever_the_bytes_are_split(lines, data):
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=len(lines), max_size=len(lines)))
    stream = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    whole, split = EventParser(), EventParser()
    events = [event for a, b in pairwise([0, *cuts, len(stream)]) for event in split.feed(stream[a:b])]
    assert events == whole.feed(stream)
    assert split.retry_ms == whole.retry_ms


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["snapshot", "delta"]), st.text(), st.integers(0).map("k3f9-{}".format))))
def test_what_the_daemon_frames_comes_out_as_it_went_in(sent):
    stream = b"".join(wire.frame(name, {"text": text}, version) for name, text, version in sent)
    events = EventParser().feed(stream)
    assert [(event.name, json.loads(event.data)["text"], event.id) for event in events] == sent


def test_an_event_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", 100)
    parser = EventParser()
    parser.feed(b"data: a\n\n" * 50)
    parser.feed(b"data: 0123456789\n" * 5)
    with pytest.raises(Unavailable):
        parser.feed(b"data: 0123456789\n")


# --- what a cut stream goes on with


def heartbeat(second):
    return event(f'{{"asOf": "2026-11-20T15:31:{second:02d}Z"}}', "heartbeat")


def test_the_wait_doubles_from_retry_and_begins_again_after_an_event():
    resumption = Resumption()
    assert [resumption.wait_seconds(0.0) for _ in range(6)] == [2, 4, 8, 16, 30, 30]
    resumption.saw(event("{}", "delta", id="k-2"))
    assert resumption.wait_seconds(0.0) == 2
    assert resumption.last_event_id == "k-2"


def test_the_wait_is_stretched_by_chance_and_never_shorter_than_asked():
    resumption = Resumption()
    assert resumption.wait_seconds(0.5) == 2.5
    assert resumption.wait_seconds(0.0, at_least=60) == 60
    resumption.retry_seconds = 120
    assert resumption.wait_seconds(0.0) == 120


def test_a_server_that_wants_no_wait_is_not_stormed():
    resumption = Resumption()
    resumption.retry_seconds = 0
    assert resumption.wait_seconds(0.0) > 0


def test_three_heartbeats_missed_is_dead():
    resumption = Resumption()
    assert resumption.patience_seconds == 35
    for second in (10, 12):
        resumption.saw(heartbeat(second))
    assert resumption.patience_seconds == 6


def test_the_time_between_two_connections_is_no_heartbeat_interval():
    resumption = Resumption()
    resumption.saw(heartbeat(10))
    resumption.wait_seconds(0.0)
    resumption.saw(heartbeat(50))
    assert resumption.patience_seconds == 35


def test_a_new_connection_has_to_show_its_heartbeat_first():
    resumption = Resumption()
    for second in (10, 12):
        resumption.saw(heartbeat(second))
    resumption.wait_seconds(0.0)
    assert resumption.patience_seconds == 35


def test_a_slow_heartbeat_is_waited_for_in_the_end():
    resumption = Resumption()
    resumption.was_silent()
    assert resumption.patience_seconds == 70
    for _ in range(20):
        resumption.was_silent()
    assert resumption.patience_seconds == 350


# --- addresses


@pytest.mark.parametrize(
    ("url", "host", "port", "uds", "base"),
    [
        ("http://127.0.0.1:8420", "127.0.0.1", 8420, "", ""),
        ("http://[::1]:8420/", "::1", 8420, "", ""),
        ("http://condord.lan", "condord.lan", 80, "", ""),
        ("http://proxy:80/condord/", "proxy", 80, "", "/condord"),
        ("unix:///run/condord/socket", "localhost", 0, "/run/condord/socket", ""),
    ],
)
def test_an_address_is_read(url, host, port, uds, base):
    address = parse_url(url)
    assert (address.host, address.port, address.uds, address.base) == (host, port, uds, base)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8420", "https://x", "ftp://x", "http://", "http://x:99999", "http://x:a", "http://[::1", "unix://run",
     "unix://", "http://u:secret@x", "http://x/?token=secret", "http://x y", "http://x/\n"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_a_secret(url):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


# --- one request


@pytest.fixture
def fake():
    with serving() as daemon:
        yield daemon


def test_an_answer_is_the_exact_body(fake):
    assert Daemon(fake.url).positions() == documents.body(documents.document())
    assert decoded(Daemon(fake.url).status(), wire.StatusReport).pid == 4711


def test_a_condor_is_asked_for_by_its_id(fake):
    one = {"asOf": documents.AS_OF, "condor": documents.condor("A B"), "quotes": []}
    fake.answers["/api/positions/A%20B"] = json_answer(one)
    assert decoded(Daemon(fake.url).condor("A B"), wire.OneCondor).condor.id == "A B"


def test_the_token_is_sent_as_a_header_and_shown_nowhere(fake):
    daemon = Daemon(fake.url, "a-secret-token")
    daemon.positions()
    path, headers = fake.requests[0]
    assert headers["Authorization"] == "Bearer a-secret-token"
    assert "secret" not in path + repr(daemon)


def test_a_unix_socket_is_spoken_to_as_localhost(tmp_path):
    with serving(tmp_path / "socket") as fake:
        assert Daemon(fake.url).positions() == documents.body(documents.document())
        assert fake.requests[0][1]["Host"] == "localhost"


def failure(url, ask=Daemon.positions, **options):
    with pytest.raises(Exception) as caught:
        ask(Daemon(url, **options))
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_no_daemon_is_unavailable_and_says_how_to_start_one(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", f"unix://{tmp_path}/none"):
        error = failure(url)
        assert error.exit_code == EXIT_UNAVAILABLE
        assert url in str(error)
        assert "condord start" in error.hint


def test_a_daemon_that_does_not_answer_is_given_up(fake):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        error = failure(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_seconds=0.05)
    assert error.exit_code == EXIT_UNAVAILABLE
    assert "0.05 s" in str(error)


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        (problem(401, "x"), EXIT_REFUSED, "wants a token"),
        (problem(403, "x"), EXIT_REFUSED, "wants a token"),
        (problem(404, "nothing here"), EXIT_UNAVAILABLE, "404: nothing here"),
        (problem(421, "this host is not served"), EXIT_UNAVAILABLE, "421: this host is not served"),
        (problem(503, "1000 subscribers"), EXIT_UNAVAILABLE, "503: 1000 subscribers"),
        ((302, {"Location": "/login"}, b""), EXIT_UNAVAILABLE, "302"),
        ((500, {"Content-Type": "text/html"}, b"<p>oops"), EXIT_UNAVAILABLE, "500"),
        ((200, {"Content-Type": "text/html"}, b"<p>hello"), EXIT_UNAVAILABLE, "text/html"),
        ((200, {"Content-Type": "application/json"}, b"{"), EXIT_UNAVAILABLE, "cannot be understood"),
        ((200, {"Content-Type": "application/json"}, b"[]"), EXIT_UNAVAILABLE, "cannot be understood"),
        ((200, {"Content-Type": "application/json", "Content-Length": "9"}, b"{}"), EXIT_UNAVAILABLE, "ended early"),
    ],
)
def test_any_other_answer_is_told_plainly(fake, answer, exit_code, said):
    fake.answers["/api/positions"] = answer
    error = failure(fake.url)
    assert error.exit_code == exit_code
    assert said in str(error)


def test_a_token_that_is_not_accepted_is_said_to_be_so(fake):
    fake.answers["/api/positions"] = problem(401, "x")
    assert "does not accept the token" in str(failure(fake.url, token="wrong"))


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 200"])
def test_a_server_that_speaks_no_http_is_unavailable(answer):
    with raw(answer) as url:
        assert failure(url).exit_code == EXIT_UNAVAILABLE


def test_an_unknown_condor_names_those_that_are_near(fake):
    error = failure(fake.url, lambda daemon: daemon.condor("spy-261218-560-570-630"))
    assert isinstance(error, NotFound)
    assert error.exit_code == EXIT_FAILED
    assert "SPY-261218-560-570-630-640" in error.hint


def test_a_condor_asked_of_another_program_is_not_merely_unknown(fake):
    fake.answers.clear()
    assert failure(fake.url, lambda daemon: daemon.condor("SPY")).exit_code == EXIT_UNAVAILABLE


# --- the stream


SNAPSHOT = documents.frame("snapshot", documents.document(), "k-1")
DELTA = documents.frame("delta", documents.delta(), "k-2")


class Following:
    """Follows a fake daemon until it is refused; waits are noted, not waited."""

    def __init__(self, fake, *arguments, **options):
        self.waits = []
        self.cuts = []
        self.error = None
        self.names = []
        daemon = Daemon(fake.url, sleep=self.waits.append, chance=lambda: 0.0)
        try:
            for event in daemon.events(*arguments, on_cut=lambda reason, _: self.cuts.append(reason), **options):
                self.names.append(event.name)
        except CondordError as error:
            self.error = error
        self.asked = [(path, headers.get("Last-Event-ID")) for path, headers in fake.requests]


def test_a_cut_is_resumed_after_the_last_event(fake):
    fake.streams = [[b"retry: 500\n\n", SNAPSHOT], [DELTA], []]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert [last for _, last in following.asked] == [None, "k-1", "k-2", "k-2"]
    assert following.waits == [0.5, 0.5, 1.0]
    assert isinstance(following.error, Refused)


def test_an_event_cut_in_half_is_not_delivered(fake):
    fake.streams = [[SNAPSHOT, DELTA[:-1]], [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert [last for _, last in following.asked] == [None, "k-1", "k-2"]


def test_a_chunk_cut_in_half_is_a_cut_like_any_other():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    waits = []

    def stop(seconds):
        waits.append(seconds)
        raise KeyboardInterrupt

    with raw(head + b"9\r\ndata: a\n\n\r\nff\r\ndata") as url:
        events = Daemon(url, sleep=stop).events()
        assert next(events).data == "a"
        with pytest.raises(KeyboardInterrupt):
            next(events)
    assert len(waits) == 1


def test_the_stream_begins_where_it_is_told_to(fake):
    fake.streams = [[DELTA]]
    following = Following(fake, ["A B", "C"], "k-1", interval_ms=1000)
    assert following.asked[0] == ("/api/stream?condor=A+B&condor=C&interval=1000", "k-1")


def test_bye_is_delivered_and_the_stream_goes_on(fake):
    fake.streams = [[SNAPSHOT, documents.frame("bye", {"reason": "stopping"}), HOLD], [SNAPSHOT]]
    assert Following(fake).names == ["snapshot", "bye", "snapshot"]


def test_a_stream_that_never_began_fails_at_once(fake):
    fake.streams = [problem(503, "1000 subscribers", **{"Retry-After": "7"})]
    following = Following(fake)
    assert isinstance(following.error, Unavailable)
    assert following.waits == []


def test_a_server_that_is_full_later_is_waited_for_as_long_as_it_says(fake):
    fake.streams = [[SNAPSHOT], problem(503, "1000 subscribers", **{"Retry-After": "7"}), [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert following.waits == [2.0, 7.0, 2.0]


@pytest.mark.parametrize("answer", [problem(404, "x"), problem(421, "x"), json_answer({})])
def test_what_waiting_does_not_mend_ends_the_stream(fake, answer):
    fake.streams = [[SNAPSHOT], answer, [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot"]
    assert isinstance(following.error, Unavailable)


def test_silence_is_a_dead_link(fake, monkeypatch):
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.05)
    fake.streams = [[SNAPSHOT, HOLD], [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert "nothing came" in following.cuts[0]


def test_leaving_the_stream_closes_the_connection(fake):
    fake.streams = [[SNAPSHOT, HOLD]]
    events = Daemon(fake.url).events()
    assert next(events).name == "snapshot"
    events.close()  # an open socket would be a ResourceWarning, an error here
