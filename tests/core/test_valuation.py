import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.cover import Leftover
from condord.core.grouping.account import group
from condord.core.quote import Quote
from condord.core.valuation import (
    ClosedToday,
    LeftoverPl,
    Totals,
    UnderlyingTotals,
    as_grouped,
    leftover_unrealized_e4,
    percent,
    total,
    value,
)
from condord.core.worst_case import max_losses_e4
from tests.core.strategies import (
    QUOTED_AT,
    books,
    condor_holdings,
    e4,
    holding,
    quoted,
    unreadable,
)

STRIKES = (560, 570, 630, 640)
LONG_PUT, SHORT_PUT = "SPY261218P00560000", "SPY261218P00570000"
SHORT_CALL, LONG_CALL = "SPY261218C00630000", "SPY261218C00640000"
SYMBOLS = (LONG_PUT, SHORT_PUT, SHORT_CALL, LONG_CALL)
ENTRIES = ("1.21", "2.60", "2.15", "1.19")


def make_condor(quantity=2, entries=ENTRIES, **common):
    (condor,) = group(condor_holdings(STRIKES, entries, quantity, root="SPY", **common)).condors
    return condor


def market(**changed):
    """The quotes of the four legs. `changed` replaces some by the name of the leg; None means never quoted."""
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
    condor, found = make_condor(), value(make_condor(), market(), ())
    assert (condor.credit_e4, condor.max_profit_e4, condor.max_loss_e4) == (e4("2.35"), e4("470"), e4("1530"))
    assert (condor.lower_breakeven_e4, condor.upper_breakeven_e4) == (e4("567.65"), e4("632.35"))
    assert (found.id, found.mark_e4, found.natural_e4) == ("SPY-261218-560-570-630-640", e4("1.2"), e4("1.34"))
    assert (found.unrealized_e4, found.natural_pl_e4) == (e4("230"), e4("202"))
    assert (found.percent_of_max_profit, found.percent_of_risk) == (48.94, 15.03)
    assert (found.missing, found.unconfirmed) == ((), False)


def test_each_leg_has_its_own_profit_or_loss():
    found = value(make_condor(), market(), ())
    assert found.legs_unrealized_e4 == tuple(map(e4, ("-38", "220", "150", "-102")))


def test_a_reverse_condor_has_the_same_numbers_of_the_opposite_sign():
    short, long = value(make_condor(), market(), ()), value(make_condor(-2), market(), ())
    assert long.mark_e4 == -short.mark_e4
    assert long.unrealized_e4 == -short.unrealized_e4
    assert long.legs_unrealized_e4 == tuple(-part for part in short.legs_unrealized_e4)


def test_a_reverse_condor_is_closed_at_bids_of_its_inner_legs_and_asks_of_its_outer_ones():
    found = value(make_condor(-2), market(), ())
    assert found.natural_e4 == e4("-1.06")  # 1.05 + 0.71 - 1.46 - 1.36
    assert found.natural_pl_e4 == e4("-258")
    assert (found.percent_of_max_profit, found.percent_of_risk) == (-15.03, -48.94)


def test_a_valuation_has_the_time_of_its_newest_quote():
    later = QUOTED_AT + dt.timedelta(seconds=3)
    early = QUOTED_AT - dt.timedelta(days=1)
    quotes = market(
        short_put=quoted(SHORT_PUT, "1.46", "1.54", at=later), long_call=quoted(LONG_CALL, "1", "2", at=early)
    )
    assert value(make_condor(), quotes, ()).at == later


def test_a_quote_without_a_time_does_not_hide_the_times_of_others():
    quotes = market(long_put=Quote(symbol=LONG_PUT))
    assert value(make_condor(), quotes, ()).at == QUOTED_AT


def test_a_condor_never_quoted_has_no_time_and_every_leg_is_missing():
    found = value(make_condor(), {}, ())
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
def test_one_leg_without_a_mark_leaves_the_condor_without_mark_natural_and_profit(useless):
    found = value(make_condor(), market(short_put=useless), ())
    assert found.missing == (SHORT_PUT,)
    assert (found.mark_e4, found.natural_e4, found.unrealized_e4, found.natural_pl_e4) == (None,) * 4
    assert (found.percent_of_max_profit, found.percent_of_risk) == (None, None)
    assert [part is None for part in found.legs_unrealized_e4] == [False, True, False, False]


def test_a_long_leg_without_an_ask_has_no_natural_although_it_has_a_bid():
    found = value(make_condor(), market(long_put=quoted(LONG_PUT, "0.99", "0")), ())
    assert (found.missing, found.natural_e4) == ((LONG_PUT,), None)


