from hypothesis import given
from hypothesis import strategies as st

from condord.core.cost import average_e4, divide, fill_cost, split, total_e4

AVERAGES = st.integers(0, 50_000_000)
SIGNS = st.sampled_from([1, -1])


def bought(quantity, price_e6):
    """The cost of one fill of signed contracts."""
    return fill_cost(quantity * price_e6, abs(quantity))


def test_a_cost_is_quantity_times_average_rounded_to_the_cent():
    assert total_e4(bought(3, 523_333), 100) == 1_570_000
    assert total_e4(bought(-3, 1_236_667), 100) == -3_710_000
    assert total_e4(bought(1, 50), 100) == 100
    assert total_e4(bought(1, 49), 100) == 0
    assert total_e4((), 100) == 0


def test_the_parts_of_a_split_fill_cost_as_much_as_the_whole_fill():
    first, others = split(bought(3, 523_333), 1)
    assert (total_e4(first, 100), total_e4(others, 100)) == (523_300, 1_046_700)


def test_a_split_takes_from_the_first_fills_first():
    fills = (*bought(2, 1_000_000), *bought(3, 2_000_000))
    first, others = split(fills, 3)
    assert (total_e4(first, 10), total_e4(others, 10)) == (400_000, 400_000)
    assert split(fills, 0) == ((), fills)
    assert split(fills, 5) == (fills, ())


def test_an_average_covers_all_fills_and_is_positive_for_shorts_too():
    assert average_e4((*bought(-2, 1_000_000), *bought(-3, 2_000_000)), -5) == 16_000
    assert average_e4(bought(3, 523_333), 3) == 5_233


@given(st.lists(st.tuples(st.integers(1, 50), AVERAGES), min_size=1, max_size=4), SIGNS, st.data())
def test_the_parts_of_any_split_of_a_cost_add_up_to_the_whole(fills, sign, data):
    costs = tuple(part for quantity, price in fills for part in bought(sign * quantity, price))
    multiplier = data.draw(st.sampled_from([1, 10, 100, 150]))
    parts, left = [], costs
    while left:
        taken, left = split(left, data.draw(st.integers(1, sum(cost.count for cost in left))))
        parts.append(taken)
    assert sum(total_e4(part, multiplier) for part in parts) == total_e4(costs, multiplier)
    assert sum(cost.count for part in parts for cost in part) == sum(quantity for quantity, _ in fills)


@given(st.integers(1, 1000), AVERAGES, SIGNS)
def test_a_cost_is_within_half_a_cent_of_the_exact_one(quantity, price_e6, sign):
    exact_e6 = sign * quantity * price_e6 * 100
    assert abs(total_e4(bought(sign * quantity, price_e6), 100) * 100 - exact_e6) <= 5_000


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), SIGNS)
def test_division_rounds_to_the_nearest_and_halves_away_from_zero(numerator, denominator, sign):
    found = divide(numerator, sign * denominator)
    assert abs(2 * (found * sign * denominator - numerator)) <= denominator
    assert divide(-numerator, sign * denominator) == -found


@given(st.integers(-10_000, 10_000), st.integers(0, 6), st.integers(0, 6))
def test_the_shares_of_an_amount_for_a_whole_fill_add_up_to_it(amount, first, second):
    first, second = min(first, second), max(first, second)
    rest, last = split(bought(6, 1), second)
    parts = [*(part for costs in split(rest, first) for part in costs), *last]
    assert sum(part.share(amount) for part in parts) == amount


def test_an_amount_is_shared_by_contracts():
    [first], [others] = split(bought(3, 1), 1)
    assert (first.share(100), others.share(100)) == (33, 67)
