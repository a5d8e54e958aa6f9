import datetime as dt
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.cost import fill_cost, total_e4
from condord.core.filled_orders import Fill
from condord.core.lots import LedgerSummary, capped, lots, traded
from tests.core.filled import (
    CALLS,
    CONDOR,
    LOWER_PUTS,
    MONDAY,
    OPENED,
    PUTS,
    any_orders,
    at,
    closing,
    fills,
    opening,
    order,
)
from tests.core.strategies import DECEMBER, JANUARY, e4


def strikes(lot):
    return "-".join(f"{leg.contract.strike_mills / 1000:g}" for leg in lot.legs)


def realized(lot):
    """The realized profit of one condor of a lot, per share, in 1e-4 dollars."""
    return lot.realized_e4(100) // 100 // lot.quantity


def shown(orders):
    """The lots as (id, quantity, strikes)."""
    return [(lot.id, lot.quantity, strikes(lot)) for lot in lots(orders)]


# Opening.


def test_an_order_of_a_condor_opens_a_lot_with_its_own_fills():
    [lot] = lots([order("a", 0, opening(CONDOR, 3))])
    assert (lot.id, lot.opened_at, lot.quantity, realized(lot)) == ("a", MONDAY, 3, 0)
    assert [(leg.symbol, leg.quantity, leg.price_e4) for leg in lot.legs] == [
        ("XYZ261218P00080000", 3, 5_000),
        ("XYZ261218P00085000", -3, 11_000),
        ("XYZ261218C00105000", -3, 12_000),
        ("XYZ261218C00110000", 3, 4_000),
    ]


def test_the_sequence_of_legs_in_an_order_does_not_matter():
    [lot] = lots([order("a", 0, opening(CONDOR[::-1]))])
    assert strikes(lot) == "80-85-105-110"


@pytest.mark.parametrize(
    "legs",
    [
        [("P", 80, -1, "1"), ("P", 85, 1, "1"), ("C", 105, 1, "1"), ("C", 110, -1, "1")],
        [("P", 80, 1, "1"), ("P", 95, -1, "1"), ("C", 95, -1, "1"), ("C", 110, 1, "1")],
        [("P", 60, 1, "1"), ("P", 85, -1, "1"), ("C", 105, -1, "1"), ("C", 110, 1, "1")],
    ],
    ids=["reverse", "butterfly", "unequal wings"],
)
def test_every_kind_of_condor_opens_a_lot(legs):
    assert len(lots([order("a", 0, opening(legs, 2))])) == 1


NO_CONDORS = {
    "nothing": [],
    "a vertical": PUTS,
    "a strangle": [("P", 85, -1, "1"), ("C", 105, -1, "1")],
    "three legs": CONDOR[:3],
    "a ratio": [*PUTS, ("C", 105, -2, "1"), ("C", 110, 2, "1")],
    "a condor of calls": [("C", 80, 1, "1"), ("C", 85, -1, "1"), ("C", 105, -1, "1"), ("C", 110, 1, "1")],
    "a short put above the short call": [("P", 80, 1, "1"), ("P", 106, -1, "1"), *CALLS],
    "wings of one sign": [("P", 80, 1, "1"), ("P", 85, 1, "1"), ("C", 105, -1, "1"), ("C", 110, -1, "1")],
    "a bought and a sold wing": [*PUTS, ("C", 105, 1, "1"), ("C", 110, -1, "1")],
    "five legs": [*CONDOR, ("C", 120, 1, "1")],
}


@pytest.mark.parametrize("name", NO_CONDORS)
def test_fills_that_are_not_a_condor_open_no_lot(name):
    assert lots([order("a", 0, opening(NO_CONDORS[name]))]) == ()


@pytest.mark.parametrize("other", [{"expiration": JANUARY}, {"root": "XYZ1"}], ids=["expiration", "root"])
@pytest.mark.parametrize("moved", [CALLS, CONDOR[1:2]], ids=["wing", "leg"])
def test_legs_of_another_root_or_expiration_open_no_lot(other, moved):
    legs = [*opening([leg for leg in CONDOR if leg not in moved]), *opening(moved, **other)]
    assert lots([order("a", 0, legs)]) == ()


def test_two_verticals_of_two_orders_are_left_to_structure():
    assert lots([order("a", 0, opening(PUTS)), order("b", 1, opening(CALLS))]) == ()


def test_a_condor_opened_twice_is_two_lots():
    opened = [OPENED, order("b", 1, opening(CONDOR, 2))]
    assert shown(opened) == [("a", 1, "80-85-105-110"), ("b", 2, "80-85-105-110")]


def test_fills_of_one_contract_are_one_leg_at_their_average_price():
    split = [*opening([("P", 80, 2, "0.50"), *at("1", CONDOR[1:]), ("P", 80, -1, "0.30")]), *opening([])]
    [lot] = lots([order("a", 0, split)])
    assert (lot.legs[0].quantity, lot.legs[0].price_e4) == (1, e4("0.70"))


def test_an_average_price_is_rounded_to_the_nearest_unit():
    parts = [("C", 110, 1, "0.40"), ("C", 110, 1, "0.40"), ("C", 110, 1, "0.41")]
    [lot] = lots([order("a", 0, opening([*((*leg[:2], 3 * leg[2], leg[3]) for leg in CONDOR[:3]), *parts]))])
    assert lot.legs[3].price_e4 == 4033


def test_a_fill_of_no_contracts_is_ignored():
    assert len(lots([order("a", 0, opening([*CONDOR, ("C", 120, 0, "1")]))])) == 1


