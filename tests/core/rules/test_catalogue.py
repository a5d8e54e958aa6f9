import pytest

from condord.core.rules.catalogue import QUANTITIES, narrowest, worded
from condord.core.rules.facts import ABSENT, Between

CONDOR = """percentOfMaxProfit percentOfRisk lossMultipleOfCredit unrealizedPl dayPl mark daysToExpiration daysAtOpening
    minutesToOrderCutoff minutesToLiquidation distancePercent distanceSigmas delta theta shortDelta probabilityOfProfit
    probabilityOfTouch extrinsicLessThanDividend"""
UNDERLYING = "underlyingPrice percentChange underlyingDelta"
ACCOUNT = "accountDayPl accountUnrealizedPl accountMaxLoss optionsBuyingPower"
WORDS = """breached tested nearStrike brokenCondor uncoveredShort assignment expiresToday longPutExpiring feedDown
    blind"""


def names(**wanted):
    return {
        name for name, each in QUANTITIES.items() if all(getattr(each, key) == value for key, value in wanted.items())
    }


def test_every_quantity_and_word_has_its_scope():
    assert names(is_word=True) == set(WORDS.split())
    assert names(is_word=False, scope="condor") == set(CONDOR.split())
    assert names(is_word=False, scope="underlying") == set(UNDERLYING.split())
    assert names(is_word=False, scope="account") == set(ACCOUNT.split())
    assert names(is_word=True, scope="underlying") == {"uncoveredShort"}
    assert names(is_word=True, scope="account") == {"feedDown"}


def test_only_profit_or_loss_and_mark_have_a_basis():
    assert names(has_basis=True) == {
        *("percentOfMaxProfit", "percentOfRisk", "lossMultipleOfCredit", "unrealizedPl", "dayPl", "mark"),
        *("accountDayPl", "accountUnrealizedPl"),
    }


def test_quantities_that_change_with_the_date_are_dated():
    assert names(is_dated=True) == {
        *("daysToExpiration", "daysAtOpening", "minutesToOrderCutoff", "minutesToLiquidation"),
        *("expiresToday", "longPutExpiring"),
    }


def test_the_facts_of_the_daemon_are_words():
    expected = {"feedDown", "blind", "brokenCondor", "uncoveredShort", "assignment", "expiresToday"}
    assert names(is_daemon_fact=True) == names(is_daemon_fact=True, is_word=True) == expected


def test_the_narrowest_of_several_scopes_is_found():
    assert narrowest({"account", "underlying", "condor"}) == "condor"
    assert narrowest({"account", "underlying"}) == "underlying"
    assert narrowest({"account"}) == "account"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("percentOfMaxProfit", 48.94, "48.94 %"),
        ("percentOfRisk", -60.0, "-60 %"),
        ("lossMultipleOfCredit", 2.1, "2.1 times the credit"),
        ("unrealizedPl", -1511.0, "-1,511.00"),
        ("mark", -0.0, "0.00"),
        ("daysToExpiration", 21, "21 days"),
        ("daysToExpiration", 1, "1 day"),
        ("minutesToOrderCutoff", -5.0, "-5 minutes"),
        ("minutesToLiquidation", 0.0, "0 minutes"),
        ("distanceSigmas", -0.001, "0 sigmas"),
        ("shortDelta", 0.3, "0.30"),
        ("tested", True, "yes"),
        ("tested", False, "no"),
        ("mark", None, "not known"),
        ("extrinsicLessThanDividend", ABSENT, "does not apply"),
        ("unrealizedPl", Between(-20.0, 10.0), "-20.00 to +10.00"),
        ("lossMultipleOfCredit", Between(2.19, 2.26), "2.2 to 2.3 times the credit"),
        ("percentOfMaxProfit", Between(50.001, 50.002), "50 %"),
        ("percentOfMaxProfit", Between(98.57, 100.0), "99 to 100 %"),
        ("percentOfRisk", Between(-69.41, -68.07), "-69 to -68 %"),
        ("lossMultipleOfCredit", Between(2.04, 2.08), "2.0 to 2.1 times the credit"),
        ("lossMultipleOfCredit", Between(-0.01, 0.12), "0.0 to 0.1 times the credit"),
        ("distanceSigmas", Between(0.14, 1.26), "0.14 to 1.26 sigmas"),
        ("shortDelta", Between(0.25, 1.0), "0.25 to 1.00"),
    ],
)
def test_a_value_is_formatted_with_its_unit(name, value, text):
    assert worded(name, value) == text
