"""Decides what the status says: the state of the option stream, what fails by REST, and what is missing besides.

Rules: a failure is told, with when it began, until the same thing succeeds again. The state, the code and the reason
speak of the option stream alone; everything that is missing without being an outage is a notice. A change of state or
code, and the beginning and the end of a failure, are logged once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec

from condord.core.occ import named
from condord.live import wire
from condord.upstream.faults import RestFault
from condord.upstream.option_stream import OptionStream
from condord.upstream.quotes import QuoteReader
from condord.upstream.trade_updates import TradeUpdates

_LASTING = frozenset({"authFailed", "forbidden", "refused"})
_READINGS = ("positions", "quotes", "poll", "clock")
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
_REASONS: dict[wire.State, str] = {
    "starting": "the first connection is being made",
    "reconnecting": "the connection is made anew, as the configuration was reloaded",
}
"""Where a stream that is not up has met no fault."""
_UP = ("live", "closed")

_log = logging.getLogger(__name__)


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a reading fails, and since when."""

    error: wire.RestError
    since: dt.datetime


class Health:
    """What is wrong, and since when; `now_at` is the wall clock (UTC)."""

    def __init__(
        self, *, stream: OptionStream, trades: TradeUpdates, quotes: QuoteReader, now_at: Callable[[], dt.datetime]
    ) -> None:
        self._stream = stream
        self._trades = trades
        self._quotes = quotes
        self._now_at = now_at
        self._failures: dict[str, _Failure] = {}
        self._shown: tuple[wire.State, wire.Code | None] = ("starting", None)
        self._since = self._down_since = now_at()
        self._noticed: dict[wire.NoticeCode, dt.datetime] = {}
        self._attempt: tuple[float, dt.datetime] | None = None

    @contextlib.contextmanager
    def noting(self, what: str, tell: Callable[[], None]) -> Iterator[None]:
        """A reading may fail: what was last read stays, and the status says why until it succeeds again."""
        try:
            yield
        except RestFault as fault:
            self._note(what, fault)
        else:
            if (failure := self._failures.pop(what, None)) is not None:
                fields = {"reading": what, "code": failure.error.code, "lasted_seconds": self._seconds(failure.since)}
                _log.info("REST reading works again", extra={"fields": fields})
        tell()

    def is_good(self, *readings: str) -> bool:
        """Whether none of `readings` failed with what may soon be over: a refusal is not."""
        failures = [self._failures[what] for what in readings if what in self._failures]
        return all(failure.error.code in _LASTING for failure in failures)

    def status(
        self,
        *,
        source: wire.Source,
        feed: wire.Feed,
        market: wire.Market,
        read_at: dt.datetime | None,
        breaker: wire.BreakerState,
        trouble: RestFault | None,
    ) -> wire.Status:
        """What can be trusted now."""
        link = self._stream.link
        state, reason, code = self._stream_state(is_closed=market.is_open is False, is_read=read_at is not None)
        self._log_state(state, reason, code)
        return wire.Status(
            state=state,
            reason=reason,
            code=code,
            since=self._since,
            source=source,
            feed=feed,
            market=market,
            stream=wire.Stream(
                connected=link.state in ("live", "stale"),
                subscribed=len(self._stream.streamed),
                requested=len(self._stream.symbols),
                reconnects=link.reconnects,
                last_message_at=self._stream.heard_at,
                next_attempt_at=self._next_attempt_at(),
            ),
            positions=wire.Positions(
                read_at=read_at,
                error=self._error(trouble),
                breaker=breaker,
            ),
            notices=[*self._reading_notices(), *self._stream_notices()],
        )

    def _error(self, trouble: RestFault | None) -> wire.RestError | None:
        """Why a reading failed, or why one that is under way takes so long."""
        for what in _READINGS:
            if what in self._failures:
                return self._failures[what].error
        return None if trouble is None else wire.RestError(code=trouble.code, text=trouble.reason)

    def _stream_state(self, *, is_closed: bool, is_read: bool) -> tuple[wire.State, str | None, wire.Code | None]:
        link = self._stream.link
        state = link.public_state
        if state == "live" and is_closed:
            state = "closed"
        if link.fault is not None:
            return state, link.fault.reason, link.fault.code
        if state in ("live", "closed") and not is_read:
            return "starting", "the positions have not been read yet", None
        if self._stream.is_limited:
            streamed, wanted = len(self._stream.streamed), len(self._stream.symbols)
            text = f"Alpaca streams {streamed} of {wanted} symbols; read by REST instead: "
            return state, text + named(self._stream.missing), "symbolLimit"
        return state, _REASONS.get(state), None

    def _log_state(self, state: wire.State, reason: str | None, code: wire.Code | None) -> None:
        if (state, code) == self._shown:
            return
        was = self._shown[0]
        if state != was:
            self._since = self._now_at()
        self._shown = (state, code)
        fields: dict[str, object] = {"state": state, "code": code, "reason": reason, "was": was}
        if was in _UP and state not in _UP:
            self._down_since = self._since
        elif state in _UP and was not in _UP:
            fields["lasted_seconds"] = self._seconds(self._down_since)
        level = max(_LEVELS[state], logging.WARNING if code else logging.INFO)
        _log.log(level, "Option stream changed state", extra={"fields": fields})

    def _seconds(self, since: dt.datetime) -> float:
        """How long something has lasted that is over now."""
        return round((self._now_at() - since).total_seconds(), 1)

    def _next_attempt_at(self) -> dt.datetime | None:
        """Reckoned once for each wait, so that it does not tremble."""
        tries_at = self._stream.link.tries_at
        if tries_at is None:
            self._attempt = None
            return None
        if self._attempt is None or self._attempt[0] != tries_at:
            wait = dt.timedelta(seconds=tries_at - self._stream.now())
            self._attempt = tries_at, self._now_at() + wait
        return self._attempt[1]

    def _reading_notices(self) -> Iterator[wire.Notice]:
        for what, (code, text) in _EXTRAS.items():
            failure = self._failures.get(what)
            if failure is not None:
                yield wire.Notice(code=code, text=text + failure.error.text, symbols=[], since=failure.since)

    def _stream_notices(self) -> Iterator[wire.Notice]:
        fault = self._trades.link.fault
        missing, silent = self._stream.missing, self._quotes.silent
        told: list[tuple[wire.NoticeCode, bool, str, Sequence[str]]] = [
            (
                "tradeUpdatesUnavailable",
                fault is not None,
                f"fills are seen only when positions are read: {fault.reason if fault else ''}",
                (),
            ),
            ("notStreamed", bool(missing), "Alpaca does not stream these contracts; they are read by REST", missing),
            (
                "silentSymbols",
                bool(silent),
                "the stream is silent about these contracts while REST has newer quotes; they are read by REST",
                silent,
            ),
        ]
        for code, is_so, text, symbols in told:
            if not is_so:
                if (since := self._noticed.pop(code, None)) is not None:
                    fields = {"code": code, "lasted_seconds": self._seconds(since)}
                    _log.info("Notice is over", extra={"fields": fields})
                continue
            if code not in self._noticed:
                self._noticed[code] = self._now_at()
                about = {"symbols": named(symbols)} if symbols else {}
                _log.warning("Notice", extra={"fields": {"code": code, "reason": text, **about}})
            since = self._noticed[code]
            yield wire.Notice(code=code, text=text, symbols=list(symbols), since=since)

    def _note(self, what: str, fault: RestFault) -> None:
        before = self._failures.get(what)
        error = wire.RestError(code=fault.code, text=fault.reason)
        self._failures[what] = _Failure(error=error, since=before.since if before else self._now_at())
        if before is None or before.error.code != fault.code:
            fields = {"reading": what, "code": fault.code, "reason": fault.reason}
            _log.warning("REST reading failed", extra={"fields": fields})
