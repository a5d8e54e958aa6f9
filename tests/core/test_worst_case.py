import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.cover import cover
from condord.core.grouping.account import group
from condord.core.position import Deliverable
from condord.core.valuation import as_grouped
from condord.core.worst_case import max_losses_e4
from tests.core.strategies import DECEMBER, JANUARY, books, condor_holdings, e4, holding, payoff_e4, unreadable

STRIKES = (560, 570, 630, 640)
ENTRIES = ("1.21", "2.60", "2.15", "1.19")


def test_the_worst_case_of_a_condor_is_its_max_loss():
    positions = condor_holdings(STRIKES, ENTRIES, 2, root="SPY")
    assert max_losses_e4(positions) == {"SPY": e4("1530")}


def test_condors_side_by_side_can_both_lose():
    low = condor_holdings((80, 85, 90, 95), ("0", "1", "1", "0"))
    high = condor_holdings((105, 110, 115, 120), ("0", "1", "1", "0"))
    assert [condor.max_loss_e4 for condor in group([*low, *high]).condors] == [e4("300"), e4("300")]
    assert max_losses_e4([*low, *high]) == {"XYZ": e4("600")}


def test_spreads_on_opposite_sides_cannot_both_lose():
    puts = [holding("P", 90, 1, "0"), holding("P", 95, -1, "1")]
    calls = [holding("C", 105, -1, "1"), holding("C", 110, 1, "0")]
    assert max_losses_e4(puts) == {"XYZ": e4("400")}
    assert max_losses_e4([*puts, *calls]) == {"XYZ": e4("300")}


def test_expirations_of_one_underlying_add_up():
    near = condor_holdings((90, 95, 105, 110), ("0", "1", "1", "0"))
    far = condor_holdings((90, 95, 105, 110), ("0", "1", "1", "0"), expiration=JANUARY)
    assert max_losses_e4([*near, *far]) == {"XYZ": e4("600")}


def test_an_expiration_that_cannot_lose_does_not_offset_another():
    near = condor_holdings((90, 95, 105, 110), ("0", "3", "3", "0"))
    far = condor_holdings((90, 95, 105, 110), ("0", "1", "1", "0"), expiration=JANUARY)
    assert max_losses_e4(near) == {"XYZ": 0}
    assert max_losses_e4([*near, *far]) == {"XYZ": e4("300")}


def test_roots_of_one_underlying_are_netted():
    puts = [holding("P", 90, 1, "0", root="SPXW", underlying="SPX"), holding("P", 95, -1, "1", underlying="SPX")]
    assert max_losses_e4(puts) == {"SPX": e4("400")}


def test_underlyings_are_not_netted():
    puts = [holding("P", 90, 1, "2"), holding("P", 95, 1, "3", root="QQQ")]
    assert max_losses_e4(puts) == {"XYZ": e4("200"), "QQQ": e4("300")}


def test_an_unknown_underlying_is_taken_to_be_the_root():
    assert max_losses_e4([replace(holding("P", 90, 1, "2"), underlying=None)]) == {"XYZ": e4("200")}


def test_a_short_put_by_itself_loses_down_to_a_price_of_zero():
    assert max_losses_e4([holding("P", 95, -2, "1.5")]) == {"XYZ": e4("18700")}


def test_more_calls_sold_than_bought_lose_without_bound():
    assert max_losses_e4([holding("C", 105, -2), holding("C", 110, 1)]) == {"XYZ": None}


def test_a_call_of_another_expiration_does_not_bound_the_loss():
    assert max_losses_e4([holding("C", 105, -1), holding("C", 110, 1, expiration=JANUARY)]) == {"XYZ": None}


def test_a_put_does_not_bound_a_call():
    assert max_losses_e4([holding("C", 105, -1), holding("P", 105, 1)]) == {"XYZ": None}


def test_a_loss_is_bounded_in_shares_and_not_in_contracts():
    assert max_losses_e4([holding("C", 105, -1), holding("C", 110, 1, multiplier=10)]) == {"XYZ": None}


def test_a_long_loses_what_it_cost():
    assert max_losses_e4([holding("C", 105, 3, "1.5")]) == {"XYZ": e4("450")}


def test_a_long_straddle_loses_most_at_its_strike():
    assert max_losses_e4([holding("C", 100, 1, "2"), holding("P", 100, 1, "3")]) == {"XYZ": e4("500")}


