"""Keeps what the daemon knows of Alpaca true: two links, six readings by REST, and one status that tells.

Rules: a reading is due when somebody asks, and after its period anyway, so that nothing rests on a stream alone; a
failed one keeps what was last read and says so. Positions wait for nothing else: what contracts and orders tell is
applied to those last read, whenever it comes; but new contracts are subscribed before they are shown. Once a second
the status is put together from the state of everything, which is also the sign of life that `stuck` looks at. If a
task of the supervisor ends, the daemon ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable

import msgspec

from condord.core.position import Holdings
from condord.live import wire
from condord.live.link import Link, LinkSettings
from condord.parts import lasting
from condord.upstream.contracts import ContractReader
from condord.upstream.health import Health
from condord.upstream.history import HistoryReader
from condord.upstream.hours import HoursReader
from condord.upstream.option_stream import OptionStream
from condord.upstream.ports import Brokerage, Desk, Login
from condord.upstream.quotes import POLL_SECONDS, QuoteReader
from condord.upstream.store import Store
from condord.upstream.trade_updates import TradeUpdates

PULSE_SECONDS = 1.0
TRADE_DEBOUNCE_SECONDS = 0.1

HISTORY_SECONDS = 180.0
"""Orders are read when the trading stream tells of one; this is for what it has not told."""
RETRY_SECONDS = 5.0
"""How soon a reading that failed is due again; while the breaker is open that asks nobody."""
LAPSE_SECONDS = 15.0
"""How long quotes by REST that the stream lacks may fail before they are unconfirmed."""
SLEEP_SECONDS = 5.0
"""If the clock has gone on so much without us, what is known is that old."""
SUBSCRIBE_SECONDS = 1.0
"""How long new contracts are held back until the stream has answered for them."""
HOPE_SECONDS = 60.0
"""How often symbols that Alpaca does not stream are asked for again."""
DOUBT_SECONDS = 10.0
"""How often at most the clock is read again because quotes are at odds with it."""
STUCK_SECONDS = 30.0
"""So long after its time something has not happened that nothing can hold up but a bug."""


class SupervisorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the streams are, what the status calls the source, and bounds in seconds."""

    source: wire.Source
    feed: wire.Feed
    option_stream_url: str
    trading_stream_url: str
    symbol_limit: int
    refresh_seconds: float
    silence_seconds: float
    backoff_min_seconds: float
    backoff_max_seconds: float


