"""Timelines of an account: a test gives its readings, orders and activities in sequence, and checks what is reported."""

import datetime as dt

import msgspec

from condord.core.activity import Activity
from condord.core.filled_orders import Fill, Order
from condord.core.market_hours import exchange_day
from condord.core.occ import parse
from condord.core.position import Deliverable, Position
from condord.live.account import AccountState
from condord.live.lifecycle import Memory

FRIDAY = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)  # 10:00 in New York, four weeks before expiration
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)

P550, P560, P570, C630, C640 = (f"SPY261218{leg}000" for leg in ("P00550", "P00560", "P00570", "C00630", "C00640"))
CONDOR = {P560: 2, P570: -2, C630: -2, C640: 2}
NAME = "SPY 560/570/630/640 Dec 18"
ID = "SPY-261218-560-570-630-640"


def positions(book, deliverables=None):
    """Positions from signed contracts by symbol; `deliverables` has shares by stock for each root."""
    return tuple(
        Position(
            symbol=symbol,
            contract=parse(symbol),
            quantity=quantity,
            average_entry_e4=10_000,
            cost_basis_e4=quantity * 1_000_000,
            underlying=parse(symbol).root.rstrip("1234567890"),
            deliverables=tuple(
                Deliverable(symbol=stock, amount=str(shares))
                for stock, shares in (deliverables or {}).get(parse(symbol).root, {}).items()
            ),
        )
        for symbol, quantity in book.items()
        if quantity
    )


class Timeline:
    """The readings of one account in sequence, each a minute after the one before unless `after` is given."""

    def __init__(self, book=None, stocks=None, *, at=FRIDAY, deliverables=None):
        self.account = AccountState(0.0)
        self.at = at
        self.deliverables = deliverables
        self.orders = []
        self.unreadable = set()
        self.book, self.stocks = dict(book or {}), dict(stocks or {})
        self.read(after=dt.timedelta())

    def read(self, book=None, stocks=None, *, after=MINUTE):
        """Take a reading with changes to `book` and `stocks`."""
        self.at += after
        self.book.update(book or {})
        self.stocks.update(stocks or {})
        held = [
            msgspec.structs.replace(position, quantity=None) if position.symbol in self.unreadable else position
            for position in positions(self.book, self.deliverables)
        ]
        orders = tuple(sorted(self.orders, key=lambda order: (order.filled_at, order.id)))
        reading = self.account.offer(held, (), dict(self.stocks), 0.0, orders)
        self.account.follow(reading, exchange_day(self.at), self.at)
        return self

    def replace(self, book, stocks=None, *, after=MINUTE):
        """Take a reading with only `book` and `stocks`."""
        self.book, self.stocks = {}, {}
        return self.read(book, stocks, after=after)

    def order(self, fills, *, opens=False):
        """Add an order that is filled now."""
        self.orders.append(
            Order(
                id=f"order {len(self.orders)}",
                filled_at=self.at,
                fills=tuple(
                    Fill(symbol=symbol, contract=parse(symbol), quantity=quantity, price_e6=1_000_000, opens=opens)
                    for symbol, quantity in fills.items()
                ),
            )
        )
        return self

    def activity(self, kind, symbol, quantity, *, day=None, at=None):
        """Add an activity."""
        activity = Activity(
            id=f"activity {len(self.lifecycle.activities)}",
            kind=kind,
            symbol=symbol,
            quantity=quantity,
            at=at or self.at,
            day=day or exchange_day(self.at),
        )
        self.lifecycle.set_bookings((*self.lifecycle.activities, activity), self.lifecycle.splits)
        return self

    def restart(self):
        """Continue in a new process that has only the memory of the old one."""
        kept = msgspec.json.decode(msgspec.json.encode(self.lifecycle.memory), type=Memory)
        activities, splits = self.lifecycle.activities, self.lifecycle.splits
        self.account = AccountState(0.0)
        self.lifecycle.recall(kept)
        self.lifecycle.set_bookings(activities, splits)
        return self

    @property
    def lifecycle(self):
        return self.account.lifecycle

    def notices(self, code):
        return [notice for notice in self.lifecycle.notices if notice.code == code]

    @property
    def assignments(self):
        return [notice.text for notice in self.notices("assignment")]

    @property
    def breaks(self):
        return [notice.text for notice in self.notices("brokenCondor")]


def inferred(count, symbol, shares, *, stock="SPY", moved="came"):
    """The text of a notice about an inferred assignment."""
    return f"{count} short {symbol} disappeared when {shares} shares of {stock} {moved}: an assignment"


def of_root(root, legs):
    """Signed contracts by symbol, from a root and contracts by right and strike."""
    return {f"{root}261218{leg}000": quantity for leg, quantity in legs.items()}
