import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.published_alerts import PublishedAlerts, in_order
from condord.live.render_alerts import alert

from .accounts import EPOCH_AT, REPEATABLE
from .fake_alerts import record


def alert_of(identity, since=0.0, **fields):
    return alert(record(identity, since_at=EPOCH_AT + dt.timedelta(seconds=since), **fields))


@pytest.fixture
def published():
    held = PublishedAlerts()
    held.put([alert_of("a:SPY", 1), alert_of("b:SPY", 2)], 4)
    return held


def ids(alerts):
    return [alert.id for alert in alerts]


def test_the_newest_is_first_and_the_id_decides_between_equal_times():
    given_alerts = [alert_of("b:SPY", 1), alert_of("a:SPY", 1), alert_of("c:SPY", 1.5)]
    assert ids(in_order(given_alerts)) == ["c:SPY", "a:SPY", "b:SPY"]


def test_changed_alerts_since_an_event_are_sent_whole(published):
    changed = alert_of("a:SPY", 1, state="resolved", until=EPOCH_AT)
    published.put([changed, alert_of("b:SPY", 2)], 5)
    assert published.since(3) == ([alert_of("b:SPY", 2), changed], [])
    assert published.since(4) == ([changed], [])
    assert published.since(5) == ([], [])


def test_removed_alerts_are_named_to_clients_that_may_have_them(published):
    published.put([alert_of("b:SPY", 2)], 5)
    published.put([], 6)
    assert published.since(4) == ([], ["a:SPY", "b:SPY"])
    assert published.since(5) == ([], ["b:SPY"])
    assert published.since(6) == ([], [])


def test_an_alert_that_returns_is_no_longer_gone(published):
    published.put([alert_of("b:SPY", 2)], 5)
    published.put([alert_of("a:SPY", 9), alert_of("b:SPY", 2)], 6)
    assert published.since(4) == ([alert_of("a:SPY", 9)], [])
    assert ids(published.shown.values()) == ["a:SPY", "b:SPY"]


def test_an_alert_that_came_and_went_is_not_named_to_clients_that_never_had_it(published):
    published.put([], 5)
    published.put([alert_of("a:SPY", 9)], 7)
    published.put([], 9)
    gone = {number: published.since(number)[1] for number in range(3, 10)}
    assert gone == {3: [], 4: ["a:SPY", "b:SPY"], 5: [], 6: [], 7: ["a:SPY"], 8: ["a:SPY"], 9: []}


def test_a_snapshot_clears_the_list_of_removed_alerts(published):
    published.put([], 5)
    published.forget_gone()
    assert published.since(4) == ([], [])


some = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 2), st.booleans()))


@given(history=st.lists(some, min_size=1, max_size=6))
@REPEATABLE
def test_the_changes_since_any_event_turn_its_alerts_into_the_newest(history):
    published, at = PublishedAlerts(), [{}]
    for number, alerts in enumerate(history, 1):
        published.put([alert_of(f"{each}:SPY", since, at_start=flag) for each, (since, flag) in alerts.items()], number)
        at.append(dict(published.shown))
    for since, before in enumerate(at):
        changed, gone = published.since(since)
        after = {**before, **{alert.id: alert for alert in changed}}
        assert {*gone} <= before.keys() - {alert.id for alert in changed}
        assert {each: alert for each, alert in after.items() if each not in gone} == at[-1]
