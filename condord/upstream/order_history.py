"""Read the account's orders: their fills of options, and which order replaced which.

Orders are read oldest first, from 400 days back or as long as history is kept, and saved. Later readings begin an hour
before the newest order, or before the oldest open one, which may still fill. All are read again once if earlier orders
are wanted now, or if they were saved by a version that did not save the ids of legs, or which orders are filled in
part. Until then the saved orders count.

The fills of an order count even if the rest was canceled or replaced. An order that replaced another has its own fills;
a chain of replacements counts as one order, even if some of its orders filled nothing. Rows without a filled option are
skipped. Rows whose fills of options cannot all be read are skipped and counted.

Alpaca dates only an order that is filled completely. One that is filled in part gets the instant of its last fill once
activities have been read that account for all of it. Until then it has the instant of its last update, or of its
submission.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from condord.core import occ
from condord.core.activity import Activity
from condord.core.filled_orders import Fill, Order
from condord.errors import SymbolError
from condord.upstream import rest_parsing
from condord.upstream.bodies import Rows
from condord.upstream.fill_instants import FillInstants
from condord.upstream.interfaces import Brokerage, OrderPage
from condord.upstream.state_files import Store

ORDERS_PER_PAGE = 500
PAGES_PER_READING = 20

REACH_DAYS = 400
"""How many days orders reach back at least."""
_MAX_DAYS = 10_000
"""More than Alpaca has existed, so that no instant is out of range."""
_DAY = dt.timedelta(days=1)
_MAX_OPEN = dt.timedelta(days=100)
"""Good-till-canceled orders end after 90 days, so an order that seems open for longer is ignored."""
_OVERLAP = dt.timedelta(hours=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_SAME_INSTANT = dt.timedelta(seconds=1)
"""An order's update and the fill that it is about differ by less."""
_KIND = "orders"
ENDED = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
"""The states of an order in which it fills nothing more."""
INTENTS = {
    "buy_to_open": (1, True),
    "buy_to_close": (1, False),
    "sell_to_open": (-1, True),
    "sell_to_close": (-1, False),
}
"""The sign of the quantity, and whether it opens a position."""


def reach(keep_days: int) -> dt.timedelta:
    """How far back an account's past is read for a history of `keep_days`; 0 keeps it indefinitely."""
    return dt.timedelta(days=min(keep_days or REACH_DAYS, _MAX_DAYS))


def page(answer: object, refuse: rest_parsing.Refuse) -> OrderPage:
    """Parse the answer of `GET /v2/orders`, which is nested and in ascending order.

    `refuse` is called for each row that cannot be read.

    Raises:
        TypeError: the answer is not a list.
    """
    if not isinstance(answer, list | Rows):
        raise TypeError(f"orders came as {type(answer).__name__}, not as a list")
    listed = [row for row in answer if isinstance(row, Mapping)]
    for _ in range(len(answer) - len(listed)):
        refuse("orderRow")
    submitted = [(row, at) for row in listed if (at := submitted_at(row)) is not None]
    return OrderPage(
        orders=tuple(order for row in listed if (order := _order(row, refuse)) is not None),
        newest_at=max((at for _, at in submitted), default=None),
        open_since=min((at for row, at in submitted if _may_fill(row)), default=None),
        is_full=len(answer) >= ORDERS_PER_PAGE,
        replaced=dict(pair for row in listed for pair in _replaced(row)),
    )


