"""The trades of an account: what ends a condor, and the sum of all money.

How contracts are followed is tested in `test_closings`, how activities are read in `test_bookings`.
"""

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.activity import Activity
from condord.core.bookings import Bookings
from condord.core.calendar import Calendar
from condord.core.cost import fill_cost, total_e4
from condord.core.filled_orders import Fill, Order
from condord.core.lots import lots
from condord.core.market_hours import hours_of
from condord.core.trade import DeliveredShares
from condord.core.trades import follow, trades, wanted_closes
from tests.core.filled import CALLS, CONDOR, LOWER_PUTS, MONDAY, OPENED, PUTS, at, closing, opening, order
from tests.core.strategies import DECEMBER, JANUARY, contract, e4

DAY = 24 * 60
ID = "XYZ-261218-80-85-105-110"
LOWER_ID = "XYZ-261218-70-75-105-110"
LAST_AT = dt.datetime(2026, 12, 18, 21, tzinfo=dt.UTC)
CHEAP = at("0.10", CONDOR)
P80, P85, C105, C110 = (contract(right, strike).compact for right, strike, *_ in CONDOR)
TUESDAY = dt.date(2026, 11, 17)
TUESDAY_CLOSE = dt.datetime(2026, 11, 17, 21, tzinfo=dt.UTC)


def minutes(count):
    return MONDAY + dt.timedelta(minutes=count)


def booking(kind, symbol, quantity=1, day=DECEMBER, **fields):
    """An activity that is booked the day after its event."""
    booked_at = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(9), dt.UTC)
    name = f"{kind}{symbol}{quantity}{day}"
    return Activity(id=name, kind=kind, symbol=symbol, quantity=quantity, at=booked_at, day=day, **fields)


def expired(*symbols, quantity=1, day=DECEMBER):
    return [booking("OPEXP", symbol, quantity, day) for symbol in symbols]


def found(orders, activities=(), *, multipliers=None, closes_e4=None, calendar=None):
    """The trades, oldest first, then by id."""
    newest_first = trades(
        orders,
        activities,
        multipliers=multipliers or {},
        closes_e4=closes_e4 or {},
        calendar=calendar or Calendar(),
    )
    return tuple(sorted(newest_first, key=lambda trade: trade.closed_at))


def shown(*args, **kwargs):
    """The trades, oldest first, as (id, quantity, how, result in dollars)."""
    return [
        (trade.id, trade.quantity, trade.how, None if trade.realized_e4 is None else trade.realized_e4 / 10_000)
        for trade in found(*args, **kwargs)
    ]


# Closed by orders.


def wholes(*args, **kwargs):
    """The trades, oldest first, as (quantity, how, whether they are whole)."""
    return [(trade.quantity, trade.how, trade.is_whole) for trade in found(*args, **kwargs)]


def test_only_a_trade_of_everything_opened_is_whole():
    opened = order("a", 0, opening(CONDOR, 2))
    assert wholes([opened, order("b", 1, closing(CHEAP, 2))]) == [(2, "closed", True)]
    assert wholes([opened, order("b", 1, closing(CHEAP)), order("c", 2, closing(CHEAP))]) == [
        (1, "partlyClosed", False),
        (1, "closed", False),
    ]
    leg_by_leg = [order("b", 1, closing(at("0.10", PUTS), 2)), order("c", 2, closing(at("0.10", CALLS), 2))]
    assert wholes([opened, *leg_by_leg]) == [(2, "closed", True)]


def test_a_trade_that_a_roll_led_to_is_not_whole():
    rolled = order("b", 1, [*closing(PUTS), *opening(LOWER_PUTS)])
    closed = order("c", 2, [*closing(LOWER_PUTS), *closing(CALLS)])
    assert wholes([OPENED, rolled, closed]) == [(1, "rolled", False), (1, "closed", False)]
    lower = [*LOWER_PUTS, ("C", 112, -1, "1"), ("C", 117, 1, "1")]
    of_unknown = [order("b", 1, closing(CONDOR), opening(lower)), order("c", 2, closing(lower))]
    assert wholes(of_unknown) == [(1, "rolled", False), (1, "closed", False)]


def test_a_condor_that_expires_or_is_assigned_is_whole_if_all_of_it_does():
    assert wholes([OPENED], expired(P80, P85, C105, C110)) == [(1, "expired", True)]
    two = [order("a", 0, opening(CONDOR, 2))]
    of_one = [booking("OPASN", P85, 1), *expired(P80, P85, C105, C110), *expired(P80, C105, C110)]
    shown_at_once = wholes(two, [of_one[0], *(replace(row, quantity=2) for row in expired(P80, C105, C110)), of_one[2]])
    assert shown_at_once == [(2, "assigned", True)]
    early = [booking("OPASN", P85, 1, TUESDAY), *expired(P80, C105, C110, day=TUESDAY)]
    assert wholes(two, early) == [(1, "assigned", False)]


def test_a_condor_that_was_legged_in_is_whole_if_it_is_the_only_one():
    legs = [order("a", 0, opening(PUTS, 2)), order("b", 1, opening(CALLS, 2))]
    assert wholes([*legs, order("c", 2, closing(CHEAP, 2))]) == [(2, "closed", True)]
    parts = [order("c", 2, closing(CHEAP)), order("d", 3, closing(CHEAP))]
    assert wholes([*legs, *parts]) == [(1, "partlyClosed", False), (1, "closed", False)]


