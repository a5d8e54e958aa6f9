import asyncio
import contextlib
import gzip
import logging

import pytest

from condord.client.address import parse_url
from condord.cluster import connection
from condord.cluster.follower import LOST_SECONDS, MAX_WAIT_SECONDS, Follower, _is_near
from condord.cluster.stall_detector import GRACE_SECONDS
from condord.errors import ConfigError
from condord.live.relay_path import RelayPath
from condord.live.replica import UnreadableEvent
from tests.virtualtime import run

from .fakes import DELTA, HEARTBEAT, SNAPSHOT, STREAM_HEAD, FakeSink, FakeSource, answer

HOLD = FakeSource.HOLD
BYE = b"event: bye\ndata: {}\n\n"


class Harness:
    """A follower of a scripted source on a virtual loop."""

    def __init__(self, source, sink, max_wait_seconds=MAX_WAIT_SECONDS, **settings):
        self.source, self.sink = source, sink
        self.refused = []
        self.relays = RelayPath("own")
        self.follower = Follower(
            source.settings(**settings),
            sink,
            refused=self.refused.append,
            chance=lambda: 0.0,
            relays=self.relays,
            max_wait_seconds=max_wait_seconds,
        )


def run_scenario(scenario, *scripts, sink=None, **settings):
    """Play `scenario(harness)` while the follower runs."""

    async def main():
        async with FakeSource(*scripts) as source:
            harness = Harness(source, sink or FakeSink(), **settings)
            following = asyncio.create_task(harness.follower.run())
            await scenario(harness)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            return harness

    return run(main())


async def two_seconds(_scene):
    await asyncio.sleep(1.9)


def test_events_are_taken_in_order_and_heartbeats_are_asked_for():
    harness = run_scenario(two_seconds, [STREAM_HEAD, SNAPSHOT + DELTA[:20], 0.1, DELTA[20:], HOLD])
    assert harness.sink.calls == ["begin", "snapshot", "delta"]
    assert harness.source.heads[0].startswith("GET /api/stream?heartbeat=0.5 HTTP/1.1")
    assert "Last-Event-ID" not in harness.source.heads[0]
    assert "gzip" not in harness.source.heads[0]


def test_a_follower_resumes_after_the_last_event():
    harness = run_scenario(two_seconds, [STREAM_HEAD, DELTA, HOLD], sink=FakeSink("k3f9-1"))
    assert "\r\nLast-Event-ID: k3f9-1\r\n" in harness.source.heads[0]


def test_a_stream_that_ends_is_resumed_at_once_and_no_subscriber_notices():
    harness = run_scenario(
        two_seconds, [STREAM_HEAD, SNAPSHOT, BYE], [STREAM_HEAD, SNAPSHOT], [STREAM_HEAD, DELTA, HOLD]
    )
    assert harness.sink.calls == ["begin", "snapshot"] * 2 + ["begin", "delta"]


def test_a_stream_that_was_deflated_is_inflated(monkeypatch):
    monkeypatch.setattr("condord.cluster.follower._is_near", lambda _address: False)
    head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    harness = run_scenario(two_seconds, [head, gzip.compress(SNAPSHOT), HOLD])
    assert "\r\nAccept-Encoding: gzip\r\n" in harness.source.heads[0]
    assert harness.sink.calls == ["begin", "snapshot"]


@pytest.mark.parametrize(
    ("url", "is_near"), [("unix:///x", True), ("http://127.0.0.1", True), ("https://a.example", False)]
)
def test_only_a_source_elsewhere_is_asked_to_compress(url, is_near):
    assert _is_near(parse_url(url, allows_tls=True)) is is_near


def test_the_reason_for_a_loss_comes_from_the_last_attempt(caplog):
    async def scenario(harness):
        await asyncio.sleep(30)

    refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    harness = run_scenario(scenario, *[[b""]] * 6, *[[refusal]] * 9)
    reasons = [call for call in harness.sink.calls if call.startswith("lost: ")]
    assert (len(reasons), reasons[-1]) == (2, "lost: it answers 503")
    assert [record.message for record in caplog.records] == ["The source does not answer yet"]


