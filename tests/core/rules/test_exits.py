from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.grouping.account import group
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.exits import Exits, exits, facts_of, loss_base_e4
from condord.core.rules.rule import RuleMatch
from condord.core.rules.table import RuleOverride, rules
from tests.core.strategies import condor_holdings, e4

STRIKES, ENTRIES = (560, 570, 630, 640), ("1.21", "2.60", "2.15", "1.19")


def make_condor(quantity=2, strikes=STRIKES, entries=ENTRIES, **changed):
    """Short 560/570/630/640 for 2.35: it can make 470.00 and lose 1,530.00."""
    (condor,) = group(condor_holdings(strikes, entries, quantity, root="SPY")).condors
    return replace(condor, **changed)


def exits_of(condor, *overrides):
    """The target and the stop in dollars, with these changes of the built-in rules."""
    found = exits(rules([RuleOverride(**keys) for keys in overrides]), condor)
    return tuple(None if part is None else part / 10_000 for part in found)


OFF = {"name": "loss-of-risk", "enabled": False}


def test_the_built_in_rules_give_half_of_the_profit_and_the_nearer_of_the_two_stops():
    assert exits_of(make_condor()) == (235.0, -918.0)
    assert exits_of(make_condor(), OFF) == (235.0, -940.0)


def test_without_rules_there_is_no_target_and_no_stop():
    off = [{"name": name, "enabled": False} for name in ("profit-target", "stop-loss", "loss-of-risk")]
    assert exits((), make_condor()) == Exits()
    assert exits_of(make_condor(), *off) == (None, None)


def test_a_butterfly_has_its_own_target():
    condor = make_condor(strikes=(560, 600, 600, 640), entries=("1.00", "9.00", "9.00", "1.00"))
    assert (condor.kind, exits_of(condor)[0]) == ("ironButterfly", 800.0)


def test_a_rule_for_other_condors_or_with_a_second_condition_does_not_count():
    for when, match in (
        ("percentOfMaxProfit >= 20", RuleMatch(underlying=("QQQ",))),
        (("percentOfMaxProfit >= 20", "daysToExpiration < 9"), None),
        ("percentOfMaxProfit > 20", None),
        ("unrealizedPl >= 20", None),
    ):
        mine = {"name": "mine", "when": when, "match": match, "severity": "critical"}
        assert exits_of(make_condor(), mine) == (235.0, -918.0)


def test_the_rule_of_the_highest_severity_counts_and_among_equals_the_first_to_fire():
    early = {"name": "early", "when": "percentOfMaxProfit >= 20", "severity": "info"}
    late = {"name": "late", "when": "percentOfMaxProfit >= 80", "severity": "warning"}
    last = {"name": "last", "when": "percentOfMaxProfit >= 90", "severity": "critical"}
    assert exits_of(make_condor(), early, late)[0] == 235.0
    assert exits_of(make_condor(), early, late, last)[0] == 423.0
    soon = {"name": "soon", "when": "percentOfRisk <= -10", "severity": "warning"}
    assert exits_of(make_condor(), soon)[1] == -918.0


def test_beyond_the_possible_profit_or_loss_there_is_no_target_and_no_stop():
    stop = {"name": "stop-loss", "when": "lossMultipleOfCredit >= 4"}
    target = {"name": "profit-target", "when": "percentOfMaxProfit >= 101"}
    assert exits_of(make_condor(), OFF, stop, target) == (None, None)


def test_a_debit_has_no_multiple_of_credit():
    assert exits_of(make_condor(-2), OFF)[1] is None
    assert exits_of(make_condor(-2)) == (765.0, -282.0)
    assert loss_base_e4(make_condor(-2)) is None


def test_the_profit_of_rolls_counts_as_it_does_in_the_percentages():
    rolled = make_condor(realized_e4=e4("130"))
    assert loss_base_e4(rolled) == e4("600")
    assert exits_of(rolled, OFF) == (170.0, -1330.0)
    assert exits_of(rolled)[1] == -970.0
    lost = make_condor(realized_e4=e4("-500"))
    assert exits_of(lost) == (None, -718.0)
    assert exits_of(make_condor(realized_e4=e4("1530")), {"name": "stop-loss", "enabled": False})[1] is None


def test_a_condor_of_unknown_cost_has_no_target_and_no_stop():
    (first, *others) = make_condor().legs
    unknown = make_condor(legs=(replace(first, cost_basis_e4=None), *others), max_profit_e4=None, max_loss_e4=None)
    assert exits_of(unknown) == (None, None)
    assert loss_base_e4(unknown) is None


def test_the_facts_of_a_condor_have_every_field_that_match_compares():
    facts = facts_of(make_condor())
    assert (facts.subject, facts.underlying) == ("SPY-261218-560-570-630-640", "SPY")
    assert (facts.scope, facts.kind, facts.direction) == ("condor", "ironCondor", "short")


@pytest.mark.parametrize("sign", [1, -1])
@given(st.integers(1, 99), st.integers(-(10**6), 10**6))
def test_the_rules_fire_at_the_target_and_the_stop_and_not_one_step_before(sign, percent, realized_e4):
    condor = make_condor(realized_e4=realized_e4)
    target = RuleOverride(name="t", when=f"percentOfMaxProfit >= {percent}", severity="critical")
    stop = RuleOverride(name="s", when=f"percentOfRisk <= -{percent}")
    found = exits([*rules([target, stop])[len(BUILT_IN) :]], condor)

    def share(amount_e4, whole_e4):
        return Fraction(100 * (amount_e4 + realized_e4), whole_e4)

    profit_e4, loss_e4 = condor.max_profit_e4 + realized_e4, condor.max_loss_e4 - realized_e4
    if sign > 0:
        assert share(found.target_e4, profit_e4) >= percent > share(found.target_e4 - 1, profit_e4)
    else:
        assert share(found.stop_e4, loss_e4) <= -percent < share(found.stop_e4 + 1, loss_e4)
