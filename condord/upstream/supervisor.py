"""Keeps what the daemon knows of Alpaca true: two links, five readings by REST, and one status that tells.

Rules: a reading is due when somebody asks, and after `refresh_seconds` anyway, so that nothing rests on a stream
alone; a failed one keeps what was last read and says so. Positions wait for nothing else: what contracts and orders
tell is applied to those last read, whenever it comes. Once a second the status is put together from the state of
everything, which is also the sign of life that `beat` shows. If a task of the supervisor ends, the daemon ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from condord.core.position import Holdings
from condord.core.session import Clock, Hours, exchange_day, is_trading_at
from condord.live import wire
from condord.live.link import Link, LinkSettings
from condord.upstream.contracts import ContractReader
from condord.upstream.faults import RestFault
from condord.upstream.history import HistoryReader
from condord.upstream.option_stream import OptionStream
from condord.upstream.ports import Brokerage, Desk, Login
from condord.upstream.store import Store
from condord.upstream.trade_updates import TradeUpdates

PULSE_SECONDS = 1.0
TRADE_DEBOUNCE_SECONDS = 0.1

HISTORY_SECONDS = 180.0
"""Orders are read when the trading stream tells of one; this is for what it has not told."""

_READINGS = ("positions", "quotes", "clock")
_EXTRAS: dict[str, tuple[wire.NoticeCode, str]] = {
    "contracts": ("contractsUnavailable", "contracts cannot be looked up, so multipliers may be assumed: "),
    "calendar": ("calendarUnavailable", "the calendar cannot be read, so all options are taken to close with stocks: "),
    "orders": ("ordersUnavailable", "the order history cannot be read, so condors are grouped by structure: "),
}
_LEVELS: dict[wire.State, int] = {
    "starting": logging.INFO,
    "live": logging.INFO,
    "closed": logging.INFO,
    "stale": logging.WARNING,
    "reconnecting": logging.WARNING,
    "halted": logging.ERROR,
}

_log = logging.getLogger(__name__)


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


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a reading fails, and since when."""

    error: wire.RestError
    since: dt.datetime


