"""Compute the most that an account can lose at expiration, by underlying.

Contracts are netted in one book if they settle at the same price: those of one underlying, expiration and settlement.
AM-settled and PM-settled contracts of one day are not netted, as a short condor of one kind and a long condor of the
other can both lose. An adjusted root is a separate book, as it delivers something other than standard contracts. The
payoff of a book bends only at strikes. A book that cannot lose counts 0 and does not offset others.

A short that a later long covers (see `cover`) takes that long into its own book at its intrinsic value. An American
option is never worth less. A European put can be, by at most the interest on its strike until it expires:

    K (1 - exp(-r dT)) x multiplier

A European call can be, by the dividends until then, which grow with the price, so there is no bound. A call
covered by shares cannot lose more than these shares gain, so only its credit counts. Contracts past their settlement
count nothing.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Iterable, Mapping

from condord.core.calendar import Calendar
from condord.core.cover import Pair
from condord.core.expiry import Ending, Expiry, Settlement, ending_of, expiry_of, style_of
from condord.core.occ import OptionSymbol
from condord.core.position import Position

DEFAULT_RATE = 0.04
"""The yearly rate, continuously compounded, at which the later European put of a pair is discounted."""

_E4_PER_MILL = 10
_MINUTES_PER_YEAR = 525_600
_Key = tuple[dt.date, Settlement, str]


class _NetBook:
    """Contracts that settle at one price; money is in 1e-4 dollars, None if unknown."""

    def __init__(self) -> None:
        self.legs: list[tuple[OptionSymbol, int]] = []
        self.basis_e4: int | None = 0
        self.credit_e4: int | None = 0
        self.discount_e4 = 0
        self.is_bounded = True

    def add(self, contract: OptionSymbol, shares: int, basis_e4: int | None) -> None:
        """Add options on `shares` (signed) with the cost basis `basis_e4`."""
        self.legs.append((contract, shares))
        self.basis_e4 = _plus(self.basis_e4, basis_e4)

    def loss_e4(self) -> int | None:
        """The greatest loss at any price from 0 up, minus the credit of covered calls.

        None if it has no bound or is unknown.
        """
        call_shares = sum(shares for contract, shares in self.legs if contract.right == "call")
        if self.basis_e4 is None or self.credit_e4 is None or not self.is_bounded or call_shares < 0:
            return None
        worst_e4 = _E4_PER_MILL * _least_payoff(self.legs)
        return max(0, self.basis_e4 + self.discount_e4 - worst_e4) - self.credit_e4


def max_losses_e4(
    positions: Iterable[Position],
    pairs: Iterable[Pair] = (),
    *,
    calendar: Calendar | None = None,
    settled: Collection[str] = (),
    rate: float = DEFAULT_RATE,
) -> dict[str, int | None]:
    """The worst case at expiration by underlying, in 1e-4 dollars, never below 0.

    None if it has no bound or a number is unknown. A position whose symbol cannot be parsed is listed under that symbol
    with None. `pairs` come from `cover`, and `settled` are the symbols past their settlement. `rate` is a year's
    interest, continuously compounded.
    """
    dates = _Dates(calendar or Calendar())
    losses: dict[str, int | None] = {}
    held: dict[str, Position] = {}
    books: dict[str, dict[_Key, _NetBook]] = {}
    for position in positions:
        underlying = _underlying(position)
        if position.symbol in settled:
            losses.setdefault(underlying, 0)
        elif position.contract is None or position.quantity is None:
            losses[underlying] = None
        else:
            held[position.symbol] = position
            book = books.setdefault(underlying, {}).setdefault(dates.key(position.contract, underlying), _NetBook())
            book.add(position.contract, position.quantity * position.multiplier, position.cost_basis_e4)
    for pair in pairs:
        _apply(pair, held, books, dates, rate)
    for underlying, by_key in books.items():
        loss_e4 = _sum(book.loss_e4() for book in by_key.values())
        is_unknown = losses.get(underlying, 0) is None or loss_e4 is None
        losses[underlying] = None if is_unknown else max(0, loss_e4 or 0)
    return losses


class _Dates:
    """When expiries end, computed once for each."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._endings: dict[Expiry, Ending] = {}

    def ending(self, expiry: Expiry) -> Ending:
        if expiry not in self._endings:
            self._endings[expiry] = ending_of(expiry, self._calendar)
        return self._endings[expiry]

    def key(self, contract: OptionSymbol, underlying: str) -> _Key:
        """The key of the book in which a contract is netted, among those of its underlying."""
        settlement = self.ending(expiry_of(contract, underlying)).settlement
        return contract.expiration, settlement, contract.root if contract.root_is_adjusted else ""

    def years(self, first: Expiry, second: Expiry) -> float:
        """The years between the settlements of the `first` and the `second` expiry."""
        between = self.ending(second).settles_at - self.ending(first).settles_at
        return between / dt.timedelta(minutes=_MINUTES_PER_YEAR)


def _apply(
    pair: Pair, held: Mapping[str, Position], books: Mapping[str, dict[_Key, _NetBook]], dates: _Dates, rate: float
) -> None:
    """Move the long that covers a short into the short's book, or a call that shares cover out of its book."""
    short = held[pair.short]
    short_contract, underlying = short.contract, _underlying(short)
    assert short_contract is not None  # noqa: S101 - `held` has only positions with a contract
    shares = pair.quantity * short.multiplier
    book = books[underlying][dates.key(short_contract, underlying)]
    if pair.long is None:
        book.add(short_contract, shares, None if pair.basis_e4 is None else -pair.basis_e4)
        book.credit_e4 = _plus(book.credit_e4, None if pair.basis_e4 is None else -pair.basis_e4)
        return
    long = held[pair.long]
    contract = long.contract
    assert contract is not None  # noqa: S101 - as above
    back = None if pair.basis_e4 is None else -pair.basis_e4
    books[_underlying(long)][dates.key(contract, _underlying(long))].add(contract, -shares, back)
    book.add(contract, shares, pair.basis_e4)
    expiry = expiry_of(contract, long.underlying)
    if style_of(expiry) == "european":
        if contract.right == "call":
            book.is_bounded = False
        else:
            years = dates.years(expiry_of(short_contract, short.underlying), expiry)
            lost = max(0.0, -math.expm1(-rate * years))
            book.discount_e4 += math.ceil(contract.strike_mills * _E4_PER_MILL * shares * lost)


def _underlying(position: Position) -> str:
    return position.underlying or (position.contract.root if position.contract else position.symbol)


def _least_payoff(legs: Iterable[tuple[OptionSymbol, int]]) -> int:
    """The least payoff in mills x shares; it is at the price 0 or at a strike."""
    bends = sorted((contract.strike_mills, shares) for contract, shares in legs)
    puts = [(contract.strike_mills, shares) for contract, shares in legs if contract.right == "put"]
    price, slope = 0, -sum(shares for _, shares in puts)
    payoff = least = sum(strike * shares for strike, shares in puts)
    for strike, shares in bends:
        payoff += slope * (strike - price)
        price, slope, least = strike, slope + shares, min(least, payoff)
    return least


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _sum(parts: Iterable[int | None]) -> int | None:
    """The sum, or None if any part is None."""
    total: int | None = 0
    for part in parts:
        total = _plus(total, part)
    return total
