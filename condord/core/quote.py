"""Decides what a quote is worth: its state, its mark, and the price at which a leg could be closed.

| state    | test                          | mark           | natural (long / short) |
|----------|-------------------------------|----------------|------------------------|
| none     | never quoted                  | None           | None                   |
| noAsk    | ask = 0                       | None           | bid / None             |
| zeroBid  | bid = 0 < ask                 | ask / 2        | 0 / ask                |
| locked   | bid = ask > 0                 | that           | that                   |
| crossed  | bid > ask > 0                 | last good mark | None                   |
| stub     | ask > 10 x bid and mid > $1   | last good mark | bid / ask              |
| twoSided | 0 < bid < ask, and no stub    | mid            | bid / ask              |

The first row that fits decides. Prices inside are integers of 1e-4 dollars; a mid between two of them is rounded up.
Trades are no quotes: on the free feed they are 15 minutes late.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

QuoteState = Literal["none", "twoSided", "zeroBid", "noAsk", "locked", "crossed", "stub"]

PRICE_LIMIT = 1_000_000.0
_STUB_RATIO = 10
_STUB_DOUBLE_MID_E4 = 20_000


class Tick(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="q",
    rename={"symbol": "S", "bid": "bp", "bid_size": "bs", "ask": "ap", "ask_size": "as", "at": "t"},
):
    """A quote as Alpaca sends it: dollars and contracts as floats, as the stream mixes integers and floats.

    Decoded straight from the wire and turned into a `Quote` only when it is about to be published.
    """

    symbol: str
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0

    @property
    def is_sane(self) -> bool:
        """Whether both prices are finite and not negative (a NaN fails every comparison)."""
        return 0.0 <= self.bid < PRICE_LIMIT and 0.0 <= self.ask < PRICE_LIMIT


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A judged quote. Prices in 1e-4 dollars, sizes in contracts, `at` the exchange's time.

    `mark_e4` is None without a usable price; `state` says why.
    """

    symbol: str
    at: dt.datetime | None = None
    bid_e4: int | None = None
    bid_size: int | None = None
    ask_e4: int | None = None
    ask_size: int | None = None
    state: QuoteState = "none"
    mark_e4: int | None = None

    def natural_e4(self, quantity: int) -> int | None:
        """What one contract would be closed at: a long (`quantity` > 0) sells at the bid, a short buys at the ask."""
        if self.state == "crossed":
            return None
        if quantity > 0:
            return self.bid_e4
        return self.ask_e4 if self.state != "noAsk" else None


def judge(tick: Tick, last_good_mark_e4: int | None) -> Quote:
    """The quote of a sane tick. `last_good_mark_e4` serves where the tick is crossed or a stub."""
    bid_e4, ask_e4 = round(tick.bid * 10_000), round(tick.ask * 10_000)
    state = _state(bid_e4, ask_e4)
    if state in ("crossed", "stub"):
        mark_e4 = last_good_mark_e4
    elif state == "noAsk":
        mark_e4 = None
    else:
        mark_e4 = (bid_e4 + ask_e4 + 1) // 2
    return Quote(
        symbol=tick.symbol,
        at=tick.at,
        bid_e4=bid_e4,
        bid_size=_size(tick.bid_size),
        ask_e4=ask_e4,
        ask_size=_size(tick.ask_size),
        state=state,
        mark_e4=mark_e4,
    )


def is_good(quote: Quote) -> bool:
    """Whether the quote's own prices made its mark, so that it may serve as the last good mark."""
    return quote.mark_e4 is not None and quote.state not in ("crossed", "stub")


def _state(bid_e4: int, ask_e4: int) -> QuoteState:
    if ask_e4 == 0:
        return "noAsk"
    if bid_e4 == 0:
        return "zeroBid"
    if bid_e4 == ask_e4:
        return "locked"
    if bid_e4 > ask_e4:
        return "crossed"
    if ask_e4 > _STUB_RATIO * bid_e4 and bid_e4 + ask_e4 > _STUB_DOUBLE_MID_E4:
        return "stub"
    return "twoSided"


def _size(size: float) -> int | None:
    """Whole contracts, or None where Alpaca's number is none."""
    return int(size) if 0 <= size < 1e12 else None
