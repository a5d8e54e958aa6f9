"""Decides how the account looks on the wire: core's integers to the public structs, and nothing else."""

from __future__ import annotations

import datetime as dt

import msgspec

from condord.core import valuation as values
from condord.core.condor import Condor, Leftover
from condord.core.quote import Quote
from condord.live import wire
from condord.live.life import Notice
from condord.live.wire import dollars, dollars_or_none

_E4_PER_MILL = 10


def quote(shown: Quote, *, unconfirmed: bool) -> wire.Quote:
    """One contract's quote."""
    return wire.Quote(
        symbol=shown.symbol,
        bid=dollars_or_none(shown.bid_e4),
        bid_size=shown.bid_size,
        ask=dollars_or_none(shown.ask_e4),
        ask_size=shown.ask_size,
        mark=dollars_or_none(shown.mark_e4),
        state=shown.state,
        time=shown.at,
        unconfirmed=unconfirmed,
    )


def valuation(condor: Condor, value: values.Valuation) -> wire.Valuation:
    """What a condor is worth."""
    return wire.Valuation(
        id=value.id,
        as_of=value.at,
        mark=dollars_or_none(value.mark_e4),
        natural=dollars_or_none(value.natural_e4),
        unrealized_pl=dollars_or_none(value.unrealized_e4),
        natural_pl=dollars_or_none(value.natural_pl_e4),
        percent_of_max_profit=value.percent_of_max_profit,
        percent_of_risk=value.percent_of_risk,
        missing=list(value.missing),
        unconfirmed=value.unconfirmed,
        legs=[
            wire.LegValuation(symbol=leg.symbol, unrealized_pl=dollars_or_none(unrealized_e4))
            for leg, unrealized_e4 in zip(condor.legs, value.legs_unrealized_e4, strict=True)
        ],
        pl_bounds=_bounds(value.bounds_e4),
    )


def _bounds(bounds_e4: tuple[int, int] | None) -> wire.PlBounds | None:
    return None if bounds_e4 is None else wire.PlBounds(low=dollars(bounds_e4[0]), high=dollars(bounds_e4[1]))


def condor(card: Condor, value: values.Valuation, day: dt.date, history: wire.History) -> wire.Condor:
    """One card as of `day`, the date at the exchange."""
    return wire.Condor(
        id=card.id,
        kind=card.kind,
        direction=card.direction,
        underlying=card.underlying,
        root=card.root,
        expiration=card.expiration,
        days_to_expiration=(card.expiration - day).days,
        quantity=card.quantity,
        multiplier=card.multiplier,
        broken_wing=card.broken_wing,
        ambiguous=card.ambiguous,
        legs=[
            wire.Leg(
                symbol=leg.symbol,
                right=leg.right,
                strike=dollars(leg.strike_mills * _E4_PER_MILL),
                side="long" if leg.quantity > 0 else "short",
                quantity=abs(leg.quantity),
                average_entry_price=dollars_or_none(leg.average_entry_e4),
                cost_basis=dollars_or_none(leg.cost_basis_e4),
                multiplier_assumed=leg.multiplier_assumed,
                problem=leg.problem,
            )
            for leg in card.legs
        ],
        credit=dollars_or_none(card.credit_e4),
        max_profit=dollars_or_none(card.max_profit_e4),
        max_loss=dollars_or_none(card.max_loss_e4),
        put_width=dollars(card.put_width_e4),
        call_width=dollars(card.call_width_e4),
        breakevens=wire.Breakevens(
            lower=dollars_or_none(card.lower_breakeven_e4), upper=dollars_or_none(card.upper_breakeven_e4)
        ),
        entry_source=card.entry_source,
        opened_at=card.opened_at,
        realized_pl=dollars_or_none(card.realized_e4),
        valuation=valuation(card, value),
        history=history,
    )


def unmatched(
    leftover: Leftover, mark_e4: int | None, unrealized_e4: int | None, problem: str | None
) -> wire.Unmatched:
    """Contracts in no condor."""
    held = leftover.position
    contract = held.contract
    side: wire.Side | None = None
    if held.quantity:
        side = "long" if held.quantity > 0 else "short"
    return wire.Unmatched(
        symbol=held.symbol,
        underlying=held.underlying or (contract.root if contract else None),
        root=contract.root if contract else None,
        expiration=contract.expiration if contract else None,
        right=contract.right if contract else None,
        strike=dollars(contract.strike_mills * _E4_PER_MILL) if contract else None,
        side=side,
        quantity=None if held.quantity is None else abs(held.quantity),
        multiplier=held.multiplier,
        average_entry_price=dollars_or_none(held.average_entry_e4),
        cost_basis=dollars_or_none(held.cost_basis_e4),
        mark=dollars_or_none(mark_e4),
        unrealized_pl=dollars_or_none(unrealized_e4),
        uncovered_short=leftover.uncovered_short,
        multiplier_assumed=held.multiplier_assumed,
        problem=problem,
    )


def totals(total: values.Totals) -> wire.Totals:
    """The account's sums."""
    return wire.Totals(
        condors=total.condors,
        incomplete=total.incomplete,
        unrealized_pl=dollars_or_none(total.unrealized_e4),
        natural_pl=dollars_or_none(total.natural_pl_e4),
        unmatched_pl=dollars_or_none(total.unmatched_e4),
        max_loss=dollars_or_none(total.max_loss_e4),
        by_underlying=[
            wire.UnderlyingTotals(
                underlying=part.underlying,
                unrealized_pl=dollars_or_none(part.unrealized_e4),
                max_loss=dollars_or_none(part.max_loss_e4),
            )
            for part in total.by_underlying
        ],
    )


def notice(told: Notice) -> wire.Notice:
    """Something a trader should know."""
    return wire.Notice(code=told.code, text=told.text, symbols=list(told.symbols), since=told.since)


def same_status(one: wire.Status, other: wire.Status) -> bool:
    """Whether two statuses differ in nothing but the instants that move without an event."""
    is_read, was_read = (status.positions.read_at is not None for status in (one, other))
    return is_read == was_read and _settled(one) == _settled(other)


def _settled(status: wire.Status) -> wire.Status:
    return msgspec.structs.replace(
        status,
        stream=msgspec.structs.replace(status.stream, last_message_at=None),
        positions=msgspec.structs.replace(status.positions, read_at=None),
    )


def unread_status(source: wire.Source, feed: wire.Feed, now_at: dt.datetime) -> wire.Status:
    """The status before anything was asked."""
    return wire.Status(
        state="starting",
        reason=None,
        code=None,
        since=now_at,
        source=source,
        feed=feed,
        market=wire.Market(is_open=None, next_open=None, next_close=None),
        stream=wire.Stream(connected=False, subscribed=0, requested=0, reconnects=0, last_message_at=None),
        positions=wire.Positions(read_at=None, error=None, breaker="closed"),
        notices=[],
    )


UNREAD_TOTALS = wire.Totals(
    condors=0,
    incomplete=0,
    unrealized_pl=None,
    natural_pl=None,
    unmatched_pl=None,
    max_loss=None,
    by_underlying=[],
)
"""The sums before positions were read: nothing is known, not even that there is nothing."""
