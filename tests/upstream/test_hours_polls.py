import asyncio
import contextlib

import pytest

from condord.upstream.hours_polls import HoursPolls
from condord.upstream.poller import RETRY_SECONDS
from tests.fakes.alpaca import FakeSink
from tests.virtualtime import run, settle

REFRESH_SECONDS = 60.0


class Harness:
    """Polls on a virtual clock. It is the reader; `bad` has the names of the readings that fail."""

    def __init__(self, *bad):
        self.bad = bad
        self.begun = []
        self.calendar = object()
        self.exchange_time = None
        self.sink = FakeSink()
        self.polls = HoursPolls(
            self,
            sink=self.sink,
            refresh_seconds=REFRESH_SECONDS,
            noting=contextlib.nullcontext,
            is_good=lambda reading: reading not in self.bad,
        )

    async def read_clock(self):
        self.begun.append("clock")

    async def read_calendar(self):
        self.begun.append("calendar")

    def run(self, seconds, act=lambda: None):
        """What is read within `seconds` after `act`, which comes when the polls of the start are over."""

        async def main():
            tasks = [asyncio.ensure_future(task) for task in self.polls.tasks()]
            await settle()
            self.begun.clear()
            act()
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()

        run(main())
        return self.begun


def test_both_are_read_once_per_period():
    assert set(Harness().run(REFRESH_SECONDS + 1.0)) == {"clock", "calendar"}


def test_on_request_the_clock_is_read_soon_and_the_calendar_after_it():
    harness = Harness()
    assert harness.run(1.0, harness.polls.ask) == ["clock", "calendar"]


@pytest.mark.parametrize(("bad", "read"), [("clock", ["clock", "calendar"]), ("calendar", ["calendar"])])
def test_only_what_has_failed_is_read_again_soon(bad, read):
    assert Harness(bad).run(RETRY_SECONDS + 1.0) == read


def test_the_sink_gets_the_calendar_and_the_time_once_they_are_known():
    harness = Harness()
    harness.polls.pass_time()
    assert harness.sink.exchange_times == []
    harness.exchange_time = "now"
    harness.run(1.0)
    assert harness.sink.calendar is harness.calendar
    assert set(harness.sink.exchange_times) == {"now"}
