"""The routes under `/simulator` that place, replace, cancel and fill orders, and transfer cash; they need no keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.errors import NotFound
from condord.simulator.orders import OrderRequest, TimeInForce
from condord.simulator.responses import BadRequest, decoded_body, json_response, not_found
from condord.simulator.simulation import Simulation
from condord.simulator.working_orders import Updates

_Count = Annotated[int, msgspec.Meta(gt=0)]


class NewLeg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leg of an order: contracts for each unit, + to buy and - to sell."""

    symbol: Annotated[str, msgspec.Meta(min_length=1)]
    qty: int


class NewOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order of `qty` units; `limit_price` is net per share, positive for a debit, null for a market order."""

    legs: Annotated[list[NewLeg], msgspec.Meta(min_length=1, max_length=4)]
    qty: _Count = 1
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = "day"


class OrderChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that the replacement of an order changes; fields that are null stay as they are."""

    qty: _Count | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce | None = None


class OrderFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fill `qty` units of an order (null: the rest) at `prices` per share, by symbol; see `WorkingOrders.fill`."""

    qty: _Count | None = None
    prices: dict[str, Decimal] | None = None


class Transfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Deposit `amount` dollars, or withdraw them if it is negative."""

    amount: Decimal


class OrderAdminApi:
    """The routes for orders and transfers; `now` returns seconds of the loop clock."""

    def __init__(self, simulation: Simulation, now: Callable[[], float]) -> None:
        self._simulation = simulation
        self._working = simulation.working_orders
        self._now = now

    @property
    def routes(self) -> list[Route]:
        """Every route. Those of orders answer with the row of the order, that of transfers with the account."""
        return [
            Route("/simulator/orders", self._place, methods=["POST"]),
            Route("/simulator/orders/{order_id}", self._replace, methods=["PATCH"]),
            Route("/simulator/orders/{order_id}", self._cancel, methods=["DELETE"]),
            Route("/simulator/orders/{order_id}/fill", self._fill, methods=["POST"]),
            Route("/simulator/transfers", self._transfer, methods=["POST"]),
        ]

    async def _place(self, request: Request) -> Response:
        order = await decoded_body(request, NewOrder)
        symbols = {leg.symbol for leg in order.legs}
        if len(symbols) < len(order.legs) or not all(leg.qty for leg in order.legs):
            raise BadRequest("every leg needs a symbol of its own and a qty that is not 0")
        requested = OrderRequest(
            legs=tuple((leg.symbol, leg.qty) for leg in order.legs),
            quantity=order.qty,
            limit_price=_finite(order.limit_price),
            time_in_force=order.time_in_force,
        )
        return self._answer(lambda at: self._working.place(requested, at))

    async def _replace(self, request: Request) -> Response:
        change = await decoded_body(request, OrderChange)
        return self._answer(
            lambda at: self._working.replace(
                request.path_params["order_id"],
                at,
                quantity=change.qty,
                limit_price=_finite(change.limit_price),
                time_in_force=change.time_in_force,
            )
        )

    async def _cancel(self, request: Request) -> Response:
        return self._answer(lambda at: self._working.cancel(request.path_params["order_id"], at))

    async def _fill(self, request: Request) -> Response:
        fill = await decoded_body(request, OrderFill)
        prices = {symbol: price for symbol, price in (fill.prices or {}).items() if _finite(price) is not None}
        return self._answer(
            lambda at: self._working.fill(request.path_params["order_id"], at, units=fill.qty, prices=prices)
        )

    async def _transfer(self, request: Request) -> Response:
        amount = _finite((await decoded_body(request, Transfer)).amount)
        if not amount:
            raise BadRequest("amount must not be 0")
        account = self._simulation.account
        account.transfer(amount, self._simulation.at(self._now()))
        return json_response(account.account_json())

    def _answer(self, change: Callable[[dt.datetime], Updates]) -> Response:
        """Make `change`, send its updates, and answer with the order of the last one."""
        now = self._now()
        try:
            updates = change(self._simulation.at(now))
        except NotFound as error:
            return not_found(str(error))
        except ValueError as error:
            raise BadRequest(str(error)) from error
        self._simulation.send_updates(updates, now)
        return json_response(updates[-1]["data"]["order"])


def _finite(price: Decimal | None) -> Decimal | None:
    if price is not None and not price.is_finite():
        raise BadRequest("prices must be numbers or null")
    return price
