import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from condord.errors import NotFound
from condord.simulator.account import Account
from condord.simulator.market import Market
from condord.simulator.orders import OrderRequest
from condord.simulator.working_orders import WorkingOrders
from tests.simulator.builders import make_quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
CLOSE = dt.datetime(2026, 11, 20, 21, 15, tzinfo=dt.UTC)
PRICES = {
    "SPY261218P00705000": "2.64",
    "SPY261218P00715000": "4.26",
    "SPY261218C00770000": "3.29",
    "SPY261218C00780000": "1.70",
}
LONGS = ("SPY261218P00705000", "SPY261218C00780000")
LEGS = tuple((symbol, -1 if symbol in LONGS else 1) for symbol in PRICES)
CLOSING = OrderRequest(legs=LEGS, quantity=5, limit_price=Decimal("1.60"))


@pytest.fixture
def account():
    return opened()


@pytest.fixture
def working(account):
    return WorkingOrders(account)


def opened():
    """An account with five short condors, whose quotes do not move."""
    account = Account(Market(seed=1, at=AT.timestamp()))
    for symbol, price in PRICES.items():
        account.market.pin([make_quote(symbol, bid=float(price), ask=float(price))], hold=True)
    account.trade([(symbol, -5 * ratio, Decimal(PRICES[symbol])) for symbol, ratio in LEGS], AT - dt.timedelta(days=3))
    return account


def event_and_order(updates):
    return [(update["data"]["event"], update["data"]["order"]) for update in updates]


def quantities(account):
    return {abs(held.quantity) for held in account.holdings.values()}


def test_a_placed_order_for_held_contracts_closes_and_changes_nothing_yet(account, working):
    [(event, order)] = event_and_order(working.place(CLOSING, AT))
    assert (event, order["status"], order["qty"], order["limit_price"]) == ("new", "new", "5", "1.6")
    assert {leg["position_intent"] for leg in order["legs"]} == {"buy_to_close", "sell_to_close"}
    assert account.orders[-1] == order
    assert quantities(account) == {5}


def test_an_order_for_contracts_not_held_opens(working):
    request = OrderRequest(legs=(("SPY261218P00600000", -1), ("SPY261218P00605000", 1)), quantity=1)
    [(_, order)] = event_and_order(working.place(request, AT))
    assert [leg["position_intent"] for leg in order["legs"]] == ["sell_to_open", "buy_to_open"]
    assert (order["type"], order["limit_price"]) == ("market", None)


