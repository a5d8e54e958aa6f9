import asyncio
import contextlib

from condord.daemon import ready_maker
from condord.daemon.ready_maker import ReadyMaker
from tests.virtualtime import run


class FakeMaker:
    """A process that does nothing; `started` has all of them."""

    started = ()
    fails = False

    def __init__(self):
        self.has_ended = False
        self.is_closed = False

    @classmethod
    async def start(cls, environ):
        if cls.fails:
            raise OSError(11, "no processes")
        await asyncio.sleep(0.1)
        maker = cls()
        cls.started = (*cls.started, maker)
        return maker

    async def kill(self):
        self.has_ended = True

    def close(self):
        self.is_closed = True


@contextlib.asynccontextmanager
async def running(monkeypatch):
    FakeMaker.started, FakeMaker.fails = (), False
    monkeypatch.setattr(ready_maker, "MakerProcess", FakeMaker)
    ready = ReadyMaker({})
    task = asyncio.create_task(ready.run())
    try:
        yield ready
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_maker_waits_until_it_is_taken_and_another_starts_only_when_it_is_wanted(monkeypatch):
    async def main():
        async with running(monkeypatch) as ready:
            await asyncio.sleep(5)
            (first,) = FakeMaker.started
            assert await ready.take() is first
            await asyncio.sleep(5)
            assert len(FakeMaker.started) == 1
            ready.want()
            await asyncio.sleep(5)
            assert len(FakeMaker.started) == 2
        assert not first.has_ended
        assert FakeMaker.started[1].has_ended

    run(main())


def test_without_a_waiting_maker_another_one_is_started(monkeypatch):
    async def main():
        async with running(monkeypatch) as ready:
            maker = await ready.take()
            assert FakeMaker.started == (maker,)
            ready.want()
            await asyncio.sleep(5)
            FakeMaker.started[1].has_ended = True
            assert await ready.take() is FakeMaker.started[2]
            assert FakeMaker.started[1].is_closed

    run(main())


def test_a_maker_that_ends_or_cannot_be_started_is_replaced_after_growing_waits(monkeypatch, caplog):
    async def main():
        async with running(monkeypatch) as ready:
            for _ in range(200):
                await asyncio.sleep(1)
                for maker in FakeMaker.started:
                    maker.has_ended = True
            assert 5 < len(FakeMaker.started) < 30
            assert all(maker.is_closed for maker in FakeMaker.started[:-1])
            FakeMaker.fails = True
            await asyncio.sleep(100)
            FakeMaker.fails = False
            count = len(FakeMaker.started)
            await asyncio.sleep(100)
            assert len(FakeMaker.started) == count + 1
            assert not (await ready.take()).has_ended

    run(main())
    assert {each.fields["reason"] for each in caplog.records} == {"no processes"}