def test_a_crossed_leg_with_a_last_good_mark_has_a_mark_and_no_natural():
    found = value(make_condor(), market(short_put=quoted(SHORT_PUT, "1.54", "1.46", last_good="1.50")), ())
    assert (found.missing, found.mark_e4, found.unrealized_e4) == ((), e4("1.2"), e4("230"))
    assert (found.natural_e4, found.natural_pl_e4) == (None, None)
    assert found.percent_of_max_profit == 48.94


def test_a_stub_with_a_last_good_mark_has_a_mark_and_is_closed_at_its_own_prices():
    found = value(make_condor(), market(short_put=quoted(SHORT_PUT, "0.10", "9", last_good="1.50")), ())
    assert (found.missing, found.mark_e4, found.unrealized_e4) == ((), e4("1.2"), e4("230"))
    assert (found.natural_e4, found.natural_pl_e4) == (e4("8.80"), e4("-1290"))


def test_a_wing_without_a_bid_is_marked_at_half_its_ask_and_closes_at_zero():
    found = value(make_condor(), market(long_put=quoted(LONG_PUT, "0", "0.02")), ())
    assert (found.mark_e4, found.natural_e4) == (e4("2.21"), e4("2.33"))


def test_a_cost_to_close_outside_the_wings_is_published():
    wide = market(short_put=quoted(SHORT_PUT, "30", "32"))
    assert value(make_condor(), wide, ()).mark_e4 == e4("30.7")
    negative = market(long_put=quoted(LONG_PUT, "30", "32"))
    assert value(make_condor(), negative, ()).mark_e4 == e4("-28.78")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_one_unconfirmed_leg_makes_the_condor_unconfirmed_and_changes_no_number(symbol):
    found = value(make_condor(), market(), {symbol, "SPY261218P00100000"})
    assert found == replace(value(make_condor(), market(), ()), unconfirmed=True)


def test_an_unconfirmed_leg_of_another_condor_has_no_effect():
    assert not value(make_condor(), market(), {"SPY261218P00100000"}).unconfirmed


def test_without_a_cost_basis_there_are_prices_but_no_profit():
    condor = make_condor(entries=("1.21", None, "2.15", "1.19"))
    found = value(condor, market(), ())
    assert (found.missing, found.mark_e4, found.natural_e4) == ((), e4("1.2"), e4("1.34"))
    assert (found.unrealized_e4, found.natural_pl_e4) == (None, None)
    assert (found.percent_of_max_profit, found.percent_of_risk) == (None, None)
    assert found.legs_unrealized_e4 == (e4("-38"), None, e4("150"), e4("-102"))


def test_a_credit_that_does_not_divide_leaves_the_profit_exact():
    positions = condor_holdings(STRIKES, "0000", 3, root="SPY")
    positions[1] = replace(positions[1], cost_basis_e4=e4("-1000"))  # 3.3333... a share
    (condor,) = group(positions).condors
    assert value(condor, market(), ()).unrealized_e4 == e4("640")  # 1000 - 1.2 x 300


def test_a_condor_bought_back_at_its_credit_is_exactly_zero():
    found = value(make_condor(entries=("1.02", "1.50", "1.40", "0.68")), market(), ())
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
def test_a_percentage_has_two_decimals_and_needs_a_positive_base(part, whole, rate):
    assert percent(e4(part), e4(whole)) == rate


def test_a_tiny_loss_is_zero_per_cent_and_not_minus_zero():
    assert math.copysign(1, percent(e4("-0.01"), e4("470"))) == 1


# Leftovers.


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
def test_a_leftover_with_an_unknown_number_has_no_profit(position):
    assert leftover_unrealized_e4(leftover(position), market()) is None


def test_a_leftover_without_a_mark_has_no_profit():
    put = holding("P", 570, 1, root="SPY")
    quotes = market(short_put=quoted(SHORT_PUT, "1", "0"))
    assert leftover_unrealized_e4(leftover(put), quotes) is None


# Totals.


def parts(*condors_and_quotes, day_e4=0):
    """Condors with their values, by id; each has made `day_e4` today."""
    return {
        condor.id: (condor, replace(value(condor, quotes, ()), day_pl_e4=day_e4))
        for condor, quotes in condors_and_quotes
    }


def added(valued, leftovers, max_losses):
    """The totals with leftovers that have made nothing today."""
    return total(valued, [LeftoverPl(unrealized_e4, 0) for unrealized_e4 in leftovers], max_losses, ClosedToday(0, 0))


