import asyncio
import threading

import pytest

from condord.core.grouping.account import Grouping, group
from condord.daemon.grouper import Grouper
from condord.live.account import Regrouping
from tests.live.accounts import lot, spy


def test_the_thread_groups_an_account_like_the_loop():
    grouper = Grouper()
    wanted = Regrouping(held=frozenset(spy()), lots=(lot(),))
    assert asyncio.run(grouper.run(wanted.run)) == group(spy(), [lot()])
    grouper.close()


class EndlessSearch:
    """A search that ends only by an exception that a pause raises."""

    def __init__(self):
        self.begun = threading.Event()
        self.ended = threading.Event()

    def run(self, pause):
        try:
            while True:
                self.begun.set()
                pause()
        finally:
            self.ended.set()


def test_a_cancelled_search_ends_and_the_next_one_runs():
    async def scenario():
        grouper, endless = Grouper(), EndlessSearch()
        search = asyncio.create_task(grouper.run(endless.run))
        assert await asyncio.to_thread(endless.begun.wait, 30)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert await asyncio.to_thread(endless.ended.wait, 30)
        assert await grouper.run(Regrouping(held=frozenset(), lots=()).run) == Grouping()
        grouper.close()

    asyncio.run(scenario())
