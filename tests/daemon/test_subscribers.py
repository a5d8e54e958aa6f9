import asyncio
import datetime as dt

import msgspec
import pytest

from condord.client.sse import EventParser
from condord.config.schema import Server
from condord.daemon.subscribers import AHEAD_SECONDS, DRAIN_SECONDS, Subscribers
from condord.live.published import EVERYTHING
from condord.live.subscriber import RETRY
from tests.http.fake_daemon import NOW_AT, FakeDaemon
from tests.virtualtime import run, settle


class Harness:
    """A server with at most two subscribers; `at` is the time on the clock."""

    def __init__(self, **settings):
        self.daemon = FakeDaemon(ring_size=4)
        self.at = NOW_AT
        self.settings = Server(**{"max_subscribers": 2, "heartbeat_seconds": 5.0, **settings})
        self.subscribers = Subscribers(self.daemon.fanout, settings=lambda: self.settings, now_at=lambda: self.at)
        self.woken = []

    def join(self, coding="identity", version=None, **options):
        return self.subscribers.subscribe(EVERYTHING, 0.0, version, coding, lambda: self.woken.append(1), **options)

    def take(self, subscriber):
        return subscriber.take(self.subscribers.now_at)

    def events(self, subscriber):
        return [event.name for event in EventParser().feed(self.take(subscriber))]


def run_scenario(test):
    """Play `test` on a virtual loop."""
    run(test())


def test_slots_shared_between_processes_are_reserved_and_corrected():
    class Shared:
        def __init__(self):
            self.calls = []

        def take(self, own, most):
            self.calls.append(("take", own, most))
            return len(self.calls) == 1

        def note(self, own):
            self.calls.append(("note", own))

    @run_scenario
    async def _():
        harness, room = Harness(), Shared()
        subscribers = Subscribers(
            harness.daemon.fanout, settings=lambda: harness.settings, now_at=lambda: harness.at, slots=room
        )
        assert subscribers.has_room
        first = subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)
        assert not subscribers.has_room
        subscribers.unsubscribe(first)
        assert room.calls == [("take", 0, 2), ("note", 1), ("take", 1, 2), ("note", 0)]


def test_there_is_room_for_as_many_as_are_allowed_now():
    @run_scenario
    async def _():
        harness = Harness()
        first, _ = harness.join(), harness.join()
        assert not harness.subscribers.has_room
        harness.settings = msgspec.structs.replace(harness.settings, max_subscribers=3)
        assert harness.subscribers.has_room
        harness.settings = msgspec.structs.replace(harness.settings, max_subscribers=2)
        harness.subscribers.unsubscribe(first)
        assert harness.subscribers.has_room


@pytest.mark.parametrize("compression", [True, False])
def test_compression_follows_the_configuration(compression):
    @run_scenario
    async def _():
        assert Harness(compression=compression).subscribers.compresses is compression


def test_a_snapshot_in_place_of_lost_frames_has_the_current_time():
    @run_scenario
    async def _():
        harness = Harness()
        subscriber = harness.join()
        harness.take(subscriber)
        harness.at += dt.timedelta(minutes=5)
        subscriber.is_lost = True
        subscriber.ring.clear()
        assert harness.at.isoformat().replace("+00:00", "Z").encode() in harness.take(subscriber)


def test_all_subscribers_get_heartbeats():
    @run_scenario
    async def _():
        harness = Harness()
        subscribers = [harness.join(), harness.join()]
        for subscriber in subscribers:
            harness.take(subscriber)
        beating = asyncio.ensure_future(harness.subscribers.heartbeats())
        await settle(11.0)
        beating.cancel()
        assert [harness.events(subscriber) for subscriber in subscribers] == [["heartbeat"]] * 2
        assert len(harness.woken) == 2


def test_there_is_no_room_once_the_daemon_stops():
    @run_scenario
    async def _():
        harness = Harness()
        await harness.subscribers.say_bye("the daemon is stopping")
        assert not harness.subscribers.has_room
        assert harness.events(harness.join())[-1] == "bye"


