import datetime as dt
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.orders import Fill, Order, capped, lots
from tests.core.strategies import DECEMBER, JANUARY, contract, e4

MONDAY = dt.datetime(2026, 11, 16, 15, 0, tzinfo=dt.UTC)

PUTS = [("P", 80, 1, "0.50"), ("P", 85, -1, "1.10")]
CALLS = [("C", 105, -1, "1.20"), ("C", 110, 1, "0.40")]
CONDOR = [*PUTS, *CALLS]
LOWER_PUTS = [("P", 70, 1, "0.30"), ("P", 75, -1, "0.80")]


def fills(legs, *, opens, quantity=1, **common):
    """Fills from (right, strike, signed contracts of one, price in dollars)."""
    found = []
    for right, strike, sign, price in legs:
        option = contract(right, strike, **common)
        found.append(
            Fill(symbol=option.compact, contract=option, quantity=sign * quantity, price_e4=e4(price), opens=opens)
        )
    return found


def opening(legs, quantity=1, **common):
    return fills(legs, opens=True, quantity=quantity, **common)


def closing(legs, quantity=1, **common):
    """The fills that close `legs`, at the prices given."""
    return fills(legs, opens=False, quantity=-quantity, **common)


def order(name, minute, *parts):
    return Order(
        id=name,
        filled_at=MONDAY + dt.timedelta(minutes=minute),
        fills=tuple(fill for part in parts for fill in part),
    )


def at(price, legs):
    """The same legs at another price."""
    return [(right, strike, sign, price) for right, strike, sign, _ in legs]


def strikes(lot):
    return "-".join(f"{leg.contract.strike_mills / 1000:g}" for leg in lot.legs)


def shown(orders):
    """The lots as (id, quantity, strikes)."""
    return [(lot.id, lot.quantity, strikes(lot)) for lot in lots(orders)]


# Opening.


def test_an_order_of_a_condor_opens_a_lot_with_its_own_fills():
    [lot] = lots([order("a", 0, opening(CONDOR, 3))])
    assert (lot.id, lot.opened_at, lot.quantity, lot.realized_e4) == ("a", MONDAY, 3, 0)
    assert [(leg.symbol, leg.quantity, leg.price_e4) for leg in lot.legs] == [
        ("XYZ261218P00080000", 3, 5_000),
        ("XYZ261218P00085000", -3, 11_000),
        ("XYZ261218C00105000", -3, 12_000),
        ("XYZ261218C00110000", 3, 4_000),
    ]


def test_the_order_of_the_legs_in_an_order_is_of_no_account():
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
def test_every_kind_of_condor_is_one(legs):
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
def test_what_is_no_condor_opens_no_lot(name):
    assert lots([order("a", 0, opening(NO_CONDORS[name]))]) == ()


@pytest.mark.parametrize("other", [{"expiration": JANUARY}, {"root": "XYZ1"}], ids=["expiration", "root"])
@pytest.mark.parametrize("moved", [CALLS, CONDOR[1:2]], ids=["wing", "leg"])
def test_legs_of_another_root_or_expiration_open_no_lot(other, moved):
    legs = [*opening([leg for leg in CONDOR if leg not in moved]), *opening(moved, **other)]
    assert lots([order("a", 0, legs)]) == ()


def test_two_verticals_of_two_orders_are_left_to_structure():
    assert lots([order("a", 0, opening(PUTS)), order("b", 1, opening(CALLS))]) == ()


def test_a_condor_opened_twice_is_two_lots():
    opened = [order("a", 0, opening(CONDOR)), order("b", 1, opening(CONDOR, 2))]
    assert shown(opened) == [("a", 1, "80-85-105-110"), ("b", 2, "80-85-105-110")]


def test_fills_of_one_contract_are_one_leg_at_their_average_price():
    split = [*opening([("P", 80, 2, "0.50"), *at("1", CONDOR[1:]), ("P", 80, -1, "0.30")]), *opening([])]
    [lot] = lots([order("a", 0, split)])
    assert (lot.legs[0].quantity, lot.legs[0].price_e4) == (1, e4("0.70"))


def test_an_average_price_is_rounded_to_the_nearest_unit():
    parts = [("C", 110, 1, "0.40"), ("C", 110, 1, "0.40"), ("C", 110, 1, "0.41")]
    [lot] = lots([order("a", 0, opening([*((*leg[:2], 3 * leg[2], leg[3]) for leg in CONDOR[:3]), *parts]))])
    assert lot.legs[3].price_e4 == 4033


