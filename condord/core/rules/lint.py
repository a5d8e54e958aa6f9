"""Find useless parts of a valid configuration of alerts: a rule that cannot fire, a channel that gets nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.rule import SEVERITIES, Condition, Rule, RuleOverride, Severity
from condord.core.rules.table import RuleFault, rules

_NEVER_LONG = frozenset({"tested", "breached", "lossMultipleOfCredit"})
"""Conditions that do not apply to long condors: their owner wants the price beyond a strike, and has paid a debit."""
_SHARES = frozenset({"percentOfMaxProfit", "percentOfRisk", "probabilityOfProfit", "probabilityOfTouch"})
"""Percentages of a whole, which people also write as fractions."""
_ID = re.compile(r"[A-Z][A-Z0-9.]*-\d{6}(-\d+(\.\d+)?){4}(-\d+)?")
"""The id of a condor: root, expiration, four strikes, and a number if it is not the only one."""


def doubts(override: RuleOverride) -> tuple[RuleFault, ...]:
    """The probable mistakes in one table without faults."""
    found: list[RuleFault] = []
    [rule] = [each for each in rules([override]) if each.name == override.name]
    names = [each.quantity for each in rule.when if each.quantity in _NEVER_LONG and not each.is_negated]
    if rule.enabled and rule.match.direction == "long" and names:
        text = f"it can never fire: {names[0]} does not apply to long condors; match the price with distancePercent"
        found.append(RuleFault("match.direction", "long", text))
    if rule.enabled and override.when is not None and (doubt := _unlikely(rule)):
        found.append(RuleFault("when", override.when, doubt))
    if override.match is not None and (wrong := [each for each in rule.match.condor if not _ID.fullmatch(each)]):
        text = f"no condor has the id {wrong[0]}; `condord positions` shows the ids, as in SPY-261218-705-715-770-780"
        found.append(RuleFault("match.condor", wrong, text))
    if not rule.built_in and (near := _misspelled(rule.name)):
        text = f"it is a rule of its own beside the built-in {near}: did you mean {near}?"
        found.append(RuleFault("name", rule.name, text))
    return tuple(found)


def is_reached(channel: str, min_severity: Severity, in_force: Iterable[Rule]) -> bool:
    """Whether an enabled rule can send anything to a channel."""
    least = SEVERITIES.index(min_severity)
    return any(
        channel in rule.notify if rule.notify is not None else max(map(SEVERITIES.index, _severities(rule))) >= least
        for rule in in_force
        if rule.enabled
    )


def _unlikely(rule: Rule) -> str:
    """Why the numbers of `when` are probably not meant; empty if they are plausible."""
    found = filter(None, (_misread(each, is_alone=len(rule.when) == 1, basis=rule.basis) for each in rule.when))
    return next(found, "")


def _misread(condition: Condition, *, is_alone: bool, basis: str) -> str:
    """Why a number is probably wrong: its sign, its unit, or a bound that no value passes."""
    name, number, is_upper = condition.quantity, condition.threshold, condition.operator in ("<", "<=")
    if number is None:
        return ""
    if name in _SHARES and 0 < abs(number) < 1:
        return f"{name} is in percent: {number:g} is {number:g} %; write {number * 100:g} for {number * 100:g} %"
    match name:
        case "percentOfMaxProfit" if number > 100 and not is_upper:
            return "it can hardly ever fire: a profit is at most 100 % of the maximum profit"
        case "percentOfRisk" if number < -100 and is_upper and basis == "mark":
            return "it can hardly ever fire: a loss is at most 100 % of the maximum loss"
        case "percentOfRisk" if number > 0 and is_upper and is_alone:
            return f"it also fires without a loss: percentOfRisk is negative for a loss; write -{number:g} for one"
        case "lossMultipleOfCredit" if number < -1 and is_upper:
            return f"it can hardly ever fire: a profit is at most the credit; a loss is positive: write >= {-number:g}"
    return ""


def _severities(rule: Rule) -> list[Severity]:
    return [rule.severity] if rule.severity_when_closing is None else [rule.severity, rule.severity_when_closing]


def _misspelled(name: str) -> str | None:
    """The built-in rule that is one typing error away, or differs only in dashes and capitals."""
    plain = _plain(name)
    return next((each.name for each in BUILT_IN if _is_near(plain, _plain(each.name))), None)


def _plain(name: str) -> str:
    return name.lower().replace("-", "")


def _is_near(name: str, known: str) -> bool:
    """Whether a letter is added, missing or wrong, or two are exchanged. With a digit it is a name of its own."""
    if name == known:
        return True
    if any(letter.isdigit() for letter in name) or abs(len(name) - len(known)) > 1:
        return False
    same = next(index for index, pair in enumerate(zip(f"{name} ", f"{known} ", strict=False)) if pair[0] != pair[1])
    left, right = name[same:], known[same:]
    return left[1:] == right or left == right[1:] or left[1:] == right[1:] or left[1::-1] + left[2:] == right
