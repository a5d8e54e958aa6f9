"""The model of which times quotes may have, as simple as possible; tests compare `Prices` with it."""

import datetime as dt

from .accounts import EPOCH_AT

MINUTE = dt.timedelta(seconds=60)


def at(second):
    """The instant this many seconds after the epoch."""
    return EPOCH_AT + dt.timedelta(seconds=second)


class PlainClock:
    """The time on the exchange's clock and that of the newest quotes; None before the clock was read."""

    def __init__(self):
        self.clock_at = self.market_at = None

    def set_time(self, clock_at):
        if self.clock_at is None or clock_at < self.clock_at:
            self.market_at = clock_at
        self.clock_at = clock_at

    def move_limit(self, accepted):
        self.market_at = max(accepted, default=self.market_at)

    def is_future(self, instant):
        return self.clock_at is not None and instant > max(self.clock_at, self.market_at) + MINUTE

    def holds_back(self, known_at, instant):
        """Whether a known quote of `known_at` has one of `instant` refused."""
        if self.clock_at is not None and known_at > self.clock_at + MINUTE:
            return known_at - MINUTE <= instant < known_at
        return instant < known_at
