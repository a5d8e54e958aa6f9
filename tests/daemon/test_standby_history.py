import asyncio
import contextlib
import datetime as dt
import logging

import pytest

from condord.cluster.bus import BusError
from condord.daemon.minute_queue import STOP_SECONDS
from condord.daemon.standby_history import RecordedSink, StandbyHistory
from condord.history.file import StoredAccount
from tests import virtualtime
from tests.daemon.relay_harness import RelayHarness
from tests.fakes.history_store import FakeFault, FakeHistoryStore
from tests.live.accounts import C630, C640, CLOSED, P560, P570, SPY_ID, status, tick

MARKS = {P570: 1.70, C630: 1.30, C640: 0.90}
ONE, OTHER = "1" * 20, "2" * 20
STEP_SECONDS = 0.5


class Harness:
    """A relay that stands by, and what it records; `answer` is what the bus answers about the account."""

    def __init__(self):
        self.answer = ONE
        self.asked = asyncio.Event()
        self.can_answer = asyncio.Event()
        self.can_answer.set()
        self.is_enabled = True
        self.stores = []
        self.lasts = []
        self.relay = RelayHarness()
        self.source = self.relay.source
        self.history = StandbyHistory(
            self.relay.replica.edition,
            account_hash=self.ask,
            is_enabled=lambda: self.is_enabled,
            open_store=self.open_store,
            now_at=self.relay.clock,
        )
        self.sink = RecordedSink(self.relay.feed, self.history)
        self.number = 0

    async def __aenter__(self):
        self._task = asyncio.create_task(self.history.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def ask(self):
        self.asked.set()
        await self.can_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def open_store(self, lasts):
        self.lasts.append(lasts)
        self.stores.append(FakeHistoryStore())
        return self.stores[-1]

    def quote(self, put):
        """The source publishes a value: at 0.90 it is 230 dollars, at 0.40 it is 130."""
        self.number += 1
        marks = {**MARKS, P560: put}
        self.source.offer(*(tick(symbol, mark - 0.01, mark + 0.01, self.number) for symbol, mark in marks.items()))

    def events(self):
        return self.relay.reading.feed(self.relay.upstream.take(lambda: self.source.now_at))

    async def wait(self, seconds, *, passes=True):
        """Let time pass for both; what is published is passed on, if `passes`."""
        for _ in range(round(seconds / STEP_SECONDS)):
            self.source.wait(STEP_SECONDS)
            for event in self.events() if passes else ():
                self.sink.take(event)
            await asyncio.sleep(STEP_SECONDS)

    async def end_minute(self, **options):
        await self.wait(60 - self.source.now_at.timestamp() % 60 + 2, **options)

    @property
    def recorded(self):
        """The account and the values of the condor in each minute, by database."""
        return [
            [
                (account, row.cents, row.low, row.high)
                for account, rows in store.recorded
                for row in rows
                if row.holding is not None and row.holding.condor_id == SPY_ID
            ]
            for store in self.stores
        ]


def run_scenario(scenario):
    async def main():
        async with Harness() as harness:
            await scenario(harness)

    virtualtime.run(main())


def account(account_hash):
    return StoredAccount(account_hash, "simulator")


def test_minutes_are_recorded_for_the_account_of_the_leader():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.wait(1)
        harness.quote(0.40)
        await harness.end_minute()
        await harness.end_minute()
        assert harness.recorded == [[(account(ONE), 13_000, 13_000, 23_000), (account(ONE), 13_000, 13_000, 13_000)]]
        assert harness.lasts == [False]

    run_scenario(scenario)


def test_the_history_of_an_account_at_alpaca_is_kept():
    async def scenario(harness):
        harness.source.set_status(status(source="alpaca-live"))
        harness.quote(0.90)
        await harness.end_minute()
        assert harness.lasts == [True]
        assert harness.recorded[0][0][0] == StoredAccount(ONE, "alpaca-live")

    run_scenario(scenario)


def test_before_a_maker_begins_the_running_minute_is_stored_and_the_database_is_closed():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.wait(1)
        await harness.history.release()
        assert harness.recorded == [[(account(ONE), 23_000, 23_000, 23_000)]]
        assert harness.stores[0].is_closed
        await harness.end_minute()
        await harness.history.release()
        assert len(harness.stores) == 1

    run_scenario(scenario)


def test_when_the_maker_has_ended_the_front_opens_the_database_and_records_again():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.wait(1)
        await harness.history.release()
        harness.quote(0.40)
        await harness.wait(1)
        harness.history.resume()
        harness.history.resume()
        harness.quote(1.00)
        await harness.end_minute()
        assert harness.recorded[1] == [(account(ONE), 25_000, 25_000, 25_000)]
        assert not harness.stores[1].is_closed

    run_scenario(scenario)


def test_the_last_event_counts_even_if_a_maker_begins_in_the_same_turn():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.wait(1)
        harness.quote(0.40)
        harness.source.wait(1.0)
        for event in harness.events():
            harness.sink.take(event)
        await harness.history.release()
        assert harness.recorded == [[(account(ONE), 13_000, 13_000, 23_000)]]

    run_scenario(scenario)


def test_a_takeover_does_not_wait_for_the_bus_if_the_account_is_known():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.end_minute()
        harness.can_answer.clear()
        before = asyncio.get_running_loop().time()
        await harness.history.release()
        assert asyncio.get_running_loop().time() == before
        assert len(harness.recorded[0]) == 2

    run_scenario(scenario)


def test_an_answer_of_the_bus_after_a_maker_has_begun_opens_no_database():
    async def scenario(harness):
        harness.can_answer.clear()
        harness.quote(0.90)
        await harness.end_minute()
        assert harness.asked.is_set()
        before = asyncio.get_running_loop().time()
        await harness.history.release()
        assert asyncio.get_running_loop().time() == before + STOP_SECONDS
        harness.can_answer.set()
        await harness.wait(5)
        assert harness.stores == []
        harness.history.resume()
        await harness.end_minute()
        await harness.end_minute()
        assert len(harness.recorded) == 1

    run_scenario(scenario)


@pytest.mark.parametrize("answer", [None, BusError("the bus is lost")])
def test_without_a_known_account_nothing_is_recorded(answer):
    async def scenario(harness):
        harness.answer = answer
        harness.quote(0.90)
        await harness.end_minute()
        assert harness.stores == []
        harness.answer = ONE
        await harness.end_minute()
        harness.answer = answer
        await harness.end_minute()
        assert [row[0] for row in harness.recorded[0]] == [account(ONE)] * 2

    run_scenario(scenario)


def test_the_minute_in_which_the_account_becomes_another_one_is_left_out():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.end_minute()
        harness.answer = OTHER
        await harness.end_minute()
        await harness.end_minute()
        assert [row[0] for row in harness.recorded[0]] == [account(ONE), account(OTHER)]

    run_scenario(scenario)


def test_without_history_nothing_is_recorded():
    async def scenario(harness):
        harness.is_enabled = False
        harness.quote(0.90)
        await harness.end_minute()
        await harness.history.release()
        assert harness.stores == []

    run_scenario(scenario)


def test_while_the_leader_is_lost_every_value_is_unknown():
    async def scenario(harness):
        harness.quote(0.90)
        await harness.wait(1)
        harness.sink.lose("it is gone", "leaderLost")
        assert harness.sink.is_lost
        await harness.end_minute(passes=False)
        await harness.end_minute(passes=False)
        assert [row[1] for row in harness.recorded[0]] == [23_000, None]

    run_scenario(scenario)


def test_the_last_document_of_a_lost_leader_has_no_values():
    async def scenario(harness):
        harness.quote(0.90)
        harness.source.wait(1.0)
        harness.sink.begin()
        for event in harness.events():
            harness.sink.take(event)
        harness.sink.lose("it does not answer", "leaderLost")
        assert harness.sink.resume_version == harness.source.edition.version
        assert not harness.sink.needs_snapshot
        await harness.end_minute(passes=False)
        assert [row[1] for row in harness.recorded[0]] in ([], [None])

    run_scenario(scenario)


def test_outside_the_session_nothing_is_recorded():
    async def scenario(harness):
        harness.source.set_status(status("closed", market=CLOSED))
        harness.quote(0.90)
        await harness.end_minute()
        await harness.end_minute()
        await harness.history.release()
        assert harness.recorded == [[(account(ONE), None, None, None)]]  # of the minute in which it closed

    run_scenario(scenario)


def test_a_fault_of_the_database_is_logged_once(caplog):
    async def scenario(harness):
        harness.quote(0.90)
        await harness.end_minute()
        harness.stores[0].fault = FakeFault(text="Nothing is recorded: disk full", since=dt.datetime.now(dt.UTC))
        await harness.end_minute()
        await harness.end_minute()

    with caplog.at_level(logging.WARNING):
        run_scenario(scenario)
    assert [record.fields["reason"] for record in caplog.records] == ["Nothing is recorded: disk full"]
