"""The delays and timeouts of reconnection, and a stream that is resumed over connections to a fake daemon."""

import pytest

from condord.client import resume
from condord.client.http import Daemon
from condord.client.resume import Reconnection, follow
from condord.client.sse import ServerSentEvent
from condord.errors import AccessDenied, CondordError, Unavailable
from tests.fakes import documents
from tests.fakes.daemon import HOLD, problem, raw, serving
from tests.fakes.daemon import json as json_answer

SNAPSHOT = documents.frame("snapshot", documents.document(), "k-1")
DELTA = documents.frame("delta", documents.delta(), "k-2")


@pytest.fixture
def fake():
    with serving() as daemon:
        yield daemon


def heartbeat(second):
    data = f'{{"asOf": "2026-11-20T15:31:{second:02d}Z"}}'
    return ServerSentEvent(name="heartbeat", data=data, id=None)


def test_the_wait_doubles_from_retry_and_starts_over_after_an_event():
    reconnection = Reconnection()
    assert [reconnection.next_wait_seconds(0.0) for _ in range(6)] == [2, 4, 8, 16, 30, 30]
    reconnection.record(ServerSentEvent(name="delta", data="{}", id="k-2"))
    assert reconnection.next_wait_seconds(0.0) == 2
    assert reconnection.last_event_id == "k-2"


def test_the_wait_is_jittered_and_never_shorter_than_the_server_asked_for():
    reconnection = Reconnection()
    assert reconnection.next_wait_seconds(0.5) == 2.5
    assert reconnection.next_wait_seconds(0.0, at_least=60) == 60
    reconnection.retry_seconds = 120
    assert reconnection.next_wait_seconds(0.0) == 120


def test_a_retry_of_0_still_waits():
    reconnection = Reconnection()
    reconnection.retry_seconds = 0
    assert reconnection.next_wait_seconds(0.0) > 0


def test_a_connection_is_dead_after_three_missed_heartbeats():
    reconnection = Reconnection()
    assert reconnection.silence_seconds == 35
    for second in (10, 12):
        reconnection.record(heartbeat(second))
    assert reconnection.silence_seconds == 6


def test_the_time_between_two_connections_is_not_taken_for_a_heartbeat_interval():
    reconnection = Reconnection()
    reconnection.record(heartbeat(10))
    reconnection.next_wait_seconds(0.0)
    reconnection.record(heartbeat(50))
    assert reconnection.silence_seconds == 35


def test_a_new_connection_gets_the_default_silence_until_its_heartbeats_are_known():
    reconnection = Reconnection()
    for second in (10, 12):
        reconnection.record(heartbeat(second))
    reconnection.next_wait_seconds(0.0)
    assert reconnection.silence_seconds == 35


def test_the_allowed_silence_doubles_each_time_up_to_a_limit():
    reconnection = Reconnection()
    reconnection.allow_longer_silence()
    assert reconnection.silence_seconds == 70
    for _ in range(20):
        reconnection.allow_longer_silence()
    assert reconnection.silence_seconds == 350


class Following:
    """Follows a fake daemon until it refuses a connection; waits are recorded instead of waited."""

    def __init__(self, fake, *arguments, **options):
        self.waits = []
        self.cuts = []
        self.error = None
        self.names = []
        options |= {"sleep": self.waits.append, "jitter": lambda: 0.0}
        options["on_cut"] = lambda reason, _: self.cuts.append(reason)
        try:
            for event in follow(Daemon(fake.url), *arguments, **options):
                self.names.append(event.name)
        except CondordError as error:
            self.error = error
        self.connections = [(path, headers.get("Last-Event-ID")) for path, headers in fake.requests]


def test_a_lost_connection_is_resumed_after_the_last_event(fake):
    fake.streams = [[b"retry: 500\n\n", SNAPSHOT], [DELTA], []]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert [last for _, last in following.connections] == [None, "k-1", "k-2", "k-2"]
    assert following.waits == [0.5, 0.5, 1.0]
    assert isinstance(following.error, AccessDenied)


def test_an_event_cut_in_half_is_not_delivered(fake):
    fake.streams = [[SNAPSHOT, DELTA[:-1]], [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert [last for _, last in following.connections] == [None, "k-1", "k-2"]


def test_a_chunk_cut_in_half_is_retried_like_any_lost_connection():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    waits = []

    def stop(seconds):
        waits.append(seconds)
        raise KeyboardInterrupt

    with raw(head + b"9\r\ndata: a\n\n\r\nff\r\ndata") as url:
        events = follow(Daemon(url), sleep=stop)
        assert next(events).data == "a"
        with pytest.raises(KeyboardInterrupt):
            next(events)
    assert len(waits) == 1


def test_condors_interval_and_last_event_id_are_sent_with_the_request(fake):
    fake.streams = [[DELTA]]
    following = Following(fake, ["A B", "C"], "k-1", interval_ms=1000)
    assert following.connections[0] == ("/api/stream?condor=A+B&condor=C&interval=1000", "k-1")


def test_bye_is_delivered_and_the_stream_reconnects(fake):
    fake.streams = [[SNAPSHOT, documents.frame("bye", {"reason": "stopping"}), HOLD], [SNAPSHOT]]
    assert Following(fake).names == ["snapshot", "bye", "snapshot"]


def test_a_first_connection_that_fails_is_not_retried(fake):
    fake.streams = [problem(503, "1000 subscribers", **{"Retry-After": "7"})]
    following = Following(fake)
    assert isinstance(following.error, Unavailable)
    assert following.waits == []


def test_retry_after_is_honoured_when_a_later_connection_is_refused(fake):
    fake.streams = [[SNAPSHOT], problem(503, "1000 subscribers", **{"Retry-After": "7"}), [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert following.waits == [2.0, 7.0, 2.0]


@pytest.mark.parametrize("answer", [problem(404, "x"), problem(421, "x"), json_answer({})])
def test_an_error_that_a_retry_cannot_fix_ends_the_stream(fake, answer):
    fake.streams = [[SNAPSHOT], answer, [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot"]
    assert isinstance(following.error, Unavailable)


def test_a_silent_connection_is_closed_and_resumed(fake, monkeypatch):
    monkeypatch.setattr(resume, "SILENCE_SECONDS", 0.05)
    fake.streams = [[SNAPSHOT, HOLD], [DELTA]]
    following = Following(fake)
    assert following.names == ["snapshot", "delta"]
    assert "has sent nothing" in following.cuts[0]


def test_closing_the_stream_closes_the_connection(fake):
    fake.streams = [[SNAPSHOT, HOLD]]
    events = follow(Daemon(fake.url))
    assert next(events).name == "snapshot"
    events.close()  # an open socket would be a ResourceWarning, an error here
