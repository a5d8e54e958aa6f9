import datetime as dt

import pytest

from condord.live.alert_events import by_rule_and_state
from condord.live.alerts import AlertChanges
from condord.live.published import EVERYTHING, Selection

from .accounts import C650, P560, QQQ_ID, SPY_ID, PublishingService, applied, position, spy, status, tick
from .fake_alerts import FakeAlerts, record

HALF = f"half:{SPY_ID}"


@pytest.fixture
def service():
    service = PublishingService(spy(), alerts=FakeAlerts)
    service.set_status(status())
    service.wait(10)
    return service


def follow(service, selection=EVERYTHING, **options):
    subscriber = service.subscribe(selection, **options)
    service.take(subscriber)
    return subscriber


def change(service, identity=HALF, state="firing", **fields):
    """An alert that changes by time, now."""
    service.alerts.set(identity, state, due=service.now, **fields)
    return service.turn()


def names(found):
    return [event for event, _, _ in found]


def shown(service):
    return [(alert.id, alert.state) for alert in service.edition.document(service.now_at).alerts]


def test_an_alert_after_a_quiet_window_is_a_delta_and_an_event_at_once(service):
    subscriber = follow(service)
    assert change(service) == [subscriber]
    (delta, version, changed), (name, identity, alert) = service.take(subscriber)
    assert (delta, version, name, identity) == ("delta", service.edition.version, "alert", None)
    assert changed["alerts"] == [alert]
    assert changed["totals"]["alerts"] == {"critical": 0, "warning": 1, "info": 0}
    assert (alert["id"], alert["state"], changed["quotes"]) == (HALF, "firing", [])


def test_an_alert_does_not_wait_for_the_window_of_quotes(service):
    subscriber = follow(service)
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.take(subscriber)
    service.wait(0.05)
    service.offer(tick(P560, 3.0, 3.1, 2))
    assert service.take(subscriber) == []
    change(service)
    assert names(service.take(subscriber)) == ["delta", "alert"]


def test_another_alert_joins_the_next_window(service):
    subscriber = follow(service)
    change(service)
    service.take(subscriber)
    service.wait(0.1)
    change(service, "far:SPY")
    change(service, HALF, "resolved")
    assert service.take(subscriber) == []
    service.wait(0.16)
    delta, *alerts = service.take(subscriber)
    assert [alert["id"] for alert in delta[2]["alerts"]] == ["far:SPY", HALF]
    assert [(alert["id"], alert["state"]) for _, _, alert in alerts] == [("far:SPY", "firing"), (HALF, "resolved")]


def test_another_alert_is_sent_with_the_next_event_of_any_kind(service):
    subscriber = follow(service)
    change(service)
    service.take(subscriber)
    service.alerts.set("far:SPY")
    service.set_status(status("stale"))
    (_, _, delta), (name, _, _) = service.take(subscriber)
    assert (delta["status"]["state"], delta["alerts"][0]["id"], name) == ("stale", "far:SPY", "alert")


def test_an_alert_caused_by_a_valuation_is_in_the_event_of_the_valuation(service):
    service.alerts.evaluates = True
    subscriber = follow(service)
    service.offer(*(tick(symbol, 5.0, 5.1, 1) for symbol in service.book.symbols[:2]))
    service.offer(*(tick(symbol, 1.0, 1.1, 1) for symbol in service.book.symbols[2:]))
    service.wait(1)
    found = service.take(subscriber)
    delta = next(data for name, _, data in found if name == "delta" and "alerts" in data)
    assert delta["valuations"][0]["unrealizedPl"] < 0
    assert [alert["id"] for alert in delta["alerts"]] == [f"loss:{SPY_ID}"]
    assert names(found).count("alert") == 1


def test_an_alert_caused_by_changed_positions_is_in_their_snapshot(service):
    change(service)
    subscriber = follow(service)
    service.alerts.set(HALF, "ended")
    service.set_positions(())
    (snapshot, _, document), (name, _, alert) = service.take(subscriber)
    assert (snapshot, name, alert["state"]) == ("snapshot", "alert", "ended")
    assert document["alerts"] == [alert]
    assert document["totals"]["alerts"]["warning"] == 0


