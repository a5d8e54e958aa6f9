"""Keep what REST returned for contracts that cannot be computed from their own quotes.

- Alpaca's own figures stand in for those of the model if they came with one of the last two reads.
- The quotes of opposite contracts (the same strike, the other right) give the volatility of held contracts in the
  money, and the price of an index. A volatility is inverted with the price of the moment in which its quote arrived,
  and used for `OPPOSITE_SECONDS`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from condord.core.model.figures import OptionSnapshot
from condord.core.quote import Quote, Tick, judge
from condord.live.chains import ChainKey

OPPOSITE_SECONDS = 120
_READS = 2
_FRESH = dt.timedelta(seconds=OPPOSITE_SECONDS)


class _Volatility(msgspec.Struct, frozen=True, kw_only=True):
    iv: float
    since_at: dt.datetime


class Fallbacks:
    """Figures and quotes from REST that stand in where the held contracts' own quotes give no volatility."""

    def __init__(self) -> None:
        self._reads: tuple[Mapping[str, OptionSnapshot], ...] = ()
        self._quotes: dict[str, tuple[Quote, dt.datetime]] = {}
        self._ivs: dict[ChainKey, dict[float, _Volatility]] = {}

    def take_snapshots(self, snapshots: Iterable[OptionSnapshot]) -> None:
        """Take a whole read of Alpaca's figures."""
        newest = {snapshot.symbol: snapshot for snapshot in snapshots}
        self._reads = (newest, *self._reads[: _READS - 1])

    def snapshots(self, symbols: Iterable[str]) -> dict[str, OptionSnapshot]:
        """Alpaca's newest figures of those of `symbols` that have any."""
        found = {}
        for symbol in symbols:
            for read in self._reads:
                if symbol in read:
                    found[symbol] = read[symbol]
                    break
        return found

    def take_quotes(self, ticks: Iterable[Tick], now_at: dt.datetime) -> None:
        """Take the latest quotes of opposite contracts."""
        self._quotes = {symbol: kept for symbol, kept in self._quotes.items() if now_at - kept[1] < _FRESH}
        self._quotes |= {tick.symbol: (judge(tick, None), now_at) for tick in ticks if tick.is_sane}

    def quote(self, symbol: str, now_at: dt.datetime) -> Quote | None:
        """The quote of an opposite contract, None if there is none of the last two minutes."""
        kept = self._quotes.get(symbol)
        return kept[0] if kept is not None and now_at - kept[1] < _FRESH else None

    def set_ivs(self, key: ChainKey, ivs: Mapping[float, float], now_at: dt.datetime) -> None:
        """Keep volatilities by strike, inverted at `now_at`."""
        kept = self._ivs.setdefault(key, {})
        kept.update({strike: _Volatility(iv=iv, since_at=now_at) for strike, iv in ivs.items()})

    def ivs(self, key: ChainKey, now_at: dt.datetime) -> dict[float, float]:
        """The volatilities of opposite contracts by strike."""
        kept = self._ivs.get(key, {})
        return {strike: each.iv for strike, each in kept.items() if now_at - each.since_at < _FRESH}

    def keep(self, keys: Iterable[ChainKey]) -> None:
        """Forget the volatilities of all other chains."""
        self._ivs = {key: self._ivs[key] for key in keys if key in self._ivs}
