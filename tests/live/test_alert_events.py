import datetime as dt

import pytest

from condord.live.alert_events import by_rule_and_state
from condord.live.alerts import Changes
from condord.live.published import EVERYTHING, Selection

from .accounts import C650, P560, QQQ_ID, SPY_ID, House, applied, position, spy, status, tick
from .fake_alerts import FakeAlerts, record

HALF = f"half:{SPY_ID}"


@pytest.fixture
def house():
    made = House(spy(), alerts=FakeAlerts)
    made.set_status(status())
    made.wait(10)
    return made


def follow(house, selection=EVERYTHING, **options):
    subscriber = house.subscribe(selection, **options)
    house.take(subscriber)
    return subscriber


def change(house, identity=HALF, state="firing", **fields):
    """An alert that changes by time, now."""
    house.alerts.set(identity, state, due=house.now, **fields)
    return house.turn()


def names(found):
    return [event for event, _, _ in found]


def shown(house):
    return [(alert.id, alert.state) for alert in house.edition.document(house.now_at).alerts]


def test_an_alert_after_a_quiet_window_is_a_delta_and_an_event_at_once(house):
    subscriber = follow(house)
    assert change(house) == [subscriber]
    (delta, version, changed), (name, identity, alert) = house.take(subscriber)
    assert (delta, version, name, identity) == ("delta", house.edition.version, "alert", None)
    assert changed["alerts"] == [alert]
    assert changed["totals"]["alerts"] == {"critical": 0, "warning": 1, "info": 0}
    assert (alert["id"], alert["state"], changed["quotes"]) == (HALF, "firing", [])


def test_an_alert_does_not_wait_for_the_window_of_quotes(house):
    subscriber = follow(house)
    house.offer(tick(P560, 2.0, 2.1, 1))
    house.take(subscriber)
    house.wait(0.05)
    house.offer(tick(P560, 3.0, 3.1, 2))
    assert house.take(subscriber) == []
    change(house)
    assert names(house.take(subscriber)) == ["delta", "alert"]


def test_another_one_joins_the_next_window(house):
    subscriber = follow(house)
    change(house)
    house.take(subscriber)
    house.wait(0.1)
    change(house, "far:SPY")
    change(house, HALF, "resolved")
    assert house.take(subscriber) == []
    house.wait(0.16)
    delta, *alerts = house.take(subscriber)
    assert [alert["id"] for alert in delta[2]["alerts"]] == ["far:SPY", HALF]
    assert [(alert["id"], alert["state"]) for _, _, alert in alerts] == [("far:SPY", "firing"), (HALF, "resolved")]


def test_another_one_leaves_with_the_next_event_of_any_kind(house):
    subscriber = follow(house)
    change(house)
    house.take(subscriber)
    house.alerts.set("far:SPY")
    house.set_status(status("stale"))
    (_, _, delta), (name, _, _) = house.take(subscriber)
    assert (delta["status"]["state"], delta["alerts"][0]["id"], name) == ("stale", "far:SPY", "alert")


def test_what_a_valuation_brings_is_in_the_event_of_the_valuation(house):
    house.alerts.evaluates = True
    subscriber = follow(house)
    house.offer(*(tick(symbol, 5.0, 5.1, 1) for symbol in house.book.symbols[:2]))
    house.offer(*(tick(symbol, 1.0, 1.1, 1) for symbol in house.book.symbols[2:]))
    house.wait(1)
    found = house.take(subscriber)
    delta = next(data for name, _, data in found if name == "delta" and "alerts" in data)
    assert delta["valuations"][0]["unrealizedPl"] < 0
    assert [alert["id"] for alert in delta["alerts"]] == [f"loss:{SPY_ID}"]
    assert names(found).count("alert") == 1


def test_what_positions_bring_is_in_their_snapshot(house):
    change(house)
    subscriber = follow(house)
    house.alerts.set(HALF, "ended")
    house.set_positions(())
    (snapshot, _, document), (name, _, alert) = house.take(subscriber)
    assert (snapshot, name, alert["state"]) == ("snapshot", "alert", "ended")
    assert document["alerts"] == [alert]
    assert document["totals"]["alerts"]["warning"] == 0


