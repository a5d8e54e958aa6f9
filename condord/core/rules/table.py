"""The rules in force: the built-in ones, changed by [[alert]] tables of the same name, then the others of the file.

A table changes only the keys that it has. There is one exception, so that the parts fit: naming `when` also drops the
other values that the built-in rule has for butterflies, and naming `severity` the one that it has while a closing order
works.

A list in `when` may mix scopes. Its alert belongs to the narrowest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.catalogue import QUANTITIES, narrowest
from condord.core.rules.evaluating import holds
from condord.core.rules.parsing import BadCondition, nearest, parse, written
from condord.core.rules.rule import MAX_CONDITIONS, Condition, Rule, RuleOverride, Scope

_BY_NAME = {rule.name: rule for rule in BUILT_IN}
_BY_LETTERS = {rule.name.lower(): rule.name for rule in BUILT_IN}


class RuleFault(NamedTuple):
    """The fault of one key of a table (`when[1]`, `match.kind`); `value` is None if the key is missing."""

    key: str
    value: object
    text: str


class _Conditions(NamedTuple):
    """The conditions of one key, without those that are faulty."""

    parsed: tuple[Condition, ...]
    faults: tuple[RuleFault, ...]


def rules(overrides: Sequence[RuleOverride]) -> tuple[Rule, ...]:
    """Every rule, enabled or not, the built-in ones first.

    Raises:
        ValueError: a table has a fault; `faults` names all of them.
    """
    by_name = dict(_BY_NAME)
    for override in overrides:
        if wrong := faults(override):
            raise ValueError(f"{override.name}: {wrong[0].key} {wrong[0].text}")
        by_name[override.name] = _merged(override, _parsed("when", override.when).parsed, _clear(override).parsed)
    return tuple(by_name.values())


def faults(override: RuleOverride) -> tuple[RuleFault, ...]:
    """Everything that is wrong with one table."""
    name, built_in = override.name, _BY_NAME.get(override.name)
    when, clear = _parsed("when", override.when), _clear(override)
    found = [*when.faults, *clear.faults]
    if built_in is None and (spelled := _BY_LETTERS.get(name.lower())):
        found.append(RuleFault("name", name, f"differs only in capitals from the built-in rule {spelled}"))
    elif built_in is None and override.when is None:
        near = nearest(name, _BY_NAME)
        meant = f"; the nearest built-in rule is {near}" if near else ""
        found.append(RuleFault("when", None, f"is missing, and {name} is not a built-in rule{meant}"))
    if override.repeat_minutes is not None and 0 < override.repeat_minutes < 1:
        found.append(RuleFault("repeat_minutes", override.repeat_minutes, "must be 0 or at least 1"))
    if not when.faults and not clear.faults and (override.when is not None or built_in is not None):
        found += _contradictions(override, _merged(override, when.parsed, clear.parsed))
    return tuple(found)


def definition(rule: Rule) -> str:
    """The keys that the state of alerts depends on: `when`, `clear`, `basis`, `match`, also those for butterflies."""
    lists = (rule.when, rule.clear, rule.butterfly_when, rule.butterfly_clear)
    match = rule.match
    named = (sorted(match.underlying), match.direction, match.kind, sorted(match.condor))
    return msgspec.json.encode([[list(map(written, each)) for each in lists], rule.basis, named]).decode()


def _clear(override: RuleOverride) -> _Conditions:
    """The conditions of `clear`, which may be an empty list: no hysteresis."""
    return _Conditions((), ()) if override.clear == () else _parsed("clear", override.clear)


def _parsed(key: str, text_or_texts: str | tuple[str, ...] | None) -> _Conditions:
    if text_or_texts is None:
        return _Conditions((), ())
    texts = (text_or_texts,) if isinstance(text_or_texts, str) else text_or_texts
    if not 1 <= len(texts) <= MAX_CONDITIONS:
        return _Conditions((), (RuleFault(key, list(texts), f"must have 1 to {MAX_CONDITIONS} conditions"),))
    conditions: list[Condition] = []
    found: list[RuleFault] = []
    for number, text in enumerate(texts):
        try:
            conditions.append(parse(text))
        except BadCondition as error:
            found.append(RuleFault(key if isinstance(text_or_texts, str) else f"{key}[{number}]", text, str(error)))
    return _Conditions(tuple(conditions), tuple(found))


def _merged(override: RuleOverride, when: tuple[Condition, ...], clear: tuple[Condition, ...]) -> Rule:
    """The rule that results; `when` and `clear` are used where the table names them."""
    rule = _BY_NAME.get(override.name) or Rule(name=override.name, when=when)
    named = {
        key: value
        for key in ("for_seconds", "basis", "match", "severity", "repeat_minutes", "notify", "enabled")
        if (value := getattr(override, key)) is not None
    }
    if override.when is not None:
        named |= {"when": when, "butterfly_when": (), "butterfly_clear": ()}
    if override.clear is not None:
        named["clear"] = clear
    if override.severity is not None:
        named["severity_when_closing"] = None
    rule = msgspec.structs.replace(rule, **named)
    return msgspec.structs.replace(rule, scope=narrowest(_scopes(rule.when)))


def _contradictions(override: RuleOverride, rule: Rule) -> list[RuleFault]:
    """Which parts of the resulting rule do not fit together."""
    found = [*_never_holds(override, rule), *_clear_faults(override, rule), *_match_faults(override, rule)]
    has_basis = any(QUANTITIES[each.quantity].has_basis for each in (*rule.when, *rule.clear))
    if override.basis is not None and not has_basis:
        found.append(RuleFault("basis", override.basis, "applies only to profit or loss and to mark"))
    return found


def _never_holds(override: RuleOverride, rule: Rule) -> list[RuleFault]:
    if all(map(_may_hold, _by_quantity(rule.when))):
        return []
    return [RuleFault("when", override.when, "can never hold: its conditions contradict each other")]


def _clear_faults(override: RuleOverride, rule: Rule) -> list[RuleFault]:
    """A `clear` of another scope, or one that holds while `when` does: its hysteresis is the wrong way round."""
    found: list[RuleFault] = []
    key, text_or_texts = ("clear", override.clear) if override.clear is not None else ("when", override.when)
    for condition in rule.clear:
        text = written(condition)
        if QUANTITIES[condition.quantity].scope not in _scopes(rule.when):
            scopes = " or ".join(sorted(_scopes(rule.when)))
            found.append(RuleFault(key, text_or_texts, f"clear, {text}, must be about the same as when: {scopes}"))
        same = [each for each in rule.when if each.quantity == condition.quantity]
        if same and _may_hold([*same, condition]):
            remedy = "" if key == "clear" else "; name clear too"
            found.append(RuleFault(key, text_or_texts, f"clear, {text}, must not hold while when holds{remedy}"))
    return found


def _match_faults(override: RuleOverride, rule: Rule) -> list[RuleFault]:
    allowed = {"condor": ("underlying", "direction", "kind", "condor"), "underlying": ("underlying",), "account": ()}
    named = {} if override.match is None else msgspec.structs.asdict(override.match)
    subject = "the account" if rule.scope == "account" else "an underlying"
    only = f"only {' and '.join(allowed[rule.scope])}" if allowed[rule.scope] else "nothing"
    return [
        RuleFault(f"match.{key}", value, f"when is about {subject}, so match allows {only}")
        for key, value in named.items()
        if value and key not in allowed[rule.scope]
    ]


def _scopes(conditions: Iterable[Condition]) -> set[Scope]:
    return {QUANTITIES[each.quantity].scope for each in conditions}


def _by_quantity(conditions: Sequence[Condition]) -> list[list[Condition]]:
    names = dict.fromkeys(each.quantity for each in conditions)
    return [[each for each in conditions if each.quantity == name] for name in names]


def _may_hold(conditions: Sequence[Condition]) -> bool:
    """Whether some value of the one quantity that `conditions` are about satisfies all of them.

    Between two neighbouring thresholds nothing changes, so one value of each interval is enough.
    """
    points = sorted({each.threshold for each in conditions if each.threshold is not None})
    between = [(low + high) / 2 for low, high in itertools.pairwise(points)]
    values = [-math.inf, *points, *between, math.inf] if points else [True, False]
    return any(all(holds(each, value) for each in conditions) for value in values)
