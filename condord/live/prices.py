"""Decides which quote of each held contract counts: the newest sane one by the exchange's time.

`offer` is the way of every quote and does no more than keep the newest tick of each symbol; all that a quote means is
worked out in `settle`, once a window. A quote stands until it is replaced: age alone does not make it wrong. It
becomes unconfirmed by a gap in the stream, or after `ttl_seconds` without a word from stream or REST, until a newer
quote or a REST answer confirms it. What came, or was asked for, before a gap never confirms after it.

A symbol is silent when REST has named a quote that the stream has not brought `GRACE_SECONDS` later. The stream repeats
nothing, so it owes only what is newer than its own quote of the symbol since it is live or, where it has brought none,
newer than REST's first word of it since then.

A quote is from the future when it is `FUTURE_SECONDS` ahead of the exchange's clock and of the stream's newest quotes
alike: it is refused. One that was believed by no clock or a wrong one stands, but does not hold back others for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable

import msgspec
from cachetools import TTLCache

from condord.core.quote import PRICE_LIMIT, Quote, Tick, is_good, judge
from condord.live.wire import Refusal

GRACE_SECONDS = 5.0
"""How long the stream may take for a quote that REST has named."""

FUTURE_SECONDS = 60.0
"""How far a quote may be ahead of what vouches for its time.

Far more than clocks and ways differ. The market of a simulator may run many times faster than the clock that was told
of, so the newest quotes of the last window vouch as well.
"""

_FUTURE = dt.timedelta(seconds=FUTURE_SECONDS)
_FOREVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_LAST_AT = _FOREVER_AT - _FUTURE


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A quote of the exchange's time `at` that REST has named, and since when the stream owes it, in loop seconds."""

    at: dt.datetime
    since: float


class _Confirmed(TTLCache[str, bool]):
    """The symbols with a word in time; `crowded_out` holds those that went to make room for others."""

    def __init__(self, max_symbols: int, ttl_seconds: float, timer: Callable[[], float]) -> None:
        super().__init__(max_symbols, ttl_seconds, timer)
        self.crowded_out: set[str] = set()

    def popitem(self) -> tuple[str, bool]:
        """Make room for another symbol."""
        symbol, word = super().popitem()
        self.crowded_out.add(symbol)
        return symbol, word


