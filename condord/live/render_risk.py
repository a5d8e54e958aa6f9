"""Convert the account, underlyings, risk figures, expiry and closing orders to the public JSON structs.

Model figures are rounded here and nowhere else. A figure that is not finite is unknown.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

import msgspec

from condord.core.account_summary import AccountSummary
from condord.core.condor import Condor
from condord.core.cutoffs import Cutoff
from condord.core.dividend import Dividend
from condord.core.expiry import Ending
from condord.core.model.distance import Distance
from condord.core.model.figures import Figures
from condord.core.model.probability import Probabilities
from condord.core.model.risk import Greeks, Risk
from condord.core.underlying import UnderlyingPrice, change_e4, percent_change
from condord.core.working_order import ClosingOrder
from condord.live import wire_risk
from condord.live.wire_values import Dollars, dollars, dollars_or_none

_DOLLARS = 2
_PERCENT = 2
_PROBABILITY = 1
_PER_SHARE = 4
_SIGMAS = 2
_E4 = 10_000


def rounded(figure: float | None, digits: int) -> float | None:
    """Return `figure` rounded, never -0.0; None if it is unknown, infinite or not a number."""
    if figure is None or not math.isfinite(figure):
        return None
    return round(figure, digits) + 0.0  # turns -0.0 into 0.0


def account(summary: AccountSummary) -> wire_risk.AccountJson:
    """Return the account's balances."""
    return wire_risk.AccountJson(
        read_at=summary.read_at,
        equity=dollars_or_none(summary.equity_e4),
        last_equity=dollars_or_none(summary.last_equity_e4),
        day_pl=dollars_or_none(summary.day_pl_e4),
        cash=dollars_or_none(summary.cash_e4),
        buying_power=dollars_or_none(summary.buying_power_e4),
        options_buying_power=dollars_or_none(summary.options_buying_power_e4),
        maintenance_margin=dollars_or_none(summary.maintenance_margin_e4),
    )


def same_account(account: wire_risk.AccountJson | None, other: wire_risk.AccountJson | None) -> bool:
    """Whether two balances are equal except for the time of the reading, which changes without an event."""
    if account is None or other is None:
        return account is other
    return msgspec.structs.replace(account, read_at=other.read_at) == other


def underlying(
    price: UnderlyingPrice, greeks: Greeks, *, shares: int, dividend: Dividend | None
) -> wire_risk.UnderlyingJson:
    """Return an underlying with the greeks of everything held on it; `dividend` is the next one."""
    return wire_risk.UnderlyingJson(
        symbol=price.symbol,
        price=dollars_or_none(price.price_e4),
        source=price.source,
        time=price.at,
        unconfirmed=price.unconfirmed,
        reason=price.reason,
        previous_close=dollars_or_none(price.previous_close_e4),
        change=dollars_or_none(change_e4(price)),
        percent_change=rounded(percent_change(price), _PERCENT),
        shares=shares,
        delta=rounded(greeks.delta, _DOLLARS),
        gamma=rounded(greeks.gamma, _DOLLARS),
        theta=rounded(greeks.theta, _DOLLARS),
        vega=rounded(greeks.vega, _DOLLARS),
        ex_dividend=None if dividend is None else _ex_dividend(dividend),
    )


def _ex_dividend(dividend: Dividend) -> wire_risk.ExDividend:
    return wire_risk.ExDividend(date=dividend.ex_date, amount=dividend.amount_e6 / 1_000_000, source=dividend.source)


def theta(dollars_per_day: float | None) -> float | None:
    """Return the account's theta."""
    return rounded(dollars_per_day, _DOLLARS)


def risk(condor: Condor, found: Risk, as_of: dt.datetime | None) -> wire_risk.RiskJson:
    """Return the risk of `condor`; time counts from `as_of`."""
    greeks = found.greeks
    return wire_risk.RiskJson(
        id=condor.id,
        as_of=as_of,
        price=_dollars(found.price),
        delta=rounded(greeks.delta, _DOLLARS),
        gamma=rounded(greeks.gamma, _DOLLARS),
        theta=rounded(greeks.theta, _DOLLARS),
        vega=rounded(greeks.vega, _DOLLARS),
        legs=[_leg(leg.symbol, found.legs.get(leg.symbol, Figures())) for leg in condor.legs],
        distance=wire_risk.DistancesJson(put=_distance(found.put), call=_distance(found.call)),
        tested=found.tested,
        breached=found.breached,
        expected_move=rounded(found.expected_move, _DOLLARS),
        probabilities=_probabilities(found.probabilities),
        missing=list(found.missing),
    )


def _leg(symbol: str, figures: Figures) -> wire_risk.LegRiskJson:
    return wire_risk.LegRiskJson(
        symbol=symbol,
        iv=rounded(figures.iv, _PER_SHARE),
        delta=rounded(figures.delta, _PER_SHARE),
        gamma=rounded(figures.gamma, _PER_SHARE),
        theta=rounded(figures.theta, _PER_SHARE),
        vega=rounded(figures.vega, _PER_SHARE),
        source=figures.source,
    )


def _distance(distance: Distance) -> wire_risk.DistanceJson:
    return wire_risk.DistanceJson(
        dollars=_dollars(distance.dollars),
        percent=rounded(distance.percent, _PERCENT),
        sigmas=rounded(distance.sigmas, _SIGMAS),
    )


def _probabilities(found: Probabilities) -> wire_risk.ProbabilitiesJson:
    return wire_risk.ProbabilitiesJson(
        profit=rounded(found.profit, _PROBABILITY),
        max_profit=rounded(found.max_profit, _PROBABILITY),
        max_loss=rounded(found.max_loss, _PROBABILITY),
        touch_put=rounded(found.touch_put, _PROBABILITY),
        touch_call=rounded(found.touch_call, _PROBABILITY),
        profit_by_credit=rounded(found.profit_by_credit, _PROBABILITY),
        profit_by_delta=rounded(found.profit_by_delta, _PROBABILITY),
    )


def expiry(ending: Ending, cutoffs: Iterable[Cutoff]) -> wire_risk.ExpiryJson:
    """Return when contracts end, and the cut-offs of their last day."""
    return wire_risk.ExpiryJson(
        last_trading_at=ending.last_trading_at,
        settles_at=ending.settles_at,
        cutoffs=[wire_risk.CutoffJson(kind=each.kind, at=each.at, source=each.source) for each in cutoffs],
    )


def closing(orders: Iterable[ClosingOrder]) -> list[wire_risk.ClosingJson]:
    """Return the working orders that close a condor."""
    return [
        wire_risk.ClosingJson(
            order_id=order.order_id,
            limit_price=dollars_or_none(order.limit_e4),
            quantity=order.quantity,
            percent_of_max_profit=rounded(order.percent_of_max_profit, _PERCENT),
            submitted_at=order.submitted_at,
        )
        for order in orders
    ]


def _dollars(amount: float | None) -> Dollars | None:
    """Return an amount of dollars exact to 1e-4; None if it is unknown, infinite or not a number."""
    if amount is None or not math.isfinite(amount):
        return None
    return dollars(round(amount * _E4))
