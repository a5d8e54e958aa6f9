"""Decides what happens as time passes: the clock moves the market, the market's quotes go to the subscribers.

Rules: everything is built here and passed down; `tick` does all there is to do at a moment, and takes the moment.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from condord.simulator import portfolio, wire
from condord.simulator.account import Account
from condord.simulator.clock import NEW_YORK, MarketClock
from condord.simulator.distortion import Distortion
from condord.simulator.faults import Faults
from condord.simulator.market import Market, Quote
from condord.simulator.scenarios import Scenario
from condord.simulator.session import Terms
from condord.simulator.streams import Streams
from condord.simulator.wire import Encoded

TICK_SECONDS = 0.05
_BURST_PER_SECOND = 10_000
_TRADE_SHARE = 0.02


class Simulation:
    """One account in one market, with its streams and faults; `now` is seconds of the loop clock."""

    def __init__(self, *, scenario: Scenario, seed: int, terms: Terms, started_at: dt.datetime, now: float) -> None:
        if scenario.starts_before_open:
            started_at = _before_open(started_at)
        self.scenario = scenario
        self.is_frozen = scenario.is_frozen
        self.clock = MarketClock(started_at=started_at, now=now, opening=scenario.opening, speed=scenario.speed)
        self.market = Market(seed=seed, at=started_at.timestamp(), rate=scenario.rate / scenario.speed)
        self.account = Account(self.market)
        self.faults = Faults()
        self.streams = Streams(terms=terms, faults=self.faults)
        self.requests: Counter[str] = Counter()
        self._distortion = Distortion(self.faults)
        self._chance = random.Random(seed)  # noqa: S311 - trades, not secrets
        self._burst_since = now
        self.account.deposit(started_at - dt.timedelta(days=60))
        if scenario.has_positions:
            portfolio.open_all(self.account, self.market, started_at)

    @property
    def terms(self) -> Terms:
        """What the account is entitled to."""
        return self.streams.terms

    def at(self, now: float) -> dt.datetime:
        """The simulated instant at `now`."""
        return self.clock.at(now)

    def tick(self, now: float) -> None:
        """Do all there is to do at `now`."""
        at = self.clock.at(now)
        moving = self.clock.is_open(at) and not self.is_frozen
        subscribed = self.streams.subscribed()
        for symbol in subscribed:
            self.market.watch(symbol)
        quotes = [quote for quote in self.market.advance(at.timestamp(), moving=moving) if quote.symbol in subscribed]
        self.publish([*quotes, *self._burst(sorted(subscribed), at, now)], now)
        self.streams.tick(now)
        self._strike_account(now)

    def publish(self, quotes: Sequence[Quote], now: float) -> None:
        """Send `quotes`, and a trade now and then, to who subscribed to them."""
        if quotes:
            trades = [
                Encoded(symbol=quote.symbol, body=wire.encode(wire.trade_message(quote)), channel="trades")
                for quote in quotes
                if self._chance.random() < _TRADE_SHARE
            ]
            self.streams.offer([*self._distortion.encode(quotes, now), *trades], now)

    def fill(self, changes: Sequence[tuple[str, int, Any]], now: float) -> dict[str, Any]:
        """Change holdings by a filled order, and send its trade update; returns it."""
        update = self.account.trade(changes, self.clock.at(now))
        self.streams.update(update, now)
        return update

    def push(self, quotes: Sequence[Quote], now: float, *, hold: bool = False) -> None:
        """Make `quotes` the latest and send them at once; with `hold` their symbols stand until released."""
        self.market.pin(quotes, hold=hold)
        subscribed = self.streams.subscribed()
        self.publish([quote for quote in quotes if quote.symbol in subscribed], now)

    def strike(
        self, fault: str, now: float, *, count: int | None = None, seconds: float | None = None, **args: object
    ) -> None:
        """Let `fault` strike from now on; what is live is struck before this returns.

        Raises:
            NotFound: there is no such fault.
        """
        self.faults.activate(fault, now, count=count, seconds=seconds, **args)
        self.tick(now)

    def add_new_leg(self, symbol: str | None = None) -> None:
        """Hold one contract more: `symbol`, or a strike above one that is held already."""
        held = self.account.holdings
        above = (f"{each[:-8]}{int(each[-8:]) + 5000:08d}" for each in sorted(held) if held[each].multiplier > 1)
        wanted = symbol or next((each for each in above if each not in held), None)
        if wanted is not None:
            self.account.put(wanted, 1)

    def _burst(self, subscribed: Sequence[str], at: dt.datetime, now: float) -> list[Quote]:
        passed, self._burst_since = now - self._burst_since, now
        if not subscribed or self.faults.strike("burst", now) is None:
            return []
        count = int(min(passed, 1.0) * _BURST_PER_SECOND)
        start_ns = int(at.timestamp() * 1e9)
        quotes = []
        for number in range(count):
            quote = self.market.latest(subscribed[number % len(subscribed)])
            if quote is not None:
                quotes.append(msgspec.structs.replace(quote, at_ns=start_ns + number))
        return quotes

    def _strike_account(self, now: float) -> None:
        if "account" not in self.faults.places(now):
            return
        for name in ("position-vanish", "position-halve", "position-flip"):
            args = self.faults.strike(name, now)
            if args is not None:
                self._change_position(name, args.get("symbol"), now)

    def _change_position(self, name: str, symbol: str | None, now: float) -> None:
        least = 2 if name == "position-halve" else 1
        fitting = [
            each
            for each in self.account.holdings.values()
            if symbol == each.symbol or (symbol is None and each.multiplier > 1 and abs(each.quantity) >= least)
        ]
        if not fitting:
            return
        held = min(fitting, key=lambda each: each.symbol)
        if name == "position-vanish":
            self.account.vanish(held.symbol, "OPASN" if held.quantity < 0 else "OPEXP", self.clock.at(now))
        elif name == "position-halve":
            self.account.put(held.symbol, int(held.quantity / 2))
        else:
            self.account.put(held.symbol, -held.quantity)


def _before_open(at: dt.datetime) -> dt.datetime:
    """A minute before the open of the trading day that `at` falls on, or of the next one."""
    local = at.astimezone(NEW_YORK)
    while local.weekday() >= 5:
        local += dt.timedelta(days=1)
    return local.replace(hour=9, minute=29, second=0, microsecond=0).astimezone(dt.UTC)
