"""Shared by the tests of alerts: rules, subjects with made-up facts, and a clock that only the test moves."""

import datetime as dt

import msgspec

from condord.core.rules.facts import Facts
from condord.core.rules.parsing import parse
from condord.core.rules.rule import Rule
from condord.live.alert_subject import ACCOUNT, Subject
from condord.live.alerts import Alerts

NOON_AT = dt.datetime(2026, 11, 20, 17, 0, tzinfo=dt.UTC)  # 12:00 in New York, on a Friday
CONDOR = "SPY-261218-560-570-630-640"
NAME = "SPY 560/570/630/640 Dec 18"


def rule(name="half", when="percentOfMaxProfit >= 50", clear=(), **fields):
    """An enabled rule; conditions as they are written, one or several."""
    lists = {"when": when, "clear": clear}
    lists = {key: (each,) if isinstance(each, str) else each for key, each in lists.items()}
    return Rule(name=name, **{key: tuple(map(parse, each)) for key, each in lists.items()}, **fields)


def subject(values=(), natural=None, *, key=CONDOR, kind="ironCondor", opened_at=None, **fields):
    """A short condor, or an underlying or the account, with these values."""
    scope = "condor" if "-" in key else "account" if key == ACCOUNT else "underlying"
    is_condor = scope == "condor"
    mark = Facts(
        scope=scope,
        subject=key,
        underlying=None if scope == "account" else key.split("-")[0],
        kind=kind if is_condor else None,
        direction="short" if is_condor else None,
        values=dict(values),
    )
    other = mark if natural is None else msgspec.structs.replace(mark, values=dict(natural))
    return Subject(mark=mark, natural=other, name=NAME if is_condor else key, opened_at=opened_at, **fields)


class AlertEngine:
    """Alerts with rules in force, and the time. `session` counts session time, also for `Alerts`."""

    def __init__(self, *rules, records=()):
        self.alerts = Alerts()
        self.now_at = NOON_AT
        self.session = 0.0
        self.stored = {}
        self.log = []
        self._take(self.alerts.set_rules(rules, self.now_at))
        self.alerts.recall(records)

    def _take(self, changes):
        for record in changes.records:
            assert record.id.startswith(f"{record.rule}:")
            self.stored.pop(record.id, None)
            if record.state != "inactive" or record.is_silent:
                self.stored[record.id] = msgspec.json.decode(msgspec.json.encode(record), type=type(record))
        for transition in changes.transitions:
            self.log.append(transition)
        return [transition.kind for transition in changes.transitions]

    def evaluate(self, *subjects, after=0.0, is_session=True):
        """Evaluate `subjects` `after` that many seconds; returns the kinds of the transitions."""
        self.pass_time(after, is_session=is_session)
        return self._take(self.alerts.evaluate(subjects, session_seconds=self.session, now_at=self.now_at))

    def value(self, value, after=0.0, **fields):
        """Evaluate the condor at this profit; None is an unknown one."""
        return self.evaluate(
            subject({} if value is None else {"percentOfMaxProfit": float(value)}, **fields), after=after
        )

    def pass_time(self, seconds, *, is_session=True):
        self.now_at += dt.timedelta(seconds=seconds)
        self.session += seconds if is_session else 0.0

    def gone(self, *keys):
        return self._take(self.alerts.gone(dict.fromkeys(keys, ""), self.now_at))

    def set_rules(self, *rules):
        return self._take(self.alerts.set_rules(rules, self.now_at))

    def acknowledge(self, alert_id):
        changes = self.alerts.acknowledge(alert_id, self.now_at)
        return None if changes is None else self._take(changes)

    def restart(self, *, after=0.0):
        """A new process with the stored records, as after a kill."""
        rules, records = self.alerts.rules, tuple(self.stored.values())
        self.pass_time(after, is_session=False)
        self.alerts, self.session = Alerts(), 0.0
        self._take(self.alerts.set_rules(rules, self.now_at))
        self.alerts.recall(records)

    def states(self):
        """What the document shows: (id, state), the newest first."""
        return [(record.id, "firing" if record.state == "firing" else record.last) for record in self.shown()]

    def shown(self):
        return self.alerts.shown(self.now_at)
