from decimal import Decimal

import pytest

from condord.core import occ
from tests.simulator.conftest import STARTED_AT


def test_the_fields_of_a_position_are_consistent(harness):
    rows = harness.request("/v2/positions").json
    assert len(rows) == 43
    for row in rows:
        size = Decimal(row["qty"]) * (100 if row["asset_class"] == "us_option" else 1)
        assert (size < 0) == (row["side"] == "short") == (Decimal(row["cost_basis"]) < 0)
        assert Decimal(row["market_value"]) == size * Decimal(row["current_price"])
        assert Decimal(row["unrealized_pl"]) == Decimal(row["market_value"]) - Decimal(row["cost_basis"])
        assert abs(Decimal(row["avg_entry_price"]) * size - Decimal(row["cost_basis"])) < Decimal("1e-9")


def test_positions_follow_the_market(harness):
    before = harness.request("/v2/positions").json
    for _ in range(200):
        harness.tick()
    assert harness.request("/v2/positions").json != before


def test_one_position_is_found_by_its_symbol(harness):
    row = harness.request("/v2/positions").json[1]
    assert harness.request(f"/v2/positions/{row['symbol']}").json == row
    response = harness.request("/v2/positions/NOPE")
    assert (response.status, response.json["code"]) == (404, 40410000)


def test_an_empty_account_holds_nothing(make_harness):
    harness = make_harness("empty")
    assert harness.request("/v2/positions").json == []
    assert harness.request("/v2/orders?status=all").json == []


@pytest.mark.parametrize(("name", "is_open"), [("default", True), ("session", True), ("closed", False)])
def test_the_clock_follows_the_scenario(make_harness, name, is_open):
    assert make_harness(name).request("/v2/clock").json["is_open"] is is_open


def test_the_calendar_is_bounded_by_its_dates(make_harness):
    rows = make_harness("session").request("/v2/calendar?start=2026-11-20&end=2026-11-23").json
    assert [row["date"] for row in rows] == ["2026-11-20", "2026-11-23"]
    assert make_harness().request("/v2/calendar?start=yesterday").status == 400


def _expires_later(order):
    """Whether the contracts of an order still trade."""
    return all(occ.parse(leg["symbol"]).expiration >= STARTED_AT.date() for leg in order["legs"])


def every_activity(harness, query="direction=desc"):
    """The activities of all pages of a query."""
    rows = []
    while page := harness.request(
        f"/v2/account/activities?{query}" + (f"&page_token={rows[-1]['id']}" if rows else "")
    ).json:
        rows += page
    return rows


def test_orders_are_filtered_nested_and_paged(harness):
    request = harness.request
    orders = request("/v2/orders?status=all&nested=true&limit=500").json
    opening = [order for order in orders if order["legs"] and _expires_later(order)]
    assert len(opening) == 13  # the working order and the one that it replaced included
    working = [order for order in orders if order["status"] == "new"]
    assert request("/v2/orders?nested=true").json == working
    assert len(working) == 1
    closed = request("/v2/orders?status=closed&nested=true&limit=500").json
    assert closed == [order for order in orders if order not in working]
    assert request("/v2/orders?status=all&nested=true&direction=asc&limit=500").json == orders[::-1]
    flat = request("/v2/orders?status=all&limit=500").json
    assert len(flat) == sum(1 + len(order["legs"] or ()) for order in orders)
    newest = orders[0]["submitted_at"]
    assert request(f"/v2/orders?status=all&nested=true&limit=500&until={newest}").json == orders[1:]
    assert request(f"/v2/orders?status=all&nested=true&after={orders[1]['submitted_at']}").json == orders[:1]
    assert len(request("/v2/orders?status=all&nested=true&limit=2").json) == 2
    symbol = orders[-2]["legs"][0]["symbol"]
    assert request(f"/v2/orders?status=all&nested=true&symbols={symbol}").json == [
        order for order in orders if symbol in {leg["symbol"] for leg in order["legs"] or [order]}
    ]


@pytest.mark.parametrize("query", ["status=odd", "limit=0", "limit=501", "after=never"])
def test_an_invalid_query_gets_400(harness, query):
    assert harness.request(f"/v2/orders?{query}").status == 400


def test_contracts_are_filtered_and_paged_to_the_end(harness):
    listing = "/v2/options/contracts?underlying_symbols=XYZ&type=put&limit=10"
    symbols, token = [], ""
    while token is not None:
        page = harness.request(f"{listing}&page_token={token}").json
        symbols += [row["symbol"] for row in page["option_contracts"]]
        token = page["next_page_token"]
    assert len(symbols) == len(set(symbols)) > 50
    assert all(symbol.startswith("XYZ1") and symbol[10] == "P" for symbol in symbols)
    assert harness.request("/v2/options/contracts?page_token=!").status == 400


