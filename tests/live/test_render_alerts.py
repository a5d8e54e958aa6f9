"""The public JSON of alerts and rules."""

import json

from condord.core.rules.built_in import BUILT_IN
from condord.live import render_alerts, wire

from .alert_parts import CONDOR, NOON_AT, AlertEngine, rule


def test_an_alert_has_the_fields_of_its_last_firing():
    engine = AlertEngine(rule(for_seconds=10))
    engine.value(60)
    engine.value(60, after=10)
    [shown] = json.loads(wire.encode(render_alerts.alerts(engine.shown())))
    assert shown == {
        "id": f"half:{CONDOR}",
        "rule": "half",
        "condorId": CONDOR,
        "underlying": "SPY",
        "severity": "warning",
        "state": "firing",
        "since": "2026-11-20T17:00:10Z",
        "until": None,
        "value": 60,
        "threshold": 50,
        "basis": "mark",
        "text": "SPY 560/570/630/640 Dec 18: the profit is 60 % of its maximum (at least 50 %).",
        "atStart": True,
        "acknowledgedAt": None,
    }
    engine.value(40)
    engine.value(60)
    [shown] = render_alerts.alerts(engine.shown())
    assert (shown.state, shown.until) == ("resolved", engine.now_at)
    assert engine.now_at > NOON_AT


def test_a_value_is_rounded_to_four_decimals():
    engine = AlertEngine(rule())
    engine.value(60.123456789)
    assert [each.value for each in render_alerts.alerts(engine.shown())] == [60.1235]


def test_rules_have_their_conditions_as_they_are_written():
    found = {each.name: each for each in render_alerts.rules([*BUILT_IN, rule(enabled=False)])}
    assert found["order-cutoff"].when == ["minutesToOrderCutoff <= 60", "nearStrike"]
    assert found["order-cutoff"].clear == ["not nearStrike"]
    assert (found["tested"].for_seconds, found["tested"].built_in, found["tested"].enabled) == (300, True, True)
    assert (found["half"].built_in, found["half"].enabled) == (False, False)
