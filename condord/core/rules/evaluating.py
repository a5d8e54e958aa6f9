"""Evaluate conditions with three values: true, false, and None for unknown.

| value of the quantity | a comparison                          | a word            |
|-----------------------|---------------------------------------|-------------------|
| a number              | true or false                         | -                 |
| `Between`             | decided where both ends agree         | -                 |
| true or false         | -                                     | true or false     |
| `ABSENT`              | false                                 | false (so `not WORD` is true) |
| None, or not given    | not known                             | not known         |

A list in `when` is false if one of its conditions is false, else not known if one is not known. A list in `clear` is
true if one is true, else not known if one is not known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

from condord.core.rules.facts import ABSENT, Between, Facts, Value
from condord.core.rules.rule import Condition, Operator, Rule, Severity

_COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def evaluate(conditions: Sequence[Condition], facts: Facts) -> bool | None:
    """Whether all of `conditions` hold; None if that is not known."""
    is_known = True
    for condition in conditions:
        held = holds(condition, facts.values.get(condition.quantity))
        if held is False:
            return False
        is_known = is_known and held is not None
    return True if is_known else None


def evaluate_any(conditions: Sequence[Condition], facts: Facts) -> bool | None:
    """Whether any one of `conditions` holds; None if that is not known."""
    is_known = True
    for condition in conditions:
        held = holds(condition, facts.values.get(condition.quantity))
        if held:
            return True
        is_known = is_known and held is not None
    return False if is_known else None


def when(rule: Rule, facts: Facts) -> tuple[Condition, ...]:
    """The `when` of the rule for this subject: butterflies may have their own."""
    is_own = facts.kind == "ironButterfly" and rule.butterfly_when
    return rule.butterfly_when if is_own else rule.when


def clear(rule: Rule, facts: Facts) -> tuple[Condition, ...]:
    """The `clear` of the rule for this subject: butterflies may have their own."""
    is_own = facts.kind == "ironButterfly" and rule.butterfly_clear
    return rule.butterfly_clear if is_own else rule.clear


def holds(condition: Condition, value: Value) -> bool | None:
    """Whether the condition holds for `value` of its quantity; None if that is not known."""
    if condition.operator is None or condition.threshold is None:
        if value is None or isinstance(value, Between):
            return None
        return (value is True) is not condition.is_negated
    if value is ABSENT:
        return False
    if value is None:
        return None
    low, high = (value.low, value.high) if isinstance(value, Between) else (value, value)
    if math.isnan(low) or math.isnan(high):
        return None
    compare, threshold = _COMPARE[condition.operator], condition.threshold
    at_low, at_high = compare(low, threshold), compare(high, threshold)
    return at_low if at_low is at_high else None


def matches(rule: Rule, facts: Facts) -> bool:
    """Whether the rule is for this subject: its scope, and everything that `match` names."""
    match = rule.match
    return (
        rule.scope == facts.scope
        and (not match.underlying or facts.underlying in match.underlying)
        and (match.direction is None or facts.direction == match.direction)
        and (match.kind is None or facts.kind == match.kind)
        and (not match.condor or facts.subject in match.condor)
    )


def severity(rule: Rule, facts: Facts, closing_percent: float | None) -> Severity:
    """The severity of the rule's alert for this subject.

    Args:
        rule: the rule, enabled or not.
        facts: of the subject.
        closing_percent: `percentOfMaxProfit` of the best working order that closes the whole quantity, None without
            one.
    """
    if rule.severity_when_closing is None or closing_percent is None:
        return rule.severity
    targets = [each.threshold for each in when(rule, facts) if each.quantity == "percentOfMaxProfit"]
    is_closing = all(target is not None and closing_percent >= target for target in targets)
    return rule.severity_when_closing if targets and is_closing else rule.severity
