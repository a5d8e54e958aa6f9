"""When partially filled orders were filled, which only activities contain.

Alpaca sets an order's `filled_at` when the order is filled completely. The FILL activities of its legs have the instant
of each fill.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from condord.core.activity import Activity
from condord.core.filled_orders import Order


class FillInstants:
    """The fills of legs whose order is filled in part, or is not known yet."""

    def __init__(self) -> None:
        self._fills: dict[str, dict[str, Activity]] = {}
        self._dated: set[str] = set()

    def add(self, activities: Iterable[Activity]) -> bool:
        """Take activities, in any sequence; True if some are new and may date an order."""
        has_new = False
        for row in activities:
            if row.kind == "FILL" and row.order_id is not None and row.order_id not in self._dated:
                of_leg = self._fills.setdefault(row.order_id, {})
                has_new = has_new or row.id not in of_leg
                of_leg[row.id] = row
        return has_new

    def drop(self, order: Order) -> None:
        """Drop the fills of an order that Alpaca itself has dated."""
        for fill in order.fills:
            if fill.leg_id is not None:
                self._fills.pop(fill.leg_id, None)
                self._dated.add(fill.leg_id)

    def last_at(self, order: Order) -> dt.datetime | None:
        """The instant of the last fill of `order`; None unless the known fills account for all of its contracts."""
        last: list[dt.datetime] = []
        for fill in order.fills:
            of_leg = self._fills.get(fill.leg_id or "", {}).values()
            if abs(sum(row.quantity for row in of_leg)) < abs(fill.quantity):
                return None
            last += [row.at for row in of_leg]
        return max(last, default=None)