@pytest.mark.parametrize(
    "unknown",
    [
        holding("P", 80, 1, None),
        replace(holding("P", 80, 1), quantity=None),
        unreadable(underlying="XYZ"),
    ],
    ids=["no cost basis", "no quantity", "unreadable"],
)
def test_a_position_with_an_unknown_number_makes_the_worst_case_of_its_underlying_unknown(unknown):
    positions = [holding("P", 90, 1, "2"), unknown, holding("P", 95, 1, "3", root="QQQ")]
    assert max_losses_e4(positions) == {"XYZ": None, "QQQ": e4("300")}


def test_an_unreadable_position_is_listed_under_its_symbol():
    assert max_losses_e4([unreadable("SPY?"), holding("P", 90, 1, "2")]) == {"SPY?": None, "XYZ": e4("200")}


def test_an_empty_account_loses_nothing():
    assert max_losses_e4([]) == {}


# AM and PM settlement.


def netted(am_root, pm_root, underlying, expiration=DECEMBER):
    """The worst case of a short condor of one root and a long one of the other, 100 wide for 20."""
    strikes, entries = (20000, 20100, 25000, 25100), ("10", "20", "20", "10")
    short = condor_holdings(strikes, entries, 1, root=am_root, underlying=underlying, expiration=expiration)
    long = condor_holdings(strikes, entries, -1, root=pm_root, underlying=underlying, expiration=expiration)
    return max_losses_e4([*short, *long])[underlying]


@pytest.mark.parametrize(
    ("am", "pm", "underlying"), [("SPX", "SPXW", "SPX"), ("NDX", "NDXP", "NDX"), ("RUT", "RUTW", "RUT")]
)
def test_am_settled_and_pm_settled_contracts_of_one_day_are_not_netted(am, pm, underlying):
    assert netted(am, pm, underlying) == e4("10000")


def test_roots_that_settle_at_the_same_time_are_netted():
    assert netted("NDXP", "NDXP2"[:4], "NDX") == 0
    assert netted("SPX", "SPXW", "SPX", expiration=dt.date(2026, 12, 16)) == 0


# Later longs.


def covered(*positions, stocks=None, settled=()):
    found = cover(positions, stocks=stocks, settled=settled)
    return max_losses_e4(positions, found.pairs, settled=settled)


def test_a_double_calendar_loses_at_most_what_it_cost():
    near = [holding("P", 570, -1, "3"), holding("C", 630, -1, "3")]
    far = [holding("P", 570, 1, "5", expiration=JANUARY), holding("C", 630, 1, "5", expiration=JANUARY)]
    assert covered(*near, *far) == {"XYZ": e4("400")}


@pytest.mark.parametrize(
    ("short", "long", "loss"),
    [
        (("P", 570, "3"), ("P", 560, "2"), "900"),  # 10 of strikes, less a credit of 1
        (("P", 570, "3"), ("P", 580, "8"), "500"),
        (("C", 630, "3"), ("C", 640, "2"), "900"),
        (("C", 630, "3"), ("C", 620, "8"), "500"),
        (("C", 630, "9"), ("C", 620, "8"), "0"),
    ],
)
def test_a_diagonal_loses_the_adverse_difference_of_strikes_and_its_debit(short, long, loss):
    (right, near, sold), (_, far, paid) = short, long
    pair = [holding(right, near, -1, sold), holding(right, far, 1, paid, expiration=JANUARY)]
    assert covered(*pair) == {"XYZ": e4(loss)}


def test_only_one_side_of_a_double_diagonal_can_lose():
    near = [holding("P", 570, -1, "3"), holding("C", 630, -1, "3")]
    far = [holding("P", 560, 1, "2", expiration=JANUARY), holding("C", 640, 1, "2", expiration=JANUARY)]
    assert covered(*near, *far) == {"XYZ": e4("800")}


def test_contracts_that_a_later_long_does_not_cover_lose_as_uncovered_ones():
    near, far = holding("P", 100, -3, "2"), holding("P", 100, 1, "4", expiration=JANUARY)
    assert covered(near, far) == {"XYZ": e4("19800")}  # two bare ones lose 9,800 each, the pair 200
    assert covered(holding("C", 100, -3, "2"), holding("C", 100, 1, "4", expiration=JANUARY)) == {"XYZ": None}


def test_contracts_of_a_later_long_that_cover_nothing_lose_what_they_cost():
    near, far = holding("P", 100, -1, "2"), holding("P", 100, 3, "4", expiration=JANUARY)
    assert covered(near, far) == {"XYZ": e4("1000")}


