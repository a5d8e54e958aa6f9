import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.condor import Leftover, group
from condord.core.quote import Quote
from condord.core.valuation import (
    Totals,
    UnderlyingTotals,
    as_grouped,
    leftover_unrealized_e4,
    max_losses_e4,
    percent,
    total,
    value,
)
from tests.core.strategies import (
    JANUARY,
    QUOTED_AT,
    books,
    condor_holdings,
    e4,
    holding,
    payoff_e4,
    quoted,
    unreadable,
)

STRIKES = (560, 570, 630, 640)
LONG_PUT, SHORT_PUT = "SPY261218P00560000", "SPY261218P00570000"
SHORT_CALL, LONG_CALL = "SPY261218C00630000", "SPY261218C00640000"
SYMBOLS = (LONG_PUT, SHORT_PUT, SHORT_CALL, LONG_CALL)
ENTRIES = ("1.21", "2.60", "2.15", "1.19")


def condor(quantity=2, entries=ENTRIES, **common):
    (card,) = group(condor_holdings(STRIKES, entries, quantity, root="SPY", **common)).condors
    return card


def market(**changed):
    """Quotes of the four legs; `changed` by the name of the leg, None for a leg never quoted."""
    quotes = {
        LONG_PUT: quoted(LONG_PUT, "0.99", "1.05"),
        SHORT_PUT: quoted(SHORT_PUT, "1.46", "1.54"),
        SHORT_CALL: quoted(SHORT_CALL, "1.36", "1.44"),
        LONG_CALL: quoted(LONG_CALL, "0.65", "0.71"),
    }
    for name, quote in changed.items():
        symbol = dict(zip(("long_put", "short_put", "short_call", "long_call"), SYMBOLS, strict=True))[name]
        quotes[symbol] = quote
    return {symbol: quote for symbol, quote in quotes.items() if quote is not None}


def test_a_short_condor_is_worth_what_closing_it_costs():
    card, found = condor(), value(condor(), market(), ())
    assert (card.credit_e4, card.max_profit_e4, card.max_loss_e4) == (e4("2.35"), e4("470"), e4("1530"))
    assert (card.lower_breakeven_e4, card.upper_breakeven_e4) == (e4("567.65"), e4("632.35"))
    assert (found.id, found.mark_e4, found.natural_e4) == ("SPY-261218-560-570-630-640", e4("1.2"), e4("1.34"))
    assert (found.unrealized_e4, found.natural_pl_e4) == (e4("230"), e4("202"))
    assert (found.percent_of_max_profit, found.percent_of_risk) == (48.94, 15.03)
    assert (found.missing, found.unconfirmed) == ((), False)


def test_each_leg_has_its_own_profit_or_loss():
    found = value(condor(), market(), ())
    assert found.legs_unrealized_e4 == tuple(map(e4, ("-38", "220", "150", "-102")))


def test_a_reverse_condor_has_the_same_numbers_of_the_opposite_sign():
    short, long = value(condor(), market(), ()), value(condor(-2), market(), ())
    assert long.mark_e4 == -short.mark_e4
    assert long.unrealized_e4 == -short.unrealized_e4
    assert long.legs_unrealized_e4 == tuple(-part for part in short.legs_unrealized_e4)


def test_a_reverse_condor_is_closed_at_bids_of_its_inner_legs_and_asks_of_its_outer_ones():
    found = value(condor(-2), market(), ())
    assert found.natural_e4 == e4("-1.06")  # 1.05 + 0.71 - 1.46 - 1.36
    assert found.natural_pl_e4 == e4("-258")
    assert (found.percent_of_max_profit, found.percent_of_risk) == (-15.03, -48.94)


def test_the_instant_is_that_of_the_newest_quote():
    later = QUOTED_AT + dt.timedelta(seconds=3)
    early = QUOTED_AT - dt.timedelta(days=1)
    quotes = market(
        short_put=quoted(SHORT_PUT, "1.46", "1.54", at=later), long_call=quoted(LONG_CALL, "1", "2", at=early)
    )
    assert value(condor(), quotes, ()).at == later


