"""Decide when changes of alerts are published, and which of them are events of their own.

Alerts do not wait for quotes: the first change after a quiet window is published at once, others with the next event,
or a window later. Any other event that is published first includes the waiting changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from condord.core.market_hours import exchange_day
from condord.live import render_alerts
from condord.live.alert_records import AlertRecord
from condord.live.alerts import AlertChanges
from condord.live.coalescer import Coalescer
from condord.live.published import Edition
from condord.live.published_alerts import in_order
from condord.live.wire_alerts import AlertCounts, AlertJson


class ShownAlerts(Protocol):
    """The current alerts. `revision` changes whenever `shown` may have changed; `counts` counts those that fire."""

    @property
    def revision(self) -> int:
        """Another number after each change."""

    @property
    def counts(self) -> AlertCounts:
        """How many fire, by severity, also those that are not shown."""

    def shown(self, now_at: dt.datetime) -> list[AlertRecord]:
        """The alerts of the document: those firing, and those resolved or ended since the exchange's day began."""


class AlertSource(Protocol):
    """Evaluates rules on the published values."""

    @property
    def alerts(self) -> ShownAlerts:
        """The alerts as they are now."""

    @property
    def deadline(self) -> float | None:
        """When `evaluate` is due although nothing was published, in loop seconds."""

    def evaluate(self, now: float, now_at: dt.datetime) -> AlertChanges:
        """Evaluate subjects that were published since the last call or are due; `deadline` is then `now` or later."""


class AlertEvents:
    """The only writer of the alerts of `edition`.

    `waiting` are transitions that have not been sent yet. `coalescer` paces quotes; its window applies to alerts,
    too. `begin` begins an event. `on_changes` gets everything to be stored and delivered, at once; it must not
    wait.
    """

    def __init__(
        self,
        source: AlertSource | None,
        *,
        edition: Edition,
        coalescer: Coalescer,
        begin: Callable[[], None],
        on_changes: Callable[[AlertChanges], None],
    ) -> None:
        self.source = source
        self._edition = edition
        self._coalescer = coalescer
        self._begin = begin
        self._on_changes = on_changes
        self.waiting: list[AlertJson] = []
        self._changed: float | None = None
        self._published: float | None = None
        self._revision: int | None = None
        self._day: dt.date | None = None

    @property
    def deadline(self) -> float | None:
        """When `evaluate` and `publish` are due, in loop seconds; None if nothing waits, or without a source."""
        if self.source is None:
            return None
        deadlines = (self._due, self.source.deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def is_due(self, now: float) -> bool:
        """Whether the deadline has come."""
        deadline = self.deadline
        return deadline is not None and deadline <= now

    def evaluate(self, now: float, now_at: dt.datetime) -> None:
        """Evaluate the rules on changed subjects. Another day at the exchange removes alerts of the day before."""
        if self.source is None:
            return
        self.take(self.source.evaluate(now, now_at))
        before = self._revision, self._day
        self._revision, self._day = self.source.alerts.revision, exchange_day(now_at)
        is_changed = bool(self.waiting) or before != (self._revision, self._day)
        if is_changed and self._changed is None:
            self._changed = now

    def take(self, changes: AlertChanges) -> None:
        """Take changes: `on_changes` gets them now, and `publish` publishes their transitions when it is due."""
        if not changes.records and not changes.transitions:
            return
        self._on_changes(changes)
        self.waiting += [
            render_alerts.alert(transition.record) for transition in changes.transitions if transition.kind != "repeat"
        ]

    def publish(self, now: float, now_at: dt.datetime, *, has_event: bool) -> list[AlertJson]:
        """Put the changes into the newest event if `has_event` (it was not sent yet), else into a new one once due.

        Returns the alerts that began to fire, resolved or ended, one for each time, in order.
        """
        due = self._due
        if self.source is None or due is None or not (has_event or due <= now):
            return []
        sent, self.waiting, self._changed = self.waiting, [], None
        if self._put(self.source, now_at, has_event=has_event) or sent:
            self._published = now
        return sent

    @property
    def _due(self) -> float | None:
        if self._changed is None or self._published is None:
            return self._changed
        return max(self._changed, self._published + self._coalescer.window_seconds)

    def _put(self, source: AlertSource, now_at: dt.datetime, *, has_event: bool) -> bool:
        """Put the alerts and their counts; True if they have changed."""
        edition = self._edition
        alerts = in_order(render_alerts.alert(record) for record in source.alerts.shown(now_at))
        totals = msgspec.structs.replace(edition.totals, alerts=source.alerts.counts)
        if alerts == [*edition.alerts.shown.values()] and totals == edition.totals:
            return False
        if not has_event:
            self._begin()
        edition.alerts.put(alerts, edition.number)
        if totals != edition.totals:
            edition.set_totals(totals)
        return True


def by_rule_and_state(rules: Iterable[str], records: Iterable[AlertRecord]) -> dict[tuple[str, ...], int]:
    """Count the alerts that are pending or firing, by rule and state; a rule of `rules` without any has zeros."""
    counts: dict[tuple[str, ...], int] = {(rule, state): 0 for rule in rules for state in ("pending", "firing")}
    for record in records:
        if record.state in ("pending", "firing"):
            key = record.rule, record.state
            counts[key] = counts.get(key, 0) + 1
    return counts
