import asyncio
import json
import logging

import pytest

from condord.cluster.event_blocks import EventBlocks
from condord.live.published import EVERYTHING
from condord.live.remedies import MAKER_REMEDY, UNTRUSTED_REMEDY, WORKER_REMEDY, split_loss, with_remedy
from condord.live.replica import SourceEvent
from tests.virtualtime import run

from .relay_harness import RelayHarness


def run_scenario(scenario):
    async def main():
        await scenario(RelayHarness())

    run(main())


def test_events_of_the_source_wake_subscribers_and_are_measured():
    @run_scenario
    async def _(harness):
        assert harness.feed.resume_version is None
        assert harness.feed.lost_reason == "it has not answered yet"
        harness.pass_events()
        assert harness.feed.resume_version == harness.source.edition.version
        assert (harness.feed.lost_reason, harness.feed.lost_name) == (None, None)
        subscriber = harness.follow()
        harness.taken(subscriber)
        harness.source.move()
        harness.pass_events()
        assert harness.woken == [0.0]
        assert [event for event, _, _ in harness.taken(subscriber)] == ["delta"]
        assert harness.observed == [pytest.approx(0.0)]


def test_changes_held_back_by_an_interval_are_sent_when_it_is_over():
    @run_scenario
    async def _(harness):
        harness.pass_events()
        slow, slower = harness.follow(2.0), harness.follow(3.0)
        for _ in range(2):
            harness.source.move()
            harness.pass_events()
        for subscriber in (slow, slower):
            harness.taken(subscriber)
        harness.woken.clear()
        await asyncio.sleep(1.9)
        assert harness.woken == []
        await asyncio.sleep(0.2)
        assert harness.woken == [2.0]
        await asyncio.sleep(1.0)
        assert harness.woken == [2.0, 3.0]
        assert [event for event, _, _ in harness.taken(slow)] == ["delta"]


def test_a_lost_source_is_a_status_with_the_reason_and_a_remedy():
    @run_scenario
    async def _(harness):
        harness.pass_events()
        subscriber = harness.follow()
        harness.taken(subscriber)
        harness.feed.lose("it cannot be reached: Connection refused")
        assert harness.feed.is_lost
        assert not harness.feed.needs_snapshot
        [(event, identity, data)] = harness.taken(subscriber)
        assert (event, identity, data["status"]["code"]) == ("delta", None, "sourceLost")
        assert data["status"]["reason"] == (
            "relay-1 has lost its source http://127.0.0.1:1: it cannot be reached: Connection refused; "
            "if it lasts, check that the source runs and can be reached"
        )
        assert harness.feed.lost_reason == "it cannot be reached: Connection refused"
        harness.feed.lose("no heartbeat has come for 2 s", "leaderLost")
        [(_, _, data)] = harness.taken(subscriber)
        assert data["status"]["reason"] == (
            "relay-1 has lost the leader: no heartbeat has come for 2 s; "
            "if it lasts, see the logs of the ingesters: one of them has to reach the bus and to lead"
        )
        assert harness.feed.lost_name == "the leader on the bus"
        harness.feed.lose(with_remedy("its certificate is not trusted", UNTRUSTED_REMEDY), "busLost")
        [(_, _, data)] = harness.taken(subscriber)
        reason = data["status"]["reason"]
        assert reason == f"relay-1 has lost the bus: its certificate is not trusted; {UNTRUSTED_REMEDY}"
        assert harness.feed.lost_name == "the bus"


def test_the_lag_belongs_to_the_newest_event_and_grows_while_the_source_is_lost():
    @run_scenario
    async def _(harness):
        assert harness.feed.lag_ms is None
        harness.pass_events()
        assert harness.feed.lag_ms == 0
        harness.source.move()
        harness.source.now += 0.25
        harness.pass_events()
        assert harness.feed.lag_ms == 1250  # `move` lets a second pass
        harness.feed.lose("gone")
        await asyncio.sleep(3)
        assert harness.feed.lag_ms == 3000