def test_a_later_european_put_may_be_worth_its_intrinsic_value_less_the_interest_on_its_strike():
    near = holding("P", 6000, -1, "30", root="SPXW", underlying="SPX")
    far = holding("P", 6000, 1, "50", root="SPXW", underlying="SPX", expiration=JANUARY)
    interest = 6000 * (1 - math.exp(-0.04 * 28 / 365)) * 100
    assert covered(near, far)["SPX"] / 10_000 == pytest.approx(2000 + interest, abs=0.01)


def test_a_later_european_call_does_not_bound_the_loss_because_of_dividends():
    near = holding("C", 6000, -1, "30", root="SPXW", underlying="SPX")
    far = holding("C", 6000, 1, "50", root="SPXW", underlying="SPX", expiration=JANUARY)
    assert covered(near, far) == {"SPX": None}


def test_a_pair_of_unknown_cost_is_unknown():
    near, far = holding("P", 100, -1, "2"), holding("P", 100, 1, None, expiration=JANUARY)
    assert covered(near, far) == {"XYZ": None}
    assert covered(holding("C", 100, -1, None), stocks={"XYZ": 100}) == {"XYZ": None}


# Shares.


def test_a_call_covered_by_shares_counts_its_credit():
    condor = condor_holdings((90, 95, 105, 110), ("0", "1", "1", "0"))
    call = holding("C", 107, -1, "0.5")
    assert covered(call, stocks={"XYZ": 100}) == {"XYZ": 0}
    pairs = cover([call], stocks={"XYZ": 100}).pairs
    assert max_losses_e4([*condor, call], pairs) == {"XYZ": e4("250")}


def test_the_credit_of_a_covered_call_counts_against_other_expirations():
    condor = condor_holdings((90, 95, 105, 110), ("0", "1", "1", "0"), expiration=JANUARY)
    call = holding("C", 107, -1, "0.5")
    assert max_losses_e4([*condor, call], cover([call], stocks={"XYZ": 100}).pairs) == {"XYZ": e4("250")}


def test_a_call_on_an_adjusted_root_is_covered_by_the_shares_it_delivers():
    delivered = (Deliverable(symbol="XYZ", amount="10"),)
    call = replace(holding("C", 107, -1, "0.5", root="XYZ1", underlying="XYZ"), deliverables=delivered)
    assert covered(call, stocks={"XYZ": 10}) == {"XYZ": 0}
    assert covered(call, stocks={"XYZ": 9}) == {"XYZ": None}


# Contracts past their settlement.


def test_settled_contracts_lose_nothing():
    condor = condor_holdings(STRIKES, ENTRIES, 2, root="SPY")
    call = holding("C", 650, -1, root="SPY")
    settled = {held.symbol for held in [*condor, call]}
    assert covered(*condor, call, settled=settled) == {"SPY": 0}
    later = condor_holdings(STRIKES, ENTRIES, 2, root="SPY", expiration=JANUARY)
    assert covered(*condor, call, *later, settled=settled) == {"SPY": e4("1530")}


def test_an_unknown_worst_case_stays_unknown_beside_settled_contracts():
    call = holding("C", 650, -1)
    assert covered(call, unreadable(underlying="XYZ"), settled={call.symbol}) == {"XYZ": None}
    assert covered(unreadable(underlying="XYZ"), call, settled={call.symbol}) == {"XYZ": None}


# Properties.


@st.composite
def covered_books(draw):
    """American contracts of three expirations and some shares, which cover each other or not."""
    days = [DECEMBER, JANUARY, dt.date(2027, 2, 19)]
    held = {}
    for _ in range(draw(st.integers(1, 6))):
        right, strike, day = (
            draw(st.sampled_from("PC")),
            draw(st.sampled_from([90, 95, 100, 105])),
            draw(st.sampled_from(days)),
        )
        held[right, strike, day] = draw(st.integers(-3, 3).filter(bool))
    book = [
        holding(right, strike, quantity, str(draw(st.integers(0, 20))), expiration=day)
        for (right, strike, day), quantity in held.items()
    ]
    return book, draw(st.integers(-1, 3)) * 100


