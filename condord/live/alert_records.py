"""The state of alerts that survives restarts, and the transitions that are delivered."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from condord.core.rules.rule import Basis, Severity

State = Literal["inactive", "pending", "firing", "resolved", "ended"]
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one rule for one subject, as it is stored. `id` is the alert's id.

    `opened_at` is when the condor's holding was opened. `definition` identifies the `when`, `clear`, `basis` and
    `match` of the rule: with another one the state does not count. `held_seconds` is how long `when` has held in
    session time, up to `as_of`. `serial` rises with each firing of this alert, even after its removal: with the id it
    identifies a firing.

    `last` is how the last firing ended. It is None while the alert fires and if it never did: a `resolved` record
    without it only records that the rule was evaluated for this subject. `since`, `until`, `value`, `text`, `severity`
    and `acknowledged_at` belong to the last firing, even while the next one is pending. `is_first`: it has been
    pending since the first evaluation.

    `severity` may change with a repeat; `highest` is the highest that this firing had. `is_silent`: it may have fired
    before states were lost, so a rule that already holds fires at once and goes to no channel. An `inactive` record is
    stored only while it is silent. `extent` is how many contracts were missing from the broken condor when it fired.
    """

    id: str
    rule: str
    definition: str
    condor_id: str | None
    underlying: str | None
    opened_at: Instant | None
    state: State
    severity: Severity
    basis: Basis | None
    since: Instant
    as_of: Instant
    until: Instant | None = None
    value: float | None = None
    threshold: float | None = None
    text: str = ""
    at_start: bool = False
    acknowledged_at: Instant | None = None
    held_seconds: float = 0.0
    repeated_seconds: float = 0.0
    repeats: int = 0
    serial: int = 0
    last: Literal["resolved", "ended"] | None = None
    is_first: bool = False
    is_silent: bool = False
    highest: Severity | None = None
    extent: int | None = None


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that began to fire, resolved, ended, or repeats; `notify` and `repeat_minutes` come from its rule."""

    kind: Literal["firing", "resolved", "ended", "repeat"]
    record: AlertRecord
    notify: tuple[str, ...] | None

    @property
    def reach(self) -> Severity:
        """The severity that decides which channels get it: an end reaches all that the firing or a repeat did."""
        record = self.record
        return record.severity if self.kind in ("firing", "repeat") else record.highest or record.severity