def test_a_fill_of_no_contracts_is_nothing():
    assert len(lots([order("a", 0, opening([*CONDOR, ("C", 120, 0, "1")]))])) == 1


# The order of orders.


def test_orders_count_by_the_instant_of_their_fill_and_then_by_id():
    opened = [order("c", 1, opening(CONDOR)), order("b", 1, opening(CONDOR)), order("a", 2, opening(CONDOR))]
    assert [lot.id for lot in lots(opened)] == ["b", "c", "a"]


def test_an_order_given_twice_counts_once():
    once = order("a", 0, opening(CONDOR))
    assert len(lots([once, once])) == 1


def test_of_one_order_the_version_filled_last_counts():
    versions = [order("a", 1, opening(CONDOR, 3)), order("a", 0, opening(CONDOR, 1)), order("a", 1, opening(CONDOR, 2))]
    assert [lot.quantity for lot in lots(versions)] == [3]
    assert lots(versions) == lots(versions[::-1])


# Closing.


def test_closing_all_legs_ends_a_lot():
    assert lots([order("a", 0, opening(CONDOR)), order("b", 1, closing(CONDOR))]) == ()


def test_closing_a_part_leaves_the_rest():
    [lot] = lots([order("a", 0, opening(CONDOR, 5)), order("b", 1, closing(CONDOR, 2))])
    assert (lot.quantity, [leg.quantity for leg in lot.legs]) == (3, [3, -3, -3, 3])


def test_the_oldest_lot_is_closed_first():
    opened = [order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2))]
    assert shown([*opened, order("c", 2, closing(CONDOR, 3))]) == [("b", 1, "80-85-105-110")]


def test_closing_more_than_is_known_does_no_harm():
    opened = [order("a", 0, opening(CONDOR)), order("c", 2, opening(CONDOR))]
    assert shown([*opened, order("b", 1, closing(CONDOR, 9))]) == [("c", 1, "80-85-105-110")]


def test_an_order_that_would_open_more_of_a_leg_does_not_close_it():
    added = fills(CONDOR, opens=False)
    assert len(lots([order("a", 0, opening(CONDOR)), order("b", 1, added)])) == 1


def test_closing_some_legs_without_others_in_their_place_ends_the_lot():
    assert lots([order("a", 0, opening(CONDOR)), order("b", 1, closing(PUTS))]) == ()


def test_closing_some_legs_of_a_part_leaves_the_rest():
    assert shown([order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(PUTS))]) == [("a", 2, "80-85-105-110")]


def test_a_condor_closed_wing_by_wing_spares_another_that_shares_a_wing():
    other = [*LOWER_PUTS, *CALLS]
    opened = [order("a", 0, opening(CONDOR)), order("b", 1, opening(other))]
    assert shown([*opened, order("c", 2, closing(PUTS)), order("d", 3, closing(CALLS))]) == [("b", 1, "70-75-105-110")]


def test_a_wing_is_closed_of_the_lot_that_has_it_and_not_of_older_ones_that_share_a_leg():
    shares_a_leg = [("P", 80, 1, "1"), ("P", 90, -1, "1"), *CALLS]
    opened = [order("a", 0, opening(shares_a_leg)), order("b", 1, opening(CONDOR))]
    assert shown([*opened, order("c", 2, closing(PUTS))]) == [("a", 1, "80-90-105-110")]


def test_contracts_in_no_lot_are_closed_before_legs_of_lots():
    hedge = [("P", 80, 1, "0.20")]
    opened = [order("a", 0, opening(CONDOR)), order("b", 1, opening(hedge))]
    assert len(lots([*opened, order("c", 2, closing(hedge))])) == 1
    assert lots([*opened, order("c", 2, closing(hedge)), order("d", 3, closing(hedge))]) == ()


def test_whole_condors_are_closed_before_contracts_in_no_lot():
    opened = [order("a", 0, opening(PUTS)), order("b", 1, opening(CALLS)), order("c", 2, opening(CONDOR))]
    assert lots([*opened, order("d", 3, closing(CONDOR))]) == ()


def test_wings_of_two_condors_closed_at_once_end_both():
    other = [("P", 90, 1, "1"), ("P", 95, -1, "1"), ("C", 115, -1, "1"), ("C", 120, 1, "1")]
    opened = [order("a", 0, opening(CONDOR)), order("b", 1, opening(other))]
    assert lots([*opened, order("c", 2, closing([*PUTS, *other[2:]]))]) == ()


