from hypothesis import given
from hypothesis import strategies as st

from condord.core.grouping.budget import SearchBudget
from condord.core.grouping.capacity import flow, shared_out, short_bound, short_cut

LEGS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20)


@given(LEGS, st.tuples(*[st.integers(0, 9)] * 4))
def test_the_bound_on_short_condors_equals_the_maximum_flow(legs, begun):
    cut = (0, 0, 0, 0)
    for stage, held in reversed(legs):
        cut = short_cut(cut, stage, held)
    assert short_bound(cut, begun) == flow([stage for stage, _ in legs], [held for _, held in legs], begun)


@given(LEGS, st.sampled_from([0, 200, 100_000]))
def test_shares_never_exceed_the_legs_and_short_condors_get_all_if_no_long_one_is_possible(legs, budget):
    stages, left = tuple(stage for stage, _ in legs), tuple(held for _, held in legs)
    shares = shared_out(stages, left, SearchBudget(budget))
    assert all(0 <= share <= held for share, held in zip(shares, left, strict=True))
    if not flow(tuple(stage ^ 1 for stage in stages), left) and flow(stages, left):
        assert shares == left
