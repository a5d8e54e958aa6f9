import hypothesis.strategies as st
from hypothesis import given

from condord.live.settle import SettleDelay

NO_LEFTOVERS: dict[str, int] = {}
NEW_LEFTOVERS = {"A": 1, "B": -1}


def test_the_first_reading_is_shown_at_once_even_with_leftovers():
    assert SettleDelay(2.0).offer("first", NEW_LEFTOVERS, 0.0) == "first"


def test_a_reading_without_new_leftovers_is_shown_at_once():
    settling = SettleDelay(2.0)
    settling.offer("first", NEW_LEFTOVERS, 0.0)
    assert settling.offer("second", {"A": 1}, 1.0) == "second"
    assert settling.deadline is None


def test_a_reading_with_new_leftovers_is_held_back_and_then_shown_as_it_is():
    settling = SettleDelay(2.0)
    settling.offer("complete", NO_LEFTOVERS, 0.0)
    assert settling.offer("partial", NEW_LEFTOVERS, 10.0) is None
    assert settling.deadline == 12.0
    assert settling.expire(11.9) is None
    assert settling.expire(12.0) == "partial"
    assert settling.deadline is None
    assert settling.expire(13.0) is None


def test_a_reading_without_leftovers_ends_the_wait():
    settling = SettleDelay(2.0)
    settling.offer("complete", NO_LEFTOVERS, 0.0)
    settling.offer("partial", NEW_LEFTOVERS, 10.0)
    assert settling.offer("other", NO_LEFTOVERS, 10.5) == "other"
    assert settling.deadline is None


def test_readings_that_keep_changing_do_not_extend_the_wait():
    settling = SettleDelay(2.0)
    settling.offer("complete", NO_LEFTOVERS, 0.0)
    settling.offer("one", NEW_LEFTOVERS, 10.0)
    assert settling.offer("two", {"A": 2}, 11.5) is None
    assert settling.offer("three", {"A": 3}, 12.0) == "three"


def test_a_leftover_that_changes_sides_is_new():
    settling = SettleDelay(2.0)
    settling.offer("long", {"A": 2}, 0.0)
    assert settling.offer("short", {"A": -1}, 1.0) is None


def test_a_settle_time_of_zero_holds_nothing_back():
    settling = SettleDelay(0.0)
    settling.offer("complete", NO_LEFTOVERS, 0.0)
    assert settling.offer("partial", NEW_LEFTOVERS, 1.0) == "partial"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3), st.dictionaries(st.sampled_from("ABC"), st.integers(-2, 2).filter(bool)), st.booleans()
        )
    )
)
def test_the_newest_reading_is_shown_within_the_settle_time(steps):
    settling, now, shown, newest, changed_at = SettleDelay(2.0), 0.0, None, None, None
    for number, (pause, leftovers, is_reading) in enumerate(steps):
        now += pause
        if is_reading:
            newest = number
            due = settling.offer(number, leftovers, now)
        else:
            due = settling.expire(now)
        if due is not None:
            assert due == newest
            shown = due
        if shown == newest:
            changed_at = None
        elif changed_at is None:
            changed_at = now
        assert changed_at is None or now - changed_at < 2.0
