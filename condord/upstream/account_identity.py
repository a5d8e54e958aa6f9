"""Read which account the API key belongs to, and load what was saved about that account.

Saved files belong to Alpaca's account id and the environment (paper or live), because the id stays the same when the
key changes. Until the id is known, nothing is loaded or saved. Other polls wait a few seconds for it, so that the first
document contains the state of an earlier run. If the account cannot be read, they go on without it, unless it has to be
a certain one: then they fail until it is known, so that nothing of another account is shown. When the key changes, what
is known is set aside until the new key's account is known. It is used again if the account is the same, and dropped
otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable

import msgspec

from condord.core.naming import CondorName, Names
from condord.upstream.account_memory import AccountMemory
from condord.upstream.contracts import ContractReader
from condord.upstream.interfaces import AccountSink, Brokerage
from condord.upstream.order_history import OrderReader
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store

ACCOUNT_WAIT_SECONDS = 5.0
"""How long other polls wait for the account."""
NAMES_SECONDS = 1.0
"""How soon changed names of condors are saved."""
_NAMES = "names"


class KnownAccount(msgspec.Struct, kw_only=True):
    """The data known of one account besides its positions.

    `key` is the account's id and environment. `key` and `store` are None until the id has been read.
    """

    contracts: ContractReader
    orders: OrderReader
    key: str | None = None
    store: Store | None = None
    names: Names = {}


class AccountIdentity:
    """The account of the current API key, as `known`; `source` is its environment, for example `alpaca-paper`.

    `keep_days` is as in `OrderHistory`.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        sink: AccountSink,
        memory: AccountMemory,
        store: Store,
        source: str,
        now_at: Callable[[], dt.datetime],
        learned: Callable[[], None],
        keep_days: Callable[[], int],
    ) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._memory = memory
        self._store = store
        self._source = source
        self._now_at = now_at
        self._learned = learned
        self._keep_days = keep_days
        self._was_tried = asyncio.Event()
        self._fault: RestFault | None = None
        self._before: KnownAccount | None = None
        self.known = self._unknown()

    async def wait(self) -> None:
        """Wait until the account was read or could not be read, `ACCOUNT_WAIT_SECONDS` at most.

        Raises:
            RestFault: it is not known, and has to be a certain one.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACCOUNT_WAIT_SECONDS):
                await self._was_tried.wait()
        if self.known.key is None and self._sink.requires_account:
            raise self._fault or _unanswered()

    def invalidate(self) -> None:
        """Set the state aside: the API key has changed, and may belong to another account."""
        self._was_tried.clear()
        self._fault = None
        if self.known.key is not None:
            self.known.names = self._sink.names
            self._before = self.known
        self._sink.forget_names()
        self._memory.switch_to(Store(None))
        self.known.orders.set_aside()
        self.known = self._unknown()

    async def read(self) -> None:
        """Read the account's id unless it is known, and load the saved state of the account.

        Raises:
            RestFault: the account cannot be read now.
            ConfigError: the daemon must not read this account. Other polls still wait then, so that nothing is shown.
        """
        known = self.known
        try:
            if known.key is None:
                key = f"{await self._brokerage.account_id()} {self._source}"
                if known is self.known:  # else the key has changed while Alpaca answered
                    await self._load(key)
        except RestFault as fault:
            self._note_tried(known, fault)
            raise
        self._note_tried(known)

    def _note_tried(self, known: KnownAccount, fault: RestFault | None = None) -> None:
        if known is self.known or self.known.key is not None:
            self._fault = fault
            self._was_tried.set()

    async def save_names(self) -> None:
        """Save the names of the condors within `NAMES_SECONDS` of each change, until cancelled."""
        while True:
            await asyncio.sleep(NAMES_SECONDS)
            known, names = self.known, self._sink.names
            if known.store is not None and names != known.names:
                known.names = names
                await known.store.write(_NAMES, names)

    async def _load(self, key: str) -> None:
        before, self._before = self._before, None
        self._sink.note_account(key)
        if before is not None and before.key == key:
            before.orders.take_up()
            self.known = before
            self._memory.switch_to(self._store.of(key))
            await self._memory.recall()
            self._sink.recall_names(before.names)
            return
        known = self.known
        known.key, known.store = key, self._store.of(key)
        self._memory.switch_to(known.store)
        await self._memory.recall()
        names = await known.store.read(_NAMES, dict[str, CondorName])
        if known is self.known:
            known.names = names or {}
            self._sink.recall_names(known.names)
        await known.contracts.recall(known.store)
        await known.orders.recall(known.store)

    def _unknown(self) -> KnownAccount:
        return KnownAccount(
            contracts=ContractReader(brokerage=self._brokerage, now_at=self._now_at, learned=self._learned),
            orders=OrderReader(
                brokerage=self._brokerage, now_at=self._now_at, learned=self._learned, keep_days=self._keep_days
            ),
        )


def _unanswered() -> RestFault:
    text = "Alpaca has not answered yet which account the key belongs to, so nothing of it is shown"
    return RestFault("timeout", text, may_retry=True, is_outage=False)
