import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.condor import Grouping, condor_id, group, strike_text
from condord.core.orders import Fill, Lot, LotLeg, Order, lots
from condord.core.valuation import percent
from tests.core.strategies import (
    DECEMBER,
    JANUARY,
    books,
    condor_books,
    condor_holdings,
    contract,
    e4,
    holding,
    legs_of,
    payoff_e4,
    unreadable,
)

STRIKES = (90, 95, 105, 110)


def only(positions):
    """The one condor that `positions` are."""
    found = group(positions)
    assert found.unmatched == ()
    (card,) = found.condors
    return card


def held(*legs, **common):
    """Holdings from (right, strike, quantity) and, where it is not December, the expiration."""
    return [
        holding(right, strike, quantity, expiration=(*rest, DECEMBER)[0], **common)
        for right, strike, quantity, *rest in legs
    ]


# Published condors: strikes, prices of the legs, quantity, multiplier; credit, max profit, max loss, breakevens,
# profit or loss below all strikes and above them, return on risk in per cent. Only the net price of some is known: it
# stands on the short put.
PUBLISHED = {
    "schwab": (
        (140, 150, 160, 170), ("1.15", "2.89", "2.91", "0.70"), 10, 100,
        "3.95", "3950", "6050", ("146.05", "163.95"), "-6050", "-6050", 65.29,
    ),
    "optionalpha": (
        (94, 95, 105, 106), ("0", "0.50", "0", "0"), 1, 100,
        "0.5", "50", "50", ("94.5", "105.5"), "-50", "-50", 100.0,
    ),
    "index-like": (
        (400, 450, 550, 600), ("0", "15", "0", "0"), 1, 100,
        "15", "1500", "3500", ("435", "565"), "-3500", "-3500", 42.86,
    ),
    "quantinsti": (
        (45, 50, 60, 65), ("0.50", "1.00", "1.00", "0.50"), 1, 100,
        "1", "100", "400", ("49", "61"), "-400", "-400", 25.0,
    ),
    "margin-estimator": (
        (567, 572, 602, 607), ("4.78", "5.61", "5.23", "3.68"), 1, 100,
        "2.38", "238", "262", ("569.62", "604.38"), "-262", "-262", 90.84,
    ),
    "nifty": (
        (24600, 24700, 24900, 25000), ("30", "60", "60", "30"), 1, 75,
        "60", "4500", "3000", ("24640", "24960"), "-3000", "-3000", 150.0,
    ),
    "free-side": (
        (46, 49, 53, 54), ("0", "1.03", "0", "0"), 1, 100,
        "1.03", "103", "197", ("47.97", None), "-197", "3", 52.28,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_condor_has_its_published_numbers(name):
    strikes, entries, quantity, multiplier, credit, profit, loss, breakevens, _, _, on_risk = PUBLISHED[name]
    card = only(condor_holdings(strikes, entries, quantity, multiplier=multiplier))
    assert (card.direction, card.quantity) == ("short", quantity)
    assert (card.credit_e4, card.max_profit_e4, card.max_loss_e4) == (e4(credit), e4(profit), e4(loss))
    assert (card.lower_breakeven_e4, card.upper_breakeven_e4) == tuple(map(e4, breakevens))
    assert percent(card.max_profit_e4, card.max_loss_e4) == on_risk


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_condor_pays_at_the_far_ends_what_is_published(name):
    strikes, entries, quantity, multiplier, *_, below, above, _ = PUBLISHED[name]
    card = only(condor_holdings(strikes, entries, quantity, multiplier=multiplier))
    assert payoff_e4(legs_of(card), 0, multiplier) == e4(below)
    assert payoff_e4(legs_of(card), 2 * e4(strikes[3]), multiplier) == e4(above)


# What is held; the condors as (direction, kind, strikes, quantity, broken wing, ambiguous); what is left.
BOOKS = {
    "unequal wings are one condor": (
        [("P", 100, 1), ("P", 105, -1), ("C", 110, -1), ("C", 120, 1)],
        [("short", "ironCondor", "100-105-110-120", 1, True, False)],
        [],
    ),
    "ten of each leg are one condor": (
        [("P", 95, 10), ("P", 97.5, -10), ("C", 102.5, -10), ("C", 105, 10)],
        [("short", "ironCondor", "95-97.5-102.5-105", 10, False, False)],
        [],
    ),
    "two call spreads are none": (
        [("C", 598, 1), ("C", 600, 1), ("C", 603, -1), ("C", 605, -1)],
        [],
        [("C", 598, 1), ("C", 600, 1), ("C", 603, -1), ("C", 605, -1)],
    ),
    "equal wings are not broken": (
        [("P", 1000, 1), ("P", 1025, -1), ("C", 1150, -1), ("C", 1175, 1)],
        [("short", "ironCondor", "1000-1025-1150-1175", 1, False, False)],
        [],
    ),
    "a wider call wing is broken": (
        [("C", 110, -1), ("C", 118, 1), ("P", 90, -1), ("P", 85, 1)],
        [("short", "ironCondor", "85-90-110-118", 1, True, False)],
        [],
    ),
    "a short put beside a call spread is none": (
        [("P", 95, -1), ("C", 110, -1), ("C", 115, 1)],
        [],
        [("P", 95, -1), ("C", 110, -1), ("C", 115, 1)],
    ),
    "a batman is a reverse condor and a short strangle": (
        [("C", 25300, 1), ("C", 25550, -2), ("P", 24300, 1), ("P", 24050, -2)],
        [("long", "ironCondor", "24050-24300-25300-25550", 1, False, False)],
        [("C", 25550, -1), ("P", 24050, -1)],
    ),
    "more shorts than longs leave a short strangle": (
        [("P", 90, 1), ("P", 95, -2), ("C", 105, -2), ("C", 110, 1)],
        [("short", "ironCondor", "90-95-105-110", 1, False, False)],
        [("P", 95, -1), ("C", 105, -1)],
    ),
    "expirations never mix": (
        [
            *(("P", 90, 1), ("P", 95, -1), ("C", 105, -1), ("C", 110, 1)),
            *(("P", 88, 1, JANUARY), ("P", 93, -1, JANUARY), ("C", 107, -1, JANUARY), ("C", 112, 1, JANUARY)),
        ],
        [
            ("short", "ironCondor", "90-95-105-110", 1, False, False),
            ("short", "ironCondor", "88-93-107-112", 1, False, False),
        ],
        [],
    ),
    "a double diagonal is none": (
        [("P", 95, -1), ("C", 105, -1), ("P", 90, 1, JANUARY), ("C", 110, 1, JANUARY)],
        [],
        [("P", 95, -1), ("C", 105, -1), ("P", 90, 1, JANUARY), ("C", 110, 1, JANUARY)],
    ),
    "two condors share a long put": (
        [("P", 90, 2), ("P", 95, -1), ("P", 97, -1), ("C", 105, -1), ("C", 107, -1), ("C", 112, 1), ("C", 110, 1)],
        [
            ("short", "ironCondor", "90-95-107-112", 1, False, True),
            ("short", "ironCondor", "90-97-105-110", 1, True, True),
        ],
        [],
    ),
    "equal quantities belong together": (
        [
            *(("P", 90, 3), ("P", 95, -3), ("P", 80, 2), ("P", 85, -2)),
            *(("C", 105, -2), ("C", 110, 2), ("C", 115, -3), ("C", 120, 3)),
        ],
        [
            ("short", "ironCondor", "80-85-105-110", 2, False, False),
            ("short", "ironCondor", "90-95-115-120", 3, False, False),
        ],
        [],
    ),
    "equal short strikes make a butterfly": (
        [("P", 90, 1), ("P", 100, -1), ("C", 100, -1), ("C", 105, 1)],
        [("short", "ironButterfly", "90-100-100-105", 1, True, False)],
        [],
    ),
    "equal bought strikes make a reverse butterfly": (
        [("P", 95, -1), ("P", 100, 1), ("C", 100, 1), ("C", 105, -1)],
        [("long", "ironButterfly", "95-100-100-105", 1, False, False)],
        [],
    ),
    "a short put above the short call makes none": (
        [("P", 100, 1), ("P", 105, -1), ("C", 103, -1), ("C", 108, 1)],
        [],
        [("P", 100, 1), ("P", 105, -1), ("C", 103, -1), ("C", 108, 1)],
    ),
    "a condor of puts is none": (
        [("P", 1050, 1), ("P", 1075, -1), ("P", 1100, -1), ("P", 1125, 1)],
        [],
        [("P", 1050, 1), ("P", 1075, -1), ("P", 1100, -1), ("P", 1125, 1)],
    ),
    "three legs are none": (
        [("P", 90, 1), ("P", 95, -1), ("C", 105, -1)],
        [],
        [("P", 90, 1), ("P", 95, -1), ("C", 105, -1)],
    ),
    "strikes of half a dollar are exact": (
        [("P", 97.5, 2), ("P", 100, -2), ("C", 102.5, -2), ("C", 105, 2)],
        [("short", "ironCondor", "97.5-100-102.5-105", 2, False, False)],
        [],
    ),
    "nothing held is nothing": ([], [], []),
}


@pytest.mark.parametrize("name", BOOKS)
def test_a_book_is_grouped_and_what_is_left_is_kept(name):
    legs, condors, left = BOOKS[name]
    found = group(held(*legs))
    cards = [
        (c.direction, c.kind, c.id.split("-", 2)[2], c.quantity, c.broken_wing, c.ambiguous) for c in found.condors
    ]
    assert cards == condors
    kept = {leftover.position.symbol: leftover.position.quantity for leftover in found.unmatched}
    assert kept == {position.symbol: position.quantity for position in held(*left)}


def test_what_has_equal_quality_either_way_is_the_concentric_one():
    legs = [("P", 80, 1), ("P", 85, -1), ("P", 90, 1), ("P", 95, -1)]
    legs += [("C", 105, -1), ("C", 110, 1), ("C", 115, -1), ("C", 120, 1)]
    found = group(held(*legs))
    assert [card.id for card in found.condors] == ["XYZ-261218-80-85-115-120", "XYZ-261218-90-95-105-110"]
    assert all(card.ambiguous for card in found.condors)


@pytest.mark.parametrize(
    "odd_one_out",
    [{"root": "XYZ1"}, {"multiplier": 10}, {"expiration": JANUARY}],
    ids=["root", "multiplier", "expiration"],
)
def test_legs_of_another_root_multiplier_or_expiration_make_no_condor(odd_one_out):
    legs = held(("P", 90, 1), ("P", 95, -1), ("C", 105, -1))
    assert group([*legs, holding("C", 110, 1, **odd_one_out)]).condors == ()


def test_a_condor_names_its_root_expiration_and_strikes():
    card = only(condor_holdings((97.5, 100, 102.5, 105), "1111", 2, root="SPXW", underlying="SPX"))
    assert card.id == "SPXW-261218-97.5-100-102.5-105"
    assert (card.root, card.underlying, card.expiration, card.multiplier) == ("SPXW", "SPX", DECEMBER, 100)
    assert (card.put_width_e4, card.call_width_e4) == (e4("2.5"), e4("2.5"))


def test_a_condor_without_a_known_underlying_goes_by_its_root():
    legs = [replace(position, underlying=None) for position in condor_holdings(STRIKES, "1111")]
    assert only(legs).underlying == "XYZ"


def test_legs_stand_by_strike_and_the_put_of_a_butterfly_before_its_call():
    card = only(reversed(condor_holdings((90, 100, 100, 105), "1234", 2)))
    assert [(leg.right, leg.strike_mills, leg.quantity) for leg in card.legs] == [
        ("put", 90_000, 2),
        ("put", 100_000, -2),
        ("call", 100_000, -2),
        ("call", 105_000, 2),
    ]


def test_a_leg_keeps_its_symbol_its_average_entry_and_its_signed_cost_basis():
    card = only(condor_holdings(STRIKES, ("0.50", "1.25", "1.5", "0.75"), 2))
    assert [(leg.symbol, leg.average_entry_e4, leg.cost_basis_e4) for leg in card.legs] == [
        ("XYZ261218P00090000", e4("0.50"), e4("100")),
        ("XYZ261218P00095000", e4("1.25"), e4("-250")),
        ("XYZ261218C00105000", e4("1.5"), e4("-300")),
        ("XYZ261218C00110000", e4("0.75"), e4("150")),
    ]


@pytest.mark.parametrize(
    ("strike_mills", "text"),
    [(1, "0.001"), (2_010, "2.01"), (2_500, "2.5"), (560_000, "560"), (100, "0.1"), (99_999_999, "99999.999")],
)
def test_a_strike_is_written_in_dollars_without_trailing_zeros(strike_mills, text):
    assert strike_text(strike_mills) == text


def test_an_id_is_root_day_and_strikes():
    assert condor_id("SPY", DECEMBER, (560_000, 570_000, 630_000, 640_000)) == "SPY-261218-560-570-630-640"


def test_the_same_condor_of_two_multipliers_has_two_ids():
    twice = [*condor_holdings(STRIKES, "1111", multiplier=100), *condor_holdings(STRIKES, "1111", multiplier=150)]
    assert [(card.id, card.multiplier) for card in group(twice).condors] == [
        ("XYZ-261218-90-95-105-110", 100),
        ("XYZ-261218-90-95-105-110-2", 150),
    ]


def test_one_contract_under_two_symbols_is_not_lost():
    legs = condor_holdings(STRIKES, "1111")
    padded = replace(legs[0], symbol="XYZ   261218P00090000", quantity=2)
    found = group([*legs, padded])
    quantities = Counter({leg.symbol: leg.quantity for leg in found.condors[0].legs})
    quantities.update({leftover.position.symbol: leftover.position.quantity for leftover in found.unmatched})
    assert quantities == {position.symbol: position.quantity for position in [*legs, padded]}


# The numbers, beyond the published ones: strikes 90, 95, 105, 110 unless said; prices of the legs.


def numbers(card):
    return card.credit_e4, card.max_profit_e4, card.max_loss_e4, card.lower_breakeven_e4, card.upper_breakeven_e4


def dollars(*amounts):
    return tuple(map(e4, amounts))


def test_the_wider_wing_makes_the_loss():
    card = only(condor_holdings((90, 95, 105, 125), ("0.5", "1", "1", "0.5"), 2))
    assert numbers(card) == dollars("1", "200", "3800", "94", "106")


def test_a_credit_as_wide_as_one_wing_leaves_that_side_without_breakeven():
    card = only(condor_holdings((90, 95, 105, 115), ("0", "3", "2", "0")))
    assert numbers(card) == dollars("5", "500", "500", None, "110")


def test_a_credit_as_wide_as_the_call_wing_leaves_that_side_without_breakeven():
    card = only(condor_holdings((85, 95, 105, 110), ("0", "3", "2", "0")))
    assert numbers(card) == dollars("5", "500", "500", "90", None)


def test_a_credit_wider_than_both_wings_cannot_lose():
    card = only(condor_holdings(STRIKES, ("0", "3", "3", "0")))
    assert numbers(card) == dollars("6", "600", "0", None, None)


def test_a_short_condor_that_cost_always_loses():
    card = only(condor_holdings(STRIKES, ("2", "1", "1", "1.5")))
    assert card.direction == "short"
    assert numbers(card) == dollars("-1.5", "-150", "650", None, None)


def test_a_condor_that_neither_cost_nor_paid_breaks_even_at_its_inner_strikes():
    card = only(condor_holdings(STRIKES, ("1", "1", "1", "1")))
    assert numbers(card) == dollars("0", "0", "500", "95", "105")


def test_a_reverse_condor_wins_outside_and_loses_its_debit():
    card = only(condor_holdings(STRIKES, ("0.5", "1", "1", "0.5"), -3))
    assert (card.direction, card.quantity) == ("long", 3)
    assert numbers(card) == dollars("-1", "1200", "300", "94", "106")


def test_a_reverse_condor_wins_most_over_its_wider_wing():
    card = only(condor_holdings((90, 95, 105, 107), ("0", "1", "2", "0"), -1))
    assert numbers(card) == dollars("-3", "200", "300", "92", None)


def test_a_reverse_condor_that_paid_cannot_lose():
    card = only(condor_holdings(STRIKES, ("1", "0.5", "0.5", "1"), -1))
    assert numbers(card) == dollars("1", "600", "0", None, None)


def test_a_reverse_condor_dearer_than_its_wings_cannot_win():
    card = only(condor_holdings(STRIKES, ("0", "3", "3", "0"), -1))
    assert numbers(card) == dollars("-6", "-100", "600", None, None)


@pytest.mark.parametrize("leg", range(4))
def test_without_every_cost_basis_a_condor_stands_without_numbers(leg):
    legs = condor_holdings(STRIKES, "1221")
    legs[leg] = replace(legs[leg], cost_basis_e4=None, average_entry_e4=None)
    card = only(legs)
    assert numbers(card) == (None, None, None, None, None)
    assert [part.cost_basis_e4 is None for part in card.legs] == [i == leg for i in range(4)]
    assert (card.put_width_e4, card.call_width_e4) == dollars("5", "5")


def test_an_average_that_does_not_terminate_rounds_the_credit_and_nothing_else():
    legs = condor_holdings(STRIKES, "0000", 3)
    legs[1] = holding("P", 95, -3, None, basis="-100.00")
    card = only(legs)
    assert (card.credit_e4, card.lower_breakeven_e4) == (3333, e4("94.6667"))
    assert (card.max_profit_e4, card.max_loss_e4) == dollars("100", "1400")


def test_half_a_unit_of_credit_is_rounded_away_from_zero():
    legs = condor_holdings(STRIKES, "0000", 1)
    assert only([legs[0], replace(legs[1], cost_basis_e4=-150), *legs[2:]]).credit_e4 == 2
    assert only([replace(legs[0], cost_basis_e4=150), *legs[1:]]).credit_e4 == -2


# A contract that condors share: three of one contract each, all of them of one long put and one long call.
SHARED = [("P", 95, -1), ("P", 96, -1), ("P", 97, -1), ("C", 105, -1), ("C", 106, -1), ("C", 107, -1)]


def shares(found, symbol):
    return [leg.cost_basis_e4 for card in found.condors for leg in card.legs if leg.symbol == symbol]


@pytest.mark.parametrize(
    ("basis", "parts"),
    [
        ("99", ("33", "33", "33")),
        ("100", ("33.33", "33.33", "33.34")),
        ("200", ("66.67", "66.67", "66.66")),
        ("100.0001", ("33.33", "33.33", "33.3401")),
        ("0.01", ("0", "0", "0.01")),
        ("0", ("0", "0", "0")),
    ],
)
def test_a_shared_cost_basis_is_split_to_the_cent_and_the_remainder_goes_to_the_last(basis, parts):
    put, call = holding("P", 90, 3, basis=basis), holding("C", 120, 3, basis=basis)
    found = group([put, call, *held(*SHARED)])
    assert shares(found, put.symbol) == list(dollars(*parts))
    assert shares(found, call.symbol) == list(dollars(*parts))


def test_a_shared_cost_basis_of_shorts_is_split_alike():
    put = holding("P", 95, -3, basis="-100")
    calls = held(("C", 105, -1), ("C", 106, -1), ("C", 107, -1))
    found = group([put, *held(("P", 88, 1), ("P", 89, 1), ("P", 90, 1)), *calls, holding("C", 120, 3)])
    assert shares(found, put.symbol) == list(dollars("-33.33", "-33.33", "-33.34"))


def test_a_shared_cost_basis_is_split_by_quantity():
    put = holding("P", 90, 4, basis="100.01")
    found = group([put, *held(("P", 94, -1), ("P", 95, -3), ("C", 105, -3), ("C", 106, -1), ("C", 110, 4))])
    quantities = [leg.quantity for card in found.condors for leg in card.legs if leg.symbol == put.symbol]
    assert quantities == [1, 3]
    assert shares(found, put.symbol) == list(dollars("25", "75.01"))


def test_contracts_left_over_are_the_last_to_be_paid():
    put = holding("P", 90, 3, basis="100")
    found = group([put, *held(("P", 95, -2), ("C", 105, -2), ("C", 110, 2))])
    (left,) = found.unmatched
    assert shares(found, put.symbol) == [e4("66.67")]
    assert (left.position.quantity, left.position.cost_basis_e4) == (1, e4("33.33"))


def test_contracts_left_over_of_an_unknown_cost_basis_have_none():
    put = replace(holding("P", 90, 3), cost_basis_e4=None)
    found = group([put, *held(("P", 95, -2), ("C", 105, -2), ("C", 110, 2))])
    assert [left.position.cost_basis_e4 for left in found.unmatched] == [None]


# What no condor uses.


def uncovered(*positions):
    return {left.position.symbol: left.uncovered_short for left in group(positions).unmatched}


def test_a_short_alone_is_uncovered():
    assert uncovered(*held(("C", 105, -1))) == {"XYZ261218C00105000": True}


def test_a_long_is_never_uncovered():
    assert uncovered(*held(("C", 105, 1))) == {"XYZ261218C00105000": False}


def test_a_short_beside_a_long_of_its_right_is_covered():
    assert uncovered(*held(("C", 105, -1), ("C", 110, 1))) == {
        "XYZ261218C00105000": False,
        "XYZ261218C00110000": False,
    }


@pytest.mark.parametrize(
    "beside",
    [
        holding("P", 100, 1),
        holding("C", 110, 1, root="XYZ1"),
        holding("C", 110, 1, expiration=JANUARY),
        replace(holding("C", 110, 1), quantity=None),
        replace(holding("C", 110, 1), quantity=0),
        unreadable(quantity=1),
    ],
    ids=["right", "root", "expiration", "no quantity", "none held", "unreadable"],
)
def test_a_long_of_another_kind_covers_nothing(beside):
    assert uncovered(*held(("C", 105, -1)), beside)["XYZ261218C00105000"]


def test_a_short_is_uncovered_when_longs_cover_only_a_part():
    assert uncovered(*held(("C", 105, -2), ("C", 110, 1)))["XYZ261218C00105000"]


def test_a_long_covers_only_one_short():
    assert uncovered(*held(("C", 100, -1), ("C", 105, -1), ("C", 110, 1))) == {
        "XYZ261218C00100000": False,
        "XYZ261218C00105000": True,
        "XYZ261218C00110000": False,
    }


def test_a_long_that_a_condor_uses_covers_nothing_else():
    found = group(held(("P", 90, 1), ("P", 95, -1), ("C", 104, -1), ("C", 105, -1), ("C", 110, 1)))
    assert len(found.condors) == 1
    assert [left.uncovered_short for left in found.unmatched] == [True]


def test_an_unreadable_short_is_kept_with_its_problem_and_not_called_uncovered():
    (left,) = group([unreadable(quantity=-2)]).unmatched
    assert (left.position, left.uncovered_short) == (unreadable(quantity=-2), False)


@pytest.mark.parametrize("quantity", [None, 0])
def test_a_position_without_contracts_is_kept(quantity):
    position = replace(holding("P", 90, 1), quantity=quantity)
    assert [left.position for left in group([position]).unmatched] == [position]


def test_leftovers_stand_in_order_of_their_symbols():
    found = group([unreadable("b"), *held(("P", 95, -1), ("C", 110, 1), ("C", 105, 1)), unreadable("A")])
    symbols = [left.position.symbol for left in found.unmatched]
    assert symbols == sorted(symbols)
    assert len(symbols) == 5


# Properties.


@st.composite
def shuffled(draw):
    book = draw(books())
    return book, draw(st.permutations(book))


@pytest.mark.slow
@given(books(), st.lists(st.sampled_from(["?", "SPY", "1"]), unique=True))
def test_every_contract_and_every_dollar_is_in_exactly_one_place(book, odd_symbols):
    book = [*book, *map(unreadable, odd_symbols)]
    found = group(book)
    contracts, basis_e4 = Counter(), Counter()
    unknown = set()
    parts = [leg for card in found.condors for leg in card.legs] + [left.position for left in found.unmatched]
    for part in parts:
        contracts[part.symbol] += part.quantity
        basis_e4[part.symbol] += part.cost_basis_e4 or 0
        unknown |= {part.symbol} if part.cost_basis_e4 is None else set()
    assert contracts == {position.symbol: position.quantity for position in book}
    assert basis_e4 == {position.symbol: position.cost_basis_e4 or 0 for position in book}
    assert unknown == {position.symbol for position in book if position.cost_basis_e4 is None}


@pytest.mark.slow
@given(books())
def test_every_part_of_a_shared_cost_basis_is_near_its_share(book):
    known = {position.symbol: position for position in book if position.cost_basis_e4 is not None}
    for leg in (leg for card in group(book).condors for leg in card.legs if leg.symbol in known):
        whole = known[leg.symbol]
        assert abs(leg.cost_basis_e4 * whole.quantity - whole.cost_basis_e4 * leg.quantity) <= 100 * abs(whole.quantity)


@pytest.mark.slow
@given(shuffled())
def test_a_grouping_does_not_depend_on_the_order_of_the_positions(pair):
    book, mixed = pair
    assert group(book) == group(mixed)


@pytest.mark.slow
@given(books())
def test_ids_are_unique(book):
    ids = [card.id for card in group(book).condors]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
@given(books())
def test_every_condor_has_the_shape_of_one(book):
    for card in group(book).condors:
        strikes = [leg.strike_mills for leg in card.legs]
        assert strikes[0] < strikes[1] <= strikes[2] < strikes[3]
        assert [leg.right for leg in card.legs] == ["put", "put", "call", "call"]
        sign = card.quantity if card.direction == "short" else -card.quantity
        assert [leg.quantity for leg in card.legs] == [sign, -sign, -sign, sign]
        assert card.kind == ("ironButterfly" if strikes[1] == strikes[2] else "ironCondor")


@st.composite
def ladders(draw):
    """Books in which no reverse condor is possible: longs outside, shorts inside."""
    legs = []
    for right, low, sign in (("P", 80, 1), ("P", 90, -1), ("C", 100, -1), ("C", 110, 1)):
        strikes = draw(st.lists(st.integers(low, low + 9), min_size=1, max_size=2, unique=True))
        legs += [holding(right, strike, sign * draw(st.integers(1, 3))) for strike in strikes]
    return [replace(leg, cost_basis_e4=leg.quantity * draw(st.integers(0, 500)) * 10_000) for leg in legs]


def flipped(position):
    return replace(position, quantity=-position.quantity, cost_basis_e4=-position.cost_basis_e4)


@pytest.mark.slow
@given(ladders())
def test_with_every_sign_flipped_a_short_condor_is_the_same_as_a_long_one(book):
    short, long = group(book), group(map(flipped, book))
    assert {card.direction for card in short.condors} == {"short"}
    assert {card.direction for card in long.condors} == {"long"}
    assert [card.id for card in short.condors] == [card.id for card in long.condors]
    for sold, bought in zip(short.condors, long.condors, strict=True):
        assert (sold.quantity, sold.kind, sold.ambiguous) == (bought.quantity, bought.kind, bought.ambiguous)
        assert sold.credit_e4 == -bought.credit_e4
        assert [leg.cost_basis_e4 for leg in sold.legs] == [-leg.cost_basis_e4 for leg in bought.legs]
    assert [left.position for left in short.unmatched] == [flipped(left.position) for left in long.unmatched]


@pytest.mark.slow
@given(ladders(), st.integers(2, 50))
def test_n_times_the_contracts_is_n_times_the_money(book, n):
    def times(amount_e4):
        return None if amount_e4 is None else n * amount_e4

    many = [replace(p, quantity=n * p.quantity, cost_basis_e4=n * p.cost_basis_e4) for p in book]
    one, all_of_them = group(book), group(many)
    assert [card.id for card in one.condors] == [card.id for card in all_of_them.condors]
    for single, multiple in zip(one.condors, all_of_them.condors, strict=True):
        assert multiple.quantity == n * single.quantity
        assert multiple.max_profit_e4 == times(single.max_profit_e4)
        assert multiple.max_loss_e4 == times(single.max_loss_e4)
        assert multiple.credit_e4 == single.credit_e4
        assert multiple.lower_breakeven_e4 == single.lower_breakeven_e4
        assert multiple.upper_breakeven_e4 == single.upper_breakeven_e4
        assert [leg.cost_basis_e4 for leg in multiple.legs] == [times(leg.cost_basis_e4) for leg in single.legs]


def corners(card):
    """Prices of the underlying where the payoff bends: 0, every strike, and one above the last."""
    strikes_e4 = [leg.strike_mills * 10 for leg in card.legs]
    return [0, *strikes_e4, 2 * strikes_e4[3]]


@pytest.mark.slow
@given(condor_books(exact=False))
def test_the_payoff_agrees_with_max_profit_and_max_loss(book):
    positions, short, quantity, multiplier = book
    card = only(positions)
    assert (card.direction, card.quantity) == ("short" if short else "long", quantity)
    payoffs = [payoff_e4(legs_of(card), price_e4, multiplier) for price_e4 in corners(card)]
    assert card.max_profit_e4 == max(payoffs)
    assert card.max_loss_e4 == max(0, -min(payoffs))


@pytest.mark.slow
@given(condor_books())
def test_the_payoff_is_zero_at_a_breakeven_and_changes_sign_on_that_side(book):
    positions, short, _, multiplier = book
    card = only(positions)
    at = {price_e4: payoff_e4(legs_of(card), price_e4, multiplier) for price_e4 in corners(card)}
    _, outer_put, inner_put, inner_call, outer_call, _ = corners(card)
    sides = (
        (card.lower_breakeven_e4, outer_put, inner_put),
        (card.upper_breakeven_e4, outer_call, inner_call),
    )
    for breakeven_e4, outer, inner in sides:
        crosses = at[outer] < 0 <= at[inner] if short else at[inner] <= 0 < at[outer]
        assert (breakeven_e4 is not None) == crosses
        if crosses:
            assert min(outer, inner) <= breakeven_e4 <= max(outer, inner)
            assert payoff_e4(legs_of(card), breakeven_e4, multiplier) == 0


@pytest.mark.slow
@given(condor_books(exact=False))
def test_a_breakeven_that_does_not_divide_is_right_to_its_last_unit(book):
    positions, _, quantity, multiplier = book
    card = only(positions)
    for breakeven_e4 in (card.lower_breakeven_e4, card.upper_breakeven_e4):
        if breakeven_e4 is not None:
            assert 2 * abs(payoff_e4(legs_of(card), breakeven_e4, multiplier)) <= quantity * multiplier


@pytest.mark.slow
@given(books())
def test_shorts_are_called_uncovered_exactly_where_longs_are_too_few(book):
    left = group(book).unmatched
    longs, shorts, flagged = Counter(), Counter(), Counter()
    for leftover in left:
        contract, quantity = leftover.position.contract, leftover.position.quantity
        side = contract.root, contract.expiration, contract.right
        longs[side] += max(0, quantity)
        shorts[side] += max(0, -quantity)
        flagged[side] += max(0, -quantity) if leftover.uncovered_short else 0
        assert quantity < 0 or not leftover.uncovered_short
    for side, sold in shorts.items():
        naked = max(0, sold - longs[side])
        assert (flagged[side] > 0) == (naked > 0)
        assert flagged[side] >= naked


def test_an_empty_account_is_an_empty_grouping():
    assert group([]) == Grouping()


# Orders before structure.

MONDAY = dt.datetime(2026, 11, 16, 15, 0, tzinfo=dt.UTC)
SHAPE = (("P", 1), ("P", -1), ("C", -1), ("C", 1))


def lot(strikes, entries="1221", quantity=1, *, name="a", day=0, realized="0", root="XYZ"):
    """A lot as orders leave it; a negative `quantity` makes it a reverse one."""
    legs = []
    for (right, sign), strike, entry in zip(SHAPE, strikes, entries, strict=True):
        option = contract(right, strike, root=root)
        legs.append(
            LotLeg(symbol=option.compact, contract=option, quantity=sign * quantity, price_e4=e4(entry)),
        )
    return Lot(
        id=name,
        opened_at=MONDAY + dt.timedelta(days=day),
        quantity=abs(quantity),
        legs=tuple(legs),
        realized_e4=e4(realized),
    )


def shown(found):
    return [(card.id, card.quantity, card.entry_source) for card in found.condors]


OVERRIDE = [("P", 80, 1), ("P", 85, -1), ("P", 90, 1), ("P", 95, -1)]
OVERRIDE += [("C", 105, -1), ("C", 110, 1), ("C", 115, -1), ("C", 120, 1)]


def test_what_was_opened_as_one_order_is_one_condor_whatever_structure_would_say():
    opened = [lot((80, 85, 105, 110)), lot((90, 95, 115, 120), name="b")]
    found = group(held(*OVERRIDE), opened)
    assert shown(found) == [("XYZ-261218-80-85-105-110", 1, "orders"), ("XYZ-261218-90-95-115-120", 1, "orders")]
    assert not any(card.ambiguous for card in found.condors)
    assert found.unmatched == ()


def test_structure_groups_what_orders_leave():
    found = group(held(*OVERRIDE), [lot((80, 85, 105, 110))])
    assert shown(found) == [("XYZ-261218-80-85-105-110", 1, "orders"), ("XYZ-261218-90-95-115-120", 1, "structure")]


def test_a_condor_of_orders_has_the_credit_of_its_own_fills_and_its_history():
    bought = lot((90, 95, 105, 110), ("0.5", "1", "1.5", "0.25"), 2, realized="0.35")
    card = group(condor_holdings((90, 95, 105, 110), "1111", 2), [bought]).condors[0]
    assert numbers(card) == dollars("1.75", "350", "650", "93.25", "106.75")
    assert (card.opened_at, card.realized_e4) == (MONDAY, e4("70"))
    assert [(leg.average_entry_e4, leg.cost_basis_e4) for leg in card.legs] == [
        dollars("0.5", "100"),
        dollars("1", "-200"),
        dollars("1.5", "-300"),
        dollars("0.25", "50"),
    ]


def test_a_reverse_condor_of_orders_is_long():
    card = group(condor_holdings(STRIKES, "1221", -1), [lot(STRIKES, quantity=-1)]).condors[0]
    assert (card.direction, card.credit_e4, card.entry_source) == ("long", e4("-2"), "orders")


def test_a_condor_of_structure_has_no_history():
    card = only(condor_holdings(STRIKES, "1111"))
    assert (card.entry_source, card.opened_at, card.realized_e4) == ("structure", None, None)


def test_the_multiplier_and_the_underlying_of_a_lot_are_those_of_its_positions():
    positions = condor_holdings(STRIKES, "1111", 1, multiplier=10, underlying="ABC")
    card = group(positions, [lot(STRIKES, realized="0.10")]).condors[0]
    assert (card.multiplier, card.underlying, card.max_profit_e4, card.realized_e4) == (10, "ABC", e4("20"), e4("1"))


def test_what_is_doubtful_about_a_position_is_so_in_the_leg_of_a_lot():
    positions = condor_holdings(STRIKES, "1111")
    positions[2] = replace(positions[2], multiplier_assumed=True, problem="odd")
    card = group(positions, [lot(STRIKES)]).condors[0]
    assert [(leg.multiplier_assumed, leg.problem) for leg in card.legs] == [(False, None)] * 2 + [
        (True, "odd"),
        (False, None),
    ]


def test_one_condor_opened_by_two_orders_and_by_structure_is_three_cards():
    opened = [lot(STRIKES, name="b", day=1), lot(STRIKES, "1331", 2)]
    found = group(condor_holdings(STRIKES, "1111", 4), opened)
    assert shown(found) == [
        ("XYZ-261218-90-95-105-110", 2, "orders"),
        ("XYZ-261218-90-95-105-110-2", 1, "orders"),
        ("XYZ-261218-90-95-105-110-3", 1, "structure"),
    ]
    assert [card.credit_e4 for card in found.condors[:2]] == list(dollars("4", "2"))


def test_condors_stand_by_root_expiration_and_strikes_whatever_they_come_from():
    positions = [*condor_holdings(STRIKES, "1111", 2), *condor_holdings(STRIKES, "1111", root="ABC")]
    positions += condor_holdings((70, 75, 120, 125), "1111")
    found = group(positions, [lot(STRIKES)])
    assert shown(found) == [
        ("ABC-261218-90-95-105-110", 1, "structure"),
        ("XYZ-261218-70-75-120-125", 1, "structure"),
        ("XYZ-261218-90-95-105-110", 1, "orders"),
        ("XYZ-261218-90-95-105-110-2", 1, "structure"),
    ]


def test_a_lot_never_takes_more_than_is_held():
    positions = held(("P", 90, 3), ("P", 95, -2), ("C", 105, -3), ("C", 110, 3))
    found = group(positions, [lot(STRIKES, quantity=3)])
    assert shown(found) == [("XYZ-261218-90-95-105-110", 2, "orders")]
    assert [left.position.quantity for left in found.unmatched] == [-1, 1, 1]


@pytest.mark.parametrize("leg", range(4))
def test_a_lot_with_a_leg_that_is_gone_or_turned_is_left_to_structure(leg):
    positions = condor_holdings(STRIKES, "1111")
    for missing in ([], [replace(positions[leg], quantity=-positions[leg].quantity)]):
        found = group([*positions[:leg], *missing, *positions[leg + 1 :]], [lot(STRIKES)])
        assert found.condors == ()


def test_a_lot_whose_legs_have_two_multipliers_is_no_condor():
    positions = condor_holdings(STRIKES, "1111")
    assert group([*positions[:3], replace(positions[3], multiplier=10)], [lot(STRIKES)]).condors == ()


def test_a_lot_of_nothing_held_is_nothing():
    assert group([], [lot(STRIKES)]) == Grouping()


def test_a_lot_takes_from_the_first_position_of_a_symbol():
    twice = [*condor_holdings(STRIKES, "1111"), *condor_holdings(STRIKES, "1111", multiplier=150)]
    found = group(twice, [lot(STRIKES)])
    assert [(card.multiplier, card.entry_source) for card in found.condors] == [(100, "orders"), (150, "structure")]


def test_what_a_lot_leaves_of_a_position_has_what_is_left_of_its_cost_basis():
    positions = [*condor_holdings(STRIKES, "1111")[1:], holding("P", 90, 4, "1.10", basis="440.02")]
    found = group(positions, [lot(STRIKES, ("0.50", "1", "1", "1"))])
    (left,) = found.unmatched
    assert (left.position.quantity, left.position.cost_basis_e4) == (3, e4("390.02"))
    assert left.position.average_entry_e4 == e4("1.3001")


def test_what_is_left_of_an_unknown_cost_basis_is_unknown_but_the_lot_knows_its_own():
    put = replace(holding("P", 90, 3), cost_basis_e4=None, average_entry_e4=None)
    found = group([put, *condor_holdings(STRIKES, "1111")[1:]], [lot(STRIKES)])
    (left,) = found.unmatched
    assert (left.position.cost_basis_e4, left.position.average_entry_e4) == (None, None)
    assert found.condors[0].credit_e4 == e4("2")


def test_a_whole_position_in_lots_shows_their_fills_and_not_its_own_cost_basis():
    found = group(condor_holdings(STRIKES, "3333"), [lot(STRIKES)])
    assert found.unmatched == ()
    assert sum(leg.cost_basis_e4 for leg in found.condors[0].legs) == e4("-200")


def test_unreadable_and_empty_positions_stay_beside_lots():
    odd = [unreadable(), replace(holding("P", 60, 1), quantity=0)]
    found = group([*odd, *condor_holdings(STRIKES, "1111")], [lot(STRIKES)])
    assert [left.position.symbol for left in found.unmatched] == sorted(position.symbol for position in odd)


@st.composite
def accounts_with_orders(draw):
    """Positions, and lots of orders that fit them well or badly."""
    book = draw(books())
    contracts = {position.symbol: position.contract for position in book}
    cards = group(book).condors
    orders = []
    for number in range(draw(st.integers(0, 4)) if cards else 0):
        puts, calls, quantity = draw(st.sampled_from(cards)), draw(st.sampled_from(cards)), draw(st.integers(1, 3))
        fills = tuple(
            Fill(
                symbol=leg.symbol,
                contract=contracts[leg.symbol],
                quantity=quantity if leg.quantity > 0 else -quantity,
                price_e4=draw(st.integers(0, 500)) * 100,
                opens=True,
            )
            for leg in (*puts.legs[:2], *calls.legs[2:])
        )
        orders.append(Order(id=f"o{number}", filled_at=MONDAY + dt.timedelta(minutes=number), fills=fills))
    return book, lots(orders)


@pytest.mark.slow
@given(accounts_with_orders())
def test_with_lots_too_every_contract_is_in_exactly_one_place(pair):
    book, opened = pair
    found = group(book, opened)
    contracts = Counter()
    for part in [leg for card in found.condors for leg in card.legs] + [left.position for left in found.unmatched]:
        contracts[part.symbol] += part.quantity
    assert contracts == {position.symbol: position.quantity for position in book}
    assert len({card.id for card in found.condors}) == len(found.condors)


@pytest.mark.slow
@given(accounts_with_orders())
def test_with_lots_too_every_dollar_of_a_position_not_wholly_in_lots_is_in_one_place(pair):
    book, opened = pair
    found = group(book, opened)
    basis_e4, from_orders = Counter(), Counter()
    for card in found.condors:
        for leg in card.legs:
            basis_e4[leg.symbol] += leg.cost_basis_e4 or 0
            from_orders[leg.symbol] += leg.quantity if card.entry_source == "orders" else 0
    for left in found.unmatched:
        basis_e4[left.position.symbol] += left.position.cost_basis_e4 or 0
    for position in book:
        if position.cost_basis_e4 is not None and from_orders[position.symbol] != position.quantity:
            assert basis_e4[position.symbol] == position.cost_basis_e4


@pytest.mark.slow
@given(accounts_with_orders())
def test_a_grouping_with_lots_does_not_depend_on_the_order_of_positions_or_lots(pair):
    book, opened = pair
    assert group(book[::-1], opened[::-1]) == group(book, opened)


def test_a_rest_that_comes_to_cost_less_than_nothing_says_why():
    strikes = (90, 95, 105, 110)
    opened = condor_holdings(strikes, ("1", "11", "2", "1"), 1)
    legs = tuple(
        LotLeg(symbol=held.symbol, contract=held.contract, quantity=held.quantity, price_e4=held.average_entry_e4)
        for held in opened
    )
    lot = Lot(id="order", opened_at=dt.datetime(2026, 11, 2, tzinfo=dt.UTC), quantity=1, legs=legs, realized_e4=0)
    account = [holding("P", 95, -3, "1") if held.symbol == opened[1].symbol else held for held in opened]
    (left,) = group(account, [lot]).unmatched
    assert left.position.quantity == -2
    assert "average over all contracts" in left.position.problem
