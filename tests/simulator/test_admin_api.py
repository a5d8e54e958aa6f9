import pytest

from condord.simulator.faults import FAULTS


def positions(bench):
    return {row["symbol"]: row for row in bench.request("/v2/positions").json}


def test_the_state_of_a_new_simulator_is_empty(bench):
    state = bench.request("/simulator/state", headers={}).json
    assert state["streams"]["option"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert state["streams"]["stock"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert state["streams"]["trading"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert (state["scenario"], state["faults"], state["requests"]) == ("default", [], {})
    assert state["market"] == {"frozen": False, "open": True, "rate": 1.0, "speed": 1.0}


def test_all_faults_are_listed_with_a_description(bench):
    assert bench.request("/simulator/faults", headers={}).json == {
        "known": {fault.name: fault.description for fault in FAULTS},
        "active": [],
    }


def test_a_fault_is_activated_and_cleared(bench):
    response = bench.post("faults", {"fault": "rest-500", "count": 2, "seconds": 5, "path": "/v2/clock"})
    assert response.json["active"] == [{"fault": "rest-500", "count": 2, "seconds": 5.0, "args": {"path": "/v2/clock"}}]
    assert bench.request("/v2/clock").status == 500
    assert bench.request("/simulator/faults", method="DELETE", headers={}).json == {"active": []}
    assert bench.request("/v2/clock").status == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"fault": "rest-50"}, "rest-500"),
        ({"fault": 3}, "fault"),
        ({"fault": "clock-skew", "skew_seconds": "much"}, "skew_seconds"),
        ({"fault": "reset", "stream": "both"}, "stream"),
        ({"fault": "reset", "stream": "stocks"}, "stream"),
        ({"fault": "reset", "now": 1}, "now"),
        ({}, "fault"),
        ({"fault": "reset", "count": 0}, "count"),
        ({"fault": "reset", "count": True}, "count"),
        ({"fault": "reset", "seconds": -1}, "seconds"),
        (b"{", "truncated"),
        ([], "object"),
    ],
)
def test_an_invalid_fault_request_gets_400_with_a_message(bench, body, expected):
    response = bench.post("faults", body)
    assert response.status == 400
    assert expected in response.json["message"]
    assert bench.request("/simulator/faults").json["active"] == []


def test_the_state_counts_the_quotes_sent(bench):
    bench.post("quotes", [{"symbol": "SPY261218C00745000", "bp": 1.5, "ap": 1.6}])
    assert bench.request("/simulator/state", headers={}).json["quotesSent"] == 0
    bench.simulation.streams.offer([object()] * 3, bench.now)
    assert bench.request("/simulator/state", headers={}).json["quotesSent"] == 3


@pytest.mark.parametrize("path", ["positions", "quotes", "market", "entitlements"])
def test_unknown_keys_are_refused(bench, path):
    assert bench.post(path, {"unknown": 1}).status == 400


def test_positions_are_set_and_removed(bench):
    symbol = next(iter(positions(bench)))
    response = bench.post(
        "positions",
        [{"symbol": symbol, "qty": 0}, {"symbol": "SPY261218P00600000", "qty": -3, "avg_entry_price": 0.35}],
    )
    assert response.status == 200
    after = positions(bench)
    assert symbol not in after
    assert (after["SPY261218P00600000"]["qty"], after["SPY261218P00600000"]["cost_basis"]) == ("-3", "-105")
    assert bench.simulation.streams.updates_sent == 0


def test_filled_changes_are_one_order(bench):
    before = positions(bench)
    short = next(symbol for symbol, row in before.items() if row["qty"] == "-2")
    bench.post(
        "positions",
        {"positions": [{"symbol": short, "qty": -1}, {"symbol": "SPY261218P00600000", "qty": 1}], "fill": True},
    )
    order = bench.request("/v2/orders?status=all&nested=true&limit=1").json[0]
    assert {leg["symbol"]: leg["position_intent"] for leg in order["legs"]} == {
        short: "buy_to_close",
        "SPY261218P00600000": "buy_to_open",
    }
    assert positions(bench)[short]["qty"] == "-1"
    assert bench.simulation.streams.updates_sent == 1


