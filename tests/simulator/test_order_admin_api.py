import pytest

CONDOR = {"SPY261218P00700000": 2, "SPY261218P00710000": -2, "SPY261218C00770000": -2, "SPY261218C00780000": 2}
CLOSING = [{"symbol": symbol, "qty": -quantity // 2} for symbol, quantity in CONDOR.items()]
OPEN = "/v2/orders?status=open&nested=true&limit=500"


@pytest.fixture
def bench(make_bench):
    bench = make_bench("empty")
    positions = [{"symbol": symbol, "qty": quantity} for symbol, quantity in CONDOR.items()]
    bench.post("positions", {"positions": positions, "fill": True})
    return bench


@pytest.fixture
def order(bench):
    response = bench.post("orders", {"legs": CLOSING, "qty": 2, "limit_price": 1.25, "time_in_force": "gtc"})
    assert response.status == 200
    return response.json


def held(bench):
    return {row["symbol"]: int(row["qty"]) for row in bench.request("/v2/positions").json}


def test_a_placed_order_is_open_with_its_legs(bench, order):
    assert bench.request(OPEN).json == [order]
    assert (order["order_class"], order["limit_price"], order["time_in_force"]) == ("mleg", "1.25", "gtc")
    assert held(bench) == CONDOR


def test_a_replaced_order_is_closed_and_its_replacement_open(bench, order):
    path = f"/simulator/orders/{order['id']}"
    new = bench.request(path, method="PATCH", body={"limit_price": 1.4}, headers={}).json
    assert bench.request(OPEN).json == [new]
    assert (new["replaces"], new["limit_price"], new["qty"]) == (order["id"], "1.4", "2")
    closed = bench.request("/v2/orders?status=closed&nested=true").json
    assert [row["replaced_by"] for row in closed if row["id"] == order["id"]] == [new["id"]]
    assert bench.request(path, method="PATCH", body={}, headers={}).status == 404


def test_an_order_is_filled_in_part_and_then_cancelled(bench, order):
    assert bench.post(f"orders/{order['id']}/fill", {"qty": 1}).json["status"] == "partially_filled"
    assert held(bench) == {symbol: quantity // 2 for symbol, quantity in CONDOR.items()}
    assert [row["filled_qty"] for row in bench.request(OPEN).json] == ["1"]
    cancelled = bench.request(f"/simulator/orders/{order['id']}", method="DELETE", headers={}).json
    assert (cancelled["status"], bench.request(OPEN).json) == ("canceled", [])


def test_every_change_is_sent_to_the_trading_stream(bench, order):
    sent = bench.simulation.streams.updates_sent
    bench.request(f"/simulator/orders/{order['id']}", method="PATCH", body={}, headers={})
    assert bench.simulation.streams.updates_sent == sent + 2
    [new] = bench.request(OPEN).json
    bench.post(f"orders/{new['id']}/fill", {"prices": {"SPY261218P00710000": 2}})
    assert bench.simulation.streams.updates_sent == sent + 3
    assert held(bench) == {}


def test_a_day_order_expires_while_the_clock_runs(bench):
    bench.post("orders", {"legs": CLOSING, "qty": 1})
    bench.post("market", {"at": "2026-11-20T21:15:00Z"})
    assert bench.request(OPEN).json == []
    assert bench.request("/v2/orders?status=closed&nested=true&limit=1").json[0]["status"] == "expired"


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
def test_an_invalid_order_is_refused(bench, body):
    assert bench.post("orders", body).status == 400
    assert bench.request(OPEN).json == []


@pytest.mark.parametrize("body", [{"qty": 3}, {"qty": 0}, {"prices": {"SPY261218P00710000": "Infinity"}}])
def test_an_invalid_fill_is_refused(bench, order, body):
    assert bench.post(f"orders/{order['id']}/fill", body).status == 400
    assert held(bench) == CONDOR


def test_an_unknown_order_gets_404(bench):
    assert bench.post("orders/none/fill", {}).status == 404
    assert bench.request("/simulator/orders/none", method="DELETE", headers={}).status == 404


def test_a_transfer_changes_the_cash_and_is_an_activity(bench):
    cash = float(bench.request("/v2/account").json["cash"])
    assert float(bench.post("transfers", {"amount": 2500}).json["cash"]) == cash + 2500
    assert float(bench.post("transfers", {"amount": "-100.5"}).json["cash"]) == cash + 2399.5
    rows = bench.request("/v2/account/activities?activity_types=CSD,CSW&direction=asc").json
    assert sorted((row["activity_type"], row["net_amount"]) for row in rows) == [("CSD", "2500"), ("CSW", "-100.5")]


@pytest.mark.parametrize("amount", [0, "NaN", None])
def test_a_transfer_needs_an_amount(bench, amount):
    assert bench.post("transfers", {"amount": amount}).status == 400
