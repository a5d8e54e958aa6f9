"""Read the account over REST, apart from its quotes: at the start, on request, after a fill, and once per period."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from condord.core.position import Holdings
from condord.upstream.account_identity import AccountIdentity
from condord.upstream.account_memory import AccountMemory
from condord.upstream.applied_positions import AppliedPositions
from condord.upstream.interfaces import AccountSink, Brokerage, Login
from condord.upstream.poller import Poller
from condord.upstream.supervisor_settings import HISTORY_SECONDS

TRADE_DEBOUNCE_SECONDS = 0.1
"""How long a poll after a fill waits for further fills, which then need no poll of their own."""


class AccountPolls:
    """Polls the account id, positions, contracts, orders and activities.

    `login` returns the key in force. `prepare` is awaited before positions are applied, and `recognized` is called
    after the account id was read. `noting` and `is_good` are those of `Health`; the names are `account`, `positions`,
    `contracts`, `orders` and `activities`.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        sink: AccountSink,
        identity: AccountIdentity,
        memory: AccountMemory,
        applied: AppliedPositions,
        refresh_seconds: float,
        login: Callable[[], Login],
        prepare: Callable[[Holdings], Awaitable[None]],
        recognized: Callable[[], None],
        noting: Callable[[str], AbstractContextManager[None]],
        is_good: Callable[[str], bool],
    ) -> None:
        self._brokerage = brokerage
        self._sink = sink
        self._identity = identity
        self._memory = memory
        self._applied = applied
        self._login = login
        self._prepare = prepare
        self._recognized = recognized
        self._noting = noting
        self._is_good = is_good
        history_seconds = max(refresh_seconds, HISTORY_SECONDS)
        self._account = Poller(self._read_account, refresh_seconds, backs_off=True)
        self._positions = Poller(self._read_positions, refresh_seconds)
        self._contracts = Poller(self._read_contracts, refresh_seconds, backs_off=True)
        self._orders = Poller(self._read_orders, history_seconds, backs_off=True)
        self._activities = Poller(self._read_activities, history_seconds, backs_off=True)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs until cancelled."""
        return (
            self._account.run(),
            self._positions.run(TRADE_DEBOUNCE_SECONDS),
            self._contracts.run(),
            self._orders.run(TRADE_DEBOUNCE_SECONDS),
            self._activities.run(TRADE_DEBOUNCE_SECONDS),
        )

    def ask(self) -> None:
        """Read everything soon, but the account id and contracts only if they are not known yet."""
        self._account.ask()
        self._contracts.ask()
        self.traded()

    def traded(self) -> None:
        """Read what a fill may have changed soon."""
        self._positions.ask()
        self._orders.ask()
        self._activities.ask()

    def ask_contracts(self) -> None:
        """Read the contracts that are not known yet soon."""
        self._contracts.ask()

    def ask_activities(self) -> None:
        """Read the activities and splits soon."""
        self._activities.ask()

    async def _read_account(self) -> bool:
        with self._noting("account"):
            await self._identity.read()
        self._recognized()
        return self._is_good("account")

    async def _read_positions(self) -> bool:
        login = self._login()
        with self._noting("positions"):
            held = await self._brokerage.holdings()
            await self._identity.wait()
            if login is not self._login():
                return True  # these belong to the account of the last key, and another poll is due
            await self._prepare(held)
            self._applied.take(held)
        return self._is_good("positions")

    async def _read_contracts(self) -> bool:
        with self._noting("contracts"):
            await self._identity.wait()
            await self._identity.known.contracts.read(lambda: self._sink.symbols)
        return self._is_good("contracts")

    async def _read_orders(self) -> bool:
        with self._noting("orders"):
            await self._identity.wait()
            await self._identity.known.orders.read()
        return self._is_good("orders")

    async def _read_activities(self) -> bool:
        with self._noting("activities"):
            await self._identity.wait()
            await self._memory.activity_reader.read()
        return self._is_good("activities")
