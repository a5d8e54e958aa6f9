import threading

from hypothesis import given
from hypothesis import strategies as st

from condord import vigil
from condord.vigil import Stillness


def test_a_counter_that_moves_at_every_look_is_never_too_still():
    stillness = Stillness(2)
    assert not any(stillness.step(counter) for counter in range(100))


def test_so_many_looks_without_a_move_are_too_many_and_one_less_is_not():
    stillness = Stillness(3)
    assert [stillness.step(7) for _ in range(5)] == [False, False, False, True, True]


def test_a_move_after_a_long_stillness_begins_the_count_again():
    stillness = Stillness(3)
    assert [stillness.step(counter) for counter in (1, 1, 1, 2, 2, 2, 2)] == [False] * 6 + [True]


@given(st.integers(1, 5), st.lists(st.integers(0, 2)))
def test_it_is_too_still_where_the_last_looks_and_the_one_before_them_saw_the_same(steps, counters):
    stillness = Stillness(steps)
    for number, counter in enumerate(counters, 1):
        last = counters[max(0, number - steps - 1) : number]
        assert stillness.step(counter) is (len(last) == steps + 1 and len(set(last)) == 1)


def test_a_stack_names_lines_of_code_and_no_value():
    ready, over = threading.Event(), threading.Event()

    def wait_with(secret):
        ready.set()
        over.wait()

    thread = threading.Thread(target=wait_with, args=("hunter2",))
    thread.start()
    ready.wait()
    lines = vigil.stack(thread.ident)
    over.set()
    thread.join()
    assert any(line.startswith("test_vigil.py:") and line.endswith(" wait_with") for line in lines)
    assert "hunter2" not in "".join(lines)


def test_of_a_deep_stack_only_the_innermost_lines_are_named():
    def deep(levels):
        return deep(levels - 1) if levels else vigil.stack(threading.get_ident())

    lines = deep(100)
    assert len(lines) == vigil.FRAMES
    assert lines[0].endswith(" stack")


def test_a_thread_that_has_ended_has_no_stack():
    assert vigil.stack(-1) == []


def test_left_again_it_watches_no_more():
    with vigil.Vigil() as watch:
        watch.advance()
        (thread,) = [each for each in threading.enumerate() if each.name == "vigil"]
        assert thread.daemon
    thread.join(5)
    assert not thread.is_alive()
