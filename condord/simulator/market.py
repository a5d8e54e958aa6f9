"""Decides how prices move and which quote comes when: `advance` takes the time and returns the quotes due.

Rules:
- Underlyings walk (geometric Brownian motion); an option's quote is its value at that moment, rounded outwards to
  its tick, so that bid < ask; what is worth less than a cent has no bid.
- Every contract has its own chance, seeded by its symbol: what one contract does never depends on which others
  are watched. The same seed and the same steps give the same quotes.
- A contract quotes at random moments, liquid ones near the money several times a second, far wings rarely.
- Time that passes while the market does not move (closed, frozen) does not exist for it: no quotes are caught up.
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
from condord.errors import SymbolError
from condord.simulator import names, pricing
from condord.simulator.names import Name

_NEW_YORK = ZoneInfo("America/New_York")
_TRADING_YEAR_SECONDS = 252 * 6.5 * 3600
_CALENDAR_YEAR_SECONDS = 365.25 * 86400
_EXCHANGES = "ABCEHIMNPQSTUWXZ"
_CONDITIONS = "AAAAAA B"
_SLOWEST = 0.02  # quotes a second of the farthest wing, as a share of the liquidity at the money


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One quote; prices in dollars, sizes in contracts, `at_ns` nanoseconds since 1970."""

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
        """The middle of bid and ask, half the ask where there is no bid."""
        return round((self.bid + self.ask) / 2, 4)


class _Contract:
    """One contract that is quoted: what it is, its chance, and its last quote."""

    __slots__ = ("chance", "expires_at", "is_pinned", "name", "quote", "strike", "symbol")

    def __init__(self, symbol: occ.OptionSymbol, name: Name, seed: int) -> None:
        self.symbol = symbol
        self.name = name
        self.strike = symbol.strike_mills / 1000
        self.chance = random.Random(f"{seed}/{symbol.compact}")  # noqa: S311 - prices, not secrets
        close = dt.datetime.combine(symbol.expiration, dt.time(16, 0), _NEW_YORK)
        self.expires_at = close.timestamp()
        self.quote: Quote | None = None
        self.is_pinned = False


