import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import activities, orders
from condord.simulator.orders import Execution

AT = dt.datetime(2026, 11, 20, 15, 0, 1, 250_000, tzinfo=dt.UTC)


def execution(symbol, quantity, price, position_after=None, **fields):
    after = quantity if position_after is None else position_after
    return Execution(symbol=symbol, quantity=quantity, price=Decimal(price), position_after=after, **fields)


@pytest.mark.parametrize(
    ("quantity", "position_after", "side"),
    [(2, 2, "buy"), (2, 0, "buy"), (-2, -2, "sell_short"), (-2, -3, "sell_short"), (-2, 1, "sell")],
)
def test_a_fill_that_opens_a_short_position_is_a_short_sale(quantity, position_after, side):
    filled = execution("SPY261218P00715000", quantity, "4.26", position_after)
    row = activities.fill(filled, orders.order([filled], AT, 1), AT, 1)
    assert (row["side"], row["qty"], row["price"]) == (side, "2", "4.26")


def test_a_fill_names_the_order_of_its_leg_and_the_quantity_left():
    fills = [execution("SPY261218P00705000", 2, "2.64"), execution("SPY261218P00715000", -2, "4.26")]
    order = orders.order(fills, AT, 1, 5)
    row = activities.fill(fills[1], order["legs"][1], AT, 2)
    assert row["order_id"] == order["legs"][1]["id"] != order["id"]
    assert [row[key] for key in ("type", "qty", "cum_qty", "leaves_qty", "order_status")] == [
        "partial_fill", "2", "2", "3", "partially_filled",
    ]  # fmt: skip


def test_the_id_of_a_fill_begins_with_its_time_in_new_york():
    filled = execution("A", 1, "1")
    row = activities.fill(filled, orders.order([filled], AT, 1), AT, 1)
    assert row["id"].startswith("20261120100001250::")
    assert row["transaction_time"] == "2026-11-20T15:00:01.25Z"


@given(st.integers(1, 500))
def test_a_clearing_fee_is_rounded_up_to_the_cent(contracts):
    fee = activities.clearing_fee(execution("A", -contracts, "1"))
    assert 0 <= fee - Decimal("0.025") * contracts < Decimal("0.01")
    assert fee == round(fee, 2)


def test_a_fee_names_its_execution_and_stocks_have_none():
    filled = execution("SPY261218P00715000", 1, "4.26")
    fill = activities.fill(filled, orders.order([filled], AT, 1), AT, 1)
    fee = activities.fee(filled, AT, 1)
    assert (fee["activity_type"], fee["net_amount"], fee["date"]) == ("FEE", "-0.03", "2026-11-20")
    assert fill["id"].endswith(fee["execution_id"])
    assert activities.clearing_fee(execution("AAPL", 100, "300", is_option=False)) == 0


def test_a_row_that_is_not_a_trade_has_the_date_in_new_york():
    late = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
    row = activities.transfer("CSD", Decimal(5000), late, 1)
    assert (row["activity_type"], row["net_amount"], row["date"]) == ("CSD", "5000", "2026-11-20")
    assert row["id"].startswith("20261120000000000::")
    assert row["id"] != activities.transfer("CSD", Decimal(5000), late, 2)["id"]


def test_a_delayed_row_is_created_when_it_becomes_visible():
    row = activities.delayed("OPEXP", "Options Expiry", AT, AT + dt.timedelta(hours=14), 3)
    assert (row["date"], row["created_at"]) == ("2026-11-20", "2026-11-21T05:00:01.25Z")


def test_an_event_of_an_option_names_the_contract_and_the_amount_paid():
    row = activities.option_event("OPCSH", "XSP261106P00724000", 2, AT, AT, 5, amount=Decimal("-932.50"))
    assert (row["activity_type"], row["description"], row["net_amount"]) == (
        "OPCSH", "Options Cash Settlement", "-932.5",
    )  # fmt: skip
    assert (row["symbol"], row["cusip"], row["qty"]) == ("XSP261106P00724000", "XSP261106P00724000", "2")


@pytest.mark.parametrize(("shares", "amount"), [(200, "-143200"), (-100, "71600")])
def test_the_trade_of_an_assignment_has_the_strike_and_the_amount_paid(shares, amount):
    row = activities.option_trade("SPY", shares, Decimal(716), AT, AT + dt.timedelta(hours=14), 6)
    assert (row["activity_type"], row["symbol"], row["qty"], row["price"]) == ("OPTRD", "SPY", str(shares), "716")
    assert (row["net_amount"], row["date"], row["created_at"]) == (amount, "2026-11-20", "2026-11-21T05:00:01.25Z")
