from decimal import Decimal

import pytest


def test_positions_are_strings_and_agree_with_their_own_numbers(bench):
    rows = bench.ask("/v2/positions").json
    assert len(rows) == 31
    for row in rows:
        size = Decimal(row["qty"]) * (100 if row["asset_class"] == "us_option" else 1)
        assert (size < 0) == (row["side"] == "short") == (Decimal(row["cost_basis"]) < 0)
        assert Decimal(row["market_value"]) == size * Decimal(row["current_price"])
        assert Decimal(row["unrealized_pl"]) == Decimal(row["market_value"]) - Decimal(row["cost_basis"])
        assert abs(Decimal(row["avg_entry_price"]) * size - Decimal(row["cost_basis"])) < Decimal("1e-9")


def test_positions_follow_the_market(bench):
    before = bench.ask("/v2/positions").json
    for _ in range(200):
        bench.tick()
    assert bench.ask("/v2/positions").json != before


def test_one_position_is_found_by_its_symbol(bench):
    row = bench.ask("/v2/positions").json[1]
    assert bench.ask(f"/v2/positions/{row['symbol']}").json == row
    answer = bench.ask("/v2/positions/NOPE")
    assert (answer.status, answer.json["code"]) == (404, 40410000)


def test_an_empty_account_holds_nothing(make_bench):
    bench = make_bench("empty")
    assert bench.ask("/v2/positions").json == []
    assert bench.ask("/v2/orders?status=all").json == []


@pytest.mark.parametrize(("name", "is_open"), [("default", True), ("session", True), ("closed", False)])
def test_the_clock_says_what_the_scenario_is(make_bench, name, is_open):
    assert make_bench(name).ask("/v2/clock").json["is_open"] is is_open


def test_the_calendar_is_bounded_by_its_dates(make_bench):
    rows = make_bench("session").ask("/v2/calendar?start=2026-11-20&end=2026-11-23").json
    assert [row["date"] for row in rows] == ["2026-11-20", "2026-11-23"]
    assert make_bench().ask("/v2/calendar?start=yesterday").status == 400


def test_orders_are_filtered_nested_and_paged(bench):
    ask = bench.ask
    assert ask("/v2/orders").json == []
    everything = ask("/v2/orders?status=all&nested=true").json
    assert [order["order_class"] for order in everything].count("mleg") == 8
    assert ask("/v2/orders?status=closed&nested=true").json == everything
    assert ask("/v2/orders?status=all&nested=true&direction=asc").json == everything[::-1]
    flat = ask("/v2/orders?status=all&limit=500").json
    assert len(flat) == sum(1 + len(order["legs"] or ()) for order in everything)
    newest = everything[0]["submitted_at"]
    assert ask(f"/v2/orders?status=all&nested=true&until={newest}").json == everything[1:]
    assert ask(f"/v2/orders?status=all&nested=true&after={everything[1]['submitted_at']}").json == everything[:1]
    assert len(ask("/v2/orders?status=all&nested=true&limit=2").json) == 2
    symbol = everything[-2]["legs"][0]["symbol"]
    assert ask(f"/v2/orders?status=all&nested=true&symbols={symbol}").json == [everything[-2]]


@pytest.mark.parametrize("query", ["status=odd", "limit=0", "limit=501", "after=never"])
def test_a_query_that_makes_no_sense_is_400(bench, query):
    assert bench.ask(f"/v2/orders?{query}").status == 400


def test_contracts_are_filtered_and_paged_to_the_end(bench):
    target = "/v2/options/contracts?underlying_symbols=XYZ&type=put&limit=10"
    symbols, token = [], ""
    while token is not None:
        page = bench.ask(f"{target}&page_token={token}").json
        symbols += [row["symbol"] for row in page["option_contracts"]]
        token = page["next_page_token"]
    assert len(symbols) == len(set(symbols)) > 50
    assert all(symbol.startswith("XYZ1") and symbol[10] == "P" for symbol in symbols)
    assert bench.ask("/v2/options/contracts?page_token=!").status == 400


def test_contracts_are_filtered_by_date_and_strike(bench):
    day = bench.simulation.market.listed.monthly
    query = f"underlying_symbols=SPY&expiration_date={day}&strike_price_gte=700&strike_price_lte=702&root_symbol=SPY"
    rows = bench.ask(f"/v2/options/contracts?{query}").json["option_contracts"]
    assert [row["strike_price"] for row in rows] == ["700", "701", "702"] * 2
    assert {row["expiration_date"] for row in rows} == {day.isoformat()}
    assert bench.ask("/v2/options/contracts?strike_price_gte=x").status == 400


def test_deliverables_are_shown_on_demand_and_always_for_one_contract(bench):
    held = next(symbol for symbol in bench.simulation.account.holdings if symbol.startswith("XYZ1"))
    listed = "/v2/options/contracts?underlying_symbols=XYZ&limit=1"
    assert "deliverables" not in bench.ask(listed).json["option_contracts"][0]
    assert "deliverables" in bench.ask(f"{listed}&show_deliverables=true").json["option_contracts"][0]
    one = bench.ask(f"/v2/options/contracts/{held}").json
    assert (one["underlying_symbol"], one["multiplier"], len(one["deliverables"])) == ("XYZ", "100", 2)


@pytest.mark.parametrize("symbol", ["TSLA231110C00021000", "nonsense"])
def test_an_unknown_contract_is_404(bench, symbol):
    answer = bench.ask(f"/v2/options/contracts/{symbol}")
    assert answer.status == 404
    assert answer.json == {"code": 40410000, "message": f"option contract {symbol} not found"}


def test_activities_are_filtered_and_paged(bench):
    rows = bench.ask("/v2/account/activities").json
    assert {row["activity_type"] for row in rows} == {"FILL", "JNLC"}
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert len(bench.ask("/v2/account/activities/JNLC").json) == 1
    assert len(bench.ask("/v2/account/activities?activity_types=JNLC,OPASN").json) == 1
    page = bench.ask("/v2/account/activities?page_size=5").json
    assert bench.ask(f"/v2/account/activities?page_size=5&page_token={page[-1]['id']}").json == rows[5:10]


def test_the_account_is_worth_its_parts(bench):
    answer = bench.ask("/v2/account").json
    parts = sum(Decimal(answer[key]) for key in ("cash", "long_market_value", "short_market_value"))
    assert parts == Decimal(answer["equity"])


def test_a_new_leg_is_there_after_the_read_it_was_ordered_for(bench):
    bench.simulation.faults.activate("position-new-leg", bench.now)
    before = bench.ask("/v2/positions").json
    assert len(bench.ask("/v2/positions").json) == len(before) + 1


def test_rows_can_be_strange(bench):
    faults = bench.simulation.faults
    faults.activate("rest-unknown-asset-class", bench.now, count=1)
    faults.activate("rest-null-market-value", bench.now, count=1)
    rows = bench.ask("/v2/positions").json
    assert (rows[-1]["asset_class"], rows[0]["market_value"]) == ("treasury", None)
    assert len(bench.ask("/v2/positions").json) == len(rows) - 1
