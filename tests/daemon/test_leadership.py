import asyncio
import contextlib
import logging

import pytest

from condord.cluster.bus import BusError
from condord.cluster.election import Election
from condord.cluster.kv import BusRefusal
from condord.daemon.leadership import Leadership
from tests.virtualtime import run

LEASE = 3.0


class FakeLease:
    """Answers from `answers`, or after `delay` seconds that it has the lease; `calls` has what was asked."""

    def __init__(self):
        self.seconds = LEASE
        self.calls = []
        self.answers = []
        self.delay = 0.01
        self.fence = 4
        self.running = 0

    async def _answer(self, call, usual):
        self.calls.append(call)
        self.running += 1
        assert self.running == 1, "calls overlap"
        try:
            await asyncio.sleep(self.delay)
            answer = self.answers.pop(0) if self.answers else usual
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.running -= 1

    async def acquire(self, holder):
        self.fence += 1
        return await self._answer(f"acquire {holder}", self.fence)

    async def renew(self, fence):
        return await self._answer(f"renew {fence}", usual=True)

    async def release(self, fence):
        return await self._answer(f"release {fence}", usual=True)


class FakeTerm:
    """A maker that runs until `ends` is set; `log` has what happened."""

    def __init__(self):
        self.log = []
        self.ends = asyncio.Event()
        self.until = 0.0
        self.pause = 0.0

    async def run(self, fence, until):
        self.log.append(("run", fence))
        self.until = until
        try:
            await self.ends.wait()
            self.ends.clear()
            self.log.append(("ended", fence))
            return self.pause
        except asyncio.CancelledError:
            self.log.append(("killed", fence))
            raise

    def extend(self, until):
        self.until = until

    def stop(self):
        self.log.append("stop")
        self.ends.set()


class Harness:
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.lease, self.term = FakeLease(), FakeTerm()
        election = Election(LEASE, chance=lambda: 0.5)
        self.forbidden = None
        self.leadership = Leadership(
            election, self.lease, self.term, permission=self.permission, holder="me", bus="nats://a", now=loop.time
        )

    async def permission(self):
        if self.forbidden is not None:
            raise self.forbidden


@contextlib.asynccontextmanager
async def leading_harness():
    harness = Harness()
    task = asyncio.create_task(harness.leadership.run())
    try:
        yield harness
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_the_lease_is_taken_renewed_and_the_maker_extended():
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(10.5)
            assert harness.term.log == [("run", 5)]
            assert (harness.leadership.role, harness.leadership.fence) == ("leading", 5)
            assert harness.lease.calls[:3] == ["acquire me", "renew 5", "renew 5"]
            now = asyncio.get_running_loop().time()
            assert 1.0 < harness.term.until - now < LEASE

    run(main())


def test_the_reason_why_the_lease_cannot_be_requested_is_logged_once_with_a_remedy(caplog):
    async def main():
        async with leading_harness() as harness:
            none, other = BusRefusal("JetStream does not answer", "add it"), BusRefusal("the bucket has no TTL")
            harness.lease.answers = [none, none, BusError("no answer in time"), none, other, other, None, none]
            await asyncio.sleep(5)
            assert harness.leadership.role == "leading"

    run(main())
    logged = [record.fields for record in caplog.records if record.message == "The request for the lease failed"]
    first = {"bus": "nats://a", "reason": "JetStream does not answer", "remedy": "add it"}
    assert logged == [first, {"bus": "nats://a", "reason": "the bucket has no TTL"}, first]


def test_an_ingester_that_would_be_ignored_does_not_ask_for_the_lease(caplog):
    async def main():
        async with leading_harness() as harness:
            harness.forbidden = BusRefusal("the bus forbids this user to publish to x", "permit it")
            await asyncio.sleep(5)
            assert harness.lease.calls == []
            assert harness.leadership.role in ("standby", "candidate")
            harness.forbidden = None
            await asyncio.sleep(1)
            assert harness.leadership.role == "leading"

    run(main())
    logged = [record.fields for record in caplog.records if record.message == "The request for the lease failed"]
    reason = "the bus forbids this user to publish to x"
    assert logged == [{"bus": "nats://a", "reason": reason, "remedy": "permit it"}]


def test_a_fence_that_does_not_rise_is_logged_once_with_a_remedy(caplog):
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            harness.lease.fence = 1
            harness.lease.answers = [False]
            await asyncio.sleep(2.0)
            assert harness.leadership.role != "leading"
            assert len([call for call in harness.lease.calls if call.startswith("release")]) > 1

    run(main())
    [logged] = [record.fields for record in caplog.records if record.message == "The request for the lease failed"]
    assert logged["reason"] == "its fence is not above 5, the last one"
    assert "clock" in logged["remedy"]


def test_the_last_fence_it_had_itself_is_released_without_an_error(caplog):
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            assert harness.leadership.fence == 5
            harness.lease.fence = 4  # each acquisition adds one
            harness.lease.answers = [False]
            await asyncio.sleep(2.0)
            assert "release 5" in harness.lease.calls

    run(main())
    assert [record for record in caplog.records if record.message == "The request for the lease failed"] == []