def test_a_quote_without_an_instant_does_not_hide_the_others():
    quotes = market(long_put=Quote(symbol=LONG_PUT))
    assert value(condor(), quotes, ()).at == QUOTED_AT


def test_a_condor_never_quoted_has_no_instant_and_misses_every_leg():
    found = value(condor(), {}, ())
    assert (found.at, found.missing) == (None, SYMBOLS)
    assert found.legs_unrealized_e4 == (None, None, None, None)


@pytest.mark.parametrize(
    "useless",
    [
        None,
        Quote(symbol=SHORT_PUT),
        quoted(SHORT_PUT, "1.46", "0"),
        quoted(SHORT_PUT, "1.54", "1.46"),
        quoted(SHORT_PUT, "0.10", "9"),
    ],
    ids=["never subscribed", "never quoted", "no ask", "crossed from the first", "a stub from the first"],
)
def test_one_leg_without_a_mark_leaves_the_condor_without_any_number(useless):
    found = value(condor(), market(short_put=useless), ())
    assert found.missing == (SHORT_PUT,)
    assert (found.mark_e4, found.natural_e4, found.unrealized_e4, found.natural_pl_e4) == (None,) * 4
    assert (found.percent_of_max_profit, found.percent_of_risk) == (None, None)
    assert [part is None for part in found.legs_unrealized_e4] == [False, True, False, False]


def test_a_long_leg_without_an_ask_has_no_natural_although_it_has_a_bid():
    found = value(condor(), market(long_put=quoted(LONG_PUT, "0.99", "0")), ())
    assert (found.missing, found.natural_e4) == ((LONG_PUT,), None)


def test_a_crossed_leg_with_a_last_good_mark_has_a_mark_and_no_natural():
    found = value(condor(), market(short_put=quoted(SHORT_PUT, "1.54", "1.46", last_good="1.50")), ())
    assert (found.missing, found.mark_e4, found.unrealized_e4) == ((), e4("1.2"), e4("230"))
    assert (found.natural_e4, found.natural_pl_e4) == (None, None)
    assert found.percent_of_max_profit == 48.94


def test_a_stub_with_a_last_good_mark_has_a_mark_and_is_closed_at_its_own_prices():
    found = value(condor(), market(short_put=quoted(SHORT_PUT, "0.10", "9", last_good="1.50")), ())
    assert (found.missing, found.mark_e4, found.unrealized_e4) == ((), e4("1.2"), e4("230"))
    assert (found.natural_e4, found.natural_pl_e4) == (e4("8.80"), e4("-1290"))


def test_a_wing_without_a_bid_is_marked_at_half_its_ask_and_sold_for_nothing():
    found = value(condor(), market(long_put=quoted(LONG_PUT, "0", "0.02")), ())
    assert (found.mark_e4, found.natural_e4) == (e4("2.21"), e4("2.33"))


def test_a_cost_to_close_outside_the_wings_is_published():
    wide = market(short_put=quoted(SHORT_PUT, "30", "32"))
    assert value(condor(), wide, ()).mark_e4 == e4("30.7")
    negative = market(long_put=quoted(LONG_PUT, "30", "32"))
    assert value(condor(), negative, ()).mark_e4 == e4("-28.78")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_one_unconfirmed_leg_makes_the_condor_unconfirmed_and_changes_no_number(symbol):
    found = value(condor(), market(), {symbol, "SPY261218P00100000"})
    assert found == replace(value(condor(), market(), ()), unconfirmed=True)


def test_an_unconfirmed_leg_of_another_condor_is_none_of_its_business():
    assert not value(condor(), market(), {"SPY261218P00100000"}).unconfirmed


def test_without_a_cost_basis_there_are_prices_and_no_profit():
    card = condor(entries=("1.21", None, "2.15", "1.19"))
    found = value(card, market(), ())
    assert (found.missing, found.mark_e4, found.natural_e4) == ((), e4("1.2"), e4("1.34"))
    assert (found.unrealized_e4, found.natural_pl_e4) == (None, None)
    assert (found.percent_of_max_profit, found.percent_of_risk) == (None, None)
    assert found.legs_unrealized_e4 == (e4("-38"), None, e4("150"), e4("-102"))