def test_a_condor_whose_opening_is_unknown_is_not_whole():
    assert wholes([order("b", 1, closing(CHEAP))]) == [(1, "closed", False)]


def test_a_condor_that_is_closed_completely_is_a_trade():
    [trade] = found([order("a", 0, opening(CONDOR, 2)), order("b", 60, closing(CHEAP, 2))])
    assert (trade.id, trade.underlying, trade.kind, trade.direction) == (ID, "XYZ", "ironCondor", "short")
    assert (trade.quantity, trade.opened_at, trade.closed_at, trade.how) == (2, MONDAY, minutes(60), "closed")
    assert (trade.credit_e4, trade.debit_e4) == (e4("1.40"), 0)
    assert (trade.realized_e4, trade.max_profit_e4) == (e4("280"), e4("280"))
    assert (trade.fees_e4, trade.shares, trade.rolled_to) == (None, None, None)


def test_a_debit_is_what_was_paid_to_close():
    cheaper = [(*CONDOR[0][:3], "0.05"), *at("0.30", CONDOR[1:3]), (*CONDOR[3][:3], "0.10")]
    [trade] = found([OPENED, order("b", 60, closing(cheaper))])
    assert (trade.credit_e4, trade.debit_e4, trade.realized_e4) == (e4("1.40"), e4("0.45"), e4("95"))


def test_a_long_condor_has_a_negative_credit_and_debit():
    bought = [(right, strike, -sign, price) for right, strike, sign, price in CONDOR]
    sold = [(*bought[0][:3], "0.20"), *at("1.30", bought[1:3]), (*bought[3][:3], "0.20")]
    [trade] = found([order("a", 0, opening(bought)), order("b", 1, closing(sold))])
    assert (trade.direction, trade.credit_e4, trade.debit_e4) == ("long", e4("-1.40"), e4("-2.20"))
    assert (trade.realized_e4, trade.max_profit_e4) == (e4("80"), e4("360"))


def test_an_iron_butterfly_is_named_as_one():
    legs = [("P", 80, 1, "1"), ("P", 95, -1, "5"), ("C", 95, -1, "5"), ("C", 110, 1, "1")]
    [trade] = found([order("a", 0, opening(legs)), order("b", 1, closing(legs))])
    assert (trade.kind, trade.realized_e4) == ("ironButterfly", 0)


def test_the_part_that_is_closed_first_is_partly_closed_and_the_rest_is_closed():
    orders = [order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(CHEAP)), order("c", 2, closing(CONDOR, 2))]
    assert shown(orders) == [(ID, 1, "partlyClosed", 140), (ID, 2, "closed", 0)]
    assert {trade.opened_at for trade in found(orders)} == {MONDAY}


def test_the_trades_come_newest_first():
    orders = [order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(CONDOR)), order("c", 2, closing(CONDOR))]
    newest = trades(orders, [], multipliers={}, closes_e4={}, calendar=Calendar())
    assert [trade.closed_at for trade in newest] == [minutes(2), minutes(1)]


def test_one_closing_order_for_two_lots_makes_a_trade_of_each():
    orders = [order("a", 0, opening(CONDOR)), order("b", 1, opening(CONDOR, 2)), order("c", 2, closing(CHEAP, 2))]
    assert [(trade.id, trade.quantity, trade.opened_at, trade.how) for trade in found(orders)] == [
        (ID, 1, MONDAY, "closed"),
        (f"{ID}-2", 1, minutes(1), "partlyClosed"),
    ]


def test_a_reentry_at_the_same_strikes_is_another_trade_with_the_same_id():
    orders = [OPENED, order("b", 1, closing(CHEAP)), order("c", 2, opening(CONDOR)), order("d", 3, closing(CONDOR))]
    assert [(trade.id, trade.opened_at, trade.realized_e4) for trade in found(orders)] == [
        (ID, MONDAY, e4("140")),
        (ID, minutes(2), 0),
    ]


def test_the_lowest_free_number_is_taken():
    orders = [
        OPENED,
        order("b", 1, opening(CONDOR)),
        order("c", 2, closing(CONDOR)),
        order("d", 3, opening(CONDOR)),
        order("e", 4, closing(CONDOR, 2)),
    ]
    assert [(trade.id, trade.opened_at) for trade in found(orders)] == [
        (ID, MONDAY),
        (ID, minutes(3)),
        (f"{ID}-2", minutes(1)),
    ]


def test_a_condor_that_is_closed_leg_by_leg_is_a_trade_once_its_last_leg_is_closed():
    singles = [order(f"c{number}", number + 1, closing([leg])) for number, leg in enumerate(CHEAP)]
    assert found([OPENED, *singles[:3]]) == ()
    [trade] = found([OPENED, *singles])
    assert (trade.closed_at, trade.how, trade.opened_at, trade.realized_e4) == (minutes(4), "closed", MONDAY, e4("140"))


def test_a_part_that_is_closed_leg_by_leg_is_partly_closed():
    orders = [order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(PUTS)), order("c", 2, closing(at("0", CALLS)))]
    assert shown(orders) == [(ID, 1, "partlyClosed", 80)]
    assert shown([*orders, order("d", 3, closing(CONDOR))])[1:] == [(ID, 1, "closed", 0)]


