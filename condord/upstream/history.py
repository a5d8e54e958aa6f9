"""Decides what the account's order history says: which orders filled what, and from where on it is to be read.

Rules: orders are read oldest first, from 400 days back, and remembered, so that later ones ask for what is new: from
an hour before the newest one, or before the oldest that is still open, as it may yet fill. What an order has filled
counts, whatever became of the rest. A row that has filled no option is left out; so is one that does not tell all that
it has filled of options, which is counted and costs nothing else. A reading that fails keeps the pages that it has
read, and one that meets its bound goes on the next time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

import msgspec

from condord.core import occ
from condord.core.orders import Fill, Lot, Order, lots
from condord.errors import SymbolError
from condord.upstream import rows
from condord.upstream.ports import Brokerage, OrderPage
from condord.upstream.store import Store

ORDERS_A_PAGE = 500
PAGES_A_READING = 20

_REACH = dt.timedelta(days=400)
_LONGEST_OPEN = dt.timedelta(days=100)
"""Good-till-cancelled orders end after 90 days; one that seems open for longer is not waited for."""
_OVERLAP = dt.timedelta(hours=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_KIND = "orders"
_ENDED = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
_INTENTS = {
    "buy_to_open": (1, True),
    "buy_to_close": (1, False),
    "sell_to_open": (-1, True),
    "sell_to_close": (-1, False),
}


def page(answer: object, refuse: rows.Refuse) -> OrderPage:
    """The raw answer of `GET /v2/orders`, nested and in ascending order.

    Raises:
        TypeError: the answer is no list.
    """
    if not isinstance(answer, list):
        raise TypeError(f"orders came as {type(answer).__name__}, not as a list")
    listed = [row for row in answer if isinstance(row, Mapping)]
    for _ in range(len(answer) - len(listed)):
        refuse("orderRow")
    submitted = [(row, at) for row in listed if (at := _submitted_at(row)) is not None]
    return OrderPage(
        orders=tuple(order for row in listed if (order := _order(row, refuse)) is not None),
        newest_at=max((at for _, at in submitted), default=None),
        open_since=min((at for row, at in submitted if _may_fill(row)), default=None),
        is_full=len(answer) >= ORDERS_A_PAGE,
    )


def _order(row: Mapping[str, object], refuse: rows.Refuse) -> Order | None:
    filled = [part for part in _parts(row) if _is_option(part) and _has_filled(part)]
    if not filled:
        return None
    identity, at = rows.text(row.get("id")), _filled_at(row, filled)
    fills = tuple(fill for part in filled if (fill := _fill(part)) is not None)
    if identity is None or at is None or len(fills) < len(filled):
        refuse("orderRow")
        return None
    return Order(id=identity, filled_at=at, fills=fills)


def _filled_at(row: Mapping[str, object], filled: Iterable[Mapping[str, object]]) -> dt.datetime | None:
    """When an order was filled; one that was filled in part may have that instant with its legs alone, or none."""
    legs = [at for leg in filled if (at := rows.instant(leg.get("filled_at"))) is not None]
    return rows.instant(row.get("filled_at")) or max(legs, default=None) or _submitted_at(row)


def _fill(part: Mapping[str, object]) -> Fill | None:
    """What an option that has filled tells, as a leg or alone; None where that cannot be told."""
    intent = _INTENTS.get(rows.text(part.get("position_intent")) or "")
    price_e4 = rows.e4(rows.number(part.get("filled_avg_price")))
    count = rows.number(part.get("filled_qty"))
    if intent is None or price_e4 is None or count is None or count < 0 or count != count.to_integral_value():
        return None
    contract = occ.parse(part.get("symbol"))
    sign, opens = intent
    return Fill(symbol=contract.compact, contract=contract, quantity=sign * int(count), price_e4=price_e4, opens=opens)


def _parts(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    legs = row.get("legs")
    return [leg for leg in legs if isinstance(leg, Mapping)] if isinstance(legs, list) and legs else [row]


def _has_filled(part: Mapping[str, object]) -> bool:
    """Whether anything was filled, as far as can be told; a quantity that cannot be read may be something."""
    told = part.get("filled_qty")
    return told is not None and told != "" and rows.number(told) != 0


def _may_fill(row: Mapping[str, object]) -> bool:
    return rows.text(row.get("status")) not in _ENDED and any(_is_option(part) for part in _parts(row))


def _is_option(part: Mapping[str, object]) -> bool:
    try:
        occ.parse(part.get("symbol"))
    except SymbolError:
        return False
    return True


def _submitted_at(row: Mapping[str, object]) -> dt.datetime | None:
    return rows.instant(row.get("submitted_at")) or rows.instant(row.get("created_at"))


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a later run begins with: the orders, and the instant from which they are to be read again."""

    mark: rows.Instant | None
    orders: tuple[Order, ...]


