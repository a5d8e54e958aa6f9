import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.errors import NotFound
from condord.simulator.faults import FAULTS, Faults

NOW = 100.0


@pytest.fixture
def faults():
    return Faults()


def test_every_fault_has_a_unique_name_and_a_description():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert all(fault.description.endswith(".") for fault in FAULTS)


def test_an_event_triggers_once_and_a_condition_until_it_is_cleared(faults):
    faults.activate("crossed", NOW)
    faults.activate("rest-500", NOW)
    assert [faults.trigger("crossed", NOW) is not None for _ in range(2)] == [True, False]
    assert all(faults.trigger("rest-500", NOW + 1e6) is not None for _ in range(3))
    faults.clear()
    assert faults.trigger("rest-500", NOW) is None


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_count_and_seconds_end_every_fault(faults, fault):
    faults.activate(fault, NOW, count=2, seconds=10)
    assert faults.trigger(fault, NOW + 9.9) is not None
    assert faults.trigger(fault, NOW + 10) is None
    faults.activate(fault, NOW, count=2)
    assert [faults.trigger(fault, NOW) is not None for _ in range(3)] == [True, True, False]


def test_an_event_with_seconds_triggers_until_they_are_over(faults):
    faults.activate("crossed", NOW, seconds=5)
    assert all(faults.trigger("crossed", NOW + second) is not None for second in range(5))
    assert faults.trigger("crossed", NOW + 5) is None


def test_a_fault_triggers_only_for_its_symbol_path_and_stream(faults):
    faults.activate("silent-symbol", NOW, symbol="A")
    faults.activate("rest-500", NOW, path="/v2/clock")
    faults.activate("no-pong", NOW)
    faults.activate("auth-402", NOW, stream="all")
    assert faults.trigger("silent-symbol", NOW, symbol="B") is None
    assert faults.trigger("silent-symbol", NOW, symbol="A") is not None
    assert faults.trigger("rest-500", NOW, path="/v2/positions") is None
    assert faults.trigger("rest-500", NOW, path="/v2/clock") is not None
    assert faults.trigger("no-pong", NOW, stream="trading") is None
    assert faults.trigger("no-pong", NOW, stream="option") is not None
    assert faults.trigger("auth-402", NOW, stream="trading") is not None


def test_peeking_does_not_use_a_fault(faults):
    faults.activate("crossed", NOW)
    assert faults.peek("crossed", NOW) is not None
    assert faults.peek("locked", NOW) is None
    assert faults.trigger("crossed", NOW) is not None


def test_active_targets_belong_to_active_faults(faults):
    assert faults.active_targets(NOW) == set()
    faults.activate("crossed", NOW)
    assert faults.active_targets(NOW) == {"quote"}


@given(st.text())
def test_an_unknown_fault_is_refused_with_the_names_of_all_faults(name):
    if name in {fault.name for fault in FAULTS}:
        return
    with pytest.raises(NotFound) as raised:
        Faults().activate(name, NOW)
    assert all(fault.name in raised.value.hint for fault in FAULTS)


def test_the_nearest_fault_is_named():
    with pytest.raises(NotFound, match="the nearest is reset"):
        Faults().activate("rset", NOW)
