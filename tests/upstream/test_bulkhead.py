import asyncio
import threading

import pytest

from condord.upstream.bulkhead import open_bulkhead


@pytest.fixture
def bulkhead():
    bulkhead = open_bulkhead("positions", 2, is_vital=True)
    yield bulkhead
    bulkhead.pool.shutdown()


def test_a_bulkhead_has_its_own_share_and_threads_named_for_it(bulkhead):
    assert bulkhead.share == "positions"
    assert bulkhead.is_vital
    name = bulkhead.pool.submit(lambda: threading.current_thread().name).result(30)
    assert name.startswith("rest-positions")


def test_a_bulkhead_has_a_slot_for_each_thread(bulkhead):
    async def main():
        for _ in range(2):
            await bulkhead.slots.acquire()
        return bulkhead.slots.locked()

    assert asyncio.run(main())


def test_a_bulkhead_is_not_vital_by_default():
    bulkhead = open_bulkhead("spare", 1)
    assert not bulkhead.is_vital
    bulkhead.pool.shutdown()
