import datetime as dt

import msgspec
import pytest
from hypothesis import given

from condord.core.working_order import OrderLeg, WorkingOrder
from condord.upstream.working_orders import working_orders
from tests.upstream.test_market_parsing import ODD, RefusedRows, with_other_values

AT = dt.datetime(2026, 11, 20, 15, 11, 25, tzinfo=dt.UTC)
SYMBOLS = ("SPY261218P00560000", "SPY261218P00570000", "SPY261218C00630000", "SPY261218C00640000")
SIDES = ("sell", "buy", "buy", "sell")


def leg(symbol, side, ratio="1", **more):
    """A leg of an order of several, which closes a position."""
    return {
        "asset_class": "us_option",
        "id": f"leg-{symbol}",
        "filled_qty": "0",
        "order_class": "mleg",
        "position_intent": f"{side}_to_close",
        "qty": "2",
        "ratio_qty": ratio,
        "side": side,
        "status": "new",
        "symbol": symbol,
        **more,
    }


CLOSING = {
    "id": "order",
    "created_at": "2026-11-20T15:11:24Z",
    "submitted_at": "2026-11-20T15:11:25Z",
    "filled_qty": "0",
    "legs": [leg(symbol, side) for symbol, side in zip(SYMBOLS, SIDES, strict=True)],
    "limit_price": "1.2",
    "order_class": "mleg",
    "order_type": "limit",
    "qty": "2",
    "replaced_by": None,
    "replaces": None,
    "side": "",
    "status": "new",
    "symbol": "",
    "type": "limit",
}
SINGLE = {
    "asset_class": "us_option",
    "id": "single",
    "submitted_at": "2026-11-20T15:11:25Z",
    "filled_qty": "0",
    "legs": None,
    "limit_price": "0.05",
    "order_class": "simple",
    "position_intent": "buy_to_close",
    "qty": "3",
    "replaces": None,
    "side": "buy",
    "status": "new",
    "symbol": SYMBOLS[1],
    "type": "limit",
}


def only(row):
    """The one order in a row, which is read without any refusal."""
    refused = RefusedRows()
    (order,) = working_orders([row], refused)
    assert refused == []
    return order


class TestSeveralLegs:
    def test_an_order_has_its_net_limit_and_the_open_quantity_of_each_leg(self):
        assert only(CLOSING) == WorkingOrder(
            id="order",
            submitted_at=AT,
            limit_e4=12_000,
            quantity=2,
            legs=tuple(
                OrderLeg(symbol=symbol, quantity=quantity, closes=True)
                for symbol, quantity in zip(SYMBOLS, (-2, 2, 2, -2), strict=True)
            ),
        )

    def test_a_credit_is_negative(self):
        assert only(CLOSING | {"limit_price": "-0.35"}).limit_e4 == -3_500

    def test_contracts_already_filled_are_not_counted(self):
        order = only(CLOSING | {"filled_qty": "1", "status": "partially_filled"})
        assert (order.quantity, [one.quantity for one in order.legs]) == (1, [-1, 1, 1, -1])

    def test_each_leg_trades_its_ratio(self):
        legs = [leg(SYMBOLS[0], "sell", "3"), leg(SYMBOLS[1], "buy", "1")]
        order = only(CLOSING | {"legs": legs, "filled_qty": "1", "qty": "3"})
        assert [one.quantity for one in order.legs] == [-6, 2]

    @pytest.mark.parametrize(("intent", "closes"), [("sell_to_open", False), ("sell_to_close", True), (None, False)])
    def test_only_a_stated_intent_closes(self, intent, closes):
        order = only(CLOSING | {"legs": [leg(SYMBOLS[0], "sell", position_intent=intent)]})
        assert order.legs == (OrderLeg(symbol=SYMBOLS[0], quantity=-2, closes=closes),)

    @pytest.mark.parametrize(
        "bad",
        [
            {"ratio_qty": None},
            {"ratio_qty": "0.5"},
            {"ratio_qty": "-1"},
            {"symbol": "SPY"},
            {"side": "", "position_intent": None},
        ],
    )
    def test_with_a_leg_that_cannot_be_read_the_order_is_counted(self, bad):
        refused = RefusedRows()
        legs = [CLOSING["legs"][0] | bad, *CLOSING["legs"][1:]]
        assert working_orders([CLOSING | {"legs": legs}], refused) == []
        assert refused == ["workingOrderRow"]

    @pytest.mark.parametrize("legs", [None, [], "legs", [None], [{"symbol": "SPY"}]])
    def test_an_order_without_an_option_is_skipped(self, legs):
        refused = RefusedRows()
        assert working_orders([CLOSING | {"legs": legs}], refused) == []
        assert refused == []


