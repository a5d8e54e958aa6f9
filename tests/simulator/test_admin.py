import pytest

from condord.simulator.faults import FAULTS


def post(bench, path, body):
    return bench.ask(f"/simulator/{path}", method="POST", body=body, headers={})


def positions(bench):
    return {row["symbol"]: row for row in bench.ask("/v2/positions").json}


def test_the_state_starts_empty(bench):
    state = bench.ask("/simulator/state", headers={}).json
    assert state["streams"]["option"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert state["streams"]["trading"] == {"open": [], "accepted": 0, "maxOpen": 0}
    assert (state["scenario"], state["faults"], state["requests"]) == ("default", [], {})
    assert state["market"] == {"frozen": False, "open": True, "rate": 1.0, "speed": 1.0}


def test_all_faults_are_listed_with_a_sentence(bench):
    assert bench.ask("/simulator/faults", headers={}).json == {
        "known": {fault.name: fault.sentence for fault in FAULTS},
        "active": [],
    }


def test_a_fault_is_activated_and_cleared(bench):
    answer = post(bench, "faults", {"fault": "rest-500", "count": 2, "seconds": 5, "path": "/v2/clock"})
    assert answer.json["active"] == [{"fault": "rest-500", "count": 2, "seconds": 5.0, "args": {"path": "/v2/clock"}}]
    assert bench.ask("/v2/clock").status == 500
    assert bench.ask("/simulator/faults", method="DELETE", headers={}).json == {"active": []}
    assert bench.ask("/v2/clock").status == 200


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"fault": "rest-50"}, "rest-500"),
        ({"fault": 3}, "fault"),
        ({"fault": "clock-skew", "skew_seconds": "much"}, "skew_seconds"),
        ({"fault": "reset", "stream": "both"}, "stream"),
        ({"fault": "reset", "now": 1}, "now"),
        ({}, "fault"),
        ({"fault": "reset", "count": 0}, "count"),
        ({"fault": "reset", "count": True}, "count"),
        ({"fault": "reset", "seconds": -1}, "seconds"),
        (b"{", "truncated"),
        ([], "object"),
    ],
)
def test_what_cannot_be_understood_is_400_with_a_sentence(bench, body, word):
    answer = post(bench, "faults", body)
    assert answer.status == 400
    assert word in answer.json["message"]
    assert bench.ask("/simulator/faults").json["active"] == []


def test_the_state_counts_the_quotes_sent(bench):
    post(bench, "quotes", [{"symbol": "SPY261218C00745000", "bp": 1.5, "ap": 1.6}])
    assert bench.ask("/simulator/state", headers={}).json["quotesSent"] == 0
    bench.simulation.streams.offer([object()] * 3, bench.now)
    assert bench.ask("/simulator/state", headers={}).json["quotesSent"] == 3


@pytest.mark.parametrize("path", ["positions", "quotes", "market"])
def test_unknown_keys_are_refused(bench, path):
    assert post(bench, path, {"unknown": 1}).status == 400


def test_positions_are_set_and_removed(bench):
    symbol = next(iter(positions(bench)))
    answer = post(
        bench,
        "positions",
        [{"symbol": symbol, "qty": 0}, {"symbol": "SPY261218P00600000", "qty": -3, "avg_entry_price": 0.35}],
    )
    assert answer.status == 200
    after = positions(bench)
    assert symbol not in after
    assert (after["SPY261218P00600000"]["qty"], after["SPY261218P00600000"]["cost_basis"]) == ("-3", "-105")
    assert bench.simulation.streams.updates_sent == 0


def test_a_fill_is_an_order_of_what_changed(bench):
    before = positions(bench)
    short = next(symbol for symbol, row in before.items() if row["qty"] == "-2")
    post(
        bench,
        "positions",
        {"positions": [{"symbol": short, "qty": -1}, {"symbol": "SPY261218P00600000", "qty": 1}], "fill": True},
    )
    order = bench.ask("/v2/orders?status=all&nested=true&limit=1").json[0]
    assert {leg["symbol"]: leg["position_intent"] for leg in order["legs"]} == {
        short: "buy_to_close",
        "SPY261218P00600000": "buy_to_open",
    }
    assert positions(bench)[short]["qty"] == "-1"
    assert bench.simulation.streams.updates_sent == 1


def test_a_fill_that_changes_nothing_is_none(bench):
    symbol, row = next(iter(positions(bench).items()))
    post(bench, "positions", {"positions": [{"symbol": symbol, "qty": int(row["qty"])}], "fill": True})
    assert bench.simulation.streams.updates_sent == 0


def test_a_pushed_quote_is_the_latest_and_stands_while_pinned(bench):
    symbol = "SPY261218C00745000"
    quote = {"symbol": symbol, "bp": 1.5, "bs": 2, "ap": 1.6, "as": 3}
    assert post(bench, "quotes", {"quotes": [quote], "pin": True}).json == {"pushed": 1}
    for _ in range(100):
        bench.tick()
    latest = bench.ask(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol]
    assert [latest[key] for key in ("bp", "bs", "ap", "as")] == [1.5, 2, 1.6, 3]
    post(bench, "quotes", {"release": True})
    for _ in range(100):
        bench.tick()
    assert bench.ask(f"/v1beta1/options/quotes/latest?symbols={symbol}").json["quotes"][symbol] != latest


def test_the_market_is_changed_and_says_how_it_is(bench):
    answer = post(bench, "market", {"frozen": True, "open": False, "rate": 2, "speed": 10})
    assert answer.json == {"frozen": True, "open": False, "rate": 2.0, "speed": 10.0}
    assert not bench.ask("/v2/clock").json["is_open"]
    assert post(bench, "market", {"open": True}).json["open"]
    assert post(bench, "market", {"rate": -1}).status == 400


@pytest.mark.parametrize(
    ("fault", "quantity"), [("position-vanish", None), ("position-halve", "-1"), ("position-flip", "2")]
)
def test_position_faults_change_the_account_without_an_update(bench, fault, quantity):
    symbol = next(symbol for symbol, row in positions(bench).items() if row["qty"] == "-2")
    post(bench, "faults", {"fault": fault, "symbol": symbol})
    assert positions(bench).get(symbol, {}).get("qty") == quantity
    assert bench.simulation.streams.updates_sent == 0


def test_an_entry_that_is_no_number_is_refused(bench):
    before = positions(bench)
    body = {"positions": [{"symbol": "SPY261218P00600000", "qty": 1, "avg_entry_price": "NaN"}], "fill": True}
    assert post(bench, "positions", body).status == 400
    assert positions(bench) == before
