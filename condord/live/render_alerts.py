"""Convert alerts and rules to the public JSON structs."""

from __future__ import annotations

from collections.abc import Iterable

from condord.core.rules.parsing import written
from condord.core.rules.rule import Rule
from condord.live.alert_list import state_of
from condord.live.alert_records import AlertRecord
from condord.live.wire_alerts import AlertJson, RuleJson

_DECIMALS = 4
"""The decimals of a value: as many as prices and greeks per share have."""


def alert(record: AlertRecord) -> AlertJson:
    """Return the last firing of an alert that fires or did."""
    return AlertJson(
        id=record.id,
        rule=record.rule,
        condor_id=record.condor_id,
        underlying=record.underlying,
        severity=record.severity,
        state=state_of(record) or "ended",
        since=record.since,
        until=record.until,
        value=None if record.value is None else round(record.value, _DECIMALS),
        threshold=record.threshold,
        basis=record.basis,
        text=record.text,
        at_start=record.at_start,
        acknowledged_at=record.acknowledged_at,
    )


def alerts(records: Iterable[AlertRecord]) -> list[AlertJson]:
    """Return alerts in their order."""
    return [alert(record) for record in records]


def rules(each: Iterable[Rule]) -> list[RuleJson]:
    """Return rules with their conditions as they are written."""
    return [
        RuleJson(
            name=rule.name,
            when=[written(condition) for condition in rule.when],
            clear=[written(condition) for condition in rule.clear],
            for_seconds=rule.for_seconds,
            basis=rule.basis,
            severity=rule.severity,
            built_in=rule.built_in,
            enabled=rule.enabled,
        )
        for rule in each
    ]