def _order(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> Order | None:
    filled = [part for part in _parts(row) if is_option(part) and _has_filled(part)]
    if not filled:
        return None
    id_, (at, is_partial) = rest_parsing.text(row.get("id")), _filled_at(row, filled)
    fills = tuple(fill for part in filled if (fill := _fill(part)) is not None)
    if id_ is None or at is None or len(fills) < len(filled):
        refuse("orderRow")
        return None
    return Order(id=id_, filled_at=at, fills=fills, is_partial=is_partial)


def _replaced(row: Mapping[str, object]) -> list[tuple[str, str]]:
    """The orders that this one replaced or was replaced by, as pairs (later id, earlier id)."""
    if not any(is_option(part) for part in _parts(row)):
        return []
    earlier, own, later = (rest_parsing.text(row.get(name)) for name in ("replaces", "id", "replaced_by"))
    return [(new, old) for new, old in ((own, earlier), (later, own)) if new and old]


def _filled_at(row: Mapping[str, object], filled: Sequence[Mapping[str, object]]) -> tuple[dt.datetime | None, bool]:
    """When an order was filled, and whether only in part: then it is an estimate, as Alpaca gives no instant.

    While such an order works, its last update is the last fill.
    """
    if (at := rest_parsing.instant(row.get("filled_at"))) is not None:
        return at, False
    legs = [at for leg in filled if (at := rest_parsing.instant(leg.get("filled_at"))) is not None]
    if len(legs) == len(filled):
        return max(legs), False
    return rest_parsing.instant(row.get("updated_at")) or max(legs, default=None) or submitted_at(row), True


def _fill(part: Mapping[str, object]) -> Fill | None:
    """The fill of a leg or a single-leg order; None if it cannot be read."""
    intent = INTENTS.get(rest_parsing.text(part.get("position_intent")) or "")
    price_e6 = rest_parsing.e6(rest_parsing.number(part.get("filled_avg_price")))
    count = rest_parsing.number(part.get("filled_qty"))
    if intent is None or price_e6 is None or count is None or count < 0 or count != count.to_integral_value():
        return None
    contract = occ.parse(part.get("symbol"))
    sign, opens = intent
    return Fill(
        symbol=contract.compact,
        contract=contract,
        quantity=sign * int(count),
        price_e6=price_e6,
        opens=opens,
        leg_id=rest_parsing.text(part.get("id")),
    )


def _parts(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    legs = row.get("legs")
    return [leg for leg in legs if isinstance(leg, Mapping)] if isinstance(legs, list) and legs else [row]


def _has_filled(part: Mapping[str, object]) -> bool:
    """Whether anything was filled; True if the quantity cannot be read."""
    quantity = part.get("filled_qty")
    return quantity is not None and quantity != "" and rest_parsing.number(quantity) != 0


def _may_fill(row: Mapping[str, object]) -> bool:
    return rest_parsing.text(row.get("status")) not in ENDED and any(is_option(part) for part in _parts(row))


def is_option(part: Mapping[str, object]) -> bool:
    """Whether an order, or a leg of one, is for an option."""
    try:
        occ.parse(part.get("symbol"))
    except SymbolError:
        return False
    return True


def submitted_at(row: Mapping[str, object]) -> dt.datetime | None:
    """When an order was submitted; None if it cannot be read."""
    return rest_parsing.instant(row.get("submitted_at")) or rest_parsing.instant(row.get("created_at"))


class SavedOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the saved file. `mark` is the instant from which orders are to be read again.

    `read_from` is how far back they were read; None in the files of versions that did not save the ids of legs.
    `marks_partial` is False in the files of versions that did not save which orders are filled in part.
    """

    mark: rest_parsing.Instant | None
    read_from: rest_parsing.Instant | None = None
    marks_partial: bool = False
    orders: tuple[Order, ...]
    replaced: dict[str, str] = {}


class OrderHistory:
    """The orders that filled options, each as last read; `orders` has them oldest first.

    `keep_days` returns for how many days history is kept, 0 for indefinitely.
    """

    def __init__(self, keep_days: Callable[[], int] = lambda: REACH_DAYS) -> None:
        self.orders: tuple[Order, ...] = ()
        self._keep_days = keep_days
        self._mark: dt.datetime | None = None
        self._read_from: dt.datetime | None = None
        self._orders: dict[str, Order] = {}
        self._replaced: dict[str, str] = {}
        self._instants = FillInstants()
        self._doubted: set[str] = set()
        """The ids of saved orders that may or may not be filled in part."""

    def recall(self, saved: SavedOrders) -> None:
        """Add the records saved by an earlier run; it does not overwrite what this one has read."""
        if self._mark is None and saved.read_from is not None and saved.marks_partial:
            self._mark, self._read_from = saved.mark, saved.read_from
        new = [order for order in saved.orders if order.filled_at.tzinfo is not None and order.id not in self._orders]
        if saved.marks_partial:
            new = [self._dated(order) for order in new]
        else:
            self._doubted.update(order.id for order in new)
        self._take(new, saved.replaced)

    def to_save(self, now_at: dt.datetime) -> SavedOrders:
        """The orders to save: those that a first reading would find, or all of them if history is kept indefinitely."""
        oldest_at = self._oldest_at(now_at)
        is_kept = self._keep_days() == 0
        recent = tuple(order for order in self._orders.values() if is_kept or order.filled_at > oldest_at)
        replaced = {later: earlier for order in recent for later, earlier in pairwise(_chain(order.id, self._replaced))}
        return SavedOrders(
            mark=self._mark, read_from=self._read_from, marks_partial=True, orders=recent, replaced=replaced
        )

    def origin(self, order_id: str) -> str:
        """The first order in the chain of replacements that led to `order_id`; itself if it replaced none."""
        return _chain(order_id, self._replaced)[-1]

    def begin(self, now_at: dt.datetime) -> dt.datetime:
        """The instant after which orders are to be read, oldest first; pass each page to `take`."""
        oldest_at = self._oldest_at(now_at)
        if self._mark is None or self._read_from is None or self._read_from > oldest_at + _DAY:
            return oldest_at
        return max(oldest_at, min(self._mark, now_at) - _OVERLAP)

    def _oldest_at(self, now_at: dt.datetime) -> dt.datetime:
        return now_at - reach(max(REACH_DAYS, self._keep_days()))

    def take(self, read: OrderPage, after: dt.datetime, open_since: dt.datetime | None, now_at: dt.datetime) -> bool:
        """Add one page, read from `after` on; True if anything is new.

        `open_since`: when this reading's oldest open order was submitted.
        """
        before = self._mark
        self._read_from = after if self._read_from is None else min(after, self._read_from)
        if open_since is not None:
            self._mark = max(open_since, now_at - _MAX_OPEN)
        else:
            self._mark = read.newest_at or before
        dated = [self._dated(order) for order in read.orders]
        return self._take(dated, read.replaced) or self._mark != before

    def take_activities(self, activities: Iterable[Activity]) -> bool:
        """Take activities, whose fills date orders that are filled in part; True if any instant is new."""
        if not self._instants.add(activities):
            return False
        return self._take([self._dated(order) for order in self._orders.values() if order.is_partial], {})

    def _dated(self, read: Order) -> Order:
        """An order as it was read, with the best known instant."""
        known = None if read.id in self._doubted else self._orders.get(read.id)
        self._doubted.discard(read.id)
        if not read.is_partial:
            self._instants.drop(read)
            return read
        best_at = read.filled_at
        if known is not None and known.fills == read.fills:
            best_at = known.filled_at  # a later update is about the unfilled part, which was canceled or has expired
        last_at = self._instants.last_at(read)
        # The instant of an opening identifies a holding, so a tiny difference does not change it.
        if last_at is not None and abs(last_at - best_at) >= _SAME_INSTANT:
            best_at = last_at
        return msgspec.structs.replace(read, filled_at=best_at)

    def _take(self, read: Iterable[Order], replaced: Mapping[str, str]) -> bool:
        changed = {order.id: order for order in read if self._orders.get(order.id) != order}
        links = {later: earlier for later, earlier in replaced.items() if self._replaced.get(later) != earlier}
        if changed or links:
            self._orders |= changed
            self._replaced |= links
            known = (
                msgspec.structs.replace(order, origin=_chain(order.id, self._replaced)[-1])
                if order.id in self._replaced
                else order
                for order in self._orders.values()
            )
            self.orders = tuple(sorted(known, key=lambda order: (order.filled_at, order.id)))
        return bool(changed or links)


def _chain(order_id: str, replaced: Mapping[str, str]) -> list[str]:
    """An order and those that it replaced, newest first. A cycle ends where it would begin again."""
    chain = [order_id]
    while (earlier := replaced.get(chain[-1])) is not None and earlier not in chain:
        chain.append(earlier)
    return chain


class OrderReader:
    """Reads new orders, and calls `learned` after each page that contained some, and after the first reading.

    `was_tried`: a reading has ended, or has failed.
    """

    def __init__(
        self,
        *,
        brokerage: Brokerage,
        now_at: Callable[[], dt.datetime],
        learned: Callable[[], None],
        keep_days: Callable[[], int],
    ) -> None:
        self.history = OrderHistory(keep_days)
        self._is_set_aside = False
        self.was_tried = False
        self._brokerage = brokerage
        self._store: Store | None = None
        self._now_at = now_at
        self._learned = learned

    def set_aside(self) -> None:
        """Take no page from now on: the API key has changed, so the next may be of another account."""
        self._is_set_aside = True

    def take_up(self) -> None:
        """Take pages again: the new key belongs to the same account."""
        self._is_set_aside = False

    async def recall(self, store: Store) -> None:
        """Load the state saved in `store`, and save new readings there from now on."""
        self._store = store
        saved = await store.read(_KIND, SavedOrders)
        has_unsaved = bool(self.history.orders)  # orders may be read before the account is known
        if saved is not None:
            self.history.recall(saved)
            self._learned()
        if has_unsaved:
            await self._save()

    async def read(self) -> None:
        """Read all new orders; after `PAGES_PER_READING` pages the rest is left to the next reading.

        Raises:
            RestFault: a request failed; the pages read before are kept.
        """
        try:
            await self._read_pages()
        finally:
            if not self.was_tried and not self._is_set_aside:
                self.was_tried = True
                self._learned()

    async def _read_pages(self) -> None:
        after = self.history.begin(self._now_at())
        open_since: dt.datetime | None = None
        for _ in range(PAGES_PER_READING):
            read = await self._brokerage.orders(after)
            if self._is_set_aside:
                return
            open_since = min((at for at in (open_since, read.open_since) if at is not None), default=None)
            if self.history.take(read, after, open_since, self._now_at()):
                self._learned()
                await self._save()
            if not read.is_full or read.newest_at is None or read.newest_at - _MICROSECOND <= after:
                return
            after = read.newest_at - _MICROSECOND  # so that no order of the same instant is missed

    async def take_activities(self, activities: Iterable[Activity]) -> None:
        """Take activities of this account, whose fills date orders that are filled in part."""
        if self.history.take_activities(activities):
            self._learned()
            await self._save()

    async def _save(self) -> None:
        if self._store is not None:
            await self._store.write(_KIND, self.history.to_save(self._now_at()))
