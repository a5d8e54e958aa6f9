"""The sentences of alerts, which a trader understands without knowing the rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from condord.core.condor import strike_text
from condord.core.cutoffs import CutoffKind, CutoffSource
from condord.core.market_hours import exchange_day, wall_time
from condord.core.occ import parse
from condord.core.rules.catalogue import QUANTITIES, worded
from condord.core.rules.evaluating import holds, when
from condord.core.rules.facts import Between, Facts, Value
from condord.core.rules.rule import Condition, Operator, Rule
from condord.core.signed import signed_dollars
from condord.live.alert_distance import distance, near
from condord.live.alert_pl import PlRange, pl_range
from condord.live.alert_records import AlertRecord
from condord.live.alert_subject import Subject
from condord.live.broken import CondorSummary

Cause = Literal["gone", "settled", "broken"]
"""Why an alert ends with its subject. Settled condors are still held, and so are some legs of broken ones."""
_E4 = 10_000
_SOURCES: dict[CutoffSource, str] = {"config": "as configured", "product": "the end of its trading"}
"""How the time of a cut-off is known."""
_CLOSABLE = frozenset(
    [
        "percentOfMaxProfit",
        "percentOfRisk",
        "lossMultipleOfCredit",
        "unrealizedPl",
        "dayPl",
        "mark",
        "distancePercent",
        "distanceSigmas",
        "breached",
        "tested",
        "expiresToday",
        "minutesToLiquidation",
        "nearStrike",
        "longPutExpiring",
    ]
)
"""Quantities for which a trader would close the condor."""
_WITHOUT_PL = frozenset({"blind", "brokenCondor", "assignment"})
"""Words for which the P/L is unknown, or would belong to the complete part of the condor."""
_LASTING = frozenset({"daysAtOpening"})
"""Quantities that do not change while a condor is held: a time of measurement goes before their clauses."""
_NOT_EVALUATED = "cannot be evaluated at present; last known: "
_ORDERS = Condition(quantity="minutesToOrderCutoff", operator="<=", threshold=0.0)
_EARLIER_MARKS = frozenset({"stub", "crossed"})
"""The states of quotes whose mark is an earlier one."""
_PROFITS = {
    "percentOfMaxProfit": (1, " of its maximum", " of the maximum profit"),
    "percentOfRisk": (1, " of the maximum loss", " of the maximum loss"),
    "lossMultipleOfCredit": (-1, "", ""),
}
"""The sign of a profit, and what profits and losses are shares of."""
_MIRRORED: dict[Operator, Operator] = {">=": "<=", "<=": ">=", ">": "<", "<": ">"}
_OPERATORS: dict[Operator, str] = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
_NOT = {
    "breached": "no short strike is breached any longer",
    "tested": "no short strike is tested any longer",
    "nearStrike": "no leg is in the money or near its strike any longer",
    "brokenCondor": "it is whole again",
    "uncoveredShort": "no short is uncovered any longer",
    "assignment": "no assignment is reported any longer",
    "expiresToday": "it does not expire today any longer",
    "longPutExpiring": "no long put is about to expire in the money without shares any longer",
    "feedDown": "prices are live again",
    "blind": "it can be watched again",
}
"""The clauses for words that do not hold."""


def firing(rule: Rule, subject: Subject, facts: Facts) -> str:
    """Why the alert fires, and the condor's P/L, unless it is unknown or does not belong to the part that broke."""
    conditions = when(rule, facts)
    names = {each.quantity for each in conditions}
    measured: dict[str, None] = {}
    lasting: dict[str, None] = {}
    for condition in conditions:
        # The clause of the order cut-off has the time of the liquidation as well.
        if condition.quantity != "minutesToLiquidation" or "minutesToOrderCutoff" not in names:
            clause = _clause(condition, subject, facts.values.get(condition.quantity))
            (lasting if condition.quantity in _LASTING else measured)[clause] = None
    has_pl = not any(each.quantity in _WITHOUT_PL and not each.is_negated for each in conditions)
    joined = "; ".join(filter(None, (_joined(measured), _joined(lasting))))
    return _sentence(subject, joined + _orders(names, joined, subject, facts), has_pl=has_pl)


def _joined(clauses: Iterable[str]) -> str:
    found = [*filter(None, clauses)]
    return (", and " if any(" and " in each for each in found) else " and ").join(found)