# The sequence of orders.


def test_lots_are_sorted_by_the_time_of_their_fill_and_then_by_id():
    opened = [order("c", 1, opening(CONDOR)), order("b", 1, opening(CONDOR)), order("a", 2, opening(CONDOR))]
    assert [lot.id for lot in lots(opened)] == ["b", "c", "a"]


def test_an_order_given_twice_counts_once():
    once = OPENED
    assert len(lots([once, once])) == 1


def test_only_the_last_version_of_an_order_counts():
    versions = [order("a", 1, opening(CONDOR, 3)), order("a", 0, opening(CONDOR, 1)), order("a", 1, opening(CONDOR, 2))]
    assert [lot.quantity for lot in lots(versions)] == [3]
    assert lots(versions) == lots(versions[::-1])


# Closing.


def test_closing_all_legs_ends_a_lot():
    assert lots([OPENED, order("b", 1, closing(CONDOR))]) == ()


def test_closing_a_part_leaves_the_rest():
    [lot] = lots([order("a", 0, opening(CONDOR, 5)), order("b", 1, closing(CONDOR, 2))])
    assert (lot.quantity, [leg.quantity for leg in lot.legs]) == (3, [3, -3, -3, 3])


def test_the_oldest_lot_is_closed_first():
    opened = [order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2))]
    assert shown([*opened, order("c", 2, closing(CONDOR, 3))]) == [("b", 1, "80-85-105-110")]


def test_closing_more_than_is_known_has_no_effect():
    opened = [OPENED, order("c", 2, opening(CONDOR))]
    assert shown([*opened, order("b", 1, closing(CONDOR, 9))]) == [("c", 1, "80-85-105-110")]


def test_an_order_that_would_open_more_of_a_leg_does_not_close_it():
    added = fills(CONDOR, opens=False)
    assert len(lots([OPENED, order("b", 1, added)])) == 1


def test_closing_some_legs_without_replacing_them_ends_the_lot():
    assert lots([OPENED, order("b", 1, closing(PUTS))]) == ()


def test_closing_some_legs_of_a_part_leaves_the_rest():
    assert shown([order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(PUTS))]) == [("a", 2, "80-85-105-110")]


def test_closing_a_condor_wing_by_wing_leaves_another_that_shares_a_wing():
    other = [*LOWER_PUTS, *CALLS]
    opened = [OPENED, order("b", 1, opening(other))]
    assert shown([*opened, order("c", 2, closing(PUTS)), order("d", 3, closing(CALLS))]) == [("b", 1, "70-75-105-110")]


def test_closing_a_wing_affects_the_lot_with_both_legs_and_not_an_older_one_with_one():
    shares_a_leg = [("P", 80, 1, "1"), ("P", 90, -1, "1"), *CALLS]
    opened = [order("a", 0, opening(shares_a_leg)), order("b", 1, opening(CONDOR))]
    assert shown([*opened, order("c", 2, closing(PUTS))]) == [("a", 1, "80-90-105-110")]


def test_contracts_in_no_lot_are_closed_before_legs_of_lots():
    hedge = [("P", 80, 1, "0.20")]
    opened = [OPENED, order("b", 1, opening(hedge))]
    assert len(lots([*opened, order("c", 2, closing(hedge))])) == 1
    assert lots([*opened, order("c", 2, closing(hedge)), order("d", 3, closing(hedge))]) == ()


def test_whole_condors_are_closed_before_contracts_in_no_lot():
    opened = [order("a", 0, opening(PUTS)), order("b", 1, opening(CALLS)), order("c", 2, opening(CONDOR))]
    assert lots([*opened, order("d", 3, closing(CONDOR))]) == ()


def test_closing_one_wing_of_each_of_two_condors_ends_both():
    other = [("P", 90, 1, "1"), ("P", 95, -1, "1"), ("C", 115, -1, "1"), ("C", 120, 1, "1")]
    opened = [OPENED, order("b", 1, opening(other))]
    assert lots([*opened, order("c", 2, closing([*PUTS, *other[2:]]))]) == ()


def test_opening_the_closed_wing_again_does_not_restore_the_lot():
    assert lots([OPENED, order("b", 1, closing(PUTS)), order("c", 2, opening(PUTS))]) == ()


def test_closing_a_condor_and_opening_one_of_another_root_is_not_a_roll():
    both = order("b", 1, closing(CONDOR), opening(CONDOR, root="XYZ1"))
    assert [(lot.id, lot.legs[0].contract.root) for lot in lots([OPENED, both])] == [("b", "XYZ1")]


def test_closing_a_condor_and_opening_the_reverse_one_is_not_a_roll():
    reverse = [(right, strike, -sign, price) for right, strike, sign, price in at("1", CONDOR)]
    [lot] = lots([OPENED, order("b", 1, closing(CONDOR), opening(reverse))])
    assert (lot.id, realized(lot)) == ("b", 0)


def test_an_expired_lot_is_dropped_at_the_next_closing_order():
    late = replace(order("b", 0, closing(CONDOR)), filled_at=dt.datetime(2026, 12, 21, tzinfo=dt.UTC))
    early = replace(late, fills=(), filled_at=dt.datetime(2026, 12, 20, tzinfo=dt.UTC))
    unrelated = replace(late, fills=tuple(closing(CONDOR, root="ABC")))
    assert len(lots([OPENED, early])) == 1
    assert lots([OPENED, unrelated]) == ()


# Rolling.


