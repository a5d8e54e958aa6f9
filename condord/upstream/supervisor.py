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
from condord.upstream.account_polls import AccountPolls
from condord.upstream.applied_positions import AppliedPositions
from condord.upstream.health import Health
from condord.upstream.hours_polls import HoursPolls
from condord.upstream.interfaces import Brokerage, Login, Sink, TradeSink
from condord.upstream.market_hours import HoursReader
from condord.upstream.market_supervisor import MarketSupervisor
from condord.upstream.option_stream import OptionStream
from condord.upstream.quote_polls import QuotePolls
from condord.upstream.quote_reader import QuoteReader
from condord.upstream.state_files import Store
from condord.upstream.status_publisher import StatusPublisher
from condord.upstream.supervisor_settings import (
    SUBSCRIBE_SECONDS,
    SupervisorSettings,
    link_settings,
    set_bounds,
)
from condord.upstream.trade_updates import TradeUpdates


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
        self._hours_polls = HoursPolls(
            self._hours,
            sink=sink,
            refresh_seconds=settings.refresh_seconds,
            noting=self._noting,
            is_good=self._is_good,
        )
        self._applied = AppliedPositions(
            sink=sink,
            identity=self._identity,
            memory=self._memory,
            hours=self._hours,
            now_at=now_at,
            has_learned=has_learned,
            request_splits=lambda: self._account_polls.ask_activities(),  # noqa: PLW0108 - it is built after this
            applied=self._follow_positions,
        )
        self._account_polls = AccountPolls(
            brokerage=brokerage,
            sink=sink,
            identity=self._identity,
            memory=self._memory,
            applied=self._applied,
            refresh_seconds=settings.refresh_seconds,
            login=lambda: self._login,
            prepare=self._subscribe,
            recognized=lambda: self.market.recognize(),  # noqa: PLW0108 - it is built after this
            noting=self._noting,
            is_good=self._is_good,
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
            unneeded=self._unneeded,
            is_good=self._is_good,
        )
        self._health = Health(
            stream=self.stream,
            trades=self.trades,
            quotes=self._quote_reader,
            stocks_fault=lambda: self.market.fault,
            stocks_doubt=lambda: self.market.doubt,
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
                *self._hours_polls.tasks(),
                *self._account_polls.tasks(),
                *self._quotes.tasks(),
                self._applied.apply_all(),
                self._identity.save_names(),
                self._memory.save_changes(),
                self.stream.run(),
                self.trades.run(),
                *self.market.tasks(),
            ):
                tasks.create_task(lasting(work))

    def refresh(self) -> None:
        """Read everything again now, but the account and contracts only if they are not known yet."""
        self._hours_polls.ask()
        self._account_polls.ask()
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
        self._hours_polls.pass_time()
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
        # Another calendar may settle contracts, which is published with the status even if that stays the same.
        return self._health.noting(what, self.publish_status if what == "calendar" else self._status.publish_change)

    def _unneeded(self, what: str) -> None:
        self._health.unneeded(what, self._status.publish_change)

    def _is_good(self, reading: str) -> bool:
        return self._health.is_good(reading)

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
                self._hours_polls.ask()
            elif action == "lapse":
                self._sink.lapse(self._quote_reader.lacking)
            else:
                self.stream.subscribe_again()

    def _is_open(self, symbols: Iterable[str]) -> bool:
        """Whether any of these contracts is known to trade now; expired ones do not count."""
        expiries = {self._applied.expiries[symbol] for symbol in symbols if symbol in self._applied.expiries}
        return bool(expiries) and self._hours.is_open(expiries) is True

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

    def _traded(self) -> None:
        """Read everything that a fill may have changed."""
        self._account_polls.traded()
        self.market.traded()

    def _follow_positions(self, has_new: bool) -> None:  # noqa: FBT001 - the only argument of a callback
        """Stream and read the data for the positions that were just applied."""
        self.stream.want(self._sink.symbols)
        self.market.want()
        if has_new:
            self._quotes.ask()
        self._account_polls.ask_contracts()
        self.publish_status()
