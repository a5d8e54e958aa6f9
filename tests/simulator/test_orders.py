import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import orders
from condord.simulator.orders import Execution

AT = dt.datetime(2026, 11, 20, 15, 0, 1, 250_000, tzinfo=dt.UTC)


def execution(symbol, quantity, price, held_after=None):
    after = quantity if held_after is None else held_after
    return Execution(symbol=symbol, quantity=quantity, price=Decimal(price), held_after=after)


CONDOR = [
    execution("SPY261218P00705000", 2, "2.64"),
    execution("SPY261218P00715000", -2, "4.26"),
    execution("SPY261218C00770000", -2, "3.29"),
    execution("SPY261218C00780000", 2, "1.70"),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1255.00"), "1255"),
        (Decimal("-0.50"), "-0.5"),
        (Decimal("0.00"), "0"),
        (Decimal("-0.0"), "0"),
        (Decimal(100), "100"),
        (0.005, "0.005"),
        (1e-7, "0.0000001"),
    ],
)
def test_numbers_are_strings_without_trailing_zeros(value, text):
    assert orders.number(value) == text


@given(st.decimals(-(10**9), 10**9, places=6))
def test_a_number_keeps_its_value_and_has_no_exponent(value):
    text = orders.number(value)
    assert Decimal(text) == value
    assert "E" not in text


def test_several_symbols_are_one_multi_leg_order_with_a_credit_below_zero():
    order = orders.order(CONDOR, AT, 1)
    assert (order["order_class"], order["symbol"], order["side"]) == ("mleg", "", "")
    assert (order["qty"], order["filled_avg_price"]) == ("2", "-3.21")
    assert [leg["position_intent"] for leg in order["legs"]] == [
        "buy_to_open", "sell_to_open", "sell_to_open", "buy_to_open",
    ]  # fmt: skip
    assert {leg["ratio_qty"] for leg in order["legs"]} == {"1"}


def test_one_symbol_is_a_simple_order():
    order = orders.order(CONDOR[1:2], AT, 1)
    assert (order["order_class"], order["side"], order["qty"], order["legs"]) == ("simple", "sell", "2", None)
    assert "ratio_qty" not in order


def test_closing_is_told_from_opening():
    assert execution("A", 1, "1", held_after=-1).intent == "buy_to_close"
    assert execution("A", -1, "1", held_after=-2).intent == "sell_to_open"


def test_a_multi_leg_fill_has_quantities_by_symbol_and_a_single_one_has_one():
    multi = orders.trade_update(orders.order(CONDOR, AT, 1), CONDOR, AT, 1)["data"]
    assert multi["position_qtys"]["SPY261218P00715000"] == "-2"
    assert {leg["order_id"] for leg in multi["legs"]} == {leg["id"] for leg in multi["order"]["legs"]}
    assert "position_qty" not in multi
    single = orders.trade_update(orders.order(CONDOR[:1], AT, 1), CONDOR[:1], AT, 1)["data"]
    assert single["position_qty"] == "2"
    assert not {"position_qtys", "legs"} & set(single)


def test_activities_name_what_happened():
    assert orders.fill_activity(CONDOR[1], AT, 1)["side"] == "sell_short"
    assert orders.fill_activity(CONDOR[0], AT, 1)["side"] == "buy"
    gone = orders.other_activity("OPEXP", "Options Expiry", AT, symbol="A", quantity=1)
    assert (gone["activity_type"], gone["qty"], gone["date"]) == ("OPEXP", "1", "2026-11-20")
    assert gone["id"].startswith("20261120150001250::")


def test_instants_have_no_trailing_zeros():
    assert orders.instant(AT) == "2026-11-20T15:00:01.25Z"
    assert orders.instant(AT.replace(microsecond=0)) == "2026-11-20T15:00:01Z"
