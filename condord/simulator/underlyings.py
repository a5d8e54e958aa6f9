"""The prices of the underlyings: random walks, the closes of the session before, and dividends.

Prices are in dollars a share, those of indexes in points. They follow a geometric Brownian motion.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Sequence
from decimal import Decimal

from condord.simulator import contracts, pricing
from condord.simulator.contracts import OptionRoot

_TRADING_YEAR_SECONDS = 252 * 6.5 * 3600
_DAYS_PER_YEAR = 365
_OVERNIGHT_SHARE = 0.7  # of a day's deviation, between the close before the first session and the first price
_START_RANGE = 0.004

Dividends = list[tuple[dt.date, Decimal]]
"""The dividends of one stock as (ex-date, dollars a share), in order."""


class Underlyings:
    """The prices of the underlyings.

    `session_day` is the date of the newest session that has begun, and `is_over` whether it has ended. Its close is the
    price at its end, even if the price moves on.
    """

    def __init__(self, *, seed: int, session_day: dt.date) -> None:
        self.session_day = session_day
        self.is_over = False
        self.dividends: dict[str, Dividends] = {}
        self._seed = seed
        self._roots: dict[str, OptionRoot] = {}
        self._spots: dict[str, float] = {}
        self._closes: dict[str, float] = {}
        self._starts: dict[str, tuple[float, float]] = {}
        self._ended: dict[str, float] = {}
        self._walks: dict[str, random.Random] = {}
        self._followers: dict[str, dict[str, float]] = {}
        self._held: set[str] = set()

    @property
    def names(self) -> Sequence[str]:
        """Every underlying."""
        return tuple(self._roots)

    @property
    def stocks(self) -> Sequence[OptionRoot]:
        """One root of every underlying that is not an index."""
        return tuple(root for root in self._roots.values() if not root.is_index)

    def add(self, root: OptionRoot) -> None:
        """Start the underlying of `root`, unless it has started. An underlying that it follows must have been added."""
        name = root.underlying
        if name in self._roots:
            return
        self._roots[name] = root
        self.dividends[name] = contracts.dividends(root, self.session_day)
        if root.follows is not None:
            leader, ratio = root.follows
            self._followers.setdefault(leader, {})[name] = ratio
            self._spots[name] = self._spots[leader] * ratio
            self._closes[name] = self._closes[leader] * ratio
            self._starts[name] = self._spots[name], self._closes[name]
            return
        self._walks[name] = walk = random.Random(f"{self._seed}/{name}")  # noqa: S311 - prices, not secrets
        self._spots[name] = spot = root.spot * (1 + walk.uniform(-_START_RANGE, _START_RANGE))
        night = random.Random(f"{self._seed}/{name}/close").gauss(0.0, 1.0)  # noqa: S311
        self._closes[name] = spot * math.exp(night * root.volatility * _OVERNIGHT_SHARE / math.sqrt(252))
        self._starts[name] = spot, self._closes[name]

    def spot(self, name: str) -> float | None:
        """The exact price of an underlying; None if it is unknown."""
        return self._spots.get(name)

    def leader(self, name: str) -> tuple[str, float]:
        """The underlying that `name` follows and its share of that price; itself and 1 if it follows none.

        Raises:
            KeyError: there is no such underlying.
        """
        return self._roots[name].follows or (name, 1.0)

    def start(self, name: str) -> float:
        """The price of an underlying when it was added."""
        return self._starts[name][0]

    def close_before_start(self, name: str) -> float:
        """The last close before it was added."""
        return self._starts[name][1]

    def volatility(self, name: str) -> float:
        """The annual volatility of an underlying."""
        return self._roots[name].volatility

    def previous_close(self, name: str) -> float | None:
        """The close of the session before the newest one, to the cent; None if the underlying is unknown."""
        close = self._closes.get(name)
        return None if close is None else round(close, 2)

    def close_before(self, name: str, day: dt.date) -> float | None:
        """The close of the last session before `day`; None if the underlying is unknown.

        `day` is the day of the newest session or later. If it is later, and the newest session has not ended, its close
        is the current price.
        """
        if day <= self.session_day:
            return self.previous_close(name)
        close = self._ended.get(name, self._spots.get(name))
        return None if close is None else round(close, 2)

    def set_spot(self, name: str, price: float, *, hold: bool) -> list[str]:
        """Set the price of `name` and of those that follow it; with `hold`, they stop moving until released.

        Returns the underlyings that changed.

        Raises:
            KeyError: there is no such underlying.
        """
        leader, ratio = self.leader(name)
        self._spots[leader] = price / ratio
        self._held.discard(leader)
        if hold:
            self._held.add(leader)
        return [leader, *self._lead(leader)]

    def release(self) -> None:
        """Let every price move again."""
        self._held.clear()

    def walk(self, seconds: float) -> None:
        """Move every price that is not held."""
        step = math.sqrt(seconds / _TRADING_YEAR_SECONDS)
        for name, walk in self._walks.items():
            # Drawn while held too: later prices do not depend on how long a price was held.
            shock = walk.gauss(0.0, 1.0) * self._roots[name].volatility * step
            if name not in self._held:
                self._spots[name] *= math.exp(shock)
                self._lead(name)

    def end_session(self) -> None:
        """End the newest session: the prices are its closes."""
        self.is_over, self._ended = True, dict(self._spots)

    def begin_session(self, day: dt.date) -> None:
        """Begin the session of `day`, which opens without the dividends of its date."""
        self._closes = self._spots | self._ended
        self.is_over, self._ended = False, {}
        for name, dividends in self.dividends.items():
            if name not in self._held:
                self._spots[name] -= float(
                    sum(amount for ex_date, amount in dividends if self.session_day < ex_date <= day)
                )
        self.session_day = day

    def set_next_dividend(self, name: str, ex_date: dt.date) -> None:
        """Make `ex_date` the date of the next dividend of a stock that pays some; the later ones stay.

        Raises:
            LookupError: the stock is unknown, or pays no dividends.
        """
        dividends = self.dividends[name]
        upcoming = sum(day <= self.session_day for day, _ in dividends)
        kept = [(day, amount) for day, amount in dividends[upcoming + 1 :] if day > ex_date]
        self.dividends[name] = [*dividends[:upcoming], (ex_date, dividends[upcoming][1]), *kept]

    def dividends_until(self, name: str, day: dt.date, today: dt.date) -> float:
        """The present value of the dividends of `name` after the newest session and up to `day`, in dollars."""
        return sum(
            float(amount) * math.exp(-pricing.RATE * max(0, (ex_date - today).days) / _DAYS_PER_YEAR)
            for ex_date, amount in self.dividends.get(name, ())
            if self.session_day < ex_date <= day
        )

    def _lead(self, leader: str) -> list[str]:
        """Set the prices that follow `leader`; returns their names."""
        followers = self._followers.get(leader, {})
        for name, ratio in followers.items():
            self._spots[name] = self._spots[leader] * ratio
        return list(followers)