@pytest.mark.slow
@given(covered_books())
def test_no_path_of_prices_loses_more_than_the_worst_case(account):
    """When a short expires, the long that covers it is sold at its intrinsic value."""
    book, shares = account
    found = cover(book, stocks={"XYZ": shares})
    loss_e4 = max_losses_e4(book, found.pairs)["XYZ"]
    is_bare = any(left.uncovered_short and left.position.contract.right == "call" for left in found.leftovers)
    assert (loss_e4 is None) == is_bare
    if loss_e4 is None:
        return
    by_symbol = {held.symbol: held for held in book}
    ends = {held.symbol: [(held.contract.expiration, held.quantity)] for held in book}
    stocked = 0
    for pair in found.pairs:
        short = by_symbol[pair.short]
        if pair.long is None:
            stocked += pair.quantity * 100
            ends[pair.short].append((short.contract.expiration, pair.quantity))  # bought back by giving the shares
        else:
            long = by_symbol[pair.long]
            ends[pair.long].append((long.contract.expiration, -pair.quantity))
            ends[pair.long].append((short.contract.expiration, pair.quantity))
    assert stocked <= max(0, shares)
    total = 0
    for day in {held.contract.expiration for held in book}:
        payoffs = []
        for price in range(0, 300, 5):
            legs = [
                (by_symbol[symbol].contract.right, by_symbol[symbol].contract.strike_mills, quantity, 0)
                for symbol, parts in ends.items()
                for end, quantity in parts
                if end == day
            ]
            payoffs.append(payoff_e4(legs, price * 10_000, 100))
        total += min(payoffs)
    assert loss_e4 >= sum(held.cost_basis_e4 for held in book) - total


@pytest.mark.slow
@given(covered_books())
def test_no_long_and_no_share_covers_twice(account):
    book, shares = account
    found = cover(book, stocks={"XYZ": shares})
    spent = dict.fromkeys((held.symbol for held in book), 0)
    for pair in found.pairs:
        spent[pair.short] += pair.quantity
        if pair.long is not None:
            spent[pair.long] += pair.quantity
    assert all(spent[held.symbol] <= abs(held.quantity) for held in book)
    assert sum(pair.quantity * 100 for pair in found.pairs if pair.long is None) <= max(0, shares)


@pytest.mark.slow
@given(books(known_basis=True))
def test_the_worst_case_is_the_least_payoff_at_any_price(book):
    losses = []
    netted = {(held.contract.expiration, held.contract.root_is_adjusted and held.contract.root) for held in book}
    for key in netted:
        legs = [
            (held.contract.right, held.contract.strike_mills, held.quantity, held.cost_basis_e4)
            for held in book
            if (held.contract.expiration, held.contract.root_is_adjusted and held.contract.root) == key
        ]
        dollars = [payoff_e4(legs, price * 10_000, 100) for price in range(200)]
        losses.append(None if dollars[-1] < dollars[-2] else max(0, -min(dollars)))
    expected = {"XYZ": None if None in losses else sum(losses)} if book else {}
    assert max_losses_e4(book) == expected


@pytest.mark.slow
@given(books(known_basis=True))
def test_the_worst_case_never_exceeds_the_sum_over_condors_and_leftovers(book):
    grouping = group(book)
    left = max_losses_e4(left.position for left in grouping.unmatched)
    whole = max_losses_e4(book)
    for underlying, loss_e4 in whole.items():
        apart = left.get(underlying, 0)
        if loss_e4 is None or apart is None:
            assert (loss_e4, apart) == (None, None)
        else:
            assert loss_e4 <= apart + sum(condor.max_loss_e4 for condor in grouping.condors)


def test_adjusted_contracts_are_not_netted_with_standard_ones_of_the_underlying():
    standard, adjusted = holding("P", 95, -1, "1"), replace(holding("P", 95, 1, "1", root="XYZ1"), underlying="XYZ")
    assert max_losses_e4([standard]) == {"XYZ": e4("9400")}
    assert max_losses_e4([standard, adjusted]) == {"XYZ": e4("9500")}


def test_the_worst_case_uses_the_cost_that_the_condors_show():
    held = condor_holdings((90, 95, 105, 110), ("1", "2", "2", "1"), 1)
    grouping = group(held)
    paid = replace(grouping.condors[0].legs[0], cost_basis_e4=e4("300"))
    shown = replace(grouping.condors[0], legs=(paid, *grouping.condors[0].legs[1:]))
    losses = max_losses_e4(as_grouped(held, replace(grouping, condors=(shown,))))
    assert losses == {"XYZ": e4("500")}
