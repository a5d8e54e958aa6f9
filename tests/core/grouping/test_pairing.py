from hypothesis import given
from hypothesis import strategies as st

from condord.core.grouping.capacity import flow
from condord.core.grouping.pairing import paired

LEGS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20)


@given(LEGS)
def test_one_pass_joins_legs_in_strike_order_into_as_many_condors_as_possible(legs):
    stages, left = [stage for stage, _ in legs], [held for _, held in legs]
    found = paired(stages, left)
    assert sum(quantity for quantity, _ in found) == flow(stages, left)
    assert len(found) <= len(legs)
    used = [0] * len(legs)
    for quantity, indexes in found:
        assert quantity > 0
        assert list(indexes) == sorted(indexes)
        assert [stages[index] for index in indexes] == [0, 1, 2, 3]
        for index in indexes:
            used[index] += quantity
    assert all(taken <= held for taken, held in zip(used, left, strict=True))


def test_the_nearest_strikes_are_joined():
    assert paired([0, 0, 1, 2, 3, 3], [1, 1, 1, 1, 1, 1]) == [(1, (1, 2, 3, 4))]
