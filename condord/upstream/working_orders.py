"""Parse the working orders: those for options that are not filled yet, or not completely.

An order of several legs has the class `mleg` and the net limit price, positive for a debit. A single order has an
unsigned price, which becomes negative for a sale. Rows that concern no option are skipped. Rows of options that cannot
be read are skipped and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from condord.core import occ
from condord.core.working_order import OrderLeg, WorkingOrder
from condord.upstream import rest_parsing
from condord.upstream.bodies import Rows
from condord.upstream.order_history import ENDED, INTENTS, is_option, submitted_at

ORDERS_PER_PAGE = 500

_SIGNS = {"buy": 1, "sell": -1}


def working_orders(answer: object, refuse: rest_parsing.Refuse) -> list[WorkingOrder]:
    """The working orders in the answer of `GET /v2/orders`, which is nested, oldest first.

    `origin` is the order that the row replaces, which may itself have replaced one that is no longer open.

    Raises:
        TypeError: the answer is not a list.
    """
    if not isinstance(answer, list | Rows):
        raise TypeError(f"orders came as {type(answer).__name__}, not as a list")
    orders = [order for row in _flat(answer, refuse) if (order := _order(row, refuse)) is not None]
    return sorted(orders, key=lambda order: order.submitted_at)


def _flat(answer: list[object] | Rows, refuse: rest_parsing.Refuse) -> Iterator[Mapping[str, object]]:
    """Each order by itself: the legs of a bracket are orders of their own, those of an `mleg` are not."""
    for row in answer:
        if not isinstance(row, Mapping):
            refuse("workingOrderRow")
            continue
        yield row
        if row.get("order_class") != "mleg":
            yield from _legs(row)


def _legs(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    legs = row.get("legs")
    return [leg for leg in legs if isinstance(leg, Mapping)] if isinstance(legs, list) else []


def _order(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> WorkingOrder | None:
    is_mleg = row.get("order_class") == "mleg"
    parts = _legs(row) if is_mleg else [row]
    if not any(map(is_option, parts)) or rest_parsing.text(row.get("status")) in ENDED:
        return None
    units = _units(row)
    if units == 0:
        return None
    id_, at = rest_parsing.text(row.get("id")), submitted_at(row)
    legs = [_leg(part, units or 0, is_mleg=is_mleg) for part in parts]
    read = tuple(leg for leg in legs if leg is not None)
    if id_ is None or at is None or units is None or len(read) < len(legs):
        refuse("workingOrderRow")
        return None
    limit_e4 = rest_parsing.e4(rest_parsing.number(row.get("limit_price")))
    if limit_e4 is not None and not is_mleg and read[0].quantity < 0:
        limit_e4 = -limit_e4
    return WorkingOrder(
        id=id_,
        submitted_at=at,
        limit_e4=limit_e4,
        quantity=units,
        legs=read,
        origin=rest_parsing.text(row.get("replaces")),
    )


def _units(row: Mapping[str, object]) -> int | None:
    """How many units of an order are still to be filled; None if it cannot be read."""
    ordered, filled = (rest_parsing.number(row.get(name) or "0") for name in ("qty", "filled_qty"))
    if ordered is None or filled is None or ordered <= 0 or not 0 <= filled <= ordered:
        return None
    return int(ordered - filled) if (ordered - filled) % 1 == 0 else None


def _leg(part: Mapping[str, object], units: int, *, is_mleg: bool) -> OrderLeg | None:
    """A leg of an order of `units`, or a single order; None if it cannot be read."""
    ratio = rest_parsing.number(part.get("ratio_qty")) if is_mleg else rest_parsing.number(1)
    intent = INTENTS.get(rest_parsing.text(part.get("position_intent")) or "")
    sign = intent[0] if intent else _SIGNS.get(rest_parsing.text(part.get("side")) or "")
    if not is_option(part) or ratio is None or ratio <= 0 or ratio % 1 != 0 or sign is None:
        return None
    return OrderLeg(
        symbol=occ.parse(part.get("symbol")).compact,
        quantity=sign * units * int(ratio),
        closes=intent is not None and not intent[1],
    )