def test_a_source_that_is_silent_is_lost_after_2_s_and_asked_again(caplog):
    caplog.set_level(logging.INFO)

    async def scenario(harness):
        await asyncio.sleep(LOST_SECONDS + 0.2)
        assert harness.sink.calls[:2] == ["begin", "snapshot"]
        assert harness.sink.calls[2].startswith("lost: ")
        await asyncio.sleep(5)

    harness = run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, HOLD], [STREAM_HEAD, DELTA, *[0.5, HEARTBEAT] * 20])
    assert [call for call in harness.sink.calls[2:] if not call.startswith("lost: ")][:2] == ["begin", "delta"]
    assert harness.source.connections == 2
    logged = [record.message for record in caplog.records]
    assert logged == ["The source is lost", "The source is back"]
    assert caplog.records[0].fields["code"] == "sourceLost"
    assert caplog.records[1].fields["lasted_seconds"] < LOST_SECONDS


def test_a_maker_is_named_as_such_in_the_log(caplog):
    caplog.set_level(logging.INFO)

    async def main():
        scripts = [STREAM_HEAD, SNAPSHOT, 5.0], [STREAM_HEAD, SNAPSHOT, HOLD]
        async with FakeSource(*scripts) as source:
            harness = Follower(
                source.settings(), FakeSink(), refused=lambda _: None, chance=lambda: 0.0, followed="maker"
            )
            following = asyncio.create_task(harness.run())
            await asyncio.sleep(LOST_SECONDS + 2)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(main())
    assert caplog.messages == ["The maker is silent", "The maker is back"]
    assert caplog.records[0].fields["code"] == "leaderLost"


def test_a_source_that_was_never_reached_is_not_reported_lost(caplog):
    caplog.set_level(logging.INFO)

    async def scenario(_harness):
        await asyncio.sleep(10)

    refusal = [answer(503, b"")]
    run_scenario(scenario, *[refusal] * 6, [STREAM_HEAD, SNAPSHOT, *[0.5, HEARTBEAT] * 20])
    assert caplog.messages == ["The source does not answer yet", "The source answers"]
    assert caplog.records[0].fields["reason"] == "it answers 503"


def test_a_wait_that_the_source_asks_for_is_bounded():
    async def scenario(harness):
        await asyncio.sleep(10)
        assert harness.source.connections >= 18

    run_scenario(scenario, *[[answer(503, b"", "Retry-After: 10\r\n")]] * 30, max_wait_seconds=0.5)


def test_heartbeats_keep_the_connection():
    async def scenario(_harness):
        await asyncio.sleep(10)

    harness = run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, *[0.5, HEARTBEAT] * 30])
    assert not [call for call in harness.sink.calls if call.startswith("lost")]
    assert harness.source.connections == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([answer(503, b"", "Retry-After: 1")], "it answers 503"),
        ([], "it has closed the connection without an answer; if it expects TLS, name it with https://"),
        ([STREAM_HEAD, b"x: 1\n\n"], "it has ended the stream"),
        ([answer(429, b"", "Retry-After: soon")], "it answers 429"),
    ],
)
def test_a_source_that_cannot_be_followed_is_lost_with_the_reason(script, reason):
    async def scenario(_harness):
        await asyncio.sleep(LOST_SECONDS + 0.5)

    harness = run_scenario(scenario, script)
    assert [call for call in harness.sink.calls if call != "begin"] == [f"lost: {reason}"]
    assert harness.source.connections > 1


@pytest.mark.parametrize(
    ("scripts", "first"),
    [
        ([[HOLD]], "it has not answered yet"),
        ([[STREAM_HEAD, SNAPSHOT, HOLD], [HOLD]], "it sends no events"),
    ],
)
def test_the_reason_for_a_silence_has_no_duration_and_stays_the_same(scripts, first):
    async def scenario(_harness):
        await asyncio.sleep(20)

    harness = run_scenario(scenario, *scripts)
    lost = [call for call in harness.sink.calls if call.startswith("lost")]
    assert lost == [f"lost: {first}", "lost: it does not answer"]


def test_a_source_that_cannot_be_reached_in_time_does_not_answer(monkeypatch):
    async def never(*_args, **_options):
        await asyncio.Event().wait()

    async def scenario(harness):
        await asyncio.sleep(1)
        monkeypatch.setattr(connection.asyncio, "open_connection", never)
        await asyncio.sleep(20)
        assert harness.sink.calls[-1] == "lost: it does not answer"

    run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, HOLD])


