import asyncio
import contextlib

import pytest

from condord.cluster.bus import Unanswered
from condord.cluster.fenced import Overtaken
from condord.cluster.maker_channel import Begin, Keep, MakerError, StateCopy
from condord.daemon.term import LOOK_SECONDS, READ_SECONDS, START_SECONDS, STUCK_LOOKS, MakerTerm
from condord.errors import ConfigError
from tests.virtualtime import run

COPY = StateCopy(kind="life", name="life.json", content=b"1")
BEGIN = Begin(config_file=None, account_mark="a1b2", flags={}, state_directory="")


class FakeMaker:
    """A maker that runs until `ends` has its exit code."""

    def __init__(self):
        self.pid = 1
        self.is_serving = asyncio.Event()
        self.is_serving.set()
        self.has_read = asyncio.Event()
        self.ends = asyncio.get_running_loop().create_future()
        self.ending = self.fatal = None
        self.begun = None
        self.until = None
        self.log = []

    def begin(self, begin, until):
        self.begun, self.until = begin, until

    def extend(self, until):
        self.until = until

    def reload(self):
        self.log.append("reload")

    def confirm(self, kept):
        self.log.append(kept)

    async def wait(self):
        return await asyncio.shield(self.ends)

    def end(self, code):
        if not self.ends.done():
            self.ends.set_result(code)

    async def stop(self):
        self.log.append("stop")
        await asyncio.sleep(0.5)
        self.end(0)

    async def kill(self):
        self.log.append("kill")
        self.end(-9)


class Scene:
    """What a term needs; it is itself what is served, and the state on the bus."""

    def __init__(self):
        self.maker = FakeMaker()
        self.is_lost = False
        self.log = []
        self.answer = [COPY]
        self.written = []
        self.releases = []
        self.term = MakerTerm(
            lambda: BEGIN, ready=self, copies=lambda _fence: self, served=self, history=self, end=self.log.append
        )

    async def take(self):
        if isinstance(self.maker, Exception):
            raise self.maker
        return self.maker

    def want(self):
        self.log.append("want")

    async def take_over(self, _kinds):
        await asyncio.sleep(0.1)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def write(self, copy):
        self.written.append(copy)

    def lead(self, fence):
        self.log.append(("lead", fence))

    async def release(self):
        self.releases.append(self.maker.begun)

    def resume(self):
        self.log.append("resume")

    def stand_by(self):
        self.log.append("stand by")


def test_a_maker_begins_with_the_state_of_the_bus_and_is_served_once_it_has_read():
    async def main():
        scene = Scene()
        running = asyncio.create_task(scene.term.run(7, 50.0))
        scene.term.extend(51.0)
        await asyncio.sleep(0.2)
        assert scene.maker.begun.copies == (COPY,)
        assert scene.releases == [None]  # before the maker began
        assert scene.maker.until == 51.0
        assert scene.log == []
        scene.maker.has_read.set()
        await asyncio.sleep(0.1)
        assert scene.log == [("lead", 7)]
        scene.term.extend(52.0)
        scene.term.reload()
        scene.maker.keep(Keep(number=1, copy=COPY))
        await asyncio.sleep(0.1)
        assert scene.written == [COPY]
        assert (scene.maker.until, scene.maker.log[0], scene.maker.log[1].number) == (52.0, "reload", 1)
        scene.term.stop()
        assert await running == 0.0
        assert scene.log == [("lead", 7), "stand by", "resume", "want"]

    run(main())


def test_what_reads_nothing_in_time_is_served_all_the_same():
    async def main():
        scene = Scene()
        running = asyncio.create_task(scene.term.run(7, 50.0))
        await asyncio.sleep(READ_SECONDS + 0.2)
        assert scene.log == [("lead", 7)]
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert scene.maker.log == ["kill"]
        assert scene.log == [("lead", 7), "stand by", "resume", "want"]

    run(main())


def test_a_maker_from_which_nothing_comes_is_killed():
    async def main():
        scene = Scene()
        scene.maker.has_read.set()
        running = asyncio.create_task(scene.term.run(7, 50.0))
        for _ in range(3):
            scene.is_lost = not scene.is_lost
            await asyncio.sleep(LOOK_SECONDS * (STUCK_LOOKS - 2))
        assert scene.maker.log == []
        await asyncio.sleep(LOOK_SECONDS * 3)
        assert scene.maker.log[0] == "kill"
        assert await running > 0

    run(main())


def test_a_maker_that_does_not_get_to_serve_is_killed():
    async def main():
        scene = Scene()
        scene.maker.is_serving.clear()
        running = asyncio.create_task(scene.term.run(7, 50.0))
        await asyncio.sleep(START_SECONDS - 1)
        assert scene.maker.log == []
        assert await running > 0
        assert scene.maker.log[0] == "kill"
        assert ("lead", 7) not in scene.log

    run(main())


def test_others_may_lead_for_longer_each_time_that_a_maker_ends_by_itself():
    async def main():
        scene, pauses = Scene(), []
        for _ in range(4):
            scene.maker = FakeMaker()
            scene.maker.ending = MakerError(exit_code=69, text="another condord uses this key", hint="")
            scene.maker.end(69)
            pauses.append(await scene.term.run(7, 50.0))
        assert pauses == sorted(pauses)
        assert pauses[3] > 2
        scene.maker = OSError(11, "no processes")
        assert await scene.term.run(8, 50.0) > 0

    run(main())


def test_an_error_that_no_other_attempt_changes_ends_the_process():
    async def main():
        scene = Scene()
        scene.maker.fatal = ConfigError(["a fault"])
        scene.maker.end(78)
        await scene.term.run(7, 50.0)
        assert scene.log == [scene.maker.fatal, "stand by", "resume", "want"]

    run(main())


@pytest.mark.parametrize("answer", [Unanswered("lost"), Overtaken()])
def test_without_the_earlier_state_no_maker_begins(answer):
    async def main():
        scene = Scene()
        scene.answer = answer
        assert await scene.term.run(7, 50.0) == 0.0
        assert scene.maker.begun is None
        assert scene.maker.log == ["kill"]

    run(main())


def test_a_stop_during_the_takeover_ends_the_maker_before_it_serves():
    async def main():
        scene = Scene()
        running = asyncio.create_task(scene.term.run(7, 50.0))
        await asyncio.sleep(0.05)
        scene.term.stop()
        assert await running == 0.0
        assert scene.maker.begun is None
        assert scene.maker.log[0] == "stop"

    run(main())
