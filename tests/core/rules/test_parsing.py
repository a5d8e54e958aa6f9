import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.parsing import BadCondition, nearest, parse, written
from condord.core.rules.rule import Condition
from tests.core.rules.strategies import comparisons, conditions

LARGE = comparisons(("unrealizedPl", "mark"), st.integers(-(10**15), 10**15).map(lambda millionths: millionths / 10**6))
PIECES = st.sampled_from([*QUANTITIES, "not", "and", ">=", "<", "=>", "≥", "5", "-.5", "1,000", "50%", "$", " ", "\n"])


def reason(text):
    with pytest.raises(BadCondition) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "sign", "number"),
    [
        ("percentOfMaxProfit >= 50", "percentOfMaxProfit", ">=", 50.0),
        ("percentOfRisk<=-60", "percentOfRisk", "<=", -60.0),
        ("  mark\t>\n1.25  ", "mark", ">", 1.25),
        ("distanceSigmas < .25", "distanceSigmas", "<", 0.25),
        ("theta > +3.", "theta", ">", 3.0),
        ("delta < -0", "delta", "<", 0.0),
        ("accountUnrealizedPl <= -1000000000", "accountUnrealizedPl", "<=", -1e9),
    ],
)
def test_a_comparison_may_have_any_spacing_sign_and_decimals(text, name, sign, number):
    assert parse(text) == Condition(quantity=name, operator=sign, threshold=number)
    assert str(parse(text).threshold) == str(number)


def test_a_word_is_a_condition_and_not_negates_it():
    assert parse(" tested ") == Condition(quantity="tested")
    assert parse("not  nearStrike") == Condition(quantity="nearStrike", is_negated=True)


@pytest.mark.parametrize(
    ("text", "text_of_reason"),
    [
        ("", "it is empty; write a quantity"),
        ("percentOfMaxProfit >= 50%", "write the number without % or $"),
        ("unrealizedPl < $500", "write the number without % or $"),
        ("percentOfMaxProft >= 50", "unknown quantity; the nearest known name is percentOfMaxProfit"),
        ("PERCENTOFRISK <= -60", "the nearest known name is percentOfRisk"),
        ("testd", "unknown word; the nearest known name is tested"),
        ("zzz", "unknown word; known: breached, tested"),
        ("zzz > 1", "unknown quantity; known: percentOfMaxProfit, percentOfRisk"),
        ("tested >= 1", "tested is a word: write tested or not tested"),
        ("percentOfRisk", "percentOfRisk is a quantity: compare it with a number"),
        ("not percentOfRisk", "percentOfRisk is a quantity"),
        ("not percentOfRisk > 5", "not is only for words"),
        ("mark => 5", "unknown operator; the nearest is >="),
        ("mark ≤ 5", "unknown operator; the nearest is <="),
        ("mark == 5", "unknown operator; allowed are >=, <=, > and <"),
        ("tested and breached", "write a list of conditions"),
        ("mark > 1 or tested", "write two rules"),
        ("0 < mark < 5", "only one comparison"),
        ("unrealizedPl < -1,000", "without commas"),
        ("50 <= percentOfMaxProfit", "put the quantity first: percentOfMaxProfit >= 50"),
        ("mark > 1e3", "write a quantity, one of"),
        ("mark > ٣", "write a quantity, one of"),
        ("mark > x", "write a quantity, one of"),
        ("mark > 0.1234567", "at most 6 decimals"),
        ("mark > 1000000001", "from -1000000000 to 1000000000"),
        ("shortDelta >= 30", "shortDelta is a number from 0 to 1"),
        ("daysToExpiration < -1", "daysToExpiration is a number from 0"),
        ("x" * 201, "at most 200 characters"),
        ("__import__('os')", "write a quantity, one of"),
    ],
)
def test_a_text_that_is_not_a_condition_is_refused_with_what_is_allowed(text, text_of_reason):
    assert text_of_reason in reason(text)


def test_a_name_unlike_every_known_one_has_no_nearest_name():
    assert nearest("zzz", ["phone", "desk"]) is None
    assert nearest("PHONES", ["Phone", "desk"]) == "Phone"


@given(conditions | LARGE)
def test_a_condition_is_parsed_as_it_was_written(condition):
    assert parse(written(condition)) == condition


@given(st.text() | st.lists(PIECES).map("".join) | st.lists(PIECES).map(" ".join))
def test_any_text_is_parsed_or_refused(text):
    try:
        condition = parse(text)
    except BadCondition:
        assert reason(text).isprintable()
    else:
        assert parse(written(condition)) == condition