def test_a_credit_that_does_not_terminate_leaves_the_profit_exact():
    positions = condor_holdings(STRIKES, "0000", 3, root="SPY")
    positions[1] = replace(positions[1], cost_basis_e4=e4("-1000"))  # 3.3333... a share
    (card,) = group(positions).condors
    assert value(card, market(), ()).unrealized_e4 == e4("640")  # 1000 - 1.2 x 300


def test_a_condor_bought_back_at_its_credit_is_exactly_zero():
    found = value(condor(entries=("1.02", "1.50", "1.40", "0.68")), market(), ())
    assert (found.unrealized_e4, found.percent_of_max_profit) == (0, 0.0)


@pytest.mark.parametrize(
    ("part", "whole", "rate"),
    [
        ("230", "470", 48.94),
        ("230", "1530", 15.03),
        ("-230", "470", -48.94),
        ("940", "470", 200.0),
        ("0", "470", 0.0),
        ("1", "3", 33.33),
        ("2", "3", 66.67),
        ("230", "0", None),
        ("230", "-150", None),
        (None, "470", None),
        ("230", None, None),
    ],
)
def test_a_percentage_has_two_decimals_and_is_of_something_above_zero(part, whole, rate):
    assert percent(e4(part), e4(whole)) == rate


def test_a_tiny_loss_is_zero_per_cent_and_not_minus_zero():
    assert math.copysign(1, percent(e4("-0.01"), e4("470"))) == 1


# What no condor uses.


def leftover(position):
    return Leftover(position=position, uncovered_short=False)


def test_a_leftover_has_the_profit_of_its_contracts_at_the_mark():
    short = holding("P", 570, -2, "2.60", root="SPY")
    assert leftover_unrealized_e4(leftover(short), market()) == e4("220")


@pytest.mark.parametrize(
    "position",
    [
        holding("P", 500, 1, root="SPY"),
        holding("P", 570, 1, None, root="SPY"),
        replace(holding("P", 570, 1, root="SPY"), quantity=None),
        unreadable(),
    ],
    ids=["never quoted", "no cost basis", "no quantity", "unreadable"],
)
def test_a_leftover_of_which_something_is_unknown_has_no_profit(position):
    assert leftover_unrealized_e4(leftover(position), market()) is None


def test_a_leftover_without_a_mark_has_no_profit():
    put = holding("P", 570, 1, root="SPY")
    quotes = market(short_put=quoted(SHORT_PUT, "1", "0"))
    assert leftover_unrealized_e4(leftover(put), quotes) is None


# Totals.


def parts(*cards_and_quotes):
    return {card.id: (card, value(card, quotes, ())) for card, quotes in cards_and_quotes}


def other(**common):
    (card,) = group(condor_holdings(STRIKES, ENTRIES, 1, root="QQQ", **common)).condors
    quotes = {symbol.replace("SPY", "QQQ"): quote for symbol, quote in market().items()}
    return card, quotes


def test_totals_are_sums_over_condors_leftovers_and_underlyings():
    found = total(parts((condor(), market()), other()), [e4("12.5"), e4("-2.5")], {"SPY": e4("1530"), "QQQ": e4("765")})
    assert found == Totals(
        condors=2,
        incomplete=0,
        unrealized_e4=e4("345"),
        natural_pl_e4=e4("303"),
        unmatched_e4=e4("10"),
        max_loss_e4=e4("2295"),
        by_underlying=(
            UnderlyingTotals(underlying="QQQ", unrealized_e4=e4("115"), max_loss_e4=e4("765")),
            UnderlyingTotals(underlying="SPY", unrealized_e4=e4("230"), max_loss_e4=e4("1530")),
        ),
    )


def test_an_empty_account_adds_up_to_zero():
    assert total({}, [], {}) == Totals(
        condors=0,
        incomplete=0,
        unrealized_e4=0,
        natural_pl_e4=0,
        unmatched_e4=0,
        max_loss_e4=0,
        by_underlying=(),
    )


