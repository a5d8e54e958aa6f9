"""How the ledger follows and names condors that lose legs; the trades are tested in `test_trades`."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.activity import Activity
from condord.core.bookings import Booking, Bookings
from condord.core.calendar import Calendar
from condord.core.closings import TradeLedger
from condord.core.cost import Cost
from condord.core.filled_orders import transactions
from condord.core.trades import follow, trades
from tests.core.filled import CALLS, CONDOR, LOWER_PUTS, MONDAY, OPENED, PUTS, any_orders, at, closing, opening, order
from tests.core.strategies import JANUARY, contract, e4

ID = "XYZ-261218-80-85-105-110"
DAY = 24 * 60
P80, P85, C105, C110 = (contract(right, strike) for right, strike, *_ in CONDOR)
LAST_AT = dt.datetime(2026, 12, 18, 21, tzinfo=dt.UTC)


def after(*orders):
    """The ledger after these orders."""
    ledger = TradeLedger()
    for transaction in transactions(orders):
        ledger.take(transaction)
    return ledger


def booked(option, quantity=1, how="expired", closes=0):
    cost = Cost(paid_e6=0, filled=quantity, first=0, count=0)
    return Booking(contract=option, quantity=quantity, how=how, at=LAST_AT, from_at=LAST_AT, closes=closes, cost=cost)


def assigned(option, quantity=1):
    return booked(option, quantity, "assigned", 1)


def left(ledger):
    """The parts as (id of the lot, condors, the symbols left without root and expiration)."""
    return [(part.lot.id, part.lot.quantity, [leg.symbol[9:] for leg in part.left]) for part in ledger.parts]


def ended(ledger):
    """The closings as (id, condors, how each leg ended)."""
    return [
        (closing.identity.id, closing.quantity, [part.how for part in closing.closed]) for closing in ledger.closings
    ]


# Legs.


def test_a_lot_that_loses_legs_is_a_part_until_its_last_leg_is_closed():
    ledger = after(OPENED, order("b", 1, closing(PUTS)))
    assert (ledger.lots, left(ledger), ledger.closings) == ([], [("a", 1, ["C00105000", "C00110000"])], [])
    ledger = after(OPENED, order("b", 1, closing(PUTS)), order("c", 2, closing(CALLS)))
    assert (ledger.parts, ended(ledger)) == ([], [(ID, 1, ["closed"] * 4)])


def test_a_part_may_be_closed_in_parts():
    orders = [order("a", 0, opening(CONDOR, 3)), order("b", 1, closing(PUTS, 3)), order("c", 2, closing(CALLS))]
    ledger = after(*orders)
    assert left(ledger) == [("a", 2, ["C00105000", "C00110000"])]
    assert [closing.is_rest for closing in ledger.closings] == [False]


def test_the_oldest_part_that_is_closed_completely_comes_first():
    opened = [OPENED, order("b", 1, opening(CONDOR)), order("c", 2, closing(CALLS, 2))]
    assert left(after(*opened, order("d", 3, closing(PUTS)))) == [("b", 1, ["P00080000", "P00085000"])]
    single = order("d", 3, closing(PUTS[:1]))  # only a leg of each part, and all that is left of the other
    other = order("e", 4, closing(PUTS[1:]))
    assert left(after(*opened, single, other)) == [("b", 1, ["P00080000", "P00085000"])]


def test_a_part_that_is_closed_completely_comes_before_contracts_in_no_lot_and_those_before_other_parts():
    hedge = order("h", -1, opening(at("9", PUTS[:1])))
    broken = [hedge, OPENED, order("b", 1, closing(CALLS))]
    assert left(after(*broken, order("c", 2, closing(PUTS)))) == []
    ledger = after(*broken, order("c", 2, closing(PUTS[:1])))
    assert left(ledger) == [("a", 1, ["P00080000", "P00085000"])]
    assert left(after(*broken, order("c", 2, closing(PUTS[:1], 2)))) == [("a", 1, ["P00085000"])]


def test_parts_that_lose_more_legs_come_first():
    shares_a_leg = [("P", 80, 1, "1"), ("P", 90, -1, "1"), *CALLS]
    opened = [
        order("a", 0, opening(shares_a_leg)),
        order("b", 1, opening(CONDOR)),
        order("c", 2, closing(CALLS[:1], 2)),
    ]
    ledger = after(*opened, order("d", 3, closing(PUTS)))
    assert left(ledger) == [("a", 1, ["P00080000", "P00090000", "C00110000"]), ("b", 1, ["C00110000"])]


def test_contracts_in_no_lot_are_closed_first_in_first_out():
    cheap, dear = order("p", 0, opening(at("1", CONDOR[:2]))), order("q", 1, opening(at("2", PUTS)))
    calls = order("r", 2, opening(CALLS, 2))
    first, second = after(cheap, dear, calls, order("c", 3, closing(CONDOR)), order("d", 4, closing(CONDOR))).closings
    assert [first.opened[0].price_e4, second.opened[0].price_e4] == [e4("1"), e4("2")]
    assert (first.is_rest, second.is_rest) == (False, True)


def test_contracts_of_the_other_sign_are_not_closed():
    ledger = after(order("p", 0, opening(PUTS)), order("b", 1, opening(PUTS, -1)), order("c", 2, closing(PUTS, 1)))
    assert ledger.closings == []


def test_lots_and_parts_without_bookings_are_dropped_after_their_expiration():
    broken = [OPENED, order("b", 1, opening(CONDOR)), order("c", 2, closing(CALLS))]
    later = order("d", 35 * DAY, closing(CONDOR, expiration=JANUARY))
    ledger = after(*broken, later)
    assert (ledger.lots, ledger.parts) == ([], [])
    assert len(after(*broken, replace(later, filled_at=LAST_AT)).parts) == 1


# Bookings.


def test_bookings_take_parts_first_then_contracts_in_no_lot_then_the_oldest_lots():
    ledger = after(
        order("a", 0, opening(CONDOR)),
        order("b", 1, opening(CONDOR)),
        order("p", 2, opening(PUTS[1:])),
    )
    ledger.book([assigned(C105)])
    assert left(ledger) == [("a", 1, ["P00080000", "P00085000", "C00110000"])]
    ledger.book([assigned(P85)])
    assert left(ledger) == [("a", 1, ["P00080000", "C00110000"])]
    ledger.book([assigned(P85)])
    assert [lot.id for lot in ledger.lots] == ["b"]
    ledger.book([assigned(P85)])
    assert ledger.lots == []


def test_lots_of_other_contracts_are_left_alone():
    ledger = after(OPENED)
    ledger.book([booked(contract("C", 120))])
    assert ([lot.id for lot in ledger.lots], ledger.parts, ledger.closings) == (["a"], [], [])


def test_all_bookings_of_a_day_are_applied_together():
    ledger = after(order("a", 0, opening(CONDOR, 3)))
    ledger.book([booked(P80, 3), booked(P85, 2), assigned(P85), booked(C105, 3), booked(C110, 3)])
    assert sorted(ended(ledger)) == [
        (ID, 1, ["expired", "assigned", "expired", "expired"]),
        (ID, 2, ["expired"] * 4),
    ]


def test_parts_stay_oldest_first():
    newer = [("P", 70, 1, "1"), ("P", 75, -1, "1"), *CALLS]
    ledger = after(OPENED, order("b", 1, opening(newer)), order("c", 2, closing(newer[:2])))
    ledger.book([assigned(P85)])
    assert [part.lot.id for part in ledger.parts] == ["a", "b"]


def test_a_booking_of_more_than_is_known_takes_what_is_known():
    ledger = after(order("p", 0, opening(PUTS)), order("q", 1, opening(CALLS)))
    ledger.book([booked(option, 9) for option in (P80, P85, C105, C110)])
    assert ended(ledger) == [(ID, 1, ["expired"] * 4)]


def test_a_booking_of_the_other_sign_takes_nothing():
    ledger = after(OPENED, order("p", 1, opening([*PUTS[:1]])))
    ledger.book([assigned(P80)])
    assert (len(ledger.lots), ledger.parts) == (1, [])


def test_bookings_may_leave_part_of_a_part():
    ledger = after(order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(PUTS, 2)))
    ledger.book([booked(C105), booked(C110)])
    assert left(ledger) == [("a", 1, ["C00105000", "C00110000"])]
    assert [closing.is_rest for closing in ledger.closings] == [False]


def test_orders_may_close_what_a_booking_left():
    ledger = after(OPENED)
    ledger.book([assigned(P85)])
    [transaction] = transactions([order("b", 9, closing([CONDOR[0], *CALLS]))])
    ledger.take(transaction)
    assert ended(ledger) == [(ID, 1, ["assigned", "closed", "closed", "closed"])]


# Ids.


def id_of_the_next(ledger):
    [transaction] = transactions([order("next", DAY, opening(CONDOR))])
    ledger.take(transaction)
    return ledger.id_of("next")


def test_a_condor_that_expires_leaves_its_id():
    ledger = after(OPENED)
    ledger.book([booked(option) for option in (P80, P85, C105, C110)])
    assert id_of_the_next(ledger) == ID


def test_a_condor_that_lost_a_leg_to_a_booking_keeps_its_id_until_orders_take_it_apart():
    ledger = after(OPENED)
    ledger.book([assigned(P85)])
    assert id_of_the_next(ledger) == f"{ID}-2"
    ledger = after(OPENED)
    ledger.book([assigned(P85)])
    [transaction] = transactions([order("b", 9, closing(CALLS))])
    ledger.take(transaction)
    assert id_of_the_next(ledger) == ID


def test_a_condor_keeps_its_id_while_any_of_it_is_open():
    assert id_of_the_next(after(order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(CONDOR)))) == f"{ID}-2"
    rolled = order("b", 1, closing(PUTS), opening(LOWER_PUTS))
    assert id_of_the_next(after(order("a", 0, opening(CONDOR, 2)), rolled)) == f"{ID}-2"
    assert id_of_the_next(after(OPENED, rolled)) == ID


def test_a_part_that_orders_took_apart_gives_its_id_up_to_whole_condors():
    orders = [order("a", 0, opening(CONDOR, 2)), order("b", 1, closing(PUTS))]
    assert id_of_the_next(after(*orders, order("c", 2, closing(CALLS)))) == f"{ID}-2"
    ledger = after(*orders)
    ledger.book([booked(C105), booked(C110)])
    assert id_of_the_next(ledger) == f"{ID}-2"


def test_a_lot_that_is_not_a_condor_has_no_id_until_it_is_one_again():
    puts = order("b", 1, closing(PUTS), opening(PUTS, expiration=JANUARY))
    assert after(OPENED, puts).id_of("a/b") is None
    calls = order("c", 2, closing(CALLS), opening(CALLS, expiration=JANUARY))
    assert after(OPENED, puts, calls).id_of("a/b") == "XYZ-270115-80-85-105-110"


def test_a_split_leaves_contracts_of_other_stocks():
    other = [order("o", 0, opening(CONDOR, root="ABC")), order("p", 1, opening(PUTS, root="ABC"))]
    ledger = after(OPENED, *other)
    ledger.split("XYZ")
    assert [lot.id for lot in ledger.lots] == ["o"]
    [transaction] = transactions([order("c", DAY, opening(CALLS, root="ABC"))])
    ledger.take(transaction)
    assert id_of_the_next(ledger) == ID


# Any orders and activities.


def any_activities():
    return st.lists(
        st.builds(
            Activity,
            id=st.text("abc", min_size=1, max_size=3),
            kind=st.sampled_from(["OPEXP", "OPASN", "OPEXC", "OPCSH", "SPLIT", "FEE"]),
            symbol=st.sampled_from(["", "XYZ", *(option.compact for option in (P80, P85, C105, C110))]),
            quantity=st.integers(0, 4),
            at=st.just(LAST_AT),
            day=st.sampled_from([MONDAY.date(), LAST_AT.date()]),
            amount_e4=st.one_of(st.none(), st.integers(-9_999, 9_999)),
        ),
        max_size=9,
    )


@pytest.mark.slow
@given(any_orders(), any_activities())
def test_trades_of_any_orders_and_activities_never_have_more_than_was_closed(orders, rows):
    ledger = follow(orders, rows, Bookings({}, {}, Calendar()))
    assert all(part.left and part.closed and part.lot.quantity > 0 for part in ledger.parts)
    for closing_ in ledger.closings:
        assert closing_.quantity > 0
        closed = sum(abs(part.leg.quantity) for part in closing_.closed)
        assert closed == closing_.quantity * (4 if closing_.opened is None else len(closing_.opened))
    found = trades(orders, rows, multipliers={}, closes_e4={}, calendar=Calendar())
    assert len({(trade.id, trade.opened_at, trade.closed_at) for trade in found}) == len(found)
    assert sum(trade.quantity for trade in found) == sum(closing_.quantity for closing_ in ledger.closings)
