"""Alerts that a test makes: a source of them that keeps no rules, and evaluates one by what is published."""

import msgspec

from condord.core.market_hours import exchange_day
from condord.live.alert_records import AlertRecord, Transition
from condord.live.alerts import AlertChanges
from condord.live.wire_alerts import AlertCounts

from .accounts import EPOCH_AT


def record(identity, state="firing", since_at=EPOCH_AT, **fields):
    rule, _, subject = identity.partition(":")
    defaults = {
        "id": identity,
        "rule": rule,
        "definition": "",
        "condor_id": subject if "-" in subject else None,
        "underlying": None if subject == "account" else subject.partition("-")[0],
        "opened_at": None,
        "state": state,
        "severity": "warning",
        "basis": None,
        "since": since_at,
        "as_of": since_at,
        "text": f"{identity} is {state}",
    }
    return AlertRecord(**{**defaults, **fields})


class FakeAlerts:
    """`set` is what the next evaluation finds. `loss` fires for every condor with a published loss; unknown changes
    nothing.

    `transitions` has all of them, in order.
    """

    def __init__(self, edition):
        self.edition = edition
        self.by_id = {}
        self.wanted = {}
        self.deadline = None
        self.transitions = []
        self.evaluations = 0
        self.evaluates = False

    @property
    def alerts(self):
        return self

    @property
    def revision(self):
        return [*self.by_id.items()]

    @property
    def counts(self):
        severities = [each.severity for each in self.by_id.values() if each.state == "firing"]
        return AlertCounts(**{severity: severities.count(severity) for severity in severities})

    @property
    def records(self):
        return [*self.by_id.values()]

    def set(self, identity, state="firing", due=None, **fields):
        self.wanted[identity] = state, fields
        self.deadline = due

    def evaluate(self, now, now_at):
        self.evaluations += 1
        if self.deadline is not None and self.deadline <= now:
            self.deadline = None
        if self.evaluates:
            self._evaluate()
        changed, self.wanted = self.wanted, {}
        found = [self.step(identity, state, now_at, **fields) for identity, (state, fields) in changed.items()]
        found = [each for each in found if each is not None]
        self.transitions += found
        return AlertChanges(
            transitions=tuple(Transition(kind=each.state, record=each, notify=None) for each in found),
            records=tuple(found),
        )

    def _evaluate(self):
        published = {identity: json.unrealized_pl for identity, json in self.edition.valuations.json.items()}
        for identity, pl in published.items():
            if pl is not None:
                self.wanted[f"loss:{identity}"] = ("firing" if pl < 0 else "resolved"), {}
        for each in self.records:
            if each.rule == "loss" and each.condor_id not in published:
                self.wanted[each.id] = "ended", {}

    def step(self, identity, state, now_at, **fields):
        """The alert in its new state, or None if that is not a transition."""
        before = self.by_id.get(identity)
        if state == "firing":
            if before is not None and before.state == "firing":
                return None
            serial = 0 if before is None else before.serial + 1
            after = record(identity, since_at=now_at, serial=serial, **fields)
        elif before is None or before.state != "firing":
            return None
        else:
            after = msgspec.structs.replace(before, state=state, last=state, until=now_at, as_of=now_at)
        self.by_id[identity] = after
        return after

    def acknowledge(self, identity, now_at):
        after = msgspec.structs.replace(self.by_id[identity], acknowledged_at=now_at)
        self.by_id[identity] = after
        return AlertChanges(records=(after,))

    def shown(self, now_at):
        day = exchange_day(now_at)
        return [
            each for each in self.by_id.values() if each.state == "firing" or exchange_day(each.until or now_at) >= day
        ]
