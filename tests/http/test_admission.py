import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from condord.http.admission import AdmissionControl
from tests.examples import examples

STANDINGS = st.sampled_from(["unadmitted", "waiting", "busy"])


class FakeConnection:
    """A connection that does what admission control asks of it, and records that."""

    def __init__(self, admission, *, reads_refusal=True) -> None:
        self.admission = admission
        self.reads_refusal = reads_refusal
        self.calls = []

    def give_way(self):
        self.calls.append("give way")
        if self.reads_refusal:
            self.admission.leave(self)
        else:
            self.admission.gone(self)

    def drop(self):
        self.calls.append("drop")
        self.admission.gone(self)

    def enter(self, standing="waiting"):
        """Note the standing, and return whether there was a slot."""
        is_in = self.admission.enter(self)
        self.note(standing)
        return is_in

    def note(self, standing):
        self.admission.note(self, standing)


@pytest.fixture
def admit():
    """Build admission control with `slots`, and connections for it."""

    def build(slots, connections, *, max_leaving=5):
        admission = AdmissionControl(slots=lambda: slots, max_leaving=max_leaving)
        return [FakeConnection(admission) for _ in range(connections)]

    return build


def test_the_connection_that_has_waited_longest_is_evicted(admit):
    first, second, third = admit(2, 3)
    assert [connection.enter() for connection in (first, second, third)] == [True, True, True]
    assert (first.calls, second.calls) == (["give way"], [])


def test_a_busy_connection_keeps_its_slot(admit):
    first, second, third = admit(2, 3)
    first.enter("busy")
    second.enter()
    assert third.enter()
    assert (first.calls, second.calls) == ([], ["give way"])


def test_an_unadmitted_connection_is_evicted_before_one_that_has_waited_longer(admit):
    known, first, second, *more, refused = admit(3, 7)
    known.enter()
    first.enter("unadmitted")
    second.enter("unadmitted")
    for connection in more:
        assert connection.enter("busy")
    assert [connection.calls for connection in (known, first, second)] == [["give way"]] * 3
    assert not refused.enter("unadmitted")


def test_the_newest_unadmitted_connection_is_evicted_last(admit):
    owner, *others = admit(3, 23, max_leaving=50)
    for other in others[:10]:
        other.enter("unadmitted")
    owner.enter("unadmitted")
    for other in others[10:12]:
        other.enter("unadmitted")
    assert owner.calls == []
    owner.note("busy")
    for other in others[12:]:
        other.enter("unadmitted")
    assert owner.calls == []


def test_a_connection_is_refused_while_all_others_are_busy(admit):
    first, second = admit(1, 2)
    first.enter("busy")
    assert not second.enter()
    first.admission.gone(first)
    assert second.enter()


def test_a_refused_connection_is_not_in_the_queue(admit):
    first, second, third = admit(1, 3)
    first.enter("busy")
    second.enter()
    assert not third.enter()
    assert second.calls == []


def test_a_connection_that_keeps_waiting_keeps_its_turn_and_one_that_was_busy_in_between_loses_it(admit):
    first, second, third = admit(2, 3)
    first.enter()
    second.enter()
    first.note("waiting")
    second.note("busy")
    second.note("waiting")
    third.enter()
    assert (first.calls, second.calls) == (["give way"], [])


def test_when_too_many_connections_are_leaving_the_first_ones_are_dropped(admit):
    connections = admit(1, 5, max_leaving=2)
    for connection in connections:
        connection.enter()
    calls = [connection.calls for connection in connections]
    assert calls == [["give way", "drop"], ["give way", "drop"], ["give way"], ["give way"], []]


def test_the_number_of_slots_may_change():
    slots = [1]
    admission = AdmissionControl(slots=lambda: slots[0], max_leaving=5)
    first, second = FakeConnection(admission), FakeConnection(admission)
    first.enter("busy")
    slots[0] = 2
    assert second.enter()


class AnyOrder(RuleBasedStateMachine):
    """In any order of calls the slots suffice, and no busy connection is evicted."""

    @initialize(slots=st.integers(1, 4), max_leaving=st.integers(1, 3))
    def start(self, slots, max_leaving):
        self.slots, self.max_leaving = slots, max_leaving
        self.admission = AdmissionControl(slots=lambda: self.slots, max_leaving=max_leaving)
        self.inside = []
        self.queues = {"unadmitted": [], "waiting": []}

    @rule(standing=STANDINGS, reads_refusal=st.booleans())
    def enter(self, standing, reads_refusal):
        connection = FakeConnection(self.admission, reads_refusal=reads_refusal)
        is_full = len(self.inside) >= self.slots
        longest = next(iter(self.queues["unadmitted"] + self.queues["waiting"]), None)
        assert self.admission.enter(connection) == (not is_full or longest is not None)
        if is_full and longest:
            assert longest.calls == ["give way"]
            self.forget(longest)
        if not is_full or longest:
            self.inside.append(connection)
            self.note(connection, standing)
        else:
            self.admission.leave(connection)

    @rule(data=st.data(), standing=STANDINGS)
    def change(self, data, standing):
        if self.inside:
            self.note(data.draw(st.sampled_from(self.inside)), standing)

    @rule(data=st.data(), is_closed=st.booleans())
    def go(self, data, is_closed):
        if self.inside:
            connection = data.draw(st.sampled_from(self.inside))
            (self.admission.gone if is_closed else self.admission.leave)(connection)
            self.forget(connection)

    def note(self, connection, standing):
        connection.note(standing)
        for name, queue in self.queues.items():
            if name == standing and connection not in queue:
                queue.append(connection)
            elif name != standing and connection in queue:
                queue.remove(connection)

    def forget(self, connection):
        self.inside.remove(connection)
        for queue in self.queues.values():
            if connection in queue:
                queue.remove(connection)

    @invariant()
    def only_connections_with_a_slot_are_known(self):
        if hasattr(self, "admission"):
            assert len(self.admission._inside) == len(self.inside) <= self.slots
            assert list(self.admission._unadmitted) == self.queues["unadmitted"]
            assert list(self.admission._waiting) == self.queues["waiting"]
            assert len(self.admission._leaving) <= self.max_leaving
            assert all(connection.calls == [] for connection in self.inside)


TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
TestAnyOrder.settings = settings(derandomize=True, database=None, max_examples=examples(60), stateful_step_count=25)
