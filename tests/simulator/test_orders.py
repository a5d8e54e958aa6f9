import datetime as dt
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import orders
from condord.simulator.orders import Execution, OrderRequest

AT = dt.datetime(2026, 11, 20, 15, 0, 1, 250_000, tzinfo=dt.UTC)


def execution(symbol, quantity, price, position_after=None):
    after = quantity if position_after is None else position_after
    return Execution(symbol=symbol, quantity=quantity, price=Decimal(price), position_after=after)


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


def test_an_order_of_a_larger_quantity_is_partially_filled():
    order = orders.order(CONDOR, AT, 1, 5)
    assert (order["qty"], order["filled_qty"], order["status"], order["filled_at"]) == (
        "5",
        "2",
        "partially_filled",
        None,
    )
    assert {(leg["qty"], leg["filled_qty"], leg["status"]) for leg in order["legs"]} == {("5", "2", "partially_filled")}
    assert orders.trade_update(order, CONDOR, AT, 1)["data"]["event"] == "partial_fill"


def test_a_replaced_order_and_its_replacement_name_each_other():
    old, new = orders.order(CONDOR, AT, 1, 5), orders.order(CONDOR, AT, 2, 3)
    orders.replace(old, new, AT)
    assert (old["status"], old["replaced_by"], new["replaces"]) == ("replaced", new["id"], old["id"])
    assert [leg["replaced_by"] for leg in old["legs"]] == [leg["id"] for leg in new["legs"]]
    assert (old["filled_qty"], new["filled_qty"]) == ("2", "2")


def test_an_average_price_has_six_decimals():
    order = orders.order([execution("A", 3, "0.5233333333")], AT, 1)
    assert order["filled_avg_price"] == "0.523333"


def test_the_intent_distinguishes_opening_from_closing():
    assert execution("A", 1, "1", position_after=-1).intent == "buy_to_close"
    assert execution("A", -1, "1", position_after=-2).intent == "sell_to_open"


def test_a_multi_leg_fill_has_quantities_by_symbol_and_a_single_one_has_one():
    multi = orders.trade_update(orders.order(CONDOR, AT, 1), CONDOR, AT, 1)["data"]
    assert multi["position_qtys"]["SPY261218P00715000"] == "-2"
    assert {leg["order_id"] for leg in multi["legs"]} == {leg["id"] for leg in multi["order"]["legs"]}
    assert "position_qty" not in multi
    single = orders.trade_update(orders.order(CONDOR[:1], AT, 1), CONDOR[:1], AT, 1)["data"]
    assert single["position_qty"] == "2"
    assert not {"position_qtys", "legs"} & set(single)


REQUEST = OrderRequest(
    legs=tuple((leg.symbol, -leg.quantity // 2) for leg in CONDOR), quantity=2, limit_price=Decimal("1.60")
)
INTENTS = {leg.symbol: "buy_to_close" if leg.quantity < 0 else "sell_to_close" for leg in CONDOR}


def test_a_working_order_has_its_net_limit_and_legs_without_one():
    order = orders.working_order(REQUEST, INTENTS, AT, 1)
    assert (order["status"], order["type"], order["limit_price"]) == ("new", "limit", "1.6")
    assert (order["qty"], order["filled_qty"], order["filled_avg_price"]) == ("2", "0", None)
    assert [leg["position_intent"] for leg in order["legs"]] == list(INTENTS.values())
    assert {(leg["limit_price"], leg["qty"], leg["ratio_qty"]) for leg in order["legs"]} == {(None, "2", "1")}


def test_the_average_of_several_fills_is_weighted():
    order = orders.working_order(REQUEST, INTENTS, AT, 1)
    for price in ("2", "1"):
        fills = [execution(symbol, ratio, price if ratio > 0 else "0.5") for symbol, ratio in REQUEST.legs]
        orders.add_fill(order, fills, 1, AT)
    assert (order["status"], order["filled_qty"], order["filled_avg_price"]) == ("filled", "2", "2")
    assert [leg["filled_avg_price"] for leg in order["legs"]] == ["0.5", "1.5", "1.5", "0.5"]


def test_the_update_of_a_partial_fill_has_only_that_fill():
    order = orders.working_order(REQUEST, INTENTS, AT, 1)
    fills = [execution(symbol, ratio, "1") for symbol, ratio in REQUEST.legs]
    orders.add_fill(order, fills, 1, AT)
    update = orders.trade_update(order, fills, AT, 2)["data"]
    assert (update["event"], update["qty"], update["price"]) == ("partial_fill", "1", "0")
    assert [leg["qty"] for leg in update["legs"]] == ["1", "1", "1", "1"]


@pytest.mark.parametrize(
    ("at", "symbols", "expected"),
    [
        ("2026-11-20T15:00:00+00:00", ["SPY261218P00715000"], "2026-11-20T21:15:00Z"),
        ("2026-11-20T15:00:00+00:00", ["AAPL261218P00315000", "AAPL"], "2026-11-20T21:00:00Z"),
        ("2026-11-20T21:00:00+00:00", ["AAPL"], "2026-11-23T21:00:00Z"),
        ("2026-11-27T15:00:00+00:00", ["SPXW261218P07150000"], "2026-11-27T18:15:00Z"),
        ("2026-07-01T15:00:00+00:00", ["AAPL"], "2026-07-01T20:00:00Z"),
    ],
)
def test_an_order_expires_at_the_close_of_its_product(at, symbols, expected):
    assert orders.instant(orders.last_session_close(dt.datetime.fromisoformat(at), symbols)) == expected


def test_an_order_good_till_cancelled_expires_after_90_days():
    request = msgspec.structs.replace(REQUEST, time_in_force="gtc")
    assert orders.working_order(request, INTENTS, AT, 1)["expires_at"] == "2027-02-18T21:15:00Z"


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_an_order_that_ends_keeps_its_fills(status):
    order = orders.order(CONDOR, AT, 1, 5)
    orders.end(order, status, AT)
    assert {(part["status"], part[f"{status}_at"], part["filled_qty"]) for part in [order, *order["legs"]]} == {
        (status, "2026-11-20T15:00:01.25Z", "2")
    }


def test_instants_have_no_trailing_zeros():
    assert orders.instant(AT) == "2026-11-20T15:00:01.25Z"
    assert orders.instant(AT.replace(microsecond=0)) == "2026-11-20T15:00:01Z"
