import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live import wire
from condord.live.wire_values import dollars, dollars_or_none, e4, e4_or_none


@pytest.mark.parametrize(
    ("amount_e4", "text"),
    [
        (0, b"0"),
        (1, b"0.0001"),
        (-1, b"-0.0001"),
        (12_000, b"1.2"),
        (20_000, b"2"),
        (-20_000, b"-2"),
        (-5_000, b"-0.5"),
        (23_500, b"2.35"),
        (10_000 * 10_000 * 1_000_000, b"10000000000"),
    ],
)
def test_dollars_are_written_as_a_person_would(amount_e4, text):
    assert wire.encode(dollars(amount_e4)) == text


@given(st.integers(-(10**13), 10**13))
def test_dollars_are_exact_to_a_hundredth_of_a_cent(amount_e4):
    written = wire.encode(dollars(amount_e4))
    assert msgspec.json.decode(written, type=float) == amount_e4 / 10_000
    assert e4(msgspec.json.decode(written)) == amount_e4
    assert b"e" not in written


def test_an_unknown_value_is_null():
    assert dollars_or_none(None) is None
    assert dollars_or_none(15_000) == 1.5
    assert e4_or_none(None) is None
    assert e4_or_none(1.5) == 15_000
