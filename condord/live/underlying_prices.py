"""Keep the newest price of each underlying, by the exchange's time, and whether it is confirmed.

Quotes of stocks come from their stream and REST; trades, closes and index values only from REST. A price stays valid
until a newer one arrives, as age does not make it wrong. But while the market is open, it is unconfirmed when neither a
message of the stream nor an answer of REST has given it for `CONFIRMED_SECONDS`. An answer gives it as long as it
contains any price, as REST then has nothing newer. A last trade is unconfirmed, too, when it is older than that itself,
because it takes the place of a quote that is too wide.

While the market is closed, prices neither change nor become unconfirmed; only an underlying without a price takes one.
So what is computed from them belongs to the frozen marks of the options.

An index has a price by put-call parity where REST has not given its value.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

import msgspec

from condord.core.quote import PRICE_LIMIT, Tick
from condord.core.underlying import (
    TRADE_SOURCES,
    Bar,
    ChosenPrice,
    IndexValue,
    PriceProblem,
    StockFeed,
    StockSnapshot,
    StockTrade,
    UnderlyingPrice,
    choose,
    previous_close_e4,
)
from condord.live.prices import FUTURE_SECONDS
from condord.live.wire import Refusal

CONFIRMED_SECONDS = 60.0
"""How long a message or an answer confirms a price while the market is open."""

_MAX_TRADE_AGE = dt.timedelta(seconds=CONFIRMED_SECONDS)
_FUTURE = dt.timedelta(seconds=FUTURE_SECONDS)
_KEPT_BARS = 4
_NEVER_AT = dt.datetime.min.replace(tzinfo=dt.UTC)
_FOREVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST_AT = _FOREVER_AT - _FUTURE


class _KnownPrices:
    """The prices known of one underlying; `given_at` is when a source last sent one, in loop seconds."""

    def __init__(self) -> None:
        self.quote: Tick | None = None
        self.trade: StockTrade | None = None
        self.bars: dict[dt.date, Bar] = {}
        self.chosen: ChosenPrice | None = None
        self.given_at: float | None = None
        self.is_answered = False


class UnderlyingPrices:
    """The prices of the underlyings in `hold`. `refused` counts what was refused, by reason.

    Call `settle` once a window, and at least every 15 s, so that a price becomes unconfirmed in time: `price` returns
    what the last `settle` has chosen. `now` is in loop seconds.
    """

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.prices: dict[str, UnderlyingPrice] = {}
        self._feed: StockFeed = "iex"
        self._stocks: dict[str, _KnownPrices] = {}
        self._indexes: dict[str, _KnownPrices] = {}
        self._parity: dict[str, ChosenPrice] = {}
        self._is_entitled = True
        self._waiting: dict[str, tuple[Tick, float]] = {}
        self._answers: list[tuple[StockSnapshot | IndexValue, float]] = []
        self._clock_at = self._market_at = self._clock_limit_at = self._limit_at = _FOREVER_AT
        self._cut_at = _NEVER_AT

    def price(self, symbol: str) -> UnderlyingPrice:
        """The price of an underlying as of the last `settle`; one that is not held has none."""
        return self.prices.get(symbol) or UnderlyingPrice(symbol=symbol, reason="noQuote")

    def hold(self, stocks: Iterable[str], indexes: Iterable[str]) -> None:
        """Keep the prices only of these symbols and forget all others."""
        self._stocks = {symbol: self._stocks.get(symbol) or _KnownPrices() for symbol in stocks}
        self._indexes = {symbol: self._indexes.get(symbol) or _KnownPrices() for symbol in indexes}
        self._parity = {symbol: price for symbol, price in self._parity.items() if symbol in self._indexes}
        for symbol in self.prices.keys() - self._stocks.keys() - self._indexes.keys():
            del self.prices[symbol]

    def set_feed(self, feed: StockFeed) -> None:
        """Take the feed of the stocks' prices. What another feed gave stays only until this one gives a price."""
        if feed != self._feed:
            self._feed = feed
            self._waiting.clear()
            self._answers = [(answer, now) for answer, now in self._answers if isinstance(answer, IndexValue)]
            for known in self._stocks.values():
                known.quote = known.trade = None

    def offer(self, ticks: Iterable[Tick], now: float) -> None:
        """Take quotes from the stream; refuse those that are not sane, late, or from the future.

        Without a bid or an ask, the last trade is the price. This is the fast path of every quote: it only keeps the
        newest tick of each symbol.
        """
        waiting, limit_at = self._waiting, self._limit_at
        for tick in ticks:
            if not (0.0 <= tick.bid < PRICE_LIMIT and 0.0 <= tick.ask < PRICE_LIMIT):
                self._refuse("price")
            elif tick.at > limit_at:
                self._refuse("future")
            elif tick.symbol in waiting and not self._is_news(tick, waiting[tick.symbol][0]):
                self._refuse("outOfOrder")
            else:
                waiting[tick.symbol] = tick, now

    def confirm(self, snapshots: Iterable[StockSnapshot], now: float) -> None:
        """Take an answer of REST about stocks."""
        self._answers += [(snapshot, now) for snapshot in snapshots]

    def confirm_indexes(self, values: Iterable[IndexValue], now: float, *, is_entitled: bool) -> None:
        """Take an answer of REST about indexes. Without the entitlement, earlier values no longer count."""
        self._is_entitled = is_entitled
        self._answers += [(value, now) for value in values]
        for known in self._indexes.values():
            known.is_answered = True
            if not is_entitled:
                known.chosen = known.given_at = None

    def lapse(self, now_at: dt.datetime) -> None:
        """Mark every price unconfirmed while the market is open: nothing received so far is known to be recent.

        Nor does a quote of the stream confirm one that was made before `now_at`, the exchange's time (UTC): it has
        waited in the connection. The loop's clock may stand still during a suspension, so `CONFIRMED_SECONDS` alone
        would not show it.
        """
        self._cut_at = now_at
        for known in (*self._stocks.values(), *self._indexes.values()):
            known.given_at = None
        self._waiting = {symbol: (tick, -math.inf) for symbol, (tick, _) in self._waiting.items()}
        self._answers = [(answer, -math.inf) for answer, _ in self._answers]

    def set_parity(self, symbol: str, price_e4: int | None, at: dt.datetime) -> None:
        """Take the price of an index from quotes of `at` that are confirmed; None without such quotes."""
        if price_e4 is None or price_e4 <= 0 or symbol not in self._indexes:
            self._parity.pop(symbol, None)
        else:
            self._parity[symbol] = ChosenPrice(price_e4, "parity", at)

    def settle(self, now: float, now_at: dt.datetime, *, is_open: bool) -> set[str]:
        """Judge the quotes that have arrived; return the symbols whose price changed in anything but its time.

        `now_at` is the exchange's time, and `is_open` whether the market is open.
        """
        self._set_exchange_time(now_at)
        self._judge_waiting(is_open=is_open)
        for answer, given_at in self._answers:
            if isinstance(answer, IndexValue):
                self._take_value(answer, given_at, is_open=is_open)
            elif answer.symbol in self._stocks:
                self._take_snapshot(answer, given_at, is_open=is_open)
        self._answers.clear()
        changed = set()
        for symbol, known in (*self._stocks.items(), *self._indexes.items()):
            price = self._judged(symbol, known, now, now_at, is_open=is_open)
            before = self.prices.get(symbol)
            if before is None or (before != price and msgspec.structs.replace(before, at=price.at) != price):
                changed.add(symbol)
            self.prices[symbol] = price
        return changed

    def _judge_waiting(self, *, is_open: bool) -> None:
        accepted_at = []
        for symbol, (tick, given_at) in self._waiting.items():
            known = self._stocks.get(symbol)
            if known is None:
                self._refuse("notHeld")
            elif tick.at > self._limit_at:  # there was no clock, or it was set back since it arrived
                self._refuse("future")
            elif not self._is_news(tick, known.quote):
                self._refuse("outOfOrder")
            elif is_open or known.chosen is None:
                accepted_at.append(tick.at)
                if (chosen := choose(tick, known.trade, self._feed)) is not None:
                    known.quote, known.chosen = tick, chosen
                    if tick.at >= self._cut_at:
                        known.given_at = given_at
        self._waiting.clear()
        if accepted_at:
            self._market_at = max(accepted_at)
            self._move_limits()

    def _take_snapshot(self, snapshot: StockSnapshot, given_at: float, *, is_open: bool) -> None:
        known = self._stocks[snapshot.symbol]
        known.is_answered = True
        for bar in (snapshot.before, snapshot.today):
            if bar is not None and bar.close_e4 > 0:
                known.bars[bar.day] = bar
        known.bars = {day: known.bars[day] for day in sorted(known.bars)[-_KEPT_BARS:]}
        quote, trade = self._sane_quote(snapshot.quote), self._sane_trade(snapshot.trade)
        if choose(quote, trade, self._feed) is None:
            return
        known.given_at = given_at
        if is_open or known.chosen is None:
            if quote is not None and self._is_news(quote, known.quote):
                known.quote = quote
            if trade is not None and (known.trade is None or not self._is_late(trade.at, known.trade.at)):
                known.trade = trade
            known.chosen = choose(known.quote, known.trade, self._feed) or known.chosen

    def _take_value(self, value: IndexValue, given_at: float, *, is_open: bool) -> None:
        known = self._indexes.get(value.symbol)
        if known is None or not self._is_entitled:
            return
        if value.value_e4 <= 0:
            self._refuse("price")
        elif value.at > self._limit_at:
            self._refuse("future")
        else:
            known.given_at = given_at
            is_late = known.chosen is not None and self._is_late(value.at, known.chosen.at)
            if known.chosen is None or (is_open and not is_late):
                known.chosen = ChosenPrice(value.value_e4, "index", value.at)

    def _sane_quote(self, quote: Tick | None) -> Tick | None:
        """The quote of a snapshot, None if it is refused. One-sided quotes are not: they just give no price."""
        if quote is None:
            return None
        if not quote.is_sane:
            self._refuse("price")
        elif quote.at > self._limit_at:
            self._refuse("future")
        else:
            return quote
        return None

    def _sane_trade(self, trade: StockTrade | None) -> StockTrade | None:
        if trade is None:
            return None
        if trade.price_e4 <= 0:
            self._refuse("price")
        elif trade.at > self._limit_at:
            self._refuse("future")
        else:
            return trade
        return None

    def _judged(
        self, symbol: str, known: _KnownPrices, now: float, now_at: dt.datetime, *, is_open: bool
    ) -> UnderlyingPrice:
        chosen = known.chosen or self._parity.get(symbol)
        if chosen is None:
            return UnderlyingPrice(symbol=symbol, reason=self._why_none(symbol, known))
        is_given = known.given_at is not None and now - known.given_at < CONFIRMED_SECONDS
        is_old_trade = chosen.source in TRADE_SOURCES and now_at - chosen.at > _MAX_TRADE_AGE
        is_stale = is_open and chosen.source != "parity" and (not is_given or is_old_trade)
        return UnderlyingPrice(
            symbol=symbol,
            price_e4=chosen.price_e4,
            source=chosen.source,
            at=chosen.at,
            unconfirmed=is_stale,
            reason="stale" if is_stale else None,
            previous_close_e4=previous_close_e4(known.bars.values(), chosen.at),
        )

    def _why_none(self, symbol: str, known: _KnownPrices) -> PriceProblem:
        if symbol in self._indexes and not self._is_entitled:
            return "indexNotEntitled"
        return "noQuote" if known.is_answered else "unreachable"

    def _is_news(self, tick: Tick, known: Tick | None) -> bool:
        """Whether a quote replaces one that is known; the same quote again does not."""
        if known is None:
            return True
        if tick.at == known.at:
            return (tick.bid, tick.ask) != (known.bid, known.ask)
        return not self._is_late(tick.at, known.at)

    def _is_late(self, at: dt.datetime, known_at: dt.datetime) -> bool:
        """Whether something of `at` is refused because `known_at` is newer, as in `Prices`."""
        return at < known_at and (known_at <= self._clock_limit_at or known_at - at <= _FUTURE)

    def _set_exchange_time(self, at: dt.datetime) -> None:
        if at < self._clock_at:  # the first call, or the clock was set back: earlier quotes may be too new
            self._market_at = at
        self._clock_at = at
        self._move_limits()

    def _move_limits(self) -> None:
        self._clock_limit_at = min(self._clock_at, _LAST_AT) + _FUTURE
        self._limit_at = max(self._clock_limit_at, min(self._market_at, _LAST_AT) + _FUTURE)

    def _refuse(self, reason: Refusal) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
