"""Find what changed in an account between readings, and how much of that fills, splits and bookings explain.

Every change of quantity of a contract or a stock is kept for some days. It is explained again whenever news arrives, as
orders and activities may arrive before a reading, after it, or the day after. These explain parts of the changes, in
this order, and each explains a contract only once:

1. Fills. A fill explains a change of the same symbol and sign if it falls between the two readings, plus or minus
   `SLACK`. Orders and FILL activities report the same fills, so the source that explains more counts. What a fill has
   explained stays explained, as an order that fills again later shows only its last fill's time.
2. Splits and symbol changes. A contract that disappeared and one that appeared may be the same contract. Right and
   expiration must be equal, and there must be k times the contracts at 1/k of the strike, or an equal number at the
   same strike under another root. Contracts that were missing from some readings and reappear count as the same, too. A
   stock was split if it changed in the ratio of such a pair, or of a split that Alpaca has announced. A SPLIT activity
   of that day also explains it.
3. Bookings. OPEXP and OPCSH (either side) and OPEXC (long contracts, and the shares that they deliver) explain
   contracts that disappeared. OPASN confirms that short contracts were assigned.

`assignments` and `broken` interpret what is then left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, NamedTuple

import msgspec

from condord.core import occ
from condord.core.activity import Activity, Split
from condord.core.filled_orders import Order
from condord.core.market_hours import exchange_day
from condord.core.position import Position

SLACK = dt.timedelta(minutes=10)
"""Positions lag behind fills by seconds, and the clocks of two machines differ."""
KEPT_FOR = dt.timedelta(days=10)
"""Longer than two sessions and the longest weekend between them."""

Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]
_DAY = dt.timedelta(days=1)
_MAX_RENAMING = dt.timedelta(days=4)
_STRIKE_ROUNDING_MILLS = 10
_CASH = "USD"
_MAX_SHARES = 1e6


class HeldContract(msgspec.Struct, frozen=True, kw_only=True):
    """The signed quantity of one contract, and the `shares` that one contract delivers, by stock."""

    quantity: int
    shares: dict[str, int]


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of `quantity` (signed) of a symbol: `held` were there at `since_at`, and it was first seen at `at`.

    `shares` is as in `HeldContract` for an option, and None for a stock. `condor_id` is set if exactly one condor held
    the contract. `filled` is how much of the change fills explain, unsigned.
    """

    symbol: str
    quantity: int
    held: int
    since_at: Instant
    at: Instant
    shares: dict[str, int] | None = None
    condor_id: str | None = None
    filled: int = 0

    @property
    def gone(self) -> int:
        """How many of the contracts held before have disappeared, unsigned."""
        return min(abs(self.held), max(0, -self.quantity if self.held > 0 else self.quantity))

    @property
    def key(self) -> str:
        """Identifies this change among all that are kept."""
        return f"{self.symbol} {self.at.isoformat()}"


class UnexplainedChange:
    """A change, and in `left` how much of it is not explained yet; all counts are unsigned.

    `exercised` contracts were exercised (OPEXC). `lost` contracts disappeared without a fill, split or booking that
    explains it, and `confirmed` of these were assigned (OPASN).
    """

    def __init__(self, change: AccountChange) -> None:
        self.change = change
        self.left = abs(change.quantity) - change.filled
        self.exercised = 0
        self.lost = 0
        self.confirmed = 0

    @property
    def gone(self) -> int:
        """The contracts held before that have disappeared without an explanation."""
        return min(self.left, self.change.gone)

    def take(self, most: int) -> int:
        """Explain up to `most` of the change, and return how much that was."""
        taken = min(self.left, most)
        self.left -= taken
        return taken


