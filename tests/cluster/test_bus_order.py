import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.cluster import bus_order
from condord.cluster.bus_frames import FrameHead, head_of
from condord.cluster.bus_order import LOST_SECONDS, BusOrder
from condord.cluster.bus_publisher import BusPublisher
from condord.cluster.event_blocks import EventBlocks
from condord.live import catch_up
from condord.live.fanout import Fanout
from condord.live.published import EVERYTHING
from condord.live.replica import Replica, SourceEvent, empty_edition
from tests.examples import examples
from tests.live.accounts import C630, C650, PublishingService, position, spy, status
from tests.live.replicas import Client


def event(kind, version=None):
    return SourceEvent(kind, version, b"{}", f"event: {kind}\nid: {version}\n\n".encode())


def frame(number, *, fence=1, epoch="e", base=None, kind="delta"):
    version = f"{epoch}-{number}"
    has_id = kind in ("snapshot", "delta")
    head = FrameHead(fence, kind, version, number - 1 if base is None and kind == "delta" else base)
    return head, event(kind, version if has_id else None)


def caught_up(number=5, fence=1):
    order = BusOrder(0.0)
    assert order.catch_up(fence, [event("snapshot", f"e-{number}")], 0.0)
    return order


def passed(order, *frames, now=0.0):
    return [f"{each.name} {each.id}" for head, event in frames for each in order.take(head, event, now)]


def test_frames_in_order_are_passed_on():
    order = caught_up()
    found = passed(
        order, frame(6), frame(6, kind="alert"), frame(6, kind="heartbeat"), frame(7), frame(8, kind="snapshot")
    )
    assert found == ["delta e-6", "alert None", "heartbeat None", "delta e-7", "snapshot e-8"]
    assert (order.version, order.gaps, order.dropped, order.is_behind) == ("e-8", 0, 0, False)


@pytest.mark.parametrize(
    "late", [frame(5), frame(3), frame(5, kind="snapshot"), frame(4, kind="alert"), frame(4, kind="heartbeat")]
)
def test_late_and_duplicate_frames_are_dropped_and_counted(late):
    order = caught_up()
    assert passed(order, late) == []
    assert (order.dropped, order.is_behind) == (1, False)


@pytest.mark.parametrize("first", [frame(7), frame(6, kind="heartbeat"), frame(6, kind="alert")])
def test_after_a_gap_frames_are_held_until_the_leader_has_answered(first):
    order = caught_up()
    assert passed(order, first, frame(8), frame(9)) == []
    assert (order.is_behind, order.gaps, order.version) == (True, 1, "e-5")
    answer = [event("delta", "e-8")]
    assert [each.id for each in order.catch_up(1, answer, 0.0)] == ["e-8", "e-9"]
    assert (order.is_behind, order.gaps, order.dropped) == (False, 1, 0)


def test_a_gap_among_held_frames_is_another_gap():
    order = caught_up()
    passed(order, frame(7), frame(9))
    assert [each.id for each in order.catch_up(1, [event("delta", "e-7")], 0.0)] == ["e-7"]
    passed(order, frame(10))
    assert (order.is_behind, order.gaps) == (True, 2)
    assert [each.id for each in order.catch_up(1, [event("delta", "e-9")], 0.0)] == ["e-9", "e-10"]


def test_a_held_frame_of_an_earlier_epoch_does_not_delay_later_frames():
    order = caught_up()
    passed(order, frame(7), frame(2, epoch="f"))
    order.catch_up(1, [event("snapshot", "f-1")], 0.0)
    assert [each.id for each in order.catch_up(1, [event("delta", "f-2")], 0.0)] == ["f-2"]
    assert not order.is_behind


def test_a_snapshot_that_replaces_missed_events_counts_as_one_gap():
    def answer(number, epoch="e", resync="replayWindowPassed"):
        return [event("snapshot", f"{epoch}-{number}")._replace(resync=resync)]

    order = caught_up()
    order.begin(0.0)
    order.catch_up(1, answer(50), 0.0)
    assert order.gaps == 1
    passed(order, frame(52))
    order.catch_up(1, answer(99), 0.0)
    assert order.gaps == 2
    order.begin(0.0)
    order.catch_up(1, answer(1, "f", "unknownEpoch"), 0.0)
    assert order.gaps == 2


def test_a_snapshot_ends_a_gap():
    order = caught_up()
    assert passed(order, frame(7), frame(8, kind="snapshot"), frame(9)) == ["snapshot e-8", "delta e-9"]


def test_a_former_leader_is_ignored():
    order = caught_up(fence=7)
    late = [frame(6, fence=3), frame(6, fence=3, kind="snapshot"), frame(6, fence=3, kind="heartbeat")]
    assert passed(order, *late) == []
    assert order.dropped == 3
    assert order.catch_up(3, [event("snapshot", "e-9")], 0.0) is None
    assert order.show_stored(3, event("snapshot", "e-9")) == []
    assert order.version == "e-5"