def test_a_condor_without_profit_makes_the_totals_unknown_and_is_counted():
    found = total(parts((condor(), market(long_put=None)), other()), [e4("1")], {"SPY": 1, "QQQ": 2})
    assert (found.condors, found.incomplete) == (2, 1)
    assert (found.unrealized_e4, found.natural_pl_e4, found.unmatched_e4, found.max_loss_e4) == (None, None, e4("1"), 3)
    assert [line.unrealized_e4 for line in found.by_underlying] == [e4("115"), None]


def test_a_condor_without_natural_makes_only_that_total_unknown_and_is_counted():
    crossed = market(short_put=quoted(SHORT_PUT, "1.54", "1.46", last_good="1.50"))
    found = total(parts((condor(), crossed)), [], {"SPY": 0})
    assert (found.incomplete, found.unrealized_e4, found.natural_pl_e4) == (1, e4("230"), None)


def test_an_unknown_leftover_makes_only_the_total_of_leftovers_unknown_and_is_counted():
    found = total(parts((condor(), market())), [None, e4("1"), None], {"SPY": 0})
    assert (found.incomplete, found.unrealized_e4, found.unmatched_e4) == (2, e4("230"), None)


def test_a_loss_without_bound_makes_the_account_s_unbounded():
    found = total({}, [], {"SPY": None, "QQQ": e4("5")})
    assert found.max_loss_e4 is None
    assert [(line.underlying, line.max_loss_e4) for line in found.by_underlying] == [("QQQ", e4("5")), ("SPY", None)]


def test_an_underlying_without_condors_has_nothing_unrealized_in_them():
    assert [line.unrealized_e4 for line in total({}, [e4("3")], {"SPY": 0}).by_underlying] == [0]


# The worst case at expiration.


def test_the_worst_case_of_a_condor_is_its_max_loss():
    positions = condor_holdings(STRIKES, ENTRIES, 2, root="SPY")
    assert max_losses_e4(positions) == {"SPY": e4("1530")}


def test_condors_side_by_side_lose_less_than_the_sum_of_their_cards():
    low = condor_holdings((80, 85, 90, 95), ("0", "1", "1", "0"))
    high = condor_holdings((105, 110, 115, 120), ("0", "1", "1", "0"))
    assert [card.max_loss_e4 for card in group([*low, *high]).condors] == [e4("300"), e4("300")]
    assert max_losses_e4([*low, *high]) == {"XYZ": e4("600")}


def test_spreads_on_opposite_sides_share_one_risk():
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


def test_underlyings_are_apart():
    puts = [holding("P", 90, 1, "2"), holding("P", 95, 1, "3", root="QQQ")]
    assert max_losses_e4(puts) == {"XYZ": e4("200"), "QQQ": e4("300")}


def test_without_an_underlying_the_root_stands_for_it():
    assert max_losses_e4([replace(holding("P", 90, 1, "2"), underlying=None)]) == {"XYZ": e4("200")}


def test_a_short_put_alone_loses_down_to_a_price_of_zero():
    assert max_losses_e4([holding("P", 95, -2, "1.5")]) == {"XYZ": e4("18700")}


def test_more_calls_sold_than_bought_lose_without_bound():
    assert max_losses_e4([holding("C", 105, -2), holding("C", 110, 1)]) == {"XYZ": None}


def test_a_call_of_another_expiration_bounds_nothing():
    assert max_losses_e4([holding("C", 105, -1), holding("C", 110, 1, expiration=JANUARY)]) == {"XYZ": None}


def test_a_put_does_not_bound_a_call():
    assert max_losses_e4([holding("C", 105, -1), holding("P", 105, 1)]) == {"XYZ": None}


def test_shares_and_not_contracts_bound_a_loss():
    assert max_losses_e4([holding("C", 105, -1), holding("C", 110, 1, multiplier=10)]) == {"XYZ": None}


def test_a_long_loses_what_it_cost():
    assert max_losses_e4([holding("C", 105, 3, "1.5")]) == {"XYZ": e4("450")}


