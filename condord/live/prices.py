"""Keep the newest sane quote of each held contract, by the exchange's time, and whether it is confirmed.

A quote is valid until another replaces it: age does not make it wrong. It becomes unconfirmed after a gap in the
stream, or if neither the stream nor REST has confirmed it for `ttl_seconds`. A newer quote or a REST answer confirms it
again. Nothing that arrived, was made or was requested before a gap confirms a quote after it: after a suspension the
same connection first brings what has waited in it.

A symbol is silent when the stream has not delivered a quote within `GRACE_SECONDS` of REST returning it. The stream
does not repeat quotes, so only quotes newer than its last one are expected. If it has delivered none since it went
live, quotes newer than REST's first answer are expected.

A quote is from the future, and refused, when it is more than `FUTURE_SECONDS` ahead of both the exchange's clock and
the newest quotes of the stream.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable

import msgspec
from cachetools import TTLCache

from condord.core.quote import PRICE_LIMIT, Quote, Tick, is_good, judge
from condord.live.wire import Refusal

GRACE_SECONDS = 5.0
"""How long the stream may take to bring a quote that REST has returned."""

FUTURE_SECONDS = 60.0
"""How far a quote may be ahead of the exchange's clock, or of the newest quotes of the last window.

Clocks and delays differ by far less. The newest quotes count too because a simulator's market may run many times faster
than its clock.
"""

_FUTURE = dt.timedelta(seconds=FUTURE_SECONDS)
_NEVER_AT = dt.datetime.min.replace(tzinfo=dt.UTC)
_FOREVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST_AT = _FOREVER_AT - _FUTURE


class _ExpectedQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A quote that the stream should deliver: its exchange time, and when REST returned it (loop seconds)."""

    at: dt.datetime
    since: float


class _ConfirmedSymbols(TTLCache[str, bool]):
    """The symbols confirmed within `ttl_seconds`; `evicted` collects those dropped to make room for others."""

    def __init__(self, max_symbols: int, ttl_seconds: float, timer: Callable[[], float]) -> None:
        super().__init__(max_symbols, ttl_seconds, timer)
        self.evicted: set[str] = set()

    def popitem(self) -> tuple[str, bool]:
        """Make room for another symbol."""
        symbol, confirmed = super().popitem()
        self.evicted.add(symbol)
        return symbol, confirmed


