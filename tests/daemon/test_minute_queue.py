import asyncio

from condord.daemon.minute_queue import QUEUED_MINUTES, STOP_SECONDS, MinuteQueue
from tests.virtualtime import run


def test_the_oldest_of_too_many_minutes_are_dropped():
    async def scenario():
        queue = MinuteQueue()
        for number in range(QUEUED_MINUTES + 2):
            queue.put([number])
        taken = [await queue.get() for _ in range(QUEUED_MINUTES)]
        assert taken == [[number] for number in range(2, QUEUED_MINUTES + 2)]

    run(scenario())


def test_a_stop_waits_until_all_minutes_are_written():
    async def scenario():
        queue, began = MinuteQueue(), asyncio.get_running_loop().time()
        queue.put([1])
        asyncio.get_running_loop().call_later(STOP_SECONDS / 2, queue.done)
        assert await queue.get() == [1]
        await queue.written()
        assert asyncio.get_running_loop().time() - began == STOP_SECONDS / 2

    run(scenario())


def test_a_minute_that_cannot_be_written_delays_a_stop_by_a_second():
    async def scenario():
        queue, began = MinuteQueue(), asyncio.get_running_loop().time()
        queue.put([1])
        await queue.written()
        assert asyncio.get_running_loop().time() - began == STOP_SECONDS
        queue.clear()
        await queue.written()
        assert asyncio.get_running_loop().time() - began == STOP_SECONDS

    run(scenario())
