import json

import pytest

from condord.cli.mirror import Mirror
from condord.client.sse import ServerSentEvent
from condord.errors import Unavailable
from tests.fakes import documents


def event(name, payload, version=None):
    return ServerSentEvent(name=name, data=json.dumps(payload), id=version)


@pytest.fixture
def mirror():
    mirror = Mirror()
    assert mirror.apply(event("snapshot", documents.document(), "k3f9-1"))
    return mirror


def test_a_snapshot_is_the_document(mirror):
    assert mirror.document == documents.document()
    assert mirror.apply(event("snapshot", documents.document(version="k3f9-2", condors=[]), "k3f9-2"))
    assert mirror.document == documents.document(version="k3f9-2", condors=[])


def test_a_delta_replaces_only_what_it_lists(mirror):
    quote = documents.quote(documents.symbols()[1], bid=2)
    value = documents.valuation(mark=1.1)
    delta = documents.delta(quotes=[quote], valuations=[value], totals=documents.totals(unrealizedPl=250))
    assert mirror.apply(event("delta", delta, "k3f9-2"))
    quotes = documents.document()["quotes"]
    assert mirror.document == documents.document(
        version="k3f9-2",
        asOf=delta["asOf"],
        quotes=[quotes[0], quote, *quotes[2:]],
        condors=[documents.condor(valuation=value)],
        totals=documents.totals(unrealizedPl=250),
    )


def test_a_delta_can_contain_a_status_and_an_unmatched_leg(mirror):
    delta = documents.delta(status=documents.status(state="stale"), unmatched=[documents.unmatched()])
    mirror.apply(event("delta", delta, "k3f9-2"))
    assert mirror.document["status"]["state"] == "stale"
    assert mirror.document["unmatched"] == [documents.unmatched()]


def test_a_delta_replaces_adds_and_removes_alerts_and_keeps_their_order():
    old, middle, new = (
        documents.alert(id=f"{name}:SPY", since=f"2026-11-20T15:31:0{since}Z")
        for name, since in (("old", "7"), ("middle", "7.250000"), ("new", "8"))
    )
    mirror = Mirror()
    mirror.apply(event("snapshot", documents.document(alerts=[middle, old]), "k3f9-1"))
    resolved = middle | {"state": "resolved"}
    mirror.apply(event("delta", documents.delta(alerts=[resolved, new]), "k3f9-2"))
    assert mirror.document["alerts"] == [new, resolved, old]
    same = documents.alert(id="a:SPY", since=old["since"])
    mirror.apply(event("delta", documents.delta(alerts=[same], alertsGone=["middle:SPY"]), "k3f9-3"))
    assert mirror.document["alerts"] == [new, same, old]
    assert "alertsGone" not in mirror.document


def test_an_older_daemon_has_no_alerts_until_a_delta_contains_them(mirror):
    mirror.apply(event("delta", documents.delta(), "k3f9-2"))
    assert "alerts" not in mirror.document
    mirror.apply(event("delta", documents.delta(alerts=[documents.alert()]), "k3f9-3"))
    assert mirror.document["alerts"] == [documents.alert()]


def test_an_alert_event_changes_nothing(mirror):
    assert not mirror.apply(event("alert", documents.alert()))
    assert mirror.document == documents.document()


def test_a_delta_appends_new_points_to_the_history_of_their_condor():
    line = {"seconds": [60], "cents": [5]}
    mirror = Mirror()
    mirror.apply(event("snapshot", documents.document(condors=[documents.condor(history=line)]), "k3f9-1"))
    before = mirror.document
    history = [{"id": before["condors"][0]["id"], "seconds": [120, 180], "cents": [6, -7]}]
    delta = documents.delta(history=[*history, {"id": "NONE", "seconds": [1], "cents": [1]}])
    mirror.apply(event("delta", delta, "k3f9-2"))
    assert mirror.document["condors"][0]["history"] == {"seconds": [60, 120, 180], "cents": [5, 6, -7]}
    assert before["condors"][0]["history"] == line
    assert "history" not in mirror.document


