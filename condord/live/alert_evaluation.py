"""Choose the rules for a subject, and turn their results into events and values for its alerts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.evaluating import clear, evaluate_any, matches, severity, when
from condord.core.rules.facts import Facts, Value
from condord.core.rules.rule import Condition, Rule
from condord.live.alert_machine import Event, TransitionValues
from condord.live.alert_records import AlertRecord
from condord.live.alert_subject import Subject

_ABOUT_BROKEN = frozenset({"brokenCondor", "assignment"})
"""The words that apply to the rest of a broken condor."""


class MatchedRule(NamedTuple):
    """A rule that applies to a subject, its `when` for that subject, and the quantities that it names."""

    rule: Rule
    conditions: tuple[Condition, ...]
    names: frozenset[str]


class Evaluation(NamedTuple):
    """The last evaluation of `subject`: the rules that apply to it, and the result of each `when` by name."""

    rules: tuple[MatchedRule, ...]
    subject: Subject
    results: dict[str, bool | None]


def matched(rules: Iterable[Rule], subject: Subject) -> tuple[MatchedRule, ...]:
    """The rules in force that apply to a subject; those about `blind` last, as they depend on the others."""
    facts = subject.mark
    found = []
    for rule in rules:
        if rule.enabled and matches(rule, facts):
            conditions = when(rule, facts)
            found.append(MatchedRule(rule, conditions, frozenset(each.quantity for each in conditions)))
    if subject.is_broken:
        found = [each for each in found if not _ABOUT_BROKEN.isdisjoint(each.names)]
    return tuple(sorted(found, key=lambda each: "blind" in each.names))


def changed_quantities(was: Subject, subject: Subject) -> set[str]:
    """The quantities whose value has changed, on either basis."""
    found = _differing(was.mark.values, subject.mark.values)
    if was.natural is not was.mark or subject.natural is not subject.mark:
        found |= _differing(was.natural.values, subject.natural.values)
    return found


def _differing(was: Mapping[str, Value], values: Mapping[str, Value]) -> set[str]:
    found = {name for name, value in values.items() if was.get(name) != value}
    return found if was.keys() == values.keys() else found | (was.keys() - values.keys())


def event_of(rule: Rule, facts: Facts, *, held: bool | None) -> Event:
    """The result of evaluating an alert, without regard to time; `held` is its `when`."""
    if held is None:
        return "unknown"
    if held:
        return "holds"
    conditions = clear(rule, facts)
    return "cleared" if not conditions or evaluate_any(conditions, facts) is True else "lapsed"


def first_record(rule: Rule, facts: Facts, now_at: dt.datetime) -> AlertRecord:
    """The record of an alert that has never fired."""
    return AlertRecord(
        id=f"{rule.name}:{facts.subject}",
        rule=rule.name,
        definition="",
        condor_id=facts.subject if facts.scope == "condor" else None,
        underlying=facts.underlying,
        opened_at=None,
        state="inactive",
        severity=rule.severity,
        basis=None,
        since=now_at,
        as_of=now_at,
    )


def transition_values(rule: Rule, subject: Subject, facts: Facts, text: str) -> TransitionValues:
    """The values that a transition shows: that of the first comparison, and its threshold."""
    conditions = when(rule, facts)
    first = next((each for each in conditions if each.operator is not None), None)
    value = None if first is None else facts.values.get(first.quantity)
    return TransitionValues(
        value=float(value) if isinstance(value, int | float) else None,
        threshold=None if first is None else first.threshold,
        basis=rule.basis if any(QUANTITIES[each.quantity].has_basis for each in conditions) else None,
        severity=severity(rule, facts, subject.closing_percent),
        text=text,
        extent=extent(rule, subject),
    )


def extent(rule: Rule, subject: Subject) -> int | None:
    """How many contracts a broken condor has lost, for rules about that; None for others."""
    is_about = any(each.quantity == "brokenCondor" and not each.is_negated for each in when(rule, subject.mark))
    return subject.lost if is_about else None
