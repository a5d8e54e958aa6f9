"""How soon a condor needs its owner, and the order that follows from it.

Firing alerts come first, acknowledged or not, as acknowledging must not move a condor. A breached or tested condor is
as urgent before its alert fires, as alerts wait before they do, and may be turned off. Then come condors that expire
within a week, then those near the profit at which the rules take it. The page has the same rule in
`web/src/urgency.ts`, and `web/tests/urgency.cases.json` holds both to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

from condord.core.rules.rule import Severity
from condord.live.wire_alerts import AlertJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

Urgency = Literal["critical", "warning", "expiring", "target", "calm"]

URGENCIES: tuple[Urgency, ...] = ("critical", "warning", "expiring", "target", "calm")
"""The most urgent first."""
EXPIRING_DAYS = 7
_NEAR_TARGET = 0.8
_SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")

Rank = tuple[int, int, float, str]


def severity_of(condor: CondorJson | BrokenJson, alerts: Iterable[AlertJson]) -> Severity | None:
    """Return the highest severity of the alerts that fire for the condor and of its state, None if there is none.

    A broken or breached condor is critical, a tested one a warning.
    """
    found = {alert.severity for alert in alerts if alert.condor_id == condor.id and alert.state == "firing"}
    if isinstance(condor, BrokenJson) or condor.risk.breached:
        found.add("critical")
    elif condor.risk.tested in {"put", "call"}:
        found.add("warning")
    return next((severity for severity in _SEVERITIES if severity in found), None)


def urgency_of(condor: CondorJson | BrokenJson, alerts: Iterable[AlertJson]) -> Urgency:
    """Return the urgency of the condor, given the alerts of the document."""
    severity = severity_of(condor, alerts)
    if isinstance(condor, BrokenJson) or severity == "critical":
        return "critical"
    if severity == "warning":
        return "warning"
    if condor.days_to_expiration <= EXPIRING_DAYS:
        return "expiring"
    return "target" if _is_near_target(condor) else "calm"


def by_urgency(alerts: Iterable[AlertJson]) -> Callable[[CondorJson | BrokenJson], Rank]:
    """Return a sort key: the more urgent first, then the nearer expiration, then the larger loss in percent of risk."""
    known = [*alerts]

    def order(condor: CondorJson | BrokenJson) -> Rank:
        percent = None if isinstance(condor, BrokenJson) else condor.valuation.percent_of_risk
        rank = URGENCIES.index(urgency_of(condor, known))
        return rank, condor.days_to_expiration, math.inf if percent is None else percent, condor.id

    return order


def _is_near_target(condor: CondorJson) -> bool:
    target, profit = condor.exits.target, condor.valuation.unrealized_pl
    return target is not None and target > 0 and profit is not None and profit >= _NEAR_TARGET * target