def test_a_field_of_a_newer_daemon_is_kept(mirror):
    value = documents.valuation() | {"delta": -0.12}
    mirror.apply(event("delta", documents.delta(valuations=[value]), "k3f9-2"))
    assert mirror.document["condors"][0]["valuation"]["delta"] == -0.12


def test_an_earlier_document_does_not_change(mirror):
    before = mirror.document
    mirror.apply(event("delta", documents.delta(valuations=[documents.valuation(mark=9)]), "k3f9-2"))
    assert before == documents.document()


def test_a_broken_condor_is_revalued_when_its_entry_changes():
    mirror = Mirror()
    one, other = documents.unmatched("A", quantity=3, unrealizedPl=30), documents.unmatched("B", unrealizedPl=5)
    snapshot = documents.document(broken=[documents.broken(A=1, B=1, C=0)], unmatched=[one, other])
    mirror.apply(event("snapshot", snapshot, "k3f9-1"))
    mirror.apply(event("delta", documents.delta(unmatched=[one | {"unrealizedPl": 100}]), "k3f9-2"))
    assert mirror.document["broken"] == [documents.broken(A=1, B=1, C=0) | {"unrealizedPl": 38.33}]
    mirror.apply(event("delta", documents.delta(unmatched=[other | {"unrealizedPl": None}]), "k3f9-3"))
    assert mirror.document["broken"][0]["unrealizedPl"] is None


def test_a_broken_condor_without_an_entry_has_no_profit_or_loss():
    mirror = Mirror()
    mirror.apply(event("snapshot", documents.document(broken=[documents.broken(A=1)]), "k3f9-1"))
    mirror.apply(event("delta", documents.delta(), "k3f9-2"))
    assert mirror.document["broken"][0]["unrealizedPl"] is None


@pytest.mark.parametrize("name", ["heartbeat", "bye", "later"])
def test_other_events_change_nothing(mirror, name):
    assert not mirror.apply(event(name, {}))
    assert mirror.document == documents.document()


def test_a_delta_before_the_first_snapshot_is_ignored():
    mirror = Mirror()
    assert not mirror.apply(event("delta", documents.delta(), "k3f9-2"))
    assert mirror.document is None


def test_a_snapshot_that_is_not_a_document_is_an_error():
    with pytest.raises(Unavailable):
        Mirror().apply(ServerSentEvent(name="snapshot", data="hello", id=None))


def test_a_delta_replaces_risks_underlyings_orders_and_the_account():
    mirror = Mirror()
    before = documents.document(
        underlyings=[documents.underlying("QQQ"), documents.underlying()],
        condors=[documents.condor(risk=documents.risk(), closing=[])],
        account=None,
    )
    mirror.apply(event("snapshot", before, "k3f9-1"))
    risk, underlying = documents.risk(delta=-4), documents.underlying(price=601)
    delta = documents.delta(
        risks=[risk],
        underlyings=[underlying],
        closing=[{"id": documents.CONDOR_ID, "orders": [documents.closing_order()]}],
        account=documents.account(),
    )
    assert mirror.apply(event("delta", delta, "k3f9-2"))
    assert mirror.document == before | {
        "version": "k3f9-2",
        "asOf": delta["asOf"],
        "underlyings": [documents.underlying("QQQ"), underlying],
        "condors": [documents.condor(risk=risk, closing=[documents.closing_order()])],
        "account": documents.account(),
    }
    mirror.apply(event("delta", documents.delta(account=None), "k3f9-3"))
    assert mirror.document["account"] is None
    assert mirror.document["condors"][0]["risk"] == risk


def test_a_delta_adds_underlyings_to_a_document_without_any(mirror):
    mirror.apply(event("delta", documents.delta(underlyings=[documents.underlying()]), "k3f9-2"))
    assert mirror.document["underlyings"] == [documents.underlying()]


def test_a_heartbeat_moves_the_time_that_cut_offs_count_from_and_nothing_else(mirror):
    later = "2026-11-20T15:31:17.250Z"
    assert not mirror.apply(event("heartbeat", {"asOf": later}))
    assert mirror.document == documents.document(asOf=later)
    assert not Mirror().apply(event("heartbeat", {"asOf": later}))
