import asyncio
import contextlib

import pytest

from condord.cluster.bus import BusError
from condord.cluster.fenced import StaleFence
from condord.cluster.maker_channel import Begin, KeepCopy, MakerError, StateCopy
from condord.daemon.term import MIN_SILENCE_SECONDS, READ_SECONDS, START_SECONDS, UNSERVED_SECONDS, MakerTerm
from condord.errors import ConfigError
from tests.virtualtime import run

LEASE = 3.0
COPY = StateCopy(kind="life", name="life.json", content=b"1")
BEGIN = Begin(config_file=None, account_digest="a1b2", flags={}, state_directory="")


class FakeMaker:
    """A maker that runs until `ends` has its exit code. It hangs if it is `stopped`."""

    def __init__(self):
        self.pid = 1
        self.is_loaded, self.has_begun, self.is_alive = [asyncio.Event() for _ in range(3)]
        for stage in (self.is_loaded, self.has_begun, self.is_alive):
            stage.set()
        self.stopped = False
        self._beats = 0
        self.is_serving = asyncio.Event()
        self.is_serving.set()
        self.has_read = asyncio.Event()
        self.ends = asyncio.get_running_loop().create_future()
        self.ending = self.fatal = None
        self.begun = None
        self.until = None
        self.log = []

    @property
    def beats(self):
        self._beats += not self.stopped
        return self._beats

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