def test_a_rolled_lot_keeps_its_id_and_opening_and_realizes_the_profit_of_the_closed_wing():
    rolled = order("b", 9, closing([("P", 80, 1, "0.10"), ("P", 85, -1, "0.25")], 2), opening(LOWER_PUTS, 2))
    [lot] = lots([order("a", 0, opening(CONDOR, 2)), rolled])
    assert (lot.id, lot.opened_at, lot.quantity, strikes(lot)) == ("a", MONDAY, 2, "70-75-105-110")
    assert [leg.price_e4 for leg in lot.legs] == [3_000, 8_000, 12_000, 4_000]
    assert realized(lot) == e4("-0.40") + e4("0.85")


def test_the_profits_of_several_rolls_add_up():
    there = order("b", 1, closing(at("0", PUTS)), opening(at("0", LOWER_PUTS)))
    back = order("c", 2, closing(at("0.25", LOWER_PUTS)), opening(PUTS))
    [lot] = lots([OPENED, there, back])
    assert (strikes(lot), realized(lot)) == ("80-85-105-110", e4("-0.50") + e4("1.10") + e4("0.25") - e4("0.25"))


def test_replacing_a_single_leg_is_not_a_roll_and_ends_the_lot():
    moved = order("b", 1, closing([("P", 80, 1, "0.70")]), opening([("P", 75, 1, "0.30")]))
    assert lots([OPENED, moved]) == ()


def test_a_roll_of_all_four_legs_may_go_to_another_expiration():
    rolled = order("b", 1, closing(CONDOR), opening(CONDOR, expiration=JANUARY))
    [lot] = lots([OPENED, rolled])
    assert (lot.id, {leg.contract.expiration for leg in lot.legs}) == ("a", {JANUARY})


def test_a_part_that_is_rolled_becomes_a_separate_lot_with_the_same_id_and_opening():
    rolled = order("b", 1, closing(at("0", PUTS)), opening(LOWER_PUTS))
    found = lots([order("a", 0, opening(CONDOR, 3)), rolled])
    assert [(lot.id, lot.quantity, strikes(lot), realized(lot)) for lot in found] == [
        ("a", 1, "70-75-105-110", e4("0.60")),
        ("a", 2, "80-85-105-110", 0),
    ]


def test_the_second_wing_of_a_part_rolls_with_the_first():
    puts = order("b", 1, closing(PUTS), opening(LOWER_PUTS))
    calls = order("c", 2, closing(CALLS), opening([("C", 100, -1, "1"), ("C", 105, 1, "1")]))
    assert shown([order("a", 0, opening(CONDOR, 3)), puts, calls]) == [
        ("a", 1, "70-75-100-105"),
        ("a", 2, "80-85-105-110"),
    ]


def test_a_roll_larger_than_one_lot_rolls_the_next_one_too():
    opened = [order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2))]
    assert shown([*opened, order("c", 2, closing(PUTS, 3), opening(LOWER_PUTS, 3))]) == [
        ("a", 2, "70-75-105-110"),
        ("b", 1, "70-75-105-110"),
        ("b", 1, "80-85-105-110"),
    ]


@pytest.mark.parametrize(("closed", "opened"), [(3, 1), (1, 2)])
def test_opening_a_different_number_than_is_closed_is_not_a_roll(closed, opened):
    both = order("b", 1, closing(CONDOR, closed), opening(CONDOR, opened, expiration=JANUARY))
    kept, new = lots([order("a", 0, opening(CONDOR, 4)), both])
    assert (kept.id, kept.quantity, new.id, new.quantity) == ("a", 4 - closed, "b", opened)
    assert (new.opened_at, realized(new)) == (MONDAY + dt.timedelta(minutes=1), 0)


def test_a_lot_with_wings_in_two_expirations_is_not_shown_until_both_are_rolled():
    puts = order("b", 1, closing(at("0", PUTS)), opening(PUTS, expiration=JANUARY))
    calls = order("c", 2, closing(at("0", CALLS)), opening(CALLS, expiration=JANUARY))
    assert lots([OPENED, puts]) == ()
    [lot] = lots([OPENED, puts, calls])
    assert (lot.id, lot.opened_at, realized(lot)) == ("a", MONDAY, e4("0.60") + e4("0.80"))


def test_wings_rolled_up_one_after_the_other_may_cross_in_between():
    puts = order("b", 1, closing(PUTS), opening([("P", 110, 1, "1"), ("P", 115, -1, "1")]))
    calls = order("c", 2, closing(CALLS), opening([("C", 120, -1, "1"), ("C", 125, 1, "1")]))
    assert lots([OPENED, puts]) == ()
    assert shown([OPENED, puts, calls]) == [("a", 1, "110-115-120-125")]


def test_the_second_wing_rolls_the_lot_that_it_makes_a_condor_again():
    opened = [order("a", 0, opening([*LOWER_PUTS, *CALLS])), order("b", 1, opening(CONDOR, 2))]
    puts = order("c", 2, closing(PUTS), opening(PUTS, expiration=JANUARY))
    calls = order("d", 3, closing(CALLS), opening(CALLS, expiration=JANUARY))
    found = [(lot.id, lot.legs[0].contract.expiration, strikes(lot)) for lot in lots([*opened, puts, calls])]
    assert found == [
        ("a", DECEMBER, "70-75-105-110"),
        ("b", JANUARY, "80-85-105-110"),
        ("b", DECEMBER, "80-85-105-110"),
    ]


