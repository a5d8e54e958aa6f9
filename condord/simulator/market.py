"""Move prices and generate quotes: `advance` takes the time and returns the quotes that are due.

The same seed and the same steps give the same quotes.
"""

from __future__ import annotations

import datetime as dt
import heapq
import math
import random
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import msgspec

from condord.core import occ
from condord.core.calendar import Calendar
from condord.core.expiry import ending_of, expiry_of
from condord.errors import SymbolError
from condord.simulator import contracts, pricing
from condord.simulator.contracts import OptionRoot
from condord.simulator.underlyings import Underlyings

_NEW_YORK = ZoneInfo("America/New_York")
YEAR_SECONDS = 365 * 86400
_EXCHANGES = "ABCEHIMNPQSTUWXZ"
_CONDITIONS = "AAAAAA B"
_LONGEST_STEP_SECONDS = 300.0
_MIN_LIQUIDITY = 0.02  # of the farthest wing, as a share of the liquidity at the money


class SimulatedQuote(msgspec.Struct, frozen=True, kw_only=True):
    """One quote. Prices are dollars per share, sizes are contracts, `at_ns` is nanoseconds since 1970."""

    symbol: str
    at_ns: int
    bid: float
    bid_size: int
    bid_exchange: str
    ask: float
    ask_size: int
    ask_exchange: str
    condition: str = "A"

    @property
    def mid(self) -> float:
        """The midpoint of bid and ask; half the ask if there is no bid."""
        return round((self.bid + self.ask) / 2, 4)


class _QuotedContract:
    """A contract that is quoted, its own random generator, and its latest quote."""

    __slots__ = (
        "compact",
        "is_late",
        "is_pinned",
        "last_trading_at",
        "quote",
        "random",
        "root",
        "settles_at",
        "symbol",
    )

    def __init__(self, symbol: occ.OptionSymbol, root: OptionRoot, seed: int) -> None:
        self.symbol = symbol
        self.root = root
        self.compact = symbol.compact
        # Seeded by its symbol: the quotes of a contract do not depend on which others are watched.
        self.random = random.Random(f"{seed}/{self.compact}")  # noqa: S311 - prices, not secrets
        expiry = expiry_of(symbol, root.underlying)
        ending = ending_of(expiry, Calendar())
        self.is_late = expiry.is_late
        self.settles_at = ending.settles_at.timestamp()
        self.last_trading_at = ending.last_trading_at.timestamp()
        self.quote: SimulatedQuote | None = None
        self.is_pinned = False


