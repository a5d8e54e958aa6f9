import datetime as dt
import json

import msgspec
import pytest

from condord.notify.messages import (
    MAX_LINES,
    data_of,
    instant_of,
    message_id,
    note,
    trial_note,
    trial_request,
    webhook_request,
)
from condord.notify.outbox import Outbox
from tests.notify.builders import END_AT, NOW_AT, after, changes, channel, document, documents, record, transition


def messages(*transitions, kind="apprise"):
    outbox = Outbox()
    outbox.set_channels([channel(kind=kind, min_severity="info")], NOW_AT)
    changed = changes(*transitions)
    outbox.add(changed, documents(changed), now_at=NOW_AT, expires_at=lambda _: END_AT)
    return outbox.take_edits()[0]


def body_of(change):
    return json.loads(webhook_request(messages(change)[0]).body)


def test_a_webhook_has_the_alert_as_the_document_has_it():
    change = transition()
    assert body_of(change) == {
        "type": "condord.alert.firing",
        "timestamp": "2026-11-20T15:31:00Z",
        "expiresAt": "2026-11-20T21:00:00Z",
        "data": json.loads(msgspec.json.encode(document(change.record))),
    }


@pytest.mark.parametrize(
    ("change", "kind", "timestamp", "repeat"),
    [
        (transition(since=after(-60)), "firing", after(-60), None),
        (transition("resolved", until=after(-1)), "resolved", after(-1), None),
        (transition("ended", until=None), "ended", NOW_AT, None),
        (transition("repeat", repeats=2, since=after(-600)), "firing", NOW_AT, 2),
        (transition("repeat", repeats=0), "firing", NOW_AT, 1),
    ],
)
def test_each_kind_of_transition_has_its_type_and_time(change, kind, timestamp, repeat):
    body = body_of(change)
    assert body["type"] == f"condord.alert.{kind}"
    assert dt.datetime.fromisoformat(body["timestamp"]) == timestamp == instant_of(change, NOW_AT)
    assert body["data"].get("repeat") == repeat
    assert json.loads(data_of(change, document(change.record))) == body["data"]


def test_ids_differ_by_firing_kind_repeat_account_and_only_by_these():
    first = transition()
    ids = {
        message_id("a", first),
        message_id("b", first),
        message_id("a", transition("resolved")),
        message_id("a", transition(serial=2)),
        message_id("a", transition(since=after(1))),
        message_id("a", transition("repeat", repeats=1)),
        message_id("a", transition("repeat", repeats=2)),
        message_id("a", transition(name="breached")),
    }
    assert len(ids) == 8
    assert message_id("a", transition(value=60.0, text="other", repeats=3)) == message_id("a", first)


@pytest.mark.parametrize(
    ("changed", "title", "start", "kind"),
    [
        (transition(severity="critical"), "condord SPY: critical", "half:", "failure"),
        (transition(), "condord SPY: warning", "half:", "warning"),
        (transition(severity="info", underlying=None), "condord: info", "half:", "info"),
        (transition("resolved"), "condord SPY: resolved", "Resolved: half:", "success"),
        (transition("ended"), "condord SPY: ended", "Ended: half:", "success"),
        (transition("repeat", repeats=1), "condord SPY: warning", "Still: half:", "warning"),
    ],
)
def test_an_apprise_message_is_the_sentence_of_its_alert(changed, title, start, kind):
    message = note(messages(changed))
    assert (message.title, message.type) == (title, kind)
    assert message.body == start + changed.record.text.removeprefix("half:")


def test_joined_alerts_are_a_line_each_and_the_worst_sets_the_type():
    message = note(
        messages(transition("resolved"), transition(name="breached", severity="critical", text="two\nlines"))
    )
    assert message.title == "condord SPY: 2 alerts, 1 critical"
    assert message.body.splitlines()[1] == "two lines"
    assert message.type == "failure"


def test_very_many_or_very_long_alerts_are_shortened():
    message = note(messages(*(transition(name=f"rule-{number}", text="x" * 5000) for number in range(MAX_LINES + 3))))
    lines = message.body.splitlines()
    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith("And 3 more.")
    assert max(map(len, lines)) <= 500


def test_a_test_names_its_channel():
    message = trial_request("phone", "msg_1", NOW_AT)
    assert json.loads(message.body)["type"] == "condord.test"
    assert json.loads(message.body)["data"]["channel"] == "phone"
    assert "phone" in trial_note("phone").body


def test_the_key_of_a_message_is_its_channel_and_id():
    (message,) = messages(transition())
    assert message.key == ("hook", message_id("", transition()))
    assert record().id == message.alert_id
