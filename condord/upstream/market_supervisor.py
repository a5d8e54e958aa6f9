"""Run what risk figures, today's profit or loss and closed trades need: the stock stream, and the reads over REST.

The stock stream is connected only while stocks are needed. Nothing that fails here changes the state of the option
stream, or delays positions and quotes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from typing import Any

from condord.core.activity import Activity
from condord.core.underlying import StockSnapshot
from condord.host.network import Network
from condord.live.freshness import RESUBSCRIBE_SECONDS
from condord.live.link import SERVING, Link, LinkFault
from condord.live.wire_risk import StocksJson
from condord.tasks import lasting
from condord.upstream.account_identity import AccountIdentity
from condord.upstream.account_reader import AccountReader
from condord.upstream.awaited_bookings import AwaitedBookings
from condord.upstream.health import Health
from condord.upstream.interfaces import Brokerage, Login, Sink, TradeSink
from condord.upstream.market_reader import MarketReader
from condord.upstream.past_reader import WHOLE_SECONDS, PastReader
from condord.upstream.quote_stream import no_messages
from condord.upstream.rest_fault import RestFault
from condord.upstream.stock_stream import StockStream
from condord.upstream.stream_state import StateLog, StreamState, state_of
from condord.upstream.supervisor_settings import SupervisorSettings, link_settings, set_bounds


class MarketSupervisor:
    """`stream` is the stock stream while stocks are needed, else None.

    `is_open` returns whether any contract held trades now. `chance` returns a number from 0 to 1 for jitter, and
    `changed` is called when the status may have changed.
    """

    def __init__(
        self,
        settings: SupervisorSettings,
        *,
        brokerage: Brokerage,
        sink: Sink,
        past: TradeSink,
        login: Login,
        network: Network,
        now_at: Callable[[], dt.datetime],
        chance: Callable[[], float],
        is_open: Callable[[], bool],
        identity: AccountIdentity,
        health: Health,
        changed: Callable[[], None],
    ) -> None:
        self.stream: StockStream | None = None
        self._settings = settings
        self._brokerage = brokerage
        self._sink = sink
        self._login = login
        self._network = network
        self._now_at = now_at
        self._chance = chance
        self._is_open = is_open
        self._identity = identity
        self._health = health
        self._changed = changed
        self._is_needed = asyncio.Event()
        self._is_unneeded = asyncio.Event()
        self._complete = 0.0
        self._log = StateLog("Stock stream changed state", now_at)
        self._market = MarketReader(
            brokerage=brokerage,
            sink=sink,
            now_at=now_at,
            refresh_seconds=settings.refresh_seconds,
            held=lambda: sink.symbols,
            streamed=lambda: self.stream.delivered if self.stream else (),
            is_open=is_open,
            noting=self._noting,
            unneeded=self._unneeded,
            is_good=health.is_good,
        )
        self._account = AccountReader(
            brokerage=brokerage,
            sink=sink,
            now_at=now_at,
            refresh_seconds=settings.refresh_seconds,
            ready=identity.wait,
            origin=self._origin,
            noting=self._noting,
            is_good=health.is_good,
        )
        self._past = PastReader(
            brokerage=brokerage,
            sink=past,
            now_at=now_at,
            keep_days=lambda: self._settings.keep_days,
            noting=self._noting,
            unneeded=self._unneeded,
            is_good=health.is_good,
            date=self._date_orders,
        )
        self._awaited = AwaitedBookings(WHOLE_SECONDS)
        sink.set_stock_feed(settings.stock_feed)

    def tasks(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """The coroutines to run as tasks, each until cancelled."""
        return (self._stream_while_needed(), *self._market.tasks(), *self._account.tasks(), *self._past.tasks())

    def recognize(self) -> None:
        """Read the past of the account that the API key belongs to, if that is known."""
        self._past.switch_to(self._identity.known.key)

    def want(self) -> None:
        """Stream and read the data needed now; the first stock connects, and without any the connection ends."""
        stocks = self._sink.stocks
        if stocks:
            self._is_unneeded.clear()
            self._is_needed.set()
        else:
            self._is_needed.clear()
            self._is_unneeded.set()
        if self.stream is not None:
            self.stream.want(stocks)
        self._market.want()

    def ask(self) -> None:
        """Read everything again soon."""
        self._market.ask()
        self._account.ask()
        self._past.ask()

    def traded(self) -> None:
        """Read everything that an order event may have changed."""
        self._account.traded()
        self._past.traded()

    def gap(self) -> None:
        """Note that the machine was suspended: every price needs a confirmation."""
        self._sink.lapse_prices()
        self._market.ask()

    def retry(self) -> None:
        """Try a halted or waiting stream again now."""
        if self.stream is not None:
            self.stream.retry()

    def reload(self, settings: SupervisorSettings, login: Login, *, is_other_key: bool) -> None:
        """Apply other settings; the stream connects again if its key or URL has changed."""
        before, self._settings, self._login = self._settings, settings, login
        if settings.stock_feed != before.stock_feed:
            self._sink.set_stock_feed(settings.stock_feed)
        if self.stream is not None:
            set_bounds(self.stream.link, settings)
            self.stream.allow(settings.stock_symbol_limit)
            if is_other_key or settings.stock_stream_url != before.stock_stream_url:
                self.stream.reload(login, settings.stock_stream_url)
        if is_other_key:
            self._account.forget()
            self._past.switch_to(None)
        if is_other_key or settings.stock_feed != before.stock_feed:
            self._market.forget()

    def tick(self) -> None:
        """Do the work of each second that only the passage of time requires."""
        if self._awaited.is_due(self._sink.awaited_bookings, asyncio.get_running_loop().time()):
            self._past.ask()
        stream = self.stream
        if stream is None:
            return
        stream.watch(is_expecting=self._is_open() and bool(stream.streamed))
        now = stream.now()
        if not stream.missing:
            self._complete = now
        elif now >= self._complete + RESUBSCRIBE_SECONDS:
            self._complete = now
            stream.subscribe_again()

    @property
    def links(self) -> tuple[Link, ...]:
        """The link of the stream, once it has started."""
        return (self.stream.link,) if self.stream is not None and self.stream.link.state != "starting" else ()

    @property
    def fault(self) -> LinkFault | None:
        """Why the stream is not connected; None if it is, or is not needed.

        A silent connection may only be quiet: on the feed of one exchange, a stock may have no quote for minutes.
        """
        return None if self.stream is None or self.stream.link.state in SERVING else self.doubt

    @property
    def doubt(self) -> LinkFault | None:
        """Why the stream may give no prices: its `fault`, or its silence while it is connected."""
        return None if self.stream is None else self.stream.link.fault

    @property
    def refused(self) -> dict[str, int]:
        """How many parts of the stream's messages could not be read, by kind."""
        return self.stream.refused if self.stream is not None else {}

    @property
    def messages(self) -> dict[str, int]:
        """How many messages the stream has sent, by kind."""
        return self.stream.messages if self.stream is not None else no_messages()

    def status(self, *, is_closed: bool, is_read: bool) -> StocksJson:
        """The status of the stream; `is_closed`: the market is, and `is_read`: the positions were read."""
        stocks, stream = self._sink.stocks, self.stream
        if stream is not None and stocks:
            new = state_of(stream, is_closed=is_closed)
        else:
            new = StreamState("closed" if is_read and not stocks else "starting")
        self._log.note(new, asyncio.get_running_loop().time())
        streamed = stream.streamed if stream is not None and stream.link.public_state == "live" else frozenset()
        return StocksJson(
            state=new.state,
            code=new.code,
            reason=new.reason,
            since=self._log.since,
            stream=[stock for stock in stocks if stock in streamed],
            polled=[stock for stock in stocks if stock not in streamed],
        )

    def _origin(self, order_id: str) -> str:
        return self._identity.known.orders.history.origin(order_id)

    async def _date_orders(self, activities: Iterable[Activity]) -> None:
        await self._identity.known.orders.take_activities(activities)

    def _noting(self, what: str) -> AbstractContextManager[None]:
        return self._health.noting(what, self._changed)

    def _unneeded(self, what: str) -> None:
        self._health.unneeded(what, self._changed)

    async def _stream_while_needed(self) -> None:
        while True:
            await self._is_needed.wait()
            self.stream = stream = self._new_stream()
            stream.want(self._sink.stocks)
            self._complete = stream.now()
            try:
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(lasting(stream.run()))
                    await self._is_unneeded.wait()
                    running.cancel()
            finally:
                self.stream = None
            self._changed()

    def _new_stream(self) -> StockStream:
        settings = self._settings
        stream = StockStream(
            Link(link_settings(settings, "the stock stream"), chance=self._chance),
            url=settings.stock_stream_url,
            login=self._login,
            network=self._network,
            symbol_limit=settings.stock_symbol_limit,
            sink=self._sink,
            now_at=self._now_at,
            newer=lambda: self._has_newer(stream),
            live=self._market.ask,
            changed=self._changed,
        )
        return stream

    async def _has_newer(self, stream: StockStream) -> bool:
        """Whether REST has a newer quote than the silent stream; it raises as `QuoteReader.has_newer` does."""
        answered: list[StockSnapshot] = []
        try:
            await self._brokerage.stock_snapshots(sorted(stream.streamed), answered.extend)
        except RestFault:
            if not stream.has_missed(answered):
                raise
        finally:
            self._sink.confirm_stocks(answered)
        return stream.has_missed(answered)
