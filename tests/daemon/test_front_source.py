import asyncio
import contextlib

import pytest

from condord.daemon.front_source import FrontSource, MakerSink
from condord.live.replica import SourceEvent, UnreadableEvent
from tests.virtualtime import run

EVENT = SourceEvent("heartbeat", None, b"{}", b"event: heartbeat\n\n")


class FakeFeed:
    def __init__(self):
        self.log = []
        self.resume_version = "k-1"
        self.needs_snapshot = self.is_lost = False

    def begin(self):
        self.log.append("begin")

    def take(self, event):
        if event is None:
            raise UnreadableEvent("no event")
        self.log.append(event)

    def lose(self, reason, code="sourceLost"):
        self.log.append((reason, code))

    def lose_maker(self, reason):
        self.log.append((reason, "maker"))


class FakeAnnounced:
    def __init__(self):
        self.log = []
        self.forbidden = None

    def lead(self, fence):
        self.log.append(("lead", fence))

    def take(self, event):
        self.log.append(event)

    def step_down(self):
        self.log.append("step down")


class FakeFollower:
    def __init__(self, name, log, sink=None):
        self.name, self.log, self.sink = name, log, sink
        self.fails = asyncio.Event()
        self.can_answer = asyncio.Event()
        self.can_answer.set()

    async def run(self):
        self.log.append(f"{self.name} runs")
        try:
            await self.fails.wait()
            raise RuntimeError("a bug")
        finally:
            self.log.append(f"{self.name} ends")

    def retry(self):
        self.log.append(f"{self.name} retries")

    def note_suspension(self, seconds):
        self.log.append(f"{self.name} was suspended for {seconds:g} s")

    async def ask(self, method, target):
        await self.can_answer.wait()
        return f"{self.name}: {method} {target}"


def test_events_of_a_maker_are_published_from_the_first_one_on():
    feed, announced = FakeFeed(), FakeAnnounced()
    sink = MakerSink(feed, announced, 7)
    assert sink.resume_version is None
    sink.begin()
    with pytest.raises(UnreadableEvent):
        sink.take(None)
    assert announced.log == []
    for _ in range(2):
        sink.take(EVENT)
    assert announced.log == [("lead", 7), EVENT, EVENT]
    assert sink.resume_version == "k-1"
    sink.lose("silent")
    assert feed.log == ["begin", EVENT, EVENT, ("silent", "maker")]
    assert not sink.is_lost
    assert not sink.needs_snapshot


class Scene:
    def __init__(self):
        self.log = []
        self.announced = FakeAnnounced()
        self.feed = FakeFeed()
        self.bus, self.maker = FakeFollower("bus", self.log), FakeFollower("maker", self.log)
        self.source = FrontSource(
            self.feed,
            self.announced,
            of_bus=self.bus,
            of_maker=lambda sink: FakeFollower("maker", self.log, sink),
            ask_bus=self.bus,
            ask_maker=self.maker,
        )


def test_while_it_leads_a_front_follows_and_asks_its_maker():
    async def main():
        scene = Scene()
        task = asyncio.create_task(scene.source.run())
        await asyncio.sleep(1)
        assert not scene.source.is_leading
        assert await scene.source.ask("GET", "/a") == "bus: GET /a"
        scene.source.retry()
        scene.source.note_suspension(3.0)
        scene.source.lead(7)
        await asyncio.sleep(1)
        scene.source.note_suspension(4.0)
        assert scene.source.is_leading
        assert await scene.source.ask("GET", "/a") == "maker: GET /a"
        scene.source.stand_by()
        await asyncio.sleep(1)
        assert not scene.source.is_leading
        assert scene.announced.log == ["step down"]
        reason = "this process does not lead any longer, and nothing has come from another leader"
        assert scene.feed.log == [(reason, "leaderLost")]
        scene.source.stand_by()
        assert len(scene.feed.log) == 1, "what comes from the bus is not lost"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert scene.log == [
            "bus runs",
            "bus retries",
            "bus was suspended for 3 s",
            "bus ends",
            "maker runs",
            "maker was suspended for 4 s",
            "maker ends",
            "bus runs",
            "bus ends",
        ]
        scene.feed.is_lost = True
        assert scene.source.is_lost
        assert scene.source.forbidden is None
        scene.announced.forbidden = "publish to x"
        assert scene.source.forbidden == "publish to x"

    run(main())


def test_a_get_that_a_former_leader_does_not_answer_is_sent_to_the_maker():
    async def main():
        scene = Scene()
        scene.bus.can_answer.clear()
        asking = {method: asyncio.create_task(scene.source.ask(method, "/a")) for method in ("GET", "POST")}
        await asyncio.sleep(1)
        scene.source.lead(7)
        assert await asking["GET"] == "maker: GET /a"
        await asyncio.sleep(1)
        assert not asking["POST"].done()
        scene.bus.can_answer.set()
        assert await asking["POST"] == "bus: POST /a"

    run(main())


def test_a_bug_of_a_follower_ends_the_task():
    async def main():
        scene = Scene()
        scene.bus.fails.set()
        with pytest.raises(RuntimeError, match="a bug"):
            await scene.source.run()

    run(main())