def test_contracts_are_filtered_by_date_and_strike(harness):
    day = harness.simulation.market.listed.monthly
    query = f"underlying_symbols=SPY&expiration_date={day}&strike_price_gte=700&strike_price_lte=702&root_symbol=SPY"
    rows = harness.request(f"/v2/options/contracts?{query}").json["option_contracts"]
    assert [row["strike_price"] for row in rows] == ["700", "701", "702"] * 2
    assert {row["expiration_date"] for row in rows} == {day.isoformat()}
    assert harness.request("/v2/options/contracts?strike_price_gte=x").status == 400


def test_deliverables_are_shown_only_on_request(harness):
    held = next(symbol for symbol in harness.simulation.account.holdings if symbol.startswith("XYZ1"))
    listed = "/v2/options/contracts?underlying_symbols=XYZ&limit=1"
    assert "deliverables" not in harness.request(listed).json["option_contracts"][0]
    assert "deliverables" in harness.request(f"{listed}&show_deliverables=true").json["option_contracts"][0]
    assert "deliverables" not in harness.request(f"/v2/options/contracts/{held}").json
    contract = harness.request(f"/v2/options/contracts/{held}?show_deliverables=true").json
    assert (contract["underlying_symbol"], contract["multiplier"], len(contract["deliverables"])) == ("XYZ", "100", 2)


@pytest.mark.parametrize("symbol", ["TSLA231110C00021000", "nonsense"])
def test_an_unknown_contract_gets_404(harness, symbol):
    response = harness.request(f"/v2/options/contracts/{symbol}")
    assert response.status == 404
    assert response.json == {"code": 40410000, "message": f"option contract {symbol} not found"}


def test_activities_are_filtered_and_paged(harness):
    rows = every_activity(harness)
    kinds = {"FILL", "FEE", "JNLC", "OPEXP", "OPASN", "OPTRD", "OPCSH"}
    assert {row["activity_type"] for row in rows} == kinds
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert len(harness.request("/v2/account/activities/JNLC").json) == 1
    assert len(harness.request("/v2/account/activities?activity_types=JNLC,OPASN").json) == 2
    page = harness.request("/v2/account/activities?page_size=5").json
    assert harness.request(f"/v2/account/activities?page_size=5&page_token={page[-1]['id']}").json == rows[5:10]
    ascending = harness.request("/v2/account/activities?direction=asc").json
    assert ascending == rows[::-1][:100]
    token = ascending[2]["id"]
    following = harness.request(f"/v2/account/activities?direction=asc&page_token={token}").json
    assert following == rows[::-1][3:103]


def test_activities_are_read_backwards_from_an_instant(harness):
    rows = every_activity(harness)
    until = "2026-11-01T00:00:00Z"
    older = [row for row in rows if (row.get("transaction_time") or row["created_at"]) < until]
    assert 100 < len(older) < len(rows)
    assert every_activity(harness, f"direction=desc&until={until}") == older
    assert every_activity(harness, f"direction=asc&until={until}") == older[::-1]
    after = "2026-10-01T00:00:00Z"
    between = [row for row in older if (row.get("transaction_time") or row["created_at"]) > after]
    assert every_activity(harness, f"after={after}&until={until}") == between != older


def test_all_activities_of_a_day_are_returned_at_once(harness):
    for _ in range(60):
        harness.post("transfers", {"amount": 1})
    for _ in range(60):
        harness.post("transfers", {"amount": -1})
    assert len(harness.request("/v2/account/activities?date=2026-11-20").json) == 120
    assert len(harness.request("/v2/account/activities?date=2026-11-20&page_size=7").json) == 7
    assert harness.request("/v2/account/activities?date=2026-11-20&until=2026-11-21").status == 400
    assert harness.request("/v2/account/activities?direction=up").status == 400


def test_activities_have_two_categories(harness):
    rows = every_activity(harness)
    trades, others = (every_activity(harness, f"category={name}") for name in ("trade_activity", "non_trade_activity"))
    assert {row["activity_type"] for row in trades} == {"FILL"}
    assert sorted(row["id"] for row in [*trades, *others]) == sorted(row["id"] for row in rows)


def test_fills_are_found_by_their_date_in_new_york_and_agree_with_their_orders(harness):
    harness.tick(13 * 3600.0)  # 23:00 in New York, the next day in UTC
    harness.post("positions", {"positions": [{"symbol": "SPY261218P00600000", "qty": -3}], "fill": True})
    found = harness.request("/v2/account/activities?activity_types=FILL&date=2026-11-20").json
    assert [(row["symbol"], row["side"], row["qty"]) for row in found] == [("SPY261218P00600000", "sell_short", "3")]
    assert found[0]["transaction_time"] == "2026-11-21T04:00:00Z"
    legs = {
        leg["id"]: leg
        for order in harness.request("/v2/orders?status=all&nested=true&limit=500").json
        for leg in order["legs"] or [order]
    }
    for row in every_activity(harness, "activity_types=FILL"):
        leg = legs[row["order_id"]]
        assert (row["symbol"], row["cum_qty"], row["order_status"]) == (leg["symbol"], leg["filled_qty"], "filled")


