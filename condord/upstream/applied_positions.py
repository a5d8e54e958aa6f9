"""Apply positions, with everything that is known about them.

News that arrives while positions are grouped waits for the next grouping. A reading with the last API key is never
applied after a change of the key.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Mapping

from condord.core.expiry import Expiry, expiry_of
from condord.core.position import Holdings, Position
from condord.upstream.account_identity import AccountIdentity
from condord.upstream.account_memory import AccountMemory
from condord.upstream.account_reader import closes_of
from condord.upstream.interfaces import Sink
from condord.upstream.market_hours import HoursReader


class AppliedPositions:
    """The positions as last applied: `expiries` by symbol, and `read_at`, None until there are any.

    `has_learned` is set when anything is new. `request_splits` is called when splits of further stocks are to be read,
    and `applied` after positions were applied, with whether new symbols are held.
    """

    def __init__(
        self,
        *,
        sink: Sink,
        identity: AccountIdentity,
        memory: AccountMemory,
        hours: HoursReader,
        now_at: Callable[[], dt.datetime],
        has_learned: asyncio.Event,
        request_splits: Callable[[], None],
        applied: Callable[[bool], None],
    ) -> None:
        self.expiries: Mapping[str, Expiry] = {}
        self.read_at: dt.datetime | None = None
        self._sink = sink
        self._identity = identity
        self._memory = memory
        self._hours = hours
        self._now_at = now_at
        self._has_learned = has_learned
        self._request_splits = request_splits
        self._applied = applied
        self._held: tuple[Holdings, dt.datetime] | None = None
        self._keys = 0

    def take(self, held: Holdings) -> None:
        """Apply positions that were read just now."""
        self._held = held, self._now_at()
        self._has_learned.set()

    def forget(self) -> None:
        """Drop the reading of the last key, even while it is being grouped."""
        self._held = None
        self._keys += 1

    async def apply_all(self) -> None:
        """Apply new facts, one grouping at a time."""
        while True:
            await self._has_learned.wait()
            self._has_learned.clear()
            await self._apply()

    async def _apply(self) -> None:
        read, keys = self._held, self._keys
        if read is None:
            return
        (held, read_at), known = read, self._identity.known
        options = known.contracts.answers.applied(held.options)
        orders, was_tried = known.orders.history.orders, known.orders.was_tried
        lots = await self._sink.lots_of(orders)
        await self._sink.regroup(options, lots)
        if keys != self._keys:
            return  # these belong to the account of the last key
        before = set(self._sink.symbols)
        self.expiries = _expiries(options)
        if self._memory.activity_reader.watch_splits({expiry.underlying for expiry in self.expiries.values()}):
            self._request_splits()
        self._sink.set_bookings(self._memory.activity_reader.activities, self._memory.activity_reader.splits)
        self._sink.set_closes(closes_of(held, self._hours.calendar, self._now_at()))
        self._sink.set_positions(options, lots, held.stocks, orders)
        if was_tried:
            self._sink.note_orders()
        self.read_at = read_at
        self._applied(bool(set(self._sink.symbols) - before))


def _expiries(options: Iterable[Position]) -> dict[str, Expiry]:
    return {option.symbol: expiry_of(option.contract, option.underlying) for option in options if option.contract}