def test_sides_that_are_closed_completely_at_different_times_end_as_closed():
    orders = [
        order("a", 0, opening(CONDOR, 3)),
        order("b", 1, closing(PUTS, 3)),
        order("c", 2, closing(CALLS)),
        order("d", 3, closing(CALLS, 2)),
    ]
    assert shown(orders) == [(ID, 1, "partlyClosed", 0), (ID, 2, "closed", 0)]


def test_a_condor_that_orders_took_apart_frees_its_id_for_the_next():
    orders = [OPENED, order("b", 1, closing(PUTS)), order("c", 2, opening(CONDOR)), order("d", 3, closing(CONDOR))]
    assert [(trade.id, trade.opened_at) for trade in found(orders)] == [(ID, minutes(2))]


def test_trades_of_a_condor_that_end_at_the_same_instant_are_one():
    orders = [order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(CHEAP)), order("c", 1, closing(CONDOR, 2))]
    assert shown(orders) == [(ID, 3, "closed", 140)]


def test_closed_at_is_the_last_fill_of_an_order_and_its_replacements():
    replaced = replace(order("c", 9, closing(CONDOR)), origin="b")
    [trade] = found([order("a", 0, opening(CONDOR, 2)), order("b", 5, closing(CONDOR)), replaced])
    assert (trade.quantity, trade.closed_at) == (2, minutes(9))


# Rolls.


def test_a_roll_is_a_trade_of_the_legs_that_it_closed():
    rolled = order("b", DAY, closing(at("0.20", PUTS), 2), opening(LOWER_PUTS, 2))
    orders = [
        order("a", 0, opening(CONDOR, 2)),
        rolled,
        order("c", 2 * DAY, closing(at("0", [*LOWER_PUTS, *CALLS]), 2)),
    ]
    first, last = found(orders)
    assert (first.id, first.how, first.rolled_to, first.opened_at) == (ID, "rolled", LOWER_ID, MONDAY)
    assert (first.credit_e4, first.debit_e4, first.realized_e4) == (e4("0.60"), 0, e4("120"))
    assert first.max_profit_e4 == e4("280")
    assert (last.id, last.how, last.rolled_to, last.opened_at) == (LOWER_ID, "closed", None, MONDAY)
    assert (last.credit_e4, last.realized_e4, last.max_profit_e4) == (e4("1.30"), e4("260"), e4("260"))


def test_a_rolled_part_leaves_the_rest_its_id():
    orders = [order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(PUTS), opening(LOWER_PUTS))]
    orders.append(order("c", 2, closing(CONDOR, 2)))
    assert shown(orders) == [(ID, 1, "rolled", 0), (ID, 2, "closed", 0)]


def test_a_roll_to_strikes_that_another_condor_has_leads_to_its_number():
    other = order("o", -1, opening([*LOWER_PUTS, *CALLS]))
    rolled = order("b", 1, closing(PUTS), opening(LOWER_PUTS))
    assert [trade.rolled_to for trade in found([other, OPENED, rolled])] == [f"{LOWER_ID}-2"]


def test_a_condor_that_is_rolled_side_by_side_leads_to_the_whole_successor():
    puts = order("b", 10, closing(PUTS), opening(PUTS, expiration=JANUARY))
    assert [trade.rolled_to for trade in found([OPENED, puts])] == [None]
    calls = order("c", 20, closing(CALLS), opening(CALLS, expiration=JANUARY))
    assert [(trade.id, trade.rolled_to, trade.closed_at) for trade in found([OPENED, puts, calls])] == [
        (ID, "XYZ-270115-80-85-105-110", minutes(10)),
        (ID, "XYZ-270115-80-85-105-110", minutes(20)),
    ]


def test_a_condor_that_is_closed_between_two_rolls_has_the_id_it_had():
    puts = order("b", 10, closing(PUTS), opening(PUTS, expiration=JANUARY))
    closed = order("c", 20, closing(CALLS), closing(PUTS, expiration=JANUARY))
    assert [(trade.id, trade.how, trade.max_profit_e4) for trade in found([OPENED, puts, closed])] == [
        (ID, "rolled", e4("140")),
        (ID, "closed", None),
    ]


def test_a_roll_at_the_instant_of_a_closing_is_a_trade_of_its_own():
    orders = [order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(PUTS), opening(LOWER_PUTS))]
    orders.append(order("c", 1, closing(CONDOR)))
    found_ = found(orders)
    assert [(trade.how, trade.quantity) for trade in found_] == [("closed", 1), ("rolled", 1)]
    assert len({(trade.id, trade.opened_at, trade.closed_at) for trade in found_}) == 2


def test_rolls_of_one_condor_to_different_strikes_at_one_instant_are_two_trades():
    there = [("P", 60, 1, "1"), ("P", 65, -1, "1")]
    rolls = [
        order("b", 9, closing(PUTS), opening(LOWER_PUTS)),
        order("c", 9, closing(PUTS), opening(there)),
    ]
    assert {trade.rolled_to for trade in found([order("a", 0, opening(CONDOR, 2)), *rolls])} == {
        LOWER_ID,
        "XYZ-261218-60-65-105-110",
    }


# Expired.


def test_an_expired_condor_costs_nothing_to_close():
    booked_on_monday = dt.date(2026, 12, 21)
    [trade] = found([OPENED], expired(P80, P85, C105, C110, day=booked_on_monday))
    assert (trade.how, trade.closed_at, trade.debit_e4) == ("expired", LAST_AT, 0)
    assert (trade.realized_e4, trade.max_profit_e4) == (e4("140"), e4("140"))


