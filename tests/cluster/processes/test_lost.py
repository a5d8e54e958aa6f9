"""The source of a relay is restarted, killed, stopped or cut off, and so is the relay itself."""

import signal
import socket
import time
from contextlib import ExitStack, closing

import pytest

from condord.cluster.follower import LOST_SECONDS
from tests.cluster.processes.running import Relay, closing_link, same_documents
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, compare_samples, fetch, until

pytestmark = pytest.mark.slow

STOPPED_SECONDS = 10.0


def started(stack, simulated, *flags):
    """A source that is live; `flags` are its port."""
    source = stack.enter_context(closing_program(Condord(simulated, *flags, **QUICK)))
    source.await_state("live")
    source.await_priced()
    source.await_account_read()
    return source


@pytest.fixture(scope="module")
def simulated():
    with closing_program(Simulated(**replaced(**UNPACED))) as program:
        program.post("market", rate=5)
        yield program


@pytest.fixture
def pair(simulated):
    with ExitStack() as stack:
        source = started(stack, simulated)
        relay = stack.enter_context(closing_program(Relay(source.url)))
        relay.await_read()
        yield source, relay


def codes(follower):
    """The codes of the status in the deltas that have no id."""
    return [event for event in follower.events.copy() if event.name == "delta" and event.id is None]


def test_a_killed_source_is_reported_within_3_s_and_reads_go_on(pair):
    source, relay = pair
    with closing(Follower(relay.url)) as follower, closing(Follower(relay.url, "/api/stream?symbol=NONE")) as filtered:
        until(lambda: len(follower.documents) > 3 and filtered.documents, "some events")
        before = fetch(f"{relay.url}/api/trades")[2]
        source.process.kill()
        begun = time.monotonic()
        until(lambda: codes(follower) and codes(filtered), "a status without an id", pause=0.01)
        assert time.monotonic() - begun < LOST_SECONDS + 1.5
        version = follower.last_id
        document = relay.document()
        status = document["status"]
        assert (document["version"], status["state"], status["code"]) == (version, "reconnecting", "sourceLost")
        assert status["reason"].startswith(f"{socket.gethostname()} has lost its source {source.url}: ")
        assert document["condors"]
        for found in (status, relay.status()):
            assert (found["stream"]["connected"], found["stream"]["subscribed"]) == (None, None)
            assert found["positions"]["breaker"] is None
            newest_at = max(quote["time"] for quote in document["quotes"] if quote["time"])
            assert found["stream"]["lastMessageAt"] >= newest_at
        assert relay.get("/readyz")[0] == 503
        assert relay.get("/livez")[0] == 200
        assert fetch(f"{relay.url}/api/trades")[2] == before
        assert fetch(f"{relay.url}/api/history?points=7")[0] == 503
        code, headers, problem = fetch(f"{relay.url}/api/refresh", method="POST")
        assert (code, problem["detail"]) == (503, f"the source {source.url} is lost; it was not carried out")
        assert int(headers["Retry-After"]) > 0
        assert relay.status()["cluster"]["lagMs"] > 1000
    with closing(Follower(relay.url)) as late:
        until(lambda: late.document, "a document")
        assert late.document["status"]["code"] == "sourceLost"


def test_a_restarted_source_is_a_new_epoch_for_every_subscriber(simulated):
    with ExitStack() as stack:
        source = started(stack, simulated)
        port = source.url.rpartition(":")[2]
        relay = stack.enter_context(closing_program(Relay(source.url)))
        relay.await_read()
        follower = stack.enter_context(closing(Follower(relay.url)))
        until(lambda: len(follower.documents) > 2, "some events")
        old = follower.last_id.partition("-")[0]
        assert source.stop() == 0
        again = started(stack, simulated, "--port", port)
        until(lambda: follower.last_id.partition("-")[0] != old, "another epoch")
        relay.await_code(None)
        compare_samples(relay, follower, 3)
        at_source = stack.enter_context(closing(Follower(again.url)))
        same_documents(at_source, follower, 3)
        assert relay.status()["cluster"]["gaps"] == 0
        assert not follower.ended.is_set()


def test_a_stopped_source_is_lost_and_back_and_its_late_frames_are_joined(pair):
    source, relay = pair
    with closing(Follower(relay.url)) as follower, closing(Follower(source.url)) as at_source:
        until(lambda: len(follower.documents) > 2, "some events")
        before = follower.names.count("snapshot")
        source.process.send_signal(signal.SIGSTOP)
        try:
            relay.await_code("sourceLost")
            time.sleep(STOPPED_SECONDS - LOST_SECONDS)
        finally:
            source.process.send_signal(signal.SIGCONT)
        begun = time.monotonic()
        relay.await_code(None)
        assert time.monotonic() - begun < 10
        source.await_state("live")
        compare_samples(relay, follower, 3)
        same_documents(at_source, follower, 3)
        assert follower.names.count("snapshot") == before
        assert relay.status()["cluster"]["gaps"] == 0


def test_a_stopped_relay_catches_up_and_its_subscribers_see_it_live_again(pair):
    source, relay = pair
    with closing(Follower(relay.url)) as follower, closing(Follower(source.url)) as at_source:
        until(lambda: len(follower.documents) > 2, "some events")
        relay.process.send_signal(signal.SIGSTOP)
        time.sleep(LOST_SECONDS + 1)
        relay.process.send_signal(signal.SIGCONT)
        relay.await_code(None)
        until(lambda: follower.document["status"]["state"] == "live", "the status is live again")
        compare_samples(relay, follower, 3)
        same_documents(at_source, follower, 3)
        assert not any("The source is lost" in line for line in relay.stderr)