def other(**common):
    (condor,) = group(condor_holdings(STRIKES, ENTRIES, 1, root="QQQ", **common)).condors
    quotes = {symbol.replace("SPY", "QQQ"): quote for symbol, quote in market().items()}
    return condor, quotes


def test_totals_are_sums_over_condors_leftovers_and_underlyings():
    found = added(
        parts((make_condor(), market()), other()), [e4("12.5"), e4("-2.5")], {"SPY": e4("1530"), "QQQ": e4("765")}
    )
    assert found == Totals(
        condors=2,
        incomplete=0,
        unrealized_e4=e4("345"),
        natural_pl_e4=e4("303"),
        day_pl_e4=0,
        unmatched_e4=e4("10"),
        unmatched_day_e4=0,
        closed_day_e4=0,
        max_loss_e4=e4("2295"),
        by_underlying=(
            UnderlyingTotals(underlying="QQQ", unrealized_e4=e4("115"), day_pl_e4=0, max_loss_e4=e4("765")),
            UnderlyingTotals(underlying="SPY", unrealized_e4=e4("230"), day_pl_e4=0, max_loss_e4=e4("1530")),
        ),
    )


def test_an_empty_account_adds_up_to_zero():
    assert added({}, [], {}) == Totals(
        condors=0,
        incomplete=0,
        unrealized_e4=0,
        natural_pl_e4=0,
        day_pl_e4=0,
        unmatched_e4=0,
        unmatched_day_e4=0,
        closed_day_e4=0,
        max_loss_e4=0,
        by_underlying=(),
    )


def test_a_condor_with_an_unknown_profit_makes_the_totals_unknown_and_is_counted():
    found = added(parts((make_condor(), market(long_put=None)), other()), [e4("1")], {"SPY": 1, "QQQ": 2})
    assert (found.condors, found.incomplete) == (2, 1)
    assert (found.unrealized_e4, found.natural_pl_e4, found.unmatched_e4, found.max_loss_e4) == (None, None, e4("1"), 3)
    assert [line.unrealized_e4 for line in found.by_underlying] == [e4("115"), None]


def test_a_condor_with_an_unknown_natural_makes_only_that_total_unknown_and_is_counted():
    crossed = market(short_put=quoted(SHORT_PUT, "1.54", "1.46", last_good="1.50"))
    found = added(parts((make_condor(), crossed)), [], {"SPY": 0})
    assert (found.incomplete, found.unrealized_e4, found.natural_pl_e4) == (1, e4("230"), None)


def test_an_unknown_leftover_makes_only_the_total_of_leftovers_unknown_and_is_counted():
    found = added(parts((make_condor(), market())), [None, e4("1"), None], {"SPY": 0})
    assert (found.incomplete, found.unrealized_e4, found.unmatched_e4) == (2, e4("230"), None)


def test_the_day_includes_what_was_closed_today():
    valued, closed = parts((make_condor(), market()), other(), day_e4=e4("18.5")), ClosedToday(e4("-3"), e4("2"))
    found = total(valued, [LeftoverPl(0, e4("5"))], {"SPY": 0, "QQQ": 0}, closed)
    assert (found.day_pl_e4, found.closed_day_e4, found.unmatched_day_e4) == (e4("34"), e4("-3"), e4("7"))
    assert [line.day_pl_e4 for line in found.by_underlying] == [e4("18.5")] * 2


def test_an_unknown_day_makes_only_the_totals_of_the_day_unknown_and_is_counted():
    found = total(parts((make_condor(), market()), day_e4=None), [LeftoverPl(0, None)], {"SPY": 0}, ClosedToday(0, 0))
    assert (found.incomplete, found.day_pl_e4, found.unmatched_day_e4) == (2, None, None)
    assert (found.unrealized_e4, found.unmatched_e4, found.by_underlying[0].day_pl_e4) == (e4("230"), 0, None)
    unread = total({}, [], {}, ClosedToday(None, None))
    assert (unread.incomplete, unread.day_pl_e4, unread.closed_day_e4, unread.unmatched_day_e4) == (0, None, None, None)


def test_a_loss_without_a_bound_makes_the_loss_of_the_account_unbounded():
    found = added({}, [], {"SPY": None, "QQQ": e4("5")})
    assert found.max_loss_e4 is None
    assert [(line.underlying, line.max_loss_e4) for line in found.by_underlying] == [("QQQ", e4("5")), ("SPY", None)]