class History:
    """The orders that have filled options, each as it was last read."""

    def __init__(self) -> None:
        self.lots: tuple[Lot, ...] = ()
        self._mark: dt.datetime | None = None
        self._orders: dict[str, Order] = {}

    def recall(self, kept: Kept) -> None:
        """Begin with what an earlier run has kept."""
        self._mark = kept.mark
        self._take(order for order in kept.orders if order.filled_at.tzinfo is not None)

    def kept(self, now_at: dt.datetime) -> Kept:
        """What is worth keeping: what a first reading would find."""
        recent = tuple(order for order in self._orders.values() if order.filled_at > now_at - _REACH)
        return Kept(mark=self._mark, orders=recent)

    def begin(self, now_at: dt.datetime) -> dt.datetime:
        """The instant after which the orders are to be read; `take` the pages in their order."""
        reach = now_at - _REACH
        return reach if self._mark is None else max(reach, min(self._mark, now_at) - _OVERLAP)

    def take(self, read: OrderPage, open_since: dt.datetime | None, now_at: dt.datetime) -> bool:
        """Take one page; `open_since` is of the oldest open order of this reading. True if it brought something."""
        before = self._mark
        if open_since is not None:
            self._mark = max(open_since, now_at - _LONGEST_OPEN)
        else:
            self._mark = read.newest_at or before
        return self._take(read.orders) or self._mark != before

    def _take(self, read: Iterable[Order]) -> bool:
        news = {order.id: order for order in read if self._orders.get(order.id) != order}
        if news:
            self._orders |= news
            self.lots = lots(self._orders.values())
        return bool(news)


class HistoryReader:
    """Reads what is new of the history, and calls `learned` when something came of it."""

    def __init__(
        self, *, brokerage: Brokerage, store: Store, now_at: Callable[[], dt.datetime], learned: Callable[[], None]
    ) -> None:
        self.history = History()
        self._brokerage = brokerage
        self._store = store
        self._now_at = now_at
        self._learned = learned
        self._is_recalled = False

    async def read(self) -> None:
        """Read to the newest order, or to the bound of a reading.

        Raises:
            RestFault: Alpaca cannot be asked now; the pages that were read are kept.
        """
        await self._recall()
        after = self.history.begin(self._now_at())
        open_since: dt.datetime | None = None
        for _ in range(PAGES_A_READING):
            read = await self._brokerage.orders(after)
            open_since = min((at for at in (open_since, read.open_since) if at is not None), default=None)
            if self.history.take(read, open_since, self._now_at()):
                self._learned()
                await self._store.write(_KIND, self.history.kept(self._now_at()))
            if not read.is_full or read.newest_at is None or read.newest_at - _MICROSECOND <= after:
                return
            after = read.newest_at - _MICROSECOND  # not to miss one of the same instant

    async def _recall(self) -> None:
        if not self._is_recalled:
            self._is_recalled = True
            kept = await self._store.read(_KIND, Kept)
            if kept is not None:
                self.history.recall(kept)
                self._learned()
