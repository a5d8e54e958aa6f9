"""Doubts about valid rules: those that can never fire, and names, numbers and ids that look mistyped."""

import pytest

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.lint import doubts, is_reached
from condord.core.rules.rule import RuleMatch, RuleOverride
from condord.core.rules.table import rules

LONG = RuleMatch(direction="long")


@pytest.mark.parametrize("when", ["tested", "breached", ("delta > 1", "tested"), "lossMultipleOfCredit >= 1"])
def test_a_rule_for_long_condors_with_a_condition_for_short_ones_can_never_fire(when):
    [found] = doubts(RuleOverride(name="mine", when=when, match=LONG))
    assert (found.key, found.value) == ("match.direction", "long")
    assert found.text.startswith("it can never fire: ")


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("percentOfMaxProfit >= 0.5", "is in percent: 0.5 is 0.5 %; write 50 for 50 %"),
        ("percentOfRisk <= -0.6", "write -60 for -60 %"),
        (("tested", "probabilityOfProfit < 0.6"), "write 60 for 60 %"),
        ("probabilityOfTouch > 0.3", "write 30 for 30 %"),
        ("percentOfMaxProfit > 150", "at most 100 % of the maximum profit"),
        ("percentOfRisk <= -150", "at most 100 % of the maximum loss"),
        ("percentOfRisk <= 60", "negative for a loss; write -60 for one"),
        ("lossMultipleOfCredit <= -2", "a loss is positive: write >= 2"),
    ],
)
def test_a_number_with_the_wrong_sign_or_unit_raises_a_doubt(when, text):
    [found] = doubts(RuleOverride(name="mine", when=when))
    assert (found.key, found.value) == ("when", when)
    assert text in found.text


@pytest.mark.parametrize(
    "when",
    [
        "percentOfMaxProfit >= 50",
        "percentOfMaxProfit <= 0",
        "percentOfMaxProfit < 150",
        "percentOfRisk <= -60",
        "percentOfRisk >= 60",
        "percentOfRisk > -150",
        ("percentOfRisk <= 60", "daysToExpiration <= 7"),
        "lossMultipleOfCredit >= 2",
        "lossMultipleOfCredit <= -0.5",
        "lossMultipleOfCredit > -2",
        "distancePercent < 0.5",
        "shortDelta >= 0.3",
    ],
)
def test_a_plausible_number_raises_no_doubt(when):
    assert doubts(RuleOverride(name="mine", when=when)) == ()


def test_a_loss_at_natural_can_be_more_than_the_maximum():
    assert doubts(RuleOverride(name="mine", when="percentOfRisk <= -110", basis="natural")) == ()


def test_a_rule_that_is_off_or_takes_its_when_from_a_built_in_one_raises_no_doubt():
    assert doubts(RuleOverride(name="mine", when="percentOfMaxProfit >= 0.5", enabled=False)) == ()
    assert doubts(RuleOverride(name="loss-of-risk", for_seconds=5.0)) == ()


def test_a_text_that_cannot_be_the_id_of_a_condor_raises_a_doubt():
    ids = ("SPY-261218-705-715-770-780", "SPY1-261218-70.5-71-77-78-2", "BRK.B-270115-1-2-2-3")
    assert doubts(RuleOverride(name="mine", when="tested", match=RuleMatch(condor=ids))) == ()
    for wrong in ("SPY-261218", "SPY", "spy-261218-705-715-770-780", "SPY-261218-705-715-770-780-2-3"):
        [found] = doubts(RuleOverride(name="mine", when="tested", match=RuleMatch(condor=(*ids, wrong))))
        assert (found.key, found.value) == ("match.condor", [wrong])
        assert f"no condor has the id {wrong}" in found.text


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
def test_a_rule_that_can_fire_raises_no_doubt(override):
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
def test_a_name_one_typing_error_away_from_a_built_in_rule_raises_a_doubt(name, meant):
    [found] = doubts(RuleOverride(name=name, when="delta > 1"))
    assert (found.key, found.value) == ("name", name)
    assert f"did you mean {meant}?" in found.text


@pytest.mark.parametrize("name", ["mine", "half", "tested2", "my-profit-target", "stop", "breach", "days"])
def test_other_names_raise_no_doubt(name):
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
