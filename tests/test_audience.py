import asyncio
import datetime as dt

import msgspec
import pytest

from condord.audience import DRAIN_SECONDS, Audience
from condord.client import EventParser
from condord.config import Server
from condord.live.edition import EVERYTHING
from tests.http.asking import NOW_AT, FakeDaemon
from tests.virtualtime import run, settle


class Scene:
    """An audience of two at most; `at` is what its clock shows."""

    def __init__(self, **settings):
        self.daemon = FakeDaemon(ring_size=4)
        self.at = NOW_AT
        self.settings = Server(**{"max_subscribers": 2, "heartbeat_seconds": 5.0, **settings})
        self.audience = Audience(self.daemon.fanout, settings=lambda: self.settings, now_at=lambda: self.at)
        self.woken = []

    def join(self, coding="identity"):
        return self.audience.subscribe(EVERYTHING, 0.0, None, coding, lambda: self.woken.append(1))

    def events(self, subscriber):
        return [event.name for event in EventParser().feed(self.audience.take(subscriber))]


def play(test):
    """Play `test` on a virtual loop."""
    run(test())


def test_there_is_room_for_as_many_as_are_allowed_now():
    @play
    async def _():
        scene = Scene()
        first, _ = scene.join(), scene.join()
        assert not scene.audience.has_room
        scene.settings = msgspec.structs.replace(scene.settings, max_subscribers=3)
        assert scene.audience.has_room
        scene.settings = msgspec.structs.replace(scene.settings, max_subscribers=2)
        scene.audience.unsubscribe(first)
        assert scene.audience.has_room


@pytest.mark.parametrize("compression", [True, False])
def test_compression_is_as_the_configuration_says(compression):
    @play
    async def _():
        assert Scene(compression=compression).audience.compresses is compression


def test_a_snapshot_in_place_of_what_was_lost_has_the_time_of_the_day():
    @play
    async def _():
        scene = Scene()
        subscriber = scene.join()
        scene.audience.take(subscriber)
        scene.at += dt.timedelta(minutes=5)
        subscriber.is_lost = True
        subscriber.ring.clear()
        assert scene.at.isoformat().replace("+00:00", "Z").encode() in scene.audience.take(subscriber)


def test_everybody_is_shown_that_the_link_is_alive():
    @play
    async def _():
        scene = Scene()
        subscribers = [scene.join(), scene.join()]
        for subscriber in subscribers:
            scene.audience.take(subscriber)
        beating = asyncio.ensure_future(scene.audience.heartbeats())
        await settle(11.0)
        beating.cancel()
        assert [scene.events(subscriber) for subscriber in subscribers] == [["heartbeat"]] * 2
        assert len(scene.woken) == 2


def test_nobody_is_let_in_once_the_daemon_goes():
    @play
    async def _():
        scene = Scene()
        await scene.audience.say_bye("the daemon is stopping")
        assert not scene.audience.has_room
        assert scene.events(scene.join())[-1] == "bye"


def test_the_daemon_goes_as_soon_as_everybody_has_left():
    @play
    async def _():
        scene = Scene()
        subscriber = scene.join()
        started = asyncio.get_running_loop().time()
        going = asyncio.ensure_future(scene.audience.say_bye("the daemon is stopping"))
        await settle(0.2)
        assert not going.done()
        assert scene.events(subscriber)[-1] == "bye"
        scene.audience.unsubscribe(subscriber)
        await going
        assert asyncio.get_running_loop().time() - started < DRAIN_SECONDS


def test_the_daemon_waits_for_nobody_longer_than_a_moment():
    @play
    async def _():
        scene = Scene()
        scene.join()
        started = asyncio.get_running_loop().time()
        await scene.audience.say_bye("the daemon is stopping")
        assert asyncio.get_running_loop().time() - started == pytest.approx(DRAIN_SECONDS)


def test_an_eviction_is_counted():
    @play
    async def _():
        scene = Scene()
        scene.audience.note_eviction()
        assert scene.audience.evicted == 1


def test_everybody_who_leaves_is_counted_by_the_reason():
    @play
    async def _():
        scene = Scene(max_subscribers=4)
        hung_up, stalled, *others = [scene.join() for _ in range(4)]
        scene.audience.unsubscribe(hung_up)
        scene.audience.note_eviction()
        scene.audience.unsubscribe(stalled)
        assert scene.audience.disconnects == {"client": 1, "stalled": 1, "stopped": 0}
        going = asyncio.ensure_future(scene.audience.say_bye("the daemon is stopping"))
        await settle(0.2)
        for subscriber in others:
            scene.audience.unsubscribe(subscriber)
        await going
        assert scene.audience.disconnects == {"client": 1, "stalled": 1, "stopped": 2}


def test_no_reason_is_ever_counted_less_while_the_stalled_are_on_their_way_out():
    @play
    async def _():
        scene = Scene()
        stalled, hung_up = scene.join(), scene.join()
        scene.audience.note_eviction()
        for subscriber in (hung_up, stalled):
            before = dict(scene.audience.disconnects)
            scene.audience.unsubscribe(subscriber)
            assert all(count >= before[reason] for reason, count in scene.audience.disconnects.items())
        assert scene.audience.disconnects == {"client": 1, "stalled": 1, "stopped": 0}


def test_the_bytes_that_leave_are_counted():
    @play
    async def _():
        scene = Scene()
        taken = [scene.audience.take(scene.join()), scene.audience.take(scene.join("gzip"))]
        assert scene.audience.taken_bytes == len(taken[0]) + len(taken[1]) > 0
