from condord.notify import channel_queue
from condord.notify.channel_queue import Batch, Edits, Pause
from condord.notify.outbox import Outbox
from tests.notify.builders import END_AT, NOW_AT, after, changes, channel, documents, transition


class Harness:
    """An outbox with one webhook, at a time that the test sets."""

    def __init__(self, *channels):
        self.seconds = 0.0
        self.outbox = Outbox("account")
        self.outbox.set_channels(channels or [channel(min_severity="info")], NOW_AT)

    @property
    def now_at(self):
        return after(self.seconds)

    def add(self, *transitions):
        changed = changes(*transitions)
        keys = self.outbox.add(changed, documents(changed), now_at=self.now_at, expires_at=lambda _: END_AT)
        self.outbox.release(keys)

    def next(self, name="hook"):
        return self.outbox.next(name, now_at=self.now_at, expires_at=lambda _: END_AT)

    def sent(self, name="hook"):
        """Deliver what is due now; returns the kinds and rules of its messages, or the seconds until the next one."""
        found = self.next(name)
        if isinstance(found, Pause):
            return found.seconds
        self.outbox.delivered(found, self.now_at)
        return [(each.kind, each.alert_id.partition(":")[0]) for each in found.messages]

    def fail(self, *, is_down=True, is_gone=False, name="hook"):
        found = self.next(name)
        assert isinstance(found, Batch)
        self.outbox.failed(found, self.now_at, is_down=is_down, is_gone=is_gone)
        return found

    def count(self, result, name="hook"):
        return self.outbox.counts[name, result]


def test_a_message_is_sent_once_and_at_once():
    harness = Harness()
    harness.add(transition())
    assert harness.sent() == [("firing", "half")]
    assert harness.sent() is None
    assert harness.count("delivered") == 1


def test_a_failed_message_is_tried_again_after_growing_delays_with_its_id():
    harness = Harness()
    harness.add(transition())
    ids, waits = set(), []
    for _ in range(6):
        ids.add(harness.fail().messages[0].id)
        waits.append(harness.next().seconds)
        harness.seconds += waits[-1]
    assert waits == [5, 30, 120, 600, 1800, 1800]
    assert len(ids) == 1
    assert harness.count("failed") == 6


def test_a_message_is_given_up_at_the_end_of_the_session():
    harness = Harness()
    harness.add(transition())
    harness.fail()
    harness.seconds = (END_AT - NOW_AT).total_seconds()
    assert harness.sent() is None
    assert harness.count("expired") == 1


def test_a_resolution_waits_behind_its_firing_and_has_it_tried_at_once():
    harness = Harness()
    harness.add(transition())
    harness.fail()
    harness.seconds = 1
    harness.add(transition("resolved"))
    assert [each.kind for each in harness.fail().messages] == ["firing"]
    assert harness.next().seconds == 30
    harness.seconds += 30
    assert harness.sent() == [("firing", "half")]
    assert harness.sent() == [("resolved", "half")]


def test_waiting_messages_are_tried_at_once_when_the_channel_works_again():
    harness = Harness()
    harness.add(transition(name="one"), transition(name="two"))
    harness.fail()
    harness.fail()
    harness.seconds = 1
    harness.add(transition(name="three"))
    assert [harness.sent() for _ in range(4)] == [[("firing", name)] for name in ("three", "one", "two")] + [None]


def test_a_refused_message_is_not_tried_again_whenever_another_one_is_sent():
    harness = Harness()
    harness.add(transition(name="refused"))
    harness.fail(is_down=False)
    harness.add(transition(name="other"))
    assert harness.sent() == [("firing", "other")]
    assert harness.sent() == 5


def test_critical_messages_are_sent_first():
    harness = Harness()
    harness.add(transition(name="first"), transition(name="worst", severity="critical"))
    assert harness.sent() == [("firing", "worst")]
    assert harness.sent() == [("firing", "first")]


def test_a_channel_that_is_gone_is_disabled_until_it_changes_and_keeps_its_messages():
    harness = Harness()
    harness.add(transition())
    harness.fail(is_gone=True)
    harness.seconds = 3600
    assert harness.sent() is None
    assert harness.outbox.queues["hook"].is_disabled
    harness.outbox.set_channels([channel(min_severity="info")], harness.now_at)
    assert harness.sent() is None
    harness.outbox.set_channels([channel(min_severity="info", url="https://hooks.example/new")], harness.now_at)
    assert not harness.outbox.queues["hook"].is_disabled
    assert harness.sent() == [("firing", "half")]


def test_too_many_messages_are_bounded_by_dropping_the_oldest_of_the_least_severe(monkeypatch):
    monkeypatch.setattr(channel_queue, "MAX_WAITING", 3)
    harness = Harness()
    harness.add(transition(name="worst", severity="critical"), transition(name="old"))
    harness.add(transition(name="least", severity="info"), transition(name="new"), transition(name="newest"))
    assert harness.count("dropped") == 2
    assert [each.alert_id.partition(":")[0] for each in harness.outbox.queues["hook"].messages] == [
        "worst",
        "new",
        "newest",
    ]


def test_a_due_time_from_a_clock_that_was_set_back_is_bounded():
    harness = Harness()
    harness.add(transition())
    harness.fail()
    (message,) = harness.outbox.queues["hook"].messages
    other = Harness()
    other.seconds = -7200
    other.outbox.load("account", [message], other.now_at)
    assert other.sent() == 5


def test_edits_have_only_the_latest_change_of_each_message():
    harness = Harness()
    harness.add(transition())
    harness.fail()
    edits = Edits()
    (message,) = harness.outbox.queues["hook"].messages
    edits.put(message)
    edits.remove(message.key)
    assert edits.take() == ((), (message.key,))
    assert edits.take() == ((), ())
    put, removed = harness.outbox.take_edits()
    assert ([each.attempts for each in put], removed) == ([1], ())


def test_a_message_that_is_restored_twice_waits_once():
    harness = Harness()
    harness.add(transition())
    (message,) = harness.outbox.queues["hook"].messages
    harness.outbox.join([message], harness.now_at)
    assert len(harness.outbox.queues["hook"]) == 1


def test_a_message_that_expired_while_it_was_sent_is_not_kept_after_a_failure():
    harness = Harness()
    harness.add(transition())
    found = harness.next()
    harness.seconds = (END_AT - NOW_AT).total_seconds()
    assert harness.next() == Pause(seconds=None)
    harness.outbox.failed(found, harness.now_at, is_down=True, is_gone=False)
    harness.outbox.delivered(found, harness.now_at)
    assert len(harness.outbox.queues["hook"]) == 0
