import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.filled_orders import Fill, Order
from condord.core.grouping.account import Grouping, group
from condord.core.lots import Lot, lots
from tests.core.strategies import (
    JANUARY,
    MONDAY,
    STRIKES,
    books,
    condor_holdings,
    dollars,
    e4,
    holding,
    holdings,
    lot,
    lot_leg,
    numbers,
    only_condor,
    unreadable,
)

# Positions; the condors as (direction, kind, strikes, quantity, broken wing, ambiguous); leftovers.
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
    "two call spreads are not a condor": (
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
    "a short put beside a call spread is not a condor": (
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
    "a double diagonal is not a condor": (
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
    "a short put above the short call is not a condor": (
        [("P", 100, 1), ("P", 105, -1), ("C", 103, -1), ("C", 108, 1)],
        [],
        [("P", 100, 1), ("P", 105, -1), ("C", 103, -1), ("C", 108, 1)],
    ),
    "a condor of puts is not an iron condor": (
        [("P", 1050, 1), ("P", 1075, -1), ("P", 1100, -1), ("P", 1125, 1)],
        [],
        [("P", 1050, 1), ("P", 1075, -1), ("P", 1100, -1), ("P", 1125, 1)],
    ),
    "three legs are not a condor": (
        [("P", 90, 1), ("P", 95, -1), ("C", 105, -1)],
        [],
        [("P", 90, 1), ("P", 95, -1), ("C", 105, -1)],
    ),
    "strikes of half a dollar are exact": (
        [("P", 97.5, 2), ("P", 100, -2), ("C", 102.5, -2), ("C", 105, 2)],
        [("short", "ironCondor", "97.5-100-102.5-105", 2, False, False)],
        [],
    ),
    "an empty account has no condors": ([], [], []),
}


@pytest.mark.parametrize("name", BOOKS)
def test_a_book_is_grouped_and_leftovers_are_kept(name):
    legs, expected, left = BOOKS[name]
    found = group(holdings(*legs))
    condors = [
        (c.direction, c.kind, c.id.split("-", 2)[2], c.quantity, c.broken_wing, c.ambiguous) for c in found.condors
    ]
    assert condors == expected
    kept = {leftover.position.symbol: leftover.position.quantity for leftover in found.unmatched}
    assert kept == {position.symbol: position.quantity for position in holdings(*left)}


def test_among_equally_good_groupings_the_concentric_one_is_taken():
    legs = [("P", 80, 1), ("P", 85, -1), ("P", 90, 1), ("P", 95, -1)]
    legs += [("C", 105, -1), ("C", 110, 1), ("C", 115, -1), ("C", 120, 1)]
    found = group(holdings(*legs))
    assert [condor.id for condor in found.condors] == ["XYZ-261218-80-85-115-120", "XYZ-261218-90-95-105-110"]
    assert all(condor.ambiguous for condor in found.condors)


@pytest.mark.parametrize(
    "odd_one_out",
    [{"root": "XYZ1"}, {"multiplier": 10}, {"expiration": JANUARY}],
    ids=["root", "multiplier", "expiration"],
)
def test_legs_that_differ_in_root_multiplier_or_expiration_form_no_condor(odd_one_out):
    legs = holdings(("P", 90, 1), ("P", 95, -1), ("C", 105, -1))
    assert group([*legs, holding("C", 110, 1, **odd_one_out)]).condors == ()


def test_the_same_condor_of_two_multipliers_has_two_ids():
    twice = [*condor_holdings(STRIKES, "1111", multiplier=100), *condor_holdings(STRIKES, "1111", multiplier=150)]
    assert [(condor.id, condor.multiplier) for condor in group(twice).condors] == [
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


# A contract that condors share: three condors with the same long put and the same long call.
SHARED = [("P", 95, -1), ("P", 96, -1), ("P", 97, -1), ("C", 105, -1), ("C", 106, -1), ("C", 107, -1)]


def shares(found, symbol):
    return [leg.cost_basis_e4 for condor in found.condors for leg in condor.legs if leg.symbol == symbol]


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
    found = group([put, call, *holdings(*SHARED)])
    assert shares(found, put.symbol) == list(dollars(*parts))
    assert shares(found, call.symbol) == list(dollars(*parts))


def test_a_shared_cost_basis_of_shorts_is_split_the_same_way():
    put = holding("P", 95, -3, basis="-100")
    calls = holdings(("C", 105, -1), ("C", 106, -1), ("C", 107, -1))
    found = group([put, *holdings(("P", 88, 1), ("P", 89, 1), ("P", 90, 1)), *calls, holding("C", 120, 3)])
    assert shares(found, put.symbol) == list(dollars("-33.33", "-33.33", "-33.34"))


def test_a_shared_cost_basis_is_split_by_quantity():
    put = holding("P", 90, 4, basis="100.01")
    found = group([put, *holdings(("P", 94, -1), ("P", 95, -3), ("C", 105, -3), ("C", 106, -1), ("C", 110, 4))])
    quantities = [leg.quantity for condor in found.condors for leg in condor.legs if leg.symbol == put.symbol]
    assert quantities == [1, 3]
    assert shares(found, put.symbol) == list(dollars("25", "75.01"))


def test_leftovers_have_the_rest_of_the_cost_basis():
    put = holding("P", 90, 3, basis="100")
    found = group([put, *holdings(("P", 95, -2), ("C", 105, -2), ("C", 110, 2))])
    (left,) = found.unmatched
    assert shares(found, put.symbol) == [e4("66.67")]
    assert (left.position.quantity, left.position.cost_basis_e4) == (1, e4("33.33"))


def test_leftovers_of_a_position_without_a_cost_basis_have_none():
    put = replace(holding("P", 90, 3), cost_basis_e4=None)
    found = group([put, *holdings(("P", 95, -2), ("C", 105, -2), ("C", 110, 2))])
    assert [left.position.cost_basis_e4 for left in found.unmatched] == [None]


# Leftovers.


def uncovered(*positions):
    return {left.position.symbol: left.uncovered_short for left in group(positions).unmatched}


def test_a_short_by_itself_is_uncovered():
    assert uncovered(*holdings(("C", 105, -1))) == {"XYZ261218C00105000": True}


def test_a_long_is_never_uncovered():
    assert uncovered(*holdings(("C", 105, 1))) == {"XYZ261218C00105000": False}


def test_a_short_beside_a_long_of_its_right_is_covered():
    assert uncovered(*holdings(("C", 105, -1), ("C", 110, 1))) == {
        "XYZ261218C00105000": False,
        "XYZ261218C00110000": False,
    }


@pytest.mark.parametrize(
    "beside",
    [
        holding("P", 100, 1),
        holding("C", 110, 1, root="XYZ1"),
        holding("C", 110, 1, expiration=dt.date(2026, 12, 11)),
        replace(holding("C", 110, 1), quantity=None),
        replace(holding("C", 110, 1), quantity=0),
        unreadable(quantity=1),
    ],
    ids=["right", "root", "an earlier expiration", "no quantity", "none held", "unreadable"],
)
def test_a_long_that_does_not_match_the_short_covers_nothing(beside):
    assert uncovered(*holdings(("C", 105, -1)), beside)["XYZ261218C00105000"]


def test_a_short_is_uncovered_when_longs_cover_only_a_part():
    assert uncovered(*holdings(("C", 105, -2), ("C", 110, 1)))["XYZ261218C00105000"]


def test_a_long_covers_only_one_short():
    assert uncovered(*holdings(("C", 100, -1), ("C", 105, -1), ("C", 110, 1))) == {
        "XYZ261218C00100000": False,
        "XYZ261218C00105000": True,
        "XYZ261218C00110000": False,
    }


def test_a_long_that_a_condor_uses_covers_nothing_else():
    found = group(holdings(("P", 90, 1), ("P", 95, -1), ("C", 104, -1), ("C", 105, -1), ("C", 110, 1)))
    assert len(found.condors) == 1
    assert [left.uncovered_short for left in found.unmatched] == [True]


def test_an_unreadable_short_is_kept_with_its_problem_and_is_not_uncovered():
    (left,) = group([unreadable(quantity=-2)]).unmatched
    assert (left.position, left.uncovered_short) == (unreadable(quantity=-2), False)


@pytest.mark.parametrize("quantity", [None, 0])
def test_a_position_without_contracts_is_kept(quantity):
    position = replace(holding("P", 90, 1), quantity=quantity)
    assert [left.position for left in group([position]).unmatched] == [position]


def test_leftovers_are_sorted_by_symbol():
    found = group([unreadable("b"), *holdings(("P", 95, -1), ("C", 110, 1), ("C", 105, 1)), unreadable("A")])
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
def test_every_contract_and_every_dollar_is_counted_exactly_once(book, odd_symbols):
    book = [*book, *map(unreadable, odd_symbols)]
    found = group(book)
    contracts, basis_e4 = Counter(), Counter()
    unknown = set()
    parts = [leg for condor in found.condors for leg in condor.legs] + [left.position for left in found.unmatched]
    for part in parts:
        contracts[part.symbol] += part.quantity
        basis_e4[part.symbol] += part.cost_basis_e4 or 0
        unknown |= {part.symbol} if part.cost_basis_e4 is None else set()
    assert contracts == {position.symbol: position.quantity for position in book}
    assert basis_e4 == {position.symbol: position.cost_basis_e4 or 0 for position in book}
    assert unknown == {position.symbol for position in book if position.cost_basis_e4 is None}


@pytest.mark.slow
@given(books())
def test_every_part_of_a_shared_cost_basis_is_close_to_its_proportional_share(book):
    known = {position.symbol: position for position in book if position.cost_basis_e4 is not None}
    for leg in (leg for condor in group(book).condors for leg in condor.legs if leg.symbol in known):
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
    ids = [condor.id for condor in group(book).condors]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
@given(books())
def test_every_condor_has_the_shape_of_a_condor(book):
    for condor in group(book).condors:
        strikes = [leg.strike_mills for leg in condor.legs]
        assert strikes[0] < strikes[1] <= strikes[2] < strikes[3]
        assert [leg.right for leg in condor.legs] == ["put", "put", "call", "call"]
        sign = condor.quantity if condor.direction == "short" else -condor.quantity
        assert [leg.quantity for leg in condor.legs] == [sign, -sign, -sign, sign]
        assert condor.kind == ("ironButterfly" if strikes[1] == strikes[2] else "ironCondor")


@st.composite
def ladders(draw):
    """Books without a possible reverse condor: the longs are outside, the shorts inside."""
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
    assert {condor.direction for condor in short.condors} == {"short"}
    assert {condor.direction for condor in long.condors} == {"long"}
    assert [condor.id for condor in short.condors] == [condor.id for condor in long.condors]
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
    assert [condor.id for condor in one.condors] == [condor.id for condor in all_of_them.condors]
    for single, multiple in zip(one.condors, all_of_them.condors, strict=True):
        assert multiple.quantity == n * single.quantity
        assert multiple.max_profit_e4 == times(single.max_profit_e4)
        assert multiple.max_loss_e4 == times(single.max_loss_e4)
        assert multiple.credit_e4 == single.credit_e4
        assert multiple.lower_breakeven_e4 == single.lower_breakeven_e4
        assert multiple.upper_breakeven_e4 == single.upper_breakeven_e4
        assert [leg.cost_basis_e4 for leg in multiple.legs] == [times(leg.cost_basis_e4) for leg in single.legs]


@pytest.mark.slow
@given(books())
def test_shorts_are_uncovered_exactly_if_too_few_longs_expire_with_them_or_later(book):
    left = group(book).unmatched
    longs, shorts, flagged = Counter(), Counter(), Counter()
    for leftover in left:
        contract, quantity = leftover.position.contract, leftover.position.quantity
        key = contract.root, contract.right, contract.expiration
        longs[key] += max(0, quantity)
        shorts[key] += max(0, -quantity)
        flagged[key] += max(0, -quantity) if leftover.uncovered_short else 0
        assert quantity < 0 or not leftover.uncovered_short
        assert quantity < 0 or leftover.cover is None
        assert quantity > 0 or leftover.uncovered_short == (leftover.cover is None)
    for side in {key[:2] for key in shorts}:
        available = 0
        for expiration in sorted({key[2] for key in shorts if key[:2] == side}, reverse=True):
            key = (*side, expiration)
            available += longs[key]
            bare = max(0, shorts[key] - available)
            available = max(0, available - shorts[key])
            assert (flagged[key] > 0) == (bare > 0)
            assert flagged[key] >= bare


def test_an_empty_account_is_an_empty_grouping():
    assert group([]) == Grouping()


# Lots before structure.


def shown(found):
    return [(condor.id, condor.quantity, condor.entry_source) for condor in found.condors]


OVERRIDE = [("P", 80, 1), ("P", 85, -1), ("P", 90, 1), ("P", 95, -1)]
OVERRIDE += [("C", 105, -1), ("C", 110, 1), ("C", 115, -1), ("C", 120, 1)]


def test_contracts_opened_by_one_order_are_one_condor_whatever_structure_suggests():
    opened = [lot((80, 85, 105, 110)), lot((90, 95, 115, 120), name="b")]
    found = group(holdings(*OVERRIDE), opened)
    assert shown(found) == [("XYZ-261218-80-85-105-110", 1, "orders"), ("XYZ-261218-90-95-115-120", 1, "orders")]
    assert not any(condor.ambiguous for condor in found.condors)
    assert found.unmatched == ()


def test_contracts_that_lots_leave_over_are_grouped_by_structure():
    found = group(holdings(*OVERRIDE), [lot((80, 85, 105, 110))])
    assert shown(found) == [("XYZ-261218-80-85-105-110", 1, "orders"), ("XYZ-261218-90-95-115-120", 1, "structure")]


def test_a_lot_has_the_credit_of_its_own_fills_and_the_date_it_was_opened():
    bought = lot((90, 95, 105, 110), ("0.5", "1", "1.5", "0.25"), 2, realized="0.35")
    condor = group(condor_holdings((90, 95, 105, 110), "1111", 3), [bought]).condors[0]
    assert numbers(condor) == dollars("1.75", "350", "650", "93.25", "106.75")
    assert (condor.opened_at, condor.realized_e4) == (MONDAY, e4("70"))
    assert [(leg.average_entry_e4, leg.cost_basis_e4) for leg in condor.legs] == [
        dollars("0.5", "100"),
        dollars("1", "-200"),
        dollars("1.5", "-300"),
        dollars("0.25", "50"),
    ]


def test_a_reverse_lot_is_long():
    condor = group(condor_holdings(STRIKES, "1221", -1), [lot(STRIKES, quantity=-1)]).condors[0]
    assert (condor.direction, condor.credit_e4, condor.entry_source) == ("long", e4("-2"), "orders")


def test_a_condor_found_by_structure_has_no_opening_date_and_no_realized_profit():
    condor = only_condor(condor_holdings(STRIKES, "1111"))
    assert (condor.entry_source, condor.opened_at, condor.realized_e4) == ("structure", None, None)


def test_a_lot_has_the_multiplier_and_the_underlying_of_its_positions():
    positions = condor_holdings(STRIKES, "1221", 1, multiplier=10, underlying="ABC")
    condor = group(positions, [lot(STRIKES, realized="0.10")]).condors[0]
    assert (condor.multiplier, condor.underlying, condor.max_profit_e4, condor.realized_e4) == (
        10,
        "ABC",
        e4("20"),
        e4("1"),
    )


def test_a_leg_of_a_lot_has_the_problem_of_its_position():
    positions = condor_holdings(STRIKES, "1111")
    positions[2] = replace(positions[2], multiplier_assumed=True, problem="odd")
    condor = group(positions, [lot(STRIKES)]).condors[0]
    assert [(leg.multiplier_assumed, leg.problem) for leg in condor.legs] == [(False, None)] * 2 + [
        (True, "odd"),
        (False, None),
    ]


def test_condors_with_the_same_strikes_from_two_orders_and_from_structure_are_three():
    opened = [lot(STRIKES, name="b", day=1), lot(STRIKES, "1331", 2)]
    found = group(condor_holdings(STRIKES, "1111", 4), opened)
    assert shown(found) == [
        ("XYZ-261218-90-95-105-110", 2, "orders"),
        ("XYZ-261218-90-95-105-110-2", 1, "orders"),
        ("XYZ-261218-90-95-105-110-3", 1, "structure"),
    ]
    assert [condor.credit_e4 for condor in found.condors[:2]] == list(dollars("4", "2"))


def test_condors_from_orders_and_from_structure_are_sorted_together():
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
    positions = holdings(("P", 90, 3), ("P", 95, -2), ("C", 105, -3), ("C", 110, 3))
    found = group(positions, [lot(STRIKES, quantity=3)])
    assert shown(found) == [("XYZ-261218-90-95-105-110", 2, "orders")]
    assert [left.position.quantity for left in found.unmatched] == [-1, 1, 1]


@pytest.mark.parametrize("leg", range(4))
def test_a_lot_with_a_leg_that_is_gone_or_reversed_is_left_to_structure(leg):
    positions = condor_holdings(STRIKES, "1111")
    for missing in ([], [replace(positions[leg], quantity=-positions[leg].quantity)]):
        found = group([*positions[:leg], *missing, *positions[leg + 1 :]], [lot(STRIKES)])
        assert found.condors == ()


def test_a_lot_whose_legs_have_two_multipliers_is_not_a_condor():
    positions = condor_holdings(STRIKES, "1111")
    assert group([*positions[:3], replace(positions[3], multiplier=10)], [lot(STRIKES)]).condors == ()


def test_a_lot_without_positions_is_not_shown():
    assert group([], [lot(STRIKES)]) == Grouping()


def test_a_lot_takes_from_the_first_position_of_a_symbol():
    twice = [*condor_holdings(STRIKES, "1111"), *condor_holdings(STRIKES, "1111", multiplier=150)]
    found = group(twice, [lot(STRIKES)])
    assert [(condor.multiplier, condor.entry_source) for condor in found.condors] == [
        (100, "orders"),
        (150, "structure"),
    ]


def test_leftovers_of_a_lot_have_the_rest_of_the_cost_basis():
    positions = [*condor_holdings(STRIKES, "1111")[1:], holding("P", 90, 4, "1.10", basis="440.02")]
    found = group(positions, [lot(STRIKES, ("0.50", "1", "1", "1"))])
    (left,) = found.unmatched
    assert (left.position.quantity, left.position.cost_basis_e4) == (3, e4("390.02"))
    assert left.position.average_entry_e4 == e4("1.3001")


def test_without_a_cost_basis_leftovers_have_no_cost_but_the_lot_has_the_cost_of_its_fills():
    put = replace(holding("P", 90, 3), cost_basis_e4=None, average_entry_e4=None)
    found = group([put, *condor_holdings(STRIKES, "1221")[1:]], [lot(STRIKES)])
    (left,) = found.unmatched
    assert (left.position.cost_basis_e4, left.position.average_entry_e4) == (None, None)
    assert found.condors[0].credit_e4 == e4("2")


def test_a_lot_has_the_cost_of_its_fills_if_alpaca_reports_none():
    put = replace(holding("P", 90, 1), cost_basis_e4=None, average_entry_e4=None)
    (condor,) = group([put, *condor_holdings(STRIKES, "1221")[1:]], [lot(STRIKES)]).condors
    assert (condor.legs[0].cost_basis_e4, condor.legs[0].average_entry_e4) == dollars("100", "1")


def test_a_lot_that_takes_a_whole_position_has_the_cost_that_alpaca_reports():
    put = holding("P", 90, 3, "0.5233", basis="157")
    positions = [put, *condor_holdings(STRIKES, "1221", 3)[1:]]
    (condor,) = group(positions, [lot(STRIKES, ("0.5233", "2", "2", "1"), 3)]).condors
    assert (condor.legs[0].cost_basis_e4, condor.legs[0].average_entry_e4) == dollars("157", "0.5233")
    unknown = replace(put, average_entry_e4=None)
    (condor,) = group([unknown, *positions[1:]], [lot(STRIKES, ("0.6", "2", "2", "1"), 3)]).condors
    assert (condor.legs[0].cost_basis_e4, condor.legs[0].average_entry_e4) == dollars("157", "0.6")


def test_if_lots_use_up_a_position_the_oldest_gets_the_cost_that_the_others_leave():
    opened = [lot(STRIKES, "1331", 2), lot(STRIKES, "1221", 1, name="b", day=1)]
    found = group(condor_holdings(STRIKES, ("1", "2.60", "2.60", "1"), 3), opened)
    old, new = (condor.legs[1] for condor in found.condors)
    assert (new.cost_basis_e4, new.average_entry_e4) == dollars("-200", "2")
    assert (old.cost_basis_e4, old.average_entry_e4) == dollars("-580", "2.9")


def test_unreadable_and_empty_positions_are_kept_beside_lots():
    odd = [unreadable(), replace(holding("P", 60, 1), quantity=0)]
    found = group([*odd, *condor_holdings(STRIKES, "1111")], [lot(STRIKES)])
    assert [left.position.symbol for left in found.unmatched] == sorted(position.symbol for position in odd)


@st.composite
def accounts_with_orders(draw):
    """Positions, and lots that fit them to different degrees."""
    book = draw(books())
    contracts = {position.symbol: position.contract for position in book}
    condors = group(book).condors
    orders = []
    for number in range(draw(st.integers(0, 4)) if condors else 0):
        puts, calls, quantity = draw(st.sampled_from(condors)), draw(st.sampled_from(condors)), draw(st.integers(1, 3))
        fills = tuple(
            Fill(
                symbol=leg.symbol,
                contract=contracts[leg.symbol],
                quantity=quantity if leg.quantity > 0 else -quantity,
                price_e6=draw(st.integers(0, 5_000_000)),
                opens=True,
            )
            for leg in (*puts.legs[:2], *calls.legs[2:])
        )
        orders.append(Order(id=f"o{number}", filled_at=MONDAY + dt.timedelta(minutes=number), fills=fills))
    return book, lots(orders)


@pytest.mark.slow
@given(accounts_with_orders())
def test_grouping_again_with_the_resulting_names_changes_nothing(pair):
    book, opened = pair
    found = group(book, opened)
    assert group(book, opened, found.names) == found


@pytest.mark.slow
@given(accounts_with_orders())
def test_with_lots_every_contract_is_still_counted_exactly_once(pair):
    book, opened = pair
    found = group(book, opened)
    contracts = Counter()
    for part in [leg for condor in found.condors for leg in condor.legs] + [left.position for left in found.unmatched]:
        contracts[part.symbol] += part.quantity
    assert contracts == {position.symbol: position.quantity for position in book}
    assert len({condor.id for condor in found.condors}) == len(found.condors)


@pytest.mark.slow
@given(accounts_with_orders())
def test_with_lots_every_cent_of_a_position_is_still_counted_exactly_once(pair):
    book, opened = pair
    found = group(book, opened)
    basis_e4 = Counter()
    for condor in found.condors:
        for leg in condor.legs:
            basis_e4[leg.symbol] += leg.cost_basis_e4 or 0
    for left in found.unmatched:
        basis_e4[left.position.symbol] += left.position.cost_basis_e4 or 0
    for position in book:
        if position.cost_basis_e4 is not None:
            assert basis_e4[position.symbol] == position.cost_basis_e4


@pytest.mark.slow
@given(accounts_with_orders())
def test_a_grouping_with_lots_does_not_depend_on_the_order_of_positions_or_lots(pair):
    book, opened = pair
    assert group(book[::-1], opened[::-1]) == group(book, opened)


def test_leftovers_whose_cost_has_the_wrong_sign_have_a_problem_that_explains_it():
    strikes = (90, 95, 105, 110)
    opened = condor_holdings(strikes, ("1", "11", "2", "1"), 1)
    legs = tuple(lot_leg(held.contract, held.quantity, held.average_entry_e4) for held in opened)
    lot = Lot(id="order", since_at=MONDAY, opened_at=MONDAY, quantity=1, legs=legs)
    account = [holding("P", 95, -3, "1") if held.symbol == opened[1].symbol else held for held in opened]
    (left,) = group(account, [lot]).unmatched
    assert left.position.quantity == -2
    assert "average over all contracts" in left.position.problem
