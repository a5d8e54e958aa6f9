import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.coalescer import Coalescer

from .accounts import REPEATABLE


def test_nothing_waits_before_the_first_offer():
    coalescer = Coalescer(0.25)
    assert coalescer.deadline is None
    assert not coalescer.take(1000.0)


def test_the_first_offer_may_leave_at_once():
    coalescer = Coalescer(0.25)
    coalescer.offer(10.0)
    assert coalescer.deadline == 10.0
    assert coalescer.take(10.0)


def test_an_offer_that_was_taken_no_longer_waits():
    coalescer = Coalescer(0.25)
    coalescer.offer(10.0)
    coalescer.take(10.0)
    assert coalescer.deadline is None
    assert not coalescer.take(10.0)


def test_an_offer_within_the_window_waits_for_its_end():
    coalescer = Coalescer(0.25)
    coalescer.sent(10.0)
    coalescer.offer(10.1)
    assert coalescer.deadline == 10.25
    assert not coalescer.take(10.24)
    assert coalescer.take(10.25)


def test_a_second_offer_does_not_put_off_the_first():
    coalescer = Coalescer(0.25)
    coalescer.offer(10.0)
    coalescer.offer(10.1)
    assert coalescer.deadline == 10.0


def test_an_offer_after_a_quiet_time_may_leave_at_once():
    coalescer = Coalescer(0.25)
    coalescer.sent(10.0)
    coalescer.offer(11.0)
    assert coalescer.deadline == 11.0


def test_an_offer_that_was_taken_but_not_sent_starts_no_window():
    coalescer = Coalescer(0.25)
    coalescer.offer(10.0)
    assert coalescer.take(10.0)
    coalescer.offer(10.01)
    assert coalescer.take(10.01)


def test_a_changed_window_applies_to_the_offer_that_waits():
    coalescer = Coalescer(0.25)
    coalescer.sent(10.0)
    coalescer.offer(10.1)
    coalescer.set_window(1.0)
    assert coalescer.deadline == 11.0


steps = st.lists(st.tuples(st.sampled_from(["offer", "take", "drop"]), st.floats(0, 0.4)), max_size=60)


@pytest.mark.slow
@REPEATABLE
@given(steps, st.sampled_from([0.0, 0.05, 0.25]))
def test_two_events_are_a_window_apart_and_no_offer_waits_longer_than_one(history, window):
    coalescer, now = Coalescer(window), 100.0
    offered = sent = None
    for step, seconds in history:
        now += seconds
        if step == "offer":
            coalescer.offer(now)
            offered = now if offered is None else offered
        deadline = coalescer.deadline
        assert (deadline is None) == (offered is None)
        if deadline is not None:
            assert offered <= deadline <= offered + window
        is_due = deadline is not None and now >= deadline
        if step != "offer":
            assert coalescer.take(now) == is_due
            offered = None if is_due else offered
        if step == "take" and is_due:
            assert sent is None or now >= sent + window
            coalescer.sent(now)
            sent = now
