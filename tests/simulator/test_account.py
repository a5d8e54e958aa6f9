import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.account import Account
from condord.simulator.market import Market, Quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
PUT = "SPY261218P00715000"
CALL = "SPY261218C00770000"


@pytest.fixture
def account():
    return Account(Market(seed=1, at=AT.timestamp()))


def mark(account, symbol, bid, ask):
    quote = Quote(symbol=symbol, at_ns=0, bid=bid, bid_size=1, bid_exchange="C", ask=ask, ask_size=1, ask_exchange="C")
    account.market.pin([quote], hold=True)


def test_a_short_position_has_negative_quantity_value_and_cost(account):
    mark(account, PUT, 2.5, 2.6)
    account.put(PUT, -2, Decimal("4.26"))
    row = account.position(PUT)
    assert (row["qty"], row["qty_available"], row["side"]) == ("-2", "-2", "short")
    assert (row["cost_basis"], row["market_value"], row["unrealized_pl"]) == ("-852", "-510", "342")
    assert (row["avg_entry_price"], row["current_price"]) == ("4.26", "2.55")
    assert Decimal(row["unrealized_plpc"]) == pytest.approx(Decimal(342) / 852)
    assert (row["asset_class"], row["exchange"]) == ("us_option", "")


@given(
    quantity=st.integers(-9, 9).filter(bool),
    entry=st.integers(1, 50_000),
    bid=st.integers(0, 50_000),
    spread=st.integers(1, 500),
)
def test_positions_follow_the_formulas(quantity, entry, bid, spread):
    account = Account(Market(seed=1, at=AT.timestamp()))
    mark(account, PUT, bid / 100, (bid + spread) / 100)
    account.put(PUT, quantity, Decimal(entry) / 100)
    row = {key: Decimal(value) for key, value in account.position(PUT).items() if key not in {
        "asset_id", "symbol", "exchange", "asset_class", "side", "asset_marginable",
    }}  # fmt: skip
    size = quantity * 100
    assert row["cost_basis"] == row["avg_entry_price"] * size
    assert row["market_value"] == row["current_price"] * size
    assert row["unrealized_pl"] == row["market_value"] - row["cost_basis"]
    assert row["unrealized_intraday_pl"] == (row["current_price"] - row["lastday_price"]) * size
    change = row["change_today"] * row["lastday_price"]
    assert float(change) == pytest.approx(float(row["current_price"] - row["lastday_price"]), abs=1e-9)


def test_shares_count_once_and_contracts_a_hundred_times(account):
    account.put("AAPL", 100, Decimal(300))
    row = account.position("AAPL")
    assert (row["cost_basis"], row["asset_class"], row["exchange"]) == ("30000", "us_equity", "NASDAQ")


def test_buying_more_averages_the_entry_and_keeps_the_cost_exact(account):
    account.trade([(CALL, -1, Decimal("1.70"))], AT)
    account.trade([(CALL, -2, Decimal("1.59"))], AT)
    row = account.position(CALL)
    assert (row["cost_basis"], row["avg_entry_price"]) == ("-488", "1.626666666666667")


def test_selling_less_keeps_the_entry_and_flipping_starts_anew(account):
    account.trade([(CALL, 4, Decimal("1.00"))], AT)
    account.trade([(CALL, -1, Decimal("3.00"))], AT)
    assert account.position(CALL)["avg_entry_price"] == "1"
    account.trade([(CALL, -5, Decimal("2.00"))], AT)
    assert (account.position(CALL)["qty"], account.position(CALL)["avg_entry_price"]) == ("-2", "2")
    account.trade([(CALL, 2, None)], AT)
    assert account.position(CALL) is None


def test_what_is_opened_today_counts_from_its_entry(account):
    mark(account, CALL, 2.0, 2.0)
    account.trade([(CALL, 1, Decimal("1.50"))], AT)
    row = account.position(CALL)
    assert row["unrealized_intraday_pl"] == row["unrealized_pl"] == "50"


def test_a_fill_is_an_order_activities_and_a_trade_update(account):
    update = account.trade([(CALL, -1, Decimal("3.29")), (PUT, -1, None)], AT)
    assert update["data"]["position_qtys"] == {CALL: "-1", PUT: "-1"}
    assert account.orders == [update["data"]["order"]]
    assert [row["activity_type"] for row in account.activities] == ["FILL", "FILL"]


def test_what_vanishes_leaves_an_activity_and_no_order(account):
    account.put(PUT, -1, Decimal(4))
    account.vanish(PUT, "OPASN", AT)
    account.vanish(PUT, "OPASN", AT)
    assert account.positions() == []
    assert [row["activity_type"] for row in account.activities] == ["OPASN"]
    assert account.orders == []


def test_putting_nothing_removes_and_putting_without_entry_keeps_it(account):
    account.put(PUT, -2, Decimal(4))
    account.put(PUT, -1)
    assert account.position(PUT)["avg_entry_price"] == "4"
    account.put(PUT, 0)
    assert account.position(PUT) is None


def test_equity_is_cash_and_what_is_held(account):
    account.deposit(AT)
    account.trade([(CALL, -1, None), ("AAPL", 10, None)], AT)
    answer = account.answer()
    assert answer["equity"] == "100000"
    assert Decimal(answer["cash"]) + Decimal(answer["long_market_value"]) + Decimal(
        answer["short_market_value"]
    ) == Decimal(answer["equity"])
