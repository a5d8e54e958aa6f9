"""The order that closes the legs left of a broken condor, worded as on its card on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from condord.cli import formatting
from condord.live.wire import QuoteJson
from condord.live.wire_broken import BrokenJson, BrokenLeg
from condord.live.wire_values import e4

_E4_PER_CENT = 100
_CENTS = 100
_NO_NATURAL = frozenset(["none", "noAsk", "crossed", "stub"])
"""The states of quotes at whose sides nothing can be expected to fill."""


class LeftOrder(NamedTuple):
    """An order for the remaining legs: what each leg does, and the limit at the mids and at bids and asks."""

    legs: list[str]
    mid: str
    natural: str


def left_order(broken: BrokenJson, quotes: Mapping[str, QuoteJson]) -> LeftOrder:
    """Return the order for the contracts that are held; `quotes` is by symbol.

    A limit is for one unit of the order, whose legs have the ratio of the contracts held; a dash if it is not known.
    """
    held = [leg for leg in broken.legs if leg.held]
    day = f"{broken.expiration:%b} {broken.expiration.day}, {broken.expiration.year}"
    legs = [
        f"{'Buy' if leg.side == 'short' else 'Sell'} to close {leg.held} {broken.root} {day} "
        f"{formatting.number(leg.strike)} {leg.right}"
        for leg in held
    ]
    mid, natural = (
        _limit([(leg, _price(leg, quotes.get(leg.symbol), basis)) for leg in held]) for basis in ("mid", "natural")
    )
    return LeftOrder(legs, mid, natural)


def _price(leg: BrokenLeg, quote: QuoteJson | None, basis: Literal["mid", "natural"]) -> float | None:
    if quote is None or (basis == "natural" and quote.state in _NO_NATURAL):
        return None
    sides = {"mid": quote.mark, "natural": quote.ask if leg.side == "short" else quote.bid}
    return sides[basis]


def _limit(prices: list[tuple[BrokenLeg, float | None]]) -> str:
    """`a debit of 1.20`, rounded to the cent in favour of the market, and how many units are closed at it."""
    units = math.gcd(*(leg.held for leg, _ in prices))
    net_e4 = 0
    for leg, price in prices:
        if price is None:
            return formatting.UNKNOWN
        net_e4 += e4(price) * leg.held // units * (1 if leg.side == "short" else -1)
    cents = (net_e4 + _E4_PER_CENT // 2) // _E4_PER_CENT
    if not cents and len(prices) == 1:  # no order for a single contract is taken at a limit of 0
        cents = 1 if prices[0][0].side == "short" else -1
    amount = f"a {'debit' if cents > 0 else 'credit'} of {formatting.price(abs(cents) / _CENTS)}" if cents else "even"
    return amount if units == 1 else f"{amount} x {units}"
