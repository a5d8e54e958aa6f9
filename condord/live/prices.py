"""Decides which quote of each held contract counts: the newest sane one by the exchange's time.

`offer` is the way of every quote and does no more than keep the newest tick of each symbol; all that a quote means is
worked out in `settle`, once a window. A quote stands until it is replaced: age alone does not make it wrong. It
becomes unconfirmed by a gap in the stream, or after `ttl_seconds` without a word from stream or REST, until a newer
quote or a REST answer that is not older confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cachetools import TTLCache

from condord.core.quote import Quote, Tick, is_good, judge


class Prices:
    """The newest quote of each held contract. `max_symbols` and `ttl_seconds` bound what counts as confirmed."""

    def __init__(self, *, max_symbols: int, ttl_seconds: float) -> None:
        self.quotes: dict[str, Quote] = {}
        self.refused: dict[str, int] = {}
        self._held: frozenset[str] = frozenset()
        self._ticks: dict[str, Tick] = {}
        self._last_good_e4: dict[str, int] = {}
        self._now = 0.0
        self._confirmed: TTLCache[str, bool] = TTLCache(max_symbols, ttl_seconds, timer=lambda: self._now)
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
        """Take REST's latest quotes: newer ones replace what is held, equal ones confirm it, older ones do neither."""
        for tick in ticks:
            symbol = tick.symbol
            if not tick.is_sane:
                self._refuse("price")
            elif symbol in self._held and symbol not in self._ticks:
                held = self.quotes.get(symbol)
                if held is None or held.at is None or tick.at > held.at:
                    self._ticks[symbol] = tick
                elif tick.at == held.at and symbol not in self._confirmed:
                    self._touched.add(symbol)
                    self._confirmed[symbol] = True

    def has_older(self, ticks: Iterable[Tick]) -> bool:
        """Whether any of `ticks` is newer than all that is known of its symbol."""
        return any(
            tick.is_sane
            and tick.symbol in self._held
            and all(tick.at > known.at for known in self._known(tick.symbol) if known.at is not None)
            for tick in ticks
        )

    def _known(self, symbol: str) -> list[Quote | Tick]:
        held, waiting = self.quotes.get(symbol), self._ticks.get(symbol)
        return [known for known in (held, waiting) if known is not None]

    def gap(self) -> None:
        """The stream was cut: nothing is confirmed until somebody says so."""
        self._touched.update(self._confirmed)
        self._confirmed.clear()

    def settle(self, now: float) -> set[str]:
        """The symbols whose quote or confirmation may have moved since the last call. `now` in loop seconds."""
        self._now = now
        for symbol, _ in self._confirmed.expire() or ():
            self._touched.add(symbol)
        for symbol, tick in self._ticks.items():
            if symbol in self._held:
                self._replace(symbol, tick)
            else:
                self._refuse("notHeld")
        self._ticks.clear()
        touched, self._touched = self._touched, set()
        return touched

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