class Market:
    """The market; `rate` multiplies the number of quotes.

    `at` is always seconds since 1970 in simulated time, and never goes back; `moved_at` is when prices could last move.
    `session_day` is the date of the newest session, by default the date of `at`; with `expires_today`,
    contracts that expire on the date of `at` are listed.
    """

    def __init__(
        self,
        *,
        seed: int,
        at: float,
        rate: float = 1.0,
        session_day: dt.date | None = None,
        expires_today: bool = False,
    ) -> None:
        today = dt.datetime.fromtimestamp(at, _NEW_YORK).date()
        self.rate = rate
        self.listed = contracts.expirations(today, expires_today=expires_today)
        self.underlyings = Underlyings(seed=seed, session_day=session_day or today)
        self._seed = seed
        self._at = self.moved_at = at
        # Seconds in which the market moved. Quotes are scheduled by them: none are caught up after a close.
        self._moving_seconds = 0.0
        self._roots = {root.symbol: root for root in contracts.ROOTS}
        self._contracts: dict[str, _QuotedContract] = {}
        self._due: list[tuple[float, str]] = []
        for root in contracts.ROOTS:
            self.underlyings.add(root)

    @property
    def at(self) -> float:
        """The current time of the market."""
        return self._at

    def root_of(self, symbol: str) -> OptionRoot | None:
        """The option root called `symbol`, else one whose underlying it is; None if there is neither."""
        return self._roots.get(symbol) or next(
            (root for root in self._roots.values() if root.underlying == symbol), None
        )

    def roots(self) -> Sequence[OptionRoot]:
        """Every option root."""
        return tuple(self._roots.values())

    def spot(self, underlying: str) -> float | None:
        """The price of an underlying to the cent; None if the market does not know it."""
        spot = self.underlyings.spot(underlying)
        return None if spot is None else round(spot, 2)

    def watch(self, symbol: str) -> bool:
        """Quote `symbol` from now on, whether it is listed or not; False if it is not an option symbol."""
        if symbol in self._contracts:
            return True
        try:
            parsed = occ.parse(symbol)
        except SymbolError:
            return False
        contract = _QuotedContract(parsed, self._root_or_new(parsed), self._seed)
        self._contracts[symbol] = contract
        value = self.theoretical_value(symbol)
        contract.quote = self._make_quote(contract, value.price, self._at)
        self._schedule(contract, value.delta)
        return True

    def latest(self, symbol: str) -> SimulatedQuote | None:
        """The latest quote of `symbol`; None for an unlisted symbol that is not watched."""
        if symbol not in self._contracts and not self._watch_listed(symbol):
            return None
        return self._contracts[symbol].quote

    def theoretical_value(
        self, symbol: str, *, seconds_ago: float = 0.0, spot_factor: float = 1.0
    ) -> pricing.TheoreticalValue:
        """The value of `symbol` now, or `seconds_ago` with the underlying at `spot_factor` times its current price.

        Raises:
            KeyError: the symbol is not watched.
        """
        contract = self._contracts[symbol]
        spot = (self.underlyings.spot(contract.root.underlying) or 0.0) * spot_factor
        years = (contract.settles_at - self._at + seconds_ago) / YEAR_SECONDS
        return contract_value(contract.symbol, contract.root, self.terms(contract.symbol, contract.root), spot, years)

    def terms(self, symbol: occ.OptionSymbol, root: OptionRoot) -> pricing.PricingTerms:
        """The pricing terms of a contract of `root` today besides its strike, the price and the time."""
        today = dt.datetime.fromtimestamp(self._at, _NEW_YORK).date()
        return pricing.PricingTerms(
            dividend_yield=root.dividend_yield,
            dividends=self.underlyings.dividends_until(root.underlying, symbol.expiration, today),
            is_american=not root.is_european,
        )

    def tick_cents(self, symbol: str, price: float) -> int:
        """The tick of `symbol` at `price`, in cents.

        Raises:
            KeyError: the symbol is not watched.
        """
        return self._contracts[symbol].root.tick_cents[price >= 3]

    def pin(self, quotes: Iterable[SimulatedQuote], *, hold: bool) -> None:
        """Make `quotes` the latest ones; with `hold`, those symbols stop moving until they are released."""
        for quote in quotes:
            if self.watch(quote.symbol):
                contract = self._contracts[quote.symbol]
                contract.quote = quote
                contract.is_pinned = hold

    def set_spot(self, underlying: str, price: float, *, hold: bool) -> list[SimulatedQuote]:
        """Set the price of `underlying` and return new quotes of every contract on it that is watched and still trades.

        With `hold`, the price stops moving until `underlyings.release`, and the contracts are quoted around it.

        Raises:
            KeyError: there is no such underlying.
        """
        changed = self.underlyings.set_spot(underlying, price, hold=hold)
        self.moved_at = self._at
        quotes = []
        for contract in self._contracts.values():
            is_moved = contract.root.underlying in changed and not contract.is_pinned
            if is_moved and self._at < contract.last_trading_at:
                price = self.theoretical_value(contract.compact).price
                contract.quote = self._make_quote(contract, price, self._at)
                quotes.append(contract.quote)
        return quotes

    def release(self) -> None:
        """Let every pinned symbol move again."""
        for contract in self._contracts.values():
            contract.is_pinned = False

    def advance(self, at: float, *, moving: bool = True, is_late: bool = False) -> list[SimulatedQuote]:
        """Move to `at` and return the quotes since the last call, in order; none unless `moving`.

        With `is_late`, only contracts that trade after the close are quoted. Of a step of more than five minutes, only
        the quotes of the last five are made.
        """
        elapsed = max(0.0, at - self._at)
        self._at += elapsed
        if moving:
            self.moved_at = self._at
        if not moving or self.rate <= 0:
            return []
        skipped = max(0.0, elapsed - _LONGEST_STEP_SECONDS)
        self._moving_seconds += skipped
        if skipped:
            self._reschedule()
        self._moving_seconds += elapsed - skipped
        self.underlyings.walk(elapsed)
        quotes = []
        while self._due and self._due[0][0] <= self._moving_seconds:
            due, symbol = heapq.heappop(self._due)
            contract = self._contracts[symbol]
            if self._at >= contract.last_trading_at:  # the day before it expires for AM-settled contracts
                continue
            value = self.theoretical_value(symbol)
            if not contract.is_pinned and (contract.is_late or not is_late):
                contract.quote = self._make_quote(contract, value.price, self._at - (self._moving_seconds - due))
                quotes.append(contract.quote)
            self._schedule(contract, value.delta, due)
        return quotes

    def set_rate(self, rate: float) -> None:
        """Quote `rate` times as often as usual from now on; 0 stops all quotes."""
        self.rate = rate
        self._reschedule()

    def _root_or_new(self, symbol: occ.OptionSymbol) -> OptionRoot:
        root = self.root_of(symbol.root)
        if root is None:
            spot = symbol.strike_mills / 1000
            root = OptionRoot(
                symbol=symbol.root,
                underlying=contracts.underlying_of(symbol.root),
                spot=spot,
                volatility=0.3,
                liquidity=1.0,
                strike_step_mills=500,
            )
            self._roots[symbol.root] = root
            self.underlyings.add(root)
        return root

    def _watch_listed(self, symbol: str) -> bool:
        try:
            parsed = occ.parse(symbol)
        except SymbolError:
            return False
        root = self._roots.get(parsed.root)
        return root is not None and contracts.is_listed(parsed, root, self.listed) and self.watch(symbol)

    def _reschedule(self) -> None:
        self._due.clear()
        for symbol, contract in self._contracts.items():
            self._schedule(contract, self.theoretical_value(symbol).delta)

    def _schedule(self, contract: _QuotedContract, delta: float, after: float | None = None) -> None:
        if self.rate <= 0:
            return
        delta = abs(delta)
        nearness = 2 * min(delta, 1 - delta)
        # Liquid contracts near the money quote several times a second, far wings rarely.
        per_second = contract.root.liquidity * (_MIN_LIQUIDITY + nearness * (1 - _MIN_LIQUIDITY)) * self.rate
        start = self._moving_seconds if after is None else after
        heapq.heappush(self._due, (start + contract.random.expovariate(per_second), contract.compact))

    def _make_quote(self, contract: _QuotedContract, price: float, at: float) -> SimulatedQuote:
        """A quote around `price`, the theoretical one, rounded outwards to the tick so that bid < ask."""
        draw = contract.random
        symbol = contract.compact
        cents = price * 100
        bid, ask = quoted_cents(contract.root, cents, draw.uniform(0.7, 1.3))
        depth = 8 + 60 * contract.root.liquidity / (1 + cents / 100)
        return SimulatedQuote(
            symbol=symbol,
            at_ns=_stamp_ns(at, draw),
            bid=bid / 100,
            bid_size=1 + int(draw.expovariate(1 / depth)) if bid else 0,
            bid_exchange=draw.choice(_EXCHANGES) if bid else "?",
            ask=ask / 100,
            ask_size=1 + int(draw.expovariate(1 / depth)),
            ask_exchange=draw.choice(_EXCHANGES),
            condition=draw.choice(_CONDITIONS),
        )


