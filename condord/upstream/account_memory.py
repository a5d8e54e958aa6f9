"""The saved memory of an account's past: its activities and splits, and `live/past`.

The memory survives restarts. It changes only when the account does, and is written within a second of that. A change
in the last second before a stop is not lost: the next start compares its first reading with the memory.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from functools import partial

from condord.live.lifecycle import Memory
from condord.live.past import Past
from condord.upstream.activities import ActivityReader
from condord.upstream.interfaces import AccountSink, Brokerage
from condord.upstream.state_files import Store

SAVE_SECONDS = 1.0
_KIND = "life"  # the name of the saved file, which must not change


class AccountMemory:
    """The past of the account given to `switch_to`; `learned` is called after each new activity or split."""

    def __init__(
        self, *, brokerage: Brokerage, sink: AccountSink, now_at: Callable[[], dt.datetime], learned: Callable[[], None]
    ) -> None:
        self._make_reader = partial(ActivityReader, brokerage=brokerage, now_at=now_at, learned=learned)
        self.activity_reader = self._make_reader()
        self._sink = sink
        self._store: Store | None = None
        self._written: Memory | None = None

    @property
    def write_fault(self) -> str | None:
        """Why the last write to the state directory failed; None if it succeeded."""
        return None if self._store is None else self._store.write_fault

    def switch_to(self, store: Store) -> None:
        """Forget the current account. From now on this is the past of the one that `store` belongs to."""
        self._store, self._written = store, None
        self.activity_reader = self._make_reader()
        self._sink.recall_memory(None)

    async def recall(self) -> None:
        """Load the saved state, once per account; from then on `save_changes` may write."""
        store = self._store
        if store is None or self._written is not None:
            return
        memory = await store.read(_KIND, Past)
        await self.activity_reader.recall(store)
        if store is self._store:  # else the account was switched while the file was read
            self._sink.recall_memory(memory)
            self._written = self._sink.memory

    async def save_changes(self) -> None:
        """Write the memory within `SAVE_SECONDS` of each change, and after failures, until cancelled."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self._store is not None and self._store.write_fault is not None:
                await self._store.retry()
            memory, written = self._sink.memory, self._written
            if self._store is not None and written is not None and memory is not written:
                self._written = memory
                if not memory.is_like(written):
                    await self._store.write(_KIND, memory)
