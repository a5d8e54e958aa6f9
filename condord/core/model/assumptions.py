"""The assumptions of the model, on which every figure depends."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MINUTES_PER_YEAR = 525_600


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """A rate and dividend yields by underlying: a year, continuously compounded."""

    rate: float = 0.04
    dividend_yields: Mapping[str, float] = msgspec.field(default_factory=lambda: {"SPX": 0.012, "XSP": 0.012})
