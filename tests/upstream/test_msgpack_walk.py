import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.upstream.msgpack_walk import count, elements

encode = msgspec.msgpack.encode
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=40)),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=17))
def test_the_elements_of_a_sound_array_are_found(values):
    data = encode(values)
    assert count(data) == len(values)
    assert list(elements(data)) == [encode(value) for value in values]


@pytest.mark.parametrize("size", [70_000, 300])
@pytest.mark.parametrize("kind", [bytes, str, list, dict])
def test_long_values_are_walked_over(kind, size):
    long = {
        bytes: bytes(size),
        str: "x" * size,
        list: [1] * size,
        dict: {str(number): number for number in range(size)},
    }[kind]
    data = encode([long, 1])
    assert list(elements(data)) == [encode(long), encode(1)]


def test_a_long_array_is_counted_by_its_head():
    assert count(encode([0] * 70_000)) == 70_000


@given(st.lists(VALUES, min_size=1, max_size=10), st.data())
def test_elements_before_a_cut_are_found_and_the_rest_is_one_element(values, data):
    whole = encode(values)
    cut = data.draw(st.integers(2, len(whole) - 1) if len(whole) > 2 else st.just(len(whole)))
    found = list(elements(whole[:cut]))
    sound = [encode(value) for value in values]
    assert found[:-1] == sound[: len(found) - 1]
    assert b"".join(found) == whole[1:cut]


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(encode([1, "cut"])[:-1], id="bytes missing"),
        pytest.param(encode([1, 2]) + b"x", id="bytes left over"),
        pytest.param(b"\x93\x01\xc1\x02", id="a byte that is not a value"),
        pytest.param(b"\x92\x01" + b"\x91" * 100_000 + b"\xc0", id="nesting without end"),
    ],
)
def test_msgspec_refuses_the_whole_of_a_damaged_array(damaged):
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        msgspec.msgpack.Decoder(list[msgspec.Raw]).decode(damaged)
    assert next(elements(damaged)) == b"\x01"


def test_bytes_left_over_are_one_element():
    assert list(elements(encode([1, 2]) + b"xyz")) == [b"\x01", b"\x02", b"xyz"]


def test_an_invalid_byte_is_an_element_by_itself():
    assert list(elements(b"\x93\x01\xc1\x02")) == [b"\x01", b"\xc1", b"\x02"]


def test_nesting_without_end_is_one_element():
    deep = b"\x91" * 100_000 + b"\xc0"
    assert list(elements(b"\x93\x01" + deep + b"\x02")) == [b"\x01", deep, b"\x02"]


@pytest.mark.parametrize("data", [b"", b"\xc0", b"\x81\x01\x02", b"\xdc", b"\xdc\x00", b"\xdd\x00\x00\x00"])
def test_only_an_array_has_a_count(data):
    assert count(data) is None


@given(st.binary(min_size=1, max_size=200))
def test_the_walk_over_any_bytes_ends(data):
    if count(data) is not None:
        found = list(elements(data))
        assert data.endswith(b"".join(found)) or not found
