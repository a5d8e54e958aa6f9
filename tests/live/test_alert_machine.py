"""The states of one alert, row by row; what makes the events is in test_alerts.py."""

import datetime as dt
import typing

import pytest

from condord.live.alert_machine import SETTLE_FOR, TABLE, Alert, Event, TransitionValues
from condord.live.alert_records import State

from .alert_parts import NOON_AT, rule
from .test_alert_list import record

FOUND = TransitionValues(1.0, 2.0, "mark", "critical", "it is so")
ROWS = [(state, event) for state in typing.get_args(State) for event in typing.get_args(Event)]


@pytest.mark.parametrize(("state", "event"), ROWS)
def test_an_event_without_a_row_changes_nothing(state, event):
    alert = Alert(record(state=state), rule())
    is_transition = alert.step(event, 0.0, NOON_AT, FOUND)
    after = TABLE.get((state, event), (state, None))
    assert alert.record.state == after[0]
    assert is_transition == (after[1] in ("fire", "fireAgain", "resolve", "end"))
    if (state, event) not in TABLE:
        assert not alert.is_changed


def test_no_state_fires_on_an_unknown_value():
    assert all(state == after for (state, event), (after, _) in TABLE.items() if event == "unknown")


def test_no_event_is_accepted_after_the_end():
    assert not any(state == "ended" for state, _ in TABLE)


def test_a_firing_has_a_new_serial_even_if_the_record_was_removed():
    alert = Alert(record(state="pending", serial=7), rule())
    alert.step("due", 0.0, NOON_AT, FOUND)
    first = alert.record.serial
    assert first >= int(NOON_AT.timestamp())
    alert.step("cleared", 0.0, NOON_AT, FOUND)
    alert.step("holds", 0.0, NOON_AT)
    alert.step("due", 0.0, NOON_AT, FOUND)
    assert alert.record.serial == first + 1


def is_worse(alert, extent):
    """Whether it is so `SETTLE_FOR` after it was seen first, and not before."""
    assert not alert.is_worse(extent, NOON_AT)
    assert not alert.is_worse(extent, NOON_AT + SETTLE_FOR - dt.timedelta(seconds=1))
    return alert.is_worse(extent, NOON_AT + SETTLE_FOR)


def test_an_alert_whose_extent_grows_fires_again_as_another_firing():
    alert = Alert(record(state="pending"), rule(repeat_minutes=1))
    alert.step("due", 0.0, NOON_AT, FOUND._replace(extent=1))
    assert [is_worse(alert, extent) for extent in (None, 0, 1, 2)] == [False, False, False, True]
    assert not alert.is_worse(1, NOON_AT + 2 * SETTLE_FOR)
    assert not alert.is_worse(2, NOON_AT + 2 * SETTLE_FOR)  # it begins again
    alert.acknowledge(NOON_AT)
    alert.count(90.0, NOON_AT)
    before, later_at = alert.record, NOON_AT + dt.timedelta(hours=1)
    assert alert.step("grown", 90.0, later_at, FOUND._replace(text="it is worse", extent=2))
    after = alert.record
    assert (after.state, after.since, after.text, after.extent) == ("firing", later_at, "it is worse", 2)
    assert (after.acknowledged_at, after.repeated_seconds, after.at_start) == (None, 0.0, False)
    assert after.serial > before.serial
    assert alert.is_counting
    assert not is_worse(alert, 2)
    alert.step("cleared", 90.0, later_at, FOUND)
    assert not is_worse(alert, 3)


def test_a_silent_firing_that_grows_is_notified():
    alert = Alert(record(state="pending", is_silent=True, is_first=True), rule())
    alert.step("due", 0.0, NOON_AT, FOUND._replace(extent=1))
    assert alert.transition("firing").notify == ()
    assert alert.record.is_silent
    alert.step("grown", 0.0, NOON_AT, FOUND._replace(extent=2))
    assert alert.transition("firing").notify is None
    assert not alert.record.at_start


def test_a_firing_with_an_unknown_extent_does_not_grow():
    assert not is_worse(Alert(record(state="firing"), rule()), 2)


def test_a_clock_that_is_set_back_counts_nothing():
    alert = Alert(record(state="resolved"), rule(for_seconds=60))
    alert.step("holds", 10.0, NOON_AT)
    alert.count(5.0, NOON_AT)
    assert alert.record.held_seconds == 0
    alert.count(6.0, NOON_AT)
    assert alert.record.held_seconds == 1


def test_a_paused_alert_counts_on_from_the_next_evaluation():
    alert = Alert(record(state="resolved"), rule(for_seconds=60))
    alert.step("holds", 0.0, NOON_AT)
    alert.count(4.0, NOON_AT)
    alert.pause()
    assert (alert.is_counting, alert.record.held_seconds) == (False, 4)
    alert.count(50.0, NOON_AT)
    alert.step("holds", 50.0, NOON_AT)
    alert.count(51.0, NOON_AT)
    assert alert.record.held_seconds == 5


def test_an_end_has_its_own_text_and_time():
    alert = Alert(record(text="it was so"), rule())
    alert.step("gone", 0.0, NOON_AT, FOUND)
    assert (alert.record.text, alert.record.last, alert.record.until) == ("it is so", "ended", NOON_AT)
