"""The quotes, trades and bars of stocks, around the prices from which their options are valued.

A quote is a cent or two wide, and its midpoint is within half a cent of the price. The same seed and the same steps
give the same quotes.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

from condord.simulator.contracts import OptionRoot
from condord.simulator.market import Market, SimulatedQuote
from condord.simulator.past_path import PastPath

_NEW_YORK = ZoneInfo("America/New_York")
_EXCHANGE = "V"  # all that the free feed has
_LIQUIDITY = 1.5  # quotes of a stock for every quote of its contract at the money
_WIDE_FROM = 200.0  # dollars, from which a spread can be two cents
_TRADE_SHARE = 0.25
_QUOTES_AT_ONCE = 200.0
_LOT = 100
_SHARES_PER_DAY = 4_000_000
_MINUTE = 60


class SimulatedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade: dollars and shares, `at_ns` nanoseconds since 1970. Fewer than 100 shares are an odd lot."""

    symbol: str
    at_ns: int
    id: int
    price: float
    size: int
    exchange: str = _EXCHANGE

    @property
    def conditions(self) -> list[str]:
        """The sale conditions of the trade."""
        return ["@"] if self.size >= _LOT else ["@", "I"]


class StockBar(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of a minute or of a session: `start` is its first second since 1970, or midnight for a session."""

    symbol: str
    start: int
    open: float
    high: float
    low: float
    close: float
    volume: int = 0
    count: int = 0

    def moved(self, price: float) -> StockBar:
        """This bar with `price` as the newest one."""
        return msgspec.structs.replace(self, high=max(self.high, price), low=min(self.low, price), close=price)

    def traded(self, trade: SimulatedTrade) -> StockBar:
        """This bar with one more trade."""
        return msgspec.structs.replace(self, volume=self.volume + trade.size, count=self.count + 1)

    @property
    def day(self) -> dt.date:
        """The date in New York at its start."""
        return dt.datetime.fromtimestamp(self.start, _NEW_YORK).date()

    def scaled(self, factor: float) -> StockBar:
        """This bar with its prices times `factor`, to the cent."""
        prices = {name: round(getattr(self, name) * factor, 2) for name in ("open", "high", "low", "close")}
        return msgspec.structs.replace(self, **prices)

    @property
    def mean(self) -> float:
        """The mean of its prices, for the volume-weighted one."""
        return round((self.open + self.high + self.low + self.close) / 4, 6)


class MinuteEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A minute is over: its bar, and the session's so far. A late trade may correct the former."""

    minute: StockBar
    session: StockBar
    is_corrected: bool


StockEvent = SimulatedQuote | SimulatedTrade | MinuteEnd


class _Stock:
    """One stock with its own random generator, and its figures for REST."""

    __slots__ = ("before", "countdown", "ended", "is_pinned", "minute", "quote", "random", "root", "session", "trade")

    def __init__(self, root: OptionRoot, *, seed: int, at: float, price: float, close: float) -> None:
        self.root = root
        # Seeded by its symbol: the quotes of a stock do not depend on which others there are.
        self.random = draw = random.Random(f"{seed}/{root.underlying}/stock")  # noqa: S311 - prices, not secrets
        self.countdown = draw.expovariate(1.0)
        self.is_pinned = False
        self.quote = _quote(root.underlying, price, at, draw)
        self.trade = _trade(self.quote, price, 1, draw)
        self.minute = _flat(root.underlying, _minute_of(at), price)
        self.session = self.before = _flat(root.underlying, 0, close)
        self.ended: list[StockBar] = []


class StockMarket:
    """The stocks on which `market` has options; `path` is its past."""

    def __init__(self, market: Market, *, seed: int, path: PastPath) -> None:
        self._market = market
        self._seed = seed
        self._at = market.at
        self._path = path
        self._before = path.before
        self._stocks: dict[str, _Stock] = {}

    def quote(self, symbol: str) -> SimulatedQuote | None:
        """The latest quote of a stock; None if the market does not know it."""
        stock = self._stock(symbol)
        return stock.quote if stock else None

    def trade(self, symbol: str) -> SimulatedTrade | None:
        """The last trade of a stock; None if the market does not know it."""
        stock = self._stock(symbol)
        return stock.trade if stock else None

    def bars(self, symbol: str) -> tuple[StockBar, StockBar, StockBar] | None:
        """The bars of a stock's newest minute and session, and of the session before; None if it is unknown."""
        stock = self._stock(symbol)
        return (stock.minute, stock.session, stock.before) if stock else None

    def day_bars(self, symbol: str, start: dt.date, end: dt.date) -> list[StockBar] | None:
        """The bars of a stock's sessions from `start` to `end`, both included, oldest first; None if it is unknown."""
        stock = self._stock(symbol)
        if stock is None:
            return None
        newest = [*stock.ended, stock.before, stock.session]
        days = [session.day for session in self._path.sessions if _midnight(session.day) < newest[0].start]
        past = (self._past(stock, day) for day in days if start <= day <= end)
        return [*past, *(bar for bar in newest if _midnight(start) <= bar.start <= _midnight(end))]

    def advance(self, at: float, *, moving: bool = True) -> list[StockEvent]:
        """Move to `at`, after the market, and return the events since the last call, in order."""
        elapsed, self._at = max(0.0, at - self._at), max(at, self._at)
        events: list[tuple[int, StockEvent]] = []
        for root in self._market.underlyings.stocks:
            stock = self._stock(root.underlying)
            if stock is not None and moving:
                events += self._advance(stock, elapsed)
        return [event for _, event in sorted(events, key=lambda pair: pair[0])]

    def begin_session(self, day: dt.date, before: dt.date) -> None:
        """Begin the session of `day`, which the market has begun; `before` is the date of the last one before it."""
        self._before = before
        for symbol, stock in self._stocks.items():
            close = self._market.underlyings.previous_close(symbol) or 0.0
            was_yesterday = stock.session.start == _midnight(before)
            stock.ended += [stock.before] if was_yesterday else [stock.before, stock.session]
            stock.before = stock.session.moved(close) if was_yesterday else _flat(symbol, _midnight(before), close)
            stock.session = _flat(symbol, _midnight(day), self._price(symbol))

    def requote(self, symbols: Iterable[str]) -> list[StockEvent]:
        """Quote and trade those of `symbols` that are stocks at their price, which was set."""
        events: list[StockEvent] = []
        for symbol in symbols:
            stock = self._stock(symbol)
            if stock is not None and not stock.is_pinned:
                price = self._price(symbol)
                self._move_bars(stock, price)
                stock.quote = _quote(symbol, price, self._at, stock.random)
                events += [stock.quote, self._trade(stock)]
        return events

    def pin(self, quote: SimulatedQuote, *, hold: bool) -> bool:
        """Make `quote` the latest of its stock; with `hold`, until it is released. False if the stock is unknown."""
        stock = self._stock(quote.symbol)
        if stock is None:
            return False
        stock.quote, stock.is_pinned = quote, hold
        return True

    def release(self) -> None:
        """Let every pinned stock be quoted again."""
        for stock in self._stocks.values():
            stock.is_pinned = False

    def _price(self, symbol: str) -> float:
        return self._market.spot(symbol) or 0.0

    def _stock(self, symbol: str) -> _Stock | None:
        if symbol in self._stocks:
            return self._stocks[symbol]
        underlyings = self._market.underlyings
        root = next((root for root in underlyings.stocks if root.underlying == symbol), None)
        if root is None:
            return None
        price, close = self._price(symbol), underlyings.previous_close(symbol) or 0.0
        last = underlyings.close_before(symbol, underlyings.session_day + dt.timedelta(days=1)) or 0.0
        stock = self._stocks[symbol] = _Stock(root, seed=self._seed, at=self._at, price=price, close=close)
        stock.before = self._past(stock, self._before).moved(close)
        stock.session = self._past(stock, underlyings.session_day).moved(last)
        return stock

    def _past(self, stock: _Stock, day: dt.date) -> StockBar:
        """The bar of a past session; flat if the path of the past does not contain that day."""
        symbol = stock.root.underlying
        prices = self._path.day(symbol, day)
        if prices is None:
            return _flat(symbol, _midnight(day), self._market.underlyings.previous_close(symbol) or 0.0)
        draw = random.Random(f"{self._seed}/{symbol}/volume/{day}")  # noqa: S311 - volumes, not secrets
        volume = int(_SHARES_PER_DAY * stock.root.liquidity * draw.uniform(0.5, 1.5))
        return StockBar(
            symbol=symbol,
            start=_midnight(day),
            open=prices.open,
            high=prices.high,
            low=prices.low,
            close=prices.close,
            volume=volume,
            count=volume // _LOT,
        )

    def _advance(self, stock: _Stock, elapsed: float) -> list[tuple[int, StockEvent]]:
        symbol, price = stock.root.underlying, self._price(stock.root.underlying)
        events: list[tuple[int, StockEvent]] = []
        minute = _minute_of(self._at)
        if minute != stock.minute.start:
            is_corrected = stock.random.random() < _TRADE_SHARE
            over = MinuteEnd(minute=stock.minute, session=stock.session, is_corrected=is_corrected)
            events.append((minute * 1_000_000_000, over))
            stock.minute = _flat(symbol, minute, price)
        self._move_bars(stock, price)
        per_second = stock.root.liquidity * _LIQUIDITY * self._market.rate
        # A long step brings only its last quotes: nobody subscribes to all of a night in one tick.
        stock.countdown = max(stock.countdown - elapsed * per_second, -_QUOTES_AT_ONCE)
        while stock.countdown < 0:
            due = self._at + stock.countdown / per_second
            stock.countdown += stock.random.expovariate(1.0)
            if not stock.is_pinned:
                stock.quote = _quote(symbol, price, due, stock.random)
                events.append((stock.quote.at_ns, stock.quote))
                if stock.random.random() < _TRADE_SHARE:
                    events.append((stock.quote.at_ns, self._trade(stock)))
        return events

    def _trade(self, stock: _Stock) -> SimulatedTrade:
        stock.trade = trade = _trade(stock.quote, self._price(stock.quote.symbol), stock.trade.id + 1, stock.random)
        stock.minute = stock.minute.traded(trade)
        if not self._market.underlyings.is_over:
            stock.session = stock.session.traded(trade)
        return trade

    def _move_bars(self, stock: _Stock, price: float) -> None:
        stock.minute = stock.minute.moved(price)
        if not self._market.underlyings.is_over:
            stock.session = stock.session.moved(price)


def _quote(symbol: str, price: float, at: float, draw: random.Random) -> SimulatedQuote:
    cents = round(price * 100)
    below, above = draw.choice(((1, 1), (1, 0), (0, 1)) if price >= _WIDE_FROM else ((1, 0), (0, 1)))
    sizes = [_LOT * (1 + int(draw.expovariate(0.3))) for _ in range(2)]
    bid = max(0, cents - below)
    return SimulatedQuote(
        symbol=symbol,
        at_ns=int(at * 1e9),
        bid=bid / 100,
        bid_size=sizes[0] if bid else 0,
        bid_exchange=_EXCHANGE if bid else " ",
        ask=(cents + above) / 100 if cents + above > bid else (bid + 1) / 100,
        ask_size=sizes[1],
        ask_exchange=_EXCHANGE,
        condition="R",
    )


def _trade(quote: SimulatedQuote, price: float, number: int, draw: random.Random) -> SimulatedTrade:
    """A trade at `price`, or at the nearer side of `quote` if that is outside of it."""
    size = draw.choice((1, 5, 25, _LOT, _LOT, 2 * _LOT, 5 * _LOT))
    inside = min(max(price, quote.bid), quote.ask)
    return SimulatedTrade(symbol=quote.symbol, at_ns=quote.at_ns, id=number, price=inside, size=size)


def _flat(symbol: str, start: int, price: float) -> StockBar:
    return StockBar(symbol=symbol, start=start, open=price, high=price, low=price, close=price)


def _minute_of(at: float) -> int:
    return int(at) // _MINUTE * _MINUTE


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), _NEW_YORK).timestamp())
