"""Yesterday's closing prices, from which a day's profit or loss counts.

The prices at the end of a session become yesterday's when the date changes in New York. Until the first session has
ended, the closes are made up: the market's for stocks, and for contracts their values at that price of the underlying.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal

from condord.core import occ
from condord.simulator.clock import NEW_YORK
from condord.simulator.holidays import is_holiday
from condord.simulator.market import Market
from condord.simulator.orders import is_option

_CLOSE = dt.time(16, 0)
_DAY = dt.timedelta(days=1)


class ContractCloses:
    """The closes of the session before, in dollars per share; `mark` is the current price of a symbol."""

    def __init__(self, market: Market, mark: Callable[[str], Decimal]) -> None:
        self._market = market
        self._mark = mark
        self._day = dt.datetime.fromtimestamp(market.at, NEW_YORK).date()
        self._close_at = dt.datetime.combine(_trading_day_before(self._day), _CLOSE, NEW_YORK)
        self._closes: dict[str, Decimal] = {}
        self._captured: dict[str, Decimal] | None = None
        self._captured_at = self._close_at

    @property
    def day(self) -> dt.date:
        """Today's date in New York; the closes are from the session before."""
        return self._day

    @property
    def asof(self) -> dt.date:
        """The date in New York of the session before."""
        return self._close_at.astimezone(NEW_YORK).date()

    def of(self, symbol: str) -> Decimal:
        """Yesterday's close of `symbol`; the same all day."""
        if symbol not in self._closes:
            self._closes[symbol] = self._value(symbol)
        return self._closes[symbol]

    def advance(self, at: dt.datetime, session_close_at: dt.datetime | None, symbols: Iterable[str]) -> bool:
        """Note the prices of `symbols` once their session ends. Return whether a new day began, with new closes.

        `session_close_at` is the end of the session of `day`, None if it has none.
        """
        today = at.astimezone(NEW_YORK).date()
        is_new_day = today > self._day
        is_over = session_close_at is not None and at >= session_close_at
        if self._captured is None and (is_over or is_new_day):
            # A day without a session keeps the closes: prices may have moved after the one before.
            price = self.of if session_close_at is None else self._mark
            self._captured = {symbol: price(symbol) for symbol in (*symbols, *self._market.underlyings.names)}
            self._captured_at = session_close_at or self._close_at
        if is_new_day:
            self._begin(today)
        return is_new_day

    def _begin(self, today: dt.date) -> None:
        captured = self._captured or {}
        self._day, self._close_at, self._closes, self._captured = today, self._captured_at, dict(captured), None

    def _value(self, symbol: str) -> Decimal:
        if not is_option(symbol):
            close = self._market.underlyings.close_before(symbol, self._day)
            return self._mark(symbol) if close is None else Decimal(str(close))
        self._market.watch(symbol)
        root = self._market.root_of(occ.parse(symbol).root)
        underlying = symbol if root is None else root.underlying
        spot = self._market.underlyings.spot(underlying)
        factor = float(self.of(underlying)) / spot if spot else 1.0
        ago = self._market.at - self._close_at.timestamp()
        price = self._market.theoretical_value(symbol, seconds_ago=ago, spot_factor=factor).price
        tick = self._market.tick_cents(symbol, price)
        return Decimal(max(tick, round(price * 100 / tick) * tick)) / 100


def _trading_day_before(day: dt.date) -> dt.date:
    before = day - _DAY
    while before.weekday() >= 5 or is_holiday(before):
        before -= _DAY
    return before
