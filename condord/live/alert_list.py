"""Which alerts are shown: those that fire, and those that have resolved or ended today."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable

from condord.core.market_hours import exchange_day, start_of_day
from condord.core.rules.rule import Severity
from condord.live.alert_records import AlertRecord
from condord.live.wire_alerts import AlertCounts, AlertState

LIMIT = 200
"""How many alerts the document has at most."""

_RANKS: dict[Severity, int] = {"critical": 2, "warning": 1, "info": 0}


def state_of(record: AlertRecord) -> AlertState | None:
    """The state of the last firing, None if there was none."""
    return "firing" if record.state == "firing" else record.last


def subject_of(record: AlertRecord) -> str:
    """The key of an alert's subject: a condor's id, a symbol, or `account`."""
    return record.id.removeprefix(f"{record.rule}:")


def counts(records: Iterable[AlertRecord]) -> AlertCounts:
    """How many of them fire, by severity."""
    firing = Counter(record.severity for record in records if record.state == "firing")
    return AlertCounts(critical=firing["critical"], warning=firing["warning"], info=firing["info"])


def is_visible(record: AlertRecord, since_at: dt.datetime) -> bool:
    """Whether an alert fires, or fired until `since_at` or later."""
    if record.state == "firing":
        return True
    return record.last is not None and record.until is not None and record.until >= since_at


def visible(records: Iterable[AlertRecord], now_at: dt.datetime) -> list[AlertRecord]:
    """The alerts that fire, or resolved or ended since the start of the exchange's day, newest first, then by id."""
    since_at = start_of_day(exchange_day(now_at))
    found = [record for record in records if is_visible(record, since_at)]
    return sorted(found, key=lambda record: (-record.since.timestamp(), record.id))


def limited(records: list[AlertRecord]) -> list[AlertRecord]:
    """At most `LIMIT` of `records`, in their order.

    Those that no longer fire are left out first, then firing ones from info to critical, of each the oldest first.
    """
    if len(records) <= LIMIT:
        return records
    kept = {record.id for record in sorted(records, key=_importance, reverse=True)[:LIMIT]}
    return [record for record in records if record.id in kept]


def _importance(record: AlertRecord) -> tuple[bool, int, float]:
    is_firing = record.state == "firing"
    return is_firing, _RANKS[record.severity] if is_firing else 0, record.since.timestamp()