def test_a_new_leader_is_followed_from_its_snapshot_on():
    order = caught_up()
    assert passed(order, frame(1, fence=2, epoch="f"), frame(2, fence=2, epoch="f", kind="snapshot")) == [
        "snapshot f-2"
    ]
    assert (order.fence, order.is_behind) == (2, False)
    assert [each.id for each in order.catch_up(4, [event("snapshot", "g-1")], 0.0)] == ["g-1"]
    assert order.fence == 4


def test_an_empty_answer_does_not_count():
    order = BusOrder(0.0)
    assert order.catch_up(1, [], 0.0) is None
    assert order.is_behind


def test_a_stored_snapshot_is_shown_until_the_leader_answers():
    order = BusOrder(0.0)
    assert order.show_stored(3, event("snapshot", "nonsense")) == []
    assert [each.id for each in order.show_stored(3, event("snapshot", "e-5"))] == ["e-5"]
    assert order.show_stored(3, event("snapshot", "e-5")) == []
    assert (order.is_behind, order.fence, order.version) == (True, 3, "e-5")


def test_kinds_of_later_versions_are_skipped():
    order = caught_up()
    assert passed(order, frame(5, kind="weather"), frame(6)) == ["delta e-6"]


def test_the_leader_named_is_the_newest_one():
    order = caught_up()
    order.take(FrameHead(1, "heartbeat", "e-5", None, "a:1"), event("heartbeat"), 0.0)
    passed(order, frame(6))
    assert order.leader == "a:1"
    passed(order, frame(1, fence=2, epoch="f"))
    assert order.leader == ""


def test_two_seconds_without_a_frame_are_a_loss():
    order = caught_up()
    assert order.lost(LOST_SECONDS - 0.01, is_connected=True) is None
    assert not order.is_behind
    assert order.lost(LOST_SECONDS, is_connected=True) == "leaderLost"
    assert order.lost(LOST_SECONDS, is_connected=False) == "busLost"
    order.begin(LOST_SECONDS)
    assert order.lost(LOST_SECONDS, is_connected=True) == "leaderLost"  # the bus is back, and it has not answered
    assert passed(order, frame(6), now=3.0) == []  # the status is missing
    assert order.gaps == 0
    order.catch_up(1, [event("delta", "e-6")], 3.0)
    assert order.lost(4.9, is_connected=True) is None
    passed(order, frame(6, kind="heartbeat"), now=4.9)
    assert order.lost(6.8, is_connected=True) is None


def test_following_again_restarts_the_silence_timer_and_keeps_the_fence():
    order = caught_up(fence=3)
    order.restart(100.0)
    assert (order.is_behind, order.fence) == (True, 3)
    assert order.lost(101.9, is_connected=True) is None
    assert order.lost(102.0, is_connected=True) == "leaderLost"


def test_following_again_while_the_bus_is_lost_reports_the_loss_at_once():
    order = caught_up(fence=3)
    order.restart(100.0, is_lost=True)
    assert order.lost(100.0, is_connected=False) == "busLost"
    assert order.lost(101.9, is_connected=True) == "busLost"  # the connection has not ended yet
    assert order.lost(102.0, is_connected=True) == "leaderLost"
    order.restart(200.0, is_lost=True)
    order.begin(201.0)
    assert order.lost(201.0, is_connected=True) == "leaderLost"


@pytest.mark.parametrize(("now", "seconds"), [(0.4, LOST_SECONDS), (LOST_SECONDS, 1.0)])
def test_after_a_suspension_the_leader_is_lost_until_it_answers(now, seconds):
    order = caught_up()
    assert order.note_suspension(now, seconds)
    assert order.lost(now, is_connected=True) == "leaderLost"
    assert passed(order, frame(6), frame(9, kind="snapshot"), frame(10), now=now) == []  # they have waited
    assert order.lost(now, is_connected=True) == "leaderLost"
    answer = order.catch_up(1, [event("delta", "e-8")], now)
    assert [f"{each.name} {each.id}" for each in answer] == ["delta e-8", "snapshot e-9", "delta e-10"]
    assert order.lost(now, is_connected=True) is None
    assert passed(order, frame(20, kind="snapshot"), now=now) == ["snapshot e-20"]


def test_a_leader_that_cannot_answer_after_a_suspension_is_back_with_a_later_snapshot():
    order = caught_up()
    order.note_suspension(10.0, 10.0)
    assert passed(order, frame(9, kind="snapshot"), now=11.9) == []
    assert passed(order, frame(12, kind="snapshot"), now=12.0) == ["snapshot e-12"]
    assert order.lost(12.0, is_connected=True) is None


