"""Convert the public JSON structs back to core's values, if the document has them: the reverse of `render`."""

from __future__ import annotations

from condord.core import valuation as values
from condord.core.condor import Condor, Leg
from condord.core.quote import Quote
from condord.core.underlying import UnderlyingPrice
from condord.live import wire, wire_condor
from condord.live.wire_risk import UnderlyingJson
from condord.live.wire_values import e4, e4_or_none

_E4_PER_MILL = 10


def quote(shown: wire.QuoteJson) -> Quote:
    """Return one contract's quote."""
    return Quote(
        symbol=shown.symbol,
        at=shown.time,
        bid_e4=e4_or_none(shown.bid),
        bid_size=shown.bid_size,
        ask_e4=e4_or_none(shown.ask),
        ask_size=shown.ask_size,
        state=shown.state,
        mark_e4=e4_or_none(shown.mark),
    )


def valuation(shown: wire_condor.ValuationJson) -> values.Valuation:
    """Return the valuation of a condor."""
    bounds = shown.pl_bounds
    return values.Valuation(
        id=shown.id,
        at=shown.as_of,
        mark_e4=e4_or_none(shown.mark),
        natural_e4=e4_or_none(shown.natural),
        unrealized_e4=e4_or_none(shown.unrealized_pl),
        natural_pl_e4=e4_or_none(shown.natural_pl),
        percent_of_max_profit=shown.percent_of_max_profit,
        percent_of_risk=shown.percent_of_risk,
        missing=tuple(shown.missing),
        unconfirmed=shown.unconfirmed,
        legs_unrealized_e4=tuple(e4_or_none(leg.unrealized_pl) for leg in shown.legs),
        bounds_e4=None if bounds is None else (e4(bounds.low), e4(bounds.high)),
        day_pl_e4=e4_or_none(shown.day_pl),
        worst_e4=e4_or_none(shown.worst_pl),
        best_e4=e4_or_none(shown.best_pl),
    )


def condor(shown: wire_condor.CondorJson) -> Condor:
    """Return a condor; its lot is not in the document.

    Raises:
        ValueError: it does not have four legs.
    """
    first, second, third, fourth = (_leg(leg) for leg in shown.legs)
    return Condor(
        id=shown.id,
        kind=shown.kind,
        direction=shown.direction,
        underlying=shown.underlying,
        root=shown.root,
        expiration=shown.expiration,
        quantity=shown.quantity,
        multiplier=shown.multiplier,
        broken_wing=shown.broken_wing,
        ambiguous=shown.ambiguous,
        legs=(first, second, third, fourth),
        credit_e4=e4_or_none(shown.credit),
        max_profit_e4=e4_or_none(shown.max_profit),
        max_loss_e4=e4_or_none(shown.max_loss),
        put_width_e4=e4(shown.put_width),
        call_width_e4=e4(shown.call_width),
        lower_breakeven_e4=e4_or_none(shown.breakevens.lower),
        upper_breakeven_e4=e4_or_none(shown.breakevens.upper),
        entry_source=shown.entry_source,
        opened_at=shown.opened_at,
        realized_e4=e4_or_none(shown.realized_pl),
    )


def _leg(shown: wire_condor.LegJson) -> Leg:
    return Leg(
        symbol=shown.symbol,
        right=shown.right,
        strike_mills=e4(shown.strike) // _E4_PER_MILL,
        quantity=shown.quantity if shown.side == "long" else -shown.quantity,
        average_entry_e4=e4_or_none(shown.average_entry_price),
        cost_basis_e4=e4_or_none(shown.cost_basis),
        multiplier_assumed=shown.multiplier_assumed,
        problem=shown.problem,
    )


def underlying(shown: UnderlyingJson) -> UnderlyingPrice:
    """Return the price of an underlying."""
    return UnderlyingPrice(
        symbol=shown.symbol,
        price_e4=e4_or_none(shown.price),
        source=shown.source,
        at=shown.time,
        unconfirmed=shown.unconfirmed,
        reason=shown.reason,
        previous_close_e4=e4_or_none(shown.previous_close),
    )


def totals(shown: wire.TotalsJson) -> values.Totals:
    """Return the account's sums."""
    return values.Totals(
        condors=shown.condors,
        incomplete=shown.incomplete,
        unrealized_e4=e4_or_none(shown.unrealized_pl),
        natural_pl_e4=e4_or_none(shown.natural_pl),
        day_pl_e4=e4_or_none(shown.day_pl),
        unmatched_e4=e4_or_none(shown.unmatched_pl),
        unmatched_day_e4=e4_or_none(shown.unmatched_day_pl),
        closed_day_e4=e4_or_none(shown.closed_day_pl),
        max_loss_e4=e4_or_none(shown.max_loss),
        by_underlying=tuple(
            values.UnderlyingTotals(
                underlying=part.underlying,
                unrealized_e4=e4_or_none(part.unrealized_pl),
                day_pl_e4=e4_or_none(part.day_pl),
                max_loss_e4=e4_or_none(part.max_loss),
            )
            for part in shown.by_underlying
        ),
    )
