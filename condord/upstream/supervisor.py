"""The supervisor of the upstream, which runs two links and the polls over REST, and publishes one status.

A poll is due on request, and at the latest after its period, so that nothing depends only on a stream. After a failed
poll the last values stay, and the status contains the reason. Positions do not wait for contracts and orders, which are
applied to the last positions when they arrive. They wait briefly for the account id, because saved state belongs to an
account, and for the subscription of new contracts. The status is built once a second, and `stuck` checks that this
continues. When a task of the supervisor ends, the daemon ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from condord.core.position import Holdings
from condord.host.network import Network
from condord.live import wire
from condord.live.exchange_clock import ExchangeClock
from condord.live.freshness import TICK_SECONDS, Action, Freshness, TickInputs
from condord.live.link import Link
from condord.live.wire_risk import StocksJson
from condord.tasks import lasting
from condord.upstream.account_identity import AccountIdentity
from condord.upstream.account_memory import AccountMemory
from condord.upstream.applied_positions import AppliedPositions
from condord.upstream.health import Health
from condord.upstream.interfaces import Brokerage, Login, Sink, TradeSink
from condord.upstream.market_hours import HoursReader
from condord.upstream.market_supervisor import MarketSupervisor
from condord.upstream.option_stream import OptionStream
from condord.upstream.poller import Poller
from condord.upstream.quote_polls import QuotePolls
from condord.upstream.quote_reader import QuoteReader
from condord.upstream.state_files import Store
from condord.upstream.status_publisher import StatusPublisher
from condord.upstream.supervisor_settings import (
    HISTORY_SECONDS,
    SUBSCRIBE_SECONDS,
    SupervisorSettings,
    link_settings,
    set_bounds,
)
from condord.upstream.trade_updates import TradeUpdates

TRADE_DEBOUNCE_SECONDS = 0.1


class Supervisor:
    """`clock` is the exchange's, and is corrected here; `chance` returns a number from 0 to 1 for jitter."""

    def __init__(
        self,
        settings: SupervisorSettings,
        *,
        brokerage: Brokerage,
        sink: Sink,
        past: TradeSink,
        login: Login,
        network: Network,
        store: Store,
        clock: ExchangeClock,
        chance: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._brokerage = brokerage
        self._sink = sink
        self._login = login
        self._now_at = now_at = clock
        has_learned = asyncio.Event()
        self._hours = HoursReader(brokerage=brokerage, clock=clock)
        self._memory = AccountMemory(brokerage=brokerage, sink=sink, now_at=now_at, learned=has_learned.set)
        self._identity = AccountIdentity(
            brokerage=brokerage,
            sink=sink,
            memory=self._memory,
            store=store,
            source=settings.source,
            now_at=now_at,
            learned=has_learned.set,
            keep_days=lambda: self.settings.keep_days,
        )
        self._account = Poller(self._read_account, settings.refresh_seconds, backs_off=True)
        self._positions = Poller(self._read_positions, settings.refresh_seconds)
        self._clock = Poller(self._read_clock, settings.refresh_seconds)
        self._calendar = Poller(self._read_calendar, settings.refresh_seconds, is_due=False, backs_off=True)
        self._contracts = Poller(self._read_contracts, settings.refresh_seconds, backs_off=True)
        self._orders = Poller(self._read_orders, max(settings.refresh_seconds, HISTORY_SECONDS), backs_off=True)
        self._activities = Poller(self._read_activities, max(settings.refresh_seconds, HISTORY_SECONDS), backs_off=True)
        self._applied = AppliedPositions(
            sink=sink,
            identity=self._identity,
            memory=self._memory,
            hours=self._hours,
            now_at=now_at,
            has_learned=has_learned,
            request_splits=self._activities.ask,
            applied=self._follow_positions,
        )
        self._status = StatusPublisher(self.status, self.stocks, publish=sink.set_status)
        self.stream = OptionStream(
            Link(link_settings(settings, "the option stream"), chance=chance),
            url=settings.option_stream_url,
            login=login,
            network=network,
            symbol_limit=settings.symbol_limit,
            sink=sink,
            now_at=now_at,
            newer=lambda: self._quote_reader.has_newer(),  # noqa: PLW0108 - it is built after the stream
            live=lambda: self._quotes.ask(),  # noqa: PLW0108 - the same
            changed=self._status.publish_change,
        )
        self.trades = TradeUpdates(
            Link(link_settings(settings, "the trading stream", pong_counts_as_data=True), chance=chance),
            url=settings.trading_stream_url,
            login=login,
            network=network,
            traded=self._traded,
            changed=self._status.publish_change,
        )
        self._quote_reader = QuoteReader(brokerage=brokerage, sink=sink, stream=self.stream)
        self._quotes = QuotePolls(
            self._quote_reader,
            sink=sink,
            refresh_seconds=settings.refresh_seconds,
            is_open=lambda: self._is_open(self._applied.expiries),
            polled=lambda: self._freshness.polled(self.stream.now()),
            noting=self._noting,
            is_good=lambda reading: self._health.is_good(reading),  # noqa: PLW0108 - it is built after this
        )
        self._health = Health(
            stream=self.stream,
            trades=self.trades,
            quotes=self._quote_reader,
            stocks_fault=lambda: self.market.fault,
            now_at=now_at,
        )
        self.market = MarketSupervisor(
            settings,
            brokerage=brokerage,
            sink=sink,
            past=past,
            login=login,
            network=network,
            now_at=now_at,
            chance=chance,
            is_open=lambda: self._is_open(self._applied.expiries),
            identity=self._identity,
            health=self._health,
            changed=self._status.publish_change,
        )
        self._freshness = Freshness(self.stream.now(), clock.machine_at())

    async def run(self) -> None:
        """Run until cancelled. Raises the error that a task did not handle, which is a bug."""
        async with asyncio.TaskGroup() as tasks:
            for work in (
                self._tick(),
                self._clock.run(),
                self._calendar.run(),
                self._account.run(),
                self._identity.save_names(),
                self._positions.run(TRADE_DEBOUNCE_SECONDS),
                *self._quotes.tasks(),
                self._contracts.run(),
                self._applied.apply_all(),
                self._orders.run(TRADE_DEBOUNCE_SECONDS),
                self._activities.run(TRADE_DEBOUNCE_SECONDS),
                self._memory.save_changes(),
                self.stream.run(),
                self.trades.run(),
                *self.market.tasks(),
            ):
                tasks.create_task(lasting(work))

    def refresh(self) -> None:
        """Read everything again now, but the account and contracts only if they are not known yet."""
        for poller in (self._account, self._positions, self._clock, self._contracts, self._orders, self._activities):
            poller.ask()
        self._quotes.ask()
        self.market.ask()

    def retry(self) -> None:
        """Try halted and waiting links, and REST, again: now, or 2 s after the last retry."""
        self._carry_out(self._freshness.request_retry(self.stream.now()))

    def reload(self, settings: SupervisorSettings, login: Login) -> None:
        """Apply other settings; a stream whose key or URL has changed connects again.

        Another key may belong to another account, so what was read with the last one is dropped. The source changes
        only with a restart.
        """
        before, self.settings = self.settings, settings
        is_other_key = (login.key_id, login.secret_key) != (self._login.key_id, self._login.secret_key)
        self._login = login
        for runner in (self.stream, self.trades):
            set_bounds(runner.link, settings)
        self.stream.allow(settings.symbol_limit)
        if is_other_key:
            self._applied.forget()
            self._identity.invalidate()
            self.refresh()
        if is_other_key or settings.option_stream_url != before.option_stream_url:
            self.stream.reload(login, settings.option_stream_url)
        if is_other_key or settings.trading_stream_url != before.trading_stream_url:
            self.trades.reload(login, settings.trading_stream_url)
        self.market.reload(settings, login, is_other_key=is_other_key)

    @property
    def refused(self) -> dict[str, int]:
        """How many parts of Alpaca's messages could not be read, by kind, over all connections."""
        return {**self.stream.refused, **self.trades.refused, **self.market.refused, **self._brokerage.refused}

    def tick(self) -> None:
        """Do the work that time requires, and publish the status: once a second, and after a suspension."""
        is_open = self._is_open(self._applied.expiries)
        self.stream.watch(is_expecting=self._is_open(self.stream.streamed))
        self.market.tick()
        self._set_exchange_time()
        observed = TickInputs(
            is_open=is_open,
            is_missing=bool(self.stream.missing),
            is_clock_doubted=self._sink.doubts_clock(),
            poll_seconds=self._quote_reader.poll_seconds,
        )
        self._carry_out(self._freshness.tick(self.stream.now(), self._now_at.machine_at(), observed))
        refresh_seconds = self.settings.refresh_seconds
        self._quotes.set_periods(refresh_seconds, self.settings.silence_seconds if is_open else refresh_seconds)
        self.publish_status()

    @property
    def beat(self) -> float:
        """When the tick last ran, in seconds of the loop's clock."""
        return self._freshness.ticked

    def stuck(self, now: float) -> str | None:
        """The part that has made no progress for so long that it must be a bug, or None.

        `now` is in seconds of the loop's clock.
        """
        return self._freshness.stuck(now, (self.stream.link, self.trades.link, *self.market.links))

    @property
    def is_ready(self) -> bool:
        """Whether positions were read and the stream is live or closed."""
        return self._applied.read_at is not None and self.status().state in ("live", "closed")

    def status(self) -> wire.Status:
        """Return the status as of now."""
        return self._health.status(
            source=self.settings.source,
            feed=self.settings.feed,
            model=self.settings.model,
            market=self._hours.market(frozenset(self._applied.expiries.values())),
            read_at=self._applied.read_at,
            breaker=self._brokerage.breaker,
            pending_fault=self._brokerage.pending_fault,
            state_fault=self._memory.write_fault,
        )

    def stocks(self) -> StocksJson:
        """Return the status of the stock stream as of now."""
        is_closed = self._hours.is_open(frozenset(self._applied.expiries.values())) is False
        return self.market.status(is_closed=is_closed, is_read=self._applied.read_at is not None)

    def publish_status(self) -> None:
        """Pass the current status on, and log its changes."""
        self._status.publish()

    def _noting(self, what: str) -> contextlib.AbstractContextManager[None]:
        return self._health.noting(what, self._status.publish_change)

    async def _tick(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(TICK_SECONDS)

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if action == "gap":
                self._sink.gap()
                self.stream.doubt()
                self._quotes.ask()
                self.market.gap()
            elif action == "retry":
                self.stream.retry()
                self.trades.retry()
                self.market.retry()
                self.refresh()
            elif action == "readClock":
                self._clock.ask()
            elif action == "lapse":
                self._sink.lapse(self._quote_reader.lacking)
            else:
                self.stream.subscribe_again()

    def _is_open(self, symbols: Iterable[str]) -> bool:
        """Whether any of these contracts is known to trade now; expired ones do not count."""
        expiries = {self._applied.expiries[symbol] for symbol in symbols if symbol in self._applied.expiries}
        return bool(expiries) and self._hours.is_open(expiries) is True

    def _set_exchange_time(self) -> None:
        if (exchange_time := self._hours.exchange_time) is not None:
            self._sink.set_exchange_time(exchange_time)

    async def _read_clock(self) -> bool:
        with self._noting("clock"):
            await self._hours.read_clock()
        self._set_exchange_time()
        self._calendar.ask()
        return self._health.is_good("clock")

    async def _read_calendar(self) -> bool:
        # Not with the clock, which is vital and must not wait for a call that is not.
        with self._health.noting("calendar", self.publish_status):
            await self._hours.read_calendar()
            self._sink.set_calendar(self._hours.calendar)
        return self._health.is_good("calendar")

    async def _read_account(self) -> bool:
        with self._noting("account"):
            await self._identity.read()
        self.market.recognize()
        return self._health.is_good("account")

    async def _read_positions(self) -> bool:
        login = self._login
        with self._noting("positions"):
            held = await self._brokerage.holdings()
            await self._identity.wait()
            if login is not self._login:
                return True  # these belong to the account of the last key, and another poll is due
            await self._subscribe(held)
            self._applied.take(held)
        return self._health.is_good("positions")

    async def _subscribe(self, held: Holdings) -> None:
        """Subscribe to new contracts before they are shown, and wait for the answer, `SUBSCRIBE_SECONDS` at most.

        If there is not room for all, it does nothing: their rank once they are shown decides which ones are subscribed.
        """
        shown = self._sink.symbols
        new = {option.symbol for option in held.options if option.contract is not None}.difference(shown)
        if new and not self.stream.is_limited and len(shown) + len(new) <= self.settings.symbol_limit:
            self._sink.expect(new.union(shown))
            self._quotes.ask()
            self.stream.want((*shown, *sorted(new)))
            await self.stream.settled(SUBSCRIBE_SECONDS)

    async def _read_contracts(self) -> bool:
        with self._noting("contracts"):
            await self._identity.wait()
            await self._identity.known.contracts.read(lambda: self._sink.symbols)
        return self._health.is_good("contracts")

    async def _read_orders(self) -> bool:
        with self._noting("orders"):
            await self._identity.wait()
            await self._identity.known.orders.read()
        return self._health.is_good("orders")

    async def _read_activities(self) -> bool:
        with self._noting("activities"):
            await self._identity.wait()
            await self._memory.activity_reader.read()
        return self._health.is_good("activities")

    def _traded(self) -> None:
        """Read everything that a fill may have changed."""
        self._positions.ask()
        self._orders.ask()
        self._activities.ask()
        self.market.traded()

    def _follow_positions(self, has_new: bool) -> None:  # noqa: FBT001 - the only argument of a callback
        """Stream and read the data for the positions that were just applied."""
        self.stream.want(self._sink.symbols)
        self.market.want()
        if has_new:
            self._quotes.ask()
        self._contracts.ask()
        self.publish_status()