def test_every_filter_and_interval_gets_alerts_whole_and_at_once(house):
    selections = (EVERYTHING, Selection(condors=frozenset([QQQ_ID])), Selection(symbols=frozenset([C650])))
    subscribers = [follow(house, selection, interval=5.0) for selection in selections]
    house.move()
    for subscriber in subscribers:
        house.take(subscriber)
    change(house)
    change(house, "far:SPY", severity="info")
    house.wait(1)
    for subscriber in subscribers:
        found = house.take(subscriber)
        assert names(found) == ["delta", "alert"] * 2
        assert house.edition.document(house.now_at, subscriber.view.selection).alerts == [
            *house.edition.alerts.shown.values()
        ]


def test_a_repeat_is_delivered_and_no_event(house):
    change(house)
    subscriber = follow(house)
    house.wait(1)
    before = house.edition.version
    (transition,) = house.alert_changes[-1].transitions
    repeat = type(transition)(kind="repeat", record=transition.record, notify=None)
    house.publisher.show_alerts(Changes(transitions=(repeat,)), house.now, house.now_at)
    assert house.alert_changes[-1].transitions == (repeat,)
    assert (house.take(subscriber), house.edition.version) == ([], before)


def test_all_changes_are_handed_on_before_they_are_published(house):
    change(house)
    change(house, "far:SPY")
    assert [each.id for changes in house.alert_changes for each in changes.records] == [HALF, "far:SPY"]
    assert shown(house) == [(HALF, "firing")]


def test_a_rule_that_begins_to_hold_is_stored_and_not_shown(house):
    version = house.edition.version
    pending = record(HALF, "pending")
    house.alerts.shown = None  # it is not even asked
    house.publisher.show_alerts(Changes(records=(pending,)), house.now, house.now_at)
    house.turn()
    assert (house.alert_changes[-1].records, house.edition.version) == ((pending,), version)


def test_a_rule_that_is_forgotten_leaves_the_document(house):
    change(house)
    change(house, HALF, "resolved")
    house.wait(1)
    forgotten = record(HALF, "inactive")
    del house.alerts.by_id[HALF]
    house.publisher.show_alerts(Changes(records=(forgotten,)), house.now, house.now_at)
    assert shown(house) == []


def test_an_acknowledgement_is_a_delta_without_an_event_of_its_own(house):
    change(house)
    house.wait(1)
    subscriber = follow(house)
    changes = house.alerts.acknowledge(HALF, house.now_at)
    assert house.publisher.show_alerts(changes, house.now, house.now_at) == [subscriber]
    ((name, _, delta),) = house.take(subscriber)
    assert (name, delta["alerts"][0]["acknowledgedAt"] is None, "totals" in delta) == ("delta", False, False)


def test_what_was_recalled_is_shown_without_an_event_of_its_own(house):
    subscriber = follow(house)
    house.alerts.by_id[HALF] = record(HALF, severity="critical")
    house.publisher.show_alerts(Changes(), house.now, house.now_at)
    ((_, _, delta),) = house.take(subscriber)
    assert delta["totals"]["alerts"] == {"critical": 1, "warning": 0, "info": 0}
    assert house.alert_changes == []


def test_alerts_are_counted_before_positions_were_read():
    house = House(alerts=FakeAlerts)
    change(house)
    house.set_status(status("reconnecting"))
    totals = house.edition.document(house.now_at).totals
    assert (totals.alerts.warning, totals.unrealized_pl) == (1, None)
    house.set_positions(spy())
    assert house.edition.document(house.now_at).totals.alerts.warning == 1


def test_the_next_day_removes_what_no_longer_fires_by_an_event(house):
    change(house)
    change(house, HALF, "resolved")
    house.wait(1)
    change(house, "far:SPY")
    house.wait(1)
    house.set_positions(())
    subscriber = follow(house)
    document = house.document(EVERYTHING)
    midnight = dt.datetime(2026, 11, 21, 5, tzinfo=dt.UTC)
    house.now += (midnight - house.now_at).total_seconds() - 1
    house.set_status(status())
    assert len(shown(house)) == 2
    house.wait(1)
    house.set_status(status())
    assert shown(house) == [("far:SPY", "firing")]
    found = house.take(subscriber)
    for event in found:
        document = applied(document, *event)
    assert "alert" not in names(found)
    assert document == house.document(EVERYTHING)


