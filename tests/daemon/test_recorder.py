import asyncio
import datetime as dt
import logging

import msgspec
import pytest

from condord.daemon.recorder import QUEUED_MINUTES, RETRY_SECONDS, STOP_SECONDS, Recorder
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

    def __init__(self, *, is_enabled=True, **given):
        self.store = FakeHistoryStore()
        self.recorder = Recorder(
            self.store, source="alpaca-paper", now_at=lambda: NOW_AT, is_enabled=is_enabled, **given
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
        async with Harness() as given:
            await given.begin()
            for number in (1, 2, 3):
                given.recorder.record(minute(number))
            await given.recorder.finish([])
            assert given.written == [("one", 1), ("one", 2), ("one", 3)]
            assert given.recorder.rows == 3

    run(scenario())


def test_a_minute_without_rows_writes_nothing(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            given.recorder.record([])
            await given.recorder.finish([])
            assert given.store.recorded == []

    run(scenario())


def test_switching_returns_the_past_of_the_account_and_names_the_day_at_the_exchange(run):
    async def scenario():
        async with Harness() as given:
            given.store.past = RecordedPast(quantities={"SPY-1": 2})
            assert await given.begin() == given.store.past
            assert given.store.accounts == [("one", "alpaca-paper", dt.date(2026, 11, 20))]

    run(scenario())


def test_a_stop_writes_the_running_minute_and_a_start_recalls_no_point_of_it(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            now = int(NOW_AT.timestamp())
            await given.recorder.finish(minute(now // 60 + 1))
            assert given.written == [("one", now // 60 + 1)]
            given.store.past = RecordedPast(lines={"SPY-1": HistoryJson(seconds=[now, now + 60], cents=[1, 2])})
            past = await given.begin()
            assert past.lines == {"SPY-1": HistoryJson(seconds=[now], cents=[1])}

    run(scenario())


def test_nothing_is_recorded_until_the_account_is_known_and_its_positions_are_shown(run):
    async def scenario():
        async with Harness() as given:
            given.recorder.show()
            given.recorder.record(minute(1))
            await given.recorder.switch_to("one")
            given.recorder.record(minute(2))
            await given.recorder.finish([])
            assert given.written == [("one", 2)]

    run(scenario())


def test_between_two_accounts_nothing_is_recorded(run):
    async def scenario():
        async with Harness() as given:
            await given.begin("one")
            given.recorder.pause()
            given.recorder.record(minute(1))
            await given.recorder.switch_to("two")
            given.recorder.record(minute(2))
            given.recorder.show()
            given.recorder.record(minute(3))
            await given.recorder.finish([])
            assert given.written == [("two", 3)]

    run(scenario())


def test_minutes_that_wait_are_not_written_to_another_account(run):
    async def scenario():
        async with Harness() as given:
            await given.begin("one")
            given.store.can_write.clear()
            for number in (1, 2, 3):
                given.recorder.record(minute(number))
            await asyncio.sleep(0)
            switching = asyncio.create_task(given.begin("two"))
            await asyncio.sleep(0)
            given.store.account = "one"  # the thread of the database still writes the first minute
            given.store.can_write.set()
            await switching
            given.recorder.record(minute(4))
            await given.recorder.finish([])
            assert [number for _, number in given.written] == [1, 4]
            assert given.written[-1] == ("two", 4)

    run(scenario())


def test_the_same_account_keeps_the_minutes_that_wait(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            for number in (1, 2):
                given.recorder.record(minute(number))
            await given.begin()
            await given.recorder.finish([])
            assert given.written == [("one", 1), ("one", 2)]

    run(scenario())


def test_the_oldest_of_too_many_minutes_are_dropped(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            given.store.can_write.clear()
            given.recorder.record(minute(0))
            await asyncio.sleep(0)  # it is being written
            for number in range(1, QUEUED_MINUTES + 3):
                given.recorder.record(minute(number))
            given.store.can_write.set()
            await given.recorder.finish([])
            assert [number for _, number in given.written] == [0, *range(3, QUEUED_MINUTES + 3)]

    run(scenario())


def test_a_disk_that_hangs_delays_a_stop_by_a_second(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            given.store.can_write.clear()
            given.recorder.record(minute(1))
            began = asyncio.get_running_loop().time()
            await given.recorder.finish([])
            assert asyncio.get_running_loop().time() - began == pytest.approx(STOP_SECONDS)

    run(scenario())


def test_without_history_nothing_is_recorded_but_the_account_is_switched(run):
    async def scenario():
        async with Harness(is_enabled=False) as given:
            await given.begin()
            given.recorder.record(minute(1))
            await given.recorder.finish([])
            assert (given.store.recorded, given.store.account) == ([], "one")

    run(scenario())


def test_rows_are_counted_when_the_database_has_them(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            counts = []
            faults = (None, FakeFault(text="it is locked", since=NOW_AT))
            for number, fault in enumerate((*faults, FakeFault(text="", since=NOW_AT, is_set_aside=True))):
                given.store.fault = fault
                given.recorder.record(minute(number))
                await given.recorder.finish([])
                counts.append(given.recorder.rows)
            assert counts == [1, 1, 3]

    run(scenario())


def test_without_minutes_the_database_is_tried_again_until_its_fault_ends(run):
    async def scenario():
        async with Harness() as given:
            await given.begin()
            given.store.fault = FakeFault(text="it is locked", since=NOW_AT)
            given.recorder.record(minute(1))
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(1.5 * RETRY_SECONDS)
            assert given.recorder.notices() != []
            given.store.is_mended = True
            await asyncio.sleep(RETRY_SECONDS)
            assert [time - began for time in given.store.retries] == pytest.approx([RETRY_SECONDS, 2 * RETRY_SECONDS])
            assert (given.recorder.notices(), given.recorder.rows) == ([], 1)
            given.recorder.record(minute(2))
            await given.recorder.finish([])
            assert given.written[-1] == ("one", 2)

    run(scenario())


def test_a_fault_is_a_notice_and_its_beginning_and_end_are_logged_once(run, caplog):
    async def scenario():
        given = Harness()
        assert (given.recorder.notices(), given.recorder.has_fault) == ([], False)
        given.store.fault = FakeFault(text="the disk is full", since=NOW_AT)
        for _ in range(2):
            (notice,) = given.recorder.notices()
        assert (notice.code, notice.text, notice.since) == ("historyUnavailable", "the disk is full", NOW_AT)
        assert given.recorder.has_fault
        given.store.fault = None
        for _ in range(2):
            assert given.recorder.notices() == []

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
        async with Harness(shared=FakeShared()) as given:
            assert (await given.begin()).quantities == {"SPY-1": 2}
            given.recorder.record(minute(1))
            await virtualtime.settle()
            assert shared_with == ["one", minute(1)]

    run(scenario())