def test_a_fill_adds_up_to_the_limit_price(account, working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    [(event, order)] = event_and_order(working.fill(placed["id"], AT))
    assert (event, order["status"], order["filled_avg_price"]) == ("fill", "filled", "1.6")
    net = sum(
        Decimal(leg["filled_avg_price"]) * (1 if leg["side"] == "buy" else -1) for leg in account.orders[-1]["legs"]
    )
    assert net == Decimal("1.60")
    assert account.holdings == {}
    with pytest.raises(NotFound):
        working.fill(placed["id"], AT)


def test_an_order_is_filled_in_parts_with_activities_that_count_up(account, working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    before = len(account.activities)
    assert event_and_order(working.fill(placed["id"], AT, units=2))[0][0] == "partial_fill"
    assert quantities(account) == {3}
    assert event_and_order(working.fill(placed["id"], AT, units=3))[0][0] == "fill"
    symbol = LEGS[0][0]
    fills = [row for row in account.activities[before:] if row["activity_type"] == "FILL" and row["symbol"] == symbol]
    assert [(row["type"], row["qty"], row["cum_qty"], row["leaves_qty"]) for row in fills] == [
        ("partial_fill", "2", "2", "3"),
        ("fill", "3", "5", "0"),
    ]
    assert len({row["id"] for row in account.activities}) == len(account.activities)


def test_given_prices_replace_the_limit(account, working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    working.fill(placed["id"], AT, prices={"SPY261218P00715000": Decimal("1.00")})
    prices = {leg["symbol"]: leg["filled_avg_price"] for leg in account.orders[-1]["legs"]}
    assert prices == {**{symbol: price.rstrip("0") for symbol, price in PRICES.items()}, "SPY261218P00715000": "1"}


def test_a_market_order_fills_at_the_marks_and_a_simple_one_at_its_limit(account, working):
    symbol = "SPY261218C00770000"
    for limit, expected in ((None, "3.29"), (Decimal("3.00"), "3")):
        request = OrderRequest(legs=((symbol, 1),), quantity=1, limit_price=limit)
        [(_, placed)] = event_and_order(working.place(request, AT))
        working.fill(placed["id"], AT)
        assert account.orders[-1]["filled_avg_price"] == expected
    assert account.holdings[symbol].quantity == -3


def test_a_limit_far_from_the_marks_needs_prices(working):
    request = OrderRequest(legs=LEGS, quantity=1, limit_price=Decimal(-50))
    [(_, placed)] = event_and_order(working.place(request, AT))
    with pytest.raises(ValueError, match="pass prices"):
        working.fill(placed["id"], AT)


def test_no_more_than_the_remaining_quantity_is_filled(working, account):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    with pytest.raises(ValueError, match="5 units left, not 6"):
        working.fill(placed["id"], AT, units=6)
    assert quantities(account) == {5}


def test_a_replacement_has_a_new_id_and_the_remaining_quantity(working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    working.fill(placed["id"], AT, units=2)
    (first, old), (second, new) = event_and_order(working.replace(placed["id"], AT, limit_price=Decimal("1.85")))
    assert (first, second) == ("replaced", "new")
    assert (old["status"], old["filled_qty"], old["replaced_by"]) == ("replaced", "2", new["id"])
    assert (new["replaces"], new["qty"], new["filled_qty"], new["limit_price"]) == (placed["id"], "3", "0", "1.85")
    with pytest.raises(NotFound):
        working.cancel(placed["id"], AT)
    [(event, _)] = event_and_order(working.fill(new["id"], AT))
    assert event == "fill"


def test_a_replacement_may_change_quantity_and_time_in_force_and_keeps_the_limit(working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    _, (_, new) = event_and_order(working.replace(placed["id"], AT, quantity=1, time_in_force="gtc"))
    assert (new["qty"], new["time_in_force"], new["limit_price"]) == ("1", "gtc", "1.6")


def test_a_cancelled_order_keeps_its_fills(account, working):
    [(_, placed)] = event_and_order(working.place(CLOSING, AT))
    working.fill(placed["id"], AT, units=1)
    [(event, order)] = event_and_order(working.cancel(placed["id"], AT))
    assert (event, order["status"], order["filled_qty"]) == ("canceled", "canceled", "1")
    assert {leg["status"] for leg in order["legs"]} == {"canceled"}
    assert quantities(account) == {4}


def test_a_day_order_expires_at_the_close_and_one_good_till_cancelled_stays(working):
    working.place(CLOSING, AT)
    working.place(OrderRequest(legs=LEGS, quantity=1, time_in_force="gtc"), AT)
    assert working.expire(CLOSE - dt.timedelta(seconds=1)) == []
    [(event, order)] = event_and_order(working.expire(CLOSE))
    assert (event, order["qty"], order["expired_at"]) == ("expired", "5", "2026-11-20T21:15:00Z")
    assert working.expire(CLOSE) == []


def test_a_contract_that_was_not_quoted_yet_is_filled_at_its_value():
    account = Account(Market(seed=1, at=AT.timestamp()))
    working = WorkingOrders(account)
    unlisted = "SPY261217P00715000"
    [placed] = working.place(OrderRequest(legs=((unlisted, 1),), quantity=2), AT)
    assert account.market.latest(unlisted) is None
    [filled] = working.fill(placed["data"]["order"]["id"], AT)
    value = account.market.theoretical_value(unlisted).price
    assert float(filled["data"]["price"]) == pytest.approx(value, abs=0.03)
    assert value > 1


class Lifecycle(RuleBasedStateMachine):
    """Any sequence of changes: ids, quantities, activities and holdings stay consistent."""

    order_ids = Bundle("order_ids")

    def __init__(self):
        super().__init__()
        self.account = opened()
        self.working = WorkingOrders(self.account)
        self.rest = {}

    @rule(target=order_ids, units=st.integers(1, 5), limit=st.sampled_from([None, Decimal("1.5"), Decimal("2.25")]))
    def place(self, units, limit):
        [(_, order)] = event_and_order(
            self.working.place(OrderRequest(legs=LEGS, quantity=units, limit_price=limit), AT)
        )
        self.rest[order["id"]] = units
        return order["id"]

    @rule(order_id=order_ids, units=st.integers(1, 5))
    def fill(self, order_id, units):
        if self.rest.get(order_id, 0) >= units:
            [(event, _)] = event_and_order(self.working.fill(order_id, AT, units=units))
            self.rest[order_id] -= units
            assert (event == "fill") == (self.rest[order_id] == 0)

    @rule(target=order_ids, order_id=consumes(order_ids))
    def replace(self, order_id):
        if not self.rest[order_id]:
            return order_id
        _, (_, new) = event_and_order(self.working.replace(order_id, AT))
        self.rest[new["id"]] = self.rest.pop(order_id)
        return new["id"]

    @rule(order_id=consumes(order_ids))
    def cancel(self, order_id):
        if self.rest.pop(order_id):
            self.working.cancel(order_id, AT)

    @invariant()
    def the_orders_add_up_to_the_holdings_and_open_ones_to_what_is_left(self):
        sums = dict.fromkeys(PRICES, 0)
        for order in self.account.orders:
            for leg in order["legs"]:
                sums[leg["symbol"]] += int(leg["filled_qty"]) * (1 if leg["side"] == "buy" else -1)
        held = {symbol: holding.quantity for symbol, holding in self.account.holdings.items()}
        assert held == {symbol: quantity for symbol, quantity in sums.items() if quantity}
        open_orders = {
            order["id"]: int(order["qty"]) - int(order["filled_qty"])
            for order in self.account.orders
            if order["status"] in ("new", "partially_filled")
        }
        assert open_orders == {order_id: rest for order_id, rest in self.rest.items() if rest}


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
