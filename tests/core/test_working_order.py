import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.grouping.account import group
from condord.core.quote import Quote
from condord.core.valuation import value
from condord.core.working_order import OrderLeg, WorkingOrder, closing_orders
from tests.core.strategies import condor_holdings, e4, lot, only_condor

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
STRIKES = (80, 85, 105, 110)
SHORT = only_condor(condor_holdings(STRIKES, ("0.50", "1.60", "1.60", "0.40"), 2))  # for 2.30
LONG = only_condor(condor_holdings(STRIKES, ("0.50", "1.60", "1.60", "0.40"), -2))


def closing(condor, quantity=1, limit="1.20", *, name="o", legs=slice(None), at=0, **fields):
    """An order that closes these legs of a condor."""
    sides = [OrderLeg(symbol=leg.symbol, quantity=-quantity * sign(leg), closes=True) for leg in condor.legs[legs]]
    defaults = {
        "id": name,
        "submitted_at": AT + dt.timedelta(seconds=at),
        "limit_e4": e4(limit),
        "quantity": quantity,
        "legs": tuple(sides),
    }
    return WorkingOrder(**(defaults | fields))


def sign(leg):
    return 1 if leg.quantity > 0 else -1


PUTS, CALLS = slice(0, 2), slice(2, 4)


def listed(found, condor=SHORT):
    return [(one.order_id, one.quantity) for one in found.get(condor.id, ())]


def test_an_order_for_all_four_legs_closes_the_condor():
    [found] = closing_orders([SHORT], [closing(SHORT, 2)])[SHORT.id]
    assert (found.order_id, found.limit_e4, found.quantity, found.submitted_at) == ("o", e4("1.20"), 2, AT)
    assert found.percent_of_max_profit == 47.83  # (2.30 - 1.20) / 2.30


@pytest.mark.parametrize(("condor", "limit"), [(SHORT, "1.20"), (LONG, "-3.10")], ids=["short", "long"])
def test_a_limit_has_the_sign_of_the_mark_and_the_percentage_of_a_valuation_at_it(condor, limit):
    marks = {leg.symbol: 0 for leg in condor.legs}
    marks[condor.legs[1].symbol] = abs(e4(limit))
    quotes = {symbol: Quote(symbol=symbol, mark_e4=mark_e4) for symbol, mark_e4 in marks.items()}
    valuation = value(condor, quotes, ())
    [found] = closing_orders([condor], [closing(condor, 2, limit)])[condor.id]
    assert found.limit_e4 == valuation.mark_e4 == e4(limit)
    assert found.percent_of_max_profit == valuation.percent_of_max_profit


def test_the_percentage_includes_the_realized_profit_of_rolls():
    rolled = replace(SHORT, realized_e4=e4("100"))
    [found] = closing_orders([rolled], [closing(rolled, 2)])[rolled.id]
    assert found.percent_of_max_profit == 57.14  # (220 + 100) / (460 + 100)


def test_a_condor_of_unknown_cost_has_no_percentage():
    unpaid = only_condor(condor_holdings(STRIKES, ("0.50", None, "1.60", "0.40"), 2))
    [found] = closing_orders([unpaid], [closing(unpaid, 2)])[unpaid.id]
    assert (found.limit_e4, found.percent_of_max_profit) == (e4("1.20"), None)


def test_an_order_for_a_part_has_the_percentage_of_the_whole():
    [found] = closing_orders([SHORT], [closing(SHORT, 1)])[SHORT.id]
    assert (found.quantity, found.percent_of_max_profit) == (1, 47.83)


def test_a_market_order_has_no_limit():
    [found] = closing_orders([SHORT], [closing(SHORT, 2, None)])[SHORT.id]
    assert (found.limit_e4, found.percent_of_max_profit) == (None, None)


@pytest.mark.parametrize("legs", [PUTS, CALLS], ids=["puts", "calls"])
def test_an_order_for_one_side_has_no_percentage(legs):
    [found] = closing_orders([SHORT], [closing(SHORT, 2, legs=legs)])[SHORT.id]
    assert (found.limit_e4, found.quantity, found.percent_of_max_profit) == (e4("1.20"), 2, None)


def test_the_limit_is_for_one_condor_even_if_a_unit_of_the_order_is_two():
    order = replace(closing(SHORT, 2, "2.40"), quantity=1)
    [found] = closing_orders([SHORT], [order])[SHORT.id]
    assert (found.limit_e4, found.quantity) == (e4("1.20"), 2)


def legs_with(order, **changed):
    """The order with one leg changed."""
    return replace(order, legs=(replace(order.legs[0], **changed), *order.legs[1:]))


