import asyncio
import contextlib

import pytest

from condord.upstream.poller import PACE_SECONDS, RETRY_SECONDS
from condord.upstream.quote_polls import QuotePolls
from condord.upstream.quote_reader import POLL_SECONDS
from tests.fakes.alpaca import CONDOR, FakeSink
from tests.virtualtime import run


class Harness:
    """Polls on a virtual clock. `began` has what was read and when; `good` is what `is_good` returns."""

    def __init__(self, *, is_open=True, requests=1):
        self.began = []
        self.polled = 0
        self.unneeded = []
        self.lacking = CONDOR
        self.good = True
        self.asks_again = False
        self.poll_seconds = POLL_SECONDS
        self.requests = requests
        self.sink = FakeSink()
        self.sink.symbols = CONDOR
        self.polls = QuotePolls(
            self,
            sink=self.sink,
            refresh_seconds=60.0,
            is_open=lambda: is_open,
            polled=self._note,
            noting=contextlib.nullcontext,
            unneeded=self.unneeded.append,
            is_good=lambda reading: reading == "quotes" and self.good,
        )

    def _note(self):
        self.polled += 1

    def read_seconds(self, refresh_seconds, silence_seconds):
        return min(refresh_seconds, silence_seconds)

    async def read(self):
        self._begin("read")
        if self.asks_again:
            self.polls.ask()

    async def poll(self):
        self._begin("poll")

    def _begin(self, what):
        self.began.append((what, asyncio.get_running_loop().time() - self.start))

    def times(self, what, until):
        """When reads of a kind began within `until` seconds."""

        async def main():
            self.start = asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until):
                    await asyncio.gather(*self.polls.tasks())

        run(main())
        return [round(at, 6) for kind, at in self.began if kind == what]


def test_all_quotes_are_read_once_per_period_and_what_the_stream_lacks_more_often():
    harness = Harness()
    assert harness.times("read", 130) == [60.0, 120.0]
    assert [at for what, at in harness.began if what == "poll"] == [POLL_SECONDS * number for number in range(26)]


def test_all_quotes_are_read_soon_after_they_are_asked_for():
    harness = Harness()
    harness.polls.ask()
    assert harness.times("read", 10) == [0.0]


def test_without_contracts_nothing_is_asked_for():
    harness = Harness()
    harness.sink.symbols = ()
    harness.polls.ask()
    assert harness.times("read", 10) == []


def test_what_is_not_requested_is_not_noted_as_read():
    harness = Harness()
    harness.sink.symbols = harness.lacking = ()
    assert harness.times("read", 61) == []
    assert set(harness.unneeded) == {"quotes", "poll"}
    assert [what for what, _ in harness.began] == []


def test_while_the_market_is_closed_nothing_is_polled_and_that_counts_as_an_answer():
    harness = Harness(is_open=False)
    assert harness.times("poll", 12) == []
    assert harness.polled == 3


def test_a_failed_read_is_repeated_soon():
    harness = Harness()
    harness.good = False
    harness.polls.ask()
    assert harness.times("read", RETRY_SECONDS + 1) == [0.0, RETRY_SECONDS]


@pytest.mark.parametrize("requests", [1, 4])
def test_reads_on_request_are_further_apart_the_more_requests_they_take(requests):
    harness = Harness(requests=requests)
    harness.asks_again = True
    harness.polls.set_periods(60.0, 60.0)
    harness.polls.ask()
    began = harness.times("read", 40)
    assert began[3] - began[2] == PACE_SECONDS * requests


def test_the_periods_follow_the_settings_and_the_number_of_symbols():
    harness = Harness()
    harness.poll_seconds = 2 * POLL_SECONDS
    harness.polls.set_periods(60.0, 30.0)
    assert harness.times("read", 70) == [30.0, 60.0]
    polled = [at for what, at in harness.began if what == "poll"]
    assert polled[1] - polled[0] == 2 * POLL_SECONDS