def test_a_condor_is_open_until_each_leg_has_expired():
    assert found([OPENED], expired(P80, P85, C105)) == ()


def test_an_early_close_is_the_last_trading_time():
    eve = dt.date(2026, 12, 24)
    calendar = Calendar({eve: hours_of(eve, dt.time(9, 30), dt.time(13))})
    symbols = [contract(right, strike, expiration=eve).compact for right, strike, *_ in CONDOR]
    [trade] = found([order("a", 0, opening(CONDOR, expiration=eve))], expired(*symbols, day=eve), calendar=calendar)
    assert trade.closed_at == dt.datetime(2026, 12, 24, 18, tzinfo=dt.UTC)


def test_one_side_closed_and_the_other_expired_is_expired():
    orders = [OPENED, order("b", 5, closing(at("0.20", PUTS)))]
    [trade] = found(orders, expired(C105, C110))
    assert (trade.how, trade.closed_at, trade.realized_e4) == ("expired", LAST_AT, e4("140"))


def test_one_side_expired_early_and_the_other_closed_later_is_closed():
    orders = [OPENED, order("b", 2 * DAY, closing(CALLS))]
    [trade] = found(orders, expired(P80, P85, day=TUESDAY))
    assert (trade.how, trade.closed_at) == ("closed", minutes(2 * DAY))


def test_an_expiration_without_a_quantity_closes_all_contracts():
    rows = [replace(row, quantity=0) for row in expired(P80, P85, C105, C110)]
    assert shown([order("a", 0, opening(CONDOR, 2))], rows) == [(ID, 2, "expired", 280)]


def test_expired_contracts_are_given_to_all_condors_that_share_them():
    orders = [OPENED, order("b", 1, opening([*LOWER_PUTS, *CALLS], 2))]
    puts = [contract("P", 70).compact, contract("P", 75).compact]
    rows = [*expired(P80, P85), *expired(*puts, quantity=2), *expired(C105, C110, quantity=3)]
    assert sorted(shown(orders, rows)) == [(LOWER_ID, 2, "expired", 260), (ID, 1, "expired", 140)]


def test_an_order_on_the_last_day_precedes_the_expiration():
    closed = replace(order("b", 0, closing(CHEAP)), filled_at=LAST_AT - dt.timedelta(minutes=1))
    assert [trade.how for trade in found([OPENED, closed], expired(P80, P85, C105, C110))] == ["closed"]


SPX_CONDOR = [("P", 80, 1, "0.50"), ("P", 85, -1, "1.10"), ("C", 105, -1, "1.20"), ("C", 110, 1, "0.40")]


def settled(root, cash):
    """Condors of an index at 107.25; the settlement of a leg pays or costs `cash` (dollars for both condors)."""
    symbols = [contract(right, strike, root=root).compact for right, strike, *_ in CONDOR]
    rows = [booking("OPCSH", symbol, 2, amount_e4=e4(cash.get(symbol[-9:], "0"))) for symbol in symbols]
    return [order("a", 0, opening(CONDOR, 2, root=root))], rows


def test_a_cash_settlement_is_the_debit():
    orders, rows = settled("SPXW", {"C00105000": "-450"})
    [trade] = found(orders, rows)
    assert (trade.underlying, trade.how, trade.closed_at) == ("SPX", "expired", LAST_AT)
    assert (trade.debit_e4, trade.realized_e4, trade.shares) == (e4("2.25"), e4("-170"), None)


