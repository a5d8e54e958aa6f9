import datetime as dt

import pytest
from msgspec.structs import replace

from condord.core.cover import Pair, cover
from condord.core.position import Deliverable
from tests.core.strategies import JANUARY, e4, holding, unreadable

FEBRUARY = dt.date(2027, 2, 19)


def covers(*positions, stocks=None, settled=()):
    """Whether each short is uncovered, and what covers it, by symbol."""
    found = cover(positions, stocks=stocks, settled=settled)
    return [(left.uncovered_short, left.cover) for left in found.leftovers if (left.position.quantity or 0) < 0]


def test_a_long_of_the_same_expiration_covers():
    assert covers(holding("C", 105, -1), holding("C", 110, 1)) == [(False, "sameExpiry")]


def test_a_later_long_covers():
    assert covers(holding("P", 570, -1), holding("P", 560, 1, expiration=JANUARY)) == [(False, "laterLong")]


def test_shares_cover_a_call_but_not_a_put():
    assert covers(holding("C", 105, -1), stocks={"XYZ": 100}) == [(False, "shares")]
    assert covers(holding("P", 105, -1), stocks={"XYZ": 100}) == [(True, None)]


@pytest.mark.parametrize("stocks", [{"XYZ": -100}, {"XYZ": 99}, {"QQQ": 100}, {}])
def test_short_shares_too_few_shares_and_other_stocks_cover_nothing(stocks):
    assert covers(holding("C", 105, -1), stocks=stocks) == [(True, None)]


@pytest.mark.parametrize(
    "long",
    [
        holding("C", 105, 1, expiration=dt.date(2026, 12, 11)),
        holding("P", 105, 1, expiration=JANUARY),
        holding("C", 105, 1, root="QQQ", expiration=JANUARY),
        holding("C", 105, 1, root="XYZ1", underlying="XYZ", expiration=JANUARY),
        holding("C", 105, 1, expiration=JANUARY, multiplier=10),
        holding("C", 105, 1, multiplier=10),
        replace(holding("C", 105, 1, expiration=JANUARY), deliverables=(Deliverable(symbol="XYZ", amount="95"),)),
        unreadable(quantity=1, underlying="XYZ"),
    ],
    ids=["earlier", "right", "underlying", "root", "multiplier", "multiplier of the day", "deliverable", "unreadable"],
)
def test_a_long_that_does_not_match_the_short_covers_nothing(long):
    assert covers(holding("C", 105, -1), long) == [(True, None)]


def test_roots_of_one_index_have_the_same_deliverable():
    short = holding("P", 6000, -1, root="SPX", underlying="SPX")
    later = holding("P", 6000, 1, root="SPXW", underlying="SPX", expiration=JANUARY)
    assert covers(short, later) == [(False, "laterLong")]
    assert covers(short, replace(later, underlying=None)) == [(False, "laterLong")]


def test_am_and_pm_contracts_of_one_day_do_not_cover_each_other():
    one = holding("P", 6000, -1, root="SPX", underlying="SPX")
    other = holding("P", 6000, 1, root="SPXW", underlying="SPX")
    assert covers(one, other) == [(True, None)]
    assert covers(replace(one, quantity=1), replace(other, quantity=-1)) == [(True, None)]


def test_a_later_option_on_a_volatility_index_covers_nothing():
    short = holding("C", 20, -1, root="VIX")
    assert covers(short, holding("C", 20, 1, root="VIX", expiration=JANUARY)) == [(True, None)]
    assert covers(short, holding("C", 25, 1, root="VIX")) == [(False, "sameExpiry")]


def test_a_long_covers_only_one_short():
    shorts = holding("C", 100, -1), holding("C", 105, -1)
    assert covers(*shorts, holding("C", 110, 1)) == [(False, "sameExpiry"), (True, None)]
    assert covers(*shorts, holding("C", 110, 1, expiration=JANUARY)) == [(False, "laterLong"), (True, None)]


def test_a_short_that_is_only_partly_covered_has_no_cover():
    assert covers(holding("C", 105, -2), holding("C", 110, 1)) == [(True, None)]
    assert covers(holding("C", 105, -2), stocks={"XYZ": 100}) == [(True, None)]


def test_a_short_covered_in_several_ways_has_the_weakest_as_its_cover():
    short = holding("C", 105, -3)
    same, later = holding("C", 110, 1), holding("C", 110, 1, expiration=JANUARY)
    assert covers(short, same, later, stocks={"XYZ": 100}) == [(False, "shares")]
    assert covers(replace(short, quantity=-2), same, later, stocks={"XYZ": 100}) == [(False, "laterLong")]


