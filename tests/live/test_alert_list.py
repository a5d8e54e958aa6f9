"""Which alerts are shown."""

import datetime as dt

from condord.live import alert_list
from condord.live.alert_records import AlertRecord

from .alert_parts import NOON_AT


def record(name="half", subject="SPY", *, state="firing", minute=0, severity="warning", **fields):
    defaults = {
        "id": f"{name}:{subject}",
        "rule": name,
        "definition": "",
        "condor_id": None,
        "underlying": subject,
        "opened_at": None,
        "state": state,
        "severity": severity,
        "basis": None,
        "since": NOON_AT + dt.timedelta(minutes=minute),
        "as_of": NOON_AT,
    }
    return AlertRecord(**{**defaults, **fields})


def past(state="resolved", *, hours=0.0, **fields):
    until = NOON_AT - dt.timedelta(hours=hours)
    return record(state=state, last=state, until=until, **fields)


def test_the_subject_follows_from_an_id_with_any_characters():
    assert alert_list.subject_of(record("a-b", "SPY-261218-1-2-3-4-2")) == "SPY-261218-1-2-3-4-2"


def test_the_state_comes_from_the_last_firing():
    assert alert_list.state_of(record()) == "firing"
    assert alert_list.state_of(record(state="pending")) is None
    assert alert_list.state_of(record(state="pending", last="resolved")) == "resolved"
    assert alert_list.state_of(past("ended")) == "ended"


def test_firing_alerts_and_todays_are_visible_newest_first_then_by_id():
    records = [
        record("old", minute=-9000),
        past(name="b"),
        past("ended", name="a"),
        past(name="morning", hours=11.9, minute=-720),
        past(name="yesterday", hours=12.1),
        record("never", state="resolved"),
    ]
    assert [each.rule for each in alert_list.visible(records, NOON_AT)] == ["a", "b", "morning", "old"]


def test_beyond_the_limit_resolved_alerts_are_dropped_first_then_by_severity_and_age():
    firing = [
        record(f"{severity}{number}", severity=severity, minute=number)
        for severity in ("info", "warning", "critical")
        for number in range(60)
    ]
    ended = [past(name=f"past{number}", severity="critical", minute=100 + number) for number in range(60)]
    shown = alert_list.limited(alert_list.visible([*firing, *ended], NOON_AT))
    assert len(shown) == 200
    assert sum(each.state == "firing" for each in shown) == 180
    assert [each.rule for each in shown[:20]] == [f"past{number}" for number in range(59, 39, -1)]
    more = [record(f"more{number}", severity="warning", minute=number) for number in range(60)]
    shown = alert_list.limited(alert_list.visible([*firing, *more, *ended], NOON_AT))
    assert {each.rule for each in shown if each.severity == "info"} == {f"info{number}" for number in range(40, 60)}


def test_only_firing_alerts_are_counted():
    counts = alert_list.counts([record(), record(severity="critical"), past()])
    assert (counts.critical, counts.warning, counts.info) == (1, 1, 0)