def contract_value(
    symbol: occ.OptionSymbol, root: OptionRoot, terms: pricing.PricingTerms, spot: float, years: float
) -> pricing.TheoreticalValue:
    """The value of a contract, `years` before it settles, with its underlying at `spot`."""
    strike = symbol.strike_mills / 1000
    volatility = pricing.smile(root.volatility, spot, strike, years)
    return pricing.theoretical_value(symbol.right, spot, strike, years, volatility, terms)


def quoted_cents(root: OptionRoot, cents: float, width: float = 1.0) -> tuple[int, int]:
    """Bid and ask around a value, rounded outwards to the tick; `width` multiplies the usual spread.

    Without a bid, which is below a tick, it is 0.
    """
    tick = root.tick_cents[cents >= 300]
    spread = max(tick, cents * root.spread * width)
    bid = max(0, math.floor((cents - spread / 2) / tick)) * tick
    return bid, max(bid + tick, math.ceil((cents + spread / 2) / tick) * tick)


def _stamp_ns(at: float, draw: random.Random) -> int:
    """`at` in nanoseconds; some exchanges stamp in micro- or milliseconds, so trailing zeros vary."""
    unit = draw.choice((1, 1, 1, 1, 1000, 1_000_000))
    return int(at * 1e9) // unit * unit
