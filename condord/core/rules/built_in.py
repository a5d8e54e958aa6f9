"""The built-in rules, in the form in which the configuration has them."""

from __future__ import annotations

from condord.core.rules.catalogue import QUANTITIES, narrowest
from condord.core.rules.parsing import parse
from condord.core.rules.rule import Condition, Rule, Severity

_MINUTE = 60.0


def _conditions(*texts: str) -> tuple[Condition, ...]:
    return tuple(map(parse, texts))


def _rule(
    name: str,
    when: tuple[Condition, ...],
    severity: Severity,
    *,
    clear: tuple[Condition, ...] = (),
    for_seconds: float = 0.0,
    butterfly_when: tuple[Condition, ...] = (),
    butterfly_clear: tuple[Condition, ...] = (),
    severity_when_closing: Severity | None = None,
) -> Rule:
    return Rule(
        name=name,
        when=when,
        clear=clear,
        butterfly_when=butterfly_when,
        butterfly_clear=butterfly_clear,
        for_seconds=for_seconds,
        severity=severity,
        severity_when_closing=severity_when_closing,
        built_in=True,
        scope=narrowest({QUANTITIES[each.quantity].scope for each in when}),
    )


BUILT_IN: tuple[Rule, ...] = (
    _rule(
        "profit-target",
        _conditions("percentOfMaxProfit >= 50"),
        "warning",
        clear=_conditions("percentOfMaxProfit < 45"),
        butterfly_when=_conditions("percentOfMaxProfit >= 25"),
        butterfly_clear=_conditions("percentOfMaxProfit < 20"),
        for_seconds=2 * _MINUTE,
        severity_when_closing="info",
    ),
    _rule(
        "stop-loss",
        _conditions("lossMultipleOfCredit >= 2"),  # the mark is at three times the credit
        "critical",
        clear=_conditions("lossMultipleOfCredit < 1.75"),
        for_seconds=_MINUTE,
    ),
    _rule(
        "loss-of-risk",
        _conditions("percentOfRisk <= -60"),
        "critical",
        clear=_conditions("percentOfRisk > -50"),
        for_seconds=_MINUTE,
    ),
    _rule("days-left", _conditions("daysToExpiration <= 21", "daysAtOpening > 21"), "info"),
    _rule(
        "tested",
        _conditions("distanceSigmas <= 0.25"),
        "warning",
        clear=_conditions("distanceSigmas > 0.4"),
        for_seconds=5 * _MINUTE,
    ),
    _rule(
        "breached",
        _conditions("distanceSigmas < 0"),  # also holds beyond the strike without an implied volatility
        "critical",
        clear=_conditions("distanceSigmas > 0.15"),
        for_seconds=_MINUTE,
    ),
    _rule("broken-condor", _conditions("brokenCondor"), "critical"),
    _rule("uncovered-short", _conditions("uncoveredShort"), "critical"),
    _rule("assignment", _conditions("assignment"), "critical"),
    _rule("expires-today", _conditions("expiresToday"), "warning"),
    _rule(
        "order-cutoff",
        _conditions("minutesToOrderCutoff <= 60", "nearStrike"),
        "critical",
        clear=_conditions("not nearStrike"),
    ),
    _rule("ex-dividend", _conditions("extrinsicLessThanDividend > 0"), "warning"),
    _rule("long-put-expiring", _conditions("longPutExpiring"), "warning"),
    _rule("feed-down", _conditions("feedDown"), "warning", for_seconds=2 * _MINUTE),
    _rule("blind", _conditions("blind"), "warning", for_seconds=5 * _MINUTE),
)
"""The built-in rules in the order of the documentation."""
