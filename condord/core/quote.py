"""Judge quotes: their state, their mark, and the natural price at which a leg could be closed.

| state    | test                          | mark           | natural (long / short) |
|----------|-------------------------------|----------------|------------------------|
| none     | never quoted                  | None           | None                   |
| stub     | ask > 10 x bid and mid > $1,  | last good mark | bid / ask              |
|          | or bid = 0 and ask > $0.50    |                |                        |
| noAsk    | ask = 0                       | None           | bid / None             |
| zeroBid  | bid = 0 < ask                 | ask / 2        | 0 / ask                |
| locked   | bid = ask > 0                 | that           | that                   |
| crossed  | bid > ask > 0                 | last good mark | None                   |
| twoSided | 0 < bid < ask                 | mid            | bid / ask              |

The first row that matches applies. A stub is a market maker's placeholder. Its row comes before `zeroBid` because most
stubs are on wings without a bid: half of a placeholder ask of 4.80 is not a mark for an option worth 0.055, and would
show a profit on a long leg that does not exist.

Prices are integers of 1e-4 dollars; a mid between two of them is rounded up. Last trades are not used: on the free feed
they are 15 minutes late.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

QuoteState = Literal["none", "twoSided", "zeroBid", "noAsk", "locked", "crossed", "stub"]

PRICE_LIMIT = 1_000_000.0
_STUB_RATIO = 10
_STUB_DOUBLE_MID_E4 = 20_000
_STUB_ASK_WITHOUT_BID_E4 = 5_000


class Tick(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="q",
    rename={"symbol": "S", "bid": "bp", "bid_size": "bs", "ask": "ap", "ask_size": "as", "at": "t"},
):
    """A quote as Alpaca sends it, decoded directly from the stream.

    Prices are dollars and sizes contracts. Both are floats because the stream mixes integers and floats. A tick becomes
    a `Quote` only when it is about to be published.
    """

    symbol: str
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0

    @property
    def is_sane(self) -> bool:
        """Whether both prices are finite, not negative and below a million dollars. NaN fails every comparison."""
        return 0.0 <= self.bid < PRICE_LIMIT and 0.0 <= self.ask < PRICE_LIMIT


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A judged quote: prices in 1e-4 dollars, sizes in contracts, `at` in the exchange's time.

    `mark_e4` is None without a usable price; `state` is the reason.
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
        """The price at which a contract closes: a long (`quantity` > 0) sells at the bid, a short buys at the ask."""
        if self.state == "crossed":
            return None
        if quantity > 0:
            return self.bid_e4
        return self.ask_e4 if self.state != "noAsk" else None


def judge(tick: Tick, last_good_mark_e4: int | None) -> Quote:
    """The quote of a sane tick. `last_good_mark_e4` is its mark if it is crossed or a stub."""
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
    """Whether the mark comes from the quote's own prices, so that it can be the last good mark of later ones."""
    return quote.mark_e4 is not None and quote.state not in ("crossed", "stub")


def _state(bid_e4: int, ask_e4: int) -> QuoteState:
    if _is_stub(bid_e4, ask_e4):
        return "stub"
    if ask_e4 == 0:
        return "noAsk"
    if bid_e4 == 0:
        return "zeroBid"
    if bid_e4 == ask_e4:
        return "locked"
    return "crossed" if bid_e4 > ask_e4 else "twoSided"


def _is_stub(bid_e4: int, ask_e4: int) -> bool:
    if bid_e4 == 0:
        return ask_e4 > _STUB_ASK_WITHOUT_BID_E4
    return ask_e4 > _STUB_RATIO * bid_e4 and bid_e4 + ask_e4 > _STUB_DOUBLE_MID_E4


def _size(size: float) -> int | None:
    """Whole contracts, or None if the number is negative, NaN or too large."""
    return int(size) if 0 <= size < 1e12 else None
