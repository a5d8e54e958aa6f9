"""Compute what filled contracts cost, to the cent, however a fill is split.

The first k contracts of a fill at an average price p cost R(k), and the contracts from a + 1 to b cost R(b) - R(a),
with

    R(k) = k p m, rounded to the cent; m is the multiplier

so that the parts always add up to the whole. Alpaca's averages have six decimals: 3 x .523333 x 100 is 157.00 dollars,
while the average rounded to 1e-4 would give 156.99.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_CENT_E4 = 100
_E6_PER_CENT = 10_000
_E6_PER_E4 = 100


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of `count` contracts of a fill, those after its first `first`.

    The whole fill has `filled` contracts (unsigned). `paid_e6` is its price times quantity in 1e-6 dollars, before the
    multiplier: paid +, received -. `order_id` is the id of the filled order or of its leg.
    """

    paid_e6: int
    filled: int
    first: int
    count: int
    order_id: str | None = None

    def share(self, amount: int) -> int:
        """The part of an `amount` for the whole fill that these contracts have; the parts add up to it."""
        return divide(amount * (self.first + self.count), self.filled) - divide(amount * self.first, self.filled)

    def cents(self, multiplier: int) -> int:
        """The cost in cents: paid +, received -."""
        return self._until(self.first + self.count, multiplier) - self._until(self.first, multiplier)

    def _until(self, count: int, multiplier: int) -> int:
        return divide(self.paid_e6 * count * multiplier, self.filled * _E6_PER_CENT)


Costs = tuple[Cost, ...]
"""The cost of contracts from one or more fills, oldest fill first."""


def fill_cost(paid_e6: int, filled: int, order_id: str | None = None) -> Costs:
    """The cost of a complete fill; the arguments are as in `Cost`."""
    return (Cost(paid_e6=paid_e6, filled=filled, first=0, count=filled, order_id=order_id),)


def split(costs: Costs, count: int) -> tuple[Costs, Costs]:
    """The costs of the first `count` contracts, and of the others."""
    taken: list[Cost] = []
    left: list[Cost] = []
    for cost in costs:
        part = min(cost.count, count)
        count -= part
        if part:
            taken.append(msgspec.structs.replace(cost, count=part))
        if part < cost.count:
            left.append(msgspec.structs.replace(cost, first=cost.first + part, count=cost.count - part))
    return tuple(taken), tuple(left)


def total_e4(costs: Iterable[Cost], multiplier: int) -> int:
    """The sum in 1e-4 dollars: paid +, received -."""
    return _CENT_E4 * sum(cost.cents(multiplier) for cost in costs)


def average_e4(costs: Costs, quantity: int) -> int:
    """The average price per share in 1e-4 dollars of `quantity` contracts, which are signed."""
    paid_e6 = sum(divide(cost.paid_e6 * cost.count, cost.filled) for cost in costs)
    return divide(paid_e6, quantity * _E6_PER_E4)


def divide(numerator: int, denominator: int) -> int:
    """The quotient rounded to the nearest integer, halves away from zero."""
    quotient, rest = divmod(abs(numerator), abs(denominator))
    rounded = quotient + (2 * rest >= abs(denominator))
    return rounded if (numerator < 0) == (denominator < 0) else -rounded