def held(positions: Iterable[Position], before: Mapping[str, HeldContract]) -> dict[str, HeldContract]:
    """The contracts of a reading by symbol, without unreadable symbols; an unreadable quantity is as `before`."""
    found = {}
    for position in positions:
        if position.contract is not None and position.quantity:
            found[position.symbol] = HeldContract(quantity=position.quantity, shares=_delivered(position))
        elif position.quantity is None and position.symbol in before:
            found[position.symbol] = before[position.symbol]
    return found


class Contents(NamedTuple):
    """The contracts and the stocks (signed shares) of a reading, by symbol."""

    contracts: Mapping[str, HeldContract]
    stocks: Mapping[str, int]


def changes(before: Contents, now: Contents, since_at: dt.datetime, now_at: dt.datetime) -> list[AccountChange]:
    """The changes from the reading `before` (read at `since_at`) to the reading `now` (read at `now_at`)."""
    found = []
    for symbol in sorted(before.contracts.keys() | now.contracts.keys()):
        old, new = before.contracts.get(symbol), now.contracts.get(symbol)
        quantity, shares = old.quantity if old else 0, (new or old or HeldContract(quantity=0, shares={})).shares
        moved = (new.quantity if new else 0) - quantity
        found.append(_change(symbol, moved, quantity, since_at, now_at, shares))
    for symbol in sorted(before.stocks.keys() | now.stocks.keys()):
        quantity = before.stocks.get(symbol, 0)
        found.append(_change(symbol, now.stocks.get(symbol, 0) - quantity, quantity, since_at, now_at, None))
    return [change for change in found if change.quantity]


def _change(
    symbol: str, quantity: int, held_before: int, since_at: dt.datetime, at: dt.datetime, shares: dict[str, int] | None
) -> AccountChange:
    return AccountChange(symbol=symbol, quantity=quantity, held=held_before, since_at=since_at, at=at, shares=shares)


def with_fills(
    kept: Sequence[AccountChange], orders: Iterable[Order], activities: Iterable[Activity]
) -> list[AccountChange]:
    """The changes `kept`, each with how much of it fills explain. The oldest fills are used first."""
    if not kept:
        return []
    first_at = min(change.since_at for change in kept) - SLACK
    recent = (order for order in orders if order.filled_at >= first_at)
    by_orders = _Fills((fill.symbol, fill.quantity, order.filled_at) for order in recent for fill in order.fills)
    by_activities = _Fills(
        (activity.symbol, activity.quantity, activity.at) for activity in activities if activity.kind == "FILL"
    )
    filled = []
    for change in kept:
        most = max(change.filled, by_orders.take(change), by_activities.take(change))
        filled.append(change if most == change.filled else msgspec.structs.replace(change, filled=most))
    return filled


class _Fills:
    """Fills by symbol; each contract of a fill explains only one change."""

    def __init__(self, fills: Iterable[tuple[str, int, dt.datetime]]) -> None:
        self._left: dict[str, list[tuple[dt.datetime, int]]] = {}
        for symbol, quantity, at in sorted(fills, key=lambda fill: fill[2]):
            self._left.setdefault(symbol, []).append((at, quantity))

    def take(self, change: AccountChange) -> int:
        """How much of `change` the fills left explain; these contracts are then used up."""
        remaining = abs(change.quantity)
        rest = []
        for at, quantity in self._left.get(change.symbol, ()):
            taken = 0
            if change.since_at - SLACK <= at <= change.at + SLACK and quantity * change.quantity > 0:
                taken = min(remaining, abs(quantity))
            remaining -= taken
            if taken < abs(quantity):
                rest.append((at, quantity - taken if quantity > 0 else quantity + taken))
        self._left[change.symbol] = rest
        return abs(change.quantity) - remaining