class Market:
    """The whole market; `at` is always seconds since 1970 in simulated time and never goes back."""

    def __init__(self, *, seed: int, at: float, rate: float = 1.0, known: Sequence[Name] = names.NAMES) -> None:
        self.rate = rate
        self.listed = names.expirations(dt.datetime.fromtimestamp(at, _NEW_YORK).date())
        self._seed = seed
        self._at = at
        self._tape = 0.0
        self._names = {name.root: name for name in known}
        self._spots: dict[str, float] = {}
        self._walks: dict[str, random.Random] = {}
        self._contracts: dict[str, _Contract] = {}
        self._due: list[tuple[float, str]] = []
        for name in known:
            self._start(name)

    @property
    def at(self) -> float:
        """The moment the market stands at."""
        return self._at

    def name_of(self, root: str) -> Name | None:
        """The name behind an option root or a stock symbol; None where the market knows neither."""
        return self._names.get(root) or next((name for name in self._names.values() if name.underlying == root), None)

    def names(self) -> Sequence[Name]:
        """Every option root there is."""
        return tuple(self._names.values())

    def spot(self, underlying: str) -> float | None:
        """The price of a stock, in dollars; None where the market does not know it."""
        spot = self._spots.get(underlying)
        return None if spot is None else round(spot, 2)

    def watch(self, symbol: str) -> bool:
        """Quote `symbol` from now on, whether it is listed or not; False where it is no option symbol."""
        if symbol in self._contracts:
            return True
        try:
            parsed = occ.parse(symbol)
        except SymbolError:
            return False
        contract = _Contract(parsed, self._name_or_new(parsed), self._seed)
        self._contracts[symbol] = contract
        contract.quote = self._make_quote(contract, self._at)
        self._schedule(contract)
        return True

    def latest(self, symbol: str) -> Quote | None:
        """The last quote of `symbol`; None where it was never quoted, which is every unlisted symbol."""
        if symbol not in self._contracts and not self._watch_listed(symbol):
            return None
        return self._contracts[symbol].quote

    def valuation(self, symbol: str, *, seconds_ago: float = 0.0, spot_factor: float = 1.0) -> pricing.Valuation:
        """What `symbol` is worth now, or was `seconds_ago` with the underlying at `spot_factor` times today's.

        Raises:
            KeyError: the symbol is not watched.
        """
        contract = self._contracts[symbol]
        spot = self._spots[contract.name.underlying] * spot_factor
        years = (contract.expires_at - self._at + seconds_ago) / _CALENDAR_YEAR_SECONDS
        volatility = pricing.smile(contract.name.volatility, spot, contract.strike, years)
        return pricing.value(contract.symbol.right, spot, contract.strike, years, volatility)

    def tick_cents(self, symbol: str, price: float) -> int:
        """The tick of `symbol` at `price`, in cents.

        Raises:
            KeyError: the symbol is not watched.
        """
        return self._contracts[symbol].name.tick_cents[price >= 3]

    def pin(self, quotes: Iterable[Quote], *, hold: bool) -> None:
        """Make `quotes` the latest ones; with `hold` those symbols stop moving until they are released."""
        for quote in quotes:
            if self.watch(quote.symbol):
                contract = self._contracts[quote.symbol]
                contract.quote = quote
                contract.is_pinned = hold

    def release(self) -> None:
        """Let every pinned symbol move again."""
        for contract in self._contracts.values():
            contract.is_pinned = False

    def advance(self, at: float, *, moving: bool = True) -> list[Quote]:
        """Move to `at` and return the quotes that came meanwhile, in order; none unless `moving`."""
        passed = max(0.0, at - self._at)
        self._at += passed
        if not moving or self.rate <= 0:
            return []
        self._tape += passed
        self._walk(passed)
        quotes = []
        while self._due and self._due[0][0] <= self._tape:
            due, symbol = heapq.heappop(self._due)
            contract = self._contracts[symbol]
            if not contract.is_pinned:
                contract.quote = self._make_quote(contract, self._at - (self._tape - due))
                quotes.append(contract.quote)
            self._schedule(contract, due)
        return quotes

    def set_rate(self, rate: float) -> None:
        """Quote `rate` times as often as usual from now on; 0 stops all quotes."""
        self.rate = rate
        self._due.clear()
        if rate > 0:
            for contract in self._contracts.values():
                self._schedule(contract)

    def _start(self, name: Name) -> None:
        chance = random.Random(f"{self._seed}/{name.underlying}")  # noqa: S311 - prices, not secrets
        self._walks[name.underlying] = chance
        self._spots[name.underlying] = name.spot * (1 + chance.uniform(-0.004, 0.004))

    def _name_or_new(self, symbol: occ.OptionSymbol) -> Name:
        name = self.name_of(symbol.root)
        if name is None:
            spot = symbol.strike_mills / 1000
            name = Name(
                root=symbol.root, underlying=symbol.root, spot=spot, volatility=0.3, liquidity=1.0,
                strike_step_mills=500,
            )  # fmt: skip
            self._names[symbol.root] = name
            self._start(name)
        return name

    def _watch_listed(self, symbol: str) -> bool:
        try:
            parsed = occ.parse(symbol)
        except SymbolError:
            return False
        name = self._names.get(parsed.root)
        return name is not None and names.is_listed(parsed, name, self.listed) and self.watch(symbol)

    def _walk(self, seconds: float) -> None:
        step = math.sqrt(seconds / _TRADING_YEAR_SECONDS)
        by_underlying = {name.underlying: name for name in self._names.values()}
        for underlying, name in by_underlying.items():
            shock = self._walks[underlying].gauss(0.0, 1.0) * name.volatility * step
            self._spots[underlying] *= math.exp(shock)

    def _schedule(self, contract: _Contract, after: float | None = None) -> None:
        if self.rate <= 0:
            return
        delta = abs(self.valuation(contract.symbol.compact).delta)
        nearness = 2 * min(delta, 1 - delta)
        per_second = contract.name.liquidity * (_SLOWEST + nearness * (1 - _SLOWEST)) * self.rate
        start = self._tape if after is None else after
        heapq.heappush(self._due, (start + contract.chance.expovariate(per_second), contract.symbol.compact))

    def _make_quote(self, contract: _Contract, at: float) -> Quote:
        chance = contract.chance
        symbol = contract.symbol.compact
        worth = self.valuation(symbol).price * 100
        tick = contract.name.tick_cents[worth >= 300]
        wide = max(tick, worth * contract.name.spread * chance.uniform(0.7, 1.3))
        bid = max(0, math.floor((worth - wide / 2) / tick)) * tick
        ask = max(bid + tick, math.ceil((worth + wide / 2) / tick) * tick)
        depth = 8 + 60 * contract.name.liquidity / (1 + worth / 100)
        return Quote(
            symbol=symbol,
            at_ns=_stamp_ns(at, chance),
            bid=bid / 100,
            bid_size=1 + int(chance.expovariate(1 / depth)) if bid else 0,
            bid_exchange=chance.choice(_EXCHANGES) if bid else "?",
            ask=ask / 100,
            ask_size=1 + int(chance.expovariate(1 / depth)),
            ask_exchange=chance.choice(_EXCHANGES),
            condition=chance.choice(_CONDITIONS),
        )


def _stamp_ns(at: float, chance: random.Random) -> int:
    """`at` in nanoseconds; some exchanges stamp micro- or milliseconds, so trailing zeros vary."""
    unit = chance.choice((1, 1, 1, 1, 1000, 1_000_000))
    return int(at * 1e9) // unit * unit
