"""Build the parts of the simulator, and advance them: the clock moves the market, and its quotes go to subscribers."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.core import occ
from condord.core.market_hours import LATE
from condord.simulator import orders, portfolio, wire
from condord.simulator.account import Account
from condord.simulator.clock import NEW_YORK, MarketClock
from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import Faults
from condord.simulator.holidays import closes_early, is_holiday
from condord.simulator.market import Market, SimulatedQuote
from condord.simulator.non_trade_events import EventKind, NonTradeEvent, NonTradeEvents, next_morning
from condord.simulator.past_path import PastPath
from condord.simulator.quote_encoder import QuoteEncoder
from condord.simulator.scenarios import Scenario
from condord.simulator.stock_feed import StockFeed
from condord.simulator.stocks import StockMarket
from condord.simulator.streams import Streams
from condord.simulator.wire import EncodedMessage
from condord.simulator.working_orders import WorkingOrders

TICK_SECONDS = 0.05
_BURST_PER_SECOND = 10_000
_TRADE_SHARE = 0.02
_UPDATES_AT_ONCE = 1_000
_FRIDAY = 4


class Simulation:
    """One account in one market, with its streams and faults; `now` is seconds of the loop clock."""

    def __init__(
        self, *, scenario: Scenario, seed: int, entitlements: Entitlements, started_at: dt.datetime, now: float
    ) -> None:
        started_at = _start_of(scenario, started_at)
        self.scenario = scenario
        self.started_at = started_at
        self.is_frozen = scenario.is_frozen
        self.clock = MarketClock(started_at=started_at, now=now, opening=scenario.opening, speed=scenario.speed)
        self.market = Market(
            seed=seed,
            at=started_at.timestamp(),
            rate=scenario.rate / scenario.speed,
            session_day=self.clock.session_day(started_at),
            expires_today=scenario.expires_today,
        )
        if scenario.ex_dividend:
            tomorrow = started_at.astimezone(NEW_YORK).date() + dt.timedelta(days=1)
            self.market.underlyings.set_next_dividend(scenario.ex_dividend, tomorrow)
        self.account = Account(self.market, name=str(seed))
        self.working_orders = WorkingOrders(self.account)
        self.non_trade_events = NonTradeEvents(self.account)
        self.faults = Faults()
        self.streams = Streams(entitlements=entitlements, faults=self.faults)
        self.requests: Counter[str] = Counter()
        self._encoder = QuoteEncoder(self.faults)
        self._random = random.Random(seed)  # noqa: S311 - trades, not secrets
        self._burst_since = now
        self.path = PastPath(
            self.market.underlyings,
            seed=seed,
            started_at=started_at.timestamp(),
            before=self.clock.session_before(self.market.underlyings.session_day),
            knots=portfolio.knots(self.market, started_at, scenario.portfolio),
        )
        self.stocks = StockMarket(self.market, seed=seed, path=self.path)
        self._advance_session(started_at)
        self._stock_feed = StockFeed(self.streams, self.faults, seed=seed)
        self.account.deposit(started_at - dt.timedelta(days=60))
        portfolio.open_positions(self.account, self.working_orders, self.path, started_at, scenario.portfolio)

    @property
    def entitlements(self) -> Entitlements:
        """The entitlements of the account; an open stream keeps those it had when it was opened."""
        return self.streams.entitlements

    @entitlements.setter
    def entitlements(self, entitlements: Entitlements) -> None:
        self.streams.entitlements = entitlements

    def at(self, now: float) -> dt.datetime:
        """The simulated instant at `now`."""
        return self.clock.at(now)

    def set_clock(self, at: dt.datetime, now: float) -> None:
        """Set the clock forward to `at` without moving the market."""
        self.clock.set_at(at, now)
        self.market.advance(at.timestamp(), moving=False)
        self.stocks.advance(at.timestamp(), moving=False)
        self._advance_account(now)

    def tick(self, now: float) -> None:
        """Carry out the actions due at `now`."""
        at = self.clock.at(now)
        self._advance_session(at)
        self._advance_account(now)  # before the market, so that a session's closes are the same everywhere
        self._advance_market(at, now)
        self.streams.tick(now)
        self._apply_account_faults(now)

    def publish(self, quotes: Sequence[SimulatedQuote], now: float) -> None:
        """Send `quotes`, and an occasional trade, to their subscribers."""
        if quotes:
            trades = [
                EncodedMessage(symbol=quote.symbol, body=wire.encode(wire.trade_message(quote)), channel="trades")
                for quote in quotes
                if self._random.random() < _TRADE_SHARE
            ]
            self.streams.offer([*self._encoder.encode(quotes, now), *trades], now)

    def fill(
        self,
        changes: Sequence[tuple[str, int, Any]],
        now: float,
        *,
        ordered: int | None = None,
        replaces: bool = False,
    ) -> dict[str, Any]:
        """Change holdings by a filled order (see `Account.trade`); send its trade update and return it."""
        update = self.account.trade(changes, self.clock.at(now), ordered=ordered, replaces=replaces)
        self.streams.send_update(update, now)
        return update

    def send_updates(self, updates: Sequence[dict[str, Any]], now: float) -> None:
        """Send trade updates, in order."""
        for update in updates:
            self.streams.send_update(update, now)

    def push(self, quotes: Sequence[SimulatedQuote], now: float, *, hold: bool = False) -> None:
        """Make `quotes` the latest and send them; with `hold`, their symbols stop moving until released."""
        stocks = [quote for quote in quotes if self.stocks.pin(quote, hold=hold)]
        options = [quote for quote in quotes if quote not in stocks]
        self.market.pin(options, hold=hold)
        subscribed = self.streams.subscribed()
        self.publish([quote for quote in options if quote.symbol in subscribed], now)
        self._stock_feed.publish(stocks, now)

    def release(self) -> None:
        """Let every pinned symbol move again."""
        self.market.release()
        self.stocks.release()

    def set_spots(self, spots: Mapping[str, float], now: float, *, hold: bool = False) -> None:
        """Set the prices of underlyings and quote everything on them again; with `hold`, they stay until released.

        Raises:
            KeyError: there is no such underlying. Nothing has changed.
        """
        unknown = [name for name in spots if self.market.spot(name) is None]
        if unknown:
            raise KeyError(unknown[0])
        subscribed = self.streams.subscribed()
        for name, price in spots.items():
            quotes = self.market.set_spot(name, price, hold=hold)
            self.publish([quote for quote in quotes if quote.symbol in subscribed], now)
        self._stock_feed.publish(self.stocks.requote(spots), now)

    def release_spots(self) -> None:
        """Let every price of an underlying that is held move again."""
        self.market.underlyings.release()

    def inject(
        self, fault: str, now: float, *, count: int | None = None, seconds: float | None = None, **args: object
    ) -> None:
        """Activate `fault`; live connections are affected before this returns.

        Raises:
            NotFound: there is no such fault.
        """
        self.faults.activate(fault, now, count=count, seconds=seconds, **args)
        self.tick(now)

    def add_new_leg(self, symbol: str | None = None) -> None:
        """Add one contract to the account: `symbol`, or the strike above one that is held."""
        held = self.account.holdings
        options = [option for option in sorted(held) if held[option].multiplier > 1]
        above = (f"{option[:-8]}{int(option[-8:]) + 5000:08d}" for option in options)
        added = symbol or next((option for option in above if option not in held), None)
        if added is not None:
            self.account.set_position(added, 1)

    def _advance_session(self, at: dt.datetime) -> None:
        """Begin the session of `at` unless it has begun, and end it once it is over."""
        day, underlyings = self.clock.session_day(at), self.market.underlyings
        # A market that was open on a Sunday and keeps the exchange's hours from then on does not go back to Friday.
        if day > underlyings.session_day:
            before = max(self.clock.session_before(day), underlyings.session_day)
            underlyings.begin_session(day)
            self.stocks.begin_session(day, before)
        close_at = self.clock.session_close(day)
        if close_at is not None and at >= close_at and not underlyings.is_over:
            underlyings.end_session()

    def _advance_market(self, at: dt.datetime, now: float) -> None:
        """Move prices, and send the quotes and trades."""
        is_late = self.clock.is_late(at)
        moving = (is_late or self.clock.is_open(at)) and not self.is_frozen
        elapsed, self._burst_since = now - self._burst_since, now
        subscribed = self.streams.subscribed()
        for symbol in subscribed:
            self.market.watch(symbol)
        moved = self.market.advance(at.timestamp(), moving=moving, is_late=is_late)
        quotes = [quote for quote in moved if quote.symbol in subscribed]
        events = self.stocks.advance(at.timestamp(), moving=moving)
        self.publish([*quotes, *self._burst("option", subscribed, self.market.latest, elapsed, now)], now)
        stocks = self.streams.subscribed("stock")
        self._stock_feed.publish([*events, *self._burst("stock", stocks, self.stocks.quote, elapsed, now)], now)

    def _burst(
        self,
        stream: Literal["option", "stock"],
        symbols: Collection[str],
        latest_of: Callable[[str], SimulatedQuote | None],
        elapsed: float,
        now: float,
    ) -> list[SimulatedQuote]:
        """Copies of the latest quotes of `symbols` while the stream carries a burst."""
        if not symbols or self.faults.trigger("burst", now, stream=stream) is None:
            return []
        latest = [quote for symbol in sorted(symbols) if (quote := latest_of(symbol)) is not None]
        if not latest:
            return []
        count = int(min(elapsed, 1.0) * _BURST_PER_SECOND)
        start_ns = int(self.clock.at(now).timestamp() * 1e9)
        return [
            msgspec.structs.replace(latest[number % len(latest)], at_ns=start_ns + number) for number in range(count)
        ]

    def _advance_account(self, now: float) -> None:
        at = self.clock.at(now)
        self.account.advance(at, self.clock.session_close(self.account.closes.day))
        self.send_updates(self.working_orders.expire(at), now)

    def _apply_account_faults(self, now: float) -> None:
        if "account" not in self.faults.active_targets(now):
            return
        if self.faults.trigger("update-burst", now) is not None:
            newest: Mapping[str, Any] = next(reversed(self.account.orders), {})
            for number in range(_UPDATES_AT_ONCE):
                update = orders.order_update("order_cancel_rejected", newest, self.clock.at(now), number)
                self.streams.send_update(update, now)
        for name in ("position-vanish", "position-halve", "position-flip"):
            args = self.faults.trigger(name, now)
            if args is not None:
                self._change_position(name, args.get("symbol"), now)

    def _change_position(self, name: str, symbol: str | None, now: float) -> None:
        minimum = 2 if name == "position-halve" else 1
        candidates = [
            holding
            for holding in self.account.holdings.values()
            if symbol == holding.symbol
            or (symbol is None and holding.multiplier > 1 and abs(holding.quantity) >= minimum)
        ]
        if not candidates:
            return
        held = min(candidates, key=lambda holding: holding.symbol)
        if name == "position-vanish":
            kind: EventKind = "assign" if held.quantity < 0 else "expire"
            event = NonTradeEvent(kind=kind, symbol=occ.parse(held.symbol), moves_shares=False)
            self.non_trade_events.apply(event, at := self.clock.at(now), next_morning(at))
        elif name == "position-halve":
            self.account.set_position(held.symbol, int(held.quantity / 2))
        else:
            self.account.set_position(held.symbol, -held.quantity)


def _start_of(scenario: Scenario, at: dt.datetime) -> dt.datetime:
    """When the simulated time of `scenario` begins if the real time is `at`."""
    if scenario.start == "before-open":
        return _before_open(at)
    if scenario.start == "after-hours":
        return _after_hours(at)
    return _expiration_afternoon(at) if scenario.start == "expiration-afternoon" else at


def _before_open(at: dt.datetime) -> dt.datetime:
    """One minute before the open of the trading day of `at`, or of the next one."""
    local = at.astimezone(NEW_YORK)
    while local.weekday() > _FRIDAY or is_holiday(local.date()):
        local += dt.timedelta(days=1)
    return local.replace(hour=9, minute=29, second=0, microsecond=0).astimezone(dt.UTC)


def _after_hours(at: dt.datetime) -> dt.datetime:
    """`at`, but not before the last options of the day have stopped trading."""
    hours = MarketClock(started_at=at, now=0.0, opening="hours")
    close_at = hours.session_close(at.astimezone(NEW_YORK).date())
    return at if close_at is None else max(at, close_at + LATE)


def _expiration_afternoon(at: dt.datetime) -> dt.datetime:
    """15:00 in New York on the Friday of `at`, or on the next Friday that is neither a holiday nor a half day."""
    local = at.astimezone(NEW_YORK)
    while local.weekday() != _FRIDAY or is_holiday(local.date()) or closes_early(local.date()):
        local += dt.timedelta(days=1)
    return local.replace(hour=15, minute=0, second=0, microsecond=0).astimezone(dt.UTC)
