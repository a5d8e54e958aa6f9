"""How soon a condor needs its owner, and the order that follows from it.

Firing alerts come first, acknowledged or not, as acknowledging must not move a condor. A breached or tested condor is
as urgent even without a firing alert, as alerts fire with a delay and may be turned off. Then come condors that expire
within a week, then those near the profit at which the rules close them. Of condors that are equally urgent and expire
on the same day, those for which Alpaca still takes orders come first, as nothing can be done about the others, and of
these the broken ones. Alerts are in the same order. The page has the same rule in `web/src/urgency.ts`, and
`web/tests/urgency.cases.json` holds both to it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from condord.core.rules.rule import Severity
from condord.live import wire
from condord.live.wire_alerts import AlertJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

Urgency = Literal["critical", "warning", "expiring", "target", "calm"]

URGENCIES: tuple[Urgency, ...] = ("critical", "warning", "expiring", "target", "calm")
"""The most urgent first."""
EXPIRING_DAYS = 7
_NEAR_TARGET = 0.8
_SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")

Nearness = tuple[float, bool, float, str]
FARTHEST: Nearness = (math.inf, True, math.inf, "")
"""The nearness of an alert that concerns no condor."""


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


def by_urgency(
    alerts: Iterable[AlertJson], as_of: dt.datetime
) -> Callable[[CondorJson | BrokenJson], tuple[int, Nearness]]:
    """Return a sort key: the more urgent first, then by nearness. `as_of` is by the exchange's clock."""
    known = [*alerts]
    return lambda condor: (URGENCIES.index(urgency_of(condor, known)), nearness_of(condor, as_of))


def by_need(document: wire.Document | None) -> Callable[[AlertJson], tuple[int, bool, Nearness, float, str]]:
    """Return a sort key for alerts that fire.

    The more severe first, then those not acknowledged, then by the nearness of their condors in the document, then the
    newest. Those of an underlying, of the account or of a condor that is not known are last of their severity. If a
    condor is partly broken, the nearness of the broken part counts only for the alert about that.
    """
    found = [] if document is None else [(each, nearness_of(each, document.as_of)) for each in held(document)]
    nearness: Mapping[str | None, Nearness] = {each.id: near for each, near in found}
    of_broken: Mapping[str | None, Nearness] = {each.id: near for each, near in found if isinstance(each, BrokenJson)}

    def order(alert: AlertJson) -> tuple[int, bool, Nearness, float, str]:
        near = nearness.get(alert.condor_id, FARTHEST)
        if alert.rule == "broken-condor":
            near = of_broken.get(alert.condor_id, near)
        is_acknowledged = alert.acknowledged_at is not None
        return _SEVERITIES.index(alert.severity), is_acknowledged, near, -alert.since.timestamp(), alert.id

    return order


def held(document: wire.Document) -> tuple[CondorJson | BrokenJson, ...]:
    """Return the broken condors and the others."""
    return (*document.broken, *document.condors)


def symbols(document: wire.Document) -> list[str]:
    """Return the underlyings and the roots of the condors, sorted."""
    return sorted({symbol for condor in held(document) for symbol in (condor.underlying, condor.root)})


def nearness_of(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> Nearness:
    """Return the sort key of condors with one urgency.

    These are the days left, whether it is too late for orders, the profit in percent of the risk, and the id. A broken
    condor is before every percentage, and one that is not known after it.
    """
    days = max(0, condor.days_to_expiration)
    if isinstance(condor, BrokenJson):
        percent = -math.inf
    else:
        known = condor.valuation.percent_of_risk
        percent = math.inf if known is None else known
    return days, are_orders_over(condor, as_of), percent, condor.id


def are_orders_over(condor: CondorJson | BrokenJson, as_of: dt.datetime) -> bool:
    """Return whether the time for orders of the condor has passed; False if that is not known."""
    cutoff_at = orders_cutoff(condor)
    return condor.days_to_expiration < 0 if cutoff_at is None else cutoff_at <= as_of


def orders_cutoff(condor: CondorJson | BrokenJson) -> dt.datetime | None:
    """Return when Alpaca stops taking orders for the condor; None if that is not known."""
    cutoffs = condor.expiry.cutoffs if condor.expiry is not None else ()
    return min((cutoff.at for cutoff in cutoffs if cutoff.kind == "orders"), default=None)


def _is_near_target(condor: CondorJson) -> bool:
    target, profit = condor.exits.target, condor.valuation.unrealized_pl
    return target is not None and target > 0 and profit is not None and profit >= _NEAR_TARGET * target
