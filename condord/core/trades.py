"""Find the closed condors of an account, from its filled orders and its activities.

Orders and bookings are applied to the ledger of `closings` by time, and each closing becomes a trade:

- A trade that ends one leg after the other has the instant of its last leg. It is `assigned` if any leg was assigned or
  exercised, and else what its last leg was: one side closed and the other expired is `expired`.
- `closed` and `partlyClosed` differ in whether more of the same condors were still open, in whole or in part.
- A roll is a trade of the legs that it closed. If it leaves a lot that is not a condor, the trade leads to the condor
  that a later roll makes of it; until then, the id of the condor before counts.
- Trades of one condor that end at the same instant, such as one assigned and one expired, are one trade. Its `how` is
  the first that applies of `assigned`, `expired`, `closed`, `partlyClosed`. Rolls remain trades of their own.

A fee belongs to the fill that it names. A fill of which several trades have contracts shares its fees among them, by
their contracts. Nothing is known of contracts that a split changes: condors of that stock are forgotten on its day, and
those closed later are condors whose opening is not known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import TypeVar

import msgspec

from condord.core.activity import Activity
from condord.core.bookings import Booking, Bookings, ClosedLeg, StockCloses
from condord.core.calendar import Calendar
from condord.core.closings import Closing, TradeLedger
from condord.core.cost import divide, total_e4
from condord.core.expiry import expiry_of
from condord.core.filled_orders import FourLegs, LotLeg, Order, Transaction, transactions
from condord.core.grouping.budget import go_on
from condord.core.market_hours import start_of_day
from condord.core.trade import DeliveredShares, How, Trade

_ITEMS_PER_SLICE = 20
_E4_PER_MILL = 10
_RANKS: tuple[How, ...] = ("assigned", "expired", "closed", "partlyClosed", "rolled")
_ENDS: tuple[How, ...] = ("assigned", "expired", "closed")
_TICK = dt.timedelta(microseconds=1)

_Item = TypeVar("_Item")
_Fees = Mapping[tuple[str, str], int]
"""Fees in 1e-4 dollars, by the order of a fill and its symbol."""


def trades(
    orders: Iterable[Order],
    activities: Iterable[Activity],
    *,
    multipliers: Mapping[str, int],
    closes_e4: StockCloses,
    calendar: Calendar,
    pause: Callable[[], None] = go_on,
) -> tuple[Trade, ...]:
    """The condors that were closed, the newest first; the sequence of the input does not matter.

    `multipliers` is by contract symbol: 100 where it has none, and unknown if the contract was adjusted.
    `closes_e4` has the closes of stocks that `wanted_closes` names. `pause` is called after every few events. An
    exception that it raises ends the work.
    """
    rows = {(row.id, row.kind, row.symbol): row for row in activities}.values()
    bookings = Bookings(multipliers, closes_e4, calendar)
    ledger = follow(orders, rows, bookings, pause)
    return _Drafts(ledger, bookings, _fees(rows)).trades(pause)


def wanted_closes(activities: Iterable[Activity], *, calendar: Calendar) -> frozenset[tuple[str, dt.date]]:
    """The stocks and days whose closes the assignments and exercises among `activities` need."""
    bookings = Bookings({}, {}, calendar)
    pairs = (bookings.close_day(row) for row in activities)
    return frozenset(pair for pair in pairs if pair is not None)


def follow(
    orders: Iterable[Order], activities: Iterable[Activity], bookings: Bookings, pause: Callable[[], None] = go_on
) -> TradeLedger:
    """The ledger after all orders and activities; the arguments are as for `trades`."""
    ledger = TradeLedger()
    events: list[tuple[dt.datetime, int, Transaction | str | list[Booking]]] = [
        (transaction.at, 2, transaction) for transaction in transactions(orders)
    ]
    rows = [row for row in activities if row.kind not in ("FILL", "FEE")]
    read = [booking for row in _sliced(rows, pause) if (booking := bookings.read(row)) is not None]
    for from_at, of_day in groupby(sorted(read, key=_from_at), key=_from_at):
        events.append((from_at, 0, list(of_day)))
    events += [(start_of_day(row.day), 1, row.symbol) for row in rows if row.kind == "SPLIT"]
    for _, _, event in _sliced(sorted(events, key=lambda event: event[:2]), pause):
        if isinstance(event, Transaction):
            ledger.take(event)
        elif isinstance(event, str):
            ledger.split(event)
        else:
            ledger.book(event)
    return ledger


def _sliced(items: Iterable[_Item], pause: Callable[[], None]) -> Iterator[_Item]:
    """The items; calls `pause` after every few of them."""
    for number, item in enumerate(items):
        yield item
        if not number % _ITEMS_PER_SLICE:
            pause()


def _from_at(booking: Booking) -> dt.datetime:
    return booking.from_at


def _fees(activities: Iterable[Activity]) -> dict[tuple[str, str], int]:
    rows = list(activities)
    fills: dict[str | None, Activity] = {
        row.execution_id: row for row in rows if row.kind == "FILL" and row.execution_id and row.order_id
    }
    fees: dict[tuple[str, str], int] = {}
    for row in rows:
        fill = fills.get(row.execution_id) if row.kind == "FEE" else None
        if fill is not None and row.amount_e4 is not None:
            key = fill.order_id or "", fill.symbol
            fees[key] = fees.get(key, 0) - row.amount_e4
    return fees


class _TradeDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A trade before its sums become prices.

    `open_e4` is what its legs cost, `close_e4` what closing them cost: paid +, received -, None if unknown.
    `per_share` is its contracts times the multiplier. `shares` came (+) or went (-) for `shares_e4` at the closes.
    `begun` is how many condors there were at the opening, None if that is unknown or a roll led to them.
    """

    trade: Trade
    per_share: int | None
    open_e4: int | None
    close_e4: int | None
    shares: int
    shares_e4: int | None
    begun: int | None

    @property
    def key(self) -> tuple[str, str, dt.datetime, str, bool]:
        trade = self.trade
        opened = "" if trade.opened_at is None else trade.opened_at.isoformat()
        return trade.id, opened, trade.closed_at, trade.rolled_to or "", trade.how == "rolled"

    def joined(self, other: _TradeDraft) -> _TradeDraft:
        """Both as one trade."""
        first, second = self.trade, other.trade
        return _TradeDraft(
            trade=msgspec.structs.replace(
                first,
                quantity=first.quantity + second.quantity,
                how=min(first.how, second.how, key=_RANKS.index),
                max_profit_e4=_sum((first.max_profit_e4, second.max_profit_e4)),
                fees_e4=_some_sum((first.fees_e4, second.fees_e4)),
            ),
            per_share=_sum((self.per_share, other.per_share)),
            open_e4=_sum((self.open_e4, other.open_e4)),
            close_e4=_sum((self.close_e4, other.close_e4)),
            shares=self.shares + other.shares,
            shares_e4=_sum((self.shares_e4, other.shares_e4)),
            begun=self.begun if self.begun == other.begun else None,
        )

    def finished(self, closed_at: dt.datetime) -> Trade:
        shares = None
        if self.shares:
            price_e4 = None if self.shares_e4 is None else divide(self.shares_e4, self.shares)
            shares = DeliveredShares(symbol=self.trade.underlying, quantity=self.shares, price_e4=price_e4)
        cost_e4 = _sum((self.open_e4, self.close_e4))
        return msgspec.structs.replace(
            self.trade,
            closed_at=closed_at,
            credit_e4=_each(self.open_e4, self.per_share, -1),
            debit_e4=_each(self.close_e4, self.per_share, 1),
            realized_e4=None if cost_e4 is None else -cost_e4,
            shares=shares,
            is_whole=self.trade.how in _ENDS and self.trade.quantity == self.begun,
        )


