"""Follow every alert of the account: evaluate the rules for what has changed, and return what follows.

Each subject (a condor, an underlying, the account) has one alert for each rule that applies to it. `alert_machine` has
the states of one alert. Here alerts begin, with the first evaluation of a subject, and end, with the subject or the
rule.

A condor of the same id is another holding if it was opened later, or if it was gone in between. The alerts of the
earlier holding then end, and its rules start again.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from condord.core.market_hours import exchange_day, start_of_day
from condord.core.rules.evaluating import evaluate
from condord.core.rules.facts import Facts
from condord.core.rules.rule import Rule
from condord.core.rules.table import definition
from condord.live import alert_evaluation, alert_list, alert_text
from condord.live.alert_machine import EXACT_SECONDS, Alert, TransitionValues
from condord.live.alert_records import AlertRecord, State, Transition
from condord.live.alert_subject import Subject
from condord.live.alert_text import Cause
from condord.live.wire_alerts import AlertCounts

_SILENT_FOR = dt.timedelta(seconds=60)
"""After a start without stored alerts, subjects that appear within this time may have been notified about before."""
_AT_EVERY_START = frozenset({"feedDown", "blind"})
"""Words that are true for a moment when condord starts."""
_IDLE: frozenset[tuple[State, bool | None]] = frozenset({("resolved", False), ("resolved", None), ("inactive", None)})
"""Pairs of a state and the result of `when` after which nothing changes."""


class AlertChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of one evaluation: transitions in their order, and the records to be stored.

    A record whose state is `inactive` is to be removed, unless it is silent.
    """

    transitions: tuple[Transition, ...] = ()
    records: tuple[AlertRecord, ...] = ()