def _orders(names: Collection[str], clauses: str, subject: Subject, facts: Facts) -> str:
    """On the last day, the clause until when the condor can be closed, or since when it cannot.

    It is empty on other days, and if the clauses before it have that time.
    """
    value = facts.values.get("minutesToOrderCutoff")
    if _CLOSABLE.isdisjoint(names) or not isinstance(value, float):
        return ""
    cutoff_at = next((wall_time(each.at) for each in subject.cutoffs if each.kind == "orders"), "")
    clause = _order_time(subject, value, _ORDERS)
    # A time on another day is followed by the day.
    return f"; {clause}" if clause.endswith(" ET") and cutoff_at not in clauses else ""


def resolved(rule: Rule, subject: Subject, facts: Facts) -> str:
    """The sentence for an alert that has resolved: what is true now."""
    return _sentence(subject, f"resolved, {_state(rule, subject, facts)}")


def repeated(rule: Rule, subject: Subject, facts: Facts, *, is_held: bool) -> str:
    """Why the alert fires now; if its `when` no longer holds but it has not resolved, what is true instead."""
    if is_held:
        return firing(rule, subject, facts)
    return _sentence(subject, f"not resolved yet, {_state(rule, subject, facts)}")


def undecided(record: AlertRecord) -> str:
    """The sentence for an alert that may no longer hold: the earlier reason, without the P/L of that moment."""
    earlier = record.text.partition(": ")[2]
    reason = earlier.rpartition(". P/L ")[0] or earlier.removesuffix(".")
    return f"{_name(record)}: {_NOT_EVALUATED}{reason}."


def _state(rule: Rule, subject: Subject, facts: Facts) -> str:
    """A clause for each condition that does not hold, which explains why the alert has resolved, or could."""
    conditions, clauses = when(rule, facts), []
    for condition in [each for each in conditions if holds(each, facts.values.get(each.quantity)) is False]:
        value, quantity = facts.values.get(condition.quantity), QUANTITIES[condition.quantity]
        special = _STATES.get(condition.quantity)
        if special is not None and (clause := special(subject, value, condition)):
            clauses.append(clause)
        elif quantity.is_word:
            is_true = condition.is_negated or value is True
            clauses.append(quantity.title if is_true else _NOT[condition.quantity])
        else:
            clauses.append(f"{quantity.title} is {worded(condition.quantity, value)}")
    return " and ".join(dict.fromkeys(clauses))


def gone(record: AlertRecord, cause: Cause = "gone", left: str = "") -> str:
    """The sentence for an alert that has ended with its subject; `left` is the clause of `left_of`."""
    if left:
        return f"{_name(record)}: it is no condor any more, and this alert has ended: {left}."
    if cause == "settled":
        return f"{_name(record)}: the position has expired and awaits settlement, and this alert has ended."
    if cause == "broken":
        return f"{_name(record)}: the position has lost legs, and this alert has ended."
    what = "position" if record.condor_id is not None else "last option on it"
    return f"{_name(record)}: the {what} is gone, and this alert has ended with it."


def left_of(condor: CondorSummary, held: Mapping[str, int], in_condors: Collection[str]) -> str:
    """Describe the legs still held of a former condor; empty if nothing is.

    `held` has the signed contracts that are in no condor, by symbol, and `in_condors` the symbols of those that are.
    """
    counts = {leg.symbol: min(condor.quantity, max(0, leg.sign * held.get(leg.symbol, 0))) for leg in condor.legs}
    count = sum(counts.values())
    if not count:
        return ""
    are_held = f"{_contracts(count)} held"
    closed = [leg.name for leg in condor.legs if not counts[leg.symbol] and leg.symbol not in in_condors]
    if not closed:
        return are_held
    names = " and ".join(filter(None, (", ".join(closed[:-1]), closed[-1])))
    return f"its {names} {'was' if len(closed) == 1 else 'were'} closed, and {are_held}"


def left_of_expiration(condor_id: str, held: Mapping[str, int]) -> str:
    """The same for a condor known only by its id: how many contracts of its expiration are in no condor."""
    found = {symbol: parse(symbol) for symbol, quantity in held.items() if quantity}
    count = sum(
        abs(held[symbol])
        for symbol, each in found.items()
        if condor_id.startswith(f"{each.root}-{each.expiration:%y%m%d}-")
    )
    return f"{_contracts(count)} held of its expiration, and in no condor" if count else ""


def _contracts(count: int) -> str:
    return f"{count} contract{' is' if count == 1 else 's are'}"


def rule_changed(record: AlertRecord) -> str:
    """The sentence for an alert that has ended with its rule."""
    return f"{_name(record)}: the rule {record.rule} was changed, turned off or removed, and its alert has ended."


