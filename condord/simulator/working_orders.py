"""Orders that are not filled yet, or not completely: placed, replaced, cancelled, filled and expired.

They fill only on request. Every change returns the `trade_updates` messages
that it causes, in order.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from condord.errors import NotFound
from condord.simulator import orders
from condord.simulator.account import Account
from condord.simulator.orders import Intent, OrderRequest, TimeInForce

Updates = list[dict[str, Any]]
_CENT = Decimal("0.01")


class _OrderState(msgspec.Struct, kw_only=True):
    """A working order: what was requested, its row in the account's orders, and how many units are filled."""

    request: OrderRequest
    row: dict[str, Any]
    filled: int = 0


class WorkingOrders:
    """The working orders of `account`, by id; their rows are in `Account.orders`, filled or not."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._working: dict[str, _OrderState] = {}

    def place(self, request: OrderRequest, at: dt.datetime) -> Updates:
        """Place an order; the message is `new`."""
        return [self._update("new", self._place(request, at).row, at)]

    def replace(
        self,
        order_id: str,
        at: dt.datetime,
        *,
        quantity: int | None = None,
        limit_price: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> Updates:
        """Replace an order by one with a new id; the messages are `replaced` for the old one and `new`.

        Arguments that are None keep the old value; the replacement has the unfilled quantity of the old order.

        Raises:
            NotFound: no such order is working.
        """
        working = self._find(order_id)
        old = working.request
        request = msgspec.structs.replace(
            old,
            quantity=quantity or old.quantity - working.filled,
            limit_price=old.limit_price if limit_price is None else limit_price,
            time_in_force=time_in_force or old.time_in_force,
        )
        del self._working[order_id]
        new = self._place(request, at)
        orders.replace(working.row, new.row, at)
        return [self._update("replaced", working.row, at), self._update("new", new.row, at)]

    def cancel(self, order_id: str, at: dt.datetime) -> Updates:
        """Cancel an order, which keeps its fills; the message is `canceled`.

        Raises:
            NotFound: no such order is working.
        """
        return [self._end(order_id, "canceled", at)]

    def expire(self, at: dt.datetime) -> Updates:
        """End every order that expires by `at`; the messages are `expired`."""
        due = [
            order_id
            for order_id, working in self._working.items()
            if dt.datetime.fromisoformat(working.row["expires_at"]) <= at
        ]
        return [self._end(order_id, "expired", at) for order_id in due]

    def fill(
        self,
        order_id: str,
        at: dt.datetime,
        *,
        units: int | None = None,
        prices: Mapping[str, Decimal] | None = None,
    ) -> Updates:
        """Fill `units` of an order, by default the rest; the message is `fill` or `partial_fill`.

        `prices` are per share by symbol. Legs without one fill at their marks, and if none has one, the dearest leg
        makes up the difference to the limit price.

        Raises:
            NotFound: no such order is working.
            ValueError: more than the rest of the order, or the limit price would need a price below zero.
        """
        working = self._find(order_id)
        rest = working.request.quantity - working.filled
        count = rest if units is None else units
        if count > rest:
            raise ValueError(f"the order has {rest} units left, not {count}")
        at_prices = self._marks(working.request) | dict(prices) if prices else self._limit(working.request)
        executions = self._account.execute(
            [(symbol, ratio * count, at_prices[symbol]) for symbol, ratio in working.request.legs], at
        )
        orders.add_fill(working.row, executions, count, at)
        working.filled += count
        if working.filled == working.request.quantity:
            del self._working[order_id]
        update = self._account.record(working.row, executions, at, self._account.next_serial())
        return [copy.deepcopy(update)]

    def _place(self, request: OrderRequest, at: dt.datetime) -> _OrderState:
        intents = {symbol: self._intent(symbol, ratio * request.quantity) for symbol, ratio in request.legs}
        row = orders.working_order(request, intents, at, self._account.next_serial())
        self._account.orders.append(row)
        self._working[row["id"]] = working = _OrderState(request=request, row=row)
        return working

    def _intent(self, symbol: str, quantity: int) -> Intent:
        held = self._account.holdings.get(symbol)
        closes = held is not None and held.quantity * quantity < 0
        if quantity > 0:
            return "buy_to_close" if closes else "buy_to_open"
        return "sell_to_close" if closes else "sell_to_open"

    def _marks(self, request: OrderRequest) -> dict[str, Decimal]:
        return {symbol: self._account.mark(symbol).quantize(_CENT) for symbol, _ in request.legs}

    def _limit(self, request: OrderRequest) -> dict[str, Decimal]:
        """Prices of the legs, near their marks, that add up to the limit price."""
        prices = self._marks(request)
        if request.limit_price is None:
            return prices
        if len(request.legs) == 1:
            return {request.legs[0][0]: request.limit_price}
        symbol, ratio = max(request.legs, key=lambda leg: prices[leg[0]])
        net = sum((prices[each] * count for each, count in request.legs), Decimal(0))
        prices[symbol] += (request.limit_price - net) / ratio
        if prices[symbol] < 0:
            raise ValueError(f"no prices near the marks add up to {request.limit_price}; pass prices")
        return prices

    def _end(self, order_id: str, status: orders.Ended, at: dt.datetime) -> dict[str, Any]:
        row = self._find(order_id).row
        del self._working[order_id]
        orders.end(row, status, at)
        return self._update(status, row, at)

    def _update(self, event: str, row: dict[str, Any], at: dt.datetime) -> dict[str, Any]:
        return orders.order_update(event, copy.deepcopy(row), at, self._account.next_serial())

    def _find(self, order_id: str) -> _OrderState:
        if order_id not in self._working:
            raise NotFound(f"no working order has the id {order_id}", "GET /v2/orders?status=open lists them.")
        return self._working[order_id]
