import asyncio
import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.upstream.poller import BURST, MAX_DOUBLINGS, PACE_SECONDS, RETRY_SECONDS, Poller
from tests import virtualtime


class Harness:
    """A reading on a virtual clock: when it began, and what each attempt returns (True once `outcomes` are used up)."""

    def __init__(self, *outcomes, seconds=0.0):
        self.began = []
        self._outcomes = list(outcomes)
        self._seconds = seconds

    async def read(self):
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._seconds)
        return self._outcomes.pop(0) if self._outcomes else True

    def run_scenario(self, until, asks=(), pause=0.0, **options):
        """When readings began within `until` seconds, of one that is asked for at each of `asks`."""

        async def main():
            reading = Poller(self.read, options.pop("period", 60.0), **options)
            loop = asyncio.get_running_loop()
            began = loop.time()
            for at in asks:
                loop.call_at(began + at, reading.ask)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until):
                    await reading.run(pause)
            return [round(at - began, 6) for at in self.began]

        return virtualtime.run(main())


def test_a_poller_reads_at_once_and_then_in_every_period():
    assert Harness().run_scenario(130.0) == [0.0, 60.0, 120.0]


def test_a_reading_that_is_not_due_waits_for_its_period():
    assert Harness().run_scenario(130.0, is_due=False) == [60.0, 120.0]


def test_a_requested_reading_happens_soon_and_the_period_begins_again():
    assert Harness().run_scenario(80.0, asks=[10.0]) == [0.0, 10.0, 70.0]


def test_asking_during_a_reading_starts_another_after_it():
    assert Harness(seconds=5.0).run_scenario(20.0, asks=[1.0, 2.0]) == [0.0, 5.0]


def test_a_pause_gathers_the_requests_of_a_burst():
    assert Harness().run_scenario(20.0, asks=[10.0, 10.1, 10.2], pause=0.5, is_due=False) == [10.5]


def test_a_failure_is_tried_again_before_its_period():
    assert Harness(False, False).run_scenario(40.0) == [0.0, RETRY_SECONDS, 2 * RETRY_SECONDS]


def test_a_poller_that_grows_waits_longer_after_each_failure_up_to_the_period():
    began = Harness(*[False] * 9).run_scenario(1_000.0, period=100.0, backs_off=True)
    pauses = [after - before for before, after in itertools.pairwise(began)]
    assert pauses[:8] == [5.0, 10.0, 20.0, 40.0, 80.0, 100.0, 100.0, 100.0]
    assert RETRY_SECONDS * 2**MAX_DOUBLINGS > 100.0


def test_a_success_resets_the_wait():
    began = Harness(False, False, True, False).run_scenario(300.0, period=100.0, backs_off=True)
    assert began == [0.0, 5.0, 15.0, 115.0, 120.0, 220.0]


@given(st.lists(st.floats(0.0, 60.0), max_size=60), st.floats(0.0, 3.0))
def test_a_flood_costs_a_burst_and_then_one_reading_a_pace(asks, seconds):
    began = Harness(seconds=seconds).run_scenario(90.0, asks=asks, period=1_000.0)
    assert began
    for first, at in enumerate(began):
        for count, later in enumerate(began[first:], start=1):
            assert count <= BURST + (later - at) / PACE_SECONDS + 1e-6
    assert not asks or began[-1] >= max(asks) - seconds - 1e-6


def test_cancelling_it_ends_it():
    async def main():
        task = asyncio.create_task(Poller(Harness().read, 60.0).run())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtualtime.run(main())
