"""Compute past quotes of contracts, with the simulator's market model at the past prices of the underlyings."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from condord.core.calendar import Calendar
from condord.core.expiry import ending_of, expiry_of
from condord.core.occ import OptionSymbol
from condord.simulator.contracts import OptionRoot
from condord.simulator.market import YEAR_SECONDS, Market, contract_value, quoted_cents
from condord.simulator.past_path import PastPath
from condord.simulator.pricing import PricingTerms


class _Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract's root, when it settles, and the terms of its value."""

    root: OptionRoot
    settles_at: float
    terms: PricingTerms


class PastQuotes:
    """The past quotes of any contract; instants are seconds since 1970.

    Raises:
        KeyError: in each method, if the market does not have the symbol's root.
    """

    def __init__(self, market: Market, path: PastPath) -> None:
        self._market = market
        self._path = path
        self._contracts: dict[OptionSymbol, _Contract] = {}

    def underlying(self, symbol: OptionSymbol) -> str:
        """The underlying of a contract."""
        return self._contract(symbol).root.underlying

    def price(self, symbol: OptionSymbol, second: float) -> Decimal:
        """The price at which a contract was traded: its value to the nearest tick, at least one tick."""
        cents = self._cents(symbol, second, self._path.price(self.underlying(symbol), second))
        tick = self._contract(symbol).root.tick_cents[cents >= 300]
        return Decimal(max(tick, round(cents / tick) * tick)) / 100

    def cents(self, symbol: OptionSymbol, second: float, spot: float) -> tuple[int, int]:
        """Bid and ask in cents with the underlying at `spot`; a bid of 0 means that there was none."""
        return quoted_cents(self._contract(symbol).root, self._cents(symbol, second, spot))

    def _cents(self, symbol: OptionSymbol, second: float, spot: float) -> float:
        contract = self._contract(symbol)
        years = (contract.settles_at - second) / YEAR_SECONDS
        return contract_value(symbol, contract.root, contract.terms, spot, years).price * 100

    def _contract(self, symbol: OptionSymbol) -> _Contract:
        if symbol not in self._contracts:
            root = self._market.root_of(symbol.root)
            if root is None:
                raise KeyError(symbol.root)
            ending = ending_of(expiry_of(symbol, root.underlying), Calendar())
            self._contracts[symbol] = _Contract(
                root=root, settles_at=ending.settles_at.timestamp(), terms=self._market.terms(symbol, root)
            )
        return self._contracts[symbol]
