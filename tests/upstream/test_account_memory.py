import asyncio
import datetime as dt
from contextlib import asynccontextmanager, closing

import pytest

from condord.live.lifecycle import Memory, ReadingSummary
from condord.live.past import Past
from condord.live.remedies import NOT_A_DIRECTORY_REMEDY
from condord.upstream.account_memory import SAVE_SECONDS, AccountMemory
from condord.upstream.state_files import Store
from tests.fakes.alpaca import STARTED_AT, FakeBrokerage, FakeSink, wall
from tests.virtualtime import run

LATER = STARTED_AT + dt.timedelta(minutes=1)


def memory(shares=0, at=STARTED_AT):
    return Past(shown=ReadingSummary(at=at, held={}, stocks={"SPY": shares}, condors=()))


@asynccontextmanager
async def saving(store):
    """Yield the sink, an account memory saved in `store`, and a function that changes it and waits for a save."""
    sink = FakeSink()
    account = AccountMemory(brokerage=FakeBrokerage(), sink=sink, now_at=wall, learned=lambda: None)
    account.switch_to(store)
    await account.recall()
    task = asyncio.ensure_future(account.save_changes())

    async def show(shown):
        sink.memory = shown
        await asyncio.sleep(2 * SAVE_SECONDS)

    yield sink, account, show
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("second", [memory(100, LATER), memory(100)])
def test_a_memory_survives_a_restart_and_is_not_written_again_if_only_its_time_has_changed(tmp_path, second):
    async def remember():
        with closing(Store(tmp_path, account="A")) as store:
            async with saving(store) as (_, _, show):
                await show(memory(100))
                await show(second)
            async with saving(store) as (sink, _, _):
                return sink.memory

    assert run(remember()) == memory(100)


def test_nothing_is_saved_before_the_saved_memory_was_loaded(tmp_path):
    async def remember():
        with closing(Store(tmp_path, account="A")) as store:
            async with saving(store) as (_, account, show):
                account.switch_to(store)
                await show(memory(100))

    run(remember())
    assert list(tmp_path.iterdir()) == []


def test_the_saved_memory_is_loaded_once():
    async def remember():
        async with saving(Store(None, account="A")) as (sink, account, show):
            await show(memory(100))
            await account.recall()
            return sink.memory

    assert run(remember()) == memory(100)


def test_a_memory_that_is_loaded_after_the_account_was_switched_is_dropped(tmp_path):
    async def remember():
        with closing(Store(tmp_path, account="A")) as store, closing(Store(tmp_path, account="B")) as other:
            await store.write("life", memory(100))
            async with saving(other) as (sink, account, _):
                account.switch_to(store)
                recalling = asyncio.ensure_future(account.recall())
                await asyncio.sleep(0)
                account.switch_to(other)
                await recalling
                return sink.memory

    assert run(remember()) == Memory()


def test_a_failed_write_is_repeated_as_soon_as_it_can_succeed(tmp_path):
    path = tmp_path / "state"
    path.touch()  # a file where the directory should be

    async def remember():
        with closing(Store(path, account="A")) as store:
            async with saving(store) as (_, account, show):
                await store.write("names", {"one": 1})
                await show(memory(100))
                assert account.write_fault == f"{path} is not a directory; {NOT_A_DIRECTORY_REMEDY}"
                path.unlink()
                await asyncio.sleep(2 * SAVE_SECONDS)
                assert account.write_fault is None
            return await store.read("names", dict[str, int]), await store.read("life", Past)

    assert run(remember()) == ({"one": 1}, memory(100))
