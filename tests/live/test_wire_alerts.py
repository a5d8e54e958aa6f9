import datetime as dt

import msgspec

from condord.live import wire
from condord.live.wire_alerts import AlertCounts, AlertJson, AlertsJson, ChannelJson, ChannelTestJson, RuleJson

NOW_AT = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)


def encoded(answer):
    return msgspec.json.decode(wire.encode(answer))


def test_the_body_of_alerts_has_the_promised_names_and_null_for_unknown_values():
    alert = AlertJson(
        id="half:SPY-1",
        rule="half",
        condor_id="SPY-1",
        underlying="SPY",
        severity="info",
        state="firing",
        since=NOW_AT,
        until=None,
        value=50.2,
        threshold=50.0,
        basis="mark",
        text="SPY is at half of its maximum profit.",
        at_start=False,
        acknowledged_at=None,
    )
    rule = RuleJson(
        name="half",
        when=["percentOfMaxProfit >= 50"],
        clear=[],
        for_seconds=60.0,
        basis="mark",
        severity="info",
        built_in=False,
        enabled=True,
    )
    channel = ChannelJson(
        name="hook",
        type="webhook",
        min_severity="warning",
        last_delivery_at=None,
        last_error=None,
        waiting=0,
        disabled=False,
    )
    body = encoded(AlertsJson(as_of=NOW_AT, alerts=[alert], rules=[rule], channels=[channel]))
    assert {*body} == {"asOf", "alerts", "rules", "channels"}
    assert {name for name, value in body["alerts"][0].items() if value is None} == {"until", "acknowledgedAt"}
    assert {*body["rules"][0]} == {
        "name", "when", "clear", "forSeconds", "basis", "severity", "builtIn", "enabled",
    }  # fmt: skip
    assert {*body["channels"][0]} == {
        "name", "type", "minSeverity", "lastDeliveryAt", "lastError", "waiting", "disabled",
    }  # fmt: skip


def test_counts_of_severities_that_do_not_fire_are_zero():
    assert encoded(AlertCounts(warning=2)) == {"critical": 0, "warning": 2, "info": 0}


def test_a_test_of_a_channel_without_http_has_no_status():
    assert encoded(ChannelTestJson(ok=True, status=None, text="sent")) == {"ok": True, "status": None, "text": "sent"}
