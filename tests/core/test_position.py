from hypothesis import given
from hypothesis import strategies as st

from condord.core.position import unrealized_e4
from tests.core.strategies import e4


def test_a_long_gains_when_its_mark_rises():
    assert unrealized_e4(2, 100, e4("1.50"), e4("242")) == e4("58")


def test_a_short_gains_when_its_mark_falls():
    assert unrealized_e4(-2, 100, e4("1.50"), e4("-520")) == e4("220")


def test_a_short_loses_when_its_mark_rises():
    assert unrealized_e4(-1, 100, e4("3"), e4("-200")) == e4("-100")


def test_a_worthless_long_has_lost_all_it_cost():
    assert unrealized_e4(3, 100, 0, e4("33.33")) == e4("-33.33")


def test_the_multiplier_scales_the_profit():
    assert unrealized_e4(1, 75, e4("60"), e4("2250")) == e4("2250")


def test_without_a_mark_there_is_no_profit():
    assert unrealized_e4(1, 100, None, 0) is None


def test_without_a_cost_basis_there_is_no_profit():
    assert unrealized_e4(1, 100, e4("1"), None) is None


@given(
    quantity=st.integers(-100, 100),
    multiplier=st.integers(1, 1000),
    mark_e4=st.integers(0, 10**9),
    basis_e4=st.integers(-(10**12), 10**12),
)
def test_short_contracts_lose_what_long_ones_gain(quantity, multiplier, mark_e4, basis_e4):
    bought = unrealized_e4(quantity, multiplier, mark_e4, basis_e4)
    assert unrealized_e4(-quantity, multiplier, mark_e4, -basis_e4) == -bought


@given(quantity=st.integers(-100, 100), entry_e4=st.integers(0, 10**9))
def test_at_its_entry_a_position_has_gained_nothing(quantity, entry_e4):
    assert unrealized_e4(quantity, 100, entry_e4, quantity * 100 * entry_e4) == 0