def test_the_last_to_expire_is_covered_first_so_that_as_many_as_possible_are():
    shorts = holding("C", 105, -1), holding("C", 105, -1, expiration=JANUARY)
    longs = holding("C", 105, 1, expiration=JANUARY), holding("C", 110, 1, expiration=FEBRUARY)
    assert covers(*shorts, *longs) == [(False, "laterLong"), (False, "sameExpiry")]


def test_each_short_is_covered_by_the_long_that_leaves_the_smallest_loss():
    shorts = holding("P", 560, -1), holding("P", 570, -1)
    longs = holding("P", 570, 1, expiration=JANUARY), holding("P", 560, 1, expiration=FEBRUARY)
    found = cover([*shorts, *longs]).pairs
    assert [(pair.short[-8:], pair.long[-8:]) for pair in found] == [("00560000",) * 2, ("00570000",) * 2]


def test_shares_cover_only_one_call_and_the_last_expiration_first():
    shorts = holding("C", 105, -1), holding("C", 105, -1, expiration=JANUARY)
    assert covers(*shorts, stocks={"XYZ": 150}) == [(True, None), (False, "shares")]


def test_pairs_contain_the_cost_of_the_paired_contracts():
    short, long = holding("P", 570, -2, "3"), holding("P", 570, 3, "5", expiration=JANUARY)
    assert cover([short, long]).pairs == (Pair(short=short.symbol, long=long.symbol, quantity=2, basis_e4=e4("1000")),)
    call = holding("C", 105, -3, "2")
    assert cover([call], stocks={"XYZ": 299}).pairs == (
        Pair(short=call.symbol, long=None, quantity=2, basis_e4=e4("-400")),
    )
    assert cover([replace(call, cost_basis_e4=None)], stocks={"XYZ": 300}).pairs[0].basis_e4 is None


def delivering(*deliverables, **fields):
    call = holding("C", 105, -1, root="XYZ1", underlying="XYZ")
    parsed = tuple(Deliverable(symbol=symbol, amount=amount) for symbol, amount in deliverables)
    return replace(call, deliverables=parsed, **fields)


@pytest.mark.parametrize(
    ("call", "stocks", "kind"),
    [
        (delivering(("XYZ", "10")), {"XYZ": 10}, "shares"),
        (delivering(("XYZ", "150")), {"XYZ": 100}, None),
        (delivering(("XYZ", "100"), ("ABC", "5")), {"XYZ": 100, "ABC": 5}, "shares"),
        (delivering(("XYZ", "100"), ("ABC", "5")), {"XYZ": 100}, None),
        (delivering(("XYZ", "50"), ("XYZ", "50")), {"XYZ": 100}, "shares"),
        (delivering((None, "100")), {"XYZ": 100}, None),
        (delivering(("XYZ", None)), {"XYZ": 100}, None),
        (delivering(("XYZ", "99.5")), {"XYZ": 100}, None),
        (delivering(("XYZ", "0")), {"XYZ": 100}, None),
        (delivering(multiplier_assumed=True), {"XYZ": 100}, None),
        (delivering(), {"XYZ": 100}, "shares"),
        (holding("C", 6000, -1, root="SPX"), {"SPX": 100}, None),
    ],
)
def test_a_call_is_covered_by_what_it_delivers(call, stocks, kind):
    assert covers(call, stocks=stocks) == [(kind is None, kind)]


def test_settled_contracts_need_no_cover_and_give_none():
    short, long = holding("C", 105, -1), holding("C", 110, 1)
    assert covers(short, settled={short.symbol}) == [(False, None)]
    assert covers(short, long, settled={long.symbol}) == [(True, None)]


def test_a_long_needs_no_cover_and_an_unreadable_short_has_none():
    found = cover([holding("C", 105, 1), unreadable(quantity=-1)]).leftovers
    assert [(left.uncovered_short, left.cover) for left in found] == [(False, None)] * 2


def test_the_order_of_the_positions_is_kept_and_does_not_change_the_cover():
    book = [holding("C", 105, -1), holding("C", 110, 1), holding("C", 100, -1, expiration=JANUARY), holding("P", 90, 1)]
    for positions in (book, book[::-1]):
        found = cover(positions, stocks={"XYZ": 100})
        assert [left.position for left in found.leftovers] == positions
    assert {left.cover for left in found.leftovers} == {None, "sameExpiry", "shares"}
