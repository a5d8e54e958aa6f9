"""Implied volatility and greeks of the contracts of one expiry.

An American price in the money is never inverted. Such a contract takes the volatility of the out-of-the-money side: of
the other right at its strike, else linear between the nearest out-of-the-money strikes that are held, else Alpaca's
figures stand in. At the money counts as out of the money.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Mapping
from typing import Literal

import msgspec

from condord.core.model.black_scholes import MarketConditions, option_value
from condord.core.model.implied_volatility import implied_volatility
from condord.core.occ import Right
from condord.core.quote import Quote

FigureSource = Literal["model", "alpaca"]

_NEVER_INVERTED = frozenset({"none", "noAsk", "stub", "crossed"})
_MAX_ASK_WITHOUT_BID_E4 = 1_000
_TWICE_E4 = 20_000


class OptionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Alpaca's own figures of one contract, in Alpaca's convention (q = 0, whole calendar days / 365).

    They have no time of their own; `at` is the time of the quote beside them (UTC). Theta is per calendar day, vega per
    volatility point, both per share.
    """

    symbol: str
    at: dt.datetime | None
    iv: float | None
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None


class ModelQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A contract that is held, and the price per share in dollars to invert; None if its quote must not be inverted."""

    symbol: str
    right: Right
    strike: float
    price: float | None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The held contracts of one expiry and all that their figures depend on.

    `spot` is the price that the strikes compare with, less the present value of known dividends; None if the price is
    not known or not confirmed. `cum_dividend_spot` is that price with the dividends, None if there are
    none: it decides which strikes are in the money. `years` is None after the settlement. `other_ivs` has implied
    volatilities by strike, from quotes of the other right that REST returned. `snapshots` are Alpaca's, by symbol, if
    they came with one of the last two reads.
    """

    spot: float | None
    years: float | None
    rate: float
    dividend_yield: float
    quotes: tuple[ModelQuote, ...]
    cum_dividend_spot: float | None = None
    other_ivs: Mapping[float, float] = {}
    snapshots: Mapping[str, OptionSnapshot] = {}


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures per share of one long contract: theta per calendar day, vega per volatility point.

    Each is None if it is not known; `source` is None if all are.
    """

    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    source: FigureSource | None = None


UNKNOWN = Figures()


def invertible_price(quote: Quote, *, unconfirmed: bool) -> float | None:
    """The price per share in dollars to take a volatility from, None if `quote` must not be inverted.

    It is the mid, even without a bid if the ask is at most 0.10: such wings are normal in their last week, and
    their deltas are small.
    """
    if unconfirmed or quote.bid_e4 is None or quote.ask_e4 is None or quote.state in _NEVER_INVERTED:
        return None
    if quote.state == "zeroBid" and quote.ask_e4 > _MAX_ASK_WITHOUT_BID_E4:
        return None
    return (quote.bid_e4 + quote.ask_e4) / _TWICE_E4


def figures(chain: Chain, guesses: Mapping[str, float] = {}) -> dict[str, Figures]:
    """The figures of each contract of `chain`, by symbol; `guesses` are earlier volatilities, which save time.

    After the settlement all of them are unknown.
    """
    if chain.years is None or chain.years <= 0:
        return {quote.symbol: UNKNOWN for quote in chain.quotes}
    if chain.spot is None or chain.spot <= 0:
        return {quote.symbol: _by_alpaca(chain.snapshots.get(quote.symbol)) for quote in chain.quotes}
    conditions = MarketConditions(
        spot=chain.spot, years=chain.years, rate=chain.rate, dividend_yield=chain.dividend_yield
    )
    smile = _Smile(chain, conditions, guesses)
    found = {}
    for quote in chain.quotes:
        volatility = smile.volatility(quote)
        if volatility is None:
            found[quote.symbol] = _by_alpaca(chain.snapshots.get(quote.symbol))
        else:
            found[quote.symbol] = _by_model(quote, volatility, conditions)
    return found


class _Smile:
    """The volatilities of one expiry, from the out-of-the-money contracts that are held."""

    def __init__(self, chain: Chain, conditions: MarketConditions, guesses: Mapping[str, float]) -> None:
        self._price = conditions.spot if chain.cum_dividend_spot is None else chain.cum_dividend_spot
        self._other_ivs = chain.other_ivs
        self._by_symbol: dict[str, float] = {}
        self._by_strike: dict[float, float] = {}
        for quote in chain.quotes:
            if quote.price is None or not self._is_out_of_the_money(quote):
                continue
            guess = guesses.get(quote.symbol)
            volatility = implied_volatility(quote.right, quote.price, quote.strike, conditions, guess)
            if volatility is not None:
                self._by_symbol[quote.symbol] = volatility
                self._by_strike.setdefault(quote.strike, volatility)
        self._strikes = sorted(self._by_strike)

    def volatility(self, quote: ModelQuote) -> float | None:
        """The volatility to price a contract with, None if nothing out of the money gives one."""
        if self._is_out_of_the_money(quote):
            return self._by_symbol.get(quote.symbol)
        same_strike = self._by_strike.get(quote.strike)
        if same_strike is None:
            same_strike = self._other_ivs.get(quote.strike)
        return self._between_strikes(quote.strike) if same_strike is None else same_strike

    def _is_out_of_the_money(self, quote: ModelQuote) -> bool:
        return quote.strike >= self._price if quote.right == "call" else quote.strike <= self._price

    def _between_strikes(self, strike: float) -> float | None:
        above = bisect_left(self._strikes, strike)
        if not 0 < above < len(self._strikes):
            return None
        low, high = self._strikes[above - 1], self._strikes[above]
        part = (strike - low) / (high - low)
        return (1 - part) * self._by_strike[low] + part * self._by_strike[high]


def _by_model(quote: ModelQuote, volatility: float, conditions: MarketConditions) -> Figures:
    value = option_value(quote.right, quote.strike, volatility, conditions)
    return Figures(
        iv=volatility, delta=value.delta, gamma=value.gamma, theta=value.theta, vega=value.vega, source="model"
    )


def _by_alpaca(snapshot: OptionSnapshot | None) -> Figures:
    if snapshot is None:
        return UNKNOWN
    iv = (
        snapshot.iv if snapshot.iv is not None and snapshot.iv > 0 else None
    )  # distances and probabilities divide by it
    known = (iv, snapshot.delta, snapshot.gamma, snapshot.theta, snapshot.vega)
    return Figures(
        iv=iv,
        delta=snapshot.delta,
        gamma=snapshot.gamma,
        theta=snapshot.theta,
        vega=snapshot.vega,
        source=None if all(figure is None for figure in known) else "alpaca",
    )
