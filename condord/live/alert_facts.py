"""Gather the facts that rules are evaluated on, from what is published.

Unknown values are left out, and a rule that names one keeps its state. In the first two minutes of a session only facts
about the daemon itself are known. What depends on the date is known from 09:00 in New York on the day of a session.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Iterable, Mapping
from typing import TypeGuard
from zoneinfo import ZoneInfo

import msgspec

from condord.core.calendar import Calendar
from condord.core.condor import Condor, Leg
from condord.core.cutoffs import Cutoff
from condord.core.dividend import Dividend
from condord.core.expiry import last_trading_day
from condord.core.market_hours import EXCHANGE_ZONE, exchange_day
from condord.core.model.distance import NEAR_SIGMAS, Distance
from condord.core.model.figures import UNKNOWN, invertible_price
from condord.core.model.risk import Risk
from condord.core.quote import Quote
from condord.core.reliability import is_opening
from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.facts import ABSENT, BEYOND, Between, Value
from condord.core.valuation import Valuation
from condord.live.alert_pl import PlRange
from condord.live.chains import HeldChain
from condord.live.wire import Status, TotalsJson
from condord.live.wire_condor import Unmatched
from condord.live.wire_risk import AccountJson, UnderlyingJson

DATES_FROM = dt.time(9)
"""The time in New York from which values that depend on the date are known."""
_MILLS = 1000
_E4 = 10_000
_E6 = 1_000_000

Values = dict[str, Value]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When facts are gathered: `now_at` is the exchange's time, and `day` its date in New York.

    `is_session`: the options held trade. `is_opening`: the session began less than two minutes ago. `is_dated`: it is
    after 09:00 on the day of a session. `minute` is the one that `now_at` is in.
    """

    now_at: dt.datetime
    day: dt.date
    calendar: Calendar
    is_session: bool
    is_opening: bool
    is_dated: bool
    minute: dt.datetime

    def counts_as(self, other: Moment) -> bool:
        """Whether facts that do not depend on quotes are the same at both moments. They change at most every minute."""
        return self is other or (
            self.minute == other.minute
            and (self.is_session, self.is_opening, self.is_dated)
            == (other.is_session, other.is_opening, other.is_dated)
        )

    @property
    def is_watched(self) -> bool:
        """Whether an unknown value is worth reporting. It is not at night, although a simulated session may be open."""
        return self.is_session and self.is_dated and not self.is_opening


class CondorTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a condor that do not change with quotes: its name for people, its chain, and Alpaca's cut-offs."""

    name: str
    chain: HeldChain
    cutoffs: tuple[Cutoff, ...]


def moment(calendar: Calendar, now_at: dt.datetime, *, is_session: bool) -> Moment:
    """The moment `now_at`."""
    day = exchange_day(now_at)
    dates_from_at = dt.datetime.combine(day, DATES_FROM, ZoneInfo(EXCHANGE_ZONE))
    return Moment(
        now_at=now_at,
        day=day,
        calendar=calendar,
        is_session=is_session,
        is_opening=is_opening(calendar, now_at),
        is_dated=calendar.on(day) is not None and now_at >= dates_from_at,
        minute=now_at.replace(second=0, microsecond=0),
    )


def known(values: Values, when: Moment) -> Values:
    """The `values` that can be relied on at this moment."""
    if when.is_dated and not when.is_opening:
        return values
    return {
        name: value
        for name, value in values.items()
        if not (when.is_opening and not QUANTITIES[name].is_daemon_fact)
        and not (QUANTITIES[name].is_dated and not when.is_dated)
    }


def date_values(condor: Condor, terms: CondorTerms, when: Moment) -> Values:
    """The values that depend on the date."""
    opened = None if condor.opened_at is None else exchange_day(condor.opened_at)
    is_last_day = last_trading_day(terms.chain.ending) == when.day
    minutes = {each.kind: (each.at - when.now_at).total_seconds() / 60 for each in terms.cutoffs}
    return {
        "daysToExpiration": float((condor.expiration - when.day).days),
        "daysAtOpening": None if opened is None else float((condor.expiration - opened).days),
        "minutesToOrderCutoff": minutes.get("orders", ABSENT),
        "minutesToLiquidation": minutes.get("liquidation", ABSENT),
        "expiresToday": is_last_day and opened != when.day,
    }


def risk_values(condor: Condor, risk: Risk) -> Values:
    """The model's figures, all computed at the same price."""
    touches = [risk.probabilities.touch_put, risk.probabilities.touch_call]
    deltas = [risk.legs.get(leg.symbol, UNKNOWN).delta for leg in condor.legs if leg.quantity < 0]
    is_long = condor.direction == "long"
    return {
        "distancePercent": _nearest(condor, risk, [side.percent for side in _sides(risk)]),
        "distanceSigmas": _nearest(condor, risk, [_sigmas(side) for side in _sides(risk)]),
        "delta": risk.greeks.delta,
        "theta": risk.greeks.theta,
        "shortDelta": _greatest([None if delta is None else abs(delta) for delta in deltas], 1.0),
        "probabilityOfProfit": risk.probabilities.profit,
        "probabilityOfTouch": None if risk.price is None else _touch(condor, risk, touches),
        "breached": ABSENT if is_long else risk.breached,
        "tested": ABSENT if is_long else _tested(risk),
    }


def _tested(risk: Risk) -> Value:
    """Whether a side is tested. If the other's distance is unknown for want of a volatility, a near side suffices."""
    if risk.tested is not None:
        return risk.tested != "none"
    return True if any(each.sigmas is not None and each.sigmas <= NEAR_SIGMAS for each in _sides(risk)) else None


