"""Which times quotes may have, said as plainly as it can be: the model that tests hold `Prices` against."""

import datetime as dt

from .accounts import EPOCH_AT

MINUTE = dt.timedelta(seconds=60)


def at(second):
    """An instant of so many seconds after the epoch."""
    return EPOCH_AT + dt.timedelta(seconds=second)


class PlainClock:
    """What the exchange's clock has said, and the newest quotes; None before the first word of the clock."""

    def __init__(self):
        self.told_at = self.vouched_at = None

    def tell(self, told_at):
        if self.told_at is None or told_at < self.told_at:
            self.vouched_at = told_at
        self.told_at = told_at

    def vouch(self, believed):
        self.vouched_at = max(believed, default=self.vouched_at)

    def is_future(self, instant):
        return self.told_at is not None and instant > max(self.told_at, self.vouched_at) + MINUTE

    def holds_back(self, known_at, instant):
        """Whether what is known of `known_at` keeps a quote of `instant` out."""
        if self.told_at is not None and known_at > self.told_at + MINUTE:
            return known_at - MINUTE <= instant < known_at
        return instant < known_at
