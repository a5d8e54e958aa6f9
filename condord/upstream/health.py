"""The public status: the state of the option stream, the failures of REST, and notices.

A failure is shown, with its start, until the same read or stream succeeds again. State, code and reason are about the
option stream only. Anything else that is missing is a notice. A change of state or code, and the start and the end of a
failure, are each logged once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec

from condord.core.occ import symbols_text
from condord.live import wire
from condord.live.link import LinkFault
from condord.live.wire_risk import ModelJson
from condord.upstream.option_stream import OptionStream
from condord.upstream.quote_reader import QuoteReader
from condord.upstream.rest_fault import RestFault
from condord.upstream.stream_state import StateLog, StreamState, state_of
from condord.upstream.trade_updates import TradeUpdates

LASTING = frozenset({"authFailed", "forbidden", "refused"})
"""The codes of failures that repeating the request does not end."""
_READINGS = ("positions", "quotes", "poll", "clock")
_EXTRAS: dict[str, tuple[wire.NoticeCode, str]] = {
    "contracts": ("contractsUnavailable", "contracts cannot be read, so multipliers may be assumed: "),
    "calendar": ("calendarUnavailable", "the calendar cannot be read, so every weekday counts as a full session: "),
    "activities": (
        "activitiesUnavailable",
        "activities or splits cannot be read, so assignments are inferred from positions and not confirmed: ",
    ),
    "account": ("accountUnavailable", "the account cannot be read, so nothing is kept across a restart: "),
    "balances": ("accountUnavailable", "the account's balances cannot be read: "),
    "workingOrders": ("ordersUnavailable", "working orders cannot be read, so closing orders are not shown: "),
    "dayFills": ("activitiesUnavailable", "today's fills cannot be read, so today's profit or loss is not known: "),
    "snapshots": ("snapshotsUnavailable", "Alpaca's own greeks cannot be read, so none stand in or are compared: "),
    "opposites": (
        "snapshotsUnavailable",
        "quotes of opposite contracts cannot be read, so contracts in the money may have no volatility: ",
    ),
    "indexes": ("stocksUnavailable", "the values of indexes cannot be read: "),
    "dividends": ("dividendsUnavailable", "dividends cannot be read, so only those of the configuration count: "),
    "past": ("activitiesUnavailable", "past activities cannot be read, so closed trades may be missing: "),
    "closes": ("activitiesUnavailable", "past closes cannot be read, so results of assigned condors are not known: "),
    "orders": ("ordersUnavailable", "the order history cannot be read, so condors are grouped by structure: "),
}
_log = logging.getLogger(__name__)


class _FailingRead(msgspec.Struct, frozen=True, kw_only=True):
    """Why a read fails, and since when."""

    error: wire.RestError
    since: dt.datetime


class Health:
    """Current failures and when they began.

    `stocks_fault` returns why the stock stream does not work, or None; `stocks_doubt` also that it is silent. `now_at`
    is the wall clock (UTC).
    """

    def __init__(
        self,
        *,
        stream: OptionStream,
        trades: TradeUpdates,
        quotes: QuoteReader,
        stocks_fault: Callable[[], LinkFault | None],
        stocks_doubt: Callable[[], LinkFault | None],
        now_at: Callable[[], dt.datetime],
    ) -> None:
        self._stream = stream
        self._trades = trades
        self._quotes = quotes
        self._stocks_fault = stocks_fault
        self._stocks_doubt = stocks_doubt
        self._now_at = now_at
        self._failures: dict[str, _FailingRead] = {}
        self._log = StateLog("Option stream changed state", now_at)
        self._noticed: dict[wire.NoticeCode, dt.datetime] = {}
        self._attempt: tuple[float, dt.datetime] | None = None

    @contextlib.contextmanager
    def noting(self, what: str, changed: Callable[[], None]) -> Iterator[None]:
        """Record how the read of `what` ends, and call `changed`. A `RestFault` is not propagated."""
        try:
            yield
        except RestFault as fault:
            self._note(what, fault)
        else:
            if (failure := self._failures.pop(what, None)) is not None:
                fields = {"reading": what, "code": failure.error.code, "lasted_seconds": self._seconds(failure.since)}
                _log.info("REST reading works again", extra={"fields": fields})
        changed()

    def unneeded(self, what: str, changed: Callable[[], None]) -> None:
        """Forget a failure of the read of `what`, which is not needed now, and call `changed` if there was one."""
        if (failure := self._failures.pop(what, None)) is not None:
            fields = {"reading": what, "code": failure.error.code, "lasted_seconds": self._seconds(failure.since)}
            _log.info("REST reading is not needed now, its failure is not repeated", extra={"fields": fields})
            changed()

    def is_good(self, *readings: str) -> bool:
        """Whether none of `readings` needs to be repeated soon: each has succeeded or was refused."""
        failures = [self._failures[what] for what in readings if what in self._failures]
        return all(failure.error.code in LASTING for failure in failures)

    def status(
        self,
        *,
        source: wire.Source,
        feed: wire.DataFeed,
        model: ModelJson,
        market: wire.MarketJson,
        read_at: dt.datetime | None,
        breaker: wire.BreakerState,
        pending_fault: RestFault | None,
        state_fault: str | None = None,
    ) -> wire.Status:
        """The status as of now; `state_fault` is where and why nothing can be saved, with the remedy, or None."""
        link = self._stream.link
        new = self._stream_state(is_closed=market.is_open is False, is_read=read_at is not None)
        self._log.note(new, self._stream.now())
        return wire.Status(
            state=new.state,
            reason=new.reason,
            code=new.code,
            since=self._log.since,
            source=source,
            feed=feed,
            market=market,
            stream=wire.StreamJson(
                connected=link.state in ("live", "stale"),
                subscribed=len(self._stream.streamed),
                requested=len(self._stream.symbols),
                reconnects=link.reconnects,
                last_message_at=self._stream.last_message_at,
                next_attempt_at=self._next_attempt_at(),
            ),
            positions=wire.Positions(
                read_at=read_at,
                error=self._error(pending_fault),
                breaker=breaker,
            ),
            notices=[*self._reading_notices(), *self._stream_notices(state_fault)],
            model=model,
        )

    def _error(self, pending_fault: RestFault | None) -> wire.RestError | None:
        """Why a read failed, or why one that is under way takes so long."""
        for what in _READINGS:
            if what in self._failures:
                return self._failures[what].error
        return None if pending_fault is None else wire.RestError(code=pending_fault.code, text=pending_fault.reason)

    def _stream_state(self, *, is_closed: bool, is_read: bool) -> StreamState:
        new = state_of(self._stream, is_closed=is_closed)
        if new.state in ("live", "closed") and self._stream.link.fault is None and not is_read:
            return StreamState("starting", "the positions have not been read yet")
        return new

    def _seconds(self, since: dt.datetime) -> float:
        """How many seconds something that has just ended lasted."""
        return round((self._now_at() - since).total_seconds(), 1)

    def _next_attempt_at(self) -> dt.datetime | None:
        # Calculated once for each wait: the two clocks would otherwise make it jitter.
        tries_at = self._stream.link.tries_at
        if tries_at is None:
            self._attempt = None
            return None
        known, at = self._attempt or (None, None)
        if at is None or known != tries_at:
            at = self._now_at() + dt.timedelta(seconds=tries_at - self._stream.now())
            self._attempt = tries_at, at
        return at

    def _reading_notices(self) -> Iterator[wire.NoticeJson]:
        for what, (code, text) in _EXTRAS.items():
            failure = self._failures.get(what)
            if failure is not None:
                yield wire.NoticeJson(code=code, text=text + failure.error.text, symbols=[], since=failure.since)

    def _stream_notices(self, state_fault: str | None) -> Iterator[wire.NoticeJson]:
        fault = self._trades.link.fault
        missing, silent = self._stream.missing, self._quotes.silent
        notices: list[tuple[wire.NoticeCode, bool, str, Sequence[str]]] = [
            (
                "tradeUpdatesUnavailable",
                fault is not None,
                f"fills are noticed only when positions are polled: {fault.reason if fault else ''}",
                (),
            ),
            ("stocksUnavailable", bool(stocks_text := self._stocks_text()), stocks_text, ()),
            ("notStreamed", bool(missing), "Alpaca does not stream these contracts; they are read over REST", missing),
            (
                "silentSymbols",
                bool(silent),
                "the stream is silent about these contracts while REST has newer quotes; they are read over REST",
                silent,
            ),
            (
                "stateUnavailable",
                state_fault is not None,
                f"the state cannot be saved, so a restart loses it: {state_fault}",
                (),
            ),
        ]
        for code, is_current, text, symbols in notices:
            if not is_current:
                if (since := self._noticed.pop(code, None)) is not None:
                    fields = {"code": code, "lasted_seconds": self._seconds(since)}
                    _log.info("Notice is over", extra={"fields": fields})
                continue
            if code not in self._noticed:
                self._noticed[code] = self._now_at()
                about = {"symbols": symbols_text(symbols)} if symbols else {}
                _log.warning("Notice", extra={"fields": {"code": code, "reason": text, **about}})
            since = self._noticed[code]
            yield wire.NoticeJson(code=code, text=text, symbols=list(symbols), since=since)

    def _stocks_text(self) -> str:
        """Why the prices of stocks are delayed or not confirmed; empty if the stream and REST work."""
        failure = self._failures.get("stocks")
        if failure is None:
            fault = self._stocks_fault()
            return f"the prices of underlyings are requested over REST: {fault.reason}" if fault is not None else ""
        if (doubt := self._stocks_doubt()) is None:
            return f"only the stock stream gives the prices of underlyings, as REST fails: {failure.error.text}"
        return (
            f"the prices of underlyings cannot be read: {failure.error.text}; nor by the stock stream: {doubt.reason}"
        )

    def _note(self, what: str, fault: RestFault) -> None:
        before = self._failures.get(what)
        error = wire.RestError(code=fault.code, text=fault.reason)
        self._failures[what] = _FailingRead(error=error, since=before.since if before else self._now_at())
        if before is None or before.error.code != fault.code:
            fields = {"reading": what, "code": fault.code, "reason": fault.reason}
            _log.warning("REST reading failed", extra={"fields": fields})
