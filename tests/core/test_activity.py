import datetime as dt
from fractions import Fraction

import pytest

from condord.core.activity import Split


@pytest.mark.parametrize(
    ("new", "old", "ratio"), [("4", "1", 4), ("1", "10", Fraction(1, 10)), ("1.5", "1", Fraction(3, 2))]
)
def test_a_split_has_an_exact_ratio(new, old, ratio):
    assert Split(symbol="SPY", new_shares=new, old_shares=old, day=dt.date(2026, 11, 20)).ratio == ratio