def _sides(risk: Risk) -> list[Distance]:
    return [side for side in (risk.put, risk.call) if side.dollars is not None]


def _sigmas(side: Distance) -> Value:
    """The distance in sigmas. Without a volatility only its sign is known."""
    if side.sigmas is not None:
        return side.sigmas
    return BEYOND if side.dollars is not None and side.dollars < 0 else Between(0.0, math.inf)


def _nearest(condor: Condor, risk: Risk, values: list[Value]) -> Value:
    """The least of the distances of both sides. A butterfly may have no breakeven on a side, or on either."""
    ranges = [value if isinstance(value, Between) else Between(value, value) for value in values if _is_known(value)]
    if not ranges:
        return None if risk.price is None or condor.credit_e4 is None or risk.missing == ("expired",) else ABSENT
    low, high = min(each.low for each in ranges), min(each.high for each in ranges)
    return low if low == high else Between(low, high)


def _is_known(value: Value) -> TypeGuard[float | Between]:
    return isinstance(value, float | Between)


def _touch(condor: Condor, risk: Risk, touches: list[float | None]) -> Value:
    """The greater probability of a touch, of the sides that have a level."""
    with_level = [touch for touch, side in zip(touches, (risk.put, risk.call), strict=True) if side.dollars is not None]
    if not with_level:
        return None if condor.credit_e4 is None or risk.missing == ("expired",) else ABSENT
    return _greatest(with_level, 100.0)


def _greatest(values: list[float | None], most: float) -> Value:
    """The greatest of `values`; if some are not known, the range from the greatest known one to `most`."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    return max(found) if len(found) == len(values) or max(found) >= most else Between(max(found), most)


class Exercise(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of an early exercise of a short call for the `dividend`: its quote and that of the same put."""

    dividend: Dividend | None
    call: Quote | None
    put: Quote | None


def extrinsic_less_than_dividend(
    condor: Condor, terms: CondorTerms, risk: Risk, when: Moment, exercise: Exercise | None
) -> Value:
    """The dividend less what an exercise of the short call gives up, in dollars per share.

    That is the mid of the put of the same strike, or else the extrinsic value of the call. It applies from 09:30 of the
    session before the ex-date, while the call is in the money.
    """
    chain = terms.chain
    if chain.style == "european" or exercise is None or exercise.dividend is None:
        return ABSENT
    today = when.calendar.on(when.day)
    next_day = exchange_day(when.calendar.first_after(when.day).open_at)
    if exercise.dividend.ex_date != next_day or today is None:
        return ABSENT
    if when.now_at < today.open_at or (spot := chain.spot(risk.price)) is None:
        return None
    strike = short_call(condor).strike_mills / _MILLS
    if spot <= strike:
        return ABSENT
    dividend = exercise.dividend.amount_e6 / _E6 * (1.0 if chain.shares_ratio is None else chain.shares_ratio)
    put = None if exercise.put is None else invertible_price(exercise.put, unconfirmed=False)
    if put is not None:
        return dividend - put
    call = None if exercise.call is None else invertible_price(exercise.call, unconfirmed=False)
    return None if call is None else dividend - (call - (spot - strike))


def short_call(condor: Condor) -> Leg:
    """The short call of a condor."""
    return next(leg for leg in condor.legs if leg.right == "call" and leg.quantity < 0)


def is_blind(value: Valuation, when: Moment) -> bool:
    """Whether the profit or loss of a condor is not known or not confirmed when it should be."""
    return when.is_watched and (value.unrealized_e4 is None or value.unconfirmed)


def underlying_values(underlying: UnderlyingJson) -> Values:
    """The quantities of an underlying. A price that is not confirmed is not known."""
    is_known = not underlying.unconfirmed
    return {
        "underlyingPrice": underlying.price if is_known else None,
        "percentChange": underlying.percent_change if is_known else None,
        "underlyingDelta": underlying.delta,
    }


def uncovered(entries: Iterable[Unmatched], covered_before: Collection[str]) -> list[Unmatched]:
    """The uncovered shorts among `entries` that were not meant to be: calls, and puts that were covered before."""
    return [
        each for each in entries if each.uncovered_short and (each.right == "call" or each.symbol in covered_before)
    ]


def account_values(totals: TotalsJson, account: AccountJson | None, pl: Iterable[PlRange | None]) -> Values:
    """The quantities of the account; `pl` is the profit or loss of each condor, on the rule's basis.

    The profit or loss is not known while one of the condors' is not.
    """
    ranges = list(pl)
    known_ranges = [each for each in ranges if each is not None]
    values: Values = {
        "accountMaxLoss": totals.max_loss,
        "optionsBuyingPower": None if account is None else account.options_buying_power,
    }
    if len(known_ranges) == len(ranges) and totals.unrealized_pl is not None:
        low = sum(each.low_e4 for each in known_ranges) / _E4
        high = sum(each.high_e4 for each in known_ranges) / _E4
        values["accountUnrealizedPl"] = _range(low, high)
        if totals.day_pl is not None:
            before = totals.day_pl - totals.unrealized_pl
            values["accountDayPl"] = _range(round(before + low, 4), round(before + high, 4))
    return values


def _range(low: float, high: float) -> Value:
    return low if low == high else Between(low, high)


def feed_down(status: Status, underlyings: Mapping[str, UnderlyingJson], when: Moment) -> str | None:
    """Why prices are not live during a session; None if they are."""
    if not when.is_session:
        return None
    if status.state != "live":
        return status.reason or f"the option stream is {status.state}"
    stale = sorted(symbol for symbol, each in underlyings.items() if each.unconfirmed)
    return f"the prices of {', '.join(stale)} are not confirmed" if stale else None
