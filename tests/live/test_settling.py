import hypothesis.strategies as st
from hypothesis import given

from condord.live.settling import Settling

WHOLE: dict[str, int] = {}
PIECES = {"A": 1, "B": -1}


def test_the_first_account_is_shown_at_once_even_in_pieces():
    assert Settling(2.0).offer("first", PIECES, 0.0) == "first"


def test_an_account_without_new_leftovers_is_shown_at_once():
    settling = Settling(2.0)
    settling.offer("first", PIECES, 0.0)
    assert settling.offer("second", {"A": 1}, 1.0) == "second"
    assert settling.deadline is None


def test_an_account_in_pieces_is_held_back_and_then_shown_as_it_is():
    settling = Settling(2.0)
    settling.offer("whole", WHOLE, 0.0)
    assert settling.offer("pieces", PIECES, 10.0) is None
    assert settling.deadline == 12.0
    assert settling.expire(11.9) is None
    assert settling.expire(12.0) == "pieces"
    assert settling.deadline is None
    assert settling.expire(13.0) is None


def test_a_reading_that_makes_it_whole_again_ends_the_wait():
    settling = Settling(2.0)
    settling.offer("whole", WHOLE, 0.0)
    settling.offer("pieces", PIECES, 10.0)
    assert settling.offer("other", WHOLE, 10.5) == "other"
    assert settling.deadline is None


def test_readings_that_keep_changing_cannot_put_it_off():
    settling = Settling(2.0)
    settling.offer("whole", WHOLE, 0.0)
    settling.offer("one", PIECES, 10.0)
    assert settling.offer("two", {"A": 2}, 11.5) is None
    assert settling.offer("three", {"A": 3}, 12.0) == "three"


def test_a_leftover_that_changes_sides_is_a_piece():
    settling = Settling(2.0)
    settling.offer("long", {"A": 2}, 0.0)
    assert settling.offer("short", {"A": -1}, 1.0) is None


def test_no_time_to_settle_holds_nothing_back():
    settling = Settling(0.0)
    settling.offer("whole", WHOLE, 0.0)
    assert settling.offer("pieces", PIECES, 1.0) == "pieces"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3), st.dictionaries(st.sampled_from("ABC"), st.integers(-2, 2).filter(bool)), st.booleans()
        )
    )
)
def test_the_newest_account_is_shown_within_the_time_to_settle(steps):
    settling, now, shown, newest, changed_at = Settling(2.0), 0.0, None, None, None
    for number, (pause, leftovers, is_reading) in enumerate(steps):
        now += pause
        if is_reading:
            newest = number
            told = settling.offer(number, leftovers, now)
        else:
            told = settling.expire(now)
        if told is not None:
            assert told == newest
            shown = told
        if shown == newest:
            changed_at = None
        elif changed_at is None:
            changed_at = now
        assert changed_at is None or now - changed_at < 2.0
