"""Decides what leaves the process: the public JSON structs and the frames of the stream.

Rules: names are camelCase by the struct, without a transform step. Prices per share and money are JSON
numbers of dollars, made from integers of 1e-4 dollars in `dollars` and nowhere else. Times are aware UTC
datetimes. None means not known. The docstrings of the structs are read by clients, as descriptions in the OpenAPI
document: they use the names of the JSON, and null.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from condord.core.occ import Right
from condord.core.position import Direction, EntrySource, Kind
from condord.core.quote import QuoteState

State = Literal["starting", "live", "closed", "stale", "reconnecting", "halted"]
Code = Literal[
    "authFailed",
    "insufficientSubscription",
    "connectionLimit",
    "slowClient",
    "silent",
    "unreachable",
    "malformed",
    "symbolLimit",
]
NoticeCode = Literal[
    "brokenCondor",
    "assignment",
    "expiresToday",
    "expired",
    "ordersUnavailable",
    "contractsUnavailable",
    "calendarUnavailable",
    "tradeUpdatesUnavailable",
    "notStreamed",
    "silentSymbols",
]
Refusal = Literal[
    "price",
    "notHeld",
    "outOfOrder",
    "future",
    "element",
    "frame",
    "unacknowledged",
    "tradeFrame",
    "positionRow",
    "stockRow",
    "quoteRow",
    "orderRow",
    "calendarRow",
    "deliverableRow",
    "positionsAnswer",
    "clockAnswer",
    "quotesAnswer",
    "ordersAnswer",
    "calendarAnswer",
    "contractAnswer",
]
"""What of the things that Alpaca sends may be refused."""
BreakerState = Literal["closed", "open", "halfOpen"]
Source = Literal["alpaca-paper", "alpaca-live", "simulator"]
Feed = Literal["indicative", "opra"]
Side = Literal["long", "short"]
Dollars = int | float
Instant = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""RFC 3339, in UTC."""


def dollars(amount_e4: int) -> Dollars:
    """The JSON number for an integer of 1e-4 dollars; whole dollars come without a fraction."""
    whole, rest = divmod(amount_e4, 10_000)
    return amount_e4 / 10_000 if rest else whole


def dollars_or_none(amount_e4: int | None) -> Dollars | None:
    """As `dollars`; None stays None."""
    return None if amount_e4 is None else dollars(amount_e4)


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A public JSON object."""


class Market(_Wire, frozen=True, kw_only=True):
    """The session of US options, as Alpaca's clock gives it; all null until it was read."""

    is_open: bool | None
    next_open: Instant | None
    next_close: Instant | None


class Stream(_Wire, frozen=True, kw_only=True):
    """The option stream. `subscribed` of `requested` symbols are acknowledged.

    `nextAttemptAt`: when it connects again; null while it does not wait for that.
    """

    connected: bool
    subscribed: int
    requested: int
    reconnects: int
    last_message_at: Instant | None
    next_attempt_at: Instant | None = None


class RestError(_Wire, frozen=True, kw_only=True):
    """Why REST cannot be read: a stable word and a sentence."""

    code: str
    text: str


class Positions(_Wire, frozen=True, kw_only=True):
    """How fresh the positions are."""

    read_at: Instant | None
    error: RestError | None
    breaker: BreakerState


class Notice(_Wire, frozen=True, kw_only=True):
    """Something to know about `symbols`, or about the whole account if there are none; `since` when it was seen."""

    code: NoticeCode
    text: str
    symbols: list[str]
    since: Instant


class Status(_Wire, frozen=True, kw_only=True):
    """What can be trusted now: `state`, `reason`, `code` of the option stream, `positions` of REST."""

    state: State
    reason: str | None
    code: Code | None
    since: Instant
    source: Source
    feed: Feed
    market: Market
    stream: Stream
    positions: Positions
    notices: list[Notice] = []


class StatusReport(Status, frozen=True, kw_only=True):
    """`GET /api/status`: the status and the counters of this process.

    `uptime` is in seconds; `tasks` counts what its event loop does at once, connections of subscribers included.
    """

    version: str
    pid: int
    address: str
    uptime: float
    reconnects: int
    subscribers: int
    max_subscribers: int
    frames: int
    dropped: int
    evicted: int
    resyncs: dict[str, int]
    refused: dict[str, int]
    tasks: int


class Leg(_Wire, frozen=True, kw_only=True):
    """One leg of a condor; short: negative cost basis. `multiplierAssumed`: Alpaca has not told the multiplier."""

    symbol: str
    right: Right
    strike: Dollars
    side: Side
    quantity: int
    average_entry_price: Dollars | None
    cost_basis: Dollars | None
    multiplier_assumed: bool = False
    problem: str | None = None


class Breakevens(_Wire, frozen=True, kw_only=True):
    """Prices of the underlying without profit or loss at expiration; null on a side without one."""

    lower: Dollars | None
    upper: Dollars | None


class LegValuation(_Wire, frozen=True, kw_only=True):
    """The profit or loss of one leg at its mark."""

    symbol: str
    unrealized_pl: Dollars | None