def test_a_pause_after_which_the_last_frame_is_recent_is_not_a_loss():
    order = caught_up()
    assert not order.note_suspension(1.9, 1.8)
    assert passed(order, frame(6), now=1.9) == ["delta e-6"]


def test_frames_that_cannot_be_passed_on_do_not_keep_a_leader_from_being_lost():
    order = caught_up()
    for second in range(4):
        passed(order, frame(10 + second), now=float(second))
    assert order.lost(3.0, is_connected=True) == "leaderLost"


def test_an_answer_of_a_leader_that_publishes_nothing_does_not_end_its_silence():
    order = caught_up()
    assert order.lost(2.0, is_connected=True) == "leaderLost"
    for second in range(2, 9):
        assert order.catch_up(1, [event("delta", "e-6")], float(second)) is None
        assert order.lost(float(second), is_connected=True) == "leaderLost"
    assert passed(order, frame(6, kind="heartbeat"), now=9.0) == []
    assert [each.id for each in order.catch_up(1, [event("delta", "e-6")], 9.1)] == ["e-6"]
    assert order.lost(9.1, is_connected=True) is None


def test_a_lower_fence_is_accepted_after_the_bus_has_lost_its_state():
    order = caught_up(fence=900)
    order.start_over(1)
    assert passed(order, frame(1, epoch="f", kind="snapshot")) == ["snapshot f-1"]


def test_the_number_of_held_frames_is_bounded(monkeypatch):
    monkeypatch.setattr(bus_order, "MAX_HELD", 3)
    order = caught_up()
    passed(order, *(frame(number) for number in range(7, 12)))
    assert len(order._held) == 2
    assert [each.id for each in order.catch_up(1, [event("delta", "e-6")], 0.0)] == ["e-6"]
    assert order.is_behind


@given(st.integers(0, 2**32), st.integers(50, 300))
@settings(max_examples=examples(100))
def test_one_lost_frame_in_a_hundred_is_not_visible_to_subscribers(seed, count):
    chance = random.Random(seed)
    order, seen = caught_up(), []
    for number in range(6, 6 + count):
        if chance.random() < 0.01:
            continue
        for _ in range(1 + (chance.random() < 0.05)):
            seen += order.take(*frame(number), 0.0)
        if order.is_behind and chance.random() < 0.3:
            seen += order.catch_up(1, [event("delta", f"e-{number}")], 0.0)
    if order.is_behind or order.version != f"e-{5 + count}":
        seen += order.catch_up(1, [event("delta", f"e-{5 + count}")], 0.0)
    numbers = [int(each.id[2:]) for each in seen]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 5 + count


class ModelBus(RuleBasedStateMachine):
    """Leaders that follow each other publish on a bus that loses, repeats and delays; a follower asks for what it lacks.

    A delta names the event it follows, so the follower can check what it is given: a delta that does not follow the
    last one, and is not an answer, would be applied to the wrong document.
    """

    def __init__(self):
        super().__init__()
        self.order = BusOrder(0.0)
        self.fence, self.number = 1, 1
        self.sent = []  # frames that may still arrive
        self.answers = []  # answers that are on their way
        self.seen = []

    @property
    def epoch(self):
        return f"epoch{self.fence}"

    def see(self, events, *, is_answer=False):
        for index, each in enumerate(events or ()):
            if each.id is None:
                continue
            epoch, _, number = each.id.rpartition("-")
            if self.seen:
                last_epoch, last = self.seen[-1]
                assert int(epoch[5:]) >= int(last_epoch[5:]), "an event of a former leader was passed on"
                follows = epoch == last_epoch and int(number) == last + 1
                if each.name == "delta" and not (is_answer and index == 0):
                    assert follows
                assert epoch != last_epoch or int(number) >= last
            self.seen.append((epoch, int(number)))

    @rule(kind=st.sampled_from(["delta", "delta", "snapshot", "alert", "heartbeat"]), copies=st.integers(0, 2))
    def publish(self, kind, copies):
        if kind in ("delta", "snapshot"):
            self.number += 1
        self.sent += [frame(self.number, fence=self.fence, epoch=self.epoch, kind=kind)] * copies

    @rule(late=st.booleans())
    def take_over(self, late):
        self.fence, self.number = self.fence + 1, 1
        if not late:
            self.sent.clear()
        self.sent.append(frame(1, fence=self.fence, epoch=self.epoch, kind="snapshot"))

    @rule(count=st.integers(1, 4))
    def deliver(self, count):
        for _ in range(min(count, len(self.sent))):
            self.see(self.order.take(*self.sent.pop(0), 0.0))

    @rule(data=st.data())
    def deliver_out_of_order(self, data):
        if self.sent:
            self.see(self.order.take(*self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1))), 0.0))

    @rule()
    def connect(self):
        self.sent.clear()
        self.order.begin(0.0)

    @rule()
    def ask(self):
        if self.order.is_behind:
            resumes = self.order.version.startswith(f"{self.epoch}-")
            self.answers.append(
                (
                    self.fence,
                    event("delta" if resumes else "snapshot", f"{self.epoch}-{self.number}"),
                    self.order.version,
                )
            )

    @rule()
    def answer(self):
        if self.answers:
            fence, found, asked = self.answers.pop(0)
            # As the shell does: an answer to another question is not used.
            if asked == self.order.version and self.order.is_behind:
                self.see(self.order.catch_up(fence, [found], 0.0), is_answer=True)

    @invariant()
    def nothing_is_held_while_nothing_is_missing(self):
        assert self.order.is_behind or not self.order._held

    def teardown(self):
        self.order.begin(0.0)
        for _ in range(3):
            resumes = self.order.version.startswith(f"{self.epoch}-")
            found = event("delta" if resumes else "snapshot", f"{self.epoch}-{self.number}")
            self.see(self.order.catch_up(self.fence, [found], 0.0), is_answer=True)
        assert self.order.version == f"{self.epoch}-{self.number}"
        assert self.seen[-1] == (self.epoch, self.number)