class _Drafts:
    """Makes trades of the closings of a ledger."""

    def __init__(self, ledger: TradeLedger, bookings: Bookings, fees: _Fees) -> None:
        self._ledger = ledger
        self._bookings = bookings
        self._fees = fees

    def trades(self, pause: Callable[[], None]) -> tuple[Trade, ...]:
        drafts: dict[tuple[str, str, dt.datetime, str, bool], _TradeDraft] = {}
        for closing in _sliced(self._ledger.closings, pause):
            draft = self._draft(closing)
            before = drafts.get(draft.key)
            drafts[draft.key] = draft if before is None else before.joined(draft)
        return tuple(sorted(_distinct(drafts.values()), key=_newest_first))

    def _draft(self, closing: Closing) -> _TradeDraft:
        outer, inner_put, inner_call, _ = closing.identity.legs
        multiplier = self._bookings.multiplier(outer.contract)
        open_e4 = close_e4 = None
        if multiplier is not None and closing.opened is not None:
            open_e4 = _cost_e4(closing.opened, multiplier)
        if multiplier is not None and all(part.is_known for part in closing.closed):
            close_e4 = _cost_e4((part.leg for part in closing.closed), multiplier)
        is_butterfly = inner_put.contract.strike_mills == inner_call.contract.strike_mills
        trade = Trade(
            id=closing.identity.id,
            underlying=expiry_of(outer.contract, None).product,
            kind="ironButterfly" if is_butterfly else "ironCondor",
            direction="short" if outer.quantity > 0 else "long",
            quantity=closing.quantity,
            opened_at=closing.opened_at,
            closed_at=max(part.at for part in closing.closed),
            how=_how(closing),
            credit_e4=None,
            debit_e4=None,
            realized_e4=None,
            max_profit_e4=_max_profit_e4(closing.four_legs, multiplier),
            fees_e4=self._fees_e4((*(closing.opened or ()), *(part.leg for part in closing.closed))),
            rolled_to=None if closing.successor is None else self._ledger.id_of(closing.successor),
        )
        moved = [part for part in closing.closed if part.shares]
        return _TradeDraft(
            trade=trade,
            per_share=None if multiplier is None else multiplier * closing.quantity,
            open_e4=open_e4,
            close_e4=close_e4,
            shares=sum(part.shares * abs(part.leg.quantity) for part in moved),
            shares_e4=_sum(_shares_e4(part) for part in moved),
            begun=closing.begun,
        )

    def _fees_e4(self, legs: Iterable[LotLeg]) -> int | None:
        return _some_sum(
            cost.share(self._fees[cost.order_id, leg.symbol])
            for leg in legs
            for cost in leg.costs
            if cost.order_id is not None and (cost.order_id, leg.symbol) in self._fees
        )


