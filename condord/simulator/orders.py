"""Decides the shape of orders, fills and their activities, as the trading API and its stream show them.

Rules: a change of several contracts is one multi-leg order, whose parent has the class `mleg`, no symbol and no
side, and a negative average price when it brought a credit; a change of one symbol is a simple order. Every order
here is a filled market order.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from condord.simulator.names import identity


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's share of a fill: signed `quantity`, `price` per share, and what is held afterwards."""

    symbol: str
    quantity: int
    price: Decimal
    held_after: int
    is_option: bool = True

    @property
    def is_opening(self) -> bool:
        """Whether the holding grew, or was begun on the other side."""
        return abs(self.held_after) > abs(self.held_after - self.quantity)

    @property
    def side(self) -> str:
        """`buy` or `sell`."""
        return "buy" if self.quantity > 0 else "sell"

    @property
    def intent(self) -> str:
        """The position intent, as `sell_to_open`."""
        return f"{self.side}_to_{'open' if self.is_opening else 'close'}"


def number(value: Decimal | float) -> str:
    """A number as Alpaca writes it: a string without trailing zeros and without an exponent."""
    text = f"{Decimal(str(value)) if isinstance(value, float) else value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0", "-"} else text


def instant(at: dt.datetime) -> str:
    """An instant as Alpaca writes it: RFC 3339 in UTC without trailing zeros."""
    text = at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def order(executions: Sequence[Execution], at: dt.datetime, serial: int) -> dict[str, Any]:
    """The filled order behind `executions`: multi-leg where there are several, simple where there is one."""
    if len(executions) == 1:
        return _leg(executions[0], at, serial, order_class="simple", ratio=1)
    quantity = math.gcd(*(execution.quantity for execution in executions))
    net = sum((execution.price * execution.quantity for execution in executions), Decimal(0)) / quantity
    return _common(at, identity("order", str(serial))) | {
        "symbol": "",
        "asset_id": "",
        "asset_class": "",
        "side": "",
        "order_class": "mleg",
        "order_type": "",
        "qty": str(quantity),
        "filled_qty": str(quantity),
        "filled_avg_price": number(net),
        "legs": [
            _leg(execution, at, serial, order_class="mleg", ratio=abs(execution.quantity) // quantity)
            for execution in executions
        ],
    }


def trade_update(
    filled: Mapping[str, Any], executions: Sequence[Execution], at: dt.datetime, serial: int
) -> dict[str, Any]:
    """The `trade_updates` message of a filled order; a multi-leg one has `position_qtys` and `legs`."""
    update: dict[str, Any] = {
        "at": instant(at),
        "event_id": identity("event", str(serial)),
        "event": "fill",
        "timestamp": instant(at),
        "order": filled,
        "price": filled["filled_avg_price"],
        "qty": filled["filled_qty"],
    }
    if len(executions) == 1:
        update["execution_id"] = identity("execution", str(serial), executions[0].symbol)
        update["position_qty"] = str(executions[0].held_after)
    else:
        update["position_qtys"] = {execution.symbol: str(execution.held_after) for execution in executions}
        update["legs"] = [
            {
                "execution_id": identity("execution", str(serial), execution.symbol),
                "order_id": identity("order", str(serial), execution.symbol),
                "symbol": execution.symbol,
                "qty": str(abs(execution.quantity)),
                "price": number(execution.price),
                "timestamp": instant(at),
            }
            for execution in executions
        ]
    return {"stream": "trade_updates", "data": update}


def fill_activity(execution: Execution, at: dt.datetime, serial: int) -> dict[str, Any]:
    """One FILL row of `GET /v2/account/activities`."""
    side = "sell_short" if execution.quantity < 0 and execution.is_opening else execution.side
    quantity = str(abs(execution.quantity))
    return {
        "id": _activity_id(at, "fill", str(serial), execution.symbol),
        "activity_type": "FILL",
        "transaction_time": instant(at),
        "type": "fill",
        "price": number(execution.price),
        "qty": quantity,
        "cum_qty": quantity,
        "leaves_qty": "0",
        "side": side,
        "symbol": execution.symbol,
        "order_id": identity("order", str(serial), execution.symbol),
        "order_status": "filled",
    }


def other_activity(
    kind: str, description: str, at: dt.datetime, *, symbol: str = "", quantity: int = 0, amount: str = "0"
) -> dict[str, Any]:
    """One row of `GET /v2/account/activities` that is no trade: JNLC, OPEXP, OPASN, …."""
    row: dict[str, Any] = {
        "id": _activity_id(at, kind, symbol),
        "activity_type": kind,
        "date": f"{at:%Y-%m-%d}",
        "created_at": instant(at),
        "net_amount": amount,
        "description": description,
        "status": "executed",
        "currency": "USD",
    }
    if symbol:
        row |= {"symbol": symbol, "cusip": symbol, "qty": str(quantity)}
        row["group_id"] = identity("group", kind, symbol)
    return row


def _leg(execution: Execution, at: dt.datetime, serial: int, *, order_class: str, ratio: int) -> dict[str, Any]:
    quantity = str(abs(execution.quantity))
    row = _common(at, identity("order", str(serial), execution.symbol)) | {
        "symbol": execution.symbol,
        "asset_id": identity("asset", execution.symbol),
        "asset_class": "us_option" if execution.is_option else "us_equity",
        "side": execution.side,
        "position_intent": execution.intent,
        "order_class": order_class,
        "order_type": "market",
        "qty": quantity,
        "filled_qty": quantity,
        "filled_avg_price": number(execution.price),
    }
    return row | ({"ratio_qty": str(ratio)} if order_class == "mleg" else {})


def _common(at: dt.datetime, order_id: str) -> dict[str, Any]:
    placed, filled = instant(at - dt.timedelta(microseconds=53_118)), instant(at)
    empty = (
        "notional", "limit_price", "stop_price", "trail_percent", "trail_price", "hwm", "legs", "subtag",
        "expired_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces",
    )  # fmt: skip
    return {
        "id": order_id,
        "client_order_id": identity("client", order_id),
        "created_at": placed,
        "submitted_at": placed,
        "updated_at": filled,
        "filled_at": filled,
        "expires_at": instant(at.replace(hour=21, minute=0, second=0, microsecond=0)),
        "type": "market",
        "time_in_force": "day",
        "status": "filled",
        "extended_hours": False,
        "source": "access_key",
        **dict.fromkeys(empty),
    }


def _activity_id(at: dt.datetime, *parts: str) -> str:
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{identity('activity', *parts)}"
