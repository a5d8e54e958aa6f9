"""The JSON of orders and trade updates, as the trading API and its stream show them.

`order` makes a market order that is filled at once, `working_order` one that is not filled yet.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from condord.core import occ
from condord.core.expiry import expiry_of
from condord.errors import SymbolError
from condord.simulator.clock import NEW_YORK
from condord.simulator.contracts import stable_uuid, underlying_of
from condord.simulator.holidays import EARLY_CLOSE, closes_early, is_holiday

Intent = Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]
TimeInForce = Literal["day", "gtc"]
Ended = Literal["canceled", "expired"]

_CLOSE = dt.time(16, 0)
_LATER = dt.timedelta(minutes=15)
_GTC_DAYS = 90


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """The fill of one symbol: signed `quantity`, `price` per share, and the signed position after it."""

    symbol: str
    quantity: int
    price: Decimal
    position_after: int
    is_option: bool = True

    @property
    def is_opening(self) -> bool:
        """Whether the fill increased the size of the position."""
        return abs(self.position_after) > abs(self.position_after - self.quantity)

    @property
    def side(self) -> str:
        """`buy` or `sell`."""
        return "buy" if self.quantity > 0 else "sell"

    @property
    def intent(self) -> Intent:
        """The position intent, such as `sell_to_open`."""
        if self.quantity > 0:
            return "buy_to_open" if self.is_opening else "buy_to_close"
        return "sell_to_open" if self.is_opening else "sell_to_close"


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order to place: per unit, each symbol's contracts (+ to buy, - to sell), and how many units.

    `limit_price` is the net price per share of a multi-leg order, positive for a debit and negative for a credit, or
    the price of its only symbol; None for a market order.
    """

    legs: tuple[tuple[str, int], ...]
    quantity: int
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = "day"


def is_option(symbol: str) -> bool:
    """Whether `symbol` names an option contract."""
    try:
        occ.parse(symbol)
    except SymbolError:
        return False
    return True


def number(value: Decimal | float) -> str:
    """A number as Alpaca formats it: a string without trailing zeros or an exponent."""
    text = f"{Decimal(str(value)) if isinstance(value, float) else value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0", "-"} else text


def instant(at: dt.datetime) -> str:
    """An instant as Alpaca formats it: RFC 3339 in UTC without trailing zeros."""
    text = at.astimezone(dt.UTC).isoformat().removesuffix("+00:00")
    return f"{text.rstrip('0') if '.' in text else text}Z"


