"""The present value of the dividends before an expiration."""

from __future__ import annotations

import math
from collections.abc import Iterable


def present_value(dividends: Iterable[tuple[float, float]], rate: float) -> float:
    """The present value of dividends, from years to their ex-dates and dollars a share.

    They are those with an ex-date after today and up to the expiration.
    """
    return math.fsum(amount * math.exp(-rate * years) for years, amount in dividends)