class TestSingleOrders:
    def test_a_purchase_pays_its_limit(self):
        order = only(SINGLE)
        assert (order.limit_e4, order.quantity) == (500, 3)
        assert order.legs == (OrderLeg(symbol=SYMBOLS[1], quantity=3, closes=True),)

    def test_a_sale_receives_it(self):
        order = only(SINGLE | {"side": "sell", "position_intent": "sell_to_close"})
        assert (order.limit_e4, order.legs[0].quantity) == (-500, -3)

    @pytest.mark.parametrize("kind", ["market", "stop", "trailing_stop", "iceberg", None])
    def test_orders_of_any_type_are_read_and_have_no_limit_without_one(self, kind):
        assert only(SINGLE | {"type": kind, "limit_price": None}).limit_e4 is None

    def test_the_orders_of_a_bracket_are_orders_of_their_own(self):
        child = SINGLE | {"id": "child", "status": "held"}
        orders = working_orders([SINGLE | {"order_class": "bracket", "legs": [child]}], RefusedRows())
        assert [order.id for order in orders] == ["single", "child"]

    def test_orders_for_stocks_are_skipped(self):
        refused = RefusedRows()
        assert working_orders([SINGLE | {"symbol": "SPY", "qty": "0.5"}], refused) == []
        assert refused == []

    @pytest.mark.parametrize("status", ["filled", "canceled", "expired", "replaced", "rejected"])
    def test_an_order_that_has_ended_is_not_a_working_order(self, status):
        assert working_orders([SINGLE | {"status": status}], RefusedRows()) == []

    @pytest.mark.parametrize("status", ["new", "partially_filled", "held", "pending_cancel", "unheard_of", None])
    def test_an_order_in_any_other_state_is_a_working_order(self, status):
        assert only(SINGLE | {"status": status}).id == "single"

    def test_a_filled_order_is_not_a_working_order_in_any_state(self):
        refused = RefusedRows()
        assert working_orders([SINGLE | {"filled_qty": "3"}], refused) == []
        assert refused == []

    @pytest.mark.parametrize(
        "bad",
        [
            {"qty": None},
            {"qty": "0"},
            {"qty": "-3"},
            {"qty": "2.5"},
            {"filled_qty": "4"},
            {"filled_qty": "-1"},
            {"filled_qty": "some"},
            {"id": None},
            {"submitted_at": None},
            {"side": None, "position_intent": None},
        ],
    )
    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self, bad):
        refused = RefusedRows()
        orders = working_orders([SINGLE | bad, CLOSING], refused)
        assert [order.id for order in orders] == ["order"]
        assert refused == ["workingOrderRow"]


class TestLists:
    def test_the_oldest_order_is_first(self):
        older = SINGLE | {"submitted_at": "2026-11-19T15:11:25Z"}
        assert [order.id for order in working_orders([CLOSING, older], RefusedRows())] == ["single", "order"]

    def test_an_order_names_the_one_it_replaces(self):
        assert only(SINGLE | {"replaces": "before"}).origin == "before"
        assert only(SINGLE).origin is None

    def test_a_row_that_is_not_an_object_is_counted(self):
        refused = RefusedRows()
        assert len(working_orders([None, SINGLE, 5], refused)) == 1
        assert refused == ["workingOrderRow"] * 2

    def test_an_answer_that_is_not_a_list_is_refused(self):
        with pytest.raises(TypeError, match="dict"):
            working_orders({}, RefusedRows())

    @given(
        with_other_values(SINGLE)
        | with_other_values(CLOSING)
        | with_other_values(CLOSING["legs"][0] | {"order_class": "simple"})
        | ODD
    )
    def test_the_order_after_any_row_is_read(self, row):
        orders = working_orders([row, SINGLE | {"id": "readable"}], RefusedRows())
        assert "readable" in [order.id for order in orders]
        assert all(order.quantity > 0 and order.legs for order in orders)
        assert all(one.quantity != 0 for order in orders for one in order.legs)
        msgspec.json.encode(orders)
