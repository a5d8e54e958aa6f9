"""Alpaca's REST as blocking functions: each makes one request through alpaca-py and parses the answer.

They run on the threads of `rest_calls`, and raise what alpaca-py and the parsers raise. alpaca-py's own methods are
used where they make exactly one request and keep every field of a raw answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from alpaca.common.enums import Sort

from condord.core.account_summary import AccountSummary
from condord.core.activity import ActivityKind, Split
from condord.core.calendar import Calendar
from condord.core.dividend import Dividend
from condord.core.market_hours import Clock
from condord.core.model.figures import OptionSnapshot
from condord.core.position import Contract, Holdings
from condord.core.quote import Tick
from condord.core.underlying import IndexValue, StockFeed, StockSnapshot
from condord.core.working_order import WorkingOrder
from condord.upstream import (
    account_parsing,
    activities,
    contracts,
    market_parsing,
    order_history,
    rest_parsing,
    working_orders,
)
from condord.upstream.clients import Clients
from condord.upstream.interfaces import ActivityPage, ClosePage, FillPage, OrderPage
from condord.upstream.without_pandas import GetCalendarRequest, GetOrdersRequest, QueryOrderStatus


class BlockingRest:
    """One method for each request.

    `refuse` counts the parts of answers that cannot be read; `now_at` is the wall clock (UTC).
    """

    def __init__(
        self,
        clients: Clients,
        *,
        feed: str,
        stock_feed: StockFeed,
        refuse: rest_parsing.Refuse,
        now_at: Callable[[], dt.datetime],
    ) -> None:
        self.clients = clients
        self.feed = feed
        self.stock_feed = stock_feed
        self._refuse = refuse
        self._now_at = now_at

    def relogin(self, clients: Clients, *, feed: str, stock_feed: StockFeed) -> None:
        """Use other clients and feeds from the next request on, which may be a retry."""
        self.clients, self.feed, self.stock_feed = clients, feed, stock_feed

    def account_id(self) -> str:
        """Alpaca's id of the account."""
        return rest_parsing.account_id(self.clients.trading.get_account())

    def account_summary(self) -> AccountSummary:
        """The account's balances."""
        return account_parsing.account_summary(self.clients.trading.get_account(), self._now_at(), self._refuse)

    def holdings(self) -> Holdings:
        """The positions."""
        return rest_parsing.holdings(self.clients.trading.get_all_positions(), self._refuse)

    def clock(self) -> Clock:
        """The market's clock."""
        return rest_parsing.clock(self.clients.trading.get_clock(), self._now_at())

    def calendar(self, start: dt.date, end: dt.date) -> Calendar:
        """The sessions from `start` to `end`, both included."""
        request = GetCalendarRequest(start=start, end=end)
        return rest_parsing.calendar(self.clients.trading.get_calendar(request), start, end, self._refuse)

    def contract(self, symbol: str) -> Contract:
        """A contract. alpaca-py's own method cannot ask for what an adjusted contract delivers."""
        answer = self.clients.trading.get(f"/options/contracts/{symbol}", {"show_deliverables": "true"})
        return contracts.contract(symbol, answer, self._refuse)

    def orders(self, after: dt.datetime) -> OrderPage:
        """A page of the order history."""
        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL,
            after=after,
            limit=order_history.ORDERS_PER_PAGE,
            direction=Sort.ASC,
            nested=True,
        )
        return order_history.page(self.clients.trading.get_orders(request), self._refuse)

    def working_orders(self) -> list[WorkingOrder]:
        """The working orders."""
        request = GetOrdersRequest(
            status=QueryOrderStatus.OPEN, limit=working_orders.ORDERS_PER_PAGE, direction=Sort.ASC, nested=True
        )
        return working_orders.working_orders(self.clients.trading.get_orders(request), self._refuse)

    def activities(self, kinds: Sequence[ActivityKind], after: dt.datetime, token: str | None) -> ActivityPage:
        """A page of activities, for which alpaca-py has no method."""
        return activities.page(self._activities(activities.query(kinds, after, token)), self._refuse, kinds)

    def past_activities(self, until_at: dt.datetime, token: str | None) -> ActivityPage:
        """A page of the account's past, newest first."""
        query = activities.past_query(until_at, token)
        return activities.page(self._activities(query), self._refuse, activities.PAST)

    def day_closes(self, symbols: Sequence[str], start: dt.date, end: dt.date, token: str | None) -> ClosePage:
        """A page of the closes of stocks: one request, as in `quotes`."""
        query = market_parsing.day_bars_query(symbols, start, end, token)
        return market_parsing.day_closes(self.clients.stocks.get("/stocks/bars", query), self._refuse)

    def transfers_e4(self, day: dt.date) -> int | None:
        """The sum of the transfers of a day."""
        answer = self._activities(account_parsing.transfers_query(day))
        return account_parsing.transfers_e4(answer, day, self._refuse)

    def day_fills(self, day: dt.date, after: dt.datetime, token: str | None) -> FillPage:
        """A page of the fills of options on `day`, after an instant; it begins after the activity id `token`."""
        return account_parsing.fills(self._activities(account_parsing.fills_query(after, token)), day, self._refuse)

    def _activities(self, query: dict[str, str]) -> object:
        return self.clients.trading.get("/account/activities", query)

    def quotes(self, symbols: Sequence[str]) -> list[Tick]:
        """The latest quotes of options: one request, as alpaca-py would follow page tokens indefinitely."""
        query = {"symbols": ",".join(symbols), "feed": self.feed}
        return rest_parsing.ticks(self.clients.market.get("/options/quotes/latest", query), self._refuse)

    def option_snapshots(self, symbols: Sequence[str]) -> list[OptionSnapshot]:
        """Alpaca's figures of options: one request, as in `quotes`."""
        query = {"symbols": ",".join(symbols), "feed": self.feed, "limit": str(len(symbols))}
        return market_parsing.option_snapshots(self.clients.market.get("/options/snapshots", query), self._refuse)

    def stock_snapshots(self, symbols: Sequence[str]) -> list[StockSnapshot]:
        """The snapshots of stocks."""
        query = {"symbols": ",".join(symbols), "feed": self.stock_feed}
        return market_parsing.stock_snapshots(self.clients.stocks.get("/stocks/snapshots", query), self._refuse)

    def index_values(self, symbols: Sequence[str]) -> list[IndexValue]:
        """The newest values of indexes, for which alpaca-py has no method."""
        answer = self.clients.market.get("/indices/latest/values", {"symbols": ",".join(symbols)})
        return market_parsing.index_values(answer, self._refuse)

    def splits(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Split]:
        """The splits of stocks from `start` to `end`, both included: one request, as in `quotes`."""
        return activities.splits(self._actions(activities.splits_query(symbols, start, end)), self._refuse)

    def dividends(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> list[Dividend]:
        """The cash dividends of stocks from `start` to `end`, both included: one request, as in `quotes`."""
        return market_parsing.dividends(
            self._actions(market_parsing.dividends_query(symbols, start, end)), self._refuse
        )

    def _actions(self, query: dict[str, str]) -> object:
        return self.clients.actions.get("/corporate-actions", query)