def test_if_a_source_has_lost_its_own_source_the_lag_is_unknown_and_the_reason_is_passed_on():
    @run_scenario
    async def _(harness):
        first = RelayHarness()
        harness.pass_events()
        first.pass_events()
        subscriber = first.follow()
        first.taken(subscriber)
        first.feed.lose("it has stopped")
        [(_, _, data)] = first.taken(subscriber)
        block = b"event: delta\ndata: " + json.dumps(data).encode() + b"\n\n"
        for event in EventBlocks().feed(block):
            harness.feed.take(event)
        assert harness.feed.lag_ms is None
        assert harness.view.status.reason.startswith("relay-1 has lost its source http://127.0.0.1:1: it has stopped; ")


class Chain:
    """A relay whose source is a relay."""

    def __init__(self, harness):
        self.first, self.second = RelayHarness(), harness
        self.first.pass_events()
        self.subscriber = self.first.follow()
        self.reading = EventBlocks()
        self.pass_on()

    def pass_on(self):
        for event in self.reading.feed(self.subscriber.take(self.first.clock)):
            self.second.feed.take(event)

    def lose(self, reason, code="sourceLost"):
        self.first.feed.lose(reason, code)
        self.pass_on()

    def reconnect(self):
        self.first.replica.begin()
        self.first.reading, self.first.upstream = EventBlocks(), self.first.source.subscribe(EVERYTHING)
        self.first.pass_events()
        self.pass_on()


def test_a_relay_logs_once_that_its_source_has_lost_its_own_source_and_once_that_it_is_back(caplog):
    caplog.set_level(logging.INFO)

    @run_scenario
    async def _(harness):
        chain = Chain(harness)
        assert caplog.records == []
        chain.lose("it has stopped")
        chain.lose("there is no leader", "leaderLost")
        await asyncio.sleep(7)
        harness.feed.lose("it sends no events")
        harness.feed.take(SourceEvent("heartbeat", None, b'{"asOf": "2026-11-20T15:00:00Z"}', b""))
        chain.reconnect()
        chain.first.source.move()
        chain.first.pass_events()
        chain.pass_on()
        chain.lose("it has stopped again")

    lost, back, again = caplog.records
    source = "http://127.0.0.1:1"
    assert lost.message == again.message == "The source has lost what it follows"
    assert (lost.fields["source"], lost.fields["code"]) == (source, "sourceLost")
    assert lost.fields["reason"].startswith(f"relay-1 has lost its source {source}: it has stopped; ")
    assert (back.message, back.fields) == ("What the source follows is back", {"source": source, "lasted_seconds": 7.0})


def test_a_leader_names_its_own_daemon_of_the_account_and_not_the_leader():
    @run_scenario
    async def _(harness):
        harness.pass_events()
        harness.feed.lose_maker("it sends no events")
        status = harness.view.status
        assert (status.code, harness.feed.lost_code) == ("leaderLost", "leaderLost")
        what = "relay-1 has lost its own daemon of the account, the process that reads Alpaca: it sends no events; "
        assert status.reason == what + MAKER_REMEDY
        assert split_loss(status.reason, status.code) == (what.removesuffix("; "), MAKER_REMEDY)


def test_a_worker_leaves_these_log_lines_to_its_daemon_and_does_not_name_the_source_of_its_daemon(caplog):
    async def scenario():
        chain = Chain(RelayHarness(is_worker=True))
        chain.lose("it has stopped")
        assert chain.second.view.status.code == "sourceLost"
        chain.reconnect()
        chain.second.feed.lose("it sends no events")
        reason = f"relay-1 has lost the daemon of this worker: it sends no events; {WORKER_REMEDY}"
        assert chain.second.view.status.reason == reason

    run(scenario())
    assert caplog.records == []


def test_a_new_connection_begins_a_new_measurement():
    @run_scenario
    async def _(harness):
        harness.pass_events()
        harness.source.move()
        harness.feed.begin()
        harness.pass_events()
        assert harness.feed.lag_ms == 0
