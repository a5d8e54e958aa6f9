import asyncio
import datetime as dt
import logging

import msgspec
import pytest

from condord.daemon.minute_queue import QUEUED_MINUTES, STOP_SECONDS
from condord.daemon.recorder import RETRY_SECONDS, Recorder
from condord.live.minutes import MinuteRow, RecordedPast
from condord.live.wire_condor import HistoryJson
from tests import virtualtime
from tests.fakes.history_store import FakeFault, FakeHistoryStore

NOW_AT = dt.datetime(2026, 11, 21, 2, 0, tzinfo=dt.UTC)  # still the 20th at the exchange


def minute(number):
    row = MinuteRow(
        holding=None, second=60 * number, cents=1, natural_cents=1, price_e4=None, low=1, high=1, quantity=None
    )
    return [row]


class Harness:
    """A recorder whose task runs while the context is open."""

    def __init__(self, *, is_enabled=True, **harness):
        self.store = FakeHistoryStore()
        self.recorder = Recorder(
            self.store, source="alpaca-paper", now_at=lambda: NOW_AT, is_enabled=is_enabled, **harness
        )

    async def __aenter__(self):
        self._task = asyncio.create_task(self.recorder.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])

    async def begin(self, account="one"):
        """The account is known, and its positions are shown."""
        past = await self.recorder.switch_to(account)
        self.recorder.show()
        return past

    @property
    def written(self):
        return [(account, rows[0].second // 60) for account, rows in self.store.recorded]


@pytest.fixture
def run():
    """Runs a test in virtual time."""
    return virtualtime.run


def test_each_minute_is_written_in_order(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            for number in (1, 2, 3):
                harness.recorder.record(minute(number))
            await harness.recorder.finish([])
            assert harness.written == [("one", 1), ("one", 2), ("one", 3)]
            assert harness.recorder.rows == 3

    run(scenario())


def test_a_minute_without_rows_writes_nothing(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.recorder.record([])
            await harness.recorder.finish([])
            assert harness.store.recorded == []

    run(scenario())


def test_switching_returns_the_past_of_the_account_and_names_the_day_at_the_exchange(run):
    async def scenario():
        async with Harness() as harness:
            harness.store.past = RecordedPast(quantities={"SPY-1": 2})
            assert await harness.begin() == harness.store.past
            assert harness.store.accounts == [("one", "alpaca-paper", dt.date(2026, 11, 20))]

    run(scenario())


def test_a_stop_writes_the_running_minute_and_a_start_recalls_no_point_of_it(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            now = int(NOW_AT.timestamp())
            await harness.recorder.finish(minute(now // 60 + 1))
            assert harness.written == [("one", now // 60 + 1)]
            harness.store.past = RecordedPast(
                lines={
                    "SPY-1": HistoryJson(seconds=[now, now + 60], cents=[1, 2]),
                    "QQQ-1": HistoryJson(seconds=[now + 60], cents=[3]),
                }
            )
            past = await harness.begin()
            assert past.lines == {"SPY-1": HistoryJson(seconds=[now], cents=[1])}

    run(scenario())


def test_nothing_is_recorded_until_the_account_is_known_and_its_positions_are_shown(run):
    async def scenario():
        async with Harness() as harness:
            harness.recorder.show()
            harness.recorder.record(minute(1))
            await harness.recorder.switch_to("one")
            harness.recorder.record(minute(2))
            await harness.recorder.finish([])
            assert harness.written == [("one", 2)]

    run(scenario())


def test_between_two_accounts_nothing_is_recorded(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin("one")
            harness.recorder.pause()
            harness.recorder.record(minute(1))
            await harness.recorder.switch_to("two")
            harness.recorder.record(minute(2))
            harness.recorder.show()
            harness.recorder.record(minute(3))
            await harness.recorder.finish([])
            assert harness.written == [("two", 3)]

    run(scenario())


def test_minutes_that_wait_are_not_written_to_another_account(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin("one")
            harness.store.can_write.clear()
            for number in (1, 2, 3):
                harness.recorder.record(minute(number))
            await asyncio.sleep(0)
            switching = asyncio.create_task(harness.begin("two"))
            await asyncio.sleep(0)
            harness.store.account = "one"  # the thread of the database still writes the first minute
            harness.store.can_write.set()
            await switching
            harness.recorder.record(minute(4))
            await harness.recorder.finish([])
            assert [number for _, number in harness.written] == [1, 4]
            assert harness.written[-1] == ("two", 4)

    run(scenario())


def test_the_same_account_keeps_the_minutes_that_wait(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            for number in (1, 2):
                harness.recorder.record(minute(number))
            await harness.begin()
            await harness.recorder.finish([])
            assert harness.written == [("one", 1), ("one", 2)]

    run(scenario())


def test_the_oldest_of_too_many_minutes_are_dropped(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.store.can_write.clear()
            harness.recorder.record(minute(0))
            await asyncio.sleep(0)  # it is being written
            for number in range(1, QUEUED_MINUTES + 3):
                harness.recorder.record(minute(number))
            harness.store.can_write.set()
            await harness.recorder.finish([])
            assert [number for _, number in harness.written] == [0, *range(3, QUEUED_MINUTES + 3)]

    run(scenario())


def test_a_disk_that_hangs_delays_a_stop_by_a_second(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.store.can_write.clear()
            harness.recorder.record(minute(1))
            began = asyncio.get_running_loop().time()
            await harness.recorder.finish([])
            assert asyncio.get_running_loop().time() - began == pytest.approx(STOP_SECONDS)

    run(scenario())


def test_without_history_nothing_is_recorded_but_the_account_is_switched(run):
    async def scenario():
        async with Harness(is_enabled=False) as harness:
            await harness.begin()
            harness.recorder.record(minute(1))
            await harness.recorder.finish([])
            assert (harness.store.recorded, harness.store.account) == ([], "one")

    run(scenario())


def test_rows_are_counted_when_the_database_has_them(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            counts = []
            faults = (None, FakeFault(text="it is locked", since=NOW_AT))
            for number, fault in enumerate((*faults, FakeFault(text="", since=NOW_AT, is_set_aside=True))):
                harness.store.fault = fault
                harness.recorder.record(minute(number))
                await harness.recorder.finish([])
                counts.append(harness.recorder.rows)
            assert counts == [1, 1, 3]

    run(scenario())


def test_without_minutes_the_database_is_tried_again_until_its_fault_ends(run):
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            harness.store.fault = FakeFault(text="it is locked", since=NOW_AT)
            harness.recorder.record(minute(1))
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(1.5 * RETRY_SECONDS)
            assert harness.recorder.notices() != []
            harness.store.is_mended = True
            await asyncio.sleep(RETRY_SECONDS)
            assert [time - began for time in harness.store.retries] == pytest.approx([RETRY_SECONDS, 2 * RETRY_SECONDS])
            assert (harness.recorder.notices(), harness.recorder.rows) == ([], 1)
            harness.recorder.record(minute(2))
            await harness.recorder.finish([])
            assert harness.written[-1] == ("one", 2)

    run(scenario())


def test_a_fault_is_a_notice_and_its_beginning_and_end_are_logged_once(run, caplog):
    async def scenario():
        harness = Harness()
        assert (harness.recorder.notices(), harness.recorder.has_fault) == ([], False)
        harness.store.fault = FakeFault(text="the disk is full", since=NOW_AT)
        for _ in range(2):
            (notice,) = harness.recorder.notices()
        assert (notice.code, notice.text, notice.since) == ("historyUnavailable", "the disk is full", NOW_AT)
        assert harness.recorder.has_fault
        harness.store.fault = None
        for _ in range(2):
            assert harness.recorder.notices() == []

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["Notice", "Notice is over"]
    assert caplog.records[0].fields == {"code": "historyUnavailable", "reason": "the disk is full"}


def test_extremes_of_other_ingesters_are_joined_and_those_of_each_minute_are_shared(run):
    shared_with = []

    class FakeShared:
        async def join(self, account_key, past):
            shared_with.append(account_key)
            return msgspec.structs.replace(past, quantities={"SPY-1": 2})

        async def add(self, rows):
            shared_with.append(rows)

    async def scenario():
        async with Harness(shared=FakeShared()) as harness:
            assert (await harness.begin()).quantities == {"SPY-1": 2}
            harness.recorder.record(minute(1))
            await virtualtime.settle()
            assert shared_with == ["one", minute(1)]

    run(scenario())