def test_a_lot_ended_is_not_brought_back_by_the_wing_opened_again():
    assert lots([order("a", 0, opening(CONDOR)), order("b", 1, closing(PUTS)), order("c", 2, opening(PUTS))]) == ()


def test_closing_one_condor_and_opening_another_at_once_is_no_roll_when_the_root_differs():
    turned = order("b", 1, closing(CONDOR), opening(CONDOR, root="XYZ1"))
    assert [(lot.id, lot.legs[0].contract.root) for lot in lots([order("a", 0, opening(CONDOR)), turned])] == [
        ("b", "XYZ1")
    ]


def test_closing_a_condor_and_opening_the_reverse_at_once_is_no_roll():
    reverse = [(right, strike, -sign, price) for right, strike, sign, price in at("1", CONDOR)]
    [lot] = lots([order("a", 0, opening(CONDOR)), order("b", 1, closing(CONDOR), opening(reverse))])
    assert (lot.id, lot.realized_e4) == ("b", 0)


def test_a_lot_that_expired_is_forgotten_at_the_next_closing():
    late = replace(order("b", 0, closing(CONDOR)), filled_at=dt.datetime(2026, 12, 21, tzinfo=dt.UTC))
    early = replace(late, fills=(), filled_at=dt.datetime(2026, 12, 20, tzinfo=dt.UTC))
    unrelated = replace(late, fills=tuple(closing(CONDOR, root="ABC")))
    opened = order("a", 0, opening(CONDOR))
    assert len(lots([opened, early])) == 1
    assert lots([opened, unrelated]) == ()


# Rolling.


def test_a_rolled_wing_keeps_the_history_and_adds_what_it_made():
    rolled = order("b", 9, closing([("P", 80, 1, "0.10"), ("P", 85, -1, "0.25")], 2), opening(LOWER_PUTS, 2))
    [lot] = lots([order("a", 0, opening(CONDOR, 2)), rolled])
    assert (lot.id, lot.opened_at, lot.quantity, strikes(lot)) == ("a", MONDAY, 2, "70-75-105-110")
    assert [leg.price_e4 for leg in lot.legs] == [3_000, 8_000, 12_000, 4_000]
    assert lot.realized_e4 == e4("-0.40") + e4("0.85")


def test_what_rolls_made_adds_up():
    there = order("b", 1, closing(at("0", PUTS)), opening(at("0", LOWER_PUTS)))
    back = order("c", 2, closing(at("0.25", LOWER_PUTS)), opening(PUTS))
    [lot] = lots([order("a", 0, opening(CONDOR)), there, back])
    assert (strikes(lot), lot.realized_e4) == ("80-85-105-110", e4("-0.50") + e4("1.10") + e4("0.25") - e4("0.25"))


def test_a_single_leg_can_be_rolled():
    rolled = order("b", 1, closing([("P", 80, 1, "0.70")]), opening([("P", 75, 1, "0.30")]))
    [lot] = lots([order("a", 0, opening(CONDOR)), rolled])
    assert (strikes(lot), lot.realized_e4) == ("75-85-105-110", e4("0.20"))


def test_a_roll_of_all_four_legs_may_go_to_another_expiration():
    rolled = order("b", 1, closing(CONDOR), opening(CONDOR, expiration=JANUARY))
    [lot] = lots([order("a", 0, opening(CONDOR)), rolled])
    assert (lot.id, {leg.contract.expiration for leg in lot.legs}) == ("a", {JANUARY})


def test_a_part_rolled_is_a_lot_of_its_own_with_the_same_history():
    rolled = order("b", 1, closing(at("0", PUTS)), opening(LOWER_PUTS))
    found = lots([order("a", 0, opening(CONDOR, 3)), rolled])
    assert [(lot.id, lot.quantity, strikes(lot), lot.realized_e4) for lot in found] == [
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


def test_a_roll_larger_than_a_lot_goes_on_with_the_next():
    opened = [order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2))]
    assert shown([*opened, order("c", 2, closing(PUTS, 3), opening(LOWER_PUTS, 3))]) == [
        ("a", 2, "70-75-105-110"),
        ("b", 1, "70-75-105-110"),
        ("b", 1, "80-85-105-110"),
    ]


def test_a_roll_that_opens_less_than_it_closes_closes_the_difference():
    rolled = order("b", 1, closing(PUTS, 3), opening(LOWER_PUTS, 1))
    assert shown([order("a", 0, opening(CONDOR, 4)), rolled]) == [
        ("a", 1, "70-75-105-110"),
        ("a", 1, "80-85-105-110"),
    ]


