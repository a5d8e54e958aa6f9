"""Read account activities as bookings: expirations, cash settlements, assignments and exercises of contracts.

A booking appears the day after its event, and its date can be the next session's. So no event is dated after the
last session of its contract, where it counts at the last trading time. One of an earlier day counts at the close of
that day, but not after it was booked. Orders of that day come first, as contracts are assigned overnight.

An assigned or exercised contract is worth its intrinsic value at the close of the stock on that day. What adjusted
contracts deliver is not known here, so neither are their value and their shares.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from condord.core import cost, occ
from condord.core.activity import Activity
from condord.core.calendar import DAY, Calendar
from condord.core.cost import Cost
from condord.core.expiry import Ending, Expiry, ending_of, expiry_of, last_trading_day
from condord.core.filled_orders import LotLeg, sign_of
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.occ import OptionSymbol
from condord.errors import SymbolError

StockCloses = Mapping[tuple[str, dt.date], int]
"""Closing prices of stocks in 1e-4 dollars, by stock and day."""
LegEnd = Literal["closed", "expired", "assigned"]

_ENDS: dict[str, LegEnd] = {"OPEXP": "expired", "OPCSH": "expired", "OPASN": "assigned", "OPEXC": "assigned"}
_CLOSES = {"OPASN": 1, "OPEXC": -1}
_ALL = 1_000_000_000
"""The quantity of an expiration that does not contain how many contracts expired."""
_ORDINARY_MULTIPLIER = 100
_E4_PER_MILL = 10
_E6_PER_E4 = 100


class ClosedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """How contracts of one leg were closed, at `at`.

    `leg` has the contracts that closed them, of the opposite sign, and what they cost; `is_known` is false if that is
    not known. Each contract brought `shares` (+) or took them (-) at `price_e4`, None if unknown.
    """

    leg: LotLeg
    how: LegEnd
    at: dt.datetime
    is_known: bool = True
    shares: int = 0
    price_e4: int | None = None

    def split(self, count: int) -> tuple[ClosedLeg, ClosedLeg]:
        """The first `count` contracts, and the others."""
        first, other = self.leg.split(count)
        return msgspec.structs.replace(self, leg=first), msgspec.structs.replace(self, leg=other)


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """The end of `quantity` contracts (unsigned) at `at`.

    It is applied after all orders that filled before `from_at`, the end of its day. `closes` is 1 if it closes short
    contracts, -1 for long ones, 0 for either. `cost` is the cost of the contracts that close them, None if unknown. The
    other fields are as in `ClosedLeg`.
    """

    contract: OptionSymbol
    quantity: int
    how: LegEnd
    at: dt.datetime
    from_at: dt.datetime
    closes: int = 0
    cost: Cost | None = None
    shares: int = 0
    price_e4: int | None = None


class PendingBooking:
    """A booking, and how many of its contracts are left to be matched."""

    def __init__(self, booking: Booking) -> None:
        self.booking = booking
        self.left = booking.quantity
        self._cost = booking.cost

    def is_for(self, leg: LotLeg) -> bool:
        """Whether it closes contracts of the sign of `leg`."""
        return self.left > 0 and leg.quantity * self.booking.closes <= 0

    def take(self, leg: LotLeg, quantity: int) -> ClosedLeg:
        """Close `quantity` contracts of `leg`."""
        booking, known = self.booking, self._cost
        self.left -= quantity
        costs: cost.Costs = ()
        if known is not None:
            costs = (msgspec.structs.replace(known, count=quantity),)
            self._cost = msgspec.structs.replace(known, first=known.first + quantity)
        return ClosedLeg(
            leg=msgspec.structs.replace(leg, quantity=-sign_of(leg.quantity) * quantity, costs=costs),
            how=booking.how,
            at=booking.at,
            is_known=known is not None,
            shares=booking.shares,
            price_e4=booking.price_e4,
        )


PendingBookings = dict[str, list[PendingBooking]]
"""The bookings of a day, by symbol."""


def waiting_of(bookings: Iterable[Booking]) -> PendingBookings:
    """The bookings by symbol, assignments and exercises first, so that the same condors get those of both legs."""
    waiting: PendingBookings = {}
    for booking in sorted(bookings, key=_rank):
        waiting.setdefault(booking.contract.compact, []).append(PendingBooking(booking))
    return waiting


def first_of(waiting: Mapping[str, Sequence[PendingBooking]], leg: LotLeg) -> PendingBooking | None:
    """The first booking that closes contracts of `leg`, None if there is none."""
    return next((pending for pending in waiting.get(leg.symbol, ()) if pending.is_for(leg)), None)


class Bookings:
    """Reads activities as bookings.

    `multipliers` is by contract symbol, `closes_e4` by stock and day.
    """

    def __init__(self, multipliers: Mapping[str, int], closes_e4: StockCloses, calendar: Calendar) -> None:
        self._multipliers = multipliers
        self._closes_e4 = closes_e4
        self._calendar = calendar
        self._endings: dict[Expiry, Ending] = {}

    def multiplier(self, contract: OptionSymbol) -> int | None:
        """The multiplier of a contract; if unknown, 100 unless the root shows that the contract was adjusted."""
        ordinary = None if contract.root_is_adjusted else _ORDINARY_MULTIPLIER
        return self._multipliers.get(contract.compact, ordinary)

    def read(self, activity: Activity) -> Booking | None:
        """The booking of an activity, None for any other activity, and for an assignment without a quantity."""
        contract = _contract(activity) if activity.kind in _ENDS else None
        if contract is None:
            return None
        if activity.kind in _CLOSES:
            return self._assigned(activity, contract) if activity.quantity else None
        at, from_at = self._instants(activity, contract)
        return Booking(
            contract=contract,
            quantity=activity.quantity or _ALL,
            how="expired",
            at=at,
            from_at=from_at,
            cost=self._settled(activity, contract),
        )

    def close_day(self, activity: Activity) -> tuple[str, dt.date] | None:
        """The stock and the day whose close an assignment or exercise needs; None if it needs none."""
        contract = _contract(activity) if activity.kind in _CLOSES else None
        if contract is None or not _delivers(contract):
            return None
        return _expiry(contract).product, self._session(activity, contract)

    def _settled(self, activity: Activity, contract: OptionSymbol) -> Cost | None:
        """The cost of closing contracts that expired: nothing, or the cash settlement."""
        if activity.kind == "OPEXP":
            return Cost(paid_e6=0, filled=activity.quantity or _ALL, first=0, count=0)
        multiplier = self.multiplier(contract)
        if activity.amount_e4 is None or multiplier is None or not activity.quantity:
            return None
        # The amount includes the multiplier, by which `Cost` multiplies.
        filled = activity.quantity * multiplier
        return Cost(paid_e6=-activity.amount_e4 * _E6_PER_E4, filled=filled, first=0, count=0)

    def _assigned(self, activity: Activity, contract: OptionSymbol) -> Booking:
        at, from_at = self._instants(activity, contract)
        wanted = self.close_day(activity)
        price_e4 = None if wanted is None else self._closes_e4.get(wanted)
        closes, quantity = _CLOSES[activity.kind], activity.quantity
        paid = None
        if price_e4 is not None:
            paid_e6 = closes * quantity * _intrinsic_e4(contract, price_e4) * _E6_PER_E4
            paid = Cost(paid_e6=paid_e6, filled=quantity, first=0, count=0)
        sign = closes if contract.right == "put" else -closes
        return Booking(
            contract=contract,
            quantity=quantity,
            how="assigned",
            at=at,
            from_at=from_at,
            closes=closes,
            cost=paid,
            shares=sign * (self.multiplier(contract) or 0) if _delivers(contract) else 0,
            price_e4=price_e4,
        )

    def _instants(self, activity: Activity, contract: OptionSymbol) -> tuple[dt.datetime, dt.datetime]:
        """The `at` and `from_at` of a booking: when the event was, and the end of its day."""
        day, ending = self._session(activity, contract), self._ending(contract)
        is_last = day == last_trading_day(ending)
        at = ending.last_trading_at if is_last else self._calendar.last_until(day).close_at
        return min(at, activity.at), start_of_day(day + DAY)

    def _session(self, activity: Activity, contract: OptionSymbol) -> dt.date:
        """The day of the session of an event."""
        last = last_trading_day(self._ending(contract))
        return min(last, exchange_day(self._calendar.last_until(activity.day).close_at))

    def _ending(self, contract: OptionSymbol) -> Ending:
        expiry = _expiry(contract)
        if expiry not in self._endings:
            self._endings[expiry] = ending_of(expiry, self._calendar)
        return self._endings[expiry]


def _rank(booking: Booking) -> tuple[bool, dt.datetime, int, int]:
    return booking.how != "assigned", booking.at, booking.quantity, booking.cost.paid_e6 if booking.cost else 0


def _contract(activity: Activity) -> OptionSymbol | None:
    try:
        return occ.parse(activity.symbol)
    except SymbolError:
        return None


def _expiry(contract: OptionSymbol) -> Expiry:
    return expiry_of(contract, None)


def _delivers(contract: OptionSymbol) -> bool:
    """Whether it delivers exactly as many shares of its underlying as its multiplier."""
    return not contract.root_is_adjusted and not _expiry(contract).is_index


def _intrinsic_e4(contract: OptionSymbol, price_e4: int) -> int:
    above_e4 = price_e4 - contract.strike_mills * _E4_PER_MILL
    return max(0, above_e4 if contract.right == "call" else -above_e4)
