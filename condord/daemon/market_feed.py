"""Pass on to the publisher what Alpaca sends besides option quotes: underlyings, figures, balances, today's fills."""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from condord.core.account_summary import AccountSummary
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.dividend import Dividend
from condord.core.model.figures import OptionSnapshot
from condord.core.quote import Tick
from condord.core.underlying import IndexValue, StockFeed, StockSnapshot
from condord.core.working_order import WorkingOrder
from condord.live.publisher import Publisher


class MarketFeed(ABC):
    """The `MarketSink` of the supervisor, on `loop`; `now_at` is the exchange's clock (UTC)."""

    def __init__(
        self, publisher: Publisher, *, loop: asyncio.AbstractEventLoop, now_at: Callable[[], dt.datetime]
    ) -> None:
        self._publisher = publisher
        self._loop = loop
        self._now_at = now_at

    @abstractmethod
    def _arm(self, deadline: float | None) -> None:
        """Have the publisher's `tick` called at `deadline`, in loop seconds."""

    @property
    def stocks(self) -> tuple[str, ...]:
        """The stocks under the options held; the underlyings of condors come first."""
        return self._publisher.book.risks.figures.stocks

    @property
    def indexes(self) -> tuple[str, ...]:
        """The underlyings of the options held that are indexes."""
        return self._publisher.book.risks.figures.indexes

    @property
    def opposite_contracts(self) -> tuple[str, ...]:
        """The contracts that are not held but whose quotes are needed, as in `MarketSink`."""
        return self._publisher.book.risks.opposite_contracts(self._now_at())

    def offer_stocks(self, ticks: Sequence[Tick]) -> None:
        """Take quotes from the stock stream."""
        self._arm(self._publisher.offer_stocks(ticks, self._loop.time()))

    def confirm_stocks(self, snapshots: Sequence[StockSnapshot]) -> None:
        """Take an answer of REST about stocks."""
        self._arm(self._publisher.confirm_stocks(snapshots, self._loop.time()))

    def confirm_indexes(self, values: Sequence[IndexValue], *, is_entitled: bool) -> None:
        """Take an answer of REST about indexes; without the entitlement, `values` is empty."""
        self._arm(self._publisher.confirm_indexes(values, self._loop.time(), is_entitled=is_entitled))

    def lapse_prices(self) -> None:
        """Mark every price of an underlying unconfirmed: the machine was suspended."""
        self._arm(self._publisher.lapse_prices(self._now_at()))

    def set_stock_feed(self, feed: StockFeed) -> None:
        """Take the feed that the prices come from."""
        self._publisher.book.underlying_prices.set_feed(feed)

    def set_option_snapshots(self, snapshots: Sequence[OptionSnapshot]) -> None:
        """Take one whole read of Alpaca's figures of the contracts held."""
        self._arm(self._publisher.set_snapshots(snapshots))

    def set_opposite_quotes(self, ticks: Sequence[Tick]) -> None:
        """Take the latest quotes of `opposite_contracts`."""
        self._arm(self._publisher.set_opposite_quotes(ticks, self._now_at()))

    def set_account_summary(self, summary: AccountSummary) -> None:
        """Take the account's balances."""
        self._arm(self._publisher.set_account_summary(summary, self._loop.time()))

    def set_dividends(self, dividends: Sequence[Dividend]) -> None:
        """Take the dividends that Alpaca has announced, oldest first."""
        self._arm(self._publisher.set_dividends(dividends))

    def set_working_orders(self, orders: Sequence[WorkingOrder]) -> None:
        """Take all orders for options that are not filled, oldest first."""
        self._arm(self._publisher.set_working_orders(orders, self._loop.time()))

    def set_day_fills(self, day: dt.date, fills: Sequence[DayFill]) -> None:
        """Take all fills of options on `day`, the date at the exchange."""
        self._arm(self._publisher.set_day_fills(day, fills, self._loop.time()))

    def set_closes(self, closes: ClosingPrices) -> None:
        """Take the closes of the session before, which Alpaca sends with the positions."""
        self._arm(self._publisher.set_closes(closes, self._loop.time()))