def order(executions: Sequence[Execution], at: dt.datetime, serial: int, ordered: int | None = None) -> dict[str, Any]:
    """The order that `executions` filled: simple for one execution, multi-leg for several.

    The parent of a multi-leg order has no symbol and no side, and a negative average price if it was a credit.
    `ordered` is its quantity if it is filled only in part.
    """
    units = math.gcd(*(execution.quantity for execution in executions))
    request = OrderRequest(
        legs=tuple((execution.symbol, execution.quantity // units) for execution in executions),
        quantity=max(units, ordered or units),
    )
    intents = {execution.symbol: execution.intent for execution in executions}
    placed_at = at - dt.timedelta(microseconds=53_118)
    row = working_order(request, intents, placed_at, serial)
    add_fill(row, executions, units, at)
    return row


def working_order(request: OrderRequest, intents: Mapping[str, Intent], at: dt.datetime, serial: int) -> dict[str, Any]:
    """The order of `request` before any fill; `intents` are by symbol."""
    common = _common(request, at)
    multi = len(request.legs) > 1
    legs = [
        common
        | {
            **_ids(stable_uuid("order", str(serial), symbol)),
            "symbol": symbol,
            "asset_id": stable_uuid("asset", symbol),
            "asset_class": "us_option" if is_option(symbol) else "us_equity",
            "side": "buy" if ratio > 0 else "sell",
            "position_intent": intents[symbol],
            "order_class": "mleg" if multi else "simple",
            "qty": str(request.quantity * abs(ratio)),
            **({"ratio_qty": str(abs(ratio)), "limit_price": None} if multi else {}),
        }
        for symbol, ratio in request.legs
    ]
    if not multi:
        return legs[0]
    return common | {
        **_ids(stable_uuid("order", str(serial))),
        "symbol": "",
        "asset_id": "",
        "asset_class": "",
        "side": "",
        "order_class": "mleg",
        "order_type": "" if request.limit_price is None else "limit",
        "qty": str(request.quantity),
        "legs": legs,
    }


def add_fill(row: dict[str, Any], executions: Sequence[Execution], units: int, at: dt.datetime) -> None:
    """Add to the order `row` that `executions` filled `units` of it."""
    net = sum((execution.price * execution.quantity for execution in executions), Decimal(0)) / units
    fills = [
        (leg, abs(execution.quantity), execution.price) for leg, execution in zip(legs_of(row), executions, strict=True)
    ]
    if row["legs"]:
        fills.append((row, units, net))
    for part, quantity, price in fills:
        before = int(part["filled_qty"])
        spent = Decimal(part["filled_avg_price"] or 0) * before + price * quantity
        is_filled = before + quantity == int(part["qty"])
        part |= {
            "filled_qty": str(before + quantity),
            "filled_avg_price": number(round(spent / (before + quantity), 6)),  # six decimals, as at Alpaca
            "status": "filled" if is_filled else "partially_filled",
            "updated_at": instant(at),
            "filled_at": instant(at) if is_filled else None,
        }


def end(row: dict[str, Any], status: Ended, at: dt.datetime) -> None:
    """Mark the order `row` and its legs as ended without being filled, or not completely."""
    for part in _parts(row):
        part |= {"status": status, f"{status}_at": instant(at), "updated_at": instant(at)}


def legs_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that have a symbol: the legs of a multi-leg order, or the simple order itself."""
    return row["legs"] or [row]


def replace(old: dict[str, Any], new: dict[str, Any], at: dt.datetime) -> None:
    """Mark `old` as replaced by `new`, an order with the same legs. `old` keeps its fills."""
    for replaced, replacement in zip(_parts(old), _parts(new), strict=False):
        replaced |= {"status": "replaced", "replaced_at": instant(at), "replaced_by": replacement["id"]}
        replacement["replaces"] = replaced["id"]


def order_update(event: str, row: Mapping[str, Any], at: dt.datetime, serial: int) -> dict[str, Any]:
    """The `trade_updates` message that `event` happened to the order `row`, without a fill."""
    update = {
        "at": instant(at),
        "event_id": stable_uuid("event", event, str(serial), str(row.get("id"))),
        "event": event,
        "timestamp": instant(at),
        "order": row,
    }
    return {"stream": "trade_updates", "data": update}


def trade_update(
    filled: dict[str, Any], executions: Sequence[Execution], at: dt.datetime, serial: int
) -> dict[str, Any]:
    """The `trade_updates` message of a fill; for a multi-leg order it has `position_qtys` and `legs`."""
    units = math.gcd(*(execution.quantity for execution in executions))
    if len(executions) > 1:
        units //= math.gcd(*(int(leg["ratio_qty"]) for leg in filled["legs"]))
    net = sum((execution.price * execution.quantity for execution in executions), Decimal(0)) / units
    message = order_update("fill" if filled["status"] == "filled" else "partial_fill", filled, at, serial)
    update: dict[str, Any] = message["data"]
    if len(executions) == 1:
        update["price"], update["qty"] = number(executions[0].price), str(units)
        update["execution_id"] = stable_uuid("execution", str(serial), executions[0].symbol)
        update["position_qty"] = str(executions[0].position_after)
    else:
        update["price"], update["qty"] = number(round(net, 6)), str(units)
        update["position_qtys"] = {execution.symbol: str(execution.position_after) for execution in executions}
        update["legs"] = [
            {
                "execution_id": stable_uuid("execution", str(serial), execution.symbol),
                "order_id": leg["id"],
                "symbol": execution.symbol,
                "qty": str(abs(execution.quantity)),
                "price": number(execution.price),
                "timestamp": instant(at),
            }
            for leg, execution in zip(filled["legs"], executions, strict=True)
        ]
    return message


def last_session_close(at: dt.datetime, symbols: Iterable[str]) -> dt.datetime:
    """The first close after `at` of the session in which `symbols` trade (UTC); broad products trade to 16:15."""
    day = at.astimezone(NEW_YORK).date()
    extra = _LATER if all(_trades_late(symbol) for symbol in symbols) else dt.timedelta()
    while True:
        time = EARLY_CLOSE if closes_early(day) else _CLOSE
        close = dt.datetime.combine(day, time, NEW_YORK) + extra
        if day.weekday() < 5 and not is_holiday(day) and close > at:
            return close.astimezone(dt.UTC)
        day += dt.timedelta(days=1)


def _parts(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The order itself and its legs."""
    yield row
    yield from row["legs"] or ()


def _ids(order_id: str) -> dict[str, str]:
    return {"id": order_id, "client_order_id": stable_uuid("client", order_id)}


def _trades_late(symbol: str) -> bool:
    try:
        contract = occ.parse(symbol)
    except SymbolError:
        return False
    return expiry_of(contract, underlying_of(contract.root)).is_late


def _common(request: OrderRequest, at: dt.datetime) -> dict[str, Any]:
    """The fields shared by the parent and the legs of an order."""
    kind = "market" if request.limit_price is None else "limit"
    days = _GTC_DAYS if request.time_in_force == "gtc" else 0
    expires_at = last_session_close(at + dt.timedelta(days=days), [symbol for symbol, _ in request.legs])
    null = (
        "notional", "stop_price", "trail_percent", "trail_price", "hwm", "legs", "subtag", "filled_avg_price",
        "filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces",
    )  # fmt: skip
    return {
        "created_at": instant(at),
        "submitted_at": instant(at),
        "updated_at": instant(at),
        "expires_at": instant(expires_at),
        "type": kind,
        "order_type": kind,
        "limit_price": None if request.limit_price is None else number(request.limit_price),
        "time_in_force": request.time_in_force,
        "filled_qty": "0",
        "status": "new",
        "extended_hours": False,
        "source": "access_key",
        **dict.fromkeys(null),
    }
