"""The profit or loss of a condor as rules see it: a number, a range, or not known.

A leg whose quote is a stub or has no bid has no reliable mark. Its value is between its bid and its ask; a long wing is
worth between 0 and the price of the short leg of its right. So the profit or loss is between two ends, and a comparison
is decided if it gives the same at both. An end beyond the maximum profit or loss of the condor is moved there, unless
both are beyond it. For the other legs the rules of `core/reliability` apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from condord.core.condor import Condor, Leg
from condord.core.position import unrealized_e4
from condord.core.quote import Quote
from condord.core.reliability import WIDTHS_PER_GAP, unreliable_reason
from condord.core.rules.facts import ABSENT, Between, Value
from condord.core.rules.rule import Basis
from condord.core.valuation import Valuation, percent, percent_of_max_profit

_RANGED = frozenset({"stub", "zeroBid"})
_E4 = 10_000
_WINGS = {0: 1, 3: 2}
"""The short leg of the same right, by the place of the outer leg."""


class PlRange(NamedTuple):
    """The least and the greatest profit or loss, in 1e-4 dollars, without that of rolls; equal where it is known."""

    low_e4: int
    high_e4: int


def pl_range(condor: Condor, value: Valuation, quotes: Mapping[str, Quote], basis: Basis) -> PlRange | None:
    """The profit or loss at mark or at natural prices; None if not even a range is known."""
    legs = [(leg, quotes[leg.symbol]) for leg in condor.legs]
    if not any(quote.state in _RANGED for _, quote in legs):
        if unreliable_reason(condor, value, quotes, is_opening=False) is not None:
            return None
        pl_e4 = value.unrealized_e4 if basis == "mark" else value.natural_pl_e4
        return None if pl_e4 is None else PlRange(pl_e4, pl_e4)
    if value.unconfirmed:
        return None
    low_e4 = high_e4 = gap_e4 = 0
    for place, (leg, quote) in enumerate(legs):
        prices = _prices_e4(condor, place, leg, quotes) if quote.state in _RANGED else _price_e4(leg, quote, basis)
        if prices is None:
            return None
        ends = [unrealized_e4(leg.quantity, condor.multiplier, price_e4, leg.cost_basis_e4) for price_e4 in prices]
        if None in ends:
            return None
        known = [end for end in ends if end is not None]
        low_e4, high_e4 = low_e4 + min(known), high_e4 + max(known)
        if quote.state not in _RANGED:
            gap_e4 += abs((quote.natural_e4(leg.quantity) or 0) - (quote.mark_e4 or 0))
    if gap_e4 * WIDTHS_PER_GAP > max(condor.put_width_e4, condor.call_width_e4):
        return None
    return _possible(condor, low_e4, high_e4, basis)


def _possible(condor: Condor, low_e4: int, high_e4: int, basis: Basis) -> PlRange:
    """The part of a range that a condor can make; closing at natural prices may lose more than the maximum loss.

    A range that is wholly beyond a maximum stays as it is: it comes from legs that were quoted at different moments, as
    with good quotes, and the maximum would be a number that no quote supports.
    """
    most_e4, loss_e4 = condor.max_profit_e4, condor.max_loss_e4
    if most_e4 is not None and low_e4 <= most_e4:
        high_e4 = min(high_e4, most_e4)
    if loss_e4 is not None and basis == "mark" and high_e4 >= -loss_e4:
        low_e4 = max(low_e4, -loss_e4)
    return PlRange(low_e4, high_e4)


def _price_e4(leg: Leg, quote: Quote, basis: Basis) -> tuple[int, int] | None:
    """The price of a leg with a reliable quote, as both ends of a range; None if it has none."""
    natural_e4 = quote.natural_e4(leg.quantity)
    if quote.mark_e4 is None or natural_e4 is None:  # crossed, or without an ask
        return None
    price_e4 = quote.mark_e4 if basis == "mark" else natural_e4
    return price_e4, price_e4


def _prices_e4(condor: Condor, place: int, leg: Leg, quotes: Mapping[str, Quote]) -> tuple[int, int] | None:
    """The least and the greatest price of a leg whose quote is a stub or has no bid."""
    quote = quotes[leg.symbol]
    bid_e4, ask_e4 = quote.bid_e4 or 0, quote.ask_e4 or 0
    if condor.direction == "long" or place not in _WINGS:
        return bid_e4, ask_e4
    short = quotes[condor.legs[_WINGS[place]].symbol]
    most_e4 = short.ask_e4 if short.state in _RANGED else short.mark_e4
    return None if most_e4 is None else (0, min(ask_e4, most_e4))


def pl_values(condor: Condor, value: Valuation, found: PlRange | None) -> dict[str, Value]:
    """The quantities of profit or loss, for `found` of `pl_range`."""
    received_e4 = _received_e4(condor)
    realized_e4 = condor.realized_e4 or 0
    if found is None or received_e4 is None or condor.max_profit_e4 is None or condor.max_loss_e4 is None:
        return {}
    credit_e4, loss_e4 = received_e4 + realized_e4, condor.max_loss_e4 - realized_e4
    day_e4, base_e4, contracts = value.day_pl_e4, value.unrealized_e4, condor.multiplier * condor.quantity
    values: dict[str, Value] = {
        "unrealizedPl": _span(found, lambda pl_e4: pl_e4 / _E4),
        "mark": _span(found, lambda pl_e4: (received_e4 - pl_e4) / contracts / _E4),
        "percentOfMaxProfit": ABSENT,
        "percentOfRisk": ABSENT,
        "lossMultipleOfCredit": ABSENT,
    }
    if condor.max_profit_e4 + realized_e4 > 0:
        values["percentOfMaxProfit"] = _span(found, lambda pl_e4: percent_of_max_profit(condor, pl_e4))
    if loss_e4 > 0:
        values["percentOfRisk"] = _span(found, lambda pl_e4: percent(pl_e4 + realized_e4, loss_e4))
    if condor.direction == "short" and received_e4 > 0 and credit_e4 > 0:
        values["lossMultipleOfCredit"] = _span(found, lambda pl_e4: -(pl_e4 + realized_e4) / credit_e4)
    if day_e4 is not None and base_e4 is not None:
        values["dayPl"] = _span(found, lambda pl_e4: (day_e4 + pl_e4 - base_e4) / _E4)
    return values


def _received_e4(condor: Condor) -> int | None:
    """The amount received to open the condor, negative if it was paid; None if it is not known."""
    costs = [leg.cost_basis_e4 for leg in condor.legs]
    return None if None in costs else -sum(cost for cost in costs if cost is not None)


def _span(found: PlRange, figure: Callable[[int], float | None]) -> Value:
    low = figure(found.low_e4)
    high = low if found.low_e4 == found.high_e4 else figure(found.high_e4)
    assert low is not None  # noqa: S101 - the caller has checked the divisor
    assert high is not None  # noqa: S101 - as above
    return low if low == high else Between(min(low, high), max(low, high))