TestModelBus = ModelBus.TestCase


class LossyBus:
    """What a publisher needs of a bus; `frames` wait to be delivered."""

    is_connected = True

    def __init__(self):
        self.frames = []

    def watch(self, changed):
        pass

    def publish(self, subject, payload, headers):
        self.frames.append((head_of(headers), payload))


class Relayed:
    """A publishing service whose events are sent on a lossy bus, and the replica of what follows it."""

    def __init__(self):
        self.service = PublishingService(spy())
        self.service.set_status(status())
        self.bus, self.reading = LossyBus(), EventBlocks()
        self.publisher = BusPublisher(self.bus, "a", snapshot=lambda: None, overtaken=lambda: None)
        self.publisher.lead(1, "a:1")
        self.upstream = self.service.subscribe(EVERYTHING)
        edition = empty_edition(1024)
        self.replica = Replica(edition, Fanout(edition, ring_size=256, follows=True))
        self.client = None
        self.order = BusOrder(0.0)
        self.former = []
        self.accounts = itertools.cycle([(*spy(), position(C650, 1)), spy()])

    def do(self, step):
        """Do one of `STEPS` before what is published is delivered, or not."""
        match step:
            case "beat":
                self.service.fanout.heartbeat(self.service.now_at)
            case "positions":
                self.service.set_positions(next(self.accounts))
            case "connect":
                self.order.begin(0.0)
            case "catch up" if self.order.is_behind:
                self.catch_up()
            case "late" if self.former:
                self.deliver(*self.former[len(self.former) // 2])
            case "move" | "twice":
                self.service.move()
            case "lose":
                self.service.move(C630)  # of another contract, so that no later event makes up for it

    def publish(self):
        for event in self.reading.feed(self.upstream.take(lambda: self.service.now_at)):
            self.publisher.take(event)

    def take(self, events):
        for event in events:
            self.replica.take(event, self.service.now, self.service.now_at)
        if self.client is None and self.replica.is_known:
            self.client = Client(Server(self))
        if self.client is not None:
            self.client.read()

    def deliver(self, head, block):
        self.former.append((head, block))
        for event in EventBlocks().feed(block):
            self.take(self.order.take(head, event, 0.0))

    def catch_up(self):
        answer = catch_up.caught_up(self.service.fanout, self.replica.resume_version, self.service.now_at)
        passed = self.order.catch_up(1, EventBlocks().feed(answer), 0.0)
        self.replica.begin()
        self.take(passed or [])


class Server:
    """What a `Client` of `tests.live.replicas` needs of a server."""

    def __init__(self, relayed):
        self.relayed, self.fanout = relayed, relayed.replica.fanout

    @property
    def now_at(self):
        return self.relayed.service.now_at

    def subscribe(self, selection, interval, version, coding):
        return self.fanout.subscribe(
            selection=selection, interval_seconds=interval, version=version, now_at=self.now_at, wake=lambda: None
        )


STEPS = ["move", "move", "move", "beat", "positions", "lose", "twice", "late", "catch up", "connect"]


@given(st.lists(st.sampled_from(STEPS), min_size=20, max_size=60))
def test_after_any_faults_of_the_bus_a_subscriber_ends_with_the_document_of_the_leader(steps):
    relayed = Relayed()
    for step in [*steps, "connect", "catch up"]:
        relayed.do(step)
        relayed.publish()
        frames, relayed.bus.frames = relayed.bus.frames, []
        for head, block in frames if step != "lose" else []:
            for _ in range(1 + (step == "twice")):
                relayed.deliver(head, block)
        if relayed.order.version == relayed.service.edition.version:
            assert relayed.client.document == relayed.service.document(EVERYTHING)
    assert relayed.order.version == relayed.service.edition.version
