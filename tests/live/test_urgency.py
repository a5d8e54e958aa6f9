import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from condord.live import wire
from condord.live.urgency import are_orders_over, by_need, by_urgency, severity_of, symbols, urgency_of
from condord.live.wire_alerts import AlertJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

CASES = json.loads((Path(__file__).parents[2] / "web" / "tests" / "urgency.cases.json").read_text())

AS_OF = CASES["asOf"]
NOW = dt.datetime.fromisoformat(AS_OF)


def condor(case):
    if case.get("isBroken"):
        lost = documents.broken(case["id"], A=0, B=2) | {"daysToExpiration": case["days"], "unrealizedPl": case["pl"]}
        return msgspec.convert(lost, BrokenJson)
    value = documents.valuation(case["id"], unrealizedPl=case["pl"], percentOfRisk=case["percentOfRisk"])
    exits = {"target": case["target"], "stop": None}
    risk = {"breached": case.get("breached"), "tested": case.get("tested")}
    until = case.get("ordersUntil")
    cutoffs = [{"kind": kind, "at": until, "source": "config"} for kind in ("orders", "liquidation") if until]
    expiry = {"lastTradingAt": AS_OF, "settlesAt": AS_OF, "cutoffs": cutoffs}
    body = documents.condor(
        case["id"], daysToExpiration=case["days"], exits=exits, valuation=value, risk=risk, expiry=expiry
    )
    return msgspec.convert(body, CondorJson)


ALERTS = msgspec.convert(
    [documents.alert(id=str(number), **case) for number, case in enumerate(CASES["alerts"])], list[AlertJson]
)
CONDORS = [condor(case) for case in CASES["condors"]]


@pytest.mark.parametrize("case", CASES["condors"], ids=lambda case: case["id"])
def test_the_urgency_of_condors_is_the_same_as_on_the_page(case):
    assert urgency_of(condor(case), ALERTS) == case["urgency"]


def test_the_order_of_condors_is_the_same_as_on_the_page():
    shuffled = [*CONDORS[1::2], *CONDORS[::2]]
    assert sorted(shuffled, key=by_urgency(iter(ALERTS), NOW)) == CONDORS


def document():
    held = [each for each in CONDORS if isinstance(each, CondorJson)]
    broken = [each for each in CONDORS if isinstance(each, BrokenJson)]
    empty = msgspec.convert(documents.document(asOf=AS_OF), wire.Document)
    return msgspec.structs.replace(empty, condors=held, broken=broken)


def test_the_alerts_are_in_the_order_of_the_page():
    waiting = [each for each in ALERTS if each.state == "firing" and each.acknowledged_at is None]
    found = [
        each.condor_id or "account" for each in sorted(waiting, key=by_need(document())) if each.severity != "info"
    ]
    assert list(dict.fromkeys(found)) == CASES["needs"]


def test_unacknowledged_alerts_come_before_nearer_ones_and_without_a_document_the_newest_first():
    done, late, new = (
        msgspec.convert(documents.alert(id=name, condorId="open today") | changes, AlertJson)
        for name, changes in (
            ("done", {"acknowledgedAt": AS_OF}),
            ("late", {"condorId": "breached"}),
            ("new", {"condorId": None, "since": "2026-12-04T20:20:00Z"}),
        )
    )
    assert sorted([done, late, new], key=by_need(document())) == [late, new, done]
    assert sorted([done, late, new], key=by_need(None)) == [new, late, done]


def test_without_a_known_cut_off_orders_are_over_after_the_expiration():
    unread = [documents.condor(daysToExpiration=days, expiry=None) for days in (0, -1)]
    assert [are_orders_over(each, NOW) for each in msgspec.convert(unread, list[CondorJson])] == [False, True]
    lost = [documents.broken(A=1) | {"daysToExpiration": days, "expiry": None} for days in (0, -1)]
    assert [are_orders_over(each, NOW) for each in msgspec.convert(lost, list[BrokenJson])] == [False, True]


def test_the_alert_about_the_broken_part_of_a_condor_is_first():
    loss, lost = (
        msgspec.convert(documents.alert(id=rule, rule=rule, condorId="parts"), AlertJson)
        for rule in ("a-loss", "broken-condor")
    )
    assert sorted([loss, lost], key=by_need(document())) == [lost, loss]
    unknown = msgspec.structs.replace(lost, condor_id="none")
    assert sorted([unknown, loss], key=by_need(document())) == [loss, unknown]


def test_a_broken_condor_for_which_orders_are_over_comes_after_those_that_can_be_traded():
    def broken(name, until):
        cutoffs = [{"kind": "orders", "at": until, "source": "config"}]
        expiry = {"lastTradingAt": AS_OF, "settlesAt": AS_OF, "cutoffs": cutoffs}
        return documents.broken(name, A=1) | {"daysToExpiration": 0, "expiry": expiry}

    over, open_ = broken("A over", "2026-12-04T20:15:00Z"), broken("B open", "2026-12-04T20:30:00Z")
    lost = msgspec.convert([over, open_], list[BrokenJson])
    assert [are_orders_over(each, NOW) for each in lost] == [True, False]
    whole = next(each for each in CONDORS if each.id == "open today")
    ordered = sorted([lost[0], whole, lost[1]], key=by_urgency(ALERTS, NOW))
    assert [each.id for each in ordered] == ["B open", "open today", "A over"]


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


def test_the_symbols_of_condors_are_their_underlyings_and_roots_also_of_broken_ones():
    shown = documents.document(
        condors=[documents.condor(underlying="SPX", root="SPXW")], broken=[documents.broken("SPY-1", A=1)]
    )
    assert symbols(msgspec.convert(shown, wire.Document)) == ["SPX", "SPXW", "SPY"]