class _Reading:
    """One kind of REST reading: due at once when asked for, and every `period` seconds anyway, or soon if it failed."""

    def __init__(self, read: Callable[[], Awaitable[bool]], period: float) -> None:
        self.period = period
        self._read = read
        self._is_good = True
        self._asked = asyncio.Event()
        self._asked.set()

    def ask(self) -> None:
        """Read soon; asking during a reading starts another one after it."""
        self._asked.set()

    async def run(self, pause: float = 0.0) -> None:
        """Read until cancelled; `pause` seconds gather what is asked for in a burst."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.period if self._is_good else min(self.period, RETRY_SECONDS)):
                    await self._asked.wait()
            await asyncio.sleep(pause)
            self._asked.clear()
            self._is_good = await self._read()


class Supervisor:
    """`now_at` is the wall clock (UTC), `chance` a number from 0 to 1 for jitter."""

    def __init__(
        self,
        settings: SupervisorSettings,
        *,
        brokerage: Brokerage,
        desk: Desk,
        login: Login,
        store: Store,
        now_at: Callable[[], dt.datetime],
        chance: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._brokerage = brokerage
        self._desk = desk
        self._login = login
        self._now_at = now_at
        self._underlyings: set[str] = set()
        self._read_at: dt.datetime | None = None
        self._held: Holdings | None = None
        self._hours = HoursReader(brokerage=brokerage, now_at=now_at)
        self._take_account(store)
        self._positions = _Reading(self._read_positions, settings.refresh_seconds)
        self._quotes = _Reading(self._read_quotes, settings.refresh_seconds)
        self._polls = _Reading(self._poll_quotes, POLL_SECONDS)
        self._clock = _Reading(self._read_clock, settings.refresh_seconds)
        self._lookups = _Reading(self._read_contracts, settings.refresh_seconds)
        self._orders = _Reading(self._read_orders, max(settings.refresh_seconds, HISTORY_SECONDS))
        self.stream = OptionStream(
            Link(_link_settings(settings, "the option stream"), chance=chance),
            url=settings.option_stream_url,
            login=login,
            symbol_limit=settings.symbol_limit,
            desk=desk,
            now_at=now_at,
            newer=self._has_newer,
            live=self._quotes.ask,
            changed=self.tell,
        )
        self.trades = TradeUpdates(
            Link(_link_settings(settings, "the trading stream", pong_proves=True), chance=chance),
            url=settings.trading_stream_url,
            login=login,
            traded=self._traded,
            changed=self.tell,
        )
        self._quoting = QuoteReader(brokerage=brokerage, desk=desk, stream=self.stream)
        self._health = Health(stream=self.stream, trades=self.trades, quotes=self._quoting, now_at=now_at)
        self._built = self.beat = self._hoped = self._polled = self.stream.now()
        self._beat_at = now_at()
        self._doubted = -DOUBT_SECONDS

    async def run(self) -> None:
        """Work until cancelled; raises what a task of ours could not handle, which is a bug."""
        async with asyncio.TaskGroup() as tasks:
            for work in (
                self._pulse(),
                self._clock.run(),
                self._positions.run(TRADE_DEBOUNCE_SECONDS),
                self._quotes.run(),
                self._polls.run(),
                self._lookups.run(),
                self._orders.run(TRADE_DEBOUNCE_SECONDS),
                self.stream.run(),
                self.trades.run(),
            ):
                tasks.create_task(lasting(work))

    def refresh(self) -> None:
        """Read everything again, now; contracts only those not known."""
        for reading in (self._positions, self._quotes, self._clock, self._lookups, self._orders):
            reading.ask()

    def retry(self) -> None:
        """Try halted and waiting links, and REST, again, now."""
        self.stream.retry()
        self.trades.retry()
        self.refresh()

    def reload(self, settings: SupervisorSettings, login: Login, store: Store) -> None:
        """Take other bounds; connect anew where the key or an address is another one.

        Another key may be of another account: what was read with the last one is forgotten, `store` is the new one's.
        The source waits for a restart.
        """
        before, self.settings = self.settings, settings
        is_other_key = (login.key_id, login.secret_key) != (self._login.key_id, self._login.secret_key)
        self._login = login
        for line in (self.stream, self.trades):
            line.link.settings = _link_settings(
                settings, line.link.settings.name, pong_proves=line.link.settings.pong_proves
            )
        self.stream.allow(settings.symbol_limit)
        if is_other_key:
            self._held = None
            self._take_account(store)
            self.refresh()
        if is_other_key or settings.option_stream_url != before.option_stream_url:
            self.stream.reload(login, settings.option_stream_url)
        if is_other_key or settings.trading_stream_url != before.trading_stream_url:
            self.trades.reload(login, settings.trading_stream_url)

    @property
    def refused(self) -> dict[str, int]:
        """What could not be read of what Alpaca sent, by kind, over all connections."""
        return {**self.stream.refused, **self.trades.refused, **self._brokerage.refused}

    def stuck(self, now: float) -> str | None:
        """What has made no progress for so long that only a bug can be the reason, or None; `now` in loop seconds."""
        if now > self.beat + STUCK_SECONDS:
            return f"the supervisor has not turned for {now - self.beat:.0f} s"
        for line in (self.stream, self.trades):
            late = now - max(line.link.deadline, self._built)
            if late > STUCK_SECONDS:
                return f"{line.link.settings.name} is {line.link.state} {late:.0f} s after its deadline"
        return None

    @property
    def is_ready(self) -> bool:
        """Whether positions were read and the stream is live or closed."""
        return self._read_at is not None and self.status().state in ("live", "closed")

    def status(self) -> wire.Status:
        """What can be trusted now."""
        return self._health.status(
            source=self.settings.source,
            feed=self.settings.feed,
            market=self._hours.market(self._underlyings),
            read_at=self._read_at,
            breaker=self._brokerage.breaker,
            trouble=self._brokerage.trouble,
        )

    def tell(self) -> None:
        """Give the desk the status as it is now."""
        self._desk.set_status(self.status())

    def _take_account(self, store: Store) -> None:
        """Begin with what `store` has kept of an account."""
        self._contracts = ContractReader(
            brokerage=self._brokerage, store=store, now_at=self._now_at, learned=self._apply
        )
        self._history = HistoryReader(brokerage=self._brokerage, store=store, now_at=self._now_at, learned=self._apply)

    def _noting(self, what: str) -> contextlib.AbstractContextManager[None]:
        return self._health.noting(what, self.tell)

    async def _pulse(self) -> None:
        """Once a second: what only time brings about, and the status."""
        while True:
            now = self._note_time()
            is_open = self._hours.is_open(self._underlyings) is True
            self.stream.watch(is_expecting=is_open and bool(self.stream.streamed))
            self._set_periods(is_open=is_open)
            self._keep_time(now)
            if is_open and now > self._polled + max(LAPSE_SECONDS, 3 * self._quoting.poll_seconds):
                self._desk.lapse(self._quoting.lacking)
            if not self.stream.missing:
                self._hoped = now
            elif now >= self._hoped + HOPE_SECONDS:
                self._hoped = now
                self.stream.hope()
            self.tell()
            await asyncio.sleep(PULSE_SECONDS)

    def _note_time(self) -> float:
        """The loop's time of this beat; where the last is long ago, nothing is known since: we or the machine slept."""
        now, now_at = self.stream.now(), self._now_at()
        if max(now - self.beat, (now_at - self._beat_at).total_seconds()) > PULSE_SECONDS + SLEEP_SECONDS:
            self._desk.gap()
            self._quotes.ask()
        self.beat, self._beat_at = now, now_at
        return now

    def _set_periods(self, *, is_open: bool) -> None:
        refresh_seconds = self.settings.refresh_seconds
        self._polls.period = self._quoting.poll_seconds
        self._quotes.period = (
            self._quoting.read_seconds(refresh_seconds, self.settings.silence_seconds) if is_open else refresh_seconds
        )

    def _keep_time(self, now: float) -> None:
        """Tell the desk what time it is at the exchange; quotes that are at odds with it have the clock read again."""
        exchange_time = self._hours.exchange_time
        if exchange_time is not None:
            self._desk.set_exchange_time(exchange_time)
        if now >= self._doubted + DOUBT_SECONDS and self._desk.doubts_clock():
            self._doubted = now
            self._clock.ask()

    async def _read_clock(self) -> bool:
        with self._noting("clock"):
            await self._hours.read_clock()
        self._keep_time(self.stream.now())
        with self._noting("calendar"):
            await self._hours.read_calendar()
        return self._health.is_good("clock", "calendar")

    async def _read_positions(self) -> bool:
        login = self._login
        with self._noting("positions"):
            held = await self._brokerage.holdings()
            if login is not self._login:
                return True  # it is the account of a key that is no more, and another reading is asked for
            await self._subscribe(held)
            self._held = held
            self._read_at = self._now_at()
            self._apply()
            self._lookups.ask()
        return self._health.is_good("positions")

    async def _subscribe(self, held: Holdings) -> None:
        """Have new contracts streamed before they are shown, if the stream answers in time.

        Where there is no room for all, their order decides, which is known only when they are shown.
        """
        shown = self._desk.symbols
        new = {option.symbol for option in held.options if option.contract is not None}.difference(shown)
        if new and not self.stream.is_limited and len(shown) + len(new) <= self.settings.symbol_limit:
            self._desk.expect(new.union(shown))
            self._quotes.ask()
            self.stream.want((*shown, *sorted(new)))
            await self.stream.settled(SUBSCRIBE_SECONDS)

    async def _read_contracts(self) -> bool:
        with self._noting("contracts"):
            await self._contracts.read(lambda: self._desk.symbols)
        return self._health.is_good("contracts")

    async def _read_orders(self) -> bool:
        with self._noting("orders"):
            await self._history.read()
        return self._health.is_good("orders")

    async def _read_quotes(self) -> bool:
        with self._noting("quotes"):
            await self._quoting.read()
            self._polled = self.stream.now()
        return self._health.is_good("quotes")

    async def _poll_quotes(self) -> bool:
        with self._noting("poll"):
            if self._hours.is_open(self._underlyings) is True:
                await self._quoting.poll()
            self._polled = self.stream.now()
        return True

    async def _has_newer(self) -> bool:
        """The reader of quotes needs the stream, which is built before it."""
        return await self._quoting.has_newer()

    def _traded(self) -> None:
        """The account has changed, or may have."""
        self._positions.ask()
        self._orders.ask()

    def _apply(self) -> None:
        """Give the desk the positions as they were last read, with all that is known of them."""
        if self._held is None:
            return
        before = set(self._desk.symbols)
        options = self._contracts.contracts.applied(self._held.options)
        self._underlyings = {option.underlying or option.contract.root for option in options if option.contract}
        self._desk.set_positions(options, self._history.history.lots, self._held.stocks)
        self.stream.want(self._desk.symbols)
        if set(self._desk.symbols) - before:
            self._quotes.ask()


def _link_settings(settings: SupervisorSettings, name: str, *, pong_proves: bool = False) -> LinkSettings:
    return LinkSettings(
        name=name,
        silence_seconds=settings.silence_seconds,
        backoff_min_seconds=settings.backoff_min_seconds,
        backoff_max_seconds=settings.backoff_max_seconds,
        pong_proves=pong_proves,
    )