def _name(record: AlertRecord) -> str:
    """The name of a subject that may not be there any longer, from the last sentence about it."""
    return record.text.partition(": ")[0] or record.condor_id or record.underlying or "The account"


def _sentence(subject: Subject, clauses: str, *, has_pl: bool = True) -> str:
    return f"{subject.name}: {clauses}.{_pl(subject) if has_pl else ''}"


def _pl(subject: Subject) -> str:
    """The profit or loss at mark, and the result of closing now.

    With a stub or crossed quote neither is known. At most the P/L is known to be within a range.
    """
    condor, value = subject.condor, subject.value
    if condor is None or value is None:
        return ""
    if value.unrealized_e4 is None:
        return " P/L not known."
    quotes = [subject.quotes[leg.symbol] for leg in condor.legs if leg.symbol in subject.quotes]
    if any(quote.state in _EARLIER_MARKS for quote in quotes):
        return f" P/L {_range(pl_range(condor, value, subject.quotes, 'mark'))}."
    close = "" if value.natural_pl_e4 is None else f" (close now {signed_dollars(value.natural_pl_e4 / _E4)})"
    return f" P/L {signed_dollars(value.unrealized_e4 / _E4)}{close}."


def _clause(condition: Condition, subject: Subject, value: Value) -> str:
    """The clause for a condition that holds."""
    quantity = condition.quantity
    if condition.is_negated:
        return _NOT[quantity]
    if quantity in subject.notes:
        return subject.notes[quantity]
    if (special := _SPECIAL.get(quantity)) is not None and (clause := special(subject, value, condition)):
        return clause
    if condition.operator is None:
        return QUANTITIES[quantity].title
    return f"{QUANTITIES[quantity].title} is {worded(quantity, value)} ({_limit(condition)})"


def _limit(condition: Condition, *, is_mirrored: bool = False) -> str:
    """`at least 50 %`; mirrored, for a value that is shown with the opposite sign."""
    operator, threshold = condition.operator, condition.threshold
    assert operator is not None  # noqa: S101 - it is not a word
    assert threshold is not None  # noqa: S101 - as above
    if is_mirrored:
        operator, threshold = _MIRRORED[operator], -threshold
    return f"{_OPERATORS[operator]} {worded(condition.quantity, threshold)}"


def _profit(subject: Subject, value: Value, condition: Condition) -> str:
    """`the loss is 2.14 times the credit (at least 2 times the credit)`."""
    clause = _profit_state(subject, value, condition)
    if not clause:
        return ""
    sign, _, _ = _PROFITS[condition.quantity]
    is_mirrored = clause.startswith("the loss") == (sign > 0)
    return f"{clause} ({_limit(condition, is_mirrored=is_mirrored)})"


def _profit_state(_: Subject, value: Value, condition: Condition) -> str:
    """A share of a profit or a loss, without a sign; of a range that includes both, the P/L."""
    if not isinstance(value, int | float | Between):
        return ""
    sign, of_profit, of_loss = _PROFITS[condition.quantity]
    low, high = (value.low, value.high) if isinstance(value, Between) else (value, value)
    low, high = sorted((sign * low, sign * high))
    name, of = "P/L", of_loss
    if low >= 0:
        name, of = "profit", of_profit
    elif high <= 0:
        name, low, high = "loss", -high, -low
    return f"the {name} is {worded(condition.quantity, low if low == high else Between(low, high))}{of}"


def _days(_: Subject, value: Value, condition: Condition) -> str:
    if value == 0:
        return "it expires today"
    return f"the expiration is {worded(condition.quantity, value)} away"


def _days_at_opening(_: Subject, value: Value, condition: Condition) -> str:
    return f"it was opened {worded(condition.quantity, value)} before the expiration"


def _order_cutoff(subject: Subject, value: Value, condition: Condition) -> str:
    """Until when Alpaca takes orders, if that is known, and from when it may liquidate: both as of now."""
    clause = _order_time(subject, value, condition)
    if not clause or not isinstance(value, int | float):
        return ""
    orders = next(each for each in subject.cutoffs if each.kind == "orders")
    liquidation = next((each for each in subject.cutoffs if each.kind == "liquidation"), None)
    may = ""
    if liquidation is not None:
        has_begun = liquidation.at <= orders.at - dt.timedelta(minutes=value)
        may = f" and may liquidate it {'at any time' if has_begun else f'from {wall_time(liquidation.at)}'}"
    return f"{clause} ({_SOURCES[orders.source]}){may}"


