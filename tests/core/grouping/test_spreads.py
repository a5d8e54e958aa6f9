from hypothesis import given
from hypothesis import strategies as st

from condord.core.grouping.budget import SearchBudget
from condord.core.grouping.spreads import spreads


@st.composite
def books(draw):
    """Legs on two layers, the contracts that they have left, and how many of these must be used."""
    left = draw(st.lists(st.integers(0, 4), max_size=12))
    lows = [i for i in range(len(left)) if draw(st.booleans())]
    highs = [i for i in range(len(left)) if i not in lows]
    need = [draw(st.integers(0, held)) for held in left]
    return (lows, highs), left, need


def everything(layers, left, need, most):
    """All spreads, even and large ones first."""
    found = []
    for i in layers[0]:
        for j in layers[1]:
            quantity, least = min(left[i], left[j], most), max(need[i], need[j])
            if i < j and quantity and quantity >= least:
                found.append((left[i] != left[j], -quantity, i, j, least))
    return [(-negative, least, i, j) for _, negative, i, j, least in sorted(found)]


@given(books(), st.integers(0, 5), st.none() | st.integers(1, 6))
def test_a_limited_number_of_spreads_are_the_first_of_all_in_order(book, most, limit):
    layers, left, need = book
    assert spreads(layers, left, need, most, limit, SearchBudget(100)) == everything(layers, left, need, most)[:limit]


def test_even_spreads_come_before_larger_ones():
    found = spreads(([0, 1], [2, 3]), [1, 3, 1, 2], [0, 0, 0, 0], 3, None, SearchBudget(100))
    assert [(i, j) for _, _, i, j in found] == [(0, 2), (1, 3), (0, 3), (1, 2)]


def test_without_budget_only_even_spreads_are_found():
    layers, left, need = ([0, 1], [2, 3]), [1, 3, 1, 2], [0, 0, 0, 0]
    assert len(spreads(layers, left, need, 3, 6, SearchBudget(1))) == 4
    assert spreads(layers, left, need, 3, 6, SearchBudget(0)) == [(1, 0, 0, 2)]
