"""The outbox in examples, and compared with a plain model over restarts and crashes."""

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from condord.notify.channel import ChannelQuietHours
from condord.notify.channel_queue import Batch, Pause
from condord.notify.messages import Message, note
from condord.notify.outbox import Outbox
from tests.notify.builders import END_AT, NOW_AT, after, changes, channel, documents, record, transition
from tests.notify.test_channel_queue import Harness

QUIET = ChannelQuietHours(begin=dt.time(15, 0), end=dt.time(17, 0), zone=ZoneInfo("UTC"))
UNTIL_LOUD = (dt.datetime(2026, 11, 20, 17, tzinfo=dt.UTC) - NOW_AT).total_seconds()


def phone(**settings):
    return channel("phone", "apprise", **{"min_severity": "info", **settings})


class TestChannels:
    def test_a_channel_gets_alerts_that_reach_its_severity_or_name_it(self):
        harness = Harness(
            channel("warnings"), channel("all", min_severity="info"), channel("worst", min_severity="critical")
        )
        harness.add(
            transition(name="info", severity="info"), transition(name="named", severity="info", notify=("worst",))
        )
        assert harness.sent("warnings") is None
        assert harness.sent("all") == [("firing", "info")]
        assert harness.sent("all") is None
        assert harness.sent("worst") == [("firing", "named")]

    def test_a_resolution_goes_to_every_channel_whose_severity_the_firing_or_a_repeat_reached(self):
        harness = Harness(channel("warnings"), channel("all", min_severity="info"))
        harness.add(
            transition("resolved", severity="info", highest="warning"),
            transition("repeat", "calmer", severity="info", highest="warning", repeats=1),
        )
        assert harness.sent("warnings") == [("resolved", "half")]
        assert harness.sent("warnings") is None
        assert [harness.sent("all"), harness.sent("all")] == [[("resolved", "half")], [("repeat", "calmer")]]

    def test_nothing_is_sent_before_it_is_stored(self):
        harness = Harness()
        changed = changes(transition())
        keys = harness.outbox.add(changed, documents(changed), now_at=NOW_AT, expires_at=lambda _: END_AT)
        assert harness.sent() is None
        harness.outbox.release(keys)
        assert harness.sent() == [("firing", "half")]

    def test_messages_for_a_removed_channel_are_dropped(self):
        harness = Harness()
        harness.add(transition())
        harness.outbox.take_edits()
        harness.outbox.set_channels([], NOW_AT)
        assert harness.outbox.take_edits()[0] == ()
        assert harness.count("dropped") == 1
        assert harness.sent() is None
        harness.outbox.delivered(Batch(channel=channel(), messages=()), NOW_AT)
        harness.outbox.failed(Batch(channel=channel(), messages=()), NOW_AT, is_down=True, is_gone=True)

    def test_stored_messages_of_unknown_channels_are_removed(self):
        harness = Harness()
        harness.add(transition())
        put, _ = harness.outbox.take_edits()
        other = Outbox("account")
        other.load("account", put, NOW_AT)
        assert other.take_edits() == ((), (put[0].key,))

    def test_the_same_transition_is_added_once(self):
        harness = Harness()
        harness.add(transition())
        harness.add(transition())
        assert harness.sent() == [("firing", "half")]
        assert harness.sent() is None


class TestJoining:
    def test_apprise_joins_alerts_of_one_underlying_within_10_seconds(self):
        harness = Harness(phone())
        harness.add(transition(name="one"))
        harness.seconds = 9
        harness.add(transition(name="two"), transition(name="other", underlying="QQQ"))
        assert harness.sent("phone") == 1
        harness.seconds = 10
        harness.add(transition(name="late"))
        assert harness.sent("phone") == [("firing", "one"), ("firing", "two")]
        harness.seconds = 19
        assert harness.sent("phone") == [("firing", "other")]
        harness.seconds = 20
        assert harness.sent("phone") == [("firing", "late")]

    def test_critical_alerts_and_alerts_of_the_account_leave_at_once(self):
        harness = Harness(phone())
        harness.add(transition(name="one"), transition(name="worst", severity="critical"))
        harness.add(transition(name="account", underlying=None))
        assert harness.sent("phone") == [("firing", "worst")]
        assert harness.sent("phone") == [("firing", "account")]
        assert harness.sent("phone") == 10

    def test_critical_alerts_of_one_evaluation_and_underlying_leave_together_and_at_once(self):
        harness = Harness(phone(), channel())
        harness.add(
            transition("ended", name="stop", severity="critical"),
            transition("ended", name="risk", severity="critical"),
            transition("ended", name="other", severity="critical", underlying="QQQ"),
            transition("ended", name="account", severity="critical", underlying=None),
        )
        harness.add(transition(name="late", severity="critical"))
        assert harness.sent("phone") == [("ended", "stop"), ("ended", "risk")]
        assert [harness.sent("phone") for _ in range(3)] == [
            [("ended", "other")],
            [("ended", "account")],
            [("firing", "late")],
        ]
        assert len(harness.sent("hook")) == 1

    def test_alerts_that_hold_at_the_start_are_one_apprise_message(self):
        harness = Harness(phone(), channel())
        starts = [
            transition(name=f"rule-{number}", underlying=under, at_start=True, severity=severity)
            for number, (under, severity) in enumerate([("SPY", "warning"), ("QQQ", "critical"), (None, "info")])
        ]
        harness.add(*starts)
        found = harness.next("phone")
        assert note(found.messages).title == "condord: 3 alerts, 1 critical"
        assert len(harness.sent("phone")) == 3
        assert len(harness.sent("hook")) == 1

    def test_a_critical_transition_keeps_its_place_among_others_of_its_alert(self):
        harness = Harness(phone())
        harness.add(transition())
        harness.add(transition("resolved", severity="critical"))
        harness.add(transition(serial=2))
        harness.seconds = 10
        assert [harness.sent("phone") for _ in range(3)] == [
            [("firing", "half")],
            [("resolved", "half")],
            [("firing", "half")],
        ]

    def test_a_firing_and_its_resolution_in_one_message_do_not_block_each_other(self):
        harness = Harness(phone())
        harness.add(transition())
        harness.add(transition("resolved"))
        harness.seconds = 10
        assert harness.sent("phone") == [("firing", "half"), ("resolved", "half")]

    def test_a_message_just_before_its_expiry_does_not_wait_for_others(self):
        harness = Harness(phone())
        harness.seconds = (END_AT - NOW_AT).total_seconds() - 5
        harness.add(transition())
        assert harness.sent("phone") == 3

    def test_a_failed_message_stays_joined(self):
        harness = Harness(phone())
        harness.add(transition(name="one"), transition(name="two"))
        harness.seconds = 10
        harness.fail(name="phone")
        harness.seconds = 15
        assert harness.sent("phone") == [("firing", "one"), ("firing", "two")]


