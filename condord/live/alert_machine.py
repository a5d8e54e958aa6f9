"""The state of one alert: a table of states and events.

An alert is one rule for one holding of a condor, one underlying, or the account. Each evaluation of it results in one
of these events:

| event     | test                                                                                 |
|-----------|--------------------------------------------------------------------------------------|
| `unknown` | `when` is not known                                                                  |
| `holds`   | `when` holds                                                                         |
| `due`     | it also has held for `for_seconds` of session time                                   |
| `lapsed`  | `when` does not hold, and `clear` does not hold or is not known                      |
| `grown`   | `when` holds, and what it is about is worse than when it fired                       |
| `cleared` | `when` does not hold, and one of `clear` does, or there is none                      |
| `gone`    | the subject is not there any longer, or the rule is removed, disabled or changed     |

An alert is `inactive` until `when` is known for the first time; what holds then fires with `at_start`. It is `resolved`
whenever `when` is known and it neither fires nor is about to.

Session time is counted between evaluations while `when` holds. The count is kept while the market is closed, while
`when` is not known, and over restarts. It is 0 again when `when` does not hold.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple

from msgspec.structs import replace

from condord.core.rules.rule import SEVERITIES, Basis, Rule, Severity
from condord.live.alert_records import AlertRecord, State, Transition

Event = Literal["unknown", "holds", "due", "lapsed", "grown", "cleared", "gone"]
Action = Literal["beginFirst", "begin", "count", "pause", "reset", "fire", "fireAgain", "resolve", "end", "forget"]

TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    ("inactive", "holds"): ("pending", "beginFirst"),
    ("inactive", "lapsed"): ("resolved", "reset"),
    ("inactive", "cleared"): ("resolved", "reset"),
    ("inactive", "gone"): ("ended", "forget"),
    ("pending", "unknown"): ("pending", "pause"),
    ("pending", "holds"): ("pending", "count"),
    ("pending", "due"): ("firing", "fire"),
    ("pending", "lapsed"): ("resolved", "reset"),
    ("pending", "cleared"): ("resolved", "reset"),
    ("pending", "gone"): ("ended", "forget"),
    ("firing", "grown"): ("firing", "fireAgain"),
    ("firing", "cleared"): ("resolved", "resolve"),
    ("firing", "gone"): ("ended", "end"),
    ("resolved", "holds"): ("pending", "begin"),
    ("resolved", "gone"): ("ended", "forget"),
}
"""Any other event changes nothing."""

SAVE_SECONDS = 5.0
"""How much session time of a pending alert is lost at most when the process is killed."""
REPEAT_SAVE_SECONDS = 60.0
"""How much of the session time until a repetition is lost at most when the process is killed."""
SETTLE_FOR = dt.timedelta(seconds=10)
"""How long contracts have been gone before their loss is notified: the order that closed them may be read later."""
EXACT_SECONDS = 1e-6
"""Times that differ by less are equal."""


class TransitionValues(NamedTuple):
    """The values that a transition shows."""

    value: float | None
    threshold: float | None
    basis: Basis | None
    severity: Severity
    text: str
    extent: int | None = None


class Alert:
    """One alert. `rule` is None where it is known only from an earlier run. `is_changed`: `record` is to be stored."""

    __slots__ = ("_counted", "_stored", "_worse_at", "is_changed", "record", "rule")

    def __init__(self, record: AlertRecord, rule: Rule | None) -> None:
        self.record = record
        self.rule = rule
        self.is_changed = record.is_silent and record.state == "inactive"
        self._worse_at: dt.datetime | None = None
        self._counted: float | None = None  # the session time up to which it has been counted
        self._stored = record.held_seconds

    @property
    def is_counting(self) -> bool:
        """Whether something depends on the session time that passes."""
        return self._counted is not None

    @property
    def is_due(self) -> bool:
        """Whether a pending alert has held for long enough. A silent one is due at once: it may have fired before."""
        assert self.rule is not None  # noqa: S101 - only rules in force are evaluated
        return self.record.is_silent or self.record.held_seconds >= self.rule.for_seconds - EXACT_SECONDS

    @property
    def is_repeat_due(self) -> bool:
        """Whether a firing alert is to be notified again."""
        repeat_seconds = self._repeat_seconds
        return repeat_seconds > 0 and self.record.repeated_seconds >= repeat_seconds - EXACT_SECONDS

    @property
    def _repeat_seconds(self) -> float:
        """The session time between two notifications of it; 0 means that it is not repeated."""
        is_open = self.record.state == "firing" and self.record.acknowledged_at is None
        return self.rule.repeat_minutes * 60 if is_open and self.rule is not None else 0.0

    @property
    def due_seconds(self) -> float:
        """The session time of its next evaluation: the alert is due then, or what has been counted is to be stored."""
        record, counted = self.record, 0.0 if self._counted is None else self._counted
        if record.state == "pending" and self.rule is not None:
            until_stored = SAVE_SECONDS - (record.held_seconds - self._stored)
            return counted + min(self.rule.for_seconds - record.held_seconds, until_stored)
        until_stored = REPEAT_SAVE_SECONDS - (record.repeated_seconds - self._stored)
        return counted + min(self._repeat_seconds - record.repeated_seconds, until_stored)

    def count(self, session_seconds: float, now_at: dt.datetime) -> None:
        """Count the session time since the last evaluation."""
        if self._counted is None:
            return
        record, passed = self.record, session_seconds - self._counted
        self._counted = session_seconds
        if passed <= 0:
            return
        if record.state == "pending":
            held_seconds = record.held_seconds + passed
            self.record = replace(record, held_seconds=held_seconds, as_of=now_at)
            is_due = held_seconds - self._stored >= SAVE_SECONDS - EXACT_SECONDS
        else:
            held_seconds = record.repeated_seconds + passed
            self.record = replace(record, repeated_seconds=held_seconds, as_of=now_at)
            is_due = held_seconds - self._stored >= REPEAT_SAVE_SECONDS - EXACT_SECONDS
        if is_due:
            self.is_changed, self._stored = True, held_seconds

    def step(
        self, event: Event, session_seconds: float, now_at: dt.datetime, found: TransitionValues | None = None
    ) -> bool:
        """Take an event; True if that is a transition. `found` has the values that a transition shows."""
        row = TABLE.get((self.record.state, event))
        if row is None:
            return False
        state, action = row
        before = self.record
        match action:
            case "beginFirst" | "begin":
                self.record = replace(before, held_seconds=0.0, is_first=action == "beginFirst")
                self._counted, self._stored = session_seconds, 0.0
            case "count":
                self._counted = session_seconds
            case "pause":
                self._counted = None
            case "reset" | "forget":
                self.record = replace(before, held_seconds=0.0, is_first=False, is_silent=False)
                self._counted = None
            case "fire" | "fireAgain":
                self._fire(found, session_seconds, now_at)
                if action == "fireAgain":  # it has not been notified before, so it is not silent
                    self.record = replace(self.record, is_silent=False)
            case _:
                self._counted = None
                assert found is not None  # noqa: S101 - the caller gives it with these events
                last: Literal["resolved", "ended"] = "resolved" if action == "resolve" else "ended"
                self.record = replace(before, last=last, until=now_at, text=found.text, value=found.value)
        if self.record is not before or state != before.state:
            self.record = replace(self.record, state=state, as_of=now_at)
            self.is_changed = True
        return action in ("fire", "fireAgain", "resolve", "end")

    def _fire(self, found: TransitionValues | None, session_seconds: float, now_at: dt.datetime) -> None:
        assert found is not None  # noqa: S101 - the caller gives it with `due`
        self._stored = 0.0
        self.record = replace(
            self.record,
            since=now_at,
            until=None,
            last=None,
            value=found.value,
            threshold=found.threshold,
            basis=found.basis,
            severity=found.severity,
            highest=found.severity,
            text=found.text,
            extent=found.extent,
            at_start=self.record.is_first,
            is_first=False,
            acknowledged_at=None,
            held_seconds=0.0,
            repeated_seconds=0.0,
            repeats=0,
            # Rises even after the record was removed, so that no pair of id and serial occurs twice.
            serial=max(self.record.serial + 1, int(now_at.timestamp())),
        )
        self._counted = session_seconds if self.rule is not None and self.rule.repeat_minutes > 0 else None

    def repeat(self, now_at: dt.datetime, text: str, found: TransitionValues | None = None) -> Transition:
        """Note that it is notified again; return what is delivered: `text`, with the value of `found` if there is one.

        The record keeps the text and the value of the firing, as `since` is the time of that. Its severity changes only
        with a repeat, so the document never has a severity without a message to the channels.
        """
        self._stored = 0.0
        record = self.record
        if found is not None:
            highest = max(record.highest or record.severity, found.severity, key=SEVERITIES.index)
            record = replace(record, severity=found.severity, highest=highest)
        self.record = replace(record, repeats=record.repeats + 1, repeated_seconds=0.0, as_of=now_at)
        self.is_changed = True
        newest = self.transition("repeat")
        value = record.value if found is None else found.value
        return replace(newest, record=replace(newest.record, text=text, value=value))

    def is_worse(self, extent: int | None, now_at: dt.datetime) -> bool:
        """Whether what fires has been beyond the `extent` that it was notified with for `SETTLE_FOR`."""
        known = self.record.extent
        if self.record.state != "firing" or extent is None or known is None or extent <= known:
            self._worse_at = None
            return False
        self._worse_at = self._worse_at or now_at
        return now_at - self._worse_at >= SETTLE_FOR

    def resume(self, session_seconds: float) -> None:
        """Count the time of a firing alert that is repeated, after a restart or a change of its rule."""
        if self._repeat_seconds > 0 and self._counted is None:
            self._counted, self._stored = session_seconds, self.record.repeated_seconds
        elif self.record.state == "firing" and self._repeat_seconds <= 0:
            self._counted = None

    def pause(self) -> None:
        """Stop counting session time."""
        self._counted = None

    def acknowledge(self, now_at: dt.datetime) -> None:
        """Note when it was acknowledged first; this stops repetitions."""
        if self.record.acknowledged_at is None:
            self.record = replace(self.record, acknowledged_at=now_at)
            self.is_changed = True
        if self.record.state == "firing":
            self._counted = None

    def transition(self, kind: Literal["firing", "resolved", "ended", "repeat"]) -> Transition:
        """The newest transition as it is delivered.

        A silent firing goes to no channel, and neither does its end, unless it was repeated in between.
        """
        is_silent = self.record.is_silent and kind != "repeat"
        self.record = replace(self.record, is_silent=is_silent and kind == "firing")
        notify = None if self.rule is None else self.rule.notify
        return Transition(kind=kind, record=self.record, notify=() if is_silent else notify)