def test_a_condor_settled_at_the_open_last_traded_the_day_before():
    orders, rows = settled("SPX", {})
    [trade] = found(orders, rows)
    assert trade.closed_at == dt.datetime(2026, 12, 17, 21, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize("missing", [{"amount_e4": None}, {"quantity": 0}])
def test_a_cash_settlement_without_its_amount_leaves_the_result_unknown(missing):
    orders, rows = settled("SPXW", {})
    rows[2] = replace(rows[2], **missing)
    [trade] = found(orders, rows)
    assert (trade.how, trade.credit_e4, trade.debit_e4, trade.realized_e4) == ("expired", e4("1.40"), None, None)


def test_a_cash_settlement_is_shared_to_the_cent():
    symbols = [contract(right, strike, root="SPXW").compact for right, strike, *_ in CONDOR]
    rows = [booking("OPCSH", symbol, 3, amount_e4=e4("100")) for symbol in symbols]
    orders = [order(name, 0, opening(at("0", CONDOR), count, root="SPXW")) for name, count in (("a", 1), ("b", 2))]
    assert [result for *_, result in shown(orders, rows)] == [4 * 33.33, 4 * 66.67]


# Assigned.

ASSIGNED = [booking("OPASN", P85, 1, TUESDAY)]
CLOSES = {("XYZ", TUESDAY): e4("83.25")}
OTHERS = [CHEAP[0], *CHEAP[2:]]


def test_an_assigned_leg_closes_at_its_intrinsic_value():
    orders = [OPENED, order("b", 2 * DAY, closing(OTHERS))]
    [trade] = found(orders, ASSIGNED, closes_e4=CLOSES)
    assert (trade.how, trade.closed_at) == ("assigned", minutes(2 * DAY))
    assert trade.shares == DeliveredShares(symbol="XYZ", quantity=100, price_e4=e4("83.25"))
    assert trade.debit_e4 == e4("1.75") + e4("0.10") - e4("0.20")
    assert trade.realized_e4 == e4("140") - e4("165")


def test_an_assignment_whose_close_is_unknown_leaves_the_result_unknown():
    [trade] = found([OPENED, order("b", 2 * DAY, closing(OTHERS))], ASSIGNED)
    assert (trade.credit_e4, trade.debit_e4, trade.realized_e4) == (e4("1.40"), None, None)
    assert trade.shares == DeliveredShares(symbol="XYZ", quantity=100, price_e4=None)


def test_the_closes_needed_for_assignments_and_exercises_are_listed():
    saturday = dt.date(2026, 11, 21)
    rows = [
        *ASSIGNED,
        booking("OPEXC", C110, 1, saturday),
        booking("OPASN", P80, 1, DECEMBER + dt.timedelta(days=3)),
        booking("OPASN", contract("P", 80, root="XYZ1").compact),
        booking("OPASN", contract("P", 80, root="OEX").compact),
        *expired(C105),
        booking("FILL", "XYZ"),
    ]
    friday = dt.date(2026, 11, 20)
    assert wanted_closes(rows, calendar=Calendar()) == {("XYZ", TUESDAY), ("XYZ", friday), ("XYZ", DECEMBER)}


def test_a_breach_of_both_puts_at_the_expiration_delivers_no_shares():
    rows = [booking("OPASN", P85), booking("OPEXC", P80), *expired(C105, C110)]
    [trade] = found([OPENED], rows, closes_e4={("XYZ", DECEMBER): e4("70")})
    assert (trade.how, trade.closed_at, trade.shares) == ("assigned", LAST_AT, None)
    assert (trade.debit_e4, trade.realized_e4) == (e4("5"), e4("140") - e4("500"))


@pytest.mark.parametrize(
    ("kind", "symbol", "shares"), [("OPASN", C105, -100), ("OPEXC", C110, 100), ("OPEXC", P80, -100)]
)
def test_calls_and_exercises_move_shares_in_their_direction(kind, symbol, shares):
    rows = [booking(kind, symbol), *expired(*{P80, P85, C105, C110} - {symbol})]
    [trade] = found([OPENED], rows, closes_e4={("XYZ", DECEMBER): e4("95")})
    assert trade.shares == DeliveredShares(symbol="XYZ", quantity=shares, price_e4=e4("95"))


def test_one_of_two_condors_is_assigned():
    orders = [
        order("a", 0, opening(CONDOR, 2)),
        order("b", 2 * DAY, closing(OTHERS)),
        order("c", 3 * DAY, closing(CHEAP)),
    ]
    first, second = found(orders, ASSIGNED, closes_e4=CLOSES)
    assert (first.id, first.quantity, first.how) == (ID, 1, "assigned")
    assert first.shares.quantity == 100
    assert (second.id, second.quantity, second.how, second.realized_e4) == (ID, 1, "closed", e4("140"))


def test_a_condor_assigned_and_one_expired_at_the_same_close_are_one_trade():
    rows = [booking("OPASN", P85), *expired(P85), *expired(P80, C105, C110, quantity=2)]
    orders = [order("a", 0, opening(CONDOR, 2))]
    [trade] = found(orders, rows, closes_e4={("XYZ", DECEMBER): e4("84.50")})
    assert (trade.quantity, trade.how, trade.realized_e4) == (2, "assigned", e4("280") - e4("50"))
    assert trade.shares == DeliveredShares(symbol="XYZ", quantity=100, price_e4=e4("84.50"))
    assert trade.debit_e4 == e4("0.25")


def test_a_condor_that_was_assigned_in_part_keeps_its_id_from_others():
    orders = [OPENED, order("b", 2 * DAY, opening(CONDOR)), order("c", 3 * DAY, closing(CONDOR))]
    assert [trade.id for trade in found(orders, ASSIGNED, closes_e4=CLOSES)] == [f"{ID}-2"]
    closed_before = order("b2", 2 * DAY - 9, closing(OTHERS))
    assert [trade.id for trade in found([closed_before, *orders], ASSIGNED, closes_e4=CLOSES)] == [ID, ID]


def test_an_assignment_without_a_quantity_is_ignored():
    rows = [replace(row, quantity=0) for row in ASSIGNED]
    assert shown([OPENED, order("b", 2 * DAY, closing(CHEAP))], rows) == [(ID, 1, "closed", 140)]


def test_an_order_on_the_day_of_an_assignment_precedes_it():
    evening = replace(order("b", 0, closing(CHEAP)), filled_at=TUESDAY_CLOSE + dt.timedelta(minutes=10))
    assert [trade.how for trade in found([OPENED, evening], ASSIGNED, closes_e4=CLOSES)] == ["closed"]


def test_the_value_and_the_shares_of_adjusted_contracts_are_unknown():
    symbols = [contract(right, strike, root="XYZ1").compact for right, strike, *_ in CONDOR]
    rows = [booking("OPASN", symbols[1]), *expired(symbols[0], *symbols[2:])]
    orders = [order("a", 0, opening(CONDOR, root="XYZ1"))]
    [trade] = found(orders, rows, closes_e4={("XYZ1", DECEMBER): e4("70"), ("XYZ", DECEMBER): e4("70")})
    assert (trade.how, trade.credit_e4, trade.realized_e4, trade.shares) == ("assigned", None, None, None)
    assert trade.max_profit_e4 is None
    [trade] = found(orders, rows, multipliers={symbols[0]: 10})
    assert (trade.credit_e4, trade.debit_e4, trade.max_profit_e4) == (e4("1.40"), None, e4("14"))


# Fees.


def fee(execution, amount="-0.03"):
    return Activity(
        id=f"fee{execution}{amount}",
        kind="FEE",
        symbol="",
        quantity=0,
        at=MONDAY,
        day=MONDAY.date(),
        amount_e4=None if amount is None else e4(amount),
        execution_id=execution,
    )


def filled(symbol, order_id, execution):
    return Activity(
        id=f"fill{execution}",
        kind="FILL",
        symbol=symbol,
        quantity=1,
        at=MONDAY,
        day=MONDAY.date(),
        price_e6=1,
        order_id=order_id,
        execution_id=execution,
    )


def test_a_trade_has_the_fees_of_the_fills_of_its_legs():
    named = [replace(fill, leg_id=f"leg{number}") for number, fill in enumerate(opening(CONDOR))]
    orders = [order("a", 0, named), order("b", 1, closing(CONDOR))]
    rows = [filled(P80, "leg0", "x"), fee("x"), filled(P85, "leg1", "y"), fee("y", "-0.04"), filled(C105, "b", "z")]
    rows += [fee("z", "-0.05"), filled(P80, "other", "w"), fee("w", "-9"), fee("unknown", "-9"), fee("y", None)]
    [trade] = found(orders, rows)
    assert (trade.fees_e4, trade.realized_e4) == (e4("0.12"), 0)


def test_the_fees_of_an_order_are_shared_by_the_trades_of_its_contracts():
    orders = [order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(CONDOR)), order("c", 2, closing(CONDOR, 2))]
    rows = [filled(P80, "a", "x"), fee("x", "-0.10"), filled(C110, "c", "y"), fee("y", "-0.01")]
    assert [trade.fees_e4 for trade in found(orders, rows)] == [333, 667 + 100]
    assert [trade.fees_e4 for trade in found(orders, rows[2:])] == [None, 100]
    both_at_once = [*orders[:2], replace(orders[2], filled_at=minutes(1))]
    assert [trade.fees_e4 for trade in found(both_at_once, rows)] == [1_100]