OTHER_ORDERS = {
    "it opens": replace(closing(SHORT), legs=tuple(replace(leg, closes=False) for leg in closing(SHORT).legs)),
    "a roll": replace(
        closing(SHORT), legs=(*closing(SHORT).legs[:2], OrderLeg(symbol="XYZ261218P00070000", quantity=1, closes=False))
    ),
    "another contract": legs_with(closing(SHORT), symbol="XYZ261218P00070000"),
    "the wrong side": legs_with(closing(SHORT), quantity=1),
    "a ratio": legs_with(closing(SHORT), quantity=-2),
    "single legs": closing(SHORT, legs=slice(0, 1)),
    "the shorts": closing(SHORT, legs=slice(1, 3)),
    "three legs": closing(SHORT, legs=slice(0, 3)),
    "nothing left": replace(closing(SHORT), quantity=0),
    "no legs": closing(SHORT, legs=slice(0, 0)),
    "twice the same leg": replace(closing(SHORT), legs=(*closing(SHORT).legs, closing(SHORT).legs[0])),
}


@pytest.mark.parametrize("name", OTHER_ORDERS)
def test_any_other_order_closes_no_condor(name):
    assert closing_orders([SHORT], [OTHER_ORDERS[name]]) == {}


def test_only_the_newest_of_a_chain_of_replacements_counts():
    orders = [
        closing(SHORT, name="third", at=2, origin="first", limit="1.00"),
        closing(SHORT, name="first", at=0),
        closing(SHORT, name="second", at=1, origin="first"),
    ]
    assert listed(closing_orders([SHORT], orders)) == [("third", 1)]


def test_orders_are_listed_oldest_first_and_never_close_more_than_is_held():
    orders = [
        closing(SHORT, 2, name="late", at=1),
        closing(SHORT, 1, name="early"),
        closing(SHORT, 1, name="last", at=2),
    ]
    assert listed(closing_orders([SHORT], orders)) == [("early", 1), ("late", 1)]


def test_orders_for_both_sides_do_not_take_from_each_other():
    orders = [closing(SHORT, 2, name="puts", legs=PUTS), closing(SHORT, 2, name="calls", legs=CALLS, at=1)]
    assert listed(closing_orders([SHORT], orders)) == [("puts", 2), ("calls", 2)]
    assert listed(closing_orders([SHORT], [*orders, closing(SHORT, 1, name="all", at=2)])) == [
        ("puts", 2),
        ("calls", 2),
    ]


def lots_of_one_shape():
    """A lot of 1 and one of 3 of the same strikes."""
    lots = [lot((80, 85, 105, 110), quantity=1, name="a"), lot((80, 85, 105, 110), quantity=3, name="b", day=1)]
    return group(condor_holdings(STRIKES, ("1", "2", "2", "1"), 4), lots).condors


def test_condors_with_the_same_strikes_share_orders_and_the_first_is_closed_first():
    first, second = lots_of_one_shape()
    assert (first.quantity, second.quantity) == (1, 3)
    found = closing_orders([first, second], [closing(first, 2)])
    assert (listed(found, first), listed(found, second)) == ([("o", 1)], [("o", 1)])
    assert closing_orders([first, second], [closing(first, 1)]).keys() == {first.id}
    orders = [closing(first, 1, name="one"), closing(first, 2, name="two", at=1)]
    found = closing_orders([first, second], orders)
    assert (listed(found, first), listed(found, second)) == ([("one", 1)], [("two", 2)])


def test_condors_that_share_one_side_share_the_orders_for_it():
    other = only_condor(condor_holdings((80, 85, 115, 120), ("1", "2", "2", "1"), 2))
    found = closing_orders([SHORT, other], [closing(SHORT, 3, legs=PUTS)])
    assert (listed(found), listed(found, other)) == ([("o", 2)], [("o", 1)])
    assert closing_orders([SHORT, other], [closing(SHORT, 1)]).keys() == {SHORT.id}


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([slice(None), PUTS, CALLS]), st.integers(0, 3)), max_size=6)
)
def test_no_condor_is_closed_more_often_than_it_is_held(wanted):
    condors = lots_of_one_shape()
    orders = [
        closing(condors[0], quantity, name=f"{number}", legs=legs, at=at)
        for number, (quantity, legs, at) in enumerate(wanted)
    ]
    found = closing_orders(condors, orders)
    of_order = Counter()
    for condor in condors:
        for legs in (PUTS, CALLS):
            closed = sum(
                one.quantity
                for one in found.get(condor.id, ())
                for order in orders
                if order.id == one.order_id and condor.legs[legs][0].symbol in {leg.symbol for leg in order.legs}
            )
            assert closed <= condor.quantity
        for one in found.get(condor.id, ()):
            assert one.quantity > 0
            of_order[one.order_id] += one.quantity
    assert all(of_order[order.id] <= order.quantity for order in orders)
    assert closing_orders(condors, orders[::-1]) == found
