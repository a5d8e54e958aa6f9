import pytest

from condord.core.grouping.effort import PAUSE_LEGS, Effort


def test_effort_is_counted_and_never_negative():
    effort = Effort(10)
    effort.spend(4)
    assert (effort.spent, effort.left) == (4, 6)
    effort.spend(40)
    assert (effort.spent, effort.left) == (44, 0)


def test_the_search_pauses_after_a_fixed_effort():
    pauses = []
    effort = Effort(10 * PAUSE_LEGS, lambda: pauses.append(1))
    for _ in range(30):
        effort.spend(PAUSE_LEGS // 10)
    assert len(pauses) == 3


def test_an_error_raised_in_a_pause_ends_the_search():
    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Effort(1, give_up).spend(PAUSE_LEGS)