def test_every_filter_and_interval_gets_alerts_whole_and_at_once(service):
    selections = (EVERYTHING, Selection(condors=frozenset([QQQ_ID])), Selection(symbols=frozenset([C650])))
    subscribers = [follow(service, selection, interval=5.0) for selection in selections]
    service.move()
    for subscriber in subscribers:
        service.take(subscriber)
    change(service)
    change(service, "far:SPY", severity="info")
    service.wait(1)
    for subscriber in subscribers:
        found = service.take(subscriber)
        assert names(found) == ["delta", "alert"] * 2
        assert service.edition.document(service.now_at, subscriber.view.selection).alerts == [
            *service.edition.alerts.shown.values()
        ]


def test_a_repeat_is_delivered_and_causes_no_event(service):
    change(service)
    subscriber = follow(service)
    service.wait(1)
    before = service.edition.version
    (transition,) = service.alert_changes[-1].transitions
    repeat = type(transition)(kind="repeat", record=transition.record, notify=None)
    service.publisher.show_alerts(AlertChanges(transitions=(repeat,)), service.now, service.now_at)
    assert service.alert_changes[-1].transitions == (repeat,)
    assert (service.take(subscriber), service.edition.version) == ([], before)


def test_all_changes_are_handed_on_before_they_are_published(service):
    change(service)
    change(service, "far:SPY")
    assert [each.id for changes in service.alert_changes for each in changes.records] == [HALF, "far:SPY"]
    assert shown(service) == [(HALF, "firing")]


def test_a_pending_alert_is_stored_and_not_shown(service):
    version = service.edition.version
    pending = record(HALF, "pending")
    service.alerts.shown = None  # it is not even asked
    service.publisher.show_alerts(AlertChanges(records=(pending,)), service.now, service.now_at)
    service.turn()
    assert (service.alert_changes[-1].records, service.edition.version) == ((pending,), version)


def test_a_rule_that_is_forgotten_leaves_the_document(service):
    change(service)
    change(service, HALF, "resolved")
    service.wait(1)
    forgotten = record(HALF, "inactive")
    del service.alerts.by_id[HALF]
    service.publisher.show_alerts(AlertChanges(records=(forgotten,)), service.now, service.now_at)
    assert shown(service) == []


def test_an_acknowledgement_is_a_delta_without_an_event_of_its_own(service):
    change(service)
    service.wait(1)
    subscriber = follow(service)
    changes = service.alerts.acknowledge(HALF, service.now_at)
    assert service.publisher.show_alerts(changes, service.now, service.now_at) == [subscriber]
    ((name, _, delta),) = service.take(subscriber)
    assert (name, delta["alerts"][0]["acknowledgedAt"] is None, "totals" in delta) == ("delta", False, False)


def test_recalled_alerts_are_shown_without_an_event_of_their_own(service):
    subscriber = follow(service)
    service.alerts.by_id[HALF] = record(HALF, severity="critical")
    service.publisher.show_alerts(AlertChanges(), service.now, service.now_at)
    ((_, _, delta),) = service.take(subscriber)
    assert delta["totals"]["alerts"] == {"critical": 1, "warning": 0, "info": 0}
    assert service.alert_changes == []


def test_alerts_are_counted_before_positions_were_read():
    service = PublishingService(alerts=FakeAlerts)
    change(service)
    service.set_status(status("reconnecting"))
    totals = service.edition.document(service.now_at).totals
    assert (totals.alerts.warning, totals.unrealized_pl) == (1, None)
    service.set_positions(spy())
    assert service.edition.document(service.now_at).totals.alerts.warning == 1


def test_an_event_on_the_next_day_removes_alerts_that_no_longer_fire(service):
    change(service)
    change(service, HALF, "resolved")
    service.wait(1)
    change(service, "far:SPY")
    service.wait(1)
    service.set_positions(())
    subscriber = follow(service)
    document = service.document(EVERYTHING)
    midnight = dt.datetime(2026, 11, 21, 5, tzinfo=dt.UTC)
    service.now += (midnight - service.now_at).total_seconds() - 1
    service.set_status(status())
    assert len(shown(service)) == 2
    service.wait(1)
    service.set_status(status())
    assert shown(service) == [("far:SPY", "firing")]
    found = service.take(subscriber)
    for event in found:
        document = applied(document, *event)
    assert "alert" not in names(found)
    assert document == service.document(EVERYTHING)


