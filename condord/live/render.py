"""Convert core's values to the public JSON structs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

import msgspec

from condord.core import valuation as values
from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.cover import Leftover
from condord.core.cutoffs import Cutoff, CutoffSettings
from condord.core.expiry import Ending, Style
from condord.core.quote import Quote
from condord.live import broken as breaks
from condord.live import render_risk, wire, wire_broken, wire_condor
from condord.live.chains import HeldChain
from condord.live.notices import Notice
from condord.live.wire_alerts import AlertCounts
from condord.live.wire_risk import ModelJson
from condord.live.wire_values import Side, dollars, dollars_or_none

_E4_PER_MILL = 10
NO_ALERTS = AlertCounts()


class ContractTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms that all contracts of a condor share, and its `exits`."""

    style: Style
    ending: Ending
    cutoffs: tuple[Cutoff, ...]
    exits: wire_condor.ExitsJson = wire_condor.ExitsJson()


def quote(shown: Quote, *, unconfirmed: bool) -> wire.QuoteJson:
    """Return one contract's quote."""
    return wire.QuoteJson(
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


def valuation(condor: Condor, value: values.Valuation) -> wire_condor.ValuationJson:
    """Return the valuation of a condor."""
    return wire_condor.ValuationJson(
        id=value.id,
        as_of=value.at,
        mark=dollars_or_none(value.mark_e4),
        natural=dollars_or_none(value.natural_e4),
        unrealized_pl=dollars_or_none(value.unrealized_e4),
        natural_pl=dollars_or_none(value.natural_pl_e4),
        day_pl=dollars_or_none(value.day_pl_e4),
        worst_pl=dollars_or_none(value.worst_e4),
        best_pl=dollars_or_none(value.best_e4),
        percent_of_max_profit=value.percent_of_max_profit,
        percent_of_risk=value.percent_of_risk,
        missing=list(value.missing),
        unconfirmed=value.unconfirmed,
        legs=[
            wire_condor.LegValuation(symbol=leg.symbol, unrealized_pl=dollars_or_none(unrealized_e4))
            for leg, unrealized_e4 in zip(condor.legs, value.legs_unrealized_e4, strict=True)
        ],
        pl_bounds=_bounds(value.bounds_e4),
    )


def _bounds(bounds_e4: tuple[int, int] | None) -> wire_condor.PlBounds | None:
    return None if bounds_e4 is None else wire_condor.PlBounds(low=dollars(bounds_e4[0]), high=dollars(bounds_e4[1]))


def condor(
    condor: Condor, value: values.Valuation, terms: ContractTerms, day: dt.date, history: wire_condor.HistoryJson
) -> wire_condor.CondorJson:
    """Return a condor as of `day`, the date at the exchange. `Edition` fills in its risk and its closing orders."""
    is_read = not any(leg.multiplier_assumed for leg in condor.legs)
    return wire_condor.CondorJson(
        id=condor.id,
        kind=condor.kind,
        direction=condor.direction,
        underlying=condor.underlying,
        root=condor.root,
        expiration=condor.expiration,
        days_to_expiration=(condor.expiration - day).days,
        quantity=condor.quantity,
        multiplier=condor.multiplier,
        style=terms.style if is_read else None,
        settlement=terms.ending.settlement if is_read else None,
        broken_wing=condor.broken_wing,
        ambiguous=condor.ambiguous,
        legs=[
            wire_condor.LegJson(
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
            for leg in condor.legs
        ],
        credit=dollars_or_none(condor.credit_e4),
        max_profit=dollars_or_none(condor.max_profit_e4),
        max_loss=dollars_or_none(condor.max_loss_e4),
        put_width=dollars(condor.put_width_e4),
        call_width=dollars(condor.call_width_e4),
        breakevens=wire_condor.Breakevens(
            lower=dollars_or_none(condor.lower_breakeven_e4), upper=dollars_or_none(condor.upper_breakeven_e4)
        ),
        entry_source=condor.entry_source,
        opened_at=condor.opened_at,
        realized_pl=dollars_or_none(condor.realized_e4),
        expiry=render_risk.expiry(terms.ending, terms.cutoffs),
        exits=terms.exits,
        valuation=valuation(condor, value),
        history=history,
    )


def exits(target_e4: int | None, stop_e4: int | None) -> wire_condor.ExitsJson:
    """Return where the rules in force would take profit and stop."""
    return wire_condor.ExitsJson(target=dollars_or_none(target_e4), stop=dollars_or_none(stop_e4))


def unmatched(
    leftover: Leftover, mark_e4: int | None, pl: values.LeftoverPl, problem: str | None
) -> wire_condor.Unmatched:
    """Return contracts in no condor. `problem` is a sentence about them, if there is one."""
    held = leftover.position
    contract = held.contract
    side: Side | None = None
    if held.quantity:
        side = "long" if held.quantity > 0 else "short"
    return wire_condor.Unmatched(
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
        unrealized_pl=dollars_or_none(pl.unrealized_e4),
        day_pl=dollars_or_none(pl.day_e4),
        uncovered_short=leftover.uncovered_short,
        cover=leftover.cover,
        multiplier_assumed=held.multiplier_assumed,
        problem=problem,
    )


def broken(condor: breaks.BrokenCondor, day: dt.date) -> wire_broken.BrokenJson:
    """Return a broken condor as of `day`, the date at the exchange.

    Its profit or loss is None: `Edition` sums it from the published entries. Its expiry is None: see `with_expiry`.
    """
    was = condor.condor
    return wire_broken.BrokenJson(
        id=was.id,
        kind=was.kind,
        direction=was.direction,
        underlying=was.underlying,
        root=was.root,
        expiration=was.expiration,
        days_to_expiration=(was.expiration - day).days,
        quantity=was.quantity,
        opened_at=was.opened_at,
        legs=[
            wire_broken.BrokenLeg(
                symbol=leg.symbol,
                right=leg.right,
                strike=dollars(leg.strike_mills * _E4_PER_MILL),
                side="long" if leg.sign > 0 else "short",
                quantity=was.quantity,
                held=condor.held.get(leg.symbol, 0),
            )
            for leg in was.legs
        ],
        missing=[leg.symbol for leg in was.legs if leg.symbol in condor.missing],
        unrealized_pl=None,
        since=condor.since,
    )


def with_expiry(
    broken: Iterable[wire_broken.BrokenJson],
    chains: Collection[HeldChain],
    calendar: Calendar,
    settings: CutoffSettings,
) -> list[wire_broken.BrokenJson]:
    """Return the broken condors with the expiry of the contracts that are left of them, each of which is in a chain."""
    shown = []
    for condor in broken:
        left = {leg.symbol for leg in condor.legs if leg.held}
        chain = next(chain for chain in chains if any(held.symbol in left for held in chain.contracts))
        expiry = render_risk.expiry(chain.ending, chain.cutoffs(calendar, settings))
        shown.append(msgspec.structs.replace(condor, expiry=expiry))
    return shown


def totals(
    total: values.Totals, theta: float | None, risk_incomplete: int, alerts: AlertCounts = NO_ALERTS
) -> wire.TotalsJson:
    """Return the account's sums; `theta` is rounded, and `risk_incomplete` counts what it leaves out."""
    return wire.TotalsJson(
        condors=total.condors,
        incomplete=total.incomplete,
        unrealized_pl=dollars_or_none(total.unrealized_e4),
        natural_pl=dollars_or_none(total.natural_pl_e4),
        day_pl=dollars_or_none(total.day_pl_e4),
        unmatched_pl=dollars_or_none(total.unmatched_e4),
        unmatched_day_pl=dollars_or_none(total.unmatched_day_e4),
        closed_day_pl=dollars_or_none(total.closed_day_e4),
        max_loss=dollars_or_none(total.max_loss_e4),
        theta=theta,
        risk_incomplete=risk_incomplete,
        alerts=alerts,
        by_underlying=[
            wire.UnderlyingTotalsJson(
                underlying=part.underlying,
                unrealized_pl=dollars_or_none(part.unrealized_e4),
                day_pl=dollars_or_none(part.day_pl_e4),
                max_loss=dollars_or_none(part.max_loss_e4),
            )
            for part in total.by_underlying
        ],
    )


def notice(found: Notice) -> wire.NoticeJson:
    """Return a notice."""
    return wire.NoticeJson(
        code=found.code, text=found.text, symbols=list(found.symbols), condor_id=found.condor_id, since=found.since
    )


def same_status(status: wire.Status, other: wire.Status) -> bool:
    """Whether two statuses are equal except for the instants that change without an event."""
    is_read, was_read = (each.positions.read_at is not None for each in (status, other))
    return is_read == was_read and _without_instants(status) == _without_instants(other)


def _without_instants(status: wire.Status) -> wire.Status:
    return msgspec.structs.replace(
        status,
        stream=msgspec.structs.replace(status.stream, last_message_at=None),
        positions=msgspec.structs.replace(status.positions, read_at=None),
    )


def unread_status(source: wire.Source, feed: wire.DataFeed, model: ModelJson, now_at: dt.datetime) -> wire.Status:
    """Return the status before the first request to Alpaca."""
    return wire.Status(
        state="starting",
        reason=None,
        code=None,
        since=now_at,
        source=source,
        feed=feed,
        market=wire.MarketJson(is_open=None, next_open=None, next_close=None),
        stream=wire.StreamJson(connected=False, subscribed=0, requested=0, reconnects=0, last_message_at=None),
        positions=wire.Positions(read_at=None, error=None, breaker="closed"),
        notices=[],
        model=model,
    )


UNREAD_TOTALS = wire.TotalsJson(
    condors=0,
    incomplete=0,
    unrealized_pl=None,
    natural_pl=None,
    unmatched_pl=None,
    max_loss=None,
    by_underlying=[],
)
"""The sums before positions were read: null, not zero, as nothing is known yet."""
