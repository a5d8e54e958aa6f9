import asyncio
import contextlib

from condord.cluster.bus import BusError
from condord.cluster.fenced import StaleFence
from condord.cluster.maker_channel import CopyIsKept, KeepCopy, StateCopy
from condord.daemon.state_keeper import StateKeeper
from tests.virtualtime import run


class FakeCopies:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.written = []

    async def write(self, copy):
        await asyncio.sleep(0.1)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.written.append(copy.content)


def keep(number, text, kind="alerts"):
    return KeepCopy(number=number, copy=StateCopy(kind=kind, name="", content=text))


@contextlib.asynccontextmanager
async def running(*answers):
    copies, kept = FakeCopies(*answers), []
    keeper = StateKeeper(copies, kept.append)
    task = asyncio.create_task(keeper.run())
    yield keeper, copies, kept, task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_the_newest_state_of_each_kind_is_written_and_confirmed():
    async def main():
        async with running() as (keeper, copies, kept, _):
            keeper.keep(keep(1, b"a"))
            await asyncio.sleep(0.05)
            for number, text in ((2, b"b"), (3, b"c")):
                keeper.keep(keep(number, text))
            keeper.keep(keep(4, b"n", "names"))
            await asyncio.sleep(1)
            assert copies.written == [b"a", b"c", b"n"]
            assert kept == [
                CopyIsKept(kind="alerts", number=1),
                CopyIsKept(kind="alerts", number=3),
                CopyIsKept(kind="names", number=4),
            ]

    run(main())


def test_a_write_without_an_answer_is_repeated_and_logged_once(caplog):
    async def main():
        async with running(BusError("lost"), BusError("lost")) as (keeper, copies, kept, _):
            keeper.keep(keep(1, b"a"))
            await asyncio.sleep(0.5)
            keeper.keep(keep(2, b"b"))
            await asyncio.sleep(2)
            assert copies.written == [b"b"]
            assert kept == [CopyIsKept(kind="alerts", number=2)]

    run(main())
    assert [each.fields["code"] for each in caplog.records] == ["noStateCopy"]


def test_nothing_is_written_once_a_later_leader_has_written(caplog):
    async def main():
        async with running(StaleFence(3, 8)) as (keeper, copies, kept, task):
            keeper.keep(keep(1, b"a"))
            await asyncio.sleep(1)
            assert task.done()
            assert (copies.written, kept) == ([], [])
        assert caplog.records[0].fields == {"kind": "alerts", "own_fence": 3, "higher_fence": 8}

    run(main())
