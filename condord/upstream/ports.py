"""What the upstream needs of the house, and what it gives: the seams at which tests put fakes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from condord.core.orders import Lot, Order
from condord.core.position import Contract, Holdings, Position
from condord.core.quote import Tick
from condord.core.session import Clock, Hours
from condord.live import wire


class Login(msgspec.Struct, frozen=True):
    """The key for Alpaca, unmasked only where it is sent."""

    reveal_key_id: Callable[[], str]
    reveal_secret_key: Callable[[], str]

    @property
    def key_id(self) -> str:
        """The key."""
        return self.reveal_key_id()

    @property
    def secret_key(self) -> str:
        """The secret."""
        return self.reveal_secret_key()


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the order history: `orders` that filled options, and what tells where the reading goes on.

    `newest_at` and `open_since`: when the newest of all its orders, and the oldest that may still fill, were submitted.
    `is_full`: there may be more after it.
    """

    orders: tuple[Order, ...]
    newest_at: dt.datetime | None
    open_since: dt.datetime | None
    is_full: bool


class Desk(Protocol):
    """Where everything that Alpaca says goes to."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The contracts held whose symbols can be parsed, the most important first."""

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Quotes off the stream."""

    def confirm(self, ticks: Iterable[Tick]) -> None:
        """Latest quotes by REST."""

    def gap(self) -> None:
        """The stream was cut."""

    def set_positions(
        self, positions: Iterable[Position], lots: Iterable[Lot] = (), stocks: Mapping[str, int] | None = None
    ) -> None:
        """What the account holds, the condors that its orders have opened, and its stocks in shares by symbol."""

    def set_status(self, status: wire.Status) -> None:
        """What can be trusted."""

    def has_older(self, ticks: Iterable[Tick]) -> bool:
        """Whether any of `ticks` is newer than what is known of its symbol."""


class Brokerage(Protocol):
    """Alpaca's REST, as the supervisor uses it; every method raises `condord.upstream.faults.RestFault` alone."""

    @property
    def breaker(self) -> wire.BreakerState:
        """The state of the circuit breaker."""

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""

    async def clock(self) -> Clock:
        """The market's clock."""

    async def trading_day(self, today: dt.date) -> Hours | None:
        """The regular session of `today`, or the last one before it; None where none is known."""

    async def quotes(self, symbols: Sequence[str]) -> list[Tick]:
        """The latest quotes of `symbols`, any number of them; symbols never quoted are left out."""

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None where Alpaca knows none of that symbol."""

    async def orders(self, after: dt.datetime) -> OrderPage:
        """The orders submitted after an instant, of any state, oldest first: as many as fit in a page."""
