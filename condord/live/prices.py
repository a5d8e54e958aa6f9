"""Decides which quote of each held contract counts: the newest sane one by the exchange's time.

`offer` is the way of every quote and does no more than keep the newest tick of each symbol; all that a quote means is
worked out in `settle`, once a window. A quote stands until it is replaced: age alone does not make it wrong. It
becomes unconfirmed by a gap in the stream, or after `ttl_seconds` without a word from stream or REST, until a newer
quote or a REST answer confirms it. What came before a gap never confirms after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cachetools import TTLCache

from condord.core.quote import Quote, Tick, is_good, judge


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
    """The newest quote of each held contract. `max_symbols` and `ttl_seconds` bound what counts as confirmed."""

    def __init__(self, *, max_symbols: int, ttl_seconds: float) -> None:
        self.quotes: dict[str, Quote] = {}
        self.refused: dict[str, int] = {}
        self._held: frozenset[str] = frozenset()
        self._ticks: dict[str, Tick] = {}
        self._last_good_e4: dict[str, int] = {}
        self._now = 0.0
        self._confirmed = _Confirmed(max_symbols, ttl_seconds, timer=lambda: self._now)
        self._named: set[str] = set()
        self._touched: set[str] = set()

    @property
    def unconfirmed(self) -> frozenset[str]:
        """Symbols that have a quote, but no word since a gap."""
        return frozenset(symbol for symbol in self.quotes if symbol not in self._confirmed)

    def is_confirmed(self, symbol: str) -> bool:
        """Whether `symbol` needs no REST answer before it can be trusted."""
        return symbol in self._confirmed

    def hold(self, symbols: Iterable[str]) -> None:
        """Keep quotes of `symbols` only; what others had is forgotten."""
        self._held = frozenset(symbols)
        self._named &= self._held
        for symbol in self.quotes.keys() - self._held:
            del self.quotes[symbol]
            self._last_good_e4.pop(symbol, None)
            self._confirmed.pop(symbol, None)
            self._touched.discard(symbol)

    def offer(self, ticks: Iterable[Tick]) -> None:
        """Take quotes off the stream. An older one never replaces a newer one; one that is not sane is counted."""
        newest = self._ticks
        for tick in ticks:
            if not tick.is_sane:
                self._refuse("price")
                continue
            waiting = newest.get(tick.symbol)
            if waiting is None or tick.at >= waiting.at:
                newest[tick.symbol] = tick
            else:
                self._refuse("outOfOrder")

    def confirm(self, ticks: Iterable[Tick]) -> None:
        """Take REST's latest quotes: newer ones replace what is held, and all others confirm it.

        An older one says that REST knows nothing newer than what the stream has brought.
        """
        for tick in ticks:
            if not tick.is_sane:
                self._refuse("price")
            elif tick.symbol in self._held:
                self._compare(tick)

    def _compare(self, tick: Tick) -> None:
        if self._is_news(tick):
            self._ticks[tick.symbol] = tick
        elif tick.symbol in self.quotes:
            self._named.add(tick.symbol)

    def has_older(self, ticks: Iterable[Tick]) -> bool:
        """Whether any of `ticks` is newer than all that is known of its symbol."""
        return any(tick.is_sane and tick.symbol in self._held and self._is_news(tick) for tick in ticks)

    def _is_news(self, tick: Tick) -> bool:
        known = self.quotes.get(tick.symbol), self._ticks.get(tick.symbol)
        return all(tick.at > one.at for one in known if one is not None and one.at is not None)

    def gap(self) -> None:
        """The stream was cut: nothing is confirmed until somebody says so."""
        self._judge_waiting()
        self._named.clear()
        self._touched.update(self._confirmed)
        self._confirmed.clear()

    def settle(self, now: float) -> set[str]:
        """The symbols whose quote or confirmation may have moved since the last call. `now` in loop seconds."""
        self._now = now
        for symbol, _ in self._confirmed.expire() or ():
            self._touched.add(symbol)
        self._judge_waiting()
        for symbol in self._named:
            if symbol not in self._confirmed:
                self._touched.add(symbol)
            self._confirmed[symbol] = True
        self._named.clear()
        self._touched |= self._confirmed.crowded_out
        self._confirmed.crowded_out.clear()
        touched, self._touched = self._touched, set()
        return touched

    def _judge_waiting(self) -> None:
        for symbol, tick in self._ticks.items():
            if symbol in self._held:
                self._replace(symbol, tick)
            else:
                self._refuse("notHeld")
        self._ticks.clear()

    def _replace(self, symbol: str, tick: Tick) -> None:
        held = self.quotes.get(symbol)
        if held is not None and held.at is not None and tick.at < held.at:
            self._refuse("outOfOrder")
            return
        quote = judge(tick, self._last_good_e4.get(symbol))
        if is_good(quote) and quote.mark_e4 is not None:
            self._last_good_e4[symbol] = quote.mark_e4
        self.quotes[symbol] = quote
        self._confirmed[symbol] = True
        self._touched.add(symbol)

    def _refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