class _Reading:
    """One kind of REST reading: due at once when asked for, and every `period` seconds anyway."""

    def __init__(self, read: Callable[[], Awaitable[None]], period: float) -> None:
        self.period = period
        self._read = read
        self._asked = asyncio.Event()
        self._asked.set()

    def ask(self) -> None:
        """Read soon; asking during a reading starts another one after it."""
        self._asked.set()

    async def run(self, pause: float = 0.0) -> None:
        """Read until cancelled; `pause` seconds gather what is asked for in a burst."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.period):
                    await self._asked.wait()
            await asyncio.sleep(pause)
            self._asked.clear()
            await self._read()


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
        self.beat = 0.0
        self._brokerage = brokerage
        self._desk = desk
        self._now_at = now_at
        self._clock: Clock | None = None
        self._underlyings: set[str] = set()
        self._session: Hours | None = None
        self._session_day: dt.date | None = None
        self._read_at: dt.datetime | None = None
        self._held: Holdings | None = None
        self._failures: dict[str, _Failure] = {}
        self._shown: tuple[wire.State, wire.Code | None, str | None] = ("starting", None, None)
        self._since = now_at()
        self._positions = _Reading(self._read_positions, settings.refresh_seconds)
        self._quotes = _Reading(self._read_quotes, settings.refresh_seconds)
        self._hours = _Reading(self._read_clock, settings.refresh_seconds)
        self._lookups = _Reading(self._read_contracts, settings.refresh_seconds)
        self._orders = _Reading(self._read_orders, max(settings.refresh_seconds, HISTORY_SECONDS))
        self._contracts = ContractReader(brokerage=brokerage, store=store, now_at=now_at, learned=self._apply)
        self._history = HistoryReader(brokerage=brokerage, store=store, now_at=now_at, learned=self._apply)
        self.stream = OptionStream(
            Link(self._link_settings("the option stream"), chance=chance),
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
            Link(self._link_settings("the trading stream"), chance=chance),
            url=settings.trading_stream_url,
            login=login,
            traded=self._traded,
            changed=self.tell,
        )

    async def run(self) -> None:
        """Work until cancelled; raises what a task of ours could not handle, which is a bug."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pulse())
            tasks.create_task(self._hours.run())
            tasks.create_task(self._positions.run(TRADE_DEBOUNCE_SECONDS))
            tasks.create_task(self._quotes.run())
            tasks.create_task(self._lookups.run())
            tasks.create_task(self._orders.run(TRADE_DEBOUNCE_SECONDS))
            tasks.create_task(self.stream.run())
            tasks.create_task(self.trades.run())

    def refresh(self) -> None:
        """Read everything again, now; contracts only those not known."""
        for reading in (self._positions, self._quotes, self._hours, self._lookups, self._orders):
            reading.ask()

    def retry(self) -> None:
        """Try halted and waiting links again, now."""
        self.stream.retry()
        self.trades.retry()

    def reconfigure(self, settings: SupervisorSettings) -> None:
        """Take other bounds for silence and backoff; the rest of `settings` waits for a restart."""
        for line in (self.stream, self.trades):
            line.link.settings = msgspec.structs.replace(
                line.link.settings,
                silence_seconds=settings.silence_seconds,
                backoff_min_seconds=settings.backoff_min_seconds,
                backoff_max_seconds=settings.backoff_max_seconds,
            )

    @property
    def is_ready(self) -> bool:
        """Whether positions were read and the stream is live or closed."""
        return self._read_at is not None and self.status().state in ("live", "closed")

    def status(self) -> wire.Status:
        """What can be trusted now."""
        link = self.stream.link
        state, reason, code = self._stream_state()
        told = None if state == "stale" else reason
        if (state, code, told) != self._shown:
            if state != self._shown[0]:
                self._since = self._now_at()
            self._shown = (state, code, told)
            fields = {"state": state, "code": code, "reason": reason}
            _log.log(_LEVELS[state], "Option stream changed state", extra={"fields": fields})
        return wire.Status(
            state=state,
            reason=reason,
            code=code,
            since=self._since,
            source=self.settings.source,
            feed=self.settings.feed,
            market=self._market(),
            stream=wire.Stream(
                connected=link.state in ("live", "stale"),
                subscribed=self.stream.subscribed,
                requested=len(self.stream.symbols),
                reconnects=link.reconnects,
                last_message_at=self.stream.heard_at,
            ),
            positions=wire.Positions(
                read_at=self._read_at,
                error=next((self._failures[what].error for what in _READINGS if what in self._failures), None),
                breaker=self._brokerage.breaker,
            ),
            notices=[
                wire.Notice(code=code, text=text + failure.error.text, symbols=[], since=failure.since)
                for what, (code, text) in _EXTRAS.items()
                if (failure := self._failures.get(what)) is not None
            ],
        )

    def tell(self) -> None:
        """Give the desk the status as it is now."""
        self._desk.set_status(self.status())

    def _stream_state(self) -> tuple[wire.State, str | None, wire.Code | None]:
        link = self.stream.link
        state = link.public_state
        if state == "live" and self._is_open() is False:
            state = "closed"
        if link.fault is not None:
            return state, link.fault.reason, link.fault.code
        if self.stream.is_limited and state in ("live", "closed"):
            text = (
                f"Alpaca streams {self.stream.subscribed} of {len(self.stream.symbols)} symbols;"
                f" the others are read by REST every {self.settings.refresh_seconds:g} s"
            )
            return state, text, "symbolLimit"
        return state, None, None

    def _market(self) -> wire.Market:
        if self._clock is None:
            return wire.Market(is_open=None, next_open=None, next_close=None)
        return wire.Market(is_open=self._is_open(), next_open=self._clock.next_open, next_close=self._clock.next_close)

    def _is_open(self) -> bool | None:
        if self._clock is None:
            return None
        return is_trading_at(self._clock, self._session, self._now_at(), self._underlyings)

    def _link_settings(self, name: str) -> LinkSettings:
        return LinkSettings(
            name=name,
            silence_seconds=self.settings.silence_seconds,
            backoff_min_seconds=self.settings.backoff_min_seconds,
            backoff_max_seconds=self.settings.backoff_max_seconds,
        )

    async def _pulse(self) -> None:
        """Once a second: watch for silence only while something should come, and tell the status."""
        while True:
            self.stream.watch(is_expecting=self._is_open() is True and self.stream.subscribed > 0)
            self.beat = self.stream.now()
            self.tell()
            await asyncio.sleep(PULSE_SECONDS)

    async def _read_clock(self) -> None:
        with self._noting_failure("clock"):
            self._clock = await self._brokerage.clock()
        today = exchange_day(self._now_at())
        if self._session_day != today:
            with self._noting_failure("calendar"):
                self._session, self._session_day = await self._brokerage.trading_day(today), today

    async def _read_positions(self) -> None:
        with self._noting_failure("positions"):
            self._held = await self._brokerage.holdings()
            self._read_at = self._now_at()
            self._apply()
            self._lookups.ask()

    async def _read_contracts(self) -> None:
        with self._noting_failure("contracts"):
            await self._contracts.read(lambda: self._desk.symbols)

    async def _read_orders(self) -> None:
        with self._noting_failure("orders"):
            await self._history.read()

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

    async def _read_quotes(self) -> None:
        symbols = self._desk.symbols
        with self._noting_failure("quotes"):
            self._desk.confirm(await self._brokerage.quotes(symbols) if symbols else ())

    async def _has_newer(self) -> bool:
        """Whether REST knows a newer quote than the silent stream has brought; False where REST cannot say."""
        try:
            ticks = await self._brokerage.quotes(self._desk.symbols)
        except RestFault:
            return False
        return self._desk.has_older(ticks)

    @contextlib.contextmanager
    def _noting_failure(self, what: str) -> Iterator[None]:
        """A reading may fail: what was last read stays, and the status says why until it succeeds again."""
        try:
            yield
        except RestFault as fault:
            before = self._failures.get(what)
            error = wire.RestError(code=fault.code, text=fault.text)
            self._failures[what] = _Failure(error=error, since=before.since if before else self._now_at())
            if before is None or before.error.code != fault.code:
                fields = {"reading": what, "code": fault.code, "reason": fault.text}
                _log.warning("REST reading failed", extra={"fields": fields})
        else:
            if self._failures.pop(what, None) is not None:
                _log.info("REST reading works again", extra={"fields": {"reading": what}})
        self.tell()