class Prices:
    """The newest quote of each held contract. `max_symbols` and `ttl_seconds` bound what counts as confirmed.

    `era` counts the gaps and their ends, `superseded` the stream's quotes that a newer one has replaced before anybody
    looked at them.
    """

    def __init__(self, *, max_symbols: int, ttl_seconds: float) -> None:
        self.quotes: dict[str, Quote] = {}
        self.refused: dict[str, int] = {}
        self.superseded = 0
        self.era = 0
        self._held: frozenset[str] = frozenset()
        self._waiting: dict[str, Tick] = {}
        self._last_good_e4: dict[str, int] = {}
        self._now = 0.0
        self._confirmed = _Confirmed(max_symbols, ttl_seconds, timer=lambda: self._now)
        self._touched: set[str] = set()
        self._brought_at: dict[str, dt.datetime] = {}
        self._claims: dict[str, _Claim] = {}
        self._told_at = self._vouched_at = _FOREVER_AT
        self._credible_at = self._horizon_at = _FOREVER_AT
        self._doubts_clock = False

    @property
    def unconfirmed(self) -> frozenset[str]:
        """Symbols that have a quote, but no word since a gap."""
        return frozenset(symbol for symbol in self.quotes if symbol not in self._confirmed)

    def is_confirmed(self, symbol: str) -> bool:
        """Whether `symbol` needs no REST answer before it can be trusted."""
        return symbol in self._confirmed

    def silent_at(self, now: float) -> frozenset[str]:
        """The symbols of which REST has had a newer quote than the stream for `GRACE_SECONDS`. `now` in loop seconds.

        What is not streamed is silent by itself, and for the caller to leave out.
        """
        return frozenset(
            symbol
            for symbol, claim in self._claims.items()
            if now - claim.since >= GRACE_SECONDS and not self._is_met(claim, self._waiting.get(symbol))
        )

    def hold(self, symbols: Iterable[str]) -> None:
        """Keep quotes of `symbols` only; what others had is forgotten."""
        self._held = frozenset(symbols)
        for symbol in self.quotes.keys() - self._held:
            del self.quotes[symbol]
            self._last_good_e4.pop(symbol, None)
            self._confirmed.pop(symbol, None)
            self._touched.discard(symbol)
            self._brought_at.pop(symbol, None)
            self._claims.pop(symbol, None)

    def set_exchange_time(self, at: dt.datetime) -> None:
        """The exchange's clock shows `at` (UTC). Until the first word, quotes of any time are believed."""
        if at < self._told_at:  # the first word, or the one before was wrong: what was believed by it vouches no more
            self._vouched_at = at
        self._told_at = at
        self._look_ahead()

    def take_doubt(self) -> bool:
        """Whether a quote was refused since the last call that may be right, if the clock told of is wrong."""
        doubts, self._doubts_clock = self._doubts_clock, False
        return doubts

    def offer(self, ticks: Collection[Tick]) -> None:
        """Take quotes off the stream. An older one never replaces a newer one; one that is not sane is counted."""
        newest, horizon_at = self._waiting, self._horizon_at
        kept = len(ticks) + len(newest)  # what is in excess of those that wait at last was superseded
        for tick in ticks:
            if not (0.0 <= tick.bid < PRICE_LIMIT and 0.0 <= tick.ask < PRICE_LIMIT):  # `is_sane`, a third of the loop
                self._refuse("price")
                kept -= 1
                continue
            symbol, at = tick.symbol, tick.at
            if at > horizon_at:
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

    def confirm(self, ticks: Iterable[Tick], now: float, era: int) -> None:
        """Take REST's latest quotes, asked for in `era`: newer ones replace what is held, and all others confirm it.

        An older one says that REST knows nothing newer than what the stream has brought. What was asked for before
        the last gap may replace, but says nothing about the time since. `now` in loop seconds.
        """
        self._take_in(now)
        for tick in ticks:
            if not tick.is_sane:
                self._refuse("price")
            elif tick.at > self._horizon_at:
                self._refuse_future()
            elif tick.symbol in self._held:
                if self._is_news(tick):
                    self._replace(tick)
                if era == self.era:
                    self._confirm(tick.symbol)
                    self._claim(tick, now)

    def owes(self, ticks: Iterable[Tick]) -> bool:
        """Whether the stream should have brought any of `ticks`, which are REST's."""
        return any(
            tick.is_sane and tick.at <= self._horizon_at and tick.symbol in self._held and self._is_owed(tick)
            for tick in ticks
        )

    def lapse(self, symbols: Iterable[str]) -> None:
        """Nobody has a word of `symbols` any more."""
        for symbol in symbols:
            if self._confirmed.pop(symbol, None):
                self._touched.add(symbol)

    def follow(self, symbols: Iterable[str]) -> None:
        """`symbols` are streamed from here on: of these it owes nothing yet."""
        self._judge_waiting()
        for symbol in symbols:
            self._brought_at.pop(symbol, None)
            self._claims.pop(symbol, None)

    def resume(self) -> None:
        """The stream is live again: what was asked for before says nothing, and it owes nothing yet."""
        self._judge_waiting()
        self._brought_at.clear()
        self._claims.clear()
        self.era += 1

    def gap(self) -> None:
        """The stream was cut: nothing is confirmed until somebody says so."""
        self._judge_waiting()
        self._touched.update(self._confirmed)
        self._confirmed.clear()
        self.resume()

    def settle(self, now: float) -> set[str]:
        """The symbols whose quote or confirmation may have moved since the last call. `now` in loop seconds."""
        self._take_in(now)
        self._touched |= self._confirmed.crowded_out
        self._confirmed.crowded_out.clear()
        touched, self._touched = self._touched, set()
        return touched

    def _take_in(self, now: float) -> None:
        self._now = now
        for symbol, _ in self._confirmed.expire() or ():
            self._touched.add(symbol)
        self._judge_waiting()

    def _judge_waiting(self) -> None:
        believed_at = []
        for symbol, tick in self._waiting.items():
            if tick.at > self._horizon_at:  # since it came, the clock was set back
                self._refuse_future()
            elif symbol not in self._held:
                self._refuse("notHeld")
            else:
                self._note_brought(tick)
                if self._take_its_place(tick):
                    believed_at.append(tick.at)
        self._waiting.clear()
        if believed_at:
            self._vouched_at = max(believed_at)
            self._look_ahead()

    def _take_its_place(self, tick: Tick) -> bool:
        held = self.quotes.get(tick.symbol)
        if held is not None and held.at is not None and self._is_late(tick.at, held.at):
            self._refuse_late(tick.at, held.at)
            return False
        self._replace(tick)
        self._confirmed[tick.symbol] = True
        return True

    def _note_brought(self, tick: Tick) -> None:
        symbol = tick.symbol
        brought_at = self._brought_at.get(symbol)
        if brought_at is None or tick.at >= brought_at or not self._is_late(tick.at, brought_at):
            self._brought_at[symbol] = tick.at
        claim = self._claims.get(symbol)
        if claim is not None and self._is_met(claim, tick):
            del self._claims[symbol]

    def _claim(self, tick: Tick, now: float) -> None:
        """The stream owes what REST names beyond what it has brought. An older claim stands with its own start."""
        brought_at = self._brought_at.get(tick.symbol)
        if brought_at is not None:
            if tick.at > brought_at:
                self._claims.setdefault(tick.symbol, _Claim(at=tick.at, since=now))
        else:  # from here on it owes what is newer
            self._brought_at[tick.symbol] = tick.at

    def _is_met(self, claim: _Claim, tick: Tick | None) -> bool:
        return tick is not None and not self._is_late(tick.at, claim.at)

    def _replace(self, tick: Tick) -> None:
        quote = judge(tick, self._last_good_e4.get(tick.symbol))
        if is_good(quote) and quote.mark_e4 is not None:
            self._last_good_e4[tick.symbol] = quote.mark_e4
        self.quotes[tick.symbol] = quote
        self._touched.add(tick.symbol)

    def _confirm(self, symbol: str) -> None:
        if symbol not in self._confirmed:
            self._touched.add(symbol)
        self._confirmed[symbol] = True

    def _is_news(self, tick: Tick) -> bool:
        known = self.quotes.get(tick.symbol)
        return self._is_newer(tick, known.at if known is not None else None)

    def _is_owed(self, tick: Tick) -> bool:
        brought_at = self._brought_at.get(tick.symbol)
        return self._is_news(tick) if brought_at is None else self._is_newer(tick, brought_at)

    def _is_newer(self, tick: Tick, known_at: dt.datetime | None) -> bool:
        """Whether it is newer than what is known, and than what waits."""
        waiting = self._waiting.get(tick.symbol)
        others = (known_at, waiting.at if waiting is not None else None)
        return all(tick.at != at and not self._is_late(tick.at, at) for at in others if at is not None)

    def _is_late(self, at: dt.datetime, known_at: dt.datetime) -> bool:
        """Whether what is known of `known_at` holds back a quote of `at`.

        A time that the clock does not bear out holds back none that is much older.
        """
        return at < known_at and (known_at <= self._credible_at or known_at - at <= _FUTURE)

    def _look_ahead(self) -> None:
        self._credible_at = min(self._told_at, _LAST_AT) + _FUTURE
        self._horizon_at = max(self._credible_at, min(self._vouched_at, _LAST_AT) + _FUTURE)

    def _refuse_future(self) -> None:
        self._refuse("future")
        self._doubts_clock = True

    def _refuse_late(self, at: dt.datetime, known_at: dt.datetime) -> None:
        self._refuse("outOfOrder")
        if known_at - at > _FUTURE:
            self._doubts_clock = True

    def _refuse(self, reason: Refusal) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