def unexplained(
    kept: Iterable[AccountChange], activities: Sequence[Activity], splits: Iterable[Split]
) -> tuple[list[UnexplainedChange], list[Activity]]:
    """The changes in `kept` left unexplained by splits and bookings, and assignments that no change shows."""
    rest = [UnexplainedChange(change) for change in kept]
    options = [entry for entry in rest if entry.change.shares is not None]
    stocks = [entry for entry in rest if entry.change.shares is None]
    _take_returns(_by_symbol(rest))
    _take_splits(options, stocks, activities, splits)
    by_symbol = _by_symbol(options)  # a booking explains no change of stocks, even if it names one
    for activity in activities:
        if activity.kind in ("OPEXP", "OPCSH"):
            _book(activity, by_symbol)
        elif activity.kind == "OPEXC":
            taken = _book(activity, by_symbol, is_long=True)
            for entry, quantity in taken:
                entry.exercised += quantity
            _move(taken, stocks)
    for entry in options:
        entry.lost = entry.gone
    unseen = []
    for activity in activities:
        if activity.kind == "OPASN":
            taken = _book(activity, by_symbol, is_long=False)
            for entry, quantity in taken:
                entry.confirmed += quantity
            _move(taken, stocks)
            missing = activity.quantity - sum(quantity for _, quantity in taken)
            if missing > 0:
                unseen.append(msgspec.structs.replace(activity, quantity=missing))
    return rest, unseen


def direction(symbol: str, held_before: int) -> int:
    """1 if the account receives shares when its contracts are exercised, -1 if it delivers them.

    `held_before` is the signed number of contracts that were held.
    """
    is_put = occ.parse(symbol).right == "put"
    return 1 if is_put == (held_before < 0) else -1


def _by_symbol(rest: Iterable[UnexplainedChange]) -> dict[str, list[UnexplainedChange]]:
    found: dict[str, list[UnexplainedChange]] = {}
    for entry in rest:
        found.setdefault(entry.change.symbol, []).append(entry)
    return found


def _book(
    activity: Activity, by_symbol: Mapping[str, Sequence[UnexplainedChange]], *, is_long: bool | None = None
) -> list[tuple[UnexplainedChange, int]]:
    """Let a booking explain contracts that disappeared, and return how many of each change.

    `is_long` restricts it to long or short contracts; None means both.
    """
    left = activity.quantity
    taken = []
    for entry in by_symbol.get(activity.symbol, ()):
        is_of_side = is_long is None or (entry.change.held > 0) == is_long
        if is_of_side and activity.day >= exchange_day(entry.change.since_at) - _DAY:
            quantity = entry.take(min(left, entry.gone))
            left -= quantity
            taken.append((entry, quantity))
    return taken


def _move(booked: Iterable[tuple[UnexplainedChange, int]], stocks: Iterable[UnexplainedChange]) -> None:
    """Let the shares that booked contracts delivered explain changes of stocks."""
    for entry, quantity in booked:
        sign = direction(entry.change.symbol, entry.change.held)
        for symbol, shares in (entry.change.shares or {}).items():
            left = shares * quantity
            for stock in stocks:
                if stock.change.symbol == symbol and stock.change.quantity * sign > 0:
                    left -= stock.take(left)


def _take_returns(by_symbol: Mapping[str, Sequence[UnexplainedChange]]) -> None:
    """Explain contracts that have reappeared: they were only missing from some readings."""
    for same in by_symbol.values():
        for index, gone in enumerate(same):
            for back in same[index + 1 :] if gone.change.shares is not None else ():
                if back.change.quantity * gone.change.quantity < 0:
                    gone.take(back.take(gone.gone))


def _take_renamed(options: Sequence[UnexplainedChange]) -> list[tuple[str, Fraction, dt.date]]:
    """Explain contracts that have another symbol now; returns stocks, the ratios of their splits, and the days."""
    ratios = []
    came: dict[tuple[object, ...], list[UnexplainedChange]] = {}
    for entry in options:
        if entry.change.held == 0 and entry.left:
            came.setdefault(_series(entry), []).append(entry)
    for gone in options if came else ():
        if gone.left and gone.change.quantity == -gone.change.held:
            for twin in came.get(_series(gone), ()):
                ratio = _ratio(gone, twin)
                if ratio is not None and twin.left:
                    ratios += [(symbol, ratio, exchange_day(twin.change.at)) for symbol in gone.change.shares or {}]
                    gone.left = twin.left = 0
    return ratios