# Condors without a lot.


LEGGED_IN = [order("p", 0, opening(PUTS, 2)), order("q", 1, opening(CALLS, 2))]


def test_a_condor_that_was_legged_in_is_a_trade_when_one_order_closes_it():
    [trade] = found([*LEGGED_IN, order("c", 9, closing(CHEAP, 2))])
    assert (trade.id, trade.opened_at, trade.quantity, trade.how) == (ID, None, 2, "closed")
    assert (trade.credit_e4, trade.realized_e4, trade.max_profit_e4) == (e4("1.40"), e4("280"), e4("280"))


def test_a_part_of_a_condor_that_was_legged_in_is_partly_closed():
    orders = [*LEGGED_IN, order("c", 8, closing(CHEAP)), order("d", 9, closing(CONDOR))]
    assert shown(orders) == [(ID, 1, "partlyClosed", 140), (ID, 1, "closed", 0)]


def test_a_condor_that_was_legged_in_has_the_cost_of_the_contracts_that_were_opened_first():
    more = [order("r", 2, opening(at("0", PUTS)))]
    [trade] = found([*LEGGED_IN, *more, order("c", 9, closing(CHEAP, 2))])
    assert trade.realized_e4 == e4("280")


def test_a_condor_that_was_legged_in_may_expire_or_be_assigned():
    rows = [booking("OPASN", P85, 2), *expired(P80, C105, C110, quantity=2)]
    [trade] = found(LEGGED_IN, rows, closes_e4={("XYZ", DECEMBER): e4("84")})
    assert (trade.id, trade.opened_at, trade.how, trade.realized_e4) == (ID, None, "assigned", e4("280") - e4("200"))
    assert trade.shares.quantity == 200


@pytest.mark.parametrize("legs", [PUTS, [*PUTS, *at("1", CALLS)][:3]], ids=["a side", "three legs"])
def test_contracts_that_are_not_a_condor_are_not_a_trade(legs):
    assert found([*LEGGED_IN, order("c", 9, closing(legs, 2))]) == ()


def test_legs_that_are_closed_in_different_quantities_are_not_a_trade():
    assert found([*LEGGED_IN, order("c", 9, closing(PUTS), closing(CALLS, 2))]) == ()


def test_a_condor_that_no_known_order_opened_has_an_unknown_credit():
    [trade] = found([order("c", 9, closing(CONDOR, 2))])
    assert (trade.id, trade.opened_at, trade.closed_at, trade.direction) == (ID, None, minutes(9), "short")
    assert (trade.credit_e4, trade.debit_e4, trade.realized_e4) == (None, e4("1.40"), None)
    assert (trade.how, trade.max_profit_e4) == ("closed", None)


def test_a_roll_of_a_condor_that_no_order_opened_leads_to_its_successor():
    lower = [*LOWER_PUTS, ("C", 112, -1, "1"), ("C", 117, 1, "1")]
    rolled = order("b", 1, closing(CONDOR), opening(lower))
    orders = [rolled, order("c", 2, closing(lower))]
    for before, result in (([], None), (LEGGED_IN, 0)):
        first, last = found([*(replace(each, filled_at=minutes(-9)) for each in before), *orders])
        assert (first.how, first.rolled_to, first.realized_e4) == ("rolled", "XYZ-261218-70-75-112-117", result)
        assert (last.id, last.opened_at, last.realized_e4) == ("XYZ-261218-70-75-112-117", None, 0)