def test_an_order_can_be_filled_in_part_and_then_replaced(bench):
    wings = ["SPY261218P00600000", "SPY261218P00605000"]
    for quantity, more in ((4, {"ordered": 10}), (10, {"replaces": True})):
        legs = [{"symbol": wings[0], "qty": quantity}, {"symbol": wings[1], "qty": -quantity}]
        assert bench.post("positions", {"positions": legs, "fill": True, **more}).status == 200
    new, old = bench.request("/v2/orders?status=all&nested=true&limit=2").json
    assert (old["status"], old["filled_qty"], old["replaced_by"]) == ("replaced", "4", new["id"])
    assert (new["status"], new["filled_qty"], new["replaces"]) == ("filled", "6", old["id"])


def test_a_fill_that_changes_nothing_sends_no_update(bench):
    symbol, row = next(iter(positions(bench).items()))
    bench.post("positions", {"positions": [{"symbol": symbol, "qty": int(row["qty"])}], "fill": True})
    assert bench.simulation.streams.updates_sent == 0


def test_a_pushed_quote_is_the_latest_and_stays_while_pinned(bench):
    symbol = "SPY261218C00745000"
    quote = {"symbol": symbol, "bp": 1.5, "bs": 2, "ap": 1.6, "as": 3}
    assert bench.post("quotes", {"quotes": [quote], "pin": True}).json == {"pushed": 1}
    for _ in range(100):
        bench.tick()
    latest = bench.request(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol]
    assert [latest[key] for key in ("bp", "bs", "ap", "as")] == [1.5, 2, 1.6, 3]
    bench.post("quotes", {"release": True})
    for _ in range(100):
        bench.tick()
    assert bench.request(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol] != latest


def test_changing_the_market_returns_its_state(bench):
    response = bench.post("market", {"frozen": True, "open": False, "rate": 2, "speed": 10})
    assert response.json == {"frozen": True, "open": False, "rate": 2.0, "speed": 10.0}
    assert not bench.request("/v2/clock").json["is_open"]
    assert bench.post("market", {"open": True}).json["open"]
    assert bench.post("market", {"rate": -1}).status == 400


@pytest.mark.parametrize(
    ("fault", "quantity"), [("position-vanish", None), ("position-halve", "-1"), ("position-flip", "2")]
)
def test_position_faults_change_the_account_without_an_update(bench, fault, quantity):
    symbol = next(symbol for symbol, row in positions(bench).items() if row["qty"] == "-2")
    bench.post("faults", {"fault": fault, "symbol": symbol})
    assert positions(bench).get(symbol, {}).get("qty") == quantity
    assert bench.simulation.streams.updates_sent == 0


def test_an_update_burst_sends_a_thousand_updates_and_changes_nothing(bench):
    before = positions(bench)
    bench.post("faults", {"fault": "update-burst"})
    assert bench.simulation.streams.updates_sent == 1000
    assert positions(bench) == before


def test_an_entry_that_is_not_a_number_is_refused(bench):
    before = positions(bench)
    body = {"positions": [{"symbol": "SPY261218P00600000", "qty": 1, "avg_entry_price": "NaN"}], "fill": True}
    assert bench.post("positions", body).status == 400
    assert positions(bench) == before


def test_the_clock_can_be_set_forward_but_not_back(bench):
    before = bench.request("/simulator/state", headers={}).json["at"]
    ahead = "2031-12-18T20:00:00Z"
    assert bench.post("market", {"at": ahead, "opening": "hours"}).json["open"]
    assert bench.request("/v2/clock").json["timestamp"].startswith("2031-12-18T15:00:00")
    assert bench.post("market", {"at": before}).status == 400
    assert bench.post("market", {"at": "2031-12-18T20:00:00"}).status == 400
    assert bench.request("/v2/calendar?start=2031-12-24&end=2031-12-26").json[0]["close"] == "13:00"


