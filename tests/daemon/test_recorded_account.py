"""The database on disk, with the recorder and the trade book that use it."""

import asyncio
import datetime as dt

import msgspec
import pytest

from condord.core.activity import Activity
from condord.daemon.recorded_account import FILE_NAME, RecordedAccount
from condord.live.history_query import history_query
from condord.live.minutes import Extremes, HoldingPeriod, MinuteRow
from condord.live.wire_history import HistoryQuery

NOW_AT = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)
MINUTE = int(NOW_AT.timestamp())
CONDOR = HoldingPeriod(condor_id="SPY-261218-560-570-630-640", opened_at=NOW_AT - dt.timedelta(days=3))
ROW = MinuteRow(
    holding=CONDOR,
    second=MINUTE,
    cents=1500,
    natural_cents=1200,
    price_e4=5_800_000,
    low=-4000,
    high=2500,
    quantity=2,
    credit_e4=23_500,
)
ACTIVITY = Activity(id="1", kind="OPEXP", symbol="SPY261218P00560000", quantity=1, at=NOW_AT, day=NOW_AT.date())


class Daemon:
    """The records of one account as a daemon makes them; `recalled` is the past that its document continues."""

    def __init__(self, directory, *, is_enabled=True):
        self.recalled = []
        self.past = RecordedAccount(
            directory,
            source="alpaca-paper",
            is_enabled=is_enabled,
            keep_days=lambda: 400,
            recall=self.recalled.append,
            machine_at=lambda: NOW_AT,
            now_at=lambda: NOW_AT,
        )

    async def run(self, *rows):
        """Start, record these rows, and stop."""
        writing = asyncio.create_task(self.past.recorder.run())
        await self.past.trade_book.switch_to("an account")
        self.past.recorder.show()
        await self.past.trade_book.add_past([ACTIVITY], NOW_AT)
        await self.past.recorder.finish(rows)
        writing.cancel()
        await asyncio.wait([writing])

    async def recorded(self):
        return await self.past.store.query(HistoryQuery(condor_id=CONDOR.condor_id), NOW_AT)


def test_the_next_daemon_continues_the_recorded_minutes(tmp_path):
    async def scenario():
        first = Daemon(tmp_path)
        await first.run(ROW)
        first.past.close()
        second = Daemon(tmp_path)
        await second.run()
        (past,) = second.recalled
        assert past.extremes == {CONDOR: Extremes(worst=-4000, best=2500)}
        assert past.lines[CONDOR.condor_id].cents == [1500]
        assert (await second.recorded()).seconds == [MINUTE]
        assert (await second.past.trade_book.recall_past())[0] == (ACTIVITY,)
        second.past.close()

    asyncio.run(scenario())


def test_without_history_activities_are_stored_and_nothing_is_recorded_or_recalled(tmp_path):
    async def scenario():
        first, second = Daemon(tmp_path), Daemon(tmp_path, is_enabled=False)
        await first.run(ROW)
        first.past.close()
        await second.run(ROW)
        assert second.recalled == []
        assert second.past.recorder.rows == 0
        assert (await second.past.trade_book.recall_past())[0] == (ACTIVITY,)
        second.past.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("day", "inside", "outside"),
    [
        ("2026-11-01", ["01T04:30", "01T05:30", "01T06:30", "02T04:30"], ["01T03:30", "02T05:30"]),  # of 25 hours
        ("2027-03-14", ["14T05:30", "14T06:30", "14T07:30", "15T03:30"], ["14T04:30", "15T04:30"]),  # of 23 hours
    ],
)
def test_a_day_on_which_the_clocks_change_has_all_its_minutes(tmp_path, day, inside, outside):
    def second(text):
        return int(dt.datetime.fromisoformat(f"{day[:8]}{text}:00+00:00").timestamp())

    async def scenario():
        daemon = Daemon(tmp_path)
        await daemon.run(*(msgspec.structs.replace(ROW, second=second(text)) for text in sorted([*inside, *outside])))
        query = history_query([("condor", CONDOR.condor_id), ("from", day), ("to", day)])
        answer = await daemon.past.store.query(query, NOW_AT + dt.timedelta(days=200))
        assert answer.seconds == [second(text) for text in inside]
        daemon.past.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("is_stored", [True, False])
def test_the_file_is_in_the_directory_if_there_is_one(tmp_path, is_stored):
    async def scenario():
        daemon = Daemon(tmp_path if is_stored else None)
        await daemon.run(ROW)
        daemon.past.close()

    asyncio.run(scenario())
    assert (tmp_path / FILE_NAME).exists() is is_stored
