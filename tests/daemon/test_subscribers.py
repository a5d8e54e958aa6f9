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


class Scene:
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


def play(test):
    """Play `test` on a virtual loop."""
    run(test())


def test_room_shared_between_processes_is_taken_and_noted():
    class Shared:
        def __init__(self):
            self.calls = []

        def take(self, own, most):
            self.calls.append(("take", own, most))
            return len(self.calls) == 1

        def note(self, own):
            self.calls.append(("note", own))

    @play
    async def _():
        scene, room = Scene(), Shared()
        subscribers = Subscribers(
            scene.daemon.fanout, settings=lambda: scene.settings, now_at=lambda: scene.at, slots=room
        )
        assert subscribers.has_room
        first = subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)
        assert not subscribers.has_room
        subscribers.unsubscribe(first)
        assert room.calls == [("take", 0, 2), ("note", 1), ("take", 1, 2), ("note", 0)]


def test_there_is_room_for_as_many_as_are_allowed_now():
    @play
    async def _():
        scene = Scene()
        first, _ = scene.join(), scene.join()
        assert not scene.subscribers.has_room
        scene.settings = msgspec.structs.replace(scene.settings, max_subscribers=3)
        assert scene.subscribers.has_room
        scene.settings = msgspec.structs.replace(scene.settings, max_subscribers=2)
        scene.subscribers.unsubscribe(first)
        assert scene.subscribers.has_room


@pytest.mark.parametrize("compression", [True, False])
def test_compression_follows_the_configuration(compression):
    @play
    async def _():
        assert Scene(compression=compression).subscribers.compresses is compression


def test_a_snapshot_in_place_of_lost_frames_has_the_current_time():
    @play
    async def _():
        scene = Scene()
        subscriber = scene.join()
        scene.take(subscriber)
        scene.at += dt.timedelta(minutes=5)
        subscriber.is_lost = True
        subscriber.ring.clear()
        assert scene.at.isoformat().replace("+00:00", "Z").encode() in scene.take(subscriber)


def test_all_subscribers_get_heartbeats():
    @play
    async def _():
        scene = Scene()
        subscribers = [scene.join(), scene.join()]
        for subscriber in subscribers:
            scene.take(subscriber)
        beating = asyncio.ensure_future(scene.subscribers.heartbeats())
        await settle(11.0)
        beating.cancel()
        assert [scene.events(subscriber) for subscriber in subscribers] == [["heartbeat"]] * 2
        assert len(scene.woken) == 2


def test_there_is_no_room_once_the_daemon_stops():
    @play
    async def _():
        scene = Scene()
        await scene.subscribers.say_bye("the daemon is stopping")
        assert not scene.subscribers.has_room
        assert scene.events(scene.join())[-1] == "bye"


def test_the_daemon_stops_as_soon_as_all_subscribers_have_left():
    @play
    async def _():
        scene = Scene()
        subscriber = scene.join()
        started = asyncio.get_running_loop().time()
        going = asyncio.ensure_future(scene.subscribers.say_bye("the daemon is stopping"))
        await settle(0.2)
        assert not going.done()
        assert scene.events(subscriber)[-1] == "bye"
        scene.subscribers.unsubscribe(subscriber)
        await going
        assert asyncio.get_running_loop().time() - started < DRAIN_SECONDS


def test_the_daemon_waits_only_a_moment_for_subscribers():
    @play
    async def _():
        scene = Scene()
        scene.join()
        started = asyncio.get_running_loop().time()
        await scene.subscribers.say_bye("the daemon is stopping")
        assert asyncio.get_running_loop().time() - started == pytest.approx(DRAIN_SECONDS)


def test_an_eviction_is_counted():
    @play
    async def _():
        scene = Scene()
        scene.subscribers.evict(scene.join())
        assert scene.daemon.fanout.evicted == 1


def test_each_disconnect_is_counted_by_its_reason():
    @play
    async def _():
        scene = Scene(max_subscribers=4)
        hung_up, stalled, *others = [scene.join() for _ in range(4)]
        scene.subscribers.unsubscribe(hung_up)
        scene.subscribers.evict(stalled)
        scene.subscribers.unsubscribe(stalled)
        assert scene.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 0}
        going = asyncio.ensure_future(scene.subscribers.say_bye("the daemon is stopping"))
        await settle(0.2)
        for subscriber in others:
            scene.subscribers.unsubscribe(subscriber)
        await going
        assert scene.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 2}


def test_an_eviction_is_counted_for_the_subscriber_that_stalled():
    @play
    async def _():
        scene = Scene()
        stalled, hung_up = scene.join(), scene.join()
        scene.subscribers.evict(stalled)
        for subscriber in (hung_up, stalled):
            before = dict(scene.daemon.fanout.disconnects)
            scene.subscribers.unsubscribe(subscriber)
            assert all(count >= before[reason] for reason, count in scene.daemon.fanout.disconnects.items())
        assert scene.daemon.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 0}


def test_a_client_gets_heartbeats_as_often_as_it_asked_for_and_no_others():
    @play
    async def _():
        scene = Scene()
        beating = asyncio.create_task(scene.subscribers.heartbeats())
        quick, usual = scene.join(heartbeat_seconds=0.5), scene.join()
        for subscriber in (quick, usual):
            scene.take(subscriber)
        found = {quick: [], usual: []}
        for _ in range(50):
            await asyncio.sleep(0.101)
            for subscriber in found:
                found[subscriber] += scene.events(subscriber)
        assert found == {quick: ["heartbeat"] * 10, usual: ["heartbeat"]}
        beating.cancel()


def test_an_interval_of_heartbeats_is_rounded_down_to_half_seconds_and_ends_with_its_last_client():
    @play
    async def _():
        scene = Scene()
        first, second = scene.join(heartbeat_seconds=1.2), scene.join(heartbeat_seconds=1.4)
        assert scene.subscribers._beating.keys() == {1.0}
        scene.subscribers.unsubscribe(first)
        await asyncio.sleep(1.05)
        assert scene.subscribers._beating == {1.0: {second: None}}
        scene.subscribers.unsubscribe(second)
        await asyncio.sleep(1)
        assert scene.subscribers._beating == {}


def test_a_client_whose_event_has_not_come_after_3_s_gets_a_snapshot():
    @play
    async def _():
        scene = Scene()
        subscriber = scene.join(version="test-99")
        await asyncio.sleep(AHEAD_SECONDS - 0.1)
        assert scene.events(subscriber) == []
        await asyncio.sleep(0.2)
        assert scene.woken == [1]
        assert scene.take(subscriber).startswith(RETRY + b": resync, unknownEpoch\nevent: snapshot\n")


def test_a_client_that_leaves_while_it_waits_is_not_sent_anything():
    @play
    async def _():
        scene = Scene()
        scene.subscribers.unsubscribe(scene.join(version="test-99"))
        assert scene.subscribers.has_room
        await asyncio.sleep(AHEAD_SECONDS + 1)
        assert scene.woken == []
        assert scene.daemon.fanout.subscribers == 0
