import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from condord.http.door import Door


class Visitor:
    """A connection that does what the door asks of it, and tells."""

    def __init__(self, door, *, reads_why=True) -> None:
        self.door = door
        self.reads_why = reads_why
        self.heard = []

    def give_way(self):
        self.heard.append("give way")
        if self.reads_why:
            self.door.leave(self)
        else:
            self.door.gone(self)

    def drop(self):
        self.heard.append("drop")
        self.door.gone(self)


def visitors(door, count):
    return [Visitor(door) for _ in range(count)]


def come(door, visitor, *, is_waiting=True):
    is_in = door.enter(visitor)
    door.note(visitor, is_waiting=is_waiting)
    return is_in


def test_whoever_has_waited_longest_gives_way():
    door = Door(room=lambda: 2, leaving=5)
    first, second, third = visitors(door, 3)
    assert [come(door, visitor) for visitor in (first, second, third)] == [True, True, True]
    assert (first.heard, second.heard) == (["give way"], [])


def test_whoever_has_asked_keeps_its_place():
    door = Door(room=lambda: 2, leaving=5)
    first, second, third = visitors(door, 3)
    come(door, first, is_waiting=False)
    come(door, second)
    assert come(door, third)
    assert (first.heard, second.heard) == ([], ["give way"])


def test_where_all_have_asked_there_is_no_room():
    door = Door(room=lambda: 1, leaving=5)
    first, second = visitors(door, 2)
    come(door, first, is_waiting=False)
    assert not come(door, second)
    door.gone(first)
    assert come(door, second)


def test_whoever_is_refused_does_not_wait():
    door = Door(room=lambda: 1, leaving=5)
    first, second, third = visitors(door, 3)
    come(door, first, is_waiting=False)
    come(door, second)
    assert not come(door, third)
    assert second.heard == []


def test_who_goes_on_waiting_keeps_its_turn_and_who_asked_in_between_loses_it():
    door = Door(room=lambda: 2, leaving=5)
    first, second, third = visitors(door, 3)
    come(door, first)
    come(door, second)
    door.note(first, is_waiting=True)
    door.note(second, is_waiting=False)
    door.note(second, is_waiting=True)
    come(door, third)
    assert (first.heard, second.heard) == (["give way"], [])


def test_of_those_on_their_way_out_the_first_are_dropped():
    door = Door(room=lambda: 1, leaving=2)
    those = visitors(door, 5)
    for visitor in those:
        come(door, visitor)
    assert [visitor.heard for visitor in those] == [["give way", "drop"], ["give way", "drop"], *[["give way"]] * 2, []]


def test_the_room_may_change():
    room = [1]
    door = Door(room=lambda: room[0], leaving=5)
    first, second = visitors(door, 2)
    come(door, first, is_waiting=False)
    room[0] = 2
    assert come(door, second)


class AnyOrder(RuleBasedStateMachine):
    """However they come and go, there is never more than there is room for, and whoever has asked is not sent away."""

    @initialize(room=st.integers(1, 4), leaving=st.integers(1, 3))
    def start(self, room, leaving):
        self.room, self.leaving = room, leaving
        self.door = Door(room=lambda: self.room, leaving=leaving)
        self.inside, self.waiting = [], []

    @rule(is_waiting=st.booleans(), reads_why=st.booleans())
    def come(self, is_waiting, reads_why):
        visitor = Visitor(self.door, reads_why=reads_why)
        is_full, longest = len(self.inside) >= self.room, next(iter(self.waiting), None)
        assert self.door.enter(visitor) == (not is_full or longest is not None)
        if is_full and longest:
            assert longest.heard == ["give way"]
            self.forget(longest)
        if not is_full or longest:
            self.inside.append(visitor)
            self.note(visitor, is_waiting)
        else:
            self.door.leave(visitor)

    @rule(data=st.data(), is_waiting=st.booleans())
    def change(self, data, is_waiting):
        if self.inside:
            self.note(data.draw(st.sampled_from(self.inside)), is_waiting)

    @rule(data=st.data(), in_peace=st.booleans())
    def go(self, data, in_peace):
        if self.inside:
            visitor = data.draw(st.sampled_from(self.inside))
            (self.door.gone if in_peace else self.door.leave)(visitor)
            self.forget(visitor)

    def note(self, visitor, is_waiting):
        self.door.note(visitor, is_waiting=is_waiting)
        if is_waiting and visitor not in self.waiting:
            self.waiting.append(visitor)
        elif not is_waiting and visitor in self.waiting:
            self.waiting.remove(visitor)

    def forget(self, visitor):
        self.inside.remove(visitor)
        if visitor in self.waiting:
            self.waiting.remove(visitor)

    @invariant()
    def few_are_known(self):
        if hasattr(self, "door"):
            assert len(self.door._inside) == len(self.inside) <= self.room
            assert list(self.door._waiting) == self.waiting
            assert len(self.door._leaving) <= self.leaving
            assert all(visitor.heard == [] for visitor in self.inside)


TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
TestAnyOrder.settings = settings(derandomize=True, database=None, max_examples=60, stateful_step_count=25)