def test_the_daemon_stops_as_soon_as_all_subscribers_have_left():
    @run_scenario
    async def _():
        harness = Harness()
        subscriber = harness.join()
        started = asyncio.get_running_loop().time()
        going = asyncio.ensure_future(harness.subscribers.say_bye("the daemon is stopping"))
        await settle(0.2)
        assert not going.done()
        assert harness.events(subscriber)[-1] == "bye"
        harness.subscribers.unsubscribe(subscriber)
        await going
        assert asyncio.get_running_loop().time() - started < DRAIN_SECONDS


def test_the_daemon_waits_only_a_moment_for_subscribers():
    @run_scenario
    async def _():
        harness = Harness()
        harness.join()
        started = asyncio.get_running_loop().time()
        await harness.subscribers.say_bye("the daemon is stopping")
        assert asyncio.get_running_loop().time() - started == pytest.approx(DRAIN_SECONDS)


def test_an_eviction_is_counted():
    @run_scenario
    async def _():
        harness = Harness()
        harness.subscribers.evict(harness.join())
        assert harness.daemon.fanout.evicted == 1


def test_each_disconnect_is_counted_by_its_reason():
    @run_scenario
    async def _():
        harness = Harness(max_subscribers=4)
        hung_up, stalled, *others = [harness.join() for _ in range(4)]
        harness.subscribers.unsubscribe(hung_up)
        harness.subscribers.evict(stalled)
        harness.subscribers.unsubscribe(stalled)
        assert harness.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 0}
        going = asyncio.ensure_future(harness.subscribers.say_bye("the daemon is stopping"))
        await settle(0.2)
        for subscriber in others:
            harness.subscribers.unsubscribe(subscriber)
        await going
        assert harness.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 2}


def test_an_eviction_is_counted_for_the_subscriber_that_stalled():
    @run_scenario
    async def _():
        harness = Harness()
        stalled, hung_up = harness.join(), harness.join()
        harness.subscribers.evict(stalled)
        for subscriber in (hung_up, stalled):
            before = dict(harness.daemon.fanout.disconnects)
            harness.subscribers.unsubscribe(subscriber)
            assert all(count >= before[reason] for reason, count in harness.daemon.fanout.disconnects.items())
        assert harness.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 0}


def test_a_client_gets_heartbeats_as_often_as_it_asked_for_and_no_others():
    @run_scenario
    async def _():
        harness = Harness()
        beating = asyncio.create_task(harness.subscribers.heartbeats())
        quick, usual = harness.join(heartbeat_seconds=0.5), harness.join()
        for subscriber in (quick, usual):
            harness.take(subscriber)
        found = {quick: [], usual: []}
        for _ in range(50):
            await asyncio.sleep(0.101)
            for subscriber in found:
                found[subscriber] += harness.events(subscriber)
        assert found == {quick: ["heartbeat"] * 10, usual: ["heartbeat"]}
        beating.cancel()


def test_an_interval_of_heartbeats_is_rounded_down_to_half_seconds_and_ends_with_its_last_client():
    @run_scenario
    async def _():
        harness = Harness()
        first, second = harness.join(heartbeat_seconds=1.2), harness.join(heartbeat_seconds=1.4)
        assert harness.subscribers._beating.keys() == {1.0}
        harness.subscribers.unsubscribe(first)
        await asyncio.sleep(1.05)
        assert harness.subscribers._beating == {1.0: {second: None}}
        harness.subscribers.unsubscribe(second)
        await asyncio.sleep(1)
        assert harness.subscribers._beating == {}


def test_a_client_whose_event_has_not_come_after_3_s_gets_a_snapshot():
    @run_scenario
    async def _():
        harness = Harness()
        subscriber = harness.join(version="test-99")
        await asyncio.sleep(AHEAD_SECONDS - 0.1)
        assert harness.events(subscriber) == []
        await asyncio.sleep(0.2)
        assert harness.woken == [1]
        assert harness.take(subscriber).startswith(RETRY + b": resync, unknownEpoch\nevent: snapshot\n")


def test_a_client_that_leaves_while_it_waits_is_not_sent_anything():
    @run_scenario
    async def _():
        harness = Harness()
        harness.subscribers.unsubscribe(harness.join(version="test-99"))
        assert harness.subscribers.has_room
        await asyncio.sleep(AHEAD_SECONDS + 1)
        assert harness.woken == []
        assert harness.daemon.fanout.subscribers == 0