def test_an_alert_that_leaves_is_named_in_a_delta(service):
    change(service)
    change(service, HALF, "ended")
    service.wait(1)
    subscriber = follow(service)
    del service.alerts.by_id[HALF]
    service.publisher.show_alerts(AlertChanges(), service.now, service.now_at)
    ((name, _, delta),) = service.take(subscriber)
    assert (name, delta["alertsGone"], "alerts" in delta) == ("delta", [HALF], False)


def test_an_alert_for_which_the_document_has_no_room_is_an_event_nevertheless(service):
    subscriber = follow(service)
    service.alerts.shown = lambda _now_at: []
    change(service)
    change(service, HALF, "resolved")
    service.wait(1)
    found = service.take(subscriber)
    assert names(found) == ["delta", "alert", "delta", "alert"]
    change(service, "far:SPY", severity="info")
    change(service, "far:SPY", "resolved")
    service.wait(1)
    assert [data["state"] for name, _, data in service.take(subscriber) if name == "alert"] == ["firing", "resolved"]


def test_many_alerts_at_once_are_one_frame(service):
    subscriber = follow(service)
    for number in range(50):
        service.alerts.set(f"half:Q{number}", due=service.now)
    service.turn()
    assert len(subscriber.ring) == 2
    assert names(service.take(subscriber)) == ["delta", *["alert"] * 50]


def test_a_slow_subscriber_gets_a_snapshot_with_the_alert_instead_of_its_event():
    service = PublishingService(spy(), alerts=FakeAlerts, ring_size=2)
    subscriber = follow(service)
    for _ in range(3):
        service.move()
    change(service)
    ((name, _, document),) = service.take(subscriber)
    assert (name, [alert["id"] for alert in document["alerts"]]) == ("snapshot", [HALF])
    service.wait(1)
    change(service, HALF, "resolved")
    assert names(service.take(subscriber)) == ["delta", "alert"]


def test_after_a_resume_missed_alerts_are_in_the_delta_without_events(service):
    version = service.edition.version
    change(service)
    ((name, _, delta),) = service.take(service.subscribe(EVERYTHING, version=version))
    assert (name, delta["alerts"][0]["id"]) == ("delta", HALF)


def test_nothing_is_evaluated_for_a_quote_that_is_not_published(service):
    service.offer(tick(P560, 2.0, 2.1, 1))
    evaluations = service.alerts.evaluations
    for second in range(2, 50):
        service.publisher.offer([tick(P560, second, second + 0.1, second)], service.now)
        service.turn()
    assert service.alerts.evaluations == evaluations


def test_the_deadline_of_alerts_is_a_deadline_of_the_publisher(service):
    service.book.risks.interval_seconds = 60.0
    service.wait(1)
    service.alerts.set(HALF, due=service.now + 0.5)
    assert service.publisher.deadline == service.now + 0.5
    change(service)
    change(service, HALF, "resolved")
    assert service.publisher.deadline == pytest.approx(service.now + 0.25)


def test_without_a_source_nothing_is_due(service):
    """Nothing could publish what waits, so that a deadline would never pass."""
    service.book.risks.interval_seconds = 60.0
    service.wait(1)
    change(service)
    change(service, HALF, "resolved")
    assert service.publisher.alerts.deadline == pytest.approx(service.now + 0.25)
    service.publisher.alerts.source = None
    assert service.publisher.alerts.deadline is None


def test_without_alerts_the_document_has_none():
    service = PublishingService((*spy(), position(C650, 3, 0.40)))
    service.set_status(status())
    service.publisher.show_alerts(AlertChanges(), service.now, service.now_at)
    assert service.edition.document(service.now_at).alerts == []
    service.wait(1)
    assert service.publisher.deadline > service.now


def test_alerts_are_counted_by_rule_and_state():
    records = [record("half:A"), record("half:B"), record("far:A", "pending"), record("half:C", "resolved")]
    assert by_rule_and_state(["half", "calm"], records) == {
        ("half", "firing"): 2,
        ("half", "pending"): 0,
        ("calm", "firing"): 0,
        ("calm", "pending"): 0,
        ("far", "pending"): 1,
    }