class Prices:
    """The newest quote of each held contract. `max_symbols` and `ttl_seconds` bound the quotes that count as confirmed.

    `quotes` holds them by symbol. `generation` counts the gaps of the stream and their ends: only an answer from REST
    that was requested in the current one confirms quotes. `superseded` counts the quotes of the stream that a newer one
    replaced before `settle`, and `refused` the quotes refused, by reason.
    """

    def __init__(self, *, max_symbols: int, ttl_seconds: float) -> None:
        self.quotes: dict[str, Quote] = {}
        self.refused: dict[str, int] = {}
        self.superseded = 0
        self.generation = 0
        self._held: frozenset[str] = frozenset()
        self._waiting: dict[str, Tick] = {}
        self._last_good_e4: dict[str, int] = {}
        self._now = 0.0
        self._confirmed = _ConfirmedSymbols(max_symbols, ttl_seconds, timer=lambda: self._now)
        self._changed: set[str] = set()
        self._streamed_at: dict[str, dt.datetime] = {}
        self._expected: dict[str, _ExpectedQuote] = {}
        self._clock_at = self._market_at = _FOREVER_AT
        self._clock_limit_at = self._limit_at = _FOREVER_AT
        self._doubts_clock = False
        self._cut_at = _NEVER_AT  # older quotes of this connection confirm nothing

    @property
    def unconfirmed(self) -> frozenset[str]:
        """The symbols that have a quote that is not confirmed."""
        return frozenset(symbol for symbol in self.quotes if symbol not in self._confirmed)

    def is_confirmed(self, symbol: str) -> bool:
        """Whether the quote of `symbol` can be trusted without asking REST."""
        return symbol in self._confirmed

    def silent_at(self, now: float) -> frozenset[str]:
        """Return the symbols for which REST has had a newer quote than the stream for `GRACE_SECONDS`.

        `now` is in loop seconds. The caller leaves out symbols that are not streamed.
        """
        return frozenset(
            symbol
            for symbol, expected in self._expected.items()
            if now - expected.since >= GRACE_SECONDS and not self._has_arrived(expected, self._waiting.get(symbol))
        )

    def hold(self, symbols: Iterable[str]) -> None:
        """Keep quotes only of `symbols` and forget all others."""
        self._held = frozenset(symbols)
        for symbol in self.quotes.keys() - self._held:
            del self.quotes[symbol]
            self._last_good_e4.pop(symbol, None)
            self._confirmed.pop(symbol, None)
            self._changed.discard(symbol)
            self._streamed_at.pop(symbol, None)
            self._expected.pop(symbol, None)

    def set_exchange_time(self, at: dt.datetime) -> None:
        """Take the time on the exchange's clock (UTC). Before the first call, quotes of any time are accepted."""
        if at < self._clock_at:  # the first call, or the clock was ahead: then quotes were accepted that are too new
            self._market_at = at
        self._clock_at = at
        self._move_limits()

    def take_clock_doubt(self) -> bool:
        """Whether a quote was refused since the last call that would be valid if the exchange's clock is wrong."""
        doubts_clock, self._doubts_clock = self._doubts_clock, False
        return doubts_clock

    def offer(self, ticks: Collection[Tick]) -> None:
        """Take quotes from the stream; refuse those that are not sane, late or from the future.

        This is the fast path of every quote: it only keeps the newest tick of each symbol. `settle` does the rest, once
        per window.
        """
        newest, limit_at = self._waiting, self._limit_at
        kept = len(ticks) + len(newest)  # minus those that wait afterwards: the superseded ones
        for tick in ticks:
            if not (0.0 <= tick.bid < PRICE_LIMIT and 0.0 <= tick.ask < PRICE_LIMIT):
                self._refuse("price")
                kept -= 1
                continue
            symbol, at = tick.symbol, tick.at
            if at > limit_at:
                self._refuse_future()
                kept -= 1
                continue
            waiting = newest.get(symbol)
            if waiting is None or at >= waiting.at or not self._is_late(at, waiting.at):
                newest[symbol] = tick
            else:
                self._refuse_late(at, waiting.at)
                kept -= 1
        self.superseded += kept - len(newest)

    def confirm(self, ticks: Iterable[Tick], now: float, generation: int) -> None:
        """Take the latest quotes from REST, requested in that `generation`. `now` is in loop seconds.

        A newer quote replaces the held one. An older one confirms it, as REST then has nothing newer. A quote requested
        before the last gap may replace the held one, but does not confirm it.
        """
        self._update(now)
        for tick in ticks:
            if not tick.is_sane:
                self._refuse("price")
            elif tick.at > self._limit_at:
                self._refuse_future()
            elif tick.symbol in self._held:
                if self._is_news(tick):
                    self._replace(tick)
                if generation == self.generation:
                    self._confirm(tick.symbol)
                    self._expect(tick, now)

    def has_missed(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have delivered any of `ticks`, which come from REST."""
        return any(
            tick.is_sane and tick.at <= self._limit_at and tick.symbol in self._held and self._is_missed(tick)
            for tick in ticks
        )

    def lapse(self, symbols: Iterable[str]) -> None:
        """Mark `symbols` unconfirmed: neither the stream nor REST has confirmed them recently."""
        for symbol in symbols:
            if self._confirmed.pop(symbol, None):
                self._changed.add(symbol)

    def follow(self, symbols: Iterable[str]) -> None:
        """Note that `symbols` are streamed from here on; no quote of them is expected yet."""
        self._judge_waiting()
        for symbol in symbols:
            self._streamed_at.pop(symbol, None)
            self._expected.pop(symbol, None)

    def resume(self) -> None:
        """Note that the stream is live again: no quote is expected yet.

        Answers to earlier requests to REST confirm nothing.
        """
        self._judge_waiting()
        self._streamed_at.clear()
        self._expected.clear()
        self._cut_at = _NEVER_AT
        self.generation += 1

    def gap(self) -> None:
        """Mark every quote unconfirmed: the stream was cut."""
        self._judge_waiting()
        self._changed.update(self._confirmed)
        self._confirmed.clear()
        self.resume()
        self._cut_at = self._clock_at if self._clock_at < _FOREVER_AT else _NEVER_AT

    def settle(self, now: float) -> set[str]:
        """Judge the quotes that have arrived; return the symbols whose quote or confirmation may have changed since.

        `now` is in loop seconds.
        """
        self._update(now)
        self._changed |= self._confirmed.evicted
        self._confirmed.evicted.clear()
        changed, self._changed = self._changed, set()
        return changed

    def _update(self, now: float) -> None:
        self._now = now
        for symbol, _ in self._confirmed.expire() or ():
            self._changed.add(symbol)
        self._judge_waiting()

    def _judge_waiting(self) -> None:
        accepted_at = []
        for symbol, tick in self._waiting.items():
            if tick.at > self._limit_at:  # the clock was set back since it arrived
                self._refuse_future()
            elif symbol not in self._held:
                self._refuse("notHeld")
            else:
                self._note_streamed(tick)
                if self._accept(tick):
                    accepted_at.append(tick.at)
        self._waiting.clear()
        if accepted_at:
            self._market_at = max(accepted_at)
            self._move_limits()

    def _accept(self, tick: Tick) -> bool:
        held = self.quotes.get(tick.symbol)
        if held is not None and held.at is not None and self._is_late(tick.at, held.at):
            self._refuse_late(tick.at, held.at)
            return False
        self._replace(tick)
        if tick.at >= self._cut_at:
            self._confirmed[tick.symbol] = True
        return True

    def _note_streamed(self, tick: Tick) -> None:
        symbol = tick.symbol
        streamed_at = self._streamed_at.get(symbol)
        if streamed_at is None or tick.at >= streamed_at or not self._is_late(tick.at, streamed_at):
            self._streamed_at[symbol] = tick.at
        expected = self._expected.get(symbol)
        if expected is not None and self._has_arrived(expected, tick):
            del self._expected[symbol]

    def _expect(self, tick: Tick, now: float) -> None:
        """Expect the stream to deliver a quote from REST that is newer than its own. An earlier expectation stays."""
        streamed_at = self._streamed_at.get(tick.symbol)
        if streamed_at is not None:
            if tick.at > streamed_at:
                self._expected.setdefault(tick.symbol, _ExpectedQuote(at=tick.at, since=now))
        else:  # from here on, the stream has to bring quotes that are newer than this one
            self._streamed_at[tick.symbol] = tick.at

    def _has_arrived(self, expected: _ExpectedQuote, tick: Tick | None) -> bool:
        return tick is not None and not self._is_late(tick.at, expected.at)

    def _replace(self, tick: Tick) -> None:
        quote = judge(tick, self._last_good_e4.get(tick.symbol))
        if is_good(quote) and quote.mark_e4 is not None:
            self._last_good_e4[tick.symbol] = quote.mark_e4
        self.quotes[tick.symbol] = quote
        self._changed.add(tick.symbol)

    def _confirm(self, symbol: str) -> None:
        if symbol not in self._confirmed:
            self._changed.add(symbol)
        self._confirmed[symbol] = True

    def _is_news(self, tick: Tick) -> bool:
        known = self.quotes.get(tick.symbol)
        return self._is_newer(tick, known.at if known is not None else None)

    def _is_missed(self, tick: Tick) -> bool:
        streamed_at = self._streamed_at.get(tick.symbol)
        return self._is_news(tick) if streamed_at is None else self._is_newer(tick, streamed_at)

    def _is_newer(self, tick: Tick, known_at: dt.datetime | None) -> bool:
        """Whether `tick` is newer than a quote of `known_at` and the waiting tick."""
        waiting = self._waiting.get(tick.symbol)
        others = (known_at, waiting.at if waiting is not None else None)
        return all(tick.at != at and not self._is_late(tick.at, at) for at in others if at is not None)

    def _is_late(self, at: dt.datetime, known_at: dt.datetime) -> bool:
        """Whether a quote of `at` is refused because one of `known_at` is newer.

        A quote that was accepted without a clock, or by a wrong one, may be far ahead. It must not block others until
        that time, so beyond the clock's limit it blocks only quotes that are less than `FUTURE_SECONDS` older.
        """
        return at < known_at and (known_at <= self._clock_limit_at or known_at - at <= _FUTURE)

    def _move_limits(self) -> None:
        self._clock_limit_at = min(self._clock_at, _LAST_AT) + _FUTURE
        self._limit_at = max(self._clock_limit_at, min(self._market_at, _LAST_AT) + _FUTURE)

    def _refuse_future(self) -> None:
        self._refuse("future")
        self._doubts_clock = True

    def _refuse_late(self, at: dt.datetime, known_at: dt.datetime) -> None:
        self._refuse("outOfOrder")
        if known_at - at > _FUTURE:
            self._doubts_clock = True

    def _refuse(self, reason: Refusal) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