class Alerts:
    """The alerts of an account. Nothing is evaluated before `recall`, nor without rules.

    `rules` are all rules, also those that are disabled. `revision` rises when `visible` may have changed.
    `evaluations` counts the rules that were evaluated, `recalls` the calls of `recall`.
    """

    def __init__(self) -> None:
        self.rules: tuple[Rule, ...] = ()
        self.revision = 0
        self.evaluations = 0
        self.recalls = 0
        self._alerts: dict[str, dict[str, Alert]] = {}  # by subject and rule
        self._counting: dict[str, Alert] = {}  # those whose session time is counted, by id
        self._due: dict[str, float] = {}  # the session time at which each of them is due
        self._queue: list[tuple[float, str]] = []  # the same as a heap; entries that differ from `_due` do not count
        self._shown: dict[str, AlertRecord] = {}  # those that fire or did, by id
        self._matching: dict[str, tuple[object, tuple[alert_evaluation.MatchedRule, ...]]] = {}  # by subject
        self._latest: dict[str, alert_evaluation.Evaluation] = {}  # by subject
        self._definitions: dict[str, str] = {}  # scopes of the rules in force
        self._is_memory_lost = False
        self._silent_until_at: dt.datetime | None = None
        self._day: dt.date | None = None
        self._are_checked = True
        self._transitions: list[Transition] = []
        self._changed: dict[str, AlertRecord] = {}

    def set_rules(self, rules: Sequence[Rule], now_at: dt.datetime) -> AlertChanges:
        """Take all rules. Alerts of rules that are removed, disabled or of another definition end."""
        self.rules = tuple(rules)
        self._matching.clear()
        self._latest.clear()
        self._definitions = {rule.name: definition(rule) for rule in rules if rule.enabled}
        self._end_changed(now_at)
        by_name = {rule.name: rule for rule in rules if rule.enabled}
        for alerts in self._alerts.values():
            for name, alert in alerts.items():
                alert.rule = by_name.get(name)
        return self._taken()

    def recall(self, records: Sequence[AlertRecord] | None) -> None:
        """Replace all records with the stored records of the account.

        None: they are lost. A rule that already holds then fires at once with `at_start`, and neither this firing nor
        its end goes to a channel. That does not apply to `feedDown` and `blind`, which hold for a moment at every
        start.
        """
        rules = {rule.name: rule for rule in self.rules if rule.enabled}
        self._alerts, self._shown, self._changed, self._latest = {}, {}, {}, {}
        self._counting, self._due, self._queue, self._transitions = {}, {}, [], []
        self.recalls += 1
        self._is_memory_lost, self._silent_until_at = records is None, None
        for record in records or ():
            alert = Alert(record, rules.get(record.rule))
            self._alerts.setdefault(alert_list.subject_of(record), {})[record.rule] = alert
            self._note(alert)
        self._are_checked = False
        self.revision += 1

    def evaluate(self, subjects: Iterable[Subject], *, session_seconds: float, now_at: dt.datetime) -> AlertChanges:
        """Evaluate the rules for `subjects`.

        `session_seconds` counts the time in which a session was open and condord ran, from any origin in this run.
        `now_at` is the exchange's time.
        """
        if not self.is_ready:
            return AlertChanges()
        if not self._are_checked:
            self._end_changed(now_at)
        self._start_day(now_at)
        if self._is_memory_lost and self._silent_until_at is None:
            self._silent_until_at = now_at + _SILENT_FOR
        for subject in subjects:
            self._evaluate_subject(subject, session_seconds, now_at)
        return self._taken()

    def gone(self, subjects: Mapping[str, str], now_at: dt.datetime, cause: Cause = "gone") -> AlertChanges:
        """End the alerts of subjects that are not in a settled, complete reading any longer, or have settled.

        The values of `subjects` describe the legs left of broken condors, as `alert_text.left_of` does.
        """
        for subject, left in subjects.items():
            self._matching.pop(subject, None)
            self._latest.pop(subject, None)
            for alert in list(self._alerts.get(subject, {}).values()):
                self._end(alert, alert_text.gone(alert.record, cause, left), now_at)
        return self._taken()

    def pause(self, subject: str, session_seconds: float, now_at: dt.datetime) -> None:
        """Stop counting time for a subject that is not published: its alerts are held until it is, or is gone."""
        for alert in self._alerts.get(subject, {}).values():
            alert.count(session_seconds, now_at)
            alert.pause()
            self._note(alert)

    def acknowledge(self, alert_id: str, now_at: dt.datetime) -> AlertChanges | None:
        """Note when an alert that is shown was acknowledged first; None if there is no such alert."""
        record = self._shown.get(alert_id)
        if record is None or not alert_list.is_visible(record, start_of_day(exchange_day(now_at))):
            return None
        alert = self._alerts[alert_list.subject_of(record)][record.rule]
        alert.acknowledge(now_at)
        self._note(alert)
        return self._taken()

    @property
    def is_ready(self) -> bool:
        """Whether rules are evaluated."""
        return bool(self.recalls and self.rules)

    @property
    def records(self) -> tuple[AlertRecord, ...]:
        """The state of every alert that is pending, fires, or did."""
        every = (alert.record for alerts in self._alerts.values() for alert in alerts.values())
        return tuple(each for each in every if each.state in ("pending", "firing") or each.last is not None)

    def pending_or_firing(self) -> list[tuple[AlertRecord, Rule]]:
        """The alerts that are pending or firing by a rule in force, with that rule."""
        every = (alert for alerts in self._alerts.values() for alert in alerts.values())
        return [
            (each.record, each.rule)
            for each in every
            if each.rule is not None
            and each.record.state in ("pending", "firing")
            and each.record.definition == self._definitions[each.rule.name]
        ]

    @property
    def subjects(self) -> frozenset[str]:
        """The subjects with alerts that have not ended."""
        return frozenset(subject for subject in self._alerts if self.follows(subject))

    @property
    def has_natural(self) -> bool:
        """Whether a rule in force is about natural prices."""
        return any(rule.enabled and rule.basis == "natural" for rule in self.rules)

    def follows(self, subject: str) -> bool:
        """Whether a subject has alerts that have not ended."""
        return any(alert.record.state != "ended" for alert in self._alerts.get(subject, {}).values())

    @property
    def counts(self) -> AlertCounts:
        """How many alerts fire."""
        return alert_list.counts(self._shown.values())

    def visible(self, now_at: dt.datetime) -> list[AlertRecord]:
        """The alerts that fire, or have resolved or ended since the start of the exchange's day, newest first."""
        return alert_list.visible(self._shown.values(), now_at)

    def shown(self, now_at: dt.datetime) -> list[AlertRecord]:
        """The `visible` alerts that are in the document."""
        return alert_list.limited(self.visible(now_at))

    def next_seconds(self, session_seconds: float) -> float | None:
        """The session time until `due` has a subject, in seconds; None if no time is counted."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)  # the alert is due at another time now, or never
        return max(0.0, self._queue[0][0] - session_seconds) if self._queue else None

    def due(self, session_seconds: float) -> frozenset[str]:
        """The subjects that must be evaluated because of the session time that has passed, or else be paused.

        Each is returned once.
        """
        found = set()
        while (seconds := self.next_seconds(session_seconds)) is not None and seconds <= EXACT_SECONDS:
            _, key = heapq.heappop(self._queue)
            del self._due[key]
            found.add(alert_list.subject_of(self._counting[key].record))
        return frozenset(found)

    def _evaluate_subject(self, subject: Subject, session_seconds: float, now_at: dt.datetime) -> None:
        """Evaluate the rules that apply to a subject; a rule keeps its result if none of its quantities has changed."""
        alerts = self._alerts.setdefault(subject.key, {})
        rules = self._matched(subject)
        if subject.is_broken:
            kept = {rule.name for rule, _, _ in rules}
            for alert in [alert for name, alert in alerts.items() if name not in kept]:
                self._end(alert, alert_text.gone(alert.record, "broken"), now_at)
        was = self._latest.get(subject.key)
        if was is not None and (was.rules is not rules or was.subject.opened_at != subject.opened_at):
            was = None
        changed = None if was is None else alert_evaluation.changed_quantities(was.subject, subject)
        results: dict[str, bool | None] = {} if was is None else was.results
        is_blind = False
        for rule, conditions, names in rules:
            facts = subject.natural if rule.basis == "natural" else subject.mark
            if changed is None or not changed.isdisjoint(names) or "blind" in names:
                if is_blind and "blind" in names:
                    facts = replace(facts, values={**facts.values, "blind": True})
                results[rule.name] = evaluate(conditions, facts)
                self.evaluations += 1
                alerts[rule.name] = self._current(alerts.get(rule.name), rule, subject, now_at)
            held, alert = results[rule.name], alerts[rule.name]
            is_blind = is_blind or (held is None and rule.severity == "critical" and subject.is_watched)
            if alert.is_changed or (alert.record.state, held) not in _IDLE:  # true for few alerts, and rarely
                self._advance(alert, subject, facts, session_seconds, now_at, held=held)
        self._latest[subject.key] = alert_evaluation.Evaluation(rules, subject, results)

    def _advance(
        self,
        alert: Alert,
        subject: Subject,
        facts: Facts,
        session_seconds: float,
        now_at: dt.datetime,
        *,
        held: bool | None,
    ) -> None:
        """Advance an alert by the result of its rule: `held` is the result of `when`."""
        rule = alert.rule
        assert rule is not None  # noqa: S101 - `_current` has set it
        alert.count(session_seconds, now_at)
        event = alert_evaluation.event_of(rule, facts, held=held)
        found = None
        if event == "cleared" and alert.record.state == "firing":
            found = alert_evaluation.transition_values(rule, subject, facts, alert_text.resolved(rule, subject, facts))
        if alert.step(event, session_seconds, now_at, found):
            self._transitions.append(alert.transition("resolved"))
        is_due = alert.record.state == "pending" and alert.is_due
        if held is True and (is_due or alert.is_worse(alert_evaluation.extent(rule, subject), now_at)):
            found = alert_evaluation.transition_values(rule, subject, facts, alert_text.firing(rule, subject, facts))
            alert.step("due" if is_due else "grown", session_seconds, now_at, found)
            self._transitions.append(alert.transition("firing"))
        if alert.record.state == "firing":
            alert.resume(session_seconds)
            if alert.is_repeat_due:
                known = None if held is None else alert_text.repeated(rule, subject, facts, is_held=held)
                text = known or alert_text.undecided(alert.record)
                found = None if known is None else alert_evaluation.transition_values(rule, subject, facts, known)
                self._transitions.append(alert.repeat(now_at, text, found))
        self._note(alert)

    def _current(self, alert: Alert | None, rule: Rule, subject: Subject, now_at: dt.datetime) -> Alert:
        """The alert of a rule for the current holding of a subject; a new one if there is none."""
        opened_at = subject.opened_at
        if alert is not None and opened_at is not None:
            known_at = alert.record.opened_at
            if known_at is not None and opened_at > known_at:
                self._end(alert, alert_text.gone(alert.record), now_at)
            elif opened_at != known_at and alert.record.state != "ended":
                alert.record = replace(alert.record, opened_at=opened_at)
                alert.is_changed = alert.record.state != "inactive" or alert.record.is_silent
        if alert is not None and alert.record.state != "ended":
            return alert
        is_silent_start = self._silent_until_at is not None and now_at < self._silent_until_at
        is_silent = is_silent_start and not any(each.quantity in _AT_EVERY_START for each in rule.when)
        facts = subject.mark
        # Until it fires again, its text and values belong to the earlier holding.
        record = alert_evaluation.first_record(rule, facts, now_at) if alert is None else alert.record
        begun = replace(
            record,
            definition=self._definitions[rule.name],
            opened_at=opened_at,
            state="inactive",
            as_of=now_at,
            is_silent=is_silent,
        )
        return Alert(begun, rule)

    def _matched(self, subject: Subject) -> tuple[alert_evaluation.MatchedRule, ...]:
        """The rules in force that apply to a subject; those about `blind` last, as they depend on the others."""
        facts = subject.mark
        form = facts.kind, facts.direction, facts.underlying, subject.is_broken
        known = self._matching.get(facts.subject)
        if known is not None and known[0] == form:
            return known[1]
        found = alert_evaluation.matched(self.rules, subject)
        self._matching[facts.subject] = form, found
        return found

    def _end_changed(self, now_at: dt.datetime) -> None:
        """End the alerts of rules that are no longer in force, or have changed."""
        if not self.rules:
            return
        self._are_checked = True
        for alerts in list(self._alerts.values()):
            for name, alert in list(alerts.items()):
                if alert.record.definition != self._definitions.get(name):
                    self._end(alert, alert_text.rule_changed(alert.record), now_at)

    def _end(self, alert: Alert, text: str, now_at: dt.datetime) -> None:
        record = alert.record
        self._latest.pop(alert_list.subject_of(record), None)
        found = TransitionValues(record.value, record.threshold, record.basis, record.severity, text)
        if alert.step("gone", 0.0, now_at, found):
            self._transitions.append(alert.transition("ended"))
        self._note(alert)
        if alert.record.last is None:  # it has never fired
            self._remove(alert)

    def _start_day(self, now_at: dt.datetime) -> None:
        """Forget the alerts that ended before the exchange's day began."""
        day = exchange_day(now_at)
        if day == self._day:
            return
        self._day, since_at = day, start_of_day(day)
        self.revision += 1
        for alerts in list(self._alerts.values()):
            for alert in list(alerts.values()):
                if alert.record.state == "ended" and not alert_list.is_visible(alert.record, since_at):
                    self._remove(alert)
        self._shown = {key: each for key, each in self._shown.items() if alert_list.is_visible(each, since_at)}

    def _remove(self, alert: Alert) -> None:
        record, subject = alert.record, alert_list.subject_of(alert.record)
        del self._alerts[subject][record.rule]
        self._latest.pop(subject, None)
        self._shown.pop(record.id, None)
        self._changed[record.id] = replace(record, state="inactive", is_silent=False)

    def _note(self, alert: Alert) -> None:
        """Note the effects of a change of an alert."""
        record = alert.record
        if alert.is_counting:
            self._counting[record.id] = alert
            due_seconds = alert.due_seconds
            if self._due.get(record.id) != due_seconds:
                self._due[record.id] = due_seconds
                heapq.heappush(self._queue, (due_seconds, record.id))
        elif record.id in self._counting:
            del self._counting[record.id]
            self._due.pop(record.id, None)
        if alert.is_changed:
            alert.is_changed = False
            self._changed[record.id] = record
        if alert_list.state_of(record) is not None and self._shown.get(record.id) is not record:
            self._shown[record.id] = record
            self.revision += 1

    def _taken(self) -> AlertChanges:
        changes = AlertChanges(transitions=tuple(self._transitions), records=tuple(self._changed.values()))
        self._transitions, self._changed = [], {}
        return changes
