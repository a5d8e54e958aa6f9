import re
from pathlib import Path

import msgspec
import pytest

from condord.cli import max_loss
from condord.live import wire
from tests.fakes import documents

PAGE = Path(__file__).parents[2] / "web/src/maxLoss.ts"


alert = documents.alert


def document(*alerts, **changes):
    return msgspec.convert(documents.document(alerts=[*alerts], **changes), wire.Document)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rule": "long-put-expiring"}, {"SPY"}),
        ({"rule": "ex-dividend", "underlying": "QQQ"}, {"QQQ"}),
        ({"rule": "ex-dividend", "state": "ended"}, set()),
        ({"rule": "stop-loss"}, set()),
    ],
)
def test_an_underlying_may_lose_more_than_its_maximum_while_an_alert_about_that_fires(changes, expected):
    assert max_loss.may_exceed_max_loss(document(alert(**changes))) == expected


def test_a_condor_may_have_several_reasons():
    found = document(*(alert(id=rule, rule=rule) for rule in ("ex-dividend", "long-put-expiring")))
    whys = max_loss.whys_above_max_loss(found.condors[0], found)
    assert [why.partition(": ")[2] for why in whys] == [
        "Alpaca may sell the long put or not exercise it",
        "the short call may be exercised early",
    ]


@pytest.mark.parametrize(
    ("price", "style", "at", "is_shown"),
    [
        (559.0, "american", "21:15", True),  # both puts are in the money
        (569.99, "american", "21:15", True),
        (570.0, "american", "21:15", False),
        (630.0, "american", "21:15", False),
        (630.01, None, "21:15", True),
        (None, "american", "21:15", True),
        (559.0, "european", "21:15", False),  # settled in cash
        (559.0, "american", "21:14", False),
    ],
)
def test_after_its_alerts_have_ended_a_condor_may_lose_more_if_a_short_leg_was_in_the_money(price, style, at, is_shown):
    found = document(
        condors=[documents.condor(style=style, daysToExpiration=0, expiry=documents.expiry())],
        underlyings=[documents.underlying(price=price)],
        asOf=f"2026-12-18T{at}:00Z",
    )
    whys = max_loss.whys_above_max_loss(found.condors[0], found)
    why = "the loss may exceed it: which legs were exercised is not known until they are settled"
    assert whys == ([why] if is_shown else [])
    assert max_loss.may_exceed_max_loss(found) == ({"SPY"} if is_shown else set())


def test_without_its_underlying_an_expired_condor_may_have_been_exercised_in_part():
    found = document(condors=[documents.condor(expiry=None, daysToExpiration=-1)], underlyings=[])
    assert max_loss.whys_above_max_loss(found.condors[0], found)


def test_the_page_has_the_same_rules():
    [listed] = re.findall(r"RULES = \[(.*)\]", PAGE.read_text())
    for rule in re.findall(r"'(.*?)'", listed):
        assert max_loss.may_exceed_max_loss(document(alert(rule=rule)))
    assert len(re.findall(r"'(.*?)'", listed)) == 2
