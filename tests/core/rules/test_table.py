import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.evaluating import holds
from condord.core.rules.parsing import parse, written
from condord.core.rules.rule import RuleMatch
from condord.core.rules.table import RuleOverride, definition, faults, rules
from tests.core.rules.strategies import comparisons


def override(name="mine", **keys):
    return RuleOverride(name=name, **keys)


def rule(name="mine", **keys):
    """The rule of this name in the table that one override gives."""
    (found,) = [each for each in rules([override(name, **keys)]) if each.name == name]
    return found


def wrong(name="mine", **keys):
    """The keys with a fault, and the faults."""
    found = faults(override(name, **keys))
    return [each.key for each in found], " ".join(each.text for each in found)


def test_without_overrides_the_rules_are_the_built_in_ones():
    assert rules([]) == BUILT_IN


def test_rules_of_the_file_follow_the_built_in_ones_in_its_order():
    names = [each.name for each in rules([override("b", when="tested"), override("a", when="breached")])]
    assert names == [*(each.name for each in BUILT_IN), "b", "a"]


def test_an_override_changes_only_the_named_keys_and_keeps_its_place():
    table = rules([override("stop-loss", for_seconds=5.0, notify=(), enabled=False)])
    before, after = BUILT_IN[1], table[1]
    assert (after.for_seconds, after.notify, after.enabled) == (5.0, (), False)
    assert (after.name, after.when, after.clear, after.severity) == (
        before.name,
        before.when,
        before.clear,
        before.severity,
    )
    assert after.built_in


def test_an_override_of_when_applies_to_butterflies_too():
    changed = rule("profit-target", when="percentOfMaxProfit >= 60")
    assert (changed.butterfly_when, changed.butterfly_clear, written(changed.clear[0])) == (
        (),
        (),
        "percentOfMaxProfit < 45",
    )
    kept = rule("profit-target", clear="percentOfMaxProfit < 40")
    assert (written(kept.clear[0]), written(kept.butterfly_clear[0])) == (
        "percentOfMaxProfit < 40",
        "percentOfMaxProfit < 20",
    )


def test_a_configured_severity_also_counts_while_a_closing_order_works():
    assert rule("profit-target", severity="critical").severity_when_closing is None
    assert rule("profit-target", for_seconds=0).severity_when_closing == "info"


def test_an_empty_clear_removes_the_hysteresis():
    assert rule("stop-loss", clear=()).clear == ()


def test_a_rule_of_several_scopes_belongs_to_the_narrowest():
    assert rule(when=("tested", "accountDayPl < -500")).scope == "condor"
    assert rule(when=("percentChange < -2", "accountDayPl < -500")).scope == "underlying"
    assert rule(when="optionsBuyingPower < 1000").scope == "account"
    assert rule("stop-loss", when="accountDayPl <= -500", clear="accountDayPl > -400").scope == "account"


