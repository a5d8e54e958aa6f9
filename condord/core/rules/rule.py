"""An alert rule: conditions that must hold for one condor, one underlying or the account."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from condord.core.position import Direction, Kind

Severity = Literal["info", "warning", "critical"]
Basis = Literal["mark", "natural"]
Scope = Literal["condor", "underlying", "account"]
Operator = Literal[">=", "<=", ">", "<"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The severities from the lowest to the highest."""
MAX_CONDITIONS = 8
"""How many conditions a list may have."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a quantity with `threshold`, or a word, whose `operator` and `threshold` are None.

    `is_negated` is only for words: `not nearStrike`.
    """

    quantity: str
    operator: Operator | None = None
    threshold: float | None = None
    is_negated: bool = False


class RuleMatch(msgspec.Struct, frozen=True, kw_only=True):
    """The subjects that a rule applies to; empty and None match everything."""

    underlying: tuple[str, ...] = ()
    direction: Direction | None = None
    kind: Kind | None = None
    condor: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A valid rule. All of `when` must hold, and for `for_seconds` of session time; any one of `clear` clears it.

    Without `clear` it clears when `when` does not hold. `butterfly_when` and `butterfly_clear` take their place for
    butterflies, where given. `severity_when_closing` is its severity while a working order closes the whole condor at
    the threshold or better, None for no difference. `notify` are the channels, None for all whose minimum severity it
    reaches. `scope` is the scope of its alerts.
    """

    name: str
    when: tuple[Condition, ...]
    clear: tuple[Condition, ...] = ()
    butterfly_when: tuple[Condition, ...] = ()
    butterfly_clear: tuple[Condition, ...] = ()
    for_seconds: float = 0.0
    basis: Basis = "mark"
    match: RuleMatch = RuleMatch()
    severity: Severity = "warning"
    severity_when_closing: Severity | None = None
    repeat_minutes: float = 0.0
    notify: tuple[str, ...] | None = None
    enabled: bool = True
    built_in: bool = False
    scope: Scope = "condor"


class RuleOverride(msgspec.Struct, frozen=True, kw_only=True):
    """An [[alert]] table: a rule, or what changes in the built-in rule of that name. None means not named."""

    name: str
    when: str | tuple[str, ...] | None = None
    clear: str | tuple[str, ...] | None = None
    for_seconds: float | None = None
    basis: Basis | None = None
    match: RuleMatch | None = None
    severity: Severity | None = None
    repeat_minutes: float | None = None
    notify: tuple[str, ...] | None = None
    enabled: bool | None = None