# Splits.


def split(stock):
    return booking("SPLIT", stock, 300, TUESDAY)


def test_the_result_of_a_condor_that_was_open_at_a_split_is_unknown():
    legged = [replace(each, filled_at=minutes(-9)) for each in LEGGED_IN]
    broken = [order("x", 2, opening(CONDOR, expiration=JANUARY)), order("y", 3, closing(PUTS, expiration=JANUARY))]
    late = [order("b", 2 * DAY, closing(CONDOR)), order("z", 2 * DAY, closing(CALLS, expiration=JANUARY))]
    orders = [*legged, OPENED, *broken, *late]
    assert shown(orders, [split("XYZ")]) == [(ID, 1, "closed", None)]
    assert shown(orders, [split("ABC")]) == [
        (ID, 1, "closed", 0),
        ("XYZ-270115-80-85-105-110", 1, "closed", 0),
    ]


def test_the_result_of_a_condor_that_ended_the_day_before_a_split_is_known():
    rows = expired(P80, P85, C105, C110, day=MONDAY.date())
    assert shown([OPENED], [split("XYZ"), *rows]) == [(ID, 1, "expired", 140)]


# The input.


def test_the_search_for_trades_pauses_and_can_be_aborted():
    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        trades([OPENED], [], multipliers={}, closes_e4={}, calendar=Calendar(), pause=give_up)


def test_work_on_many_orders_and_activities_pauses_often():
    orders = [order(f"o{number}", number, opening(CONDOR)) for number in range(100)]
    pauses = []
    for rows in ([], expired(P80, P85, C105, C110, quantity=100)):
        trades(orders, rows, multipliers={}, closes_e4={}, calendar=Calendar(), pause=lambda: pauses.append(1))
    assert len(pauses) >= 2 * 5 + 5


def test_a_repeated_row_counts_once():
    rows = expired(P80, P85, C105, C110)
    orders = [order("a", 0, opening(CONDOR, 2))]
    assert shown(orders, [*rows, *rows]) == [(ID, 1, "expired", 140)]


# Properties: the money of an account whose contracts are all in condors.

WINGS = {
    "P": [((80, 85), DECEMBER), ((80, 90), DECEMBER), ((70, 75), DECEMBER), ((80, 85), JANUARY)],
    "C": [((105, 110), DECEMBER), ((100, 110), DECEMBER), ((95, 105), DECEMBER), ((105, 110), JANUARY)],
}
SETTLED = Bookings({}, {}, Calendar())