def _how(closing: Closing) -> How:
    if closing.successor is not None:
        return "rolled"
    if any(part.how == "assigned" for part in closing.closed):
        return "assigned"
    last = max(closing.closed, key=lambda part: (part.at, part.how))
    return "partlyClosed" if last.how == "closed" and not closing.is_rest else last.how


def _distinct(drafts: Iterable[_TradeDraft]) -> Iterator[Trade]:
    """The trades; a roll at the instant at which others of its condor end is a microsecond later."""
    known: set[tuple[str, dt.datetime | None, dt.datetime]] = set()
    for draft in sorted(drafts, key=lambda draft: (draft.trade.how == "rolled", draft.key)):
        closed_at = draft.trade.closed_at
        while (key := (draft.trade.id, draft.trade.opened_at, closed_at)) in known:
            closed_at += _TICK
        known.add(key)
        yield draft.finished(closed_at)


def _newest_first(trade: Trade) -> tuple[float, str, str]:
    opened = "" if trade.opened_at is None else trade.opened_at.isoformat()
    return -trade.closed_at.timestamp(), trade.id, opened


def _max_profit_e4(legs: FourLegs | None, multiplier: int | None) -> int | None:
    """The greatest profit of a condor at expiration; `core/condor` has the formulas."""
    if legs is None or multiplier is None:
        return None
    received_e4 = -_cost_e4(legs, multiplier)
    if legs[0].quantity > 0:
        return received_e4
    outer_put, inner_put, inner_call, outer_call = (leg.contract.strike_mills for leg in legs)
    width_e4 = max(inner_put - outer_put, outer_call - inner_call) * _E4_PER_MILL
    return received_e4 + width_e4 * multiplier * abs(legs[0].quantity)


def _shares_e4(part: ClosedLeg) -> int | None:
    return None if part.price_e4 is None else part.price_e4 * part.shares * abs(part.leg.quantity)


def _cost_e4(legs: Iterable[LotLeg], multiplier: int) -> int:
    return sum(total_e4(leg.costs, multiplier) for leg in legs)


def _each(amount_e4: int | None, per_share: int | None, sign: int) -> int | None:
    return None if amount_e4 is None or per_share is None else divide(sign * amount_e4, per_share)


def _sum(amounts: Iterable[int | None]) -> int | None:
    """The sum, None if an amount is unknown."""
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _some_sum(amounts: Iterable[int | None]) -> int | None:
    """The sum of the known amounts, None if there is none."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
