"""The interfaces of the upstream: what it needs from the daemon, and Alpaca's REST as the supervisor uses it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from condord.core.account_summary import AccountSummary
from condord.core.activity import Activity, ActivityKind, Split
from condord.core.calendar import Calendar
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.dividend import Dividend
from condord.core.filled_orders import Order
from condord.core.lots import Lot
from condord.core.market_hours import Clock
from condord.core.model.figures import OptionSnapshot
from condord.core.naming import Names
from condord.core.position import Contract, Holdings, Position
from condord.core.quote import Tick
from condord.core.underlying import IndexValue, StockFeed, StockSnapshot
from condord.core.working_order import WorkingOrder
from condord.live import wire
from condord.live.lifecycle import Memory
from condord.upstream.rest_fault import RestFault

SYMBOLS_PER_REQUEST = 100
"""How many symbols Alpaca accepts in one request for quotes or snapshots of options."""
STOCKS_PER_REQUEST = 200
"""How many stocks are asked for in one request, so that the answer stays within the limits of `bodies`."""


class Login(msgspec.Struct, frozen=True):
    """The API key, unmasked only where it is sent."""

    reveal_key_id: Callable[[], str]
    reveal_secret_key: Callable[[], str]

    @property
    def key_id(self) -> str:
        """The key id in plain text."""
        return self.reveal_key_id()

    @property
    def secret_key(self) -> str:
        """The secret key in plain text."""
        return self.reveal_secret_key()


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the order history: `orders` that filled options, and where the next page begins.

    `newest_at`: when the newest order of the page was submitted, `open_since`: the oldest that may still fill.
    `is_full`: there may be another page. `replaced` maps the id of an order, filled or not, to the id of the order it
    replaced.
    """

    orders: tuple[Order, ...]
    newest_at: dt.datetime | None
    open_since: dt.datetime | None
    is_full: bool
    replaced: Mapping[str, str] = {}


class ActivityPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of activities; the next begins after `last_id`, and there may be one if `is_full`."""

    activities: tuple[Activity, ...]
    last_id: str | None
    is_full: bool


class ClosePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of closes of stocks in 1e-4 dollars, and the token of the next page; None if it is the last."""

    closes_e4: Mapping[tuple[str, dt.date], int]
    next_token: str | None


class FillPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a day's fills of options, by activity id; the next begins after `last_id`, if the page `is_full`."""

    fills: Mapping[str, DayFill]
    last_id: str | None
    is_full: bool


