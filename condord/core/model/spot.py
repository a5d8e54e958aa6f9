"""The price that strikes compare with: that of what a contract delivers, divided by its multiplier; and dividends."""

from __future__ import annotations

import math
from collections.abc import Iterable


def contract_spot(price: float, multiplier: int, shares: float, cash: float = 0.0) -> float:
    """The price that the strikes of a contract compare with, in dollars.

    `price` is the underlying's price. An adjusted contract delivers `shares` and `cash` (dollars); a standard one as
    many shares as its multiplier.
    """
    return (price * shares + cash) / multiplier


def present_value(dividends: Iterable[tuple[float, float]], rate: float) -> float:
    """The present value of dividends, from years to their ex-dates and dollars a share.

    They are those with an ex-date after today and up to the expiration.
    """
    return math.fsum(amount * math.exp(-rate * years) for years, amount in dividends)