def test_an_underlying_without_condors_has_zero_unrealized_profit():
    assert [line.unrealized_e4 for line in added({}, [e4("3")], {"SPY": 0}).by_underlying] == [0]


# Properties.


@st.composite
def quote_of(draw, symbol):
    bid, ask = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    last_good = draw(st.none() | st.integers(0, 300))
    return quoted(symbol, bid / 100, ask / 100, last_good=None if last_good is None else f"{last_good / 100:.2f}")


@st.composite
def accounts(draw, known_basis=False, all_quoted=False):
    """A book and quotes of its contracts; some may have none."""
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
    for condor in group(book).condors:
        found = value(condor, quotes, ())
        if None in found.legs_unrealized_e4:
            assert found.unrealized_e4 is None
        else:
            assert found.unrealized_e4 == sum(found.legs_unrealized_e4)
        without_mark = [leg.symbol for leg in condor.legs if getattr(quotes.get(leg.symbol), "mark_e4", None) is None]
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
    found = added(parts(*((condor, quotes) for condor in grouping.condors)), leftovers, max_losses_e4(book))
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
    for condor in group(book).condors:
        found = value(condor, quotes, ())
        received_e4 = -sum(leg.cost_basis_e4 for leg in condor.legs)
        assert found.unrealized_e4 == received_e4 - found.mark_e4 * condor.multiplier * condor.quantity
        assert found.natural_pl_e4 == received_e4 - found.natural_e4 * condor.multiplier * condor.quantity
        assert found.natural_pl_e4 <= found.unrealized_e4


@pytest.mark.slow
@given(accounts())
def test_a_total_is_the_sum_of_its_parts_or_unknown_if_one_of_them_is(account):
    book, quotes = account
    grouping = group(book)
    leftovers = [leftover_unrealized_e4(left, quotes) for left in grouping.unmatched]
    valued = parts(*((condor, quotes) for condor in grouping.condors))
    found = added(valued, leftovers, max_losses_e4(book))
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
    found = value(make_condor(), market(**dict.fromkeys(missing)), ())
    assert found.bounds_e4 == (e4(low), e4(high))
    reverse = value(make_condor(-2), market(**dict.fromkeys(missing)), ())
    assert reverse.bounds_e4 == (-e4(high), -e4(low))


def test_a_condor_without_a_missing_leg_or_with_an_unknown_cost_has_no_bounds():
    assert value(make_condor(), market(), ()).bounds_e4 is None
    unpaid = group([replace(held, cost_basis_e4=None) for held in condor_holdings(STRIKES, ENTRIES, 1, root="SPY")])
    assert value(unpaid.condors[0], {}, ()).bounds_e4 is None


@given(st.sets(st.sampled_from(SYMBOLS), min_size=1), st.tuples(*[st.integers(0, 100_000)] * 4))
def test_any_fair_price_of_a_missing_leg_is_within_the_bounds(missing, prices):
    outer_put, put_wing, outer_call, call_wing = prices
    fair = dict(zip(SYMBOLS, (outer_put, outer_put + put_wing, outer_call + call_wing, outer_call), strict=True))
    quotes = {symbol: Quote(symbol=symbol, mark_e4=price, state="twoSided") for symbol, price in fair.items()}
    known = {symbol: quote for symbol, quote in quotes.items() if symbol not in missing}
    low_e4, high_e4 = value(make_condor(), known, ()).bounds_e4
    assert low_e4 <= value(make_condor(), quotes, ()).unrealized_e4 <= high_e4


@pytest.mark.slow
@given(books())
def test_without_orders_the_parts_show_the_cost_of_the_whole(book):
    assert as_grouped(book, group(book)) == list(book)


@pytest.mark.parametrize(
    ("realized", "of_profit", "of_risk"),
    [("0", 48.94, 15.03), ("100", 57.89, 23.08), ("-100", 35.14, 7.98), ("-470", None, -12.0), ("1530", 88.0, None)],
)
def test_the_profit_of_rolls_counts_only_in_the_percentages(realized, of_profit, of_risk):
    plain, condor = make_condor(), replace(make_condor(), realized_e4=e4(realized))
    found = value(condor, market(), ())
    assert (found.percent_of_max_profit, found.percent_of_risk) == (of_profit, of_risk)
    rest = {"percent_of_max_profit": None, "percent_of_risk": None}
    assert replace(found, **rest) == replace(value(plain, market(), ()), **rest)


def test_percentages_of_a_condor_with_an_unknown_past_count_only_its_legs():
    assert value(replace(make_condor(), realized_e4=None), market(), ()) == value(make_condor(), market(), ())