def test_a_text_and_a_list_of_only_that_text_are_the_same():
    assert rule(when="tested") == rule(when=("tested",))


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({}, "when", "is missing, and mine is not a built-in rule"),
        ({"name": "stop-los"}, "when", "the nearest built-in rule is stop-loss"),
        ({"name": "Stop-Loss"}, "name", "differs only in capitals from the built-in rule stop-loss"),
        ({"when": "testd"}, "when", "the nearest known name is tested"),
        ({"when": ("tested", "testd")}, "when[1]", "the nearest known name is tested"),
        ({"when": "tested", "clear": "x"}, "clear", "unknown word"),
        ({"when": ()}, "when", "1 to 8 conditions"),
        ({"when": ("tested",) * 9}, "when", "1 to 8 conditions"),
        ({"when": ("mark > 2", "mark < 1")}, "when", "can never hold"),
        ({"when": ("tested", "not tested")}, "when", "can never hold"),
        ({"when": "tested", "basis": "natural"}, "basis", "only to profit or loss and to mark"),
        ({"when": "percentChange > 1", "match": RuleMatch(kind="ironCondor")}, "match.kind", "allows only underlying"),
        ({"when": "feedDown", "match": RuleMatch(underlying=("SPY",))}, "match.underlying", "match allows nothing"),
        ({"name": "feed-down", "match": RuleMatch(condor=("X",))}, "match.condor", "the account"),
        ({"when": "tested", "clear": "accountDayPl > 0"}, "clear", "must be about the same as when: condor"),
        ({"when": "mark > 2", "clear": "mark > 1"}, "clear", "mark > 1, must not hold while when holds"),
        ({"when": "mark >= 2", "clear": "mark <= 2"}, "clear", "must not hold while when holds"),
        ({"when": "tested", "clear": "tested"}, "clear", "must not hold while when holds"),
        (
            {"name": "stop-loss", "when": "lossMultipleOfCredit >= 1"},
            "when",
            "lossMultipleOfCredit < 1.75, must not hold while when holds; name clear too",
        ),
        ({"when": "tested", "repeat_minutes": 0.5}, "repeat_minutes", "0 or at least 1"),
    ],
)
def test_a_faulty_table_is_refused_with_the_key_and_the_reason(keys, key, text):
    found, texts = wrong(**keys)
    assert found == [key]
    assert text in texts
    with pytest.raises(ValueError, match=r"^(mine|stop-los|Stop-Loss|stop-loss|feed-down): "):
        rules([override(**{"name": "mine"} | keys)])


def test_all_faults_of_a_table_are_found():
    keys, _ = wrong("Tested", when=("testd", "mark > 5%"), clear="", repeat_minutes=0.1)
    assert keys == ["when[0]", "when[1]", "clear", "name", "repeat_minutes"]


@pytest.mark.parametrize(
    "keys",
    [
        {"when": "mark > 2", "clear": "mark <= 2", "basis": "natural"},
        {"when": ("mark > 1", "mark < 2"), "clear": ("mark <= 0.5", "mark >= 2")},
        {"when": ("tested", "accountDayPl < -500"), "clear": "accountDayPl > 0"},
        {"when": "tested", "clear": "not tested", "repeat_minutes": 1.0},
        {"when": "percentChange > 1", "match": RuleMatch(underlying=("SPY",))},
        {"when": "feedDown", "match": RuleMatch()},
        {
            "when": "tested",
            "match": RuleMatch(underlying=("SPY",), direction="short", kind="ironCondor", condor=("X",)),
        },
        {"name": "stop-loss"},
        {"name": "blind", "basis": None},
    ],
)
def test_keys_that_fit_together_are_not_a_fault(keys):
    assert wrong(**keys) == ([], "")


@given(comparisons(("mark",)), comparisons(("mark",)), st.lists(st.floats(-1, 2), min_size=1))
def test_a_clear_that_is_allowed_never_holds_while_when_does(when, clear, marks):
    keys, _ = wrong(when=written(when), clear=written(clear))
    thresholds = [when.threshold, clear.threshold]
    overlap = any(holds(when, mark) and holds(clear, mark) for mark in (*marks, *thresholds, -1e9, 1e9))
    assert keys or not overlap


def test_a_definition_changes_only_with_keys_that_decide_the_state():
    before = rule(when="mark > 2", match=RuleMatch(underlying=("SPY", "QQQ")))
    same = rule(when=("mark>2.0",), match=RuleMatch(underlying=("QQQ", "SPY")), severity="info", for_seconds=9.0)
    assert definition(before) == definition(same)
    others = [
        rule(when="mark > 3", match=before.match),
        rule(when="mark > 2", clear="mark < 1", match=before.match),
        rule(when="mark > 2", basis="natural", match=before.match),
        rule(when="mark > 2"),
    ]
    assert len({definition(each) for each in (before, *others)}) == 5


def test_the_definition_of_the_profit_target_includes_its_rule_for_butterflies():
    named = rule("profit-target", when="percentOfMaxProfit >= 50", clear="percentOfMaxProfit < 45")
    assert definition(named) != definition(rule("profit-target"))
    assert named.when == (parse("percentOfMaxProfit >= 50"),)
