"""What the state machine of an alert is given: an event, and the values that a transition shows."""

import pytest

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.evaluating import evaluate, when
from condord.core.rules.facts import Facts
from condord.core.rules.parsing import parse
from condord.core.rules.rule import Rule
from condord.live.alert_evaluation import event_of, extent, transition_values

from .alert_parts import rule, subject

WITH_CLEAR = rule(clear="percentOfMaxProfit < 45")
RULES = {each.name: each for each in BUILT_IN}


def event(given, values, kind="ironCondor"):
    """The event of a condor with these values, for which `when` is evaluated too."""
    facts = Facts(scope="condor", subject="SPY-1", underlying="SPY", kind=kind, direction="short", values=values)
    return event_of(given, facts, held=evaluate(when(given, facts), facts))


@pytest.mark.parametrize(
    ("alert_rule", "held", "profit", "expected"),
    [
        (WITH_CLEAR, None, None, "unknown"),
        (WITH_CLEAR, True, 60.0, "holds"),
        (WITH_CLEAR, True, 40.0, "holds"),  # while `when` holds, `clear` is not looked at
        (WITH_CLEAR, False, 47.0, "lapsed"),
        (WITH_CLEAR, False, None, "lapsed"),
        (WITH_CLEAR, False, 44.0, "cleared"),
        (rule(), False, 49.0, "cleared"),
    ],
)
def test_one_evaluation_causes_one_event(alert_rule, held, profit, expected):
    assert event_of(alert_rule, subject({"percentOfMaxProfit": profit}).mark, held=held) == expected


@pytest.mark.parametrize(
    ("percent", "condor", "butterfly"),
    [
        (50.0, "holds", "holds"),
        (47.0, "lapsed", "holds"),
        (44.0, "cleared", "holds"),
        (22.0, "cleared", "lapsed"),
        (None, "unknown", "unknown"),
    ],
)
def test_between_its_two_levels_a_rule_neither_fires_nor_clears_and_a_butterfly_has_its_own_target(
    percent, condor, butterfly
):
    for kind, expected in (("ironCondor", condor), ("ironButterfly", butterfly)):
        assert event(RULES["profit-target"], {"percentOfMaxProfit": percent}, kind) == expected


def test_without_clear_a_rule_clears_when_it_does_not_hold():
    values = {"daysToExpiration": 21.0, "daysAtOpening": 30.0}
    assert event(RULES["days-left"], values) == "holds"
    assert event(RULES["days-left"], values | {"daysToExpiration": 22.0}) == "cleared"
    assert event(RULES["days-left"], values | {"daysAtOpening": None}) == "unknown"


def test_any_condition_of_clear_clears_the_rule():
    given = Rule(name="r", when=(parse("tested"),), clear=(parse("mark > 1"), parse("not nearStrike")))
    assert event(given, {"tested": False, "mark": None, "nearStrike": False}) == "cleared"
    assert event(given, {"tested": False, "mark": None, "nearStrike": True}) == "lapsed"
    assert event(given, {"tested": False, "mark": 0.0, "nearStrike": True}) == "lapsed"
    assert event(given, {"tested": True, "mark": 2.0, "nearStrike": False}) == "holds"


def test_a_transition_shows_the_first_comparison_of_a_list():
    alert_rule = rule(
        "mixed", ("nearStrike", "percentOfRisk <= -60", "delta < 5"), basis="natural", severity="critical"
    )
    about = subject({"nearStrike": True, "percentOfRisk": -61, "delta": 2.0})
    found = transition_values(alert_rule, about, about.mark, "it")
    assert found == (-61.0, -60.0, "natural", "critical", "it", None)


@pytest.mark.parametrize(("when", "expected"), [("brokenCondor", 3), ("not brokenCondor", None), ("blind", None)])
def test_only_rules_about_broken_condors_have_an_extent(when, expected):
    assert extent(rule(when=when), subject({}, lost=3)) == expected


def test_words_and_ranges_have_no_value_and_most_quantities_no_basis():
    word = transition_values(rule("word", "nearStrike"), about := subject({"nearStrike": True}), about.mark, "it")
    assert (word.value, word.threshold, word.basis) == (None, None, None)


def test_an_alert_about_the_profit_target_is_less_severe_while_an_order_closes_there():
    [target] = [each for each in BUILT_IN if each.name == "profit-target"]
    for percent, expected in ((None, "warning"), (49.0, "warning"), (50.0, "info")):
        about = subject({"percentOfMaxProfit": 55.0}, closing_percent=percent)
        assert transition_values(target, about, about.mark, "it").severity == expected
