from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.wire_broken import left_pl

from .accounts import REPEATABLE


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ([(2, 2, -62), (2, 2, 140.5)], 78.5),
        ([(1, 1, 0.1), (1, 1, 0.2)], 0.3),
        ([(3, 3, 0.0125)], 0.0125),
        ([(1, 3, 100)], 33.33),
        ([(2, 3, 100)], 66.67),
        ([(1, 2, 0.01)], 0.01),
        ([(1, 2, -0.01)], 0),
        ([(1, 2, -0.03)], -0.01),
        ([(1, 3, 100), (1, 3, 100)], 66.66),
        ([(1, 1, 5), (1, 2, None)], None),
        ([(1, None, 5)], None),
        ([], 0),
    ],
)
def test_the_remaining_legs_have_the_profit_of_their_entries_and_a_share_of_shared_ones_to_the_cent(parts, total):
    assert left_pl(parts) == total


@pytest.mark.slow
@REPEATABLE
@given(st.integers(-(10**10), 10**10), st.integers(1, 5_000), st.data())
def test_a_share_is_within_half_a_cent_of_the_exact_one(pl_e4, quantity, data):
    held = data.draw(st.integers(1, quantity))
    exact = Fraction(pl_e4, 10_000) * held / quantity
    share = Fraction(str(left_pl([(held, quantity, pl_e4 / 10_000)])))
    assert abs(share - exact) <= Fraction(1, 200)
    if held == quantity:
        assert share == exact
    else:
        assert (share * 100).denominator == 1
