import itertools
import math
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.rules import evaluating
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.evaluating import evaluate, evaluate_any, holds, matches, when
from condord.core.rules.facts import ABSENT, Between, Facts
from condord.core.rules.parsing import parse
from condord.core.rules.rule import Rule, RuleMatch
from tests.core.rules.strategies import conditions, facts_values

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
RULES = {rule.name: rule for rule in BUILT_IN}


def facts(values=None, **other):
    settings = {"scope": "condor", "subject": "SPY-1", "underlying": "SPY", "kind": "ironCondor", "direction": "short"}
    return Facts(**settings | other, values=values or {})


def possible(condition, value):
    """Every outcome of the condition, over all values that the quantity may have."""
    if value is None:
        return {True, False}
    if condition.operator is None:
        return {(value is not ABSENT and value) != condition.is_negated}
    if value is ABSENT:
        return {False}
    ends = (value.low, value.high) if isinstance(value, Between) else (value,)
    return {OPERATORS[condition.operator](end, condition.threshold) for end in ends}


def only(outcomes):
    return outcomes.pop() if len(outcomes) == 1 else None


@given(st.lists(conditions, max_size=4), facts_values())
def test_a_list_has_the_outcome_on_which_all_possible_values_agree(listed, values):
    each = [possible(condition, values.get(condition.quantity)) for condition in listed]
    outcomes = list(itertools.product(*each))
    assert evaluate(listed, facts(values)) == only({all(outcome) for outcome in outcomes})
    assert evaluate_any(listed, facts(values)) == only({any(outcome) for outcome in outcomes})


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("mark >= 1", 1.0, True),
        ("mark > 1", 1.0, False),
        ("mark <= 1", 1, True),
        ("mark < 1", 1.0, False),
        ("mark < 1", None, None),
        ("mark < 1", math.nan, None),
        ("mark < 1", Between(0.0, math.nan), None),
        ("mark < 1", ABSENT, False),
        ("mark >= 1", ABSENT, False),
        ("mark > 1", Between(1.5, 2.0), True),
        ("mark > 1", Between(0.5, 1.0), False),
        ("mark > 1", Between(1.0, 1.5), None),
        ("tested", True, True),
        ("not tested", True, False),
        ("tested", False, False),
        ("not tested", False, True),
        ("tested", None, None),
        ("not tested", None, None),
        ("tested", ABSENT, False),
        ("not tested", ABSENT, True),
        ("tested", Between(0.0, 1.0), None),
    ],
)
def test_a_condition_is_true_false_or_unknown(text, value, held):
    assert holds(parse(text), value) is held


def test_a_quantity_that_is_not_given_is_unknown():
    assert evaluate(when(RULES["stop-loss"], facts()), facts()) is None


@pytest.mark.parametrize(
    ("match", "is_matched"),
    [
        ({}, True),
        ({"underlying": ("QQQ", "SPY")}, True),
        ({"underlying": ("QQQ",)}, False),
        ({"direction": "long"}, False),
        ({"kind": "ironCondor", "direction": "short"}, True),
        ({"kind": "ironButterfly"}, False),
        ({"condor": ("SPY-1",)}, True),
        ({"condor": ("SPY-2",)}, False),
    ],
)
def test_a_rule_applies_to_the_subjects_that_its_match_names(match, is_matched):
    rule = Rule(name="r", when=(parse("tested"),), match=RuleMatch(**match))
    assert matches(rule, facts()) is is_matched


def test_a_rule_applies_only_to_subjects_of_its_scope():
    assert not matches(RULES["feed-down"], facts())
    assert matches(RULES["feed-down"], facts(scope="account", subject="account", underlying=None, kind=None))


@pytest.mark.parametrize(
    ("closing", "kind", "severity"),
    [
        (None, "ironCondor", "warning"),
        (49.9, "ironCondor", "warning"),
        (50.0, "ironCondor", "info"),
        (24.9, "ironButterfly", "warning"),
        (25.0, "ironButterfly", "info"),
    ],
)
def test_a_target_has_the_severity_info_while_an_order_closes_at_it(closing, kind, severity):
    assert evaluating.severity(RULES["profit-target"], facts(kind=kind), closing) == severity


def test_the_severity_of_other_rules_does_not_depend_on_orders():
    assert evaluating.severity(RULES["stop-loss"], facts(), 80.0) == "critical"
    wordy = Rule(name="r", when=(parse("tested"),), severity_when_closing="info")
    assert evaluating.severity(wordy, facts(), 80.0) == "warning"
