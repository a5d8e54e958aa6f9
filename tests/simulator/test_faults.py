import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.errors import NotFound
from condord.simulator.faults import FAULTS, Faults

NOW = 100.0


def test_every_fault_has_one_name_and_a_sentence():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert all(fault.sentence.endswith(".") for fault in FAULTS)


def test_an_event_strikes_once_and_a_condition_until_it_is_cleared():
    faults = Faults()
    faults.activate("crossed", NOW)
    faults.activate("rest-500", NOW)
    assert [faults.strike("crossed", NOW) is not None for _ in range(2)] == [True, False]
    assert all(faults.strike("rest-500", NOW + 1e6) is not None for _ in range(3))
    faults.clear()
    assert faults.strike("rest-500", NOW) is None


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_count_and_seconds_end_every_fault(fault):
    faults = Faults()
    faults.activate(fault, NOW, count=2, seconds=10)
    assert faults.strike(fault, NOW + 9.9) is not None
    assert faults.strike(fault, NOW + 10) is None
    faults.activate(fault, NOW, count=2)
    assert [faults.strike(fault, NOW) is not None for _ in range(3)] == [True, True, False]


def test_an_event_with_seconds_strikes_as_often_as_it_can():
    faults = Faults()
    faults.activate("crossed", NOW, seconds=5)
    assert all(faults.strike("crossed", NOW + second) is not None for second in range(5))
    assert faults.strike("crossed", NOW + 5) is None


def test_a_fault_strikes_only_its_symbol_path_and_stream():
    faults = Faults()
    faults.activate("silent-symbol", NOW, symbol="A")
    faults.activate("rest-500", NOW, path="/v2/clock")
    faults.activate("no-pong", NOW)
    faults.activate("auth-402", NOW, stream="all")
    assert faults.strike("silent-symbol", NOW, symbol="B") is None
    assert faults.strike("silent-symbol", NOW, symbol="A") is not None
    assert faults.strike("rest-500", NOW, path="/v2/positions") is None
    assert faults.strike("rest-500", NOW, path="/v2/clock") is not None
    assert faults.strike("no-pong", NOW, stream="trading") is None
    assert faults.strike("no-pong", NOW, stream="option") is not None
    assert faults.strike("auth-402", NOW, stream="trading") is not None


def test_looking_does_not_count():
    faults = Faults()
    faults.activate("crossed", NOW)
    assert faults.look("crossed", NOW) is not None
    assert faults.look("locked", NOW) is None
    assert faults.strike("crossed", NOW) is not None


def test_places_say_where_something_may_strike():
    faults = Faults()
    assert faults.places(NOW) == set()
    faults.activate("crossed", NOW)
    assert faults.places(NOW) == {"quote"}


@given(st.text())
def test_an_unknown_fault_is_refused_with_all_names(name):
    if name in {fault.name for fault in FAULTS}:
        return
    with pytest.raises(NotFound) as raised:
        Faults().activate(name, NOW)
    assert all(fault.name in raised.value.hint for fault in FAULTS)


def test_the_nearest_fault_is_named():
    with pytest.raises(NotFound, match="the nearest is reset"):
        Faults().activate("rset", NOW)
