import json

from condord.live import wire
from condord.live.wire_risk import ClosingOrders, DistancesJson, ModelJson, ProbabilitiesJson, RiskJson

from .accounts import EPOCH_AT


def test_the_assumptions_name_their_day_count():
    shown = json.loads(wire.encode(ModelJson(rate=0.04, dividend_yields={"SPX": 0.012})))
    assert shown == {"rate": 0.04, "dividendYields": {"SPX": 0.012}, "dayCount": "minutes/525600"}


def test_the_objects_of_a_risk_are_always_there():
    shown = json.loads(wire.encode(RiskJson(id="a", as_of=EPOCH_AT)))
    assert shown["distance"] == json.loads(wire.encode(DistancesJson()))
    assert shown["probabilities"] == json.loads(wire.encode(ProbabilitiesJson()))
    assert (shown["legs"], shown["missing"], shown["tested"]) == ([], [], None)


def test_closing_orders_name_their_condor():
    assert json.loads(wire.encode(ClosingOrders(id="a", orders=[]))) == {"id": "a", "orders": []}
