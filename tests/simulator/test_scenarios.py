import pytest

from condord.errors import NotFound
from condord.simulator.scenarios import SCENARIOS, scenario


def test_every_scenario_is_found_by_its_name_and_says_what_it_is():
    for each in SCENARIOS:
        assert scenario(each.name) is each
        assert each.sentence.endswith(".")


def test_an_unknown_scenario_names_the_nearest_and_all():
    with pytest.raises(NotFound, match="the nearest is default") as raised:
        scenario("defalt")
    assert all(each.name in raised.value.hint for each in SCENARIOS)