class TestQuietHours:
    def test_only_critical_messages_are_sent_in_quiet_hours(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition(), transition(name="worst", severity="critical"))
        assert harness.sent() == [("firing", "worst")]
        assert harness.sent() == UNTIL_LOUD

    def test_after_quiet_hours_each_alert_that_still_fires_is_sent_once_and_the_rest_is_dropped(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition(name="fires"), transition(name="resolves"), transition(name="again"))
        harness.add(transition("repeat", name="fires", repeats=1), transition("resolved", name="resolves"))
        harness.add(transition("ended", name="earlier"), transition("resolved", name="again"))
        harness.add(transition(name="again", serial=2))
        harness.seconds = UNTIL_LOUD
        assert [harness.sent() for _ in range(3)] == [[("firing", "fires")], [("firing", "again")], None]
        assert harness.count("quiet") == 6

    def test_after_quiet_hours_apprise_gets_all_alerts_in_one_message(self):
        harness = Harness(phone(quiet=QUIET))
        harness.add(transition(name="one"), transition(name="two", underlying="QQQ"))
        harness.seconds = UNTIL_LOUD
        assert harness.sent("phone") == [("firing", "one"), ("firing", "two")]

    def test_an_alert_that_repeated_in_quiet_hours_is_sent_once_after_them(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition("repeat", repeats=1), transition("repeat", repeats=2))
        harness.seconds = UNTIL_LOUD
        message = harness.next().messages[0]
        assert '"repeat":2' in message.data
        assert harness.sent() == [("repeat", "half")]
        assert harness.sent() is None

    def test_an_alert_that_vanished_without_a_transition_is_not_sent(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition())
        gone = msgspec.structs.replace(changes(), records=(record(state="inactive"),))
        harness.outbox.add(gone, [], now_at=NOW_AT, expires_at=lambda _: END_AT)
        harness.seconds = UNTIL_LOUD
        assert harness.sent() is None

    def test_a_retry_that_comes_due_in_quiet_hours_waits_for_their_end(self):
        late = msgspec.structs.replace(QUIET, begin=dt.time(15, 32))
        harness = Harness(channel(quiet=late))
        harness.add(transition(name="fires"), transition(name="over"))
        harness.fail()
        harness.fail()
        harness.seconds = 6
        harness.fail()
        harness.add(transition("resolved", name="over"))
        harness.fail()
        harness.seconds = 120
        assert harness.sent() == UNTIL_LOUD - 120
        harness.seconds = UNTIL_LOUD
        assert harness.sent() == [("firing", "fires")]
        assert harness.sent() is None

    def test_messages_held_back_in_quiet_hours_expire_only_after_their_end(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition())
        harness.seconds = UNTIL_LOUD + 7 * 86_400
        night = harness.outbox.next("hook", now_at=harness.now_at.replace(hour=16), expires_at=lambda _: END_AT)
        assert isinstance(night, Pause)
        late_at = harness.now_at + dt.timedelta(hours=3)
        found = harness.outbox.next("hook", now_at=harness.now_at, expires_at=lambda _: late_at)
        assert found.messages[0].expires_at == late_at

    def test_a_change_of_quiet_hours_applies_to_messages_held_back(self):
        harness = Harness(channel(quiet=QUIET))
        harness.add(transition())
        harness.outbox.set_channels([channel()], NOW_AT)
        assert harness.sent() == [("firing", "half")]


