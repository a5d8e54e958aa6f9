"""How orders become transactions; how these change lots is tested in `test_lots`."""

import datetime as dt

import msgspec
import pytest

from condord.core.filled_orders import ROLL_SECONDS, Fill, Order, transactions
from tests.core.strategies import contract

NOON = dt.datetime(2026, 11, 16, 17, 0, tzinfo=dt.UTC)
PUTS = (("P", 80, 1), ("P", 85, -1))
LOWER = (("P", 70, 1), ("P", 75, -1))


def order(name, seconds, *legs, opens=True, origin=None):
    """An order of (right, strike, signed contracts)."""
    fills = tuple(
        Fill(
            symbol=contract(right, strike).compact,
            contract=contract(right, strike),
            quantity=quantity if opens else -quantity,
            price_e6=1_000_000,
            opens=opens,
        )
        for right, strike, quantity in legs
    )
    return Order(id=name, filled_at=NOON + dt.timedelta(seconds=seconds), fills=fills, origin=origin)


def shown(orders):
    return [(trade.id, len(trade.closing), len(trade.opening), trade.is_roll) for trade in transactions(orders)]


def test_transactions_are_sorted_by_the_time_of_their_fill_and_then_by_id():
    found = transactions([order("c", 1, *PUTS), order("b", 1, *PUTS), order("a", 2, *PUTS)])
    assert [trade.id for trade in found] == ["b", "c", "a"]


@pytest.mark.parametrize(("closed", "opened"), [(0, 60), (60, 0), (5, 5)])
def test_a_closing_and_an_opening_order_that_roll_a_condor_are_one_transaction(closed, opened):
    halves = [order("c", closed, *PUTS, opens=False), order("o", opened, *LOWER)]
    assert shown(halves) == shown(halves[::-1]) == [("o", 2, 2, True)]
    assert transactions(halves)[0].at == NOON + dt.timedelta(seconds=min(closed, opened))


def test_each_order_is_half_of_only_one_roll():
    closed, late = order("c", 0, *PUTS, opens=False), order("d", 30, *PUTS, opens=False)
    assert shown([closed, order("o", 10, *LOWER), late]) == [("o", 2, 2, True), ("d", 2, 0, False)]


def test_orders_too_far_apart_are_two_transactions():
    halves = [order("c", 0, *PUTS, opens=False), order("o", ROLL_SECONDS + 0.001, *LOWER)]
    assert shown(halves) == [("c", 2, 0, False), ("o", 0, 2, False)]


@pytest.mark.parametrize(
    "opened",
    [
        PUTS,
        (("P", 70, 2), ("P", 75, -2)),
        (("P", 70, -1), ("P", 75, 1)),
        (("C", 70, 1), ("C", 75, -1)),
        (("P", 70, 1),),
        (("P", 70, 1), ("C", 75, -1)),
    ],
    ids=["the same", "more", "reversed", "calls", "one leg", "a strangle"],
)
def test_opening_a_different_shape_than_was_closed_is_not_a_roll(opened):
    assert len(transactions([order("c", 0, *PUTS, opens=False), order("o", 1, *opened)])) == 2


def test_the_time_between_the_halves_counts_from_the_last_part_of_a_replaced_order():
    chain = [order("c", 0, *PUTS, opens=False), order("d", 300, *PUTS, opens=False, origin="c")]
    opened = order("o", 350, *((right, strike, 2 * quantity) for right, strike, quantity in LOWER))
    assert shown([*chain, opened]) == [("o", 2, 2, True)]


def test_an_order_that_buys_and_sells_a_contract_leaves_the_difference():
    (trade,) = transactions([order("a", 0, ("P", 80, 3), ("P", 80, -1), ("P", 85, 1), ("P", 85, -1))])
    assert {symbol: leg.quantity for symbol, leg in trade.opening.items()} == {contract("P", 80).compact: 2}


def test_costs_name_the_order_or_its_leg_that_was_filled():
    named = order("a", 0, *PUTS)
    first, second = named.fills
    chain = [
        Order(id="a", filled_at=NOON, fills=(first, msgspec.structs.replace(second, leg_id="leg"))),
        order("b", 1, *PUTS, origin="a"),
    ]
    [trade] = transactions(chain)
    names = {symbol[-8:]: [cost.order_id for cost in leg.costs] for symbol, leg in trade.opening.items()}
    assert names == {"00080000": ["a", "b"], "00085000": ["leg", "b"]}


def test_contracts_that_one_order_bought_and_sold_have_costs_of_no_order():
    [trade] = transactions([order("a", 0, ("P", 80, 3), ("P", 80, -1))])
    [leg] = trade.opening.values()
    assert [(cost.count, cost.order_id) for cost in leg.costs] == [(2, None)]
