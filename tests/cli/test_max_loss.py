import re
from pathlib import Path

import msgspec
import pytest

from condord.cli import max_loss
from condord.live.wire_alerts import AlertJson
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

PAGE = Path(__file__).parents[2] / "web/src/maxLoss.ts"


def alert(**changes):
    return msgspec.convert(documents.alert(**changes), AlertJson)


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
    assert max_loss.may_exceed_max_loss([alert(**changes)]) == expected


def test_a_condor_may_have_several_reasons():
    condor = msgspec.convert(documents.condor(), CondorJson)
    firing = [alert(id=rule, rule=rule) for rule in ("ex-dividend", "long-put-expiring")]
    whys = max_loss.whys_above_max_loss(condor, firing)
    assert [why.partition(": ")[2] for why in whys] == [
        "Alpaca may sell the long put or not exercise it",
        "the short call may be exercised early",
    ]


def test_the_page_has_the_same_rules():
    [listed] = re.findall(r"RULES = \[(.*)\]", PAGE.read_text())
    for rule in re.findall(r"'(.*?)'", listed):
        assert max_loss.may_exceed_max_loss([alert(rule=rule)])
    assert len(re.findall(r"'(.*?)'", listed)) == 2
