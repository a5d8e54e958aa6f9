from condord.core.rules.evaluating import holds
from condord.core.rules.facts import BEYOND
from condord.core.rules.parsing import parse


def test_a_distance_beyond_the_strike_is_compared_only_with_limits_that_are_not_negative():
    decided = {text: holds(parse(f"distanceSigmas {text}"), BEYOND) for text in ("< 0", "<= 0.25", ">= 0", "< -1")}
    assert decided == {"< 0": True, "<= 0.25": True, ">= 0": False, "< -1": None}