def test_a_wing_rolled_to_another_expiration_is_no_condor_until_the_other_wing_follows():
    opened = order("a", 0, opening(CONDOR))
    puts = order("b", 1, closing(at("0", PUTS)), opening(PUTS, expiration=JANUARY))
    calls = order("c", 2, closing(at("0", CALLS)), opening(CALLS, expiration=JANUARY))
    assert lots([opened, puts]) == ()
    [lot] = lots([opened, puts, calls])
    assert (lot.id, lot.opened_at, lot.realized_e4) == ("a", MONDAY, e4("0.60") + e4("0.80"))


def test_wings_rolled_up_one_after_the_other_may_cross_in_between():
    opened = order("a", 0, opening(CONDOR))
    puts = order("b", 1, closing(PUTS), opening([("P", 110, 1, "1"), ("P", 115, -1, "1")]))
    calls = order("c", 2, closing(CALLS), opening([("C", 120, -1, "1"), ("C", 125, 1, "1")]))
    assert lots([opened, puts]) == ()
    assert shown([opened, puts, calls]) == [("a", 1, "110-115-120-125")]


def test_the_second_wing_is_that_of_the_lot_it_makes_a_condor_of_again():
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
    "the legs opened are no vertical": (PUTS, [("P", 70, -1, "1"), ("P", 75, 1, "1")]),
    "the other wing is opened": (PUTS, CALLS),
    "one leg goes to another expiration": (PUTS[:1], None),
    "more is opened than closed": (PUTS[:1], LOWER_PUTS),
    "a leg closed is in no lot": ([PUTS[0], ("P", 60, -1, "1")], LOWER_PUTS),
}


@pytest.mark.parametrize("name", NO_ROLLS)
def test_what_leaves_no_condor_is_no_roll_and_ends_the_lot(name):
    closed, opened = NO_ROLLS[name]
    instead = opening(closed, expiration=JANUARY) if opened is None else opening(opened)
    assert lots([order("a", 0, opening(CONDOR)), order("b", 1, closing(closed), instead)]) == ()


# What is held.


def held_by(*orders):
    held = Counter()
    for fill in (fill for each in orders for fill in each.fills):
        held[fill.symbol] += fill.quantity
    return held


TWICE = (order("a", 0, opening(CONDOR, 2)), order("b", 1, opening(CONDOR, 2)))


def test_lots_that_are_held_stay_as_they_are():
    assert capped(lots(TWICE), held_by(*TWICE)) == lots(TWICE)