class OutboxMachine(RuleBasedStateMachine):
    """Any order of alerts, sends, faults, crashes and waits, compared with what a receiver must have got.

    The store is a dict, to which edits are written as the real one writes them. A crash loses everything else. It may
    come before an evaluation is stored, before a message is sent, and between that and the note of its success.
    """

    @initialize()
    def begin(self):
        self.seconds = 0.0
        self.stored = {}
        self.serials = Counter()
        self.firing = set()
        self.received = {}
        self.ids = {}
        self.restart()

    @property
    def now_at(self):
        return after(self.seconds)

    def write(self):
        put, removed = self.outbox.take_edits()
        self.stored |= {each.key: msgspec.json.decode(msgspec.json.encode(each), type=Message) for each in put}
        for key in removed:
            self.stored.pop(key, None)

    @rule(
        name=st.sampled_from("abc"),
        severity=st.sampled_from(["warning", "critical"]),
        crash=st.sampled_from([None, None, "before it is stored", "after it is stored"]),
    )
    def change(self, name, severity, crash):
        kind = "resolved" if name in self.firing else "firing"
        serial = self.serials[name] + (kind == "firing")
        changed = changes(transition(kind, name=name, severity=severity, serial=serial, text=f"{name} {serial}"))
        keys = self.outbox.add(changed, documents(changed), now_at=self.now_at, expires_at=lambda _: END_AT)
        found = [self.outbox.next(to, now_at=self.now_at, expires_at=lambda _: END_AT) for to in ("hook", "phone")]
        assert not {each.key for batch in found if isinstance(batch, Batch) for each in batch.messages} & keys
        if crash == "before it is stored":
            self.restart()
            return
        self.write()
        self.serials[name] = serial
        self.firing ^= {name}
        self.received |= {(to, kind, f"{name} {serial}"): False for to in ("hook", "phone")}
        if crash is None:
            self.outbox.release(keys)
        else:
            self.restart()

    @rule(
        to=st.sampled_from(["hook", "phone"]),
        result=st.sampled_from(["delivered", "delivered", "down", "refused", "crash after", "crash before"]),
    )
    def send(self, to, result):
        found = self.outbox.next(to, now_at=self.now_at, expires_at=lambda _: END_AT)
        self.write()
        if isinstance(found, Pause):
            assert found.seconds is None or found.seconds > 0
            return
        if result in ("delivered", "crash after"):
            for message in found.messages:
                self.receive(to, message)
        if result == "delivered":
            self.outbox.delivered(found, self.now_at)
        elif result in ("down", "refused"):
            self.outbox.failed(found, self.now_at, is_down=result == "down", is_gone=False)
        else:
            self.restart()
        self.write()

    def receive(self, to, message):
        key = to, message.kind, message.text
        assert self.ids.setdefault(message.id, key[1:]) == key[1:]
        missing = [
            each for each, done in self.received.items() if not done and each[0] == to and each[2][0] == key[2][0]
        ]
        assert self.received[key] or missing[0] == key, "a later message of an alert came first"
        self.received[key] = True

    @rule(seconds=st.sampled_from([0.1, 1, 6, 12, 40, 200]))
    def wait(self, seconds):
        self.seconds += seconds

    @rule()
    def restart(self):
        self.outbox = Outbox("account")
        self.outbox.set_channels([channel(), phone()], self.now_at)
        self.outbox.load("account", self.stored.values(), self.now_at)

    @invariant()
    def nothing_is_lost(self):
        waiting = [message for queue in self.outbox.queues.values() for message in queue.messages]
        keys = {(each.channel, each.kind, each.text) for each in waiting}
        assert {key for key, done in self.received.items() if not done} <= keys
        assert {each.key for each in waiting} == self.stored.keys()

    def teardown(self):
        """A channel that works again gets everything, with one id for each transition."""
        for _ in range(400):
            self.seconds += 15
            if not self.stored:
                break
            for to in ("hook", "phone"):
                self.send(to, "delivered")
        assert all(self.received.values())
        assert self.stored == {}
        assert len(self.ids) == len(set(self.ids.values()))


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = hypothesis.settings(stateful_step_count=30)


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_an_id_is_the_same_for_all_channels_and_after_a_restart(kind):
    ids = set()
    for _ in range(2):
        harness = Harness(channel(kind=kind), channel("other", min_severity="info"))
        harness.add(transition())
        ids |= {message.id for queue in harness.outbox.queues.values() for message in queue.messages}
    assert len(ids) == 1


def test_a_message_expires_with_the_session_of_its_underlying():
    ends = {"SPY": END_AT + dt.timedelta(minutes=15), "AAPL": END_AT}
    outbox = Outbox()
    outbox.set_channels([channel("hook")], NOW_AT)
    changed = changes(*(transition(underlying=symbol) for symbol in ends))
    outbox.add(changed, documents(changed), now_at=NOW_AT, expires_at=ends.__getitem__)
    found = {each.underlying: each.expires_at for each in outbox.queues["hook"].messages}
    assert found == ends