def test_a_request_that_never_ends_has_a_reason_in_the_log(caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        async with leading_harness() as harness:
            harness.lease.delay = 1000.0
            await asyncio.sleep(3 * LEASE)

    run(main())
    logged = [
        record.fields["reason"] for record in caplog.records if record.message == "The request for the lease failed"
    ]
    assert logged == ["no answer in time"]


def test_a_standby_asks_again_until_the_lease_is_free():
    async def main():
        async with leading_harness() as harness:
            harness.lease.answers = [None, BusError("lost"), None]
            await asyncio.sleep(0.9)
            assert (harness.leadership.role, harness.leadership.fence) == ("standby", None)
            await asyncio.sleep(1.0)
            assert harness.leadership.role == "leading"

    run(main())


@pytest.mark.parametrize("answer", [False, "none"])
def test_the_maker_is_killed_in_time_if_the_lease_is_lost_or_unanswered(answer):
    async def main():
        async with leading_harness() as harness:
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(0.5)
            if answer == "none":
                harness.lease.delay = 1000
            else:
                harness.lease.answers = [answer]
            while len(harness.term.log) == 1:  # noqa: ASYNC110 - the clock is virtual
                await asyncio.sleep(0.01)
            assert harness.term.log == [("run", 5), ("killed", 5)]
            assert asyncio.get_running_loop().time() - began <= (LEASE if answer == "none" else 1.1)
            harness.lease.delay = 0.01
            await asyncio.sleep(3 * LEASE)
            assert harness.term.log[2:] == [("run", 6 if answer is False else harness.lease.fence)]

    run(main())


def test_an_unanswered_renewal_is_tried_again_and_its_beginning_and_end_are_logged(caplog):
    caplog.set_level(logging.INFO)

    async def main():
        async with leading_harness() as harness:
            for _ in range(2):
                await asyncio.sleep(0.5)
                harness.lease.answers = [BusError("lost"), BusError("lost")]
                await asyncio.sleep(6)
            assert harness.term.log == [("run", 5)]

    run(main())
    logged = [record for record in caplog.records if record.message.startswith("The lease")]
    assert [record.message for record in logged] == 2 * ["The lease was not renewed", "The lease is renewed again"]
    assert logged[1].fields == {"fence": 5, "lasted_seconds": 1.0}


@pytest.mark.parametrize("delay", [0.01, 60.0])
def test_a_term_that_ends_without_an_answer_is_known_as_such(delay):
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            assert not harness.leadership.is_unanswered
            harness.lease.delay = delay
            harness.lease.answers = [BusError("lost")] * 99
            await asyncio.sleep(LEASE)
            assert harness.term.log == [("run", 5), ("killed", 5)]
            assert harness.leadership.is_unanswered

    run(main())


def test_a_request_that_has_just_been_made_is_not_unanswered():
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            harness.lease.delay = LEASE / 4
            for _ in range(100):
                await asyncio.sleep(LEASE / 30)
                assert not harness.leadership.is_unanswered
            assert harness.term.log == [("run", 5)]

    run(main())


def test_after_a_maker_ends_by_itself_others_may_take_the_lease_during_its_pause():
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            harness.term.pause = 4.0
            harness.term.ends.set()
            await asyncio.sleep(3.5)
            assert harness.lease.calls[-1] == "release 5"
            assert harness.leadership.role == "standby"
            await asyncio.sleep(1.0)
            assert harness.term.log == [("run", 5), ("ended", 5), ("run", 6)]

    run(main())


def test_leaving_ends_the_maker_gracefully_and_releases_the_lease():
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
            await harness.leadership.leave()
            assert harness.term.log == [("run", 5), "stop", ("ended", 5)]
            assert harness.lease.calls[-1] == "release 5"
            await asyncio.sleep(5)
            assert harness.lease.calls[-1] == "release 5"

    run(main())


def test_a_standby_leaves_at_once_and_a_shorter_lease_of_others_applies():
    async def main():
        async with leading_harness() as harness:
            harness.lease.answers = [None]
            await asyncio.sleep(0.3)
            await harness.leadership.leave()
            assert harness.term.log == []
        async with leading_harness() as harness:
            harness.lease.seconds = 1.0
            await asyncio.sleep(0.2)
            assert harness.term.until < 1.0 + asyncio.get_running_loop().time()

    run(main())


def test_a_bug_in_the_term_ends_the_task():
    async def main():
        harness = Harness()

        async def fail(_fence, _until):
            raise RuntimeError("a bug")

        harness.term.run = fail
        with pytest.raises(ExceptionGroup):
            await harness.leadership.run()

    run(main())


def test_the_end_of_the_task_kills_the_maker():
    async def main():
        async with leading_harness() as harness:
            await asyncio.sleep(0.5)
        assert harness.term.log == [("run", 5), ("killed", 5)]

    run(main())
