from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.parsing import written

TABLE = """
profit-target     | percentOfMaxProfit >= 50                   | percentOfMaxProfit < 45     | 120 | warning
stop-loss         | lossMultipleOfCredit >= 2                  | lossMultipleOfCredit < 1.75 |  60 | critical
loss-of-risk      | percentOfRisk <= -60                       | percentOfRisk > -50         |  60 | critical
days-left         | daysToExpiration <= 21, daysAtOpening > 21 |                             |   0 | info
tested            | distanceSigmas <= 0.25                     | distanceSigmas > 0.4        | 300 | warning
breached          | distanceSigmas < 0                         | distanceSigmas > 0.15       |  60 | critical
broken-condor     | brokenCondor                               |                             |   0 | critical
uncovered-short   | uncoveredShort                             |                             |   0 | critical
assignment        | assignment                                 |                             |   0 | critical
expires-today     | expiresToday                               |                             |   0 | warning
order-cutoff      | minutesToOrderCutoff <= 60, nearStrike     | not nearStrike              |   0 | critical
ex-dividend       | extrinsicLessThanDividend > 0              |                             |   0 | warning
long-put-expiring | longPutExpiring                            |                             |   0 | warning
feed-down         | feedDown                                   |                             | 120 | warning
blind             | blind                                      |                             | 300 | warning
"""


def test_the_built_in_rules_match_the_table():
    rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    found = []
    for rule in BUILT_IN:
        when, clear = (", ".join(map(written, each)) for each in (rule.when, rule.clear))
        found.append([rule.name, when, clear, f"{rule.for_seconds:g}", rule.severity])
    assert found == rows


def test_only_the_target_differs_for_butterflies():
    (target,) = [rule for rule in BUILT_IN if rule.butterfly_when or rule.butterfly_clear]
    assert target.name == "profit-target"
    assert [written(each) for each in (*target.butterfly_when, *target.butterfly_clear)] == [
        "percentOfMaxProfit >= 25",
        "percentOfMaxProfit < 20",
    ]


def test_every_built_in_rule_is_enabled_at_mark_and_all_but_two_are_for_condors():
    assert all(rule.built_in and rule.enabled and rule.basis == "mark" for rule in BUILT_IN)
    assert {rule.name: rule.scope for rule in BUILT_IN if rule.scope != "condor"} == {
        "uncovered-short": "underlying",
        "feed-down": "account",
    }
