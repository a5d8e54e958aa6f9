"""What a valid configuration can never do."""

import pytest

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.lint import doubts, is_reached
from condord.core.rules.rule import RuleMatch, RuleOverride
from condord.core.rules.table import rules

LONG = RuleMatch(direction="long")


@pytest.mark.parametrize("when", ["tested", "breached", ("delta > 1", "tested"), "lossMultipleOfCredit >= 1"])
def test_what_does_not_apply_to_long_condors_never_fires_for_them(when):
    [found] = doubts(RuleOverride(name="mine", when=when, match=LONG))
    assert (found.key, found.value) == ("match.direction", "long")
    assert found.text.startswith("it can never fire: ")


@pytest.mark.parametrize(
    "override",
    [
        RuleOverride(name="mine", when="tested"),
        RuleOverride(name="mine", when="tested", match=RuleMatch(direction="short")),
        RuleOverride(name="mine", when="not tested", match=LONG),
        RuleOverride(name="mine", when="distancePercent < 1", match=LONG),
        RuleOverride(name="mine", when="tested", match=LONG, enabled=False),
        RuleOverride(name="stop-loss", severity="warning"),
    ],
)
def test_what_can_fire_is_in_no_doubt(override):
    assert doubts(override) == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("profit-targets", "profit-target"),
        ("profittarget", "profit-target"),
        ("porfit-target", "profit-target"),
        ("stop-los", "stop-loss"),
        ("stop-lost", "stop-loss"),
        ("xtested", "tested"),
        ("Blimd", "blind"),
    ],
)
def test_a_name_one_typing_error_away_from_a_built_in_rule_is_in_doubt(name, meant):
    [found] = doubts(RuleOverride(name=name, when="delta > 1"))
    assert (found.key, found.value) == ("name", name)
    assert f"did you mean {meant}?" in found.text


@pytest.mark.parametrize("name", ["mine", "half", "tested2", "my-profit-target", "stop", "breach", "days"])
def test_other_names_are_not(name):
    assert doubts(RuleOverride(name=name, when="delta > 1")) == ()


def test_a_channel_is_reached_by_severity_or_by_name():
    quiet = [RuleOverride(name=each.name, enabled=False) for each in BUILT_IN if each.severity == "critical"]
    assert is_reached("hook", "critical", rules(()))
    assert not is_reached("hook", "critical", rules(quiet))
    assert is_reached("hook", "warning", rules(quiet))
    named = RuleOverride(name="mine", when="delta > 1", severity="info", notify=("hook",))
    assert is_reached("hook", "critical", rules([*quiet, named]))
    assert not is_reached("other", "critical", rules([*quiet, named]))
    shown = [RuleOverride(name=each.name, notify=()) for each in BUILT_IN]
    assert not is_reached("hook", "info", rules(shown))
