"""The price of an index from its options, by put-call parity, which is exact for European ones."""

from __future__ import annotations

import math


def parity_price(
    call: float, put: float, strike: float, *, years: float, rate: float, dividend_yield: float
) -> float | None:
    """The price of the index in dollars from the mids of both rights at one strike, the nearer the money the better.

    The forward is F = K + exp(rT)(C - P), and S = F exp(-(r - q)T). None if the mids give no price above zero.
    """
    forward = strike + math.exp(rate * years) * (call - put)
    return forward * math.exp((dividend_yield - rate) * years) if forward > 0 else None
