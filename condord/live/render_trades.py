"""Convert closed condors to the public JSON structs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from condord.core.cost import divide
from condord.core.market_hours import exchange_day
from condord.core.trade import DeliveredShares, Trade, totals
from condord.core.valuation import percent
from condord.live.minutes import Extremes, HoldingPeriod
from condord.live.wire_history import SharesJson, TradeJson, TradesJson, TradeTotalsJson
from condord.live.wire_values import dollars, dollars_or_none

_E4_PER_CENT = 100


def holding(trade: Trade) -> HoldingPeriod | None:
    """The holding whose extremes the trade has; None if the trade is only a part of one.

    A holding has the extremes of its current quantity, and goes on after a part was closed.
    """
    return HoldingPeriod(condor_id=trade.id, opened_at=trade.opened_at) if trade.is_whole else None


def holdings(trades: Iterable[Trade]) -> frozenset[HoldingPeriod]:
    """The holdings whose extremes `answer` needs."""
    return frozenset(found for trade in trades if (found := holding(trade)) is not None)


def answer(
    trades: Sequence[Trade], extremes: Mapping[HoldingPeriod, Extremes], complete_from: dt.datetime | None
) -> TradesJson:
    """Return trades, in their sequence, with their totals.

    `complete_from` is the instant from which on everything that was closed is known, None while nothing has been read.
    """
    return TradesJson(
        trades=[trade(each, _extremes_of(each, extremes)) for each in trades],
        totals=trade_totals(trades, complete_from),
    )


def _extremes_of(shown: Trade, extremes: Mapping[HoldingPeriod, Extremes]) -> Extremes | None:
    held = holding(shown)
    return None if held is None else extremes.get(held)


def trade(shown: Trade, extremes: Extremes | None) -> TradeJson:
    """Return a trade with its extremes."""
    return TradeJson(
        id=shown.id,
        underlying=shown.underlying,
        kind=shown.kind,
        direction=shown.direction,
        quantity=shown.quantity,
        opened_at=shown.opened_at,
        closed_at=shown.closed_at,
        how=shown.how,
        credit=dollars_or_none(shown.credit_e4),
        debit=dollars_or_none(shown.debit_e4),
        realized_pl=dollars_or_none(shown.realized_e4),
        percent_of_max_profit=percent(shown.realized_e4, shown.max_profit_e4),
        days_held=_days_held(shown),
        worst_pl=None if extremes is None else dollars(extremes.worst * _E4_PER_CENT),
        best_pl=None if extremes is None else dollars(extremes.best * _E4_PER_CENT),
        fees=None if shown.fees_e4 is None else dollars(divide(shown.fees_e4, _E4_PER_CENT) * _E4_PER_CENT),
        shares=None if shown.shares is None else _shares(shown.shares),
        rolled_to=shown.rolled_to if shown.how == "rolled" else msgspec.UNSET,
    )


def trade_totals(trades: Sequence[Trade], complete_from: dt.datetime | None) -> TradeTotalsJson:
    """Return the totals over trades."""
    total = totals(trades)
    return TradeTotalsJson(
        trades=total.trades,
        realized_pl=dollars(total.realized_e4) if trades or complete_from is not None else None,
        winners=total.winners,
        losers=total.losers,
        unknown=total.unknown,
        win_rate=total.win_rate,
        average_win=dollars_or_none(total.average_win_e4),
        average_loss=dollars_or_none(total.average_loss_e4),
        complete_from=complete_from,
    )


def _days_held(shown: Trade) -> int | None:
    """The days between opening and closing, by the dates at the exchange."""
    if shown.opened_at is None:
        return None
    return (exchange_day(shown.closed_at) - exchange_day(shown.opened_at)).days


def _shares(delivered: DeliveredShares) -> SharesJson:
    return SharesJson(symbol=delivered.symbol, quantity=delivered.quantity, price=dollars_or_none(delivered.price_e4))
