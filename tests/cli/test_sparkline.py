import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cli.screen import Screen
from condord.cli.sparkline import BARS, sampled, sparkline

NUMBERS = st.none() | st.integers(-(10**6), 10**6)


def test_as_many_values_as_fit_are_shown_as_they_are():
    assert sampled([1, None, 3], [1, None, 3], [1, None, 3], 80) == [1, None, 3]
    assert sampled([], [], [], 80) == []


def test_each_part_shows_its_last_known_value():
    assert sampled([1, 2, 3, None, None, None], [None] * 6, [None] * 6, 3) == [2, 3, None]


def test_a_fall_and_a_rise_within_one_part_are_shown():
    last = [5] * 12
    assert sampled(last, [5, -90, *last[2:]], [*last[:10], 80, 5], 3) == [-90, 5, 80]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=60), st.integers(1, 40))
def test_the_least_value_is_always_shown_and_the_greatest_unless_both_are_in_one_part(points, width):
    last, low, high = ([point[at] for point in points] for at in range(3))
    values = sampled(last, low, high, width)
    assert len(values) == min(len(points), width)
    if known := [value for value in low if value is not None]:
        assert min(known) in values
    elif known := [value for value in high if value is not None]:
        assert max(known) in values


def test_bars_rise_from_the_least_to_the_greatest_value_and_unknown_is_blank():
    assert sparkline([-700, 0, None, 700], Screen()) == "▁▅ █"
    assert sparkline(list(range(8)), Screen()) == BARS


@pytest.mark.parametrize(("values", "line"), [([5, 5], "▄▄"), ([None], " "), ([], "")])
def test_without_a_range_there_is_a_level_line(values, line):
    assert sparkline(values, Screen()) == line


def test_gains_and_losses_are_coloured_in_runs():
    assert sparkline([-2, -1, 1, 2], Screen(colour=True)) == "\x1b[31m▁▃\x1b[0m\x1b[32m▆█\x1b[0m"