NO_ROLLS = {
    "the legs opened are not a vertical": (PUTS, [("P", 70, -1, "1"), ("P", 75, 1, "1")]),
    "the other wing is opened": (PUTS, CALLS),
    "one leg goes to another expiration": (PUTS[:1], None),
    "more is opened than closed": (PUTS[:1], LOWER_PUTS),
    "a leg closed is in no lot": ([PUTS[0], ("P", 60, -1, "1")], LOWER_PUTS),
}


@pytest.mark.parametrize("name", NO_ROLLS)
def test_a_change_that_leaves_no_condor_is_not_a_roll_and_ends_the_lot(name):
    closed, opened = NO_ROLLS[name]
    instead = opening(closed, expiration=JANUARY) if opened is None else opening(opened)
    assert lots([OPENED, order("b", 1, closing(closed), instead)]) == ()


# Rolling by two orders.

ELSEWHERE = [*LOWER_PUTS, ("C", 112, -1, "1.20"), ("C", 117, 1, "0.40")]


def two_orders(seconds, closed=CONDOR, opened=ELSEWHERE, quantity=1):
    """An order that closes and an order that opens, `seconds` apart; if negative, the opening one comes first."""
    first, second = (0, seconds / 60) if seconds >= 0 else (-seconds / 60, 0)
    return [order("c", 9 + first, closing(closed, quantity)), order("o", 9 + second, opening(opened, quantity))]


@pytest.mark.parametrize("seconds", [20, 60, -20, -60, 0])
def test_two_orders_within_a_minute_can_roll_a_condor(seconds):
    bought_back = [(right, strike, sign, "0.30") for right, strike, sign, _ in CONDOR]
    [lot] = lots([OPENED, *two_orders(seconds, bought_back)])
    assert (lot.id, lot.opened_at, strikes(lot), lot.rolls) == ("a", MONDAY, "70-75-112-117", ("o",))
    assert realized(lot) == e4("1.40")


@pytest.mark.parametrize("seconds", [61, -61])
def test_two_orders_more_than_a_minute_apart_are_not_a_roll(seconds):
    [lot] = lots([OPENED, *two_orders(seconds)])
    assert (lot.id, realized(lot)) == ("o", 0)


def test_two_orders_can_roll_one_side():
    roll = two_orders(20, at("0", PUTS), LOWER_PUTS)
    [lot] = lots([OPENED, *roll])
    assert (lot.id, strikes(lot), realized(lot)) == ("a", "70-75-105-110", e4("0.60"))


def test_a_rolled_condor_may_keep_the_strikes_of_one_side():
    opened = [*PUTS, ("C", 112, -1, "1.20"), ("C", 117, 1, "0.40")]
    [lot] = lots([OPENED, *two_orders(20, CONDOR, opened)])
    assert (lot.id, strikes(lot), lot.opened_at) == ("a", "80-85-112-117", MONDAY)


NO_PAIRS = {
    "the same strikes again": (CONDOR, CONDOR),
    "the other side": (PUTS, CALLS),
    "another direction": (CONDOR, [(right, strike, -sign, price) for right, strike, sign, price in ELSEWHERE]),
    "a side for a condor": (CONDOR, LOWER_PUTS),
}


@pytest.mark.parametrize("name", NO_PAIRS)
def test_two_orders_of_different_shapes_are_not_a_roll(name):
    closed, opened = NO_PAIRS[name]
    found = lots([OPENED, *two_orders(20, closed, opened)])
    assert [(lot.id, realized(lot)) for lot in found] in ([], [("o", 0)])


def test_the_opening_order_nearest_to_the_closing_one_is_the_other_half_of_the_roll():
    closed = order("c", 9.5, closing(CONDOR))
    opened = [order("far", 9, opening(ELSEWHERE)), order("near", 9.2, opening(ELSEWHERE))]
    found = lots([OPENED, *opened, closed])
    assert [(lot.id, lot.opened_at) for lot in found if lot.rolls == ("near",)] == [("a", MONDAY)]
    assert [lot.id for lot in found if not lot.rolls] == ["far"]


def test_closing_a_lot_just_opened_is_not_half_of_a_roll():
    other = [*LOWER_PUTS, *at("1", CALLS)]
    found = lots([OPENED, order("b", 1, opening(other)), order("c", 1.5, closing(other))])
    assert [lot.id for lot in found] == ["a"]
    crossed = order("d", 1.5, closing([*PUTS, *CALLS]))
    assert all(lot.realized is not None for lot in lots([order("b", 1, opening(other)), crossed]))


def test_rolling_a_condor_that_no_order_opened_gives_a_lot_with_an_unknown_opening_and_profit():
    legged_in = [order("a", 0, opening(PUTS)), order("b", 3, opening(CALLS))]
    for before in ([], legged_in):
        [lot] = lots([*before, *two_orders(20)])
        assert (lot.id, lot.opened_at, lot.realized, lot.realized_e4(100)) == ("o", None, None, None)
    parts = lot.split(1)[0]
    assert parts.realized is None


def test_an_unknown_profit_stays_unknown_after_further_rolls():
    again = order("z", 99, closing(LOWER_PUTS), opening(PUTS))
    [lot] = lots([*two_orders(20), again])
    assert (strikes(lot), lot.realized, lot.key) == ("80-85-112-117", None, "o/z")


def test_an_order_that_closes_and_opens_is_never_half_of_a_roll():
    late = order("b", 1, closing(PUTS), opening(CALLS))
    assert lots([OPENED, late, order("c", 1.2, opening(LOWER_PUTS))]) == ()


