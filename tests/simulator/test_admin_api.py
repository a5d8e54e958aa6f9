import pytest

from condord.simulator.faults import FAULTS


def positions(harness):
    return {row["symbol"]: row for row in harness.request("/v2/positions").json}


def test_the_state_of_a_new_simulator_is_empty(harness):
    state = harness.request("/simulator/state", headers={}).json
    assert state["streams"]["option"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert state["streams"]["stock"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert state["streams"]["trading"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert (state["scenario"], state["faults"], state["requests"]) == ("default", [], {})
    assert state["market"] == {"frozen": False, "open": True, "rate": 1.0, "speed": 1.0}


def test_all_faults_are_listed_with_a_description(harness):
    assert harness.request("/simulator/faults", headers={}).json == {
        "known": {fault.name: fault.description for fault in FAULTS},
        "active": [],
    }


def test_a_fault_is_activated_and_cleared(harness):
    response = harness.post("faults", {"fault": "rest-500", "count": 2, "seconds": 5, "path": "/v2/clock"})
    assert response.json["active"] == [{"fault": "rest-500", "count": 2, "seconds": 5.0, "args": {"path": "/v2/clock"}}]
    assert harness.request("/v2/clock").status == 500
    assert harness.request("/simulator/faults", method="DELETE", headers={}).json == {"active": []}
    assert harness.request("/v2/clock").status == 200


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
def test_an_invalid_fault_request_gets_400_with_a_message(harness, body, expected):
    response = harness.post("faults", body)
    assert response.status == 400
    assert expected in response.json["message"]
    assert harness.request("/simulator/faults").json["active"] == []


def test_the_state_counts_the_quotes_sent(harness):
    harness.post("quotes", [{"symbol": "SPY261218C00745000", "bp": 1.5, "ap": 1.6}])
    assert harness.request("/simulator/state", headers={}).json["quotesSent"] == 0
    harness.simulation.streams.offer([object()] * 3, harness.now)
    assert harness.request("/simulator/state", headers={}).json["quotesSent"] == 3


@pytest.mark.parametrize("path", ["positions", "quotes", "market", "entitlements"])
def test_unknown_keys_are_refused(harness, path):
    assert harness.post(path, {"unknown": 1}).status == 400


def test_positions_are_set_and_removed(harness):
    symbol = next(iter(positions(harness)))
    response = harness.post(
        "positions",
        [{"symbol": symbol, "qty": 0}, {"symbol": "SPY261218P00600000", "qty": -3, "avg_entry_price": 0.35}],
    )
    assert response.status == 200
    after = positions(harness)
    assert symbol not in after
    assert (after["SPY261218P00600000"]["qty"], after["SPY261218P00600000"]["cost_basis"]) == ("-3", "-105")
    assert harness.simulation.streams.updates_sent == 0


def test_filled_changes_are_one_order(harness):
    before = positions(harness)
    short = next(symbol for symbol, row in before.items() if row["qty"] == "-2")
    harness.post(
        "positions",
        {"positions": [{"symbol": short, "qty": -1}, {"symbol": "SPY261218P00600000", "qty": 1}], "fill": True},
    )
    order = harness.request("/v2/orders?status=all&nested=true&limit=1").json[0]
    assert {leg["symbol"]: leg["position_intent"] for leg in order["legs"]} == {
        short: "buy_to_close",
        "SPY261218P00600000": "buy_to_open",
    }
    assert positions(harness)[short]["qty"] == "-1"
    assert harness.simulation.streams.updates_sent == 1


def test_an_order_can_be_filled_in_part_and_then_replaced(harness):
    wings = ["SPY261218P00600000", "SPY261218P00605000"]
    for quantity, more in ((4, {"ordered": 10}), (10, {"replaces": True})):
        legs = [{"symbol": wings[0], "qty": quantity}, {"symbol": wings[1], "qty": -quantity}]
        assert harness.post("positions", {"positions": legs, "fill": True, **more}).status == 200
    new, old = harness.request("/v2/orders?status=all&nested=true&limit=2").json
    assert (old["status"], old["filled_qty"], old["replaced_by"]) == ("replaced", "4", new["id"])
    assert (new["status"], new["filled_qty"], new["replaces"]) == ("filled", "6", old["id"])


def test_a_fill_that_changes_nothing_sends_no_update(harness):
    symbol, row = next(iter(positions(harness).items()))
    harness.post("positions", {"positions": [{"symbol": symbol, "qty": int(row["qty"])}], "fill": True})
    assert harness.simulation.streams.updates_sent == 0


def test_a_pushed_quote_is_the_latest_and_stays_while_pinned(harness):
    symbol = "SPY261218C00745000"
    quote = {"symbol": symbol, "bp": 1.5, "bs": 2, "ap": 1.6, "as": 3}
    assert harness.post("quotes", {"quotes": [quote], "pin": True}).json == {"pushed": 1}
    for _ in range(100):
        harness.tick()
    latest = harness.request(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol]
    assert [latest[key] for key in ("bp", "bs", "ap", "as")] == [1.5, 2, 1.6, 3]
    harness.post("quotes", {"release": True})
    for _ in range(100):
        harness.tick()
    assert harness.request(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol] != latest


def test_changing_the_market_returns_its_state(harness):
    response = harness.post("market", {"frozen": True, "open": False, "rate": 2, "speed": 10})
    assert response.json == {"frozen": True, "open": False, "rate": 2.0, "speed": 10.0}
    assert not harness.request("/v2/clock").json["is_open"]
    assert harness.post("market", {"open": True}).json["open"]
    assert harness.post("market", {"rate": -1}).status == 400


@pytest.mark.parametrize(
    ("fault", "quantity"), [("position-vanish", None), ("position-halve", "-1"), ("position-flip", "2")]
)
def test_position_faults_change_the_account_without_an_update(harness, fault, quantity):
    symbol = next(symbol for symbol, row in positions(harness).items() if row["qty"] == "-2")
    harness.post("faults", {"fault": fault, "symbol": symbol})
    assert positions(harness).get(symbol, {}).get("qty") == quantity
    assert harness.simulation.streams.updates_sent == 0


def test_an_update_burst_sends_a_thousand_updates_and_changes_nothing(harness):
    before = positions(harness)
    harness.post("faults", {"fault": "update-burst"})
    assert harness.simulation.streams.updates_sent == 1000
    assert positions(harness) == before


def test_an_entry_that_is_not_a_number_is_refused(harness):
    before = positions(harness)
    body = {"positions": [{"symbol": "SPY261218P00600000", "qty": 1, "avg_entry_price": "NaN"}], "fill": True}
    assert harness.post("positions", body).status == 400
    assert positions(harness) == before


def test_the_clock_can_be_set_forward_but_not_back(harness):
    before = harness.request("/simulator/state", headers={}).json["at"]
    ahead = "2031-12-18T20:00:00Z"
    assert harness.post("market", {"at": ahead, "opening": "hours"}).json["open"]
    assert harness.request("/v2/clock").json["timestamp"].startswith("2031-12-18T15:00:00")
    assert harness.post("market", {"at": before}).status == 400
    assert harness.post("market", {"at": "2031-12-18T20:00:00"}).status == 400
    assert harness.request("/v2/calendar?start=2031-12-24&end=2031-12-26").json[0]["close"] == "13:00"


def test_contracts_of_index_roots_have_the_index_as_underlying(harness):
    harness.post("positions", [{"symbol": "SPXW311219P05600000", "qty": 1}, {"symbol": "SPX311219P05600000", "qty": 1}])
    for root in ("SPX", "SPXW"):
        response = harness.request(f"/v2/options/contracts/{root}311219P05600000").json
        assert (response["root_symbol"], response["underlying_symbol"], response["style"]) == (root, "SPX", "european")


def test_a_fault_gives_a_position_an_unknown_option_class(harness):
    harness.post("faults", {"fault": "rest-unknown-option-class", "count": 1})
    assert harness.request("/v2/positions").json[0]["asset_class"] == "us_exotic"


def spots(harness):
    return harness.request("/simulator/state", headers={}).json["spots"]


def test_prices_of_underlyings_are_set_and_held_until_they_are_released(harness):
    spot = spots(harness)["SPY"]
    symbol = next(
        symbol for symbol, row in positions(harness).items() if symbol.startswith("SPY") and row["qty"] == "-2"
    )
    before = positions(harness)[symbol]["current_price"]
    assert harness.post("market", {"spots": {"SPY": 700.5, "SPX": 7000}, "hold": True}).status == 200
    assert (spots(harness)["SPY"], spots(harness)["SPX"], spots(harness)["XSP"]) == (700.5, 7000.0, 700.0)
    assert positions(harness)[symbol]["current_price"] != before
    harness.tick(60)
    assert spots(harness)["SPY"] == 700.5
    harness.post("market", {"release": True})
    harness.tick(60)
    assert spots(harness)["SPY"] not in {700.5, spot}


def test_a_price_that_is_not_held_moves_on(harness):
    harness.post("market", {"spots": {"SPY": 700.5}})
    harness.tick(60)
    assert spots(harness)["SPY"] == pytest.approx(700.5, rel=0.01)
    assert spots(harness)["SPY"] != 700.5


@pytest.mark.parametrize(
    ("prices", "expected"), [({"NONE": 1, "SPY": 700}, "NONE"), ({"SPY": 0}, "spots"), ({"SPY": "x"}, "spots")]
)
def test_an_invalid_price_is_refused_and_changes_nothing(harness, prices, expected):
    before = spots(harness)
    response = harness.post("market", {"spots": prices, "frozen": True})
    assert response.status == 400
    assert expected in response.json["message"]
    assert spots(harness) == before
    assert not harness.request("/simulator/state", headers={}).json["market"]["frozen"]


def test_entitlements_are_changed_one_by_one(harness):
    everything = {"opra": False, "sip": False, "index_values": False, "symbol_limit": 200, "stock_symbol_limit": 30}
    assert harness.post("entitlements", {}).json == everything
    assert harness.request("/v1beta1/indices/latest/values?symbols=SPX").status == 403
    assert harness.post("entitlements", {"index_values": True}).json == everything | {"index_values": True}
    assert harness.request("/v1beta1/indices/latest/values?symbols=SPX").status == 200
    harness.post("entitlements", {"sip": True, "opra": True, "index_values": False, "stock_symbol_limit": 5})
    assert harness.request("/v2/stocks/snapshots?symbols=SPY&feed=sip").status == 200
    assert harness.request("/v1beta1/indices/latest/values?symbols=SPX").status == 403
    assert harness.simulation.entitlements.stock_symbol_limit == 5
    assert harness.post("entitlements", {"symbol_limit": -1}).status == 400


def test_a_pushed_quote_of_a_stock_is_its_latest_and_stays_while_pinned(harness):
    harness.post("quotes", {"quotes": [{"symbol": "SPY", "bp": 700.0, "ap": 690.0}], "pin": True})
    harness.tick(5)
    quote = harness.request("/v2/stocks/snapshots?symbols=SPY").json["SPY"]["latestQuote"]
    assert (quote["bp"], quote["ap"]) == (700.0, 690.0)
