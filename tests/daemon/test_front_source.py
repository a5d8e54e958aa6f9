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

    def note_takeover(self):
        self.log.append("takes over")


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


class Harness:
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


def test_a_front_that_begins_to_lead_does_not_keep_the_reason_for_the_loss_of_the_earlier_leader():
    async def main():
        harness = Harness()
        harness.source.lead(7)
        assert harness.feed.log == []
        harness.feed.is_lost = True
        harness.source.lead(8)
        assert harness.feed.log == ["takes over"]

    run(main())


def test_while_it_leads_a_front_follows_and_asks_its_maker():
    async def main():
        harness = Harness()
        task = asyncio.create_task(harness.source.run())
        await asyncio.sleep(1)
        assert not harness.source.is_leading
        assert await harness.source.ask("GET", "/a") == "bus: GET /a"
        harness.source.retry()
        harness.source.note_suspension(3.0)
        harness.source.lead(7)
        await asyncio.sleep(1)
        harness.source.note_suspension(4.0)
        assert harness.source.is_leading
        assert await harness.source.ask("GET", "/a") == "maker: GET /a"
        harness.source.stand_by()
        await asyncio.sleep(1)
        assert not harness.source.is_leading
        assert harness.announced.log == ["step down"]
        reason = "this ingester does not lead any longer, and nothing has come from another leader"
        assert harness.feed.log == [(reason, "leaderLost")]
        harness.source.stand_by()
        assert len(harness.feed.log) == 1, "what comes from the bus is not lost"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert harness.log == [
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
        harness.feed.is_lost = True
        assert harness.source.is_lost
        assert harness.source.forbidden is None
        harness.announced.forbidden = "publish to x"
        assert harness.source.forbidden == "publish to x"

    run(main())


def test_a_get_that_a_former_leader_does_not_answer_is_sent_to_the_maker():
    async def main():
        harness = Harness()
        harness.bus.can_answer.clear()
        asking = {method: asyncio.create_task(harness.source.ask(method, "/a")) for method in ("GET", "POST")}
        await asyncio.sleep(1)
        harness.source.lead(7)
        assert await asking["GET"] == "maker: GET /a"
        await asyncio.sleep(1)
        assert not asking["POST"].done()
        harness.bus.can_answer.set()
        assert await asking["POST"] == "bus: POST /a"

    run(main())


def test_a_bug_of_a_follower_ends_the_task():
    async def main():
        harness = Harness()
        harness.bus.fails.set()
        with pytest.raises(RuntimeError, match="a bug"):
            await harness.source.run()

    run(main())