def test_an_alert_that_leaves_is_named_in_a_delta(house):
    change(house)
    change(house, HALF, "ended")
    house.wait(1)
    subscriber = follow(house)
    del house.alerts.by_id[HALF]
    house.publisher.show_alerts(Changes(), house.now, house.now_at)
    ((name, _, delta),) = house.take(subscriber)
    assert (name, delta["alertsGone"], "alerts" in delta) == ("delta", [HALF], False)


def test_an_alert_for_which_the_document_has_no_room_is_an_event_nevertheless(house):
    subscriber = follow(house)
    house.alerts.shown = lambda _now_at: []
    change(house)
    change(house, HALF, "resolved")
    house.wait(1)
    found = house.take(subscriber)
    assert names(found) == ["delta", "alert", "delta", "alert"]
    change(house, "far:SPY", severity="info")
    change(house, "far:SPY", "resolved")
    house.wait(1)
    assert [data["state"] for name, _, data in house.take(subscriber) if name == "alert"] == ["firing", "resolved"]


def test_many_at_once_are_one_frame(house):
    subscriber = follow(house)
    for number in range(50):
        house.alerts.set(f"half:Q{number}", due=house.now)
    house.turn()
    assert len(subscriber.ring) == 2
    assert names(house.take(subscriber)) == ["delta", *["alert"] * 50]


def test_a_slow_subscriber_gets_a_snapshot_with_the_alert_in_place_of_its_event():
    house = House(spy(), alerts=FakeAlerts, ring_size=2)
    subscriber = follow(house)
    for _ in range(3):
        house.move()
    change(house)
    ((name, _, document),) = house.take(subscriber)
    assert (name, [alert["id"] for alert in document["alerts"]]) == ("snapshot", [HALF])
    house.wait(1)
    change(house, HALF, "resolved")
    assert names(house.take(subscriber)) == ["delta", "alert"]


def test_after_a_resume_what_was_missed_is_in_the_delta_and_no_event(house):
    version = house.edition.version
    change(house)
    ((name, _, delta),) = house.take(house.subscribe(EVERYTHING, version=version))
    assert (name, delta["alerts"][0]["id"]) == ("delta", HALF)


def test_nothing_is_evaluated_for_a_quote_that_is_not_published(house):
    house.offer(tick(P560, 2.0, 2.1, 1))
    evaluations = house.alerts.evaluations
    for second in range(2, 50):
        house.publisher.offer([tick(P560, second, second + 0.1, second)], house.now)
        house.turn()
    assert house.alerts.evaluations == evaluations


def test_its_time_is_a_deadline_of_the_publisher(house):
    house.book.risks.interval_seconds = 60.0
    house.wait(1)
    house.alerts.set(HALF, due=house.now + 0.5)
    assert house.publisher.deadline == house.now + 0.5
    change(house)
    change(house, HALF, "resolved")
    assert house.publisher.deadline == pytest.approx(house.now + 0.25)


def test_without_a_source_nothing_is_due(house):
    """Nothing could publish what waits, so that a deadline would never pass."""
    house.book.risks.interval_seconds = 60.0
    house.wait(1)
    change(house)
    change(house, HALF, "resolved")
    assert house.publisher.alerts.deadline == pytest.approx(house.now + 0.25)
    house.publisher.alerts.source = None
    assert house.publisher.alerts.deadline is None


def test_without_alerts_the_document_has_none():
    house = House((*spy(), position(C650, 3, 0.40)))
    house.set_status(status())
    house.publisher.show_alerts(Changes(), house.now, house.now_at)
    assert house.edition.document(house.now_at).alerts == []
    house.wait(1)
    assert house.publisher.deadline > house.now


def test_alerts_are_counted_by_rule_and_state():
    records = [record("half:A"), record("half:B"), record("far:A", "pending"), record("half:C", "resolved")]
    assert by_rule_and_state(["half", "calm"], records) == {
        ("half", "firing"): 2,
        ("half", "pending"): 0,
        ("calm", "firing"): 0,
        ("calm", "pending"): 0,
        ("far", "pending"): 1,
    }