def test_a_straddle_of_longs_loses_most_at_its_strike():
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
def test_a_position_of_which_something_is_unknown_makes_the_worst_case_of_its_underlying_unknown(unknown):
    positions = [holding("P", 90, 1, "2"), unknown, holding("P", 95, 1, "3", root="QQQ")]
    assert max_losses_e4(positions) == {"XYZ": None, "QQQ": e4("300")}


def test_an_unreadable_position_stands_under_its_symbol():
    assert max_losses_e4([unreadable("SPY?"), holding("P", 90, 1, "2")]) == {"SPY?": None, "XYZ": e4("200")}


def test_nothing_held_loses_nothing():
    assert max_losses_e4([]) == {}


# Properties.


@st.composite
def quote_of(draw, symbol):
    bid, ask = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    last_good = draw(st.none() | st.integers(0, 300))
    return quoted(symbol, bid / 100, ask / 100, last_good=None if last_good is None else f"{last_good / 100:.2f}")


@st.composite
def accounts(draw, known_basis=False, all_quoted=False):
    """A book and quotes of its contracts, of which some may have none."""
    book = draw(books(known_basis=known_basis))
    quotes = {}
    for position in book:
        if all_quoted:
            cents = draw(st.integers(1, 300))
            quotes[position.symbol] = quoted(position.symbol, cents / 100, (cents + 2) / 100)
        elif draw(st.integers(0, 9)):
            quotes[position.symbol] = draw(quote_of(position.symbol))
    return book, quotes


@pytest.mark.slow
@given(accounts())
def test_the_legs_add_up_to_the_condor(account):
    book, quotes = account
    for card in group(book).condors:
        found = value(card, quotes, ())
        if None in found.legs_unrealized_e4:
            assert found.unrealized_e4 is None
        else:
            assert found.unrealized_e4 == sum(found.legs_unrealized_e4)
        without_mark = [leg.symbol for leg in card.legs if getattr(quotes.get(leg.symbol), "mark_e4", None) is None]
        assert list(found.missing) == without_mark
        assert (found.mark_e4 is None) == bool(without_mark)
        if without_mark:
            assert (found.natural_e4, found.unrealized_e4, found.natural_pl_e4) == (None, None, None)


@pytest.mark.slow
@given(accounts(known_basis=True, all_quoted=True))
def test_the_account_is_worth_what_its_positions_are_worth(account):
    book, quotes = account
    grouping = group(book)
    leftovers = [leftover_unrealized_e4(left, quotes) for left in grouping.unmatched]
    found = total(parts(*((card, quotes) for card in grouping.condors)), leftovers, max_losses_e4(book))
    of_positions = sum(
        position.quantity * quotes[position.symbol].mark_e4 * 100 - position.cost_basis_e4 for position in book
    )
    assert found.incomplete == 0
    assert found.unrealized_e4 + found.unmatched_e4 == of_positions
    assert sum(line.unrealized_e4 for line in found.by_underlying) == found.unrealized_e4


@pytest.mark.slow
@given(accounts(known_basis=True, all_quoted=True))
def test_closing_at_the_mark_leaves_credit_less_mark(account):
    book, quotes = account
    for card in group(book).condors:
        found = value(card, quotes, ())
        received_e4 = -sum(leg.cost_basis_e4 for leg in card.legs)
        assert found.unrealized_e4 == received_e4 - found.mark_e4 * card.multiplier * card.quantity
        assert found.natural_pl_e4 == received_e4 - found.natural_e4 * card.multiplier * card.quantity
        assert found.natural_pl_e4 <= found.unrealized_e4


