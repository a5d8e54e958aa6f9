"""The rows of `GET /v2/account/activities`: fills, their fees, transfers and everything that is not a trade."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

from condord.simulator.clock import NEW_YORK
from condord.simulator.contracts import stable_uuid
from condord.simulator.orders import Execution, instant, number

_CLEARING_FEE = Decimal("0.025")  # of a contract
_CENT = Decimal("0.01")
_EVENTS = {
    "OPASN": "Options Assignment",
    "OPEXC": "Options Exercise",
    "OPEXP": "Options Expiry",
    "OPCSH": "Options Cash Settlement",
}
"""The description of each event of an option."""


def fill(execution: Execution, row: Mapping[str, Any], at: dt.datetime, serial: int) -> dict[str, Any]:
    """The FILL row of one execution; `row` is its order, or its leg of one, after the fill."""
    is_short_sale = execution.quantity < 0 and execution.is_opening
    leaves = int(row["qty"]) - int(row["filled_qty"])
    return {
        "id": _fill_id(execution, at, serial),
        "activity_type": "FILL",
        "transaction_time": instant(at),
        "type": "partial_fill" if leaves else "fill",
        "price": number(execution.price),
        "qty": str(abs(execution.quantity)),
        "cum_qty": row["filled_qty"],
        "leaves_qty": str(leaves),
        "side": "sell_short" if is_short_sale else execution.side,
        "symbol": execution.symbol,
        "order_id": row["id"],
        "order_status": row["status"],
    }


def clearing_fee(execution: Execution) -> Decimal:
    """The clearing house's fee for one execution, in dollars, rounded up to the cent; nothing for stocks."""
    if not execution.is_option:
        return Decimal(0)
    return (_CLEARING_FEE * abs(execution.quantity)).quantize(_CENT, ROUND_UP)


def fee(execution: Execution, at: dt.datetime, serial: int) -> dict[str, Any]:
    """The FEE row of one execution."""
    row = non_trade("FEE", "OCC Clearing Fee", at, amount=number(-clearing_fee(execution)))
    return row | {
        "id": _day_id(at, "fee", str(serial), execution.symbol),
        "activity_sub_type": "OCC",
        "execution_id": _fill_id(execution, at, serial).partition("::")[2],
    }


def transfer(kind: str, amount: Decimal, at: dt.datetime, serial: int) -> dict[str, Any]:
    """The row of a deposit (CSD), a withdrawal (CSW, negative) or a journal entry (JNLC)."""
    row = non_trade(kind, "", at, amount=number(amount))
    return row | {"id": _day_id(at, kind, str(serial))}


def non_trade(kind: str, description: str, at: dt.datetime, *, amount: str = "0") -> dict[str, Any]:
    """A row that is not a trade; its date is that in New York."""
    return {
        "id": _day_id(at, kind),
        "activity_type": kind,
        "date": f"{at.astimezone(NEW_YORK):%Y-%m-%d}",
        "created_at": instant(at),
        "net_amount": amount,
        "description": description,
        "status": "executed",
        "currency": "USD",
    }


def delayed(
    kind: str, description: str, at: dt.datetime, visible_at: dt.datetime, serial: int, *, amount: str = "0"
) -> dict[str, Any]:
    """A row that is not a trade, dated `at`, which is visible from `visible_at` on."""
    row = non_trade(kind, description, at, amount=amount)
    return row | {"id": _day_id(at, kind, str(serial)), "created_at": instant(visible_at)}


def option_event(
    kind: str, symbol: str, quantity: int, at: dt.datetime, visible_at: dt.datetime, serial: int, *, amount: Decimal
) -> dict[str, Any]:
    """The row of an event for `quantity` contracts of `symbol`, such as OPEXP, which brought `amount` dollars."""
    row = delayed(kind, _EVENTS[kind], at, visible_at, serial, amount=number(amount))
    contract = {"symbol": symbol, "cusip": symbol, "qty": number(Decimal(quantity))}
    return row | contract | {"group_id": stable_uuid("group", row["id"])}


def option_trade(
    stock: str, shares: int, price: Decimal, at: dt.datetime, visible_at: dt.datetime, serial: int
) -> dict[str, Any]:
    """The OPTRD row of the shares (+ bought, - sold) that an assignment or exercise traded at the strike."""
    row = delayed("OPTRD", "Option Trade", at, visible_at, serial, amount=number(-price * shares))
    shared = {"symbol": stock, "cusip": stock, "qty": str(shares), "price": number(price)}
    return row | shared | {"group_id": stable_uuid("group", row["id"])}


def _fill_id(execution: Execution, at: dt.datetime, serial: int) -> str:
    local = at.astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::" + stable_uuid(
        "execution", str(serial), execution.symbol
    )


def _day_id(at: dt.datetime, *parts: str) -> str:
    """The id of a row that has a date and no time of day, as at Alpaca."""
    return f"{at.astimezone(NEW_YORK):%Y%m%d}{'0' * 9}::{stable_uuid('activity', *parts)}"