def test_contracts_of_index_roots_have_the_index_as_underlying(bench):
    bench.post("positions", [{"symbol": "SPXW311219P05600000", "qty": 1}, {"symbol": "SPX311219P05600000", "qty": 1}])
    for root in ("SPX", "SPXW"):
        response = bench.request(f"/v2/options/contracts/{root}311219P05600000").json
        assert (response["root_symbol"], response["underlying_symbol"], response["style"]) == (root, "SPX", "european")


def test_a_fault_gives_a_position_an_unknown_option_class(bench):
    bench.post("faults", {"fault": "rest-unknown-option-class", "count": 1})
    assert bench.request("/v2/positions").json[0]["asset_class"] == "us_exotic"


def spots(bench):
    return bench.request("/simulator/state", headers={}).json["spots"]


def test_prices_of_underlyings_are_set_and_held_until_they_are_released(bench):
    spot = spots(bench)["SPY"]
    symbol = next(symbol for symbol, row in positions(bench).items() if symbol.startswith("SPY") and row["qty"] == "-2")
    before = positions(bench)[symbol]["current_price"]
    assert bench.post("market", {"spots": {"SPY": 700.5, "SPX": 7000}, "hold": True}).status == 200
    assert (spots(bench)["SPY"], spots(bench)["SPX"], spots(bench)["XSP"]) == (700.5, 7000.0, 700.0)
    assert positions(bench)[symbol]["current_price"] != before
    bench.tick(60)
    assert spots(bench)["SPY"] == 700.5
    bench.post("market", {"release": True})
    bench.tick(60)
    assert spots(bench)["SPY"] not in {700.5, spot}


def test_a_price_that_is_not_held_moves_on(bench):
    bench.post("market", {"spots": {"SPY": 700.5}})
    bench.tick(60)
    assert spots(bench)["SPY"] == pytest.approx(700.5, rel=0.01)
    assert spots(bench)["SPY"] != 700.5


@pytest.mark.parametrize(
    ("prices", "expected"), [({"NONE": 1, "SPY": 700}, "NONE"), ({"SPY": 0}, "spots"), ({"SPY": "x"}, "spots")]
)
def test_an_invalid_price_is_refused_and_changes_nothing(bench, prices, expected):
    before = spots(bench)
    response = bench.post("market", {"spots": prices, "frozen": True})
    assert response.status == 400
    assert expected in response.json["message"]
    assert spots(bench) == before
    assert not bench.request("/simulator/state", headers={}).json["market"]["frozen"]


def test_entitlements_are_changed_one_by_one(bench):
    everything = {"opra": False, "sip": False, "index_values": False, "symbol_limit": 200, "stock_symbol_limit": 30}
    assert bench.post("entitlements", {}).json == everything
    assert bench.request("/v1beta1/indices/latest/values?symbols=SPX").status == 403
    assert bench.post("entitlements", {"index_values": True}).json == everything | {"index_values": True}
    assert bench.request("/v1beta1/indices/latest/values?symbols=SPX").status == 200
    bench.post("entitlements", {"sip": True, "opra": True, "index_values": False, "stock_symbol_limit": 5})
    assert bench.request("/v2/stocks/snapshots?symbols=SPY&feed=sip").status == 200
    assert bench.request("/v1beta1/indices/latest/values?symbols=SPX").status == 403
    assert bench.simulation.entitlements.stock_symbol_limit == 5
    assert bench.post("entitlements", {"symbol_limit": -1}).status == 400


def test_a_pushed_quote_of_a_stock_is_its_latest_and_stays_while_pinned(bench):
    bench.post("quotes", {"quotes": [{"symbol": "SPY", "bp": 700.0, "ap": 690.0}], "pin": True})
    bench.tick(5)
    quote = bench.request("/v2/stocks/snapshots?symbols=SPY").json["SPY"]["latestQuote"]
    assert (quote["bp"], quote["ap"]) == (700.0, 690.0)