class QuoteSink(Protocol):
    """The sink of the option stream."""

    def offer(self, ticks: Sequence[Tick]) -> None:
        """Take quotes from the stream."""

    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on."""

    def gap(self) -> None:
        """Note that the connection is lost: every quote is unconfirmed."""

    def resume(self) -> None:
        """Note that the stream is live: from here on it should bring every new quote."""


class AccountSink(QuoteSink, Protocol):
    """Takes everything else that Alpaca reports, and returns derived values."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The contracts held whose symbols can be parsed, the most important first."""

    @property
    def generation(self) -> int:
        """How often the stream was lost or came back; read it before quotes are requested over REST."""

    @property
    def silent(self) -> frozenset[str]:
        """The contracts for which REST has had newer quotes than the stream for too long, streamed or not."""

    def confirm(self, ticks: Iterable[Tick], generation: int) -> None:
        """Take the latest quotes from REST, and the generation in which they were requested."""

    def lapse(self, symbols: Iterable[str]) -> None:
        """Note that neither the stream nor REST has confirmed `symbols` recently."""

    def has_missed(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have delivered any of `ticks`, which come from REST."""

    def expect(self, symbols: Iterable[str]) -> None:
        """Accept quotes of `symbols`, which will be held."""

    async def lots_of(self, orders: Sequence[Order]) -> tuple[Lot, ...]:
        """Return the condors that `orders` opened and have not closed. The search runs off the event loop."""

    async def regroup(self, positions: Iterable[Position], lots: Iterable[Lot]) -> None:
        """Group positions off the event loop, before they are set."""

    def set_positions(
        self,
        positions: Iterable[Position],
        lots: Iterable[Lot] = (),
        stocks: Mapping[str, int] | None = None,
        orders: Iterable[Order] = (),
    ) -> None:
        """Take the account's holdings: options, the lots of its orders, and shares by symbol.

        `orders` are all that filled options, oldest first.
        """

    def set_bookings(self, activities: Sequence[Activity], splits: Sequence[Split]) -> None:
        """Take the account's activities of the last days and the announced splits, both oldest first."""

    @property
    def awaited_bookings(self) -> frozenset[str]:
        """The changes of the account that only bookings not yet known can explain, by unique keys."""

    @property
    def memory(self) -> Memory:
        """The memory of the account's past."""

    def recall_memory(self, memory: Memory | None) -> None:
        """Continue with the past that an earlier run knew; None if the account has changed."""

    @property
    def names(self) -> Names:
        """Which condor has which name."""

    def recall_names(self, names: Names) -> None:
        """Name condors as an earlier run did, from the next positions on."""

    def forget_names(self) -> None:
        """Name condors without regard to earlier names, because the account has changed."""

    @property
    def requires_account(self) -> bool:
        """Whether only a certain account may be shown, so that nothing may be before `note_account` has returned."""

    def note_account(self, account_key: str) -> None:
        """Note that the API key belongs to this account: its Alpaca id and environment.

        Raises:
            ConfigError: the daemon must not read this account.
        """

    def note_orders(self) -> None:
        """Note that the positions set last were set with the account's orders, or that these cannot be read."""

    def set_status(self, status: wire.Status) -> None:
        """Take the status: what can be trusted."""

    def set_calendar(self, calendar: Calendar) -> None:
        """Take the known sessions of the exchange."""

    def set_exchange_time(self, at: dt.datetime) -> None:
        """Take the time on the exchange's clock (UTC); quotes far ahead of it are refused."""

    def doubts_clock(self) -> bool:
        """Whether, since the last call, a quote was refused that would be valid if the exchange's clock is wrong."""


class StockSink(Protocol):
    """The sink of the stock stream."""

    def offer_stocks(self, ticks: Sequence[Tick]) -> None:
        """Take quotes from the stock stream."""


class MarketSink(StockSink, Protocol):
    """Takes the prices of underlyings, and what only risk figures and today's profit or loss are computed from."""

    @property
    def stocks(self) -> tuple[str, ...]:
        """The stocks under the options held; the underlyings of condors come first."""

    @property
    def indexes(self) -> tuple[str, ...]:
        """The underlyings of the options held that are indexes."""

    @property
    def opposite_contracts(self) -> tuple[str, ...]:
        """The contracts that are not held but whose quotes are needed: those of the other right at a held strike.

        They give the volatility of held contracts in the money, and the price of an index without a value of its own.
        """

    def confirm_stocks(self, snapshots: Sequence[StockSnapshot]) -> None:
        """Take an answer of REST about stocks."""

    def confirm_indexes(self, values: Sequence[IndexValue], *, is_entitled: bool) -> None:
        """Take an answer of REST about indexes; without the entitlement, `values` is empty."""

    def lapse_prices(self) -> None:
        """Mark every price of an underlying unconfirmed: the machine was suspended.

        A cut of the stock stream does not do that: a price is confirmed for a minute.
        """

    def set_stock_feed(self, feed: StockFeed) -> None:
        """Take the feed that the prices come from."""

    def set_option_snapshots(self, snapshots: Sequence[OptionSnapshot]) -> None:
        """Take one whole read of Alpaca's figures of the contracts held."""

    def set_opposite_quotes(self, ticks: Sequence[Tick]) -> None:
        """Take the latest quotes of `opposite_contracts`."""

    def set_account_summary(self, summary: AccountSummary) -> None:
        """Take the account's balances."""

    def set_dividends(self, dividends: Sequence[Dividend]) -> None:
        """Take the dividends that Alpaca has announced, oldest first."""

    def set_working_orders(self, orders: Sequence[WorkingOrder]) -> None:
        """Take all orders for options that are not filled, oldest first."""

    def set_day_fills(self, day: dt.date, fills: Sequence[DayFill]) -> None:
        """Take all fills of options on `day`, the date at the exchange."""

    def set_closes(self, closes: ClosingPrices) -> None:
        """Take the closes of the session before, which Alpaca sends with the positions (`lastday_price`)."""


class TradeSink(Protocol):
    """Takes the account's past, in which closed condors are found."""

    async def switch_to(self, account_key: str) -> None:
        """Continue with this account: its Alpaca id and environment."""

    async def recall_past(self) -> tuple[Sequence[Activity], dt.datetime | None]:
        """Return the stored activities, oldest first, and the instant since which they are complete."""

    async def add_past(self, activities: Sequence[Activity], complete_from: dt.datetime) -> None:
        """Store activities, which may be stored already; since `complete_from`, all are now known."""

    @property
    def wanted_closes(self) -> frozenset[tuple[str, dt.date]]:
        """The stocks and days whose closes assignments and exercises need."""

    def add_day_closes(self, closes_e4: Mapping[tuple[str, dt.date], int]) -> None:
        """Take closes of stocks, in 1e-4 dollars."""


class Sink(AccountSink, MarketSink, Protocol):
    """Everything that the supervisor writes to."""


class Brokerage(Protocol):
    """Alpaca's REST as the supervisor uses it; every method raises only `RestFault`."""

    @property
    def breaker(self) -> wire.BreakerState:
        """The state of the trading API's circuit breaker."""

    @property
    def pending_fault(self) -> RestFault | None:
        """The fault that delays a call for positions, quotes or the clock; None if none is delayed."""

    @property
    def refused(self) -> Mapping[str, int]:
        """How many parts of Alpaca's answers could not be read, by kind."""

    async def account_id(self) -> str:
        """Alpaca's id of the account, which does not depend on the key."""

    async def holdings(self) -> Holdings:
        """The option positions and the stocks of the account."""

    async def clock(self) -> Clock:
        """The market's clock."""

    async def calendar(self, start: dt.date, end: dt.date) -> Calendar:
        """The regular sessions from `start` to `end`, both included."""

    async def quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Pass the latest quotes of `symbols` to `take`, in parts as they arrive; unquoted symbols are left out.

        If a part fails, the others still count, and the first fault is raised after them.
        """

    async def contract(self, symbol: str) -> Contract | None:
        """One option contract; None if Alpaca has none of that symbol."""

    async def activities(self, kinds: Sequence[ActivityKind], after: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the activities of `kinds` after an instant, oldest first; it begins after the id `token`."""

    async def past_activities(self, until_at: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the activities that trades need, before an instant, newest first; it begins after the id `token`.

        It never delays a call of another method.
        """

    async def later_activities(self, after_at: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the same activities after an instant, oldest first; it begins after the id `token`."""

    async def day_closes(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> Mapping[tuple[str, dt.date], int]:
        """The closes of stocks from `start` to `end`, both included, in 1e-4 dollars and not adjusted for splits.

        Days and stocks for which Alpaca has none are left out.
        """

    async def splits(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Split]:
        """The splits of `symbols` from `start` to `end`, both included, oldest first."""

    async def orders(self, after: dt.datetime) -> OrderPage:
        """A page of the orders submitted after an instant, in any state, oldest first."""

    async def stock_snapshots(self, symbols: Sequence[str], take: Callable[[list[StockSnapshot]], None]) -> None:
        """Pass the snapshots of stocks to `take`, in parts as `quotes` does; unknown stocks are left out."""

    async def index_values(self, symbols: Sequence[str]) -> list[IndexValue] | None:
        """The newest values of the indexes that Alpaca has; None if the key is not entitled to them."""

    async def option_snapshots(self, symbols: Sequence[str], take: Callable[[list[OptionSnapshot]], None]) -> None:
        """Pass Alpaca's figures of contracts to `take`, in parts as `quotes` does; absent ones are left out."""

    async def opposite_quotes(self, symbols: Sequence[str], take: Callable[[list[Tick]], None]) -> None:
        """Pass the latest quotes of contracts that are not held to `take`, as `quotes` does, but never delay those."""

    async def dividends(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Dividend]:
        """The cash dividends of `symbols` processed from `start` to `end`, both included, by ex-date."""

    async def account_summary(self) -> AccountSummary:
        """The account's balances, without the day's transfers."""

    async def transfers_e4(self, day: dt.date) -> int | None:
        """The deposits (+) and withdrawals (-) of `day`, in 1e-4 dollars; None if one of them cannot be read."""

    async def working_orders(self) -> list[WorkingOrder]:
        """The orders for options that are not filled, or not completely, oldest first; 500 at most."""

    async def day_fills(self, day: dt.date, after: dt.datetime, token: str | None) -> FillPage:
        """A page of the fills of options on `day`, after an instant, oldest first; it begins after the id `token`."""