def test_late_frames_are_neither_lost_nor_applied_twice(pair):
    source, _ = pair
    with ExitStack() as stack:
        link = stack.enter_context(closing_link(source.url))
        relay = stack.enter_context(closing_program(Relay(link.url)))
        relay.await_read()
        follower = stack.enter_context(closing(Follower(relay.url)))
        at_source = stack.enter_context(closing(Follower(source.url)))
        for _ in range(3):
            link.do("stall")
            time.sleep(LOST_SECONDS / 2)
            link.do("resume")
            time.sleep(0.2)
        assert not codes(follower)
        same_documents(at_source, follower, 10)
        cluster = relay.status()["cluster"]
        assert (cluster["gaps"], cluster["dropped"]) == (0, 0)


def test_a_cut_network_is_reported_and_the_stream_resumes_where_it_was(pair):
    source, _ = pair
    with ExitStack() as stack:
        link = stack.enter_context(closing_link(source.url))
        relay = stack.enter_context(closing_program(Relay(link.url)))
        relay.await_read()
        follower = stack.enter_context(closing(Follower(relay.url)))
        slow = stack.enter_context(closing(Follower(relay.url, "/api/stream?interval=700")))
        at_source = stack.enter_context(closing(Follower(source.url)))
        until(lambda: follower.documents and slow.documents, "documents")
        for _ in range(3):  # short cuts: nobody notices
            link.do("reset")
            time.sleep(0.5)
        assert not codes(follower)
        for _ in range(2):  # a black hole, and then nothing can be reached
            link.do("stall")
            relay.await_code("sourceLost")
            link.set(refuses=True)
            link.do("reset")
            link.do("resume")
            time.sleep(0.3)
            link.set(refuses=False)
            relay.await_code(None)
        assert codes(follower)
        assert codes(slow)
        same_documents(at_source, follower, 10)
        same_documents(at_source, slow, 2)
        for each in (follower, slow):
            until(lambda each=each: each.document["status"]["state"] == "live", "the status is live again")
            assert each.names.count("snapshot") == 1
        assert relay.status()["cluster"]["gaps"] == 0


def test_half_a_chunk_and_a_reset_leave_no_half_frame(pair):
    source, _ = pair
    with ExitStack() as stack:
        link = stack.enter_context(closing_link(source.url))
        relay = stack.enter_context(closing_program(Relay(link.url)))
        relay.await_read()
        follower = stack.enter_context(closing(Follower(relay.url)))
        at_source = stack.enter_context(closing(Follower(source.url)))
        for _ in range(5):
            link.set(cut_after=link.fake.bytes_down + 3_000)
            until(lambda: not link.fake.connections, "a cut", pause=0.005)
            link.set(cut_after=None)
            until(lambda: link.fake.connections, "connected again")
        same_documents(at_source, follower, 10)


def test_a_restarted_relay_takes_its_clients_back(pair):
    source, first = pair
    port = first.url.rpartition(":")[2]
    with ExitStack() as stack:
        at_source = stack.enter_context(closing(Follower(source.url)))
        with closing(Follower(first.url)) as follower:
            until(lambda: len(follower.documents) > 2, "some events")
            first.process.send_signal(signal.SIGTERM)
            until(follower.ended.is_set, "the stream ends")
            assert follower.names[-1] == "bye"
            assert first.wait() == 0
        second = stack.enter_context(closing_program(Relay(source.url, "--port", port)))
        second.await_read()
        again = stack.enter_context(closing(Follower(second.url, **{"Last-Event-ID": follower.last_id})))
        until(lambda: again.names, "an event")
        assert again.names[0] == "snapshot"  # its window begins with its start
        same_documents(at_source, again, 3)


def test_a_relay_that_starts_first_waits_for_its_source(simulated):
    with ExitStack() as stack:
        source = started(stack, simulated)
        port = source.url.rpartition(":")[2]
        assert source.stop() == 0
        relay = stack.enter_context(closing_program(Relay(source.url)))
        for path in ("/readyz", "/api/positions", "/api/stream", "/api/status", "/api/trades"):
            code, headers, problem = fetch(relay.url + path)
            assert code == 503, path
            assert problem["detail"].startswith(f"this relay has read nothing from {source.url} in ")
            assert headers["Retry-After"] == "1"
        assert relay.get("/livez")[0] == 200
        assert relay.get("/metrics")[0] == 200
        started(stack, simulated, "--port", port)
        relay.await_read()
        until(lambda: relay.get("/readyz")[0] == 200, "ready")


def test_a_relay_of_a_relay_reports_where_the_chain_is_broken(pair):
    source, first = pair
    with closing_program(Relay(first.url, CONDORD_SERVER_WORKERS="2")) as second:
        second.await_read()
        source.process.send_signal(signal.SIGSTOP)
        status = second.await_code("sourceLost")
        assert f"{socket.gethostname()} has lost its source {source.url}: " in status["reason"]
        cluster = second.status()["cluster"]
        assert (cluster["source"], cluster["lagMs"]) == (first.url, None)
        assert first.status()["cluster"]["lagMs"] > 1000
        assert second.get("/readyz")[0] == 503
        source.process.send_signal(signal.SIGCONT)
        second.await_code(None)
        second.await_line(f"What the source follows is back source={first.url} lasted_seconds=")
        logged = [line for line in second.stderr if " follows" in line]
        assert len(logged) == 2
        assert f"The source has lost what it follows source={first.url} code=sourceLost reason=" in logged[0]
        assert f"{socket.gethostname()} has lost its source {source.url}: " in logged[0]
