import pytest

from condord.errors import NotFound
from condord.simulator.scenarios import SCENARIOS, scenario


def test_every_scenario_is_found_by_its_name_and_has_a_description():
    for known in SCENARIOS:
        assert scenario(known.name) is known
        assert known.description.endswith(".")


def test_an_unknown_scenario_names_the_nearest_and_all():
    with pytest.raises(NotFound, match="the nearest is default") as raised:
        scenario("defalt")
    assert all(known.name in raised.value.hint for known in SCENARIOS)