def test_the_newest_lots_are_covered_first():
    held = {symbol: quantity * 3 // 4 for symbol, quantity in held_by(*TWICE).items()}
    found = capped(lots(TWICE), held)
    assert [(lot.id, lot.quantity) for lot in found] == [("a", 1), ("b", 2)]
    assert capped(lots(TWICE)[::-1], held) == found


@pytest.mark.parametrize("leg", range(4))
@pytest.mark.parametrize(("left", "covered"), [(1, 1), (0, 0), (-2, 0)])
def test_the_leg_held_least_decides(leg, left, covered):
    [lot] = lots(TWICE[:1])
    held = {part.symbol: part.quantity for part in lot.legs}
    held[lot.legs[leg].symbol] = held[lot.legs[leg].symbol] // 2 * left
    assert sum(part.quantity for part in capped([lot], held)) == covered


def test_what_is_not_held_covers_nothing():
    assert capped(lots(TWICE), {}) == ()


def test_a_contract_that_two_lots_share_covers_only_one_when_one_is_held():
    opened = [order("a", 0, opening(CONDOR)), order("b", 1, opening([*LOWER_PUTS, *CALLS]))]
    held = held_by(*opened)
    held["XYZ261218C00110000"] = 1
    assert [lot.id for lot in capped(lots(opened), held)] == ["b"]


# Properties: any trader, against a ledger that knows every single condor.


class Unit:
    """One condor with its history, legs by symbol as (fill, price)."""

    def __init__(self, name, opened_at, parts):
        self.name, self.opened_at, self.realized_e4 = name, opened_at, 0
        self.legs = {fill.symbol: (_sign(fill.quantity), fill.price_e4) for fill in parts}

    def view(self):
        return self.name, self.opened_at, self.realized_e4, tuple(sorted(self.legs.items()))


def _sign(quantity):
    return 1 if quantity > 0 else -1


WINGS = {
    "P": [((80, 85), DECEMBER), ((80, 90), DECEMBER), ((70, 75), DECEMBER), ((80, 85), JANUARY)],
    "C": [((105, 110), DECEMBER), ((100, 110), DECEMBER), ((95, 105), DECEMBER), ((105, 110), JANUARY)],
}


def wing(right, which, prices):
    """The fills of one vertical, bought outside, at two prices in half dimes."""
    (low, high), expiration = WINGS[right][which]
    signs = (1, -1) if right == "P" else (-1, 1)
    legs = zip((low, high), signs, prices, strict=True)
    return opening([(right, strike, sign, str(price / 20)) for strike, sign, price in legs], expiration=expiration)


def times(parts, quantity):
    return [replace(fill, quantity=fill.quantity * quantity) for fill in parts]


class Trader:
    """Draws orders that a broker would take, and knows which condors they leave."""

    def __init__(self, draw):
        self.draw = draw
        self.orders = []
        self.units = []
        self.held = Counter()

    def trade(self, number):
        self.number = number
        moves = [self.open]
        moves += [self.close, self.roll] if self.units else []
        parts = self.draw(st.sampled_from(moves))()
        placed = order(f"o{number}", number, *parts)
        self.orders.append(placed)
        for fill in placed.fills:
            self.held[fill.symbol] += fill.quantity

    def prices(self):
        return self.draw(st.tuples(st.integers(0, 60), st.integers(0, 60)))

    def open(self):
        december, quantity = st.integers(0, 2), self.draw(st.integers(1, 3))
        parts = [*wing("P", self.draw(december), self.prices()), *wing("C", self.draw(december), self.prices())]
        opened_at = MONDAY + dt.timedelta(minutes=self.number)
        # A contract is held long or short, not both: what would net another leg is not drawn.
        if any(fill.quantity * self.held[fill.symbol] < 0 for fill in parts):
            return []
        self.units += [Unit(f"o{self.number}", opened_at, parts) for _ in range(quantity)]
        return [times(parts, quantity)]

    def chosen(self):
        """A condor, all that have its legs, oldest first, and how many of them are traded."""
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
                price_e4=500 * self.draw(st.integers(0, 60)),
                opens=False,
            )
            for symbol in sorted(symbols)
        ]

    def close(self):
        traded = self.chosen()
        self.units = [unit for unit in self.units if unit not in traded]
        return [self.closing_of(traded[0], traded[0].legs, len(traded))]

    def roll(self):
        """Another wing in the place of one: those that become condors first, the oldest of them before."""
        right, which = self.draw(st.sampled_from("PC")), self.draw(st.integers(0, 3))
        one = self.draw(st.sampled_from(self.units))
        old = {symbol for symbol in one.legs if symbol[-9] == right}
        parts = wing(right, which, self.prices())
        new = {fill.symbol: (_sign(fill.quantity), fill.price_e4) for fill in parts}
        if any(sign * self.held[symbol] < 0 for symbol, (sign, _) in new.items()) or new.keys() & old:
            return []
        alike = [unit for unit in self.units if old <= unit.legs.keys()]
        alike.sort(key=lambda unit: not is_condor((unit.legs.keys() - old) | new.keys()))
        traded = alike[: self.draw(st.integers(1, len(alike)))]
        out = self.closing_of(one, old, len(traded))
        for unit in traded:
            for fill in out:
                sign, paid_e4 = unit.legs[fill.symbol]
                unit.realized_e4 += sign * (fill.price_e4 - paid_e4)
            unit.legs = {symbol: leg for symbol, leg in unit.legs.items() if symbol not in old} | new
        return [out, times(parts, len(traded))]


@st.composite
def histories(draw):
    trader = Trader(draw)
    for number in range(draw(st.integers(1, 8))):
        trader.trade(number)
    return trader


def is_condor(symbols):
    """Whether four legs, two puts and two calls by verticals, are one."""
    puts, calls = ([symbol for symbol in symbols if symbol[-9] == right] for right in "PC")
    is_apart = max(symbol[-8:] for symbol in puts) <= min(symbol[-8:] for symbol in calls)
    return is_apart and len({symbol[-15:-9] for symbol in symbols}) == 1


@pytest.mark.slow
@given(histories())
def test_lots_are_the_condors_that_a_ledger_of_single_condors_knows(trader):
    views = Counter()
    for lot in lots(trader.orders):
        legs = tuple(sorted((leg.symbol, (_sign(leg.quantity), leg.price_e4)) for leg in lot.legs))
        views[lot.id, lot.opened_at, lot.realized_e4, legs] += lot.quantity
    assert views == Counter(unit.view() for unit in trader.units if is_condor(unit.legs))


