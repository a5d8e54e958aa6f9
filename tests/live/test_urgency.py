import json
from pathlib import Path

import msgspec
import pytest

from condord.live.urgency import by_urgency, severity_of, urgency_of
from condord.live.wire_alerts import AlertJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

CASES = json.loads((Path(__file__).parents[2] / "web" / "tests" / "urgency.cases.json").read_text())


def condor(case):
    if case.get("isBroken"):
        lost = documents.broken(case["id"], A=0, B=2) | {"daysToExpiration": case["days"], "unrealizedPl": case["pl"]}
        return msgspec.convert(lost, BrokenJson)
    value = documents.valuation(case["id"], unrealizedPl=case["pl"], percentOfRisk=case["percentOfRisk"])
    exits = {"target": case["target"], "stop": None}
    risk = {"breached": case.get("breached"), "tested": case.get("tested")}
    made = documents.condor(case["id"], daysToExpiration=case["days"], exits=exits, valuation=value, risk=risk)
    return msgspec.convert(made, CondorJson)


ALERTS = msgspec.convert(
    [documents.alert(id=str(number), **case) for number, case in enumerate(CASES["alerts"])], list[AlertJson]
)
CONDORS = [condor(case) for case in CASES["condors"]]


@pytest.mark.parametrize("case", CASES["condors"], ids=lambda case: case["id"])
def test_the_urgency_is_that_of_the_page(case):
    assert urgency_of(condor(case), ALERTS) == case["urgency"]


def test_the_order_is_that_of_the_page():
    shuffled = [*CONDORS[1::2], *CONDORS[::2]]
    assert sorted(shuffled, key=by_urgency(iter(ALERTS))) == CONDORS


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("both", "critical"),
        ("lost", "critical"),
        ("breached", "critical"),
        ("warned", "warning"),
        ("tested", "warning"),
        ("informed", "info"),
        ("resolved", None),
    ],
)
def test_the_severity_is_the_highest_of_the_alerts_and_the_state(name, severity):
    assert severity_of(next(each for each in CONDORS if each.id == name), ALERTS) == severity