class Harness:
    """The parts that a term needs. The harness itself stands in for the front and for the state on the bus."""

    def __init__(self):
        self.maker = FakeMaker()
        self.is_lost = False
        self.forbidden = None
        self.log = []
        self.answer = [COPY]
        self.written = []
        self.releases = []
        self.lease_seconds = LEASE
        self.term = MakerTerm(
            lambda: BEGIN,
            ready=self,
            copies=lambda _fence: self,
            switch=self,
            history=self,
            end=self.log.append,
            lease_seconds=lambda: self.lease_seconds,
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
        harness = Harness()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        harness.term.extend(51.0)
        await asyncio.sleep(0.2)
        assert harness.maker.begun.copies == (COPY,)
        assert harness.releases == [None]  # before the maker began
        assert harness.maker.until == 51.0
        assert harness.log == []
        harness.maker.has_read.set()
        await asyncio.sleep(0.1)
        assert harness.log == [("lead", 7)]
        harness.term.extend(52.0)
        harness.term.reload()
        harness.maker.keep(KeepCopy(number=1, copy=COPY))
        await asyncio.sleep(0.1)
        assert harness.written == [COPY]
        assert (harness.maker.until, harness.maker.log[0], harness.maker.log[1].number) == (52.0, "reload", 1)
        harness.term.stop()
        assert await running == 0.0
        assert harness.log == [("lead", 7), "stand by", "resume", "want"]

    run(main())


def test_a_maker_that_reads_nothing_in_time_is_still_served():
    async def main():
        harness = Harness()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(READ_SECONDS + 0.2)
        assert harness.log == [("lead", 7)]
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert harness.maker.log == ["kill"]
        assert harness.log == [("lead", 7), "stand by", "resume", "want"]

    run(main())


def test_a_maker_that_sends_nothing_is_killed():
    async def main():
        harness = Harness()
        harness.maker.has_read.set()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        for _ in range(3):
            harness.is_lost = not harness.is_lost
            await asyncio.sleep(UNSERVED_SECONDS - 1)
        assert harness.maker.log == []
        await asyncio.sleep(2.0)
        assert harness.maker.log[0] == "kill"
        assert await running > 0

    run(main())


def test_a_maker_whose_events_the_bus_forbids_is_killed(caplog):
    async def main():
        harness = Harness()
        harness.maker.has_read.set()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(5)
        assert harness.maker.log == []
        harness.forbidden = "publish to x"
        assert await running > 0
        assert harness.maker.log[0] == "kill"
        assert harness.log[-3:] == ["stand by", "resume", "want"]

    run(main())
    (killed,) = [record.fields for record in caplog.records if record.message == "The maker is killed"]
    assert killed["reason"] == "the bus forbids this user to publish to x"


@pytest.mark.parametrize(("lease", "bound"), [(LEASE, LEASE), (10.0, 10.0), (1.0, MIN_SILENCE_SECONDS)])
def test_a_maker_that_hangs_is_killed_after_a_lease_and_one_that_stalls_is_not(lease, bound, caplog):
    async def main():
        harness = Harness()
        harness.lease_seconds = lease
        running = asyncio.create_task(harness.term.run(7, 50.0))
        for _ in range(3):
            await asyncio.sleep(1.0)
            harness.maker.stopped = True
            await asyncio.sleep(bound - 0.5)
            harness.maker.stopped = False
        assert harness.maker.log == []
        await asyncio.sleep(1.0)
        harness.maker.stopped = True
        begun = asyncio.get_running_loop().time()
        assert await running > 0
        assert asyncio.get_running_loop().time() - begun < bound + 1
        assert harness.maker.log[0] == "kill"

    run(main())
    killed, ended = [record.fields for record in caplog.records]
    assert killed["reason"] == f"its event loop has not run for {bound:g} s"
    assert ended["signal"] == "SIGKILL"
    assert "reason" not in ended


def test_a_front_that_was_stopped_itself_does_not_take_its_maker_for_hung():
    async def main():
        harness = Harness()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(1.0)
        harness.maker.stopped = True
        asyncio.get_running_loop()._now += (
            60.0  # what the maker has reported meanwhile comes in the same iteration of the loop
        )
        harness.maker.stopped = False
        await asyncio.sleep(1.0)
        assert harness.maker.log == []
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    run(main())


@pytest.mark.parametrize(
    ("stage", "seconds"), [("is_loaded", START_SECONDS), ("has_begun", LEASE), ("is_alive", START_SECONDS)]
)
def test_a_maker_that_hangs_before_it_runs_is_killed(stage, seconds):
    """A maker that has waited for long may have hung since; then it does not read what it begins with."""

    async def main():
        harness = Harness()
        getattr(harness.maker, stage).clear()
        harness.maker.is_alive.clear()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(seconds - 1)
        assert harness.maker.log == []
        await asyncio.sleep(2)
        assert harness.maker.log[0] == "kill"
        assert await running > 0

    run(main())


@pytest.mark.parametrize(
    ("code", "ending", "fields"),
    [
        (-9, None, {"signal": "SIGKILL"}),
        (1, None, {"exit_code": 1}),
        (75, None, {"exit_code": 75, "reason": "its lease was not renewed in time"}),
        (69, MakerError(exit_code=69, text="a fault", hint=""), {"exit_code": 69, "reason": "a fault"}),
        (69, MakerError(exit_code=69, text="a", hint="Do it."), {"exit_code": 69, "reason": "a", "remedy": "Do it."}),
    ],
)
def test_the_log_has_how_a_maker_ended_and_no_empty_reason(code, ending, fields, caplog):
    async def main():
        harness = Harness()
        harness.maker.ending = ending
        harness.maker.end(code)
        await harness.term.run(7, 50.0)
        assert harness.term.obstacle == (None if ending is None else ending.text)

    run(main())
    found = caplog.records[-1].fields
    assert {name: found[name] for name in found if name not in ("pid", "pause_seconds")} == fields


def test_why_it_could_not_lead_is_known_until_a_maker_serves():
    async def main():
        harness = Harness()
        harness.term.obstacle = "another condord uses this key"
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(5)
        assert harness.term.obstacle is None
        harness.maker.end(0)
        await running

    run(main())


def test_a_maker_that_never_begins_to_serve_is_killed():
    async def main():
        harness = Harness()
        harness.maker.is_serving.clear()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(START_SECONDS - 1)
        assert harness.maker.log == []
        assert await running > 0
        assert harness.maker.log[0] == "kill"
        assert ("lead", 7) not in harness.log

    run(main())


def test_others_may_lead_for_longer_each_time_that_a_maker_ends_by_itself():
    async def main():
        harness, pauses = Harness(), []
        for _ in range(4):
            harness.maker = FakeMaker()
            harness.maker.ending = MakerError(exit_code=69, text="another condord uses this key", hint="")
            harness.maker.end(69)
            pauses.append(await harness.term.run(7, 50.0))
        assert pauses == sorted(pauses)
        assert pauses[3] > 2
        harness.maker = OSError(11, "no processes")
        assert await harness.term.run(8, 50.0) > 0

    run(main())


def test_a_permanent_error_ends_the_process():
    async def main():
        harness = Harness()
        harness.maker.fatal = ConfigError(["a fault"])
        harness.maker.end(78)
        await harness.term.run(7, 50.0)
        assert harness.log == [harness.maker.fatal, "stand by", "resume", "want"]

    run(main())


@pytest.mark.parametrize("answer", [BusError("lost"), StaleFence(3, 8)])
def test_without_the_earlier_state_no_maker_begins(answer, caplog):
    async def main():
        harness = Harness()
        harness.answer = answer
        pause_seconds = await harness.term.run(7, 50.0)
        assert (pause_seconds > 0) == isinstance(answer, StaleFence)  # another attempt may not change it
        assert harness.maker.begun is None
        assert harness.maker.log == ["kill"]
        fields = caplog.records[0].fields
        assert fields["reason"]
        assert (fields.get("higher_fence") == 8) == isinstance(answer, StaleFence)

    run(main())


def test_a_stop_during_the_takeover_ends_the_maker_before_it_serves():
    async def main():
        harness = Harness()
        running = asyncio.create_task(harness.term.run(7, 50.0))
        await asyncio.sleep(0.05)
        harness.term.stop()
        assert await running == 0.0
        assert harness.maker.begun is None
        assert harness.maker.log[0] == "stop"

    run(main())