def test_a_server_that_is_not_condord_is_tried_again_as_the_address_may_be_corrected():
    async def scenario(harness):
        await asyncio.sleep(LOST_SECONDS + 0.5)
        [lost] = [call for call in harness.sink.calls if call.startswith("lost")]
        assert lost.startswith("lost: it answers with text/html and is not a condord; check ")

    harness = run_scenario(scenario, [answer(200, b"hello", "Content-Type: text/html")])
    assert harness.source.connections > 1


def test_attempts_are_made_less_and_less_often_up_to_every_5_s():
    async def scenario(harness):
        await asyncio.sleep(60)
        early = harness.source.connections
        await asyncio.sleep(60)
        assert harness.source.connections - early == 12

    run_scenario(scenario, [])


def test_a_reload_tries_at_once():
    async def scenario(harness):
        await asyncio.sleep(60)
        before = harness.source.connections
        harness.follower.retry()
        await asyncio.sleep(0.1)
        assert harness.source.connections == before + 1

    run_scenario(scenario, [])


def test_a_refused_token_is_reported_once_and_not_tried_again():
    async def scenario(_harness):
        await asyncio.sleep(30)

    harness = run_scenario(scenario, [answer(401, b"", "Content-Type: application/problem+json")], token="hush-hush")
    assert [str(error) for error in harness.refused] == [f"{harness.source.url} does not accept the token"]
    assert harness.source.connections == 1


@pytest.mark.parametrize("head", [STREAM_HEAD, answer(401), answer(421), answer(503)])
def test_a_relay_that_would_follow_itself_is_refused_once_after_any_answer(head):
    async def scenario(_harness):
        await asyncio.sleep(20)

    harness = run_scenario(scenario, [head.replace(b"\r\n\r\n", b"\r\nCondord-Relays: own, other\r\n\r\n"), HOLD])
    (error,) = harness.refused
    assert isinstance(error, ConfigError)
    assert str(error) == f"cluster.source = {harness.source.url}: this relay itself answers there"
    assert "follow" in error.hint
    assert harness.source.connections == 1


def test_a_source_that_follows_this_relay_is_lost_until_it_follows_another():
    named = [
        STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nCondord-Relays: %b\r\n\r\n" % path)
        for path in (b"far, own", b"far, other")
    ]

    async def scenario(harness):
        await asyncio.sleep(2.5)
        (reason,) = [call for call in harness.sink.calls if call.startswith("lost: ")]
        assert "it follows this relay, directly or through others; let one of these relays follow" in reason
        harness.source.scripts = [[named[1], SNAPSHOT, *[0.5, HEARTBEAT] * 20]]
        await asyncio.sleep(10)

    harness = run_scenario(scenario, [named[0], SNAPSHOT, HOLD])
    assert harness.refused == []
    assert "snapshot" in harness.sink.calls
    assert harness.relays.text == "own, far, other"


@pytest.mark.parametrize("stopped_seconds", [LOST_SECONDS - 0.2, LOST_SECONDS, 600.0])
def test_a_resumed_process_reads_waiting_events_before_it_reports_the_source_lost(stopped_seconds):
    async def scenario(_harness):
        for _ in range(3):
            await asyncio.sleep(3.2)
            asyncio.get_running_loop().stall(stopped_seconds)
        await asyncio.sleep(3)

    harness = run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, *[0.5, HEARTBEAT] * 100, HOLD])
    assert set(harness.sink.calls) == {"begin", "snapshot", "heartbeat"}
    assert harness.source.connections == 1


@pytest.mark.parametrize("seconds", [LOST_SECONDS, 600.0])
def test_after_a_suspension_the_source_is_lost_at_once_until_another_connection_delivers_its_state(seconds, caplog):
    caplog.set_level(logging.INFO)

    async def scenario(harness):
        await asyncio.sleep(0.8)
        harness.follower.note_suspension(seconds)
        assert harness.sink.is_lost
        reason = f"this process was suspended for {seconds:.0f} s, and has read nothing since"
        assert harness.sink.calls == ["begin", "snapshot", "heartbeat", f"lost: {reason}"]
        await asyncio.sleep(1)
        assert harness.sink.calls[4:] == ["begin", "delta"]  # the event that has waited is not among them
        assert not harness.sink.is_lost

    run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, 0.5, HEARTBEAT, 0.5, SNAPSHOT, HOLD], [STREAM_HEAD, DELTA, HOLD])
    assert caplog.messages == []


