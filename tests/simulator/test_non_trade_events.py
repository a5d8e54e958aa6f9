import pytest

from tests.simulator.conftest import STARTED_AT

PUT = "SPY261218P00700000"
CALL = "SPY261218C00780000"
MORNING = 18 * 3600.0  # from 10:00 to 04:00 of the next day in New York


def post(harness, path, **body):
    return harness.post(path, body)


def hold(harness, **quantities):
    changes = [{"symbol": symbol, "qty": quantity, "avg_entry_price": 4} for symbol, quantity in quantities.items()]
    post(harness, "positions", positions=changes)


def held(harness):
    return {row["symbol"]: int(row["qty"]) for row in harness.request("/v2/positions").json}


def activities(harness):
    kinds = "OPASN,OPEXC,OPEXP,OPCSH,SPLIT"
    rows = harness.request(f"/v2/account/activities?activity_types={kinds}&direction=asc").json
    return [(row["activity_type"], row["symbol"], row["qty"], row["date"]) for row in rows]


@pytest.fixture
def harness(make_harness):
    return make_harness("empty")


@pytest.mark.parametrize(
    ("event", "symbol", "quantity", "kind", "shares"),
    [
        ("assign", PUT, -2, "OPASN", 200),
        ("assign", CALL, -2, "OPASN", -200),
        ("exercise", CALL, 2, "OPEXC", 200),
        ("exercise", PUT, 2, "OPEXC", -200),
        ("expire", PUT, -2, "OPEXP", 0),
        ("expire", PUT, 2, "OPEXP", 0),
        ("cash", CALL, -2, "OPCSH", 0),
    ],
)
def test_an_event_moves_contracts_and_shares_and_its_activity_is_visible_the_next_morning(
    harness, event, symbol, quantity, kind, shares
):
    hold(harness, **{symbol: quantity})
    post(harness, "events", event=event, symbol=symbol)
    assert held(harness) == ({"SPY": shares} if shares else {})
    assert activities(harness) == []
    post(harness, "market", frozen=True)  # prices would only take time
    harness.tick(MORNING)
    assert activities(harness) == []
    harness.tick(3600.0)
    assert activities(harness) == [(kind, symbol, "2", "2026-11-20")]
    traded = harness.request("/v2/account/activities/OPTRD").json
    strike = int(symbol[-8:]) // 1000
    assert [(row["symbol"], row["qty"], row["price"], row["net_amount"]) for row in traded] == (
        [("SPY", str(shares), str(strike), str(-shares * strike))] if shares else []
    )


def test_the_parts_of_an_event_can_be_applied_separately_with_the_activity_at_once(harness):
    hold(harness, **{PUT: -3})
    post(harness, "events", event="assign", symbol=PUT, qty=1, shares=False, activity_after_seconds=0)
    assert held(harness) == {PUT: -2}
    assert activities(harness) == [("OPASN", PUT, "1", "2026-11-20")]
    post(harness, "events", event="assign", symbol=PUT, qty=1, contracts=False)
    assert held(harness) == {PUT: -2, "SPY": 100}
    assert len(activities(harness)) == 1


def test_the_deliverables_of_a_root_can_be_set(harness):
    hold(harness, ADJ1261218P00030000=-1)
    post(harness, "deliverables", root="ADJ1", deliverables={"ADJ": 10})
    contract = harness.request("/v2/options/contracts/ADJ1261218P00030000?show_deliverables=true").json
    assert contract["underlying_symbol"] == "ADJ"
    assert [(row["symbol"], row["amount"]) for row in contract["deliverables"]] == [("ADJ", "10")]
    post(harness, "events", event="assign", symbol="ADJ1261218P00030000")
    assert held(harness) == {"ADJ": 10}


def test_a_forward_split_divides_strikes_and_multiplies_the_rest(harness):
    hold(harness, SPY=100, SPY261218P00700000=-1, QQQ261218P00600000=-1)
    post(harness, "splits", symbol="SPY", new=4, activity_after_seconds=0)
    assert held(harness) == {"SPY": 400, "SPY261218P00175000": -4, "QQQ261218P00600000": -1}
    rows = {row["symbol"]: row["avg_entry_price"] for row in harness.request("/v2/positions").json}
    assert rows["SPY261218P00175000"] == "1"
    assert activities(harness) == [("SPLIT", "SPY", "300", "2026-11-20")]


def test_a_reverse_split_renames_the_root(harness):
    hold(harness, SPY=100, SPY261218P00700000=-1)
    post(harness, "splits", symbol="SPY", new=1, old=10)
    assert held(harness) == {"SPY": 10, "SPY1261218P00700000": -1}
    contract = harness.request("/v2/options/contracts/SPY1261218P00700000?show_deliverables=true").json
    assert [(row["symbol"], row["amount"]) for row in contract["deliverables"]] == [("SPY", "10")]