class Account:
    """Draws orders and bookings that a broker would accept, and sums up the money that each moved."""

    def __init__(self, draw):
        self.draw = draw
        self.orders, self.rows = [], []
        self.cash_e4 = 0
        self.held = Counter()
        self.contracts = {}
        self.closes_e4 = {}
        self.day = 0

    def step(self):
        self.day += self.draw(st.integers(0, 1))
        moves = [self.open, self.open, self.close, self.close_legs, self.close_rest, self.roll, self.assign]
        self.draw(st.sampled_from(moves))()

    @property
    def day_at(self):
        """The morning of the day, of weekdays only."""
        return MONDAY + dt.timedelta(weeks=self.day // 5, days=self.day % 5)

    def ledger(self):
        return follow(self.orders, self.rows, Bookings({}, self.closes_e4, Calendar()))

    def place(self, *fills):
        number = len(self.orders)
        placed = Order(id=f"o{number:02}", filled_at=self.day_at + dt.timedelta(minutes=2 * number), fills=fills)
        self.orders.append(placed)
        for fill in fills:
            self.held[fill.symbol] += fill.quantity
            self.contracts[fill.symbol] = fill.contract
            self.cash_e4 -= total_e4(fill_cost(fill.quantity * fill.price_e6, abs(fill.quantity)), 100)

    def fill(self, option, quantity, *, opens):
        price_e6 = self.draw(st.integers(0, 3_000_000))
        return Fill(symbol=option.compact, contract=option, quantity=quantity, price_e6=price_e6, opens=opens)

    def wing(self, right, which, sign, quantity):
        (low, high), expiration = WINGS[right][which]
        signs = (1, -1) if right == "P" else (-1, 1)
        options = [contract(right, strike, expiration=expiration) for strike in (low, high)]
        pairs = zip(options, signs, strict=True)
        return [self.fill(option, sign * each * quantity, opens=True) for option, each in pairs]

    def nets(self, fills):
        return any(fill.quantity * self.held[fill.symbol] < 0 for fill in fills)

    def open(self):
        sign, quantity = self.draw(st.sampled_from([1, 1, -1])), self.draw(st.integers(1, 3))
        fills = [*self.wing("P", self.draw(st.integers(0, 2)), sign, quantity)]
        fills += self.wing("C", self.draw(st.integers(0, 2)), sign, quantity)
        if not self.nets(fills):
            self.place(*fills)

    def closing(self, legs, quantity):
        return [self.fill(leg.contract, -_sign(leg.quantity) * quantity, opens=False) for leg in legs]

    def lot(self):
        return self.draw(st.sampled_from(found)) if (found := self.ledger().lots) else None

    def close(self):
        if (lot := self.lot()) is not None:
            self.place(*self.closing(lot.legs, self.draw(st.integers(1, lot.quantity))))

    def close_legs(self):
        if (lot := self.lot()) is not None:
            legs = self.draw(st.sampled_from([lot.legs[:2], lot.legs[2:], lot.legs[1:3], lot.legs[:1], lot.legs[1:]]))
            self.place(*self.closing(legs, self.draw(st.integers(1, lot.quantity))))

    def close_rest(self):
        """Close legs that are left of a condor that has lost some."""
        if parts := self.ledger().parts:
            part = self.draw(st.sampled_from(parts))
            legs = part.left[self.draw(st.integers(0, len(part.left) - 1)) :]
            self.place(*self.closing(legs, self.draw(st.integers(1, part.lot.quantity))))

    def roll(self):
        if (lot := self.lot()) is None:
            return
        right = self.draw(st.sampled_from("PC"))
        old = lot.legs[:2] if right == "P" else lot.legs[2:]
        quantity = self.draw(st.integers(1, lot.quantity))
        new = self.wing(right, self.draw(st.integers(0, 3)), _sign(lot.legs[0].quantity), quantity)
        symbols = {fill.symbol for fill in new}
        if not self.nets(new) and not symbols & {leg.symbol for leg in old}:
            self.place(*self.closing(old, quantity), *new)

    def assign(self):
        """Assign or exercise some contracts early."""
        day = self.day_at.date()
        held = [symbol for symbol, quantity in self.held.items() if quantity]
        if held:
            self.closes_e4.setdefault(("XYZ", day), self.draw(st.integers(600_000, 1_200_000)))
            symbol = self.draw(st.sampled_from(held))
            self.book(symbol, self.draw(st.integers(1, abs(self.held[symbol]))), day)
        self.day += 1

    def book(self, symbol, quantity, day):
        close_e4, option = self.closes_e4["XYZ", day], self.contracts[symbol]
        above_e4 = close_e4 - option.strike_mills * 10
        value_e4 = max(0, above_e4 if option.right == "call" else -above_e4)
        kind = "OPASN" if self.held[symbol] < 0 else "OPEXC"
        self.rows.append(replace(booking(kind, symbol, quantity, day), id=f"r{len(self.rows)}"))
        self.cash_e4 += _sign(self.held[symbol]) * quantity * value_e4 * 100
        self.held[symbol] -= _sign(self.held[symbol]) * quantity

    def expire(self):
        """Let everything expire, some contracts of each symbol exercised."""
        for symbol, held in list(self.held.items()):
            day = self.contracts[symbol].expiration
            self.closes_e4.setdefault(("XYZ", day), self.draw(st.integers(600_000, 1_200_000)))
            quantity = self.draw(st.integers(0, abs(held)))
            if quantity:
                self.book(symbol, quantity, day)
            if left := abs(held) - quantity:
                self.rows.append(booking("OPEXP", symbol, left, day))
            self.held[symbol] = 0

    def trades(self):
        return found(self.orders, self.rows, closes_e4=self.closes_e4)


def _sign(quantity):
    return 1 if quantity > 0 else -1


@st.composite
def accounts(draw):
    account = Account(draw)
    for _ in range(draw(st.integers(1, 9))):
        account.step()
    return account


def some(held):
    return {symbol: quantity for symbol, quantity in held.items() if quantity}


def cost_e4(legs):
    return sum(total_e4(leg.costs, 100) for leg in legs)


@pytest.mark.slow
@given(accounts())
def test_trades_and_open_condors_add_up_to_the_cash_of_their_contracts(account):
    ledger = account.ledger()
    open_e4 = sum(cost_e4(lot.legs) for lot in ledger.lots)
    for part in ledger.parts:
        open_e4 += cost_e4(part.lot.legs) + cost_e4(closed.leg for closed in part.closed)
    assert sum(trade.realized_e4 for trade in account.trades()) - open_e4 == account.cash_e4
    held = Counter()
    for legs in (*(lot.legs for lot in ledger.lots), *(part.left for part in ledger.parts)):
        for leg in legs:
            held[leg.symbol] += leg.quantity
    assert some(held) == some(account.held)


@pytest.mark.slow
@given(accounts())
def test_once_all_has_expired_the_trades_add_up_to_all_cash(account):
    account.expire()
    ended = account.trades()
    assert sum(trade.realized_e4 for trade in ended) == account.cash_e4
    keys = {(trade.id, trade.opened_at, trade.closed_at) for trade in ended}
    assert len(keys) == len(ended)
    assert all(trade.opened_at is not None and trade.opened_at <= trade.closed_at for trade in ended)


@pytest.mark.slow
@given(accounts(), st.randoms(use_true_random=False))
def test_the_sequence_of_the_input_does_not_matter(account, chance):
    account.expire()
    before = account.trades()
    chance.shuffle(account.orders)
    chance.shuffle(account.rows)
    assert account.trades() == before


@pytest.mark.slow
@given(accounts())
def test_without_bookings_the_lots_are_those_of_positions(account):
    account.rows = []
    found_ = [
        lot for lot in account.ledger().lots if lot.legs[0].contract.expiration == lot.legs[3].contract.expiration
    ]
    assert [(lot.key, lot.quantity) for lot in lots(account.orders)] == [
        (lot.key, lot.quantity)
        for lot in sorted(found_, key=lambda lot: lot.age)
        if lot.legs[1].contract.strike_mills <= lot.legs[2].contract.strike_mills
    ]