class PlBounds(_Wire, frozen=True, kw_only=True):
    """Between what the profit or loss of a condor with a missing leg lies."""

    low: Dollars
    high: Dollars


class Valuation(_Wire, frozen=True, kw_only=True):
    """What a condor is worth now; without a usable quote of a leg in `missing` its numbers are null, but `plBounds`."""

    id: str
    as_of: Instant | None
    mark: Dollars | None
    natural: Dollars | None
    unrealized_pl: Dollars | None
    natural_pl: Dollars | None
    percent_of_max_profit: float | None
    percent_of_risk: float | None
    missing: list[str]
    unconfirmed: bool
    legs: list[LegValuation]
    pl_bounds: PlBounds | None = None


class History(_Wire, frozen=True, kw_only=True):
    """The profit or loss of a condor over the session: seconds since 1970, ascending, and cents at each of them.

    At most one point a minute, of the latest day at the exchange with any, since the daemon started and the condor has
    had this quantity and credit; none where the stream was not live, or the profit or loss unknown or unconfirmed.
    """

    seconds: list[int] = []
    cents: list[int] = []


class Condor(_Wire, frozen=True, kw_only=True):
    """One card: four legs, the numbers that do not move, and the valuation that does.

    `openedAt`, and `realizedPl` of its rolls, are known of a condor that orders opened; every other number is of the
    legs as they are now. A daemon that does not tell these three knows structure alone.
    """

    id: str
    kind: Kind
    direction: Direction
    underlying: str
    root: str
    expiration: dt.date
    days_to_expiration: int
    quantity: int
    multiplier: int
    broken_wing: bool
    ambiguous: bool
    legs: list[Leg]
    credit: Dollars | None
    max_profit: Dollars | None
    max_loss: Dollars | None
    put_width: Dollars
    call_width: Dollars
    breakevens: Breakevens
    entry_source: EntrySource = "structure"
    opened_at: Instant | None = None
    realized_pl: Dollars | None = None
    valuation: Valuation
    history: History = History()


class Unmatched(_Wire, frozen=True, kw_only=True):
    """Contracts in no condor; the parsed fields are null where the symbol cannot be parsed."""

    symbol: str
    underlying: str | None
    root: str | None
    expiration: dt.date | None
    right: Right | None
    strike: Dollars | None
    side: Side | None
    quantity: int | None
    multiplier: int | None
    average_entry_price: Dollars | None
    cost_basis: Dollars | None
    mark: Dollars | None
    unrealized_pl: Dollars | None
    uncovered_short: bool
    multiplier_assumed: bool = False
    problem: str | None


class Quote(_Wire, frozen=True, kw_only=True):
    """The newest published quote of one contract; sizes are contracts."""

    symbol: str
    bid: Dollars | None
    bid_size: int | None
    ask: Dollars | None
    ask_size: int | None
    mark: Dollars | None
    state: QuoteState
    time: Instant | None
    unconfirmed: bool


class UnderlyingTotals(_Wire, frozen=True, kw_only=True):
    """One underlying: the condors' profit or loss, and the worst case at expiration of all contracts."""

    underlying: str
    unrealized_pl: Dollars | None
    max_loss: Dollars | None


class Totals(_Wire, frozen=True, kw_only=True):
    """The account; a sum with an unknown part is null, and `incomplete` counts the parts."""

    condors: int
    incomplete: int
    unrealized_pl: Dollars | None
    natural_pl: Dollars | None
    unmatched_pl: Dollars | None
    max_loss: Dollars | None
    by_underlying: list[UnderlyingTotals]


class Document(_Wire, frozen=True, kw_only=True):
    """`GET /api/positions`, and the data of a `snapshot`."""

    version: str
    as_of: Instant
    status: Status
    condors: list[Condor]
    unmatched: list[Unmatched]
    quotes: list[Quote]
    totals: Totals


class Delta(_Wire, frozen=True, kw_only=True):
    """What changed: each object listed is whole and replaces the one with the same key.

    `totals` and `status` are there when they have changed.
    """

    as_of: Instant
    quotes: list[Quote]
    valuations: list[Valuation]
    unmatched: list[Unmatched]
    totals: Totals | msgspec.UnsetType = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET


class OneCondor(_Wire, frozen=True, kw_only=True):
    """`GET /api/positions/{id}`: one condor and the quotes of its legs."""

    as_of: Instant
    condor: Condor
    quotes: list[Quote]


class Heartbeat(_Wire, frozen=True, kw_only=True):
    """Sent in quiet times, so that a page can tell them from a dead link."""

    as_of: Instant


class Bye(_Wire, frozen=True, kw_only=True):
    """The server is going; reconnect."""

    reason: str


class Problem(_Wire, frozen=True, kw_only=True):
    """An error answer by RFC 9457, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str


_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def frame(event: str, payload: msgspec.Struct, version: str | None = None) -> bytes:
    """One event of the stream (text/event-stream); `version` becomes its id."""
    name = f"event: {event}\n".encode()
    identity = b"" if version is None else f"id: {version}\n".encode()
    return b"%b%bdata: %b\n\n" % (name, identity, encode(payload))
