"""The time at the exchange: the machine's clock plus the offset of Alpaca's last answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable


class ExchangeClock:
    """Returns aware UTC instants when called.

    `machine_at` is the machine's clock. `offset` is zero until Alpaca's clock has been read.
    """

    def __init__(self, machine_at: Callable[[], dt.datetime]) -> None:
        self.machine_at = machine_at
        self.offset = dt.timedelta()

    def __call__(self) -> dt.datetime:
        """Return the time at the exchange."""
        return self.machine_at() + self.offset

    def correct(self, least: dt.timedelta, most: dt.timedelta) -> None:
        """Change the offset to be between these two, and no further, so that the time does not jump without need."""
        self.offset = min(max(self.offset, least), most)