def _take_splits(
    options: Sequence[UnexplainedChange],
    stocks: Sequence[UnexplainedChange],
    activities: Iterable[Activity],
    splits: Iterable[Split],
) -> None:
    ratios = [(split.symbol, split.ratio, split.day) for split in splits] + _take_renamed(options)
    booked = {(activity.symbol, activity.day) for activity in activities if activity.kind == "SPLIT"}
    for entry in (*options, *stocks):
        first, last = exchange_day(entry.change.since_at) - _DAY, exchange_day(entry.change.at)
        is_booked = any(symbol in _stocks_of(entry) and first <= day <= last for symbol, day in booked)
        is_whole = entry.change.shares is None or entry.change.quantity == -entry.change.held or entry.change.held == 0
        if is_booked and is_whole:
            entry.left = 0
    for stock in stocks:
        own = [(ratio, day) for symbol, ratio, day in ratios if symbol == stock.change.symbol]
        if any(_is_split(stock.change, ratio, day) for ratio, day in own):
            stock.left = 0


def _stocks_of(entry: UnexplainedChange) -> Iterable[str]:
    return (entry.change.symbol,) if entry.change.shares is None else entry.change.shares


def _is_split(change: AccountChange, ratio: Fraction, day: dt.date) -> bool:
    """Whether a stock changed in `ratio` around `day`; fractions of a share are paid in cash."""
    first, last = exchange_day(change.since_at) - _DAY, exchange_day(change.at) + _DAY
    moved = change.held * (ratio - 1)
    return first <= day <= last and abs(moved - change.quantity) < 1


def _ratio(gone: UnexplainedChange, came: UnexplainedChange) -> Fraction | None:
    """The ratio of shares now to shares before, if `came` is `gone` under another symbol; else None.

    It is counted in contracts, times the shares that one delivers where these have changed.
    """
    if gone.left != abs(gone.change.quantity) or came.left != abs(came.change.quantity):
        return None
    old, new = occ.parse(gone.change.symbol), occ.parse(came.change.symbol)
    if old == new or abs(came.change.at - gone.change.at) > _MAX_RENAMING:
        return None
    contracts = Fraction(came.change.quantity, gone.change.held)
    if contracts <= 0 or abs(Fraction(old.strike_mills) / contracts - new.strike_mills) >= _STRIKE_ROUNDING_MILLS:
        return None
    shares_before, shares_now = (sum((entry.change.shares or {}).values()) for entry in (gone, came))
    return contracts * Fraction(shares_now, shares_before) if shares_before else contracts


def _series(entry: UnexplainedChange) -> tuple[object, ...]:
    """The parts of a contract that renaming keeps: right, expiration, and the root without an adjustment's digit."""
    contract = occ.parse(entry.change.symbol)
    return contract.right, contract.expiration, contract.root.rstrip("0123456789")


def _delivered(position: Position) -> dict[str, int]:
    """The whole shares that one contract delivers, by stock; cash does not count."""
    if position.deliverables:
        amounts = ((item.symbol, _whole(item.amount)) for item in position.deliverables)
        return {symbol: shares for symbol, shares in amounts if symbol not in (None, _CASH) and shares}
    # A standard contract has no list of deliverables.
    assert position.contract is not None  # noqa: S101 - `held` filters out the others
    return {position.underlying or position.contract.root: position.multiplier}


def _whole(amount: str | None) -> int:
    """Shares without their fraction; 0 if the amount cannot be read."""
    try:
        shares = float(amount or "0")
    except ValueError:
        return 0
    return int(shares) if 0 < shares < _MAX_SHARES else 0
