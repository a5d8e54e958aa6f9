"""The clauses of alerts about how far the price is from the strikes of a condor."""

from __future__ import annotations

from condord.core.condor import Condor, Leg, strike_text
from condord.core.model.distance import NEAR_SIGMAS, Distance, breakevens
from condord.core.rules.catalogue import worded
from condord.core.rules.facts import Value
from condord.core.rules.rule import Condition
from condord.live.alert_subject import Subject

_MILLS = 1000


def near(subject: Subject, _: Value, __: Condition) -> str:
    """The leg in the money (a short one if there is one) or else the leg nearest its strike, and its distance."""
    condor, spot = subject.condor, subject.spot
    if condor is None or spot is None:
        return ""
    away = {leg.symbol: (leg.strike_mills / _MILLS - spot) * (1 if leg.right == "call" else -1) for leg in condor.legs}
    leg = min(condor.legs, key=lambda each: (max(0.0, away[each.symbol]), each.quantity > 0, away[each.symbol]))
    dollars = abs(away[leg.symbol])
    how_far = f"{dollars:,.2f} ({100 * dollars / spot:.2f} %) {'in the money' if away[leg.symbol] < 0 else 'away'}"
    return f"the {_leg(leg)} is {how_far if dollars else 'at the price'}, {_price(subject)}"


def distance(subject: Subject, _: Value, condition: Condition) -> str:
    """How far the price is from the nearer level, and what that means for the condor."""
    condor, risk = subject.condor, subject.risk
    if condor is None or risk is None or risk.price is None:
        return ""
    sides = [(side, name) for side, name in ((risk.put, "put"), (risk.call, "call")) if side.dollars is not None]
    if not sides:
        return ""
    side, name = min(sides, key=lambda each: _nearness(each[0], condition))
    level, price = _level(condor, name), _price(subject)
    if _is_beyond(side):
        # A breached strike has an alert of its own, which this earlier one does not repeat.
        if condition.quantity == "tested" or condition.threshold:
            return f"the price is {worded('distancePercent', abs(side.percent or 0.0))} beyond the {level}, {price}"
        beyond = f"the {level} is breached" if condor.direction == "short" else f"the price is beyond the {level}"
        return f"{beyond}, {price}"
    is_tested = condor.direction == "short" and side.sigmas is not None and side.sigmas <= NEAR_SIGMAS
    return f"the {level} is {'tested, ' if is_tested else ''}{_away(side, condition)} away, {price}"


def _is_beyond(side: Distance) -> bool:
    return side.dollars is not None and side.dollars < 0


def _nearness(side: Distance, condition: Condition) -> tuple[bool, bool, float]:
    """A key that sorts the nearer side first, by the condition's unit, or by percent if sigmas are not known."""
    by_sigmas = condition.quantity != "distancePercent"
    figure = side.sigmas if by_sigmas and side.sigmas is not None else side.percent
    return not _is_beyond(side), by_sigmas and side.sigmas is None, figure or 0.0


def _away(side: Distance, condition: Condition) -> str:
    """`0.21 sigmas`; without a volatility `2.5 %`."""
    if condition.quantity == "distancePercent" or side.sigmas is None:
        return worded("distancePercent", side.percent)
    return worded("distanceSigmas", side.sigmas)


def _level(condor: Condor, side: str) -> str:
    """`short put 755`, or `lower breakeven 741.20`."""
    if condor.kind == "ironButterfly":
        lower, upper = breakevens(condor)
        return f"lower breakeven {lower:,.2f}" if side == "put" else f"upper breakeven {upper:,.2f}"
    _, put, call, _ = condor.legs
    return _leg(put if side == "put" else call)


def _leg(leg: Leg) -> str:
    """`short put 755`."""
    return f"{'short' if leg.quantity < 0 else 'long'} {leg.right} {strike_text(leg.strike_mills)}"


def _price(subject: Subject) -> str:
    condor, risk = subject.condor, subject.risk
    assert condor is not None  # noqa: S101 - the caller has checked
    assert risk is not None  # noqa: S101 - as above
    return f"{condor.underlying} {risk.price:,.2f}"
