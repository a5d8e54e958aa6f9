import pytest

CONDOR = {"SPY261218P00700000": 2, "SPY261218P00710000": -2, "SPY261218C00770000": -2, "SPY261218C00780000": 2}
CLOSING = [{"symbol": symbol, "qty": -quantity // 2} for symbol, quantity in CONDOR.items()]
OPEN = "/v2/orders?status=open&nested=true&limit=500"


@pytest.fixture
def harness(make_harness):
    harness = make_harness("empty")
    positions = [{"symbol": symbol, "qty": quantity} for symbol, quantity in CONDOR.items()]
    harness.post("positions", {"positions": positions, "fill": True})
    return harness


@pytest.fixture
def order(harness):
    response = harness.post("orders", {"legs": CLOSING, "qty": 2, "limit_price": 1.25, "time_in_force": "gtc"})
    assert response.status == 200
    return response.json


def held(harness):
    return {row["symbol"]: int(row["qty"]) for row in harness.request("/v2/positions").json}


def test_a_placed_order_is_open_with_its_legs(harness, order):
    assert harness.request(OPEN).json == [order]
    assert (order["order_class"], order["limit_price"], order["time_in_force"]) == ("mleg", "1.25", "gtc")
    assert held(harness) == CONDOR


def test_a_replaced_order_is_closed_and_its_replacement_open(harness, order):
    path = f"/simulator/orders/{order['id']}"
    new = harness.request(path, method="PATCH", body={"limit_price": 1.4}, headers={}).json
    assert harness.request(OPEN).json == [new]
    assert (new["replaces"], new["limit_price"], new["qty"]) == (order["id"], "1.4", "2")
    closed = harness.request("/v2/orders?status=closed&nested=true").json
    assert [row["replaced_by"] for row in closed if row["id"] == order["id"]] == [new["id"]]
    assert harness.request(path, method="PATCH", body={}, headers={}).status == 404


def test_an_order_is_filled_in_part_and_then_cancelled(harness, order):
    assert harness.post(f"orders/{order['id']}/fill", {"qty": 1}).json["status"] == "partially_filled"
    assert held(harness) == {symbol: quantity // 2 for symbol, quantity in CONDOR.items()}
    assert [row["filled_qty"] for row in harness.request(OPEN).json] == ["1"]
    cancelled = harness.request(f"/simulator/orders/{order['id']}", method="DELETE", headers={}).json
    assert (cancelled["status"], harness.request(OPEN).json) == ("canceled", [])


def test_every_change_is_sent_to_the_trading_stream(harness, order):
    sent = harness.simulation.streams.updates_sent
    harness.request(f"/simulator/orders/{order['id']}", method="PATCH", body={}, headers={})
    assert harness.simulation.streams.updates_sent == sent + 2
    [new] = harness.request(OPEN).json
    harness.post(f"orders/{new['id']}/fill", {"prices": {"SPY261218P00710000": 2}})
    assert harness.simulation.streams.updates_sent == sent + 3
    assert held(harness) == {}


def test_a_day_order_expires_while_the_clock_runs(harness):
    harness.post("orders", {"legs": CLOSING, "qty": 1})
    harness.post("market", {"at": "2026-11-20T21:15:00Z"})
    assert harness.request(OPEN).json == []
    assert harness.request("/v2/orders?status=closed&nested=true&limit=1").json[0]["status"] == "expired"


@pytest.mark.parametrize(
    "body",
    [
        {"legs": []},
        {"legs": [{"symbol": "A", "qty": 0}]},
        {"legs": [{"symbol": "A", "qty": 1}, {"symbol": "A", "qty": -1}]},
        {"legs": CLOSING, "qty": 0},
        {"legs": CLOSING, "limit_price": "NaN"},
        {"legs": CLOSING, "time_in_force": "ioc"},
        {"legs": CLOSING, "price": 1},
    ],
)
def test_an_invalid_order_is_refused(harness, body):
    assert harness.post("orders", body).status == 400
    assert harness.request(OPEN).json == []


@pytest.mark.parametrize("body", [{"qty": 3}, {"qty": 0}, {"prices": {"SPY261218P00710000": "Infinity"}}])
def test_an_invalid_fill_is_refused(harness, order, body):
    assert harness.post(f"orders/{order['id']}/fill", body).status == 400
    assert held(harness) == CONDOR


def test_an_unknown_order_gets_404(harness):
    assert harness.post("orders/none/fill", {}).status == 404
    assert harness.request("/simulator/orders/none", method="DELETE", headers={}).status == 404


def test_a_transfer_changes_the_cash_and_is_an_activity(harness):
    cash = float(harness.request("/v2/account").json["cash"])
    assert float(harness.post("transfers", {"amount": 2500}).json["cash"]) == cash + 2500
    assert float(harness.post("transfers", {"amount": "-100.5"}).json["cash"]) == cash + 2399.5
    rows = harness.request("/v2/account/activities?activity_types=CSD,CSW&direction=asc").json
    assert sorted((row["activity_type"], row["net_amount"]) for row in rows) == [("CSD", "2500"), ("CSW", "-100.5")]


@pytest.mark.parametrize("amount", [0, "NaN", None])
def test_a_transfer_needs_an_amount(harness, amount):
    assert harness.post("transfers", {"amount": amount}).status == 400
