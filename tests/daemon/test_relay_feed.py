import asyncio
import json

import pytest

from condord.cluster.event_blocks import EventBlocks
from condord.live.remedies import UNTRUSTED_REMEDY, with_remedy
from tests.virtualtime import run

from .relayed import Relayed


def play(scene):
    async def whole():
        await scene(Relayed())

    run(whole())


def test_what_the_source_publishes_wakes_subscribers_and_is_measured():
    @play
    async def _(relayed):
        assert relayed.feed.resume_version is None
        assert relayed.feed.lost_reason == "it has not answered yet"
        relayed.pass_events()
        assert relayed.feed.resume_version == relayed.house.edition.version
        assert (relayed.feed.lost_reason, relayed.feed.lost_name) == (None, None)
        subscriber = relayed.follow()
        relayed.taken(subscriber)
        relayed.house.move()
        relayed.pass_events()
        assert relayed.woken == [0.0]
        assert [event for event, _, _ in relayed.taken(subscriber)] == ["delta"]
        assert relayed.observed == [pytest.approx(0.0)]


def test_what_an_interval_holds_back_is_sent_when_it_is_over():
    @play
    async def _(relayed):
        relayed.pass_events()
        slow, slower = relayed.follow(2.0), relayed.follow(3.0)
        for _ in range(2):
            relayed.house.move()
            relayed.pass_events()
        for subscriber in (slow, slower):
            relayed.taken(subscriber)
        relayed.woken.clear()
        await asyncio.sleep(1.9)
        assert relayed.woken == []
        await asyncio.sleep(0.2)
        assert relayed.woken == [2.0]
        await asyncio.sleep(1.0)
        assert relayed.woken == [2.0, 3.0]
        assert [event for event, _, _ in relayed.taken(slow)] == ["delta"]


def test_a_lost_source_is_a_status_with_the_reason_and_what_to_do():
    @play
    async def _(relayed):
        relayed.pass_events()
        subscriber = relayed.follow()
        relayed.taken(subscriber)
        relayed.feed.lose("it cannot be reached: Connection refused")
        assert relayed.feed.is_lost
        assert not relayed.feed.needs_snapshot
        [(event, identity, data)] = relayed.taken(subscriber)
        assert (event, identity, data["status"]["code"]) == ("delta", None, "sourceLost")
        assert data["status"]["reason"] == (
            "desk has lost its source http://127.0.0.1:1: it cannot be reached: Connection refused; "
            "if it lasts, check that the source runs and can be reached"
        )
        assert relayed.feed.lost_reason == "it cannot be reached: Connection refused"
        relayed.feed.lose("no heartbeat has come for 2 s", "leaderLost")
        [(_, _, data)] = relayed.taken(subscriber)
        assert data["status"]["reason"] == (
            "desk has lost the leader: no heartbeat has come for 2 s; "
            "if it lasts, see the logs of the ingesters: one of them has to reach the bus and to lead"
        )
        assert relayed.feed.lost_name == "the leader"
        relayed.feed.lose(with_remedy("its certificate is not trusted", UNTRUSTED_REMEDY), "busLost")
        [(_, _, data)] = relayed.taken(subscriber)
        reason = data["status"]["reason"]
        assert reason == f"desk has lost the bus: its certificate is not trusted; {UNTRUSTED_REMEDY}"
        assert relayed.feed.lost_name == "the bus"


def test_the_lag_is_that_of_the_newest_event_and_grows_while_the_source_is_lost():
    @play
    async def _(relayed):
        assert relayed.feed.lag_ms is None
        relayed.pass_events()
        assert relayed.feed.lag_ms == 0
        relayed.house.move()
        relayed.house.now += 0.25
        relayed.pass_events()
        assert relayed.feed.lag_ms == 1250  # `move` lets a second pass
        relayed.feed.lose("gone")
        await asyncio.sleep(3)
        assert relayed.feed.lag_ms == 3000


def test_where_a_source_has_lost_its_own_source_the_lag_is_not_known_and_its_words_are_passed_on():
    @play
    async def _(relayed):
        first = Relayed()
        relayed.pass_events()
        first.pass_events()
        subscriber = first.follow()
        first.taken(subscriber)
        first.feed.lose("it has stopped")
        [(_, _, data)] = first.taken(subscriber)
        block = b"event: delta\ndata: " + json.dumps(data).encode() + b"\n\n"
        for event in EventBlocks().feed(block):
            relayed.feed.take(event)
        assert relayed.feed.lag_ms is None
        assert relayed.view.status.reason.startswith("desk has lost its source http://127.0.0.1:1: it has stopped; ")


def test_another_connection_begins_another_measurement():
    @play
    async def _(relayed):
        relayed.pass_events()
        relayed.house.move()
        relayed.feed.begin()
        relayed.pass_events()
        assert relayed.feed.lag_ms == 0
