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
from condord.upstream.faults import RestFault

SYMBOLS_A_REQUEST = 100
"""How many symbols Alpaca takes in one request for quotes."""


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

    @property
    def era(self) -> int:
        """How often the stream was cut, and how often it came back."""

    @property
    def silent(self) -> frozenset[str]:
        """The contracts of which REST has had newer quotes than the stream for too long, streamed or not."""

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Quotes off the stream."""

    def confirm(self, ticks: Iterable[Tick], era: int) -> None:
        """Latest quotes by REST, and the era in which they were asked for."""

    def gap(self) -> None:
        """The stream was cut."""

    def lapse(self, symbols: Iterable[str]) -> None:
        """Nobody has a word of these any more: they are unconfirmed."""

    def expect(self, symbols: Iterable[str]) -> None:
        """These will be held: their quotes are to be taken."""

    def follow(self, symbols: Iterable[str]) -> None:
        """These are streamed from here on."""

    def resume(self) -> None:
        """The stream is live: from here on it is to bring what is new."""

    def set_positions(
        self, positions: Iterable[Position], lots: Iterable[Lot] = (), stocks: Mapping[str, int] | None = None
    ) -> None:
        """What the account holds, the condors that its orders have opened, and its stocks in shares by symbol."""

    def set_status(self, status: wire.Status) -> None:
        """What can be trusted."""

    def owes(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have brought any of `ticks`, which are REST's."""

    def set_exchange_time(self, at: dt.datetime) -> None:
        """What the exchange's clock shows (UTC): a quote far ahead of it is refused."""

    def doubts_clock(self) -> bool:
        """Whether, since the last call, a quote was refused that may be right if that clock is wrong."""


class Brokerage(Protocol):
    """Alpaca's REST, as the supervisor uses it; every method raises `condord.upstream.faults.RestFault` alone."""

    @property
    def breaker(self) -> wire.BreakerState:
        """The state of the circuit breaker."""

    @property
    def trouble(self) -> RestFault | None:
        """Why positions, quotes or clock cannot be had, as of the last attempt; None if that went well."""

    @property
    def refused(self) -> Mapping[str, int]:
        """How much of Alpaca's answers could not be read, by its name."""

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""

    async def clock(self) -> Clock:
        """The market's clock."""

    async def trading_day(self, today: dt.date) -> Hours | None:
        """The regular session of `today`, or the last one before it; None where none is known."""

    async def quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Give `take` the latest quotes of `symbols`, in parts as they come; symbols never quoted are left out.

        If a part fails, the others are taken all the same, and the first fault is raised after them.
        """

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None where Alpaca knows none of that symbol."""

    async def orders(self, after: dt.datetime) -> OrderPage:
        """The orders submitted after an instant, of any state, oldest first: as many as fit in a page."""
