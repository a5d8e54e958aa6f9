"""The price of an underlying: from a quote or a trade of its stock, from an index value, or by put-call parity.

The price of a stock is the mid of its quote if both sides are there and the spread is below 0.5 % of the mid, else its
last trade. On one exchange alone, quotes are often wide or have one side only.

All prices are integers of 1e-4 dollars; a mid between two of them is rounded up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from condord.core.cost import divide
from condord.core.market_hours import exchange_day
from condord.core.quote import Tick

PriceSource = Literal["iexMid", "iexTrade", "sipMid", "sipTrade", "index", "parity"]
"""The feed and the kind of a price, whichever way it came."""
PriceProblem = Literal["indexNotEntitled", "noQuote", "stale", "unreachable"]
"""Why there is no price, or why it is not confirmed."""
StockFeed = Literal["iex", "sip"]

_MIDS: dict[StockFeed, PriceSource] = {"iex": "iexMid", "sip": "sipMid"}
_TRADES: dict[StockFeed, PriceSource] = {"iex": "iexTrade", "sip": "sipTrade"}
TRADE_SOURCES = frozenset(_TRADES.values())
_SPREADS_PER_MID = 200
"""A spread of 0.5 % is a 200th of the mid."""


class StockTrade(msgspec.Struct, frozen=True, kw_only=True):
    """The last trade of a stock: dollars per share, and when (UTC)."""

    price_e4: int
    at: dt.datetime


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """The close of a stock in the session of `day`, the date in New York; today's is the last price so far."""

    day: dt.date
    close_e4: int


class StockSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One stock as REST returns it; each part is None where Alpaca has none.

    `today` is the bar of the newest session, `before` the bar of the session before it.
    """

    symbol: str
    quote: Tick | None
    trade: StockTrade | None
    today: Bar | None
    before: Bar | None


class IndexValue(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of an index."""

    symbol: str
    value_e4: int
    at: dt.datetime


class UnderlyingPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The price of an underlying as it is published, in 1e-4 dollars.

    `price_e4` is None if it is not known, and `reason` explains why. A price that is `unconfirmed` is shown, but
    nothing is computed from it. `at` is the time of the quote, trade or value (UTC). `previous_close_e4` is the close
    of the session before the one that the price belongs to.
    """

    symbol: str
    price_e4: int | None = None
    source: PriceSource | None = None
    at: dt.datetime | None = None
    unconfirmed: bool = False
    reason: PriceProblem | None = None
    previous_close_e4: int | None = None


class ChosenPrice(NamedTuple):
    """A price in 1e-4 dollars, where it comes from, and the time of the quote, trade or value (UTC)."""

    price_e4: int
    source: PriceSource
    at: dt.datetime


def choose(quote: Tick | None, trade: StockTrade | None, feed: StockFeed) -> ChosenPrice | None:
    """The price of a stock from its newest quote and its last trade, None if neither gives one."""
    if quote is not None and quote.is_sane:
        bid_e4, ask_e4 = round(quote.bid * 10_000), round(quote.ask * 10_000)
        if 0 < bid_e4 <= ask_e4 and 2 * (ask_e4 - bid_e4) * _SPREADS_PER_MID < bid_e4 + ask_e4:
            return ChosenPrice((bid_e4 + ask_e4 + 1) // 2, _MIDS[feed], quote.at)
    if trade is not None and trade.price_e4 > 0:
        return ChosenPrice(trade.price_e4, _TRADES[feed], trade.at)
    return None


def previous_close_e4(bars: Iterable[Bar], at: dt.datetime) -> int | None:
    """The close of the session before the one that a price of `at` (aware) belongs to, None if it is not known.

    A price belongs to the session of its own date in New York. So one from before the open compares with the close of
    the last session, and Friday's last price with Thursday's close, on the whole weekend. A session in which the stock
    was not traded has no bar.
    """
    day = exchange_day(at)
    earlier = [bar for bar in bars if bar.day < day]
    return max(earlier, key=lambda bar: bar.day).close_e4 if earlier else None


def change_e4(price: UnderlyingPrice) -> int | None:
    """The change from the previous close, None if either is not known."""
    if price.price_e4 is None or price.previous_close_e4 is None:
        return None
    return price.price_e4 - price.previous_close_e4


def percent_change(price: UnderlyingPrice) -> float | None:
    """The change in percent of the previous close, to two decimals; None if it is not known."""
    change = change_e4(price)
    if change is None or not price.previous_close_e4:
        return None
    return divide(change * 10_000, price.previous_close_e4) / 100
