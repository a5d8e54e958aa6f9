"""Decide which quotes that have arrived are worth an event. All prices are in 1e-4 dollars.

A quote counts when its bid, ask or mark has moved by `min_change` since it was last published, or when its state or
confirmation has changed. Smaller moves wait. Those of several legs count together when they add up to `min_change` in a
condor's mark or natural.
"""

from __future__ import annotations

from collections.abc import Iterable

from condord.core import valuation as values
from condord.core.condor import Condor
from condord.core.quote import Quote
from condord.live import render, wire
from condord.live.held_contracts import HeldContracts
from condord.live.prices import Prices
from condord.live.published import Edition


class QuoteChanges:
    """The quotes in `prices` that differ from those in `edition`; `held` has the published contracts.

    `is_cut` is true from a gap in the stream until the next `take`.
    """

    def __init__(self, *, prices: Prices, edition: Edition, held: HeldContracts, min_change_e4: int) -> None:
        self.is_cut = False
        self.min_change_e4 = min_change_e4
        self._prices = prices
        self._edition = edition
        self._published = edition.quotes
        self._held = held
        self._waiting: set[str] = set()

    def gap(self) -> None:
        """Mark every quote unconfirmed: the stream was cut."""
        self._prices.gap()
        self.is_cut = True

    def forget(self, now: float) -> None:
        """Let nothing wait, because all quotes are published. `now` is in loop seconds."""
        self._prices.settle(now)
        self._waiting.clear()

    def take(self, now: float) -> set[str]:
        """Return the symbols whose waiting quotes count, and stop their waiting. `now` is in loop seconds."""
        self.is_cut = False
        self._waiting |= self._prices.settle(now)
        self._waiting &= self._published.core.keys()
        due = {symbol for symbol in self._waiting if self._counts(symbol)}
        due |= self._adds_up(self._waiting - due)
        self._waiting -= due
        return due

    def rendered(self, symbol: str) -> tuple[Quote, wire.QuoteJson]:
        """Return the newest quote of a symbol, and its JSON."""
        newest = self._newest(symbol)
        return newest, render.quote(newest, unconfirmed=self._is_unconfirmed(symbol))

    def _newest(self, symbol: str) -> Quote:
        return self._prices.quotes.get(symbol) or Quote(symbol=symbol)

    def _is_unconfirmed(self, symbol: str) -> bool:
        return symbol in self._prices.quotes and not self._prices.is_confirmed(symbol)

    def _counts(self, symbol: str) -> bool:
        return self._is_unconfirmed(symbol) != self._published.json[symbol].unconfirmed or quote_counts(
            self._newest(symbol), self._published.core[symbol], self.min_change_e4
        )

    def _adds_up(self, small: set[str]) -> set[str]:
        """Return the symbols in `small` whose moves together move a condor by `min_change`."""
        published, least_e4 = self._published.core, self.min_change_e4
        different = {symbol for symbol in small if not has_same_prices(self._newest(symbol), published[symbol])}
        self._waiting -= small - different
        together: set[str] = set()
        for condor in unique(self._held.condors_of.get(symbol, ()) for symbol in different):
            before = self._edition.valuations.core[condor.id][1]
            newest = values.value(condor, self._prices.quotes, ())
            if moved(newest.mark_e4, before.mark_e4, least_e4) or moved(newest.natural_e4, before.natural_e4, least_e4):
                together.update(different.intersection(leg.symbol for leg in condor.legs))
        return together


def quote_counts(newest: Quote, published: Quote, min_change_e4: int) -> bool:
    """Whether a quote has another state than when it was published, or a price that has moved by `min_change_e4`."""
    return newest.state != published.state or any(
        moved(new_e4, old_e4, min_change_e4) for new_e4, old_e4 in zip(_prices(newest), _prices(published), strict=True)
    )


def moved(newest_e4: int | None, published_e4: int | None, min_change_e4: int) -> bool:
    """Whether a price has moved by `min_change_e4`, or has become known or unknown."""
    if newest_e4 is None or published_e4 is None:
        return newest_e4 is not published_e4
    return newest_e4 != published_e4 and abs(newest_e4 - published_e4) >= min_change_e4


def has_same_prices(quote: Quote, other: Quote) -> bool:
    """Whether two quotes differ at most in their sizes and times."""
    return _prices(quote) == _prices(other)


def unique(groups: Iterable[Iterable[Condor]]) -> list[Condor]:
    """Return the condors of all `groups`, each once."""
    return list({condor.id: condor for group in groups for condor in group}.values())


def _prices(quote: Quote) -> tuple[int | None, int | None, int | None]:
    return quote.bid_e4, quote.ask_e4, quote.mark_e4