@pytest.mark.slow
@given(accounts())
def test_a_total_is_the_sum_of_its_parts_or_unknown_when_one_is(account):
    book, quotes = account
    grouping = group(book)
    leftovers = [leftover_unrealized_e4(left, quotes) for left in grouping.unmatched]
    valued = parts(*((card, quotes) for card in grouping.condors))
    found = total(valued, leftovers, max_losses_e4(book))
    values = [worth for _, worth in valued.values()]
    sums = (
        (found.unrealized_e4, [worth.unrealized_e4 for worth in values]),
        (found.natural_pl_e4, [worth.natural_pl_e4 for worth in values]),
        (found.unmatched_e4, leftovers),
        (found.max_loss_e4, [line.max_loss_e4 for line in found.by_underlying]),
    )
    for whole, summands in sums:
        assert whole == (None if None in summands else sum(summands))
    unknown = [worth for worth in values if None in (worth.unrealized_e4, worth.natural_pl_e4)]
    assert found.incomplete == len(unknown) + leftovers.count(None)


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
def test_the_worst_case_never_exceeds_that_of_the_condors_and_what_is_left(book):
    grouping = group(book)
    left = max_losses_e4(left.position for left in grouping.unmatched)
    whole = max_losses_e4(book)
    for underlying, loss_e4 in whole.items():
        apart = left.get(underlying, 0)
        if loss_e4 is None or apart is None:
            assert (loss_e4, apart) == (None, None)
        else:
            assert loss_e4 <= apart + sum(card.max_loss_e4 for card in grouping.condors)


def test_adjusted_contracts_are_not_netted_with_standard_ones_of_the_underlying():
    standard, adjusted = holding("P", 95, -1, "1"), replace(holding("P", 95, 1, "1", root="XYZ1"), underlying="XYZ")
    assert max_losses_e4([standard]) == {"XYZ": e4("9400")}
    assert max_losses_e4([standard, adjusted]) == {"XYZ": e4("9500")}


@pytest.mark.parametrize(
    ("missing", "low", "high"),
    [
        # The put wing costs from 0 to its short leg, 1.50; the call wing costs 0.72; the credit is 2.35.
        (["long_put"], "26", "326"),
        # The put wing costs from 0 to its width, 10.
        (["short_put"], "-1674", "326"),
        (["long_put", "short_put"], "-1674", "326"),
        (["long_put", "short_put", "short_call", "long_call"], "-3530", "470"),
    ],
)
def test_a_condor_with_a_missing_leg_has_bounds_of_its_profit_or_loss(missing, low, high):
    found = value(condor(), market(**dict.fromkeys(missing)), ())
    assert found.bounds_e4 == (e4(low), e4(high))
    reverse = value(condor(-2), market(**dict.fromkeys(missing)), ())
    assert reverse.bounds_e4 == (-e4(high), -e4(low))


def test_a_whole_condor_has_no_bounds_and_neither_has_one_of_unknown_cost():
    assert value(condor(), market(), ()).bounds_e4 is None
    unpaid = group([replace(held, cost_basis_e4=None) for held in condor_holdings(STRIKES, ENTRIES, 1, root="SPY")])
    assert value(unpaid.condors[0], {}, ()).bounds_e4 is None


@given(st.sets(st.sampled_from(SYMBOLS), min_size=1), st.tuples(*[st.integers(0, 100_000)] * 4))
def test_whatever_fair_price_a_missing_leg_has_lies_within_the_bounds(missing, prices):
    outer_put, put_wing, outer_call, call_wing = prices
    fair = dict(zip(SYMBOLS, (outer_put, outer_put + put_wing, outer_call + call_wing, outer_call), strict=True))
    quotes = {symbol: Quote(symbol=symbol, mark_e4=price, state="twoSided") for symbol, price in fair.items()}
    known = {symbol: quote for symbol, quote in quotes.items() if symbol not in missing}
    low_e4, high_e4 = value(condor(), known, ()).bounds_e4
    assert low_e4 <= value(condor(), quotes, ()).unrealized_e4 <= high_e4


@pytest.mark.slow
@given(books())
def test_without_orders_the_parts_show_the_cost_of_the_whole(book):
    assert as_grouped(book, group(book)) == list(book)


def test_the_worst_case_is_at_the_cost_that_the_cards_show():
    held = condor_holdings((90, 95, 105, 110), ("1", "2", "2", "1"), 1)
    grouping = group(held)
    paid = replace(grouping.condors[0].legs[0], cost_basis_e4=e4("300"))
    shown = replace(grouping.condors[0], legs=(paid, *grouping.condors[0].legs[1:]))
    losses = max_losses_e4(as_grouped(held, replace(grouping, condors=(shown,))))
    assert losses == {"XYZ": e4("500")}
