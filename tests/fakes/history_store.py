"""A database of history in memory, with the methods of `condord.history.store.HistoryStore`."""

import asyncio
import datetime as dt

import msgspec

from condord.errors import Unavailable
from condord.live.minutes import RecordedPast


class FakeFault(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    since: dt.datetime
    is_set_aside: bool = False


class FakeHistoryStore:
    """`can_write` is cleared to make the disk hang; `fault` makes reads fail, and writes have no effect.

    `retries` has the loop's time of each retry, which ends the fault if `is_mended`.
    """

    def __init__(self):
        self.fault = None
        self.account = None
        self.accounts = []
        self.recorded = []
        self.past = RecordedPast()
        self.activities, self.complete_from = (), None
        self.trades = ()
        self.saved = []
        self.holdings = {}
        self.answers = {}
        self.is_closed = False
        self.is_mended = False
        self.retries = []
        self.can_write = asyncio.Event()
        self.can_write.set()

    async def switch_to(self, account_key, source, today):
        self.accounts.append((account_key, source, today))
        await self.can_write.wait()
        self.account = account_key
        return self.past

    def use(self, account):
        self.account = account

    async def record(self, rows):
        await self.can_write.wait()
        if self.fault is None:
            self.recorded.append((self.account, list(rows)))

    async def retry(self):
        self.retries.append(asyncio.get_running_loop().time())
        if self.is_mended:
            self.fault = None

    async def query(self, query, now_at):
        if self.fault is not None:
            raise Unavailable(self.fault.text, "")
        return self.answers.get(query.condor_id)

    async def extremes(self, holdings):
        if self.fault is not None:
            raise Unavailable(self.fault.text, "")
        return {holding: self.holdings[holding] for holding in holdings if holding in self.holdings}

    async def load_activities(self):
        return (self.activities, self.complete_from) if self.fault is None else ((), None)

    async def add_activities(self, activities, complete_from):
        if self.fault is None:
            known = {activity.id: activity for activity in (*self.activities, *activities)}
            self.activities, self.complete_from = tuple(known.values()), complete_from

    async def load_trades(self):
        return self.trades if self.fault is None else ()

    async def save_trades(self, trades):
        self.saved.append(tuple(trades))
        if self.fault is None:
            self.trades = tuple(trades)

    def close(self):
        self.is_closed = True