# Replaced orders.


def replacing(name, minute, origin, *parts):
    return replace(order(name, minute, *parts), origin=origin)


def test_an_order_and_its_replacement_open_one_lot():
    [lot] = lots([order("a", 0, opening(CONDOR, 4)), replacing("b", 30, "a", opening(CONDOR, 6))])
    assert (lot.id, lot.opened_at, lot.quantity) == ("a", MONDAY, 10)


def test_a_chain_of_replacements_is_one_lot_whichever_of_its_orders_filled():
    chain = [replacing("b", 10, "a", opening(CONDOR, 1)), replacing("d", 20, "a", opening(CONDOR, 2))]
    [lot] = lots(chain)
    assert (lot.id, lot.quantity) == ("a", 3)


def test_contracts_closed_between_two_fills_of_a_chain_stay_closed():
    first, second = order("a", 0, opening(CONDOR, 4)), replacing("c", 30, "a", opening(CONDOR, 6))
    [lot] = lots([first, order("b", 15, closing(CONDOR, 3)), second])
    assert (lot.id, lot.quantity) == ("a", 7)


def test_each_order_of_a_chain_costs_what_its_own_fills_did():
    dearer = [(*leg[:3], "9.999999") for leg in CONDOR]
    [lot] = lots([order("a", 0, opening(at("0.523333", CONDOR), 3)), replacing("b", 1, "a", opening(dearer, 1))])
    assert [total_e4(leg.costs, 100) for leg in lot.legs] == [
        sign * (e4("157") + e4("1000")) for sign in (1, -1, -1, 1)
    ]


def test_a_replaced_order_that_closes_counts_once():
    closed = [order("b", 5, closing(CONDOR, 2)), replacing("c", 6, "b", closing(CONDOR, 3))]
    [lot] = lots([order("a", 0, opening(CONDOR, 6)), *closed])
    assert lot.quantity == 1


def test_a_roll_may_have_a_replaced_closing_order():
    halves = [order("c", 5, closing(CONDOR, 1)), replacing("d", 9, "c", closing(CONDOR, 2))]
    [lot] = lots([order("a", 0, opening(CONDOR, 3)), *halves, order("o", 9.5, opening(ELSEWHERE, 3))])
    assert (lot.id, lot.quantity, strikes(lot)) == ("a", 3, "70-75-112-117")


# Money.

FIELD = [("P", 80, 1, "0.523333"), ("P", 85, -1, "1.236667"), ("C", 105, -1, "1.116667"), ("C", 110, 1, "0.453333")]
FIELD_CENTS = [15_700, -37_100, -33_500, 13_600]


@pytest.mark.parametrize("times", [1, 10])
def test_a_fill_costs_quantity_times_average_to_the_cent(times):
    [lot] = lots([order("a", 0, opening(FIELD, 3 * times))])
    assert [total_e4(leg.costs, 100) for leg in lot.legs] == [100 * times * cents for cents in FIELD_CENTS]


def test_the_profit_of_a_roll_is_exact_to_the_cent():
    [lot] = lots(
        [order("a", 0, opening(FIELD, 3)), *two_orders(20, [(*leg[:3], "0.333333") for leg in FIELD], quantity=3)]
    )
    assert lot.realized_e4(100) == e4("413")


def test_rolling_a_lot_part_by_part_realizes_the_same_profit_as_at_once():
    rolls = [
        roll
        for number in range(3)
        for roll in (
            order(f"c{number}", 10 * number, closing([(*leg[:3], "0.333333") for leg in FIELD])),
            order(f"o{number}", 10 * number + 0.5, opening(ELSEWHERE)),
        )
    ]
    found = lots([order("a", -9, opening(FIELD, 3)), *rolls])
    assert sum(lot.realized_e4(100) for lot in found) == e4("413")


# Lots capped by positions.


def held_by(*orders):
    held = Counter()
    for fill in (fill for placed in orders for fill in placed.fills):
        held[fill.symbol] += fill.quantity
    return held


TWICE = (order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2)))


def test_lots_that_are_held_completely_are_not_capped():
    assert capped(lots(TWICE), held_by(*TWICE)) == lots(TWICE)