def test_the_days_profit_of_the_account_includes_its_contracts_transfers_and_fees(harness):
    """From REST's figures: multiplier x (quantity x price - yesterday's quantity x close) + cash of the fills."""

    def rows(path):
        return harness.request(path).json

    before = {row["symbol"]: row for row in rows("/v2/positions")}
    symbol = next(symbol for symbol, row in before.items() if row["qty"] == "-2")
    added, new = "AAPL", "SPY261218P00600000"
    for changes in ({symbol: -1, added: 150}, {new: 2, added: 120}, {new: 0}, {symbol: -3}):
        positions = [{"symbol": each, "qty": quantity} for each, quantity in changes.items()]
        assert harness.post("positions", {"positions": positions, "fill": True}).status == 200
        for _ in range(20):
            harness.tick(3.0)
    for amount in (5000, -1200.5):
        assert harness.post("transfers", {"amount": amount}).status == 200
    after = {row["symbol"]: row for row in rows("/v2/positions")}

    def value(table, symbol, price):
        row = table.get(symbol)
        size = 100 if len(symbol) > 6 else 1
        return Decimal(row["qty"]) * Decimal(row[price]) * size if row else Decimal(0)

    account = rows("/v2/account")
    today = rows("/v2/account/activities?date=2026-11-20")
    cash = sum(
        Decimal(row["qty"])
        * Decimal(row["price"])
        * (100 if len(row["symbol"]) > 6 else 1)
        * (-1 if row["side"] == "buy" else 1)
        for row in today
        if row["activity_type"] == "FILL"
    )
    others = {
        kind: sum(Decimal(row["net_amount"]) for row in today if row["activity_type"] == kind)
        for kind in ("CSD", "CSW", "FEE")
    }
    held = sum(value(after, each, "current_price") - value(before, each, "lastday_price") for each in {*before, *after})
    assert Decimal(account["equity"]) - Decimal(account["last_equity"]) == held + cash + sum(others.values())
    assert (others["CSD"], others["CSW"]) == (5000, Decimal("-1200.5"))
    assert others["FEE"] < 0


def test_the_days_profit_of_an_untouched_account_is_the_sum_of_its_positions(harness):
    for _ in range(50):
        harness.tick(3.0)
    account = harness.request("/v2/account").json
    positions = harness.request("/v2/positions").json
    assert Decimal(account["equity"]) - Decimal(account["last_equity"]) == sum(
        Decimal(row["unrealized_intraday_pl"]) for row in positions
    )
    for row in positions:
        size = Decimal(row["qty"]) * (100 if row["asset_class"] == "us_option" else 1)
        assert (
            Decimal(row["unrealized_intraday_pl"])
            == (Decimal(row["current_price"]) - Decimal(row["lastday_price"])) * size
        )


def test_the_profit_of_the_next_day_counts_from_the_close_of_this_one(harness):
    harness.post("market", {"frozen": True, "at": "2026-11-20T21:30:00Z"})
    old = {row["symbol"]: row for row in harness.request("/v2/positions").json}
    equity = harness.request("/v2/account").json["equity"]
    harness.post("market", {"frozen": False})
    for _ in range(50):
        harness.tick(3.0)
    harness.post("market", {"at": "2026-11-21T05:00:00Z"})  # midnight in New York
    for row in harness.request("/v2/positions").json:
        assert row["lastday_price"] == old[row["symbol"]]["current_price"] != ""
    account = harness.request("/v2/account").json
    assert (account["last_equity"], account["balance_asof"]) == (equity, "2026-11-20")
    assert account["equity"] != equity


def test_equity_is_the_sum_of_cash_and_market_values(harness):
    response = harness.request("/v2/account").json
    parts = sum(Decimal(response[key]) for key in ("cash", "long_market_value", "short_market_value"))
    assert parts == Decimal(response["equity"])


def test_the_new_leg_fault_adds_a_leg_after_the_next_read(harness):
    harness.inject("position-new-leg")
    before = harness.request("/v2/positions").json
    assert len(harness.request("/v2/positions").json) == len(before) + 1


def test_faults_alter_rows_of_the_positions(harness):
    harness.inject("rest-unknown-asset-class", count=1)
    harness.inject("rest-null-market-value", count=1)
    rows = harness.request("/v2/positions").json
    assert (rows[-1]["asset_class"], rows[0]["market_value"]) == ("treasury", None)
    assert len(harness.request("/v2/positions").json) == len(rows) - 1


def test_a_contract_that_did_not_trade_has_no_close_for_yesterday(harness):
    def unclosed():
        return {row["symbol"] for row in harness.request("/v2/positions").json if row["lastday_price"] is None}

    assert unclosed() == set()
    wing = next(iter(harness.simulation.account.holdings))
    harness.inject("rest-null-lastday-price", symbol=wing, count=1)
    assert unclosed() == {wing}
    harness.inject("rest-null-lastday-price")
    cheap = {row["symbol"] for row in harness.request("/v2/positions").json if float(row["current_price"]) < 0.1}
    assert unclosed() == cheap != set()