def test_a_connection_that_was_being_made_during_a_suspension_is_made_again():
    async def scenario(harness):
        await asyncio.sleep(0.5)
        harness.follower.note_suspension(60.0)
        await asyncio.sleep(2)
        assert [call for call in harness.sink.calls if not call.startswith("lost")] == ["begin", "delta"]

    run_scenario(scenario, [1.0, STREAM_HEAD, SNAPSHOT, HOLD], [STREAM_HEAD, DELTA, HOLD])


def test_a_pause_after_which_the_last_event_is_recent_is_not_a_loss():
    async def scenario(harness):
        await asyncio.sleep(0.1)
        harness.follower.note_suspension(LOST_SECONDS - 0.2)
        await asyncio.sleep(1)
        assert harness.sink.calls == ["begin", "snapshot", "heartbeat"]

    run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, 0.5, HEARTBEAT, HOLD])


def test_before_it_runs_nothing_is_lost():
    async def scenario():
        async with FakeSource() as source:
            harness = Harness(source, FakeSink())
            harness.follower.note_suspension(LOST_SECONDS - 0.2)
            assert harness.sink.calls == []

    run(scenario())


def test_a_source_that_is_silent_after_a_stop_is_lost_soon():
    async def scenario(harness):
        await asyncio.sleep(1)
        asyncio.get_running_loop().stall(600)
        await asyncio.sleep(GRACE_SECONDS - 0.2)
        assert harness.sink.calls == ["begin", "snapshot"]
        await asyncio.sleep(0.4)
        assert harness.sink.is_lost

    run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, HOLD], [HOLD])


def test_an_event_that_cannot_be_read_begins_another_connection():
    sink = FakeSink()
    sink.error = UnreadableEvent("an event cannot be understood")

    async def scenario(_harness):
        await asyncio.sleep(LOST_SECONDS + 0.1)

    harness = run_scenario(scenario, [STREAM_HEAD, SNAPSHOT, HOLD], sink=sink)
    assert harness.source.connections > 1
    assert "lost: an event cannot be understood" in harness.sink.calls


def test_a_gap_begins_another_connection_for_a_snapshot():
    sink = FakeSink("k3f9-1")

    def gap(event):
        sink.needs_snapshot = event.name == "delta"
        sink.resume_version = None if sink.needs_snapshot else "k3f9-1"

    sink.on_take = gap
    harness = run_scenario(two_seconds, [STREAM_HEAD, DELTA, HOLD], [STREAM_HEAD, SNAPSHOT, HOLD], sink=sink)
    assert harness.sink.calls == ["begin", "delta", "begin", "snapshot"]
    assert "Last-Event-ID" in harness.source.heads[0]
    assert "Last-Event-ID" not in harness.source.heads[1]


@pytest.mark.parametrize("late", [HEARTBEAT, DELTA])
def test_after_a_silence_without_a_new_connection_it_resumes_to_have_the_status(late):
    """Bytes of a long event keep the connection, but the source was lost meanwhile."""

    async def scenario(_harness):
        await asyncio.sleep(6)

    trickle = [step for byte in b": a long comment" for step in (0.3, bytes([byte]))]
    harness = run_scenario(
        scenario, [STREAM_HEAD, SNAPSHOT, *trickle, b"\n\n", late, HOLD], [STREAM_HEAD, DELTA, *[0.5, HEARTBEAT] * 20]
    )
    calls = [call for call in harness.sink.calls if call != "heartbeat"]
    assert calls[-2:] == ["begin", "delta"]
    assert calls[:3] == ["begin", "snapshot", "lost: it sends no events"]
    assert harness.source.connections == 2


def test_heartbeats_before_the_first_event_do_not_end_the_connection():
    """A server that is behind lets a client that is ahead wait."""
    sink = FakeSink("k3f9-9")
    sink.is_lost = True
    harness = run_scenario(two_seconds, [STREAM_HEAD, HEARTBEAT, 0.5, HEARTBEAT, 0.5, DELTA, HOLD], sink=sink)
    assert harness.sink.calls == ["begin", "heartbeat", "heartbeat", "delta"]
    assert harness.source.connections == 1