def _order_time(subject: Subject, value: Value, _: Condition) -> str:
    time = _cutoff_time(subject, value, "orders")
    if not time:
        return ""
    if isinstance(value, int | float) and value <= 0:
        return f"Alpaca has taken no orders for it since {time}"
    return f"Alpaca takes orders for it until {time}"


def _liquidation(subject: Subject, value: Value, _: Condition) -> str:
    time = _cutoff_time(subject, value, "liquidation")
    has_begun = isinstance(value, int | float) and value <= 0
    return time and f"Alpaca may liquidate it {'at any time' if has_begun else f'from {time}'}"


def _cutoff_time(subject: Subject, value: Value, kind: CutoffKind) -> str:
    """The time of a cut-off, with its day if that is not today, so that it is right at any time; empty without one."""
    at = next((each.at for each in subject.cutoffs if each.kind == kind), None)
    if at is None or not isinstance(value, int | float):
        return ""
    day = exchange_day(at)
    is_today = day == exchange_day(at - dt.timedelta(minutes=value))
    return f"{wall_time(at)} ET{'' if is_today else f' on {day:%b} {day.day}'}"


def _dividend(subject: Subject, value: Value, condition: Condition) -> str:
    if subject.condor is None or not isinstance(value, float):
        return ""
    _, _, call, outer = subject.condor.legs
    strike = strike_text((call if call.quantity < 0 else outer).strike_mills)
    more = worded(condition.quantity, value)
    return (
        f"the short call {strike} may be exercised for the dividend, which is {more} a share more than its time value, "
        "unless you close it today"
    )


def _long_put(subject: Subject, _: Value, __: Condition) -> str:
    if subject.condor is None:
        return ""
    put = next(leg for leg in subject.condor.legs if leg.right == "put" and leg.quantity > 0)
    return (
        f"the long put {strike_text(put.strike_mills)} expires in the money without shares, so that Alpaca may sell "
        "it or not exercise it, and the loss may exceed the maximum loss, unless you close it or hold the shares"
    )


def _blind(_: Subject, __: Value, ___: Condition) -> str:
    return "it cannot be watched, as its P/L or what a critical rule needs is not known"


def contract(symbol: str, underlying: str, year: int) -> str:
    """`put 755, Dec 4`, with the root if it is not the underlying, and the year if it is not `year`."""
    found = parse(symbol)
    day = f"{found.expiration:%b} {found.expiration.day}"
    root = "" if found.root == underlying else f"{found.root} "
    of_year = "" if found.expiration.year == year else f", {found.expiration.year}"
    return f"{root}{found.right} {strike_text(found.strike_mills)}, {day}{of_year}"


def in_words(text: str, symbols: Sequence[str], underlying: str, year: int) -> str:
    """The text of a notice with its contracts in words."""
    for symbol in symbols:
        text = text.replace(symbol, f"{contract(symbol, underlying, year)},")
    text = text.replace(",,", ",")
    if len(symbols) == 1 and not text.startswith("1 short "):
        text = text.replace(" put ", " puts ", 1).replace(" call ", " calls ", 1)
    return text


_SPECIAL: dict[str, Callable[[Subject, Value, Condition], str]] = {
    **dict.fromkeys(_PROFITS, _profit),
    "daysToExpiration": _days,
    "daysAtOpening": _days_at_opening,
    "minutesToOrderCutoff": _order_cutoff,
    "minutesToLiquidation": _liquidation,
    "distancePercent": distance,
    "distanceSigmas": distance,
    "breached": distance,
    "tested": distance,
    "nearStrike": near,
    "extrinsicLessThanDividend": _dividend,
    "longPutExpiring": _long_put,
    "blind": _blind,
}
"""Functions for clauses that the catalogue has no words for; if one returns "", the catalogue's words are used."""
_STATES: dict[str, Callable[[Subject, Value, Condition], str]] = {
    **dict.fromkeys(_PROFITS, _profit_state),
    **dict.fromkeys(("distancePercent", "distanceSigmas", "breached", "tested"), distance),
    "minutesToOrderCutoff": _order_time,
    "minutesToLiquidation": _liquidation,
}
"""The clauses of conditions that need not hold."""


def _range(found: PlRange | None) -> str:
    if found is None:
        return "not known"
    low, high = signed_dollars(found.low_e4 / _E4), signed_dollars(found.high_e4 / _E4)
    return high if low == high else f"{low} to {high}"
