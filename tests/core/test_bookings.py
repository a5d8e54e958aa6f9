"""How activities are read as bookings; what these do to condors is tested in `test_trades`."""

import datetime as dt

import pytest
from msgspec.structs import replace

from condord.core.activity import Activity
from condord.core.bookings import Booking, Bookings, ClosedLeg, PendingBooking, first_of, waiting_of
from condord.core.calendar import Calendar
from condord.core.cost import Cost, total_e4
from condord.core.market_hours import hours_of
from tests.core.strategies import DECEMBER, contract, e4, lot_leg

CALL = contract("C", 105)
PUT = contract("P", 85)
LAST_AT = dt.datetime(2026, 12, 18, 21, tzinfo=dt.UTC)
AFTER = dt.datetime(2026, 12, 19, 5, tzinfo=dt.UTC)
THURSDAY = dt.date(2026, 11, 26)


def row(kind, option=CALL, quantity=2, day=DECEMBER, **fields):
    at = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)
    symbol = option if isinstance(option, str) else option.compact
    return Activity(id="r", kind=kind, symbol=symbol, quantity=quantity, at=at, day=day, **fields)


def read(activity, closes_e4=None, calendar=None, multipliers=None):
    return Bookings(multipliers or {}, closes_e4 or {}, calendar or Calendar()).read(activity)


def paid(found, quantity=2, multiplier=100):
    """What the contracts that close `quantity` contracts cost, in dollars."""
    closed = PendingBooking(found).take(lot_leg(found.contract, -quantity, 0), quantity)
    return total_e4(closed.leg.costs, multiplier) / 10_000


@pytest.mark.parametrize("kind", ["FILL", "FEE", "OPTRD", "SPLIT"])
def test_other_activities_are_not_bookings(kind):
    assert read(row(kind)) is None


def test_a_row_whose_symbol_is_not_a_contract_is_not_a_booking():
    assert read(row("OPEXP", "XYZ")) is None
    assert Bookings({}, {}, Calendar()).close_day(row("OPASN", "XYZ")) is None


@pytest.mark.parametrize("day", [DECEMBER, DECEMBER + dt.timedelta(days=3)])
def test_an_expiration_is_dated_by_its_contract(day):
    found = read(row("OPEXP", day=day))
    assert (found.how, found.at, found.from_at, found.closes, paid(found)) == ("expired", LAST_AT, AFTER, 0, 0)


def test_an_expiration_of_an_earlier_day_is_at_its_close_but_not_after_it_was_booked():
    early = row("OPEXP", day=dt.date(2026, 11, 25))
    assert read(early).at == dt.datetime(2026, 11, 25, 21, tzinfo=dt.UTC)
    noon = dt.datetime(2026, 11, 25, 17, tzinfo=dt.UTC)
    assert read(replace(early, at=noon)).at == noon


def test_a_cash_settlement_costs_what_the_account_paid():
    found = read(row("OPCSH", contract("C", 105, root="SPXW"), amount_e4=e4("-450.01")))
    assert (paid(found), paid(found, 1)) == (450.01, 225.01)


def test_an_assignment_before_the_last_day_is_at_the_close_of_its_day():
    found = read(row("OPASN", PUT, day=dt.date(2026, 11, 25)), {("XYZ", dt.date(2026, 11, 25)): e4("80.5")})
    assert found.at == dt.datetime(2026, 11, 25, 21, tzinfo=dt.UTC)
    assert found.from_at == dt.datetime(2026, 11, 26, 5, tzinfo=dt.UTC)
    assert (found.closes, found.shares, found.price_e4, paid(found)) == (1, 100, e4("80.5"), 900)


def test_an_assignment_dated_on_a_holiday_was_in_the_session_before():
    days = [THURSDAY + dt.timedelta(days=offset) for offset in (-1, 1)]
    calendar = Calendar({day: hours_of(day, dt.time(9, 30), dt.time(16)) for day in days})
    bookings = Bookings({}, {}, calendar)
    assert bookings.close_day(row("OPASN", PUT, day=THURSDAY)) == ("XYZ", dt.date(2026, 11, 25))


def test_an_assignment_on_the_last_day_is_at_the_last_trading_time():
    fund = contract("P", 85, root="SPY")
    assert read(row("OPASN", fund)).at == LAST_AT + dt.timedelta(minutes=15)
    assert read(row("OPASN", fund, day=dt.date(2026, 12, 17))).at == LAST_AT - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "option", "shares", "cost"),
    [("OPASN", PUT, 100, 0), ("OPEXC", PUT, -100, 0), ("OPASN", CALL, -100, 1000), ("OPEXC", CALL, 100, -1000)],
)
def test_assigned_and_exercised_contracts_are_worth_their_intrinsic_value(kind, option, shares, cost):
    found = read(row(kind, option), {("XYZ", DECEMBER): e4("110")})
    assert (found.shares, paid(found)) == (shares, cost)


def test_without_a_close_the_cost_is_unknown():
    found = read(row("OPASN"))
    assert (found.cost, found.price_e4, found.shares) == (None, None, -100)
    assert not PendingBooking(found).take(lot_leg(CALL, -2, 0), 2).is_known


def test_the_multiplier_comes_from_the_contract():
    bookings = Bookings({CALL.compact: 10}, {}, Calendar())
    assert (bookings.multiplier(CALL), bookings.multiplier(PUT)) == (10, 100)
    assert bookings.multiplier(contract("P", 85, root="XYZ1")) is None
    assert bookings.read(row("OPASN")).shares == -10


def booked(how, quantity, closes=0, cost=None):
    return Booking(contract=CALL, quantity=quantity, how=how, at=LAST_AT, from_at=AFTER, closes=closes, cost=cost)


def test_assignments_come_before_expirations_and_only_for_contracts_of_their_sign():
    waiting = waiting_of([booked("expired", 1), booked("assigned", 1, closes=1)])
    short, long = lot_leg(CALL, -1, 0), lot_leg(CALL, 1, 0)
    assert first_of(waiting, short).booking.how == "assigned"
    assert first_of(waiting, long).booking.how == "expired"
    assert first_of(waiting, lot_leg(PUT, 1, 0)) is None


def test_a_booking_ends_with_its_contracts():
    waiting = waiting_of([booked("expired", 2)])
    leg = lot_leg(CALL, -2, 0)
    first_of(waiting, leg).take(leg, 1)
    first_of(waiting, leg).take(leg, 1)
    assert first_of(waiting, leg) is None


def test_the_parts_of_closed_contracts_add_up():
    pending = PendingBooking(booked("expired", 3, cost=Cost(paid_e6=100_000_000, filled=300, first=0, count=0)))
    leg = lot_leg(CALL, -3, 0)
    first, second = pending.take(leg, 1), pending.take(leg, 2)
    parts = [first, *second.split(1)]
    assert [total_e4(part.leg.costs, 100) for part in parts] == [e4("33.33"), e4("33.34"), e4("33.33")]
    assert [part.leg.quantity for part in parts] == [1, 1, 1]
    assert replace(parts[0], leg=leg) == ClosedLeg(leg=leg, how="expired", at=LAST_AT)