@pytest.mark.slow
@given(histories())
def test_a_history_that_is_complete_never_claims_more_than_is_held(trader):
    found = lots(trader.orders)
    assert capped(found, trader.held) == found


@pytest.mark.slow
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_is_of_no_account(trader, chance):
    mixed = [*trader.orders, *trader.orders[:2]]
    chance.shuffle(mixed)
    assert lots(mixed) == lots(trader.orders)


def any_fills():
    """Fills that need not make sense."""
    option = st.builds(
        contract,
        st.sampled_from("PC"),
        st.sampled_from([80, 85, 90, 100, 105, 110]),
        expiration=st.sampled_from([DECEMBER, DECEMBER, JANUARY]),
    )
    return st.builds(
        lambda option, quantity, price_e4, opens: Fill(
            symbol=option.compact, contract=option, quantity=quantity, price_e4=price_e4, opens=opens
        ),
        option,
        st.integers(-3, 3),
        st.integers(-100, 50_000),
        st.booleans(),
    )


def any_orders():
    anything = st.lists(any_fills(), max_size=8)
    sensible = st.builds(
        lambda legs, quantity, opens: opening(legs, quantity) if opens else closing(legs, quantity),
        st.sampled_from([CONDOR, PUTS, CALLS, [*LOWER_PUTS, *CALLS], [(r, k, -s, p) for r, k, s, p in CONDOR]]),
        st.integers(1, 3),
        st.booleans(),
    )
    parts = st.lists(st.one_of(sensible, sensible, anything), min_size=1, max_size=2)
    return st.lists(
        st.builds(
            lambda name, minute, parts: order(name, minute, *parts),
            st.text("abcdef", min_size=1, max_size=2),
            st.integers(0, 20),
            parts,
        ),
        max_size=10,
    )


@pytest.mark.slow
@given(any_orders())
def test_whatever_was_ordered_every_lot_is_a_condor(orders):
    found = lots(orders)
    assert all(early.opened_at <= late.opened_at for early, late in pairwise(found))
    for lot in found:
        one, two, three, four = (leg.contract for leg in lot.legs)
        assert [one.right, two.right, three.right, four.right] == ["put", "put", "call", "call"]
        assert one.strike_mills < two.strike_mills <= three.strike_mills < four.strike_mills
        assert len({(part.root, part.expiration) for part in (one, two, three, four)}) == 1
        outer = lot.legs[0].quantity
        assert [leg.quantity for leg in lot.legs] == [outer, -outer, -outer, outer]
        assert lot.quantity == abs(outer) > 0


@pytest.mark.slow
@given(any_orders())
def test_whatever_was_ordered_no_lot_holds_more_than_was_opened(orders):
    opened, claimed = Counter(), Counter()
    for fill in (fill for each in orders for fill in each.fills if fill.opens):
        opened[fill.symbol] += abs(fill.quantity)
    for leg in (leg for lot in lots(orders) for leg in lot.legs):
        claimed[leg.symbol] += abs(leg.quantity)
    assert all(quantity <= opened[symbol] for symbol, quantity in claimed.items())


@pytest.mark.slow
@given(any_orders(), st.data())
def test_what_is_capped_never_exceeds_what_is_held_and_nothing_more_could_be_covered(orders, data):
    found = lots(orders)
    symbols = sorted({leg.symbol for lot in found for leg in lot.legs})
    held = {symbol: data.draw(st.integers(-3, 3)) for symbol in symbols}
    covered = capped(found, held)
    used, kept, whole = Counter(), Counter(), Counter()
    for lot in covered:
        kept[lot.id, strikes(lot)] += lot.quantity
        used.update({leg.symbol: abs(leg.quantity) for leg in lot.legs})
        assert all(leg.quantity * held[leg.symbol] > 0 for leg in lot.legs)
    assert all(quantity <= abs(held[symbol]) for symbol, quantity in used.items())
    for lot in found:
        whole[lot.id, strikes(lot)] += lot.quantity
    for lot in found:
        spare = [max(0, _sign(leg.quantity) * held[leg.symbol]) - used[leg.symbol] for leg in lot.legs]
        assert min(spare) <= 0 or kept[lot.id, strikes(lot)] == whole[lot.id, strikes(lot)]