def test_the_newest_lots_are_kept_first():
    held = {symbol: quantity * 3 // 4 for symbol, quantity in held_by(*TWICE).items()}
    found = capped(lots(TWICE), held)
    assert [(lot.id, lot.quantity) for lot in found] == [("a", 1), ("b", 2)]
    assert capped(lots(TWICE)[::-1], held) == found


def test_a_lot_whose_contracts_are_not_held_yet_takes_none_from_a_lot_held_before():
    held, before = held_by(TWICE[0]), {"a": 2}
    assert [(lot.id, lot.quantity) for lot in capped(lots(TWICE), held, before)] == [("a", 2)]
    grown = [TWICE[0], order("b", 1, opening(CONDOR, 3))]
    held = {symbol: 2 * quantity for symbol, quantity in held.items()}
    assert [(lot.id, lot.quantity) for lot in capped(lots(grown), held, {"a": 2, "b": 2})] == [("a", 2), ("b", 2)]


def test_among_lots_held_before_the_newest_are_kept_first_too():
    held = {symbol: quantity * 3 // 4 for symbol, quantity in held_by(*TWICE).items()}
    found = capped(lots(TWICE), held, {"a": 2, "b": 2})
    assert [(lot.id, lot.quantity) for lot in found] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("leg", range(4))
@pytest.mark.parametrize(("left", "covered"), [(1, 1), (0, 0), (-2, 0)])
def test_the_leg_held_least_limits_the_lot(leg, left, covered):
    [lot] = lots(TWICE[:1])
    held = {part.symbol: part.quantity for part in lot.legs}
    held[lot.legs[leg].symbol] = held[lot.legs[leg].symbol] // 2 * left
    assert sum(part.quantity for part in capped([lot], held)) == covered


def test_without_positions_no_lot_is_kept():
    assert capped(lots(TWICE), {}) == ()


def test_one_contract_held_keeps_only_one_of_two_lots_that_share_it():
    opened = [OPENED, order("b", 1, opening([*LOWER_PUTS, *CALLS]))]
    held = held_by(*opened)
    held["XYZ261218C00110000"] = 1
    assert [lot.id for lot in capped(lots(opened), held)] == ["b"]


# Properties: the orders of any trader, compared with a ledger of every single condor.


class Unit:
    """One condor with its opening and realized profit; its legs by symbol are (sign, price in 1e-4 dollars)."""

    def __init__(self, name, opened_at, parts):
        self.name, self.opened_at, self.realized_e4 = name, opened_at, 0
        self.legs = legs_of(parts)

    def view(self):
        return self.name, self.opened_at, self.realized_e4, tuple(sorted(self.legs.items()))


def _sign(quantity):
    return 1 if quantity > 0 else -1


WINGS = {
    "P": [((80, 85), DECEMBER), ((80, 90), DECEMBER), ((70, 75), DECEMBER), ((80, 85), JANUARY)],
    "C": [((105, 110), DECEMBER), ((100, 110), DECEMBER), ((95, 105), DECEMBER), ((105, 110), JANUARY)],
}


def wing(right, which, prices):
    """The fills of one vertical with the outer leg bought, at two prices in units of 5 cents."""
    (low, high), expiration = WINGS[right][which]
    signs = (1, -1) if right == "P" else (-1, 1)
    legs = zip((low, high), signs, prices, strict=True)
    return opening([(right, strike, sign, str(price / 20)) for strike, sign, price in legs], expiration=expiration)


def times(parts, quantity):
    return [replace(fill, quantity=fill.quantity * quantity) for fill in parts]


class Trader:
    """Draws orders that a broker would accept, and follows the condors that they leave."""

    def __init__(self, draw, moves=("open", "close", "roll", "roll_whole"), sides=4):
        self.draw = draw
        self.moves = moves
        self.sides = sides
        self.orders = []
        self.units = []
        self.held = Counter()

    def trade(self, number):
        self.number = number
        moves = [move for move in self.moves if self.units or move == "open"]
        parts = getattr(self, self.draw(st.sampled_from(moves)))()
        self.place(*self.draw(st.permutations(self.orders_of(parts))))

    def orders_of(self, parts):
        """The parts of each order: a roll may be one order or two."""
        if len(parts) < 2 or self.draw(st.booleans()):
            return [parts]
        return [[part] for part in parts]

    def place(self, *orders):
        for second, parts in enumerate(orders):
            placed = order(f"o{self.number}{'ab'[second]}", 2 * self.number + second / 3, *parts)
            self.orders.append(placed)
            for fill in placed.fills:
                self.held[fill.symbol] += fill.quantity

    def prices(self):
        return self.draw(st.tuples(st.integers(0, 60), st.integers(0, 60)))

    def open(self):
        parts, quantity = self.condor(), self.draw(st.integers(1, 3))
        opened_at = MONDAY + dt.timedelta(minutes=2 * self.number)
        if self.is_netting(parts):
            return []
        self.units += [Unit(f"o{self.number}a", opened_at, parts) for _ in range(quantity)]
        return [times(parts, quantity)]

    def condor(self):
        december = st.integers(0, 2)
        return [*wing("P", self.draw(december), self.prices()), *wing("C", self.draw(december), self.prices())]

    def is_netting(self, parts):
        """Whether `parts` would net a leg held: a contract is long or short, so these are not drawn."""
        return any(fill.quantity * self.held[fill.symbol] < 0 for fill in parts)

    def chosen(self):
        """Some of the condors that have the same legs as a random one, oldest first."""
        symbols = self.draw(st.sampled_from(self.units)).legs.keys()
        alike = [unit for unit in self.units if unit.legs.keys() == symbols]
        return alike[: self.draw(st.integers(1, len(alike)))]

    def closing_of(self, unit, symbols, quantity):
        contracts = {fill.symbol: fill.contract for placed in self.orders for fill in placed.fills}
        return [
            Fill(
                symbol=symbol,
                contract=contracts[symbol],
                quantity=-unit.legs[symbol][0] * quantity,
                price_e6=50_000 * self.draw(st.integers(0, 60)),
                opens=False,
            )
            for symbol in sorted(symbols)
        ]

    def close(self):
        traded = self.chosen()
        self.units = [unit for unit in self.units if unit not in traded]
        return [self.closing_of(traded[0], traded[0].legs, len(traded))]

    def roll(self):
        """Roll one wing of some condors: first those that become condors, and among these the oldest."""
        right, which = self.draw(st.sampled_from("PC")), self.draw(st.integers(0, self.sides - 1))
        unit = self.draw(st.sampled_from(self.units))
        old = {symbol for symbol in unit.legs if symbol[-9] == right}
        parts = wing(right, which, self.prices())
        new = legs_of(parts)
        if self.is_netting(parts) or new.keys() & old:
            return []
        alike = [unit for unit in self.units if old <= unit.legs.keys()]
        alike.sort(key=lambda unit: not is_condor((unit.legs.keys() - old) | new.keys()))
        return self.roll_legs(unit, old, parts, alike[: self.draw(st.integers(1, len(alike)))])

    def roll_whole(self):
        """Roll all legs of some condors, the oldest first."""
        traded = self.chosen()
        parts = self.condor()
        old = set(traded[0].legs)
        if self.is_netting(parts) or legs_of(parts).keys() & old:
            return []
        return self.roll_legs(traded[0], old, parts, traded)

    def roll_legs(self, unit, old, parts, traded):
        out = self.closing_of(unit, old, len(traded))
        for rolled in traded:
            for fill in out:
                sign, paid_e4 = rolled.legs[fill.symbol]
                rolled.realized_e4 += sign * (fill.price_e6 // 100 - paid_e4)
            rolled.legs = {symbol: leg for symbol, leg in rolled.legs.items() if symbol not in old} | legs_of(parts)
        return [out, times(parts, len(traded))]


def legs_of(parts):
    """The fills of one condor by symbol, as (sign, price in 1e-4 dollars)."""
    return {fill.symbol: (_sign(fill.quantity), fill.price_e6 // 100) for fill in parts}


@st.composite
def histories(draw):
    trader = Trader(draw)
    for number in range(draw(st.integers(1, 8))):
        trader.trade(number)
    return trader


def is_condor(symbols):
    """Whether the legs of two verticals, one of puts and one of calls, are a condor."""
    puts, calls = ([symbol for symbol in symbols if symbol[-9] == right] for right in "PC")
    is_apart = max(symbol[-8:] for symbol in puts) <= min(symbol[-8:] for symbol in calls)
    return is_apart and len({symbol[-15:-9] for symbol in symbols}) == 1


@pytest.mark.slow
@given(histories())
def test_lots_equal_a_ledger_that_follows_every_single_condor(trader):
    views = Counter()
    for lot in lots(trader.orders):
        legs = tuple(sorted((leg.symbol, (_sign(leg.quantity), leg.price_e4)) for leg in lot.legs))
        views[lot.id, lot.opened_at, realized(lot), legs] += lot.quantity
    assert views == Counter(unit.view() for unit in trader.units if is_condor(unit.legs))


@pytest.mark.slow
@given(histories())
def test_a_complete_history_never_has_lots_of_more_than_is_held(trader):
    found = lots(trader.orders)
    assert capped(found, trader.held) == found


@pytest.mark.slow
@given(histories())
def test_the_keys_of_all_lots_differ(trader):
    keys = [lot.key for lot in lots(trader.orders)]
    assert len(set(keys)) == len(keys)


@st.composite
def rolled_only(draw):
    """Histories of one expiration that only open and roll, at prices that do not divide evenly."""
    trader = Trader(draw, moves=("open", "open", "roll", "roll_whole"), sides=3)
    for number in range(draw(st.integers(1, 8))):
        trader.trade(number)
    cents = st.integers(0, 3_000_000)
    return [
        replace(placed, fills=tuple(replace(fill, price_e6=draw(cents)) for fill in placed.fills))
        for placed in trader.orders
    ]


@pytest.mark.slow
@given(rolled_only(), st.sampled_from([100, 10, 150]))
def test_realized_profit_and_cost_of_open_legs_add_up_to_what_was_paid(orders, multiplier):
    paid_e4 = sum(
        total_e4(fill_cost(fill.quantity * fill.price_e6, abs(fill.quantity)), multiplier)
        for placed in orders
        for fill in placed.fills
    )
    open_e4 = realized_e4 = 0
    for lot in lots(orders):
        realized_e4 += lot.realized_e4(multiplier)
        open_e4 += sum(total_e4(leg.costs, multiplier) for leg in lot.legs)
    assert open_e4 - realized_e4 == paid_e4


@pytest.mark.slow
@given(histories(), st.data())
def test_the_parts_of_a_split_lot_add_up_to_the_whole(trader, data):
    for lot in lots(trader.orders):
        parts = lot.split(data.draw(st.integers(0, lot.quantity)))
        assert sum(part.quantity for part in parts) == lot.quantity
        assert sum(part.realized_e4(100) for part in parts) == lot.realized_e4(100)
        for index, leg in enumerate(lot.legs):
            assert sum(part.legs[index].quantity for part in parts) == leg.quantity
            assert sum(total_e4(part.legs[index].costs, 100) for part in parts) == total_e4(leg.costs, 100)


@pytest.mark.slow
@given(histories(), st.randoms(use_true_random=False))
def test_the_sequence_of_the_input_does_not_matter(trader, chance):
    mixed = [*trader.orders, *trader.orders[:2]]
    chance.shuffle(mixed)
    assert lots(mixed) == lots(trader.orders)


@pytest.mark.slow
@given(any_orders())
def test_every_lot_of_any_orders_is_a_condor(orders):
    found = lots(orders)
    assert all(early.since_at <= late.since_at for early, late in pairwise(found))
    for lot in found:
        contracts = [leg.contract for leg in lot.legs]
        assert [contract.right for contract in contracts] == ["put", "put", "call", "call"]
        k1, k2, k3, k4 = [contract.strike_mills for contract in contracts]
        assert k1 < k2 <= k3 < k4
        assert len({(contract.root, contract.expiration) for contract in contracts}) == 1
        outer = lot.legs[0].quantity
        assert [leg.quantity for leg in lot.legs] == [outer, -outer, -outer, outer]
        assert lot.quantity == abs(outer) > 0


@pytest.mark.slow
@given(any_orders())
def test_lots_of_any_orders_never_hold_more_than_was_opened(orders):
    opened, claimed = Counter(), Counter()
    for fill in (fill for placed in orders for fill in placed.fills if fill.opens):
        opened[fill.symbol] += abs(fill.quantity)
    for leg in (leg for lot in lots(orders) for leg in lot.legs):
        claimed[leg.symbol] += abs(leg.quantity)
    assert all(quantity <= opened[symbol] for symbol, quantity in claimed.items())


@pytest.mark.slow
@given(any_orders(), st.data())
def test_capped_lots_never_exceed_what_is_held_and_are_as_large_as_possible(orders, data):
    found = lots(orders)
    symbols = sorted({leg.symbol for lot in found for leg in lot.legs})
    held = {symbol: data.draw(st.integers(-3, 3)) for symbol in symbols}
    covered = capped(found, held)
    used, kept, fill_cost = Counter(), Counter(), Counter()
    for lot in covered:
        kept[lot.id, strikes(lot)] += lot.quantity
        used.update({leg.symbol: abs(leg.quantity) for leg in lot.legs})
        assert all(leg.quantity * held[leg.symbol] > 0 for leg in lot.legs)
    assert all(quantity <= abs(held[symbol]) for symbol, quantity in used.items())
    for lot in found:
        fill_cost[lot.id, strikes(lot)] += lot.quantity
    for lot in found:
        spare = [max(0, _sign(leg.quantity) * held[leg.symbol]) - used[leg.symbol] for leg in lot.legs]
        assert min(spare) <= 0 or kept[lot.id, strikes(lot)] == fill_cost[lot.id, strikes(lot)]


def test_the_search_for_lots_pauses_and_can_be_aborted():
    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        lots([OPENED], give_up)


# The trades of the newest day.

NEXT_DAY = 24 * 60


def of_day(trades):
    """The trades as (symbol without its root and expiration, signed contracts)."""
    return [(trade.symbol[9:], trade.quantity) for trade in trades]


OPENING = [("P00080000", 1), ("P00085000", -1), ("C00105000", -1), ("C00110000", 1)]


def test_nothing_was_traded_without_orders():
    assert traded([]) == LedgerSummary()


def test_a_lot_opened_on_the_newest_day_has_its_opening_trades():
    found = traded([OPENED])
    assert (found.day, found.closed) == (MONDAY.date(), ())
    assert of_day(found.lots[0].trades) == OPENING
    assert found.counts["XYZ261218P00080000"] == (1, 0)
    assert found.counts["XYZ261218P00085000"] == (0, 1)


def test_trades_of_days_before_the_newest_order_are_left_out():
    found = traded([OPENED, order("b", NEXT_DAY, opening(LOWER_PUTS))])
    assert found.day == MONDAY.date() + dt.timedelta(days=1)
    assert found.lots[0].trades == ()
    assert found.counts == {"XYZ261218P00070000": (1, 0), "XYZ261218P00075000": (0, 1)}


def test_the_trades_of_a_partly_closed_lot_stay_with_the_rest():
    found = traded([order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(CONDOR, 2))])
    assert [lot.quantity for lot in found.lots] == [1]
    assert of_day(found.lots[0].trades) == [
        *((symbol, 3 * sign) for symbol, sign in OPENING),
        *((symbol, -2 * sign) for symbol, sign in OPENING),
    ]
    assert found.closed == ()


def test_the_trades_of_a_lot_that_is_closed_completely_are_kept_separately():
    found = traded([OPENED, order("b", NEXT_DAY, closing(CONDOR))])
    assert found.lots == ()
    assert of_day(found.closed) == [(symbol, -sign) for symbol, sign in OPENING]


def test_the_trades_of_a_lot_that_loses_one_side_count_for_contracts_in_no_lot():
    found = traded([OPENED, order("b", 1, closing(CALLS))])
    assert (found.lots, found.closed) == ((), ())
    assert found.counts["XYZ261218C00105000"] == (1, 1)


def test_a_rolled_lot_has_the_trades_of_the_legs_that_it_closed():
    found = traded([OPENED, order("b", NEXT_DAY, closing(PUTS), opening(LOWER_PUTS))])
    assert of_day(found.lots[0].trades) == [
        ("P00080000", -1),
        ("P00085000", 1),
        ("P00070000", 1),
        ("P00075000", -1),
    ]


def test_a_part_that_is_rolled_takes_its_share_of_the_trades():
    found = traded([order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(PUTS), opening(LOWER_PUTS))])
    trades = {lot.quantity: Counter(dict(of_day(lot.trades[:4]))) for lot in found.lots}
    assert trades[2] == {symbol: 2 * sign for symbol, sign in OPENING}
    assert trades[1] == dict(OPENING)


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 5))
def test_the_parts_of_a_split_lot_have_all_of_its_trades(quantity, closed, count):
    closed, count = min(closed, quantity - 1), min(count, quantity)
    orders = [order("a", 0, opening(CONDOR, quantity)), order("b", 1, closing(CONDOR, closed))]
    [lot] = traded(orders).lots
    first, other = lot.split(min(count, lot.quantity))
    whole_, parts = Counter(), Counter()
    for trade in lot.trades:
        whole_[trade.symbol] += trade.quantity
    for trade in (*first.trades, *other.trades):
        assert trade.quantity
        parts[trade.symbol] += trade.quantity
    assert parts == whole_