def test_corporate_actions_are_filtered_by_symbol_kind_and_day(harness):
    post(harness, "splits", symbol="SPY", new=4)
    post(harness, "corporate-actions", kind="cash_dividend", symbol="SPY", ex_date="2026-12-18", rate=1.97)
    day = f"{STARTED_AT:%Y-%m-%d}"

    def found(query):
        response = harness.request(f"/v1/corporate-actions?{query}").json
        return {kind: [row["symbol"] for row in rows] for kind, rows in response["corporate_actions"].items()}

    assert found("types=forward_split,reverse_split") == found(f"start={day}&end={day}") == {"forward_splits": ["SPY"]}
    assert found("symbols=SPY&end=2026-12-31&start=2026-11-01") == {
        "forward_splits": ["SPY"],
        "cash_dividends": ["SPY"],
    }
    assert found("symbols=XYZ") == {}


def test_dividends_are_found_by_the_day_on_which_they_are_processed_after_their_ex_date(harness):
    def found(query):
        actions = harness.request(f"/v1/corporate-actions?types=cash_dividend&{query}").json["corporate_actions"]
        return [(row["symbol"], row["ex_date"], row["rate"]) for row in actions.get("cash_dividends", [])]

    assert found("symbols=SPY&start=2026-11-15&end=2027-02-03") == [("SPY", "2026-12-18", 1.97)]
    assert found("symbols=SPY&start=2026-12-19&end=2026-12-25") == [("SPY", "2026-12-18", 1.97)]
    assert found("symbols=SPY&start=2026-12-18&end=2026-12-24") == []
    announced = {"kind": "cash_dividend", "symbol": "SPY", "ex_date": "2026-12-18", "rate": 2.05}
    post(harness, "corporate-actions", **announced)
    post(harness, "corporate-actions", **announced | {"ex_date": "2026-12-01", "rate": None})
    dates = "start=2026-11-15&end=2027-02-03"
    assert found(f"symbols=SPY&{dates}") == [("SPY", "2026-12-01", None), ("SPY", "2026-12-18", 2.05)]


def test_an_announced_dividend_is_priced(harness):
    harness.simulation.market.watch(PUT)
    before = harness.simulation.market.theoretical_value(PUT)
    post(harness, "corporate-actions", kind="cash_dividend", symbol="SPY", ex_date="2026-12-15", rate=3.0)
    after = harness.simulation.market.theoretical_value(PUT)
    assert after.price == pytest.approx(before.price - 3.0 * before.delta, rel=0.1)
    assert after.price > before.price


def test_corporate_actions_are_paged(harness):
    query, rows, token = "/v1/corporate-actions?types=cash_dividend&limit=3", [], ""
    while token is not None:
        page = harness.request(f"{query}&page_token={token}").json
        rows += page["corporate_actions"]["cash_dividends"]
        token = page["next_page_token"]
    assert [row["id"] for row in rows] == [
        row["id"]
        for row in harness.request("/v1/corporate-actions?types=cash_dividend").json["corporate_actions"][
            "cash_dividends"
        ]
    ]
    assert len({row["id"] for row in rows}) == len(rows) > 6


def test_a_cash_settlement_pays_the_value_of_the_contract(harness):
    hold(harness, **{CALL: -2, "SPY261218C00700000": 1})
    cash = float(harness.request("/v2/account").json["cash"])
    spot = harness.simulation.market.spot("SPY")
    post(harness, "events", event="cash", symbol="SPY261218C00700000", activity_after_seconds=0)
    post(harness, "events", event="cash", symbol=CALL, activity_after_seconds=0)
    paid = round((spot - 700) * 100, 2)
    assert float(harness.request("/v2/account").json["cash"]) == pytest.approx(cash + paid)
    rows = harness.request("/v2/account/activities?activity_types=OPCSH").json
    assert {row["symbol"]: float(row["net_amount"]) for row in rows} == {"SPY261218C00700000": paid, CALL: 0.0}


def test_an_assignment_stays_in_the_days_profit(harness):
    hold(harness, **{PUT: -1})
    account = harness.request("/v2/account").json
    close = float(harness.request(f"/v2/positions/{PUT}").json["lastday_price"])
    post(harness, "events", event="assign", symbol=PUT)
    after = harness.request("/v2/account").json
    assert after["last_equity"] == account["last_equity"]
    profit = float(after["equity"]) - float(after["last_equity"])
    assert profit == pytest.approx(100 * close + 100 * (harness.simulation.market.spot("SPY") - 700))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("events", {"event": "assign", "symbol": "SPY"}),
        ("events", {"event": "vanish", "symbol": PUT}),
        ("events", {"event": "assign", "symbol": PUT, "qty": 0}),
        ("splits", {"symbol": "SPY", "new": 0}),
        ("deliverables", {"root": "ADJ1", "deliverables": {}}),
        ("corporate-actions", {"kind": "merger", "symbol": "SPY", "ex_date": "2026-12-18"}),
    ],
)
def test_an_invalid_request_changes_nothing(harness, path, body):
    before = held(harness)
    assert post(harness, path, **body).status == 400
    assert held(harness) == before


def test_an_event_for_a_contract_that_is_not_held_changes_nothing(harness):
    post(harness, "events", event="expire", symbol=PUT, activity_after_seconds=0)
    assert (held(harness), activities(harness)) == ({}, [])
