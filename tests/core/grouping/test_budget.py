import pytest

from condord.core.grouping.budget import PAUSE_LEGS, SearchBudget


def test_budget_is_counted_and_never_negative():
    budget = SearchBudget(10)
    budget.spend(4)
    assert (budget.spent, budget.left) == (4, 6)
    budget.spend(40)
    assert (budget.spent, budget.left) == (44, 0)


def test_the_search_pauses_after_a_fixed_number_of_legs():
    pauses = []
    budget = SearchBudget(10 * PAUSE_LEGS, lambda: pauses.append(1))
    for _ in range(30):
        budget.spend(PAUSE_LEGS // 10)
    assert len(pauses) == 3


def test_an_error_raised_in_a_pause_ends_the_search():
    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        SearchBudget(1, give_up).spend(PAUSE_LEGS)
