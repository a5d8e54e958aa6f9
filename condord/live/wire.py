"""The public JSON structs.

Prices per share and money are JSON numbers of dollars, which only `wire_values.dollars` makes. Times are aware UTC
datetimes. None means not known. The docstrings of the structs become descriptions in the OpenAPI document, so they use
the names of the JSON, and null. A struct with a counterpart in `core` or `live` ends in `Json`, which clients do not
see.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from condord.core.quote import QuoteState
from condord.live.wire_alerts import AlertCounts, AlertJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson, Unmatched, ValuationJson
from condord.live.wire_risk import AccountJson, ClosingOrders, ModelJson, RiskJson, StocksJson, UnderlyingJson
from condord.live.wire_values import Dollars, Instant, PublicJson

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
    "sourceLost",
    "busLost",
    "leaderLost",
]
LOST_CODES = frozenset({"sourceLost", "busLost", "leaderLost"})
"""Codes of a server that cannot follow another one. While one applies, no quote counts as confirmed."""
NoticeCode = Literal[
    "brokenCondor",
    "assignment",
    "expiresToday",
    "lastTradingDay",
    "expired",
    "ordersUnavailable",
    "contractsUnavailable",
    "activitiesUnavailable",
    "stateUnavailable",
    "accountUnavailable",
    "calendarUnavailable",
    "tradeUpdatesUnavailable",
    "notStreamed",
    "silentSymbols",
    "stocksUnavailable",
    "snapshotsUnavailable",
    "dividendsUnavailable",
    "greeksDiffer",
    "historyUnavailable",
    "alertsNotStored",
]
Refusal = Literal[
    "price", "notHeld", "outOfOrder", "future", "element", "frame", "unacknowledged", "stockElement", "stockFrame",
    "stockUnacknowledged", "tradeFrame", "positionRow",
    "stockRow", "quoteRow", "orderRow", "activityRow", "corporateActionRow", "calendarRow", "deliverableRow",
    "positionsAnswer", "clockAnswer", "quotesAnswer", "ordersAnswer", "activitiesAnswer", "corporateActionsAnswer",
    "calendarAnswer", "contractAnswer", "accountAnswer", "stockSnapshotRow", "indexRow", "optionSnapshotRow",
    "dividendRow", "balance", "transferRow", "workingOrderRow", "fillRow", "stocksAnswer", "indexesAnswer",
    "snapshotsAnswer", "oppositesAnswer", "dividendsAnswer", "balancesAnswer", "transfersAnswer", "workingOrdersAnswer",
    "dayFillsAnswer", "dayBarRow", "pastActivitiesAnswer", "dayBarsAnswer",
]  # fmt: skip
"""Why something that Alpaca sent was refused."""
BreakerState = Literal["closed", "open", "halfOpen"]
Source = Literal["alpaca-paper", "alpaca-live", "simulator"]
DataFeed = Literal["indicative", "opra"]
Role = Literal["all", "leader", "standby", "relay"]


class MarketJson(PublicJson, frozen=True, kw_only=True):
    """The hours of the options held, by Alpaca's clock and calendar; all null until the clock has been read.

    `isOpen` is true while any of them trades. `nextClose` is when the last of them stops, in this session or the next.
    """

    is_open: bool | None
    next_open: Instant | None
    next_close: Instant | None


class StreamJson(PublicJson, frozen=True, kw_only=True):
    """The option stream. `subscribed` of `requested` symbols are acknowledged.

    These and `connected` are null where they are not known: from a relay or a standby that has lost what it follows.
    `nextAttemptAt` is when it connects again, null unless it waits to.
    """

    connected: bool | None
    subscribed: int | None
    requested: int | None
    reconnects: int
    last_message_at: Instant | None
    next_attempt_at: Instant | None = None


class RestError(PublicJson, frozen=True, kw_only=True):
    """Why REST cannot be read: a stable code and a sentence."""

    code: str
    text: str


class Positions(PublicJson, frozen=True, kw_only=True):
    """When the positions were last read, and why they cannot be read now.

    `breaker` is null, and there is no `error`, where that is not known: see the option stream.
    """

    read_at: Instant | None
    error: RestError | None
    breaker: BreakerState | None


class NoticeJson(PublicJson, frozen=True, kw_only=True):
    """Something to know about `symbols`, or about the whole account if there are none, first seen at `since`.

    `condorId` is the condor it concerns, if it concerns exactly one.
    """

    code: NoticeCode
    text: str
    symbols: list[str]
    condor_id: str | None = None
    since: Instant


class Status(PublicJson, frozen=True, kw_only=True):
    """The state of the data: what can be trusted now.

    `state`, `reason` and `code` are about the option stream, `positions` about REST.
    """

    state: State
    reason: str | None
    code: Code | None
    since: Instant
    source: Source
    feed: DataFeed
    market: MarketJson
    stream: StreamJson
    positions: Positions
    notices: list[NoticeJson] = []
    model: ModelJson


class ClusterJson(PublicJson, frozen=True, kw_only=True):
    """The role of this process among several. `role` is `all` for a daemon that reads an account by itself.

    Of several ingesters on a bus, one is `leader`, the others are `standby`. `leader` is the name of the one that is
    followed, and `fence` its number, which rises with each leader; both are null without a bus.
    A relay has its `source`, a URL. `lagMs` is how many milliseconds more the newest event took to arrive than the
    fastest one did; while the source is lost, the age of the newest event; null while the source has lost its own
    source. `gaps` counts sequences of events that a snapshot had to replace, and `dropped` events that were older than
    what the relay had.
    """

    role: Role
    leader: str | None = None
    fence: int | None = None
    source: str | None = None
    lag_ms: int | None = None
    gaps: int = 0
    dropped: int = 0


class StatusReport(Status, frozen=True, kw_only=True):
    """`GET /api/status`: the status, the stock stream, and counters of this process.

    The `state` of an ingester that does not lead is `standby` here, and the leader's in the document. `uptime` is
    in seconds. `tasks` counts the tasks of its event loop, those of subscribers included. `stocks` is null for a relay.
    """

    state: State | Literal["standby"]  # type: ignore[assignment]  # msgspec takes the wider one
    stocks: StocksJson | None
    cluster: ClusterJson = ClusterJson(role="all")
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


class QuoteJson(PublicJson, frozen=True, kw_only=True):
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


class UnderlyingTotalsJson(PublicJson, frozen=True, kw_only=True):
    """One underlying: the condors' profit or loss, and the worst case at expiration of all contracts.

    `dayPl` is today's profit or loss of the condors that are open.
    """

    underlying: str
    unrealized_pl: Dollars | None
    day_pl: Dollars | None = None
    max_loss: Dollars | None


class TotalsJson(PublicJson, frozen=True, kw_only=True):
    """The account's sums. A sum with an unknown part is null; `incomplete` counts such condors and entries.

    `dayPl` includes `closedDayPl`, what the condors that were closed today have made today. `theta` is the exception:
    it sums what is known, in dollars a day, and `riskIncomplete` counts the condors and entries that are not. `alerts`
    counts all that fire, also those for which the document has no room.
    """

    condors: int
    incomplete: int
    unrealized_pl: Dollars | None
    natural_pl: Dollars | None
    day_pl: Dollars | None = None
    unmatched_pl: Dollars | None
    unmatched_day_pl: Dollars | None = None
    closed_day_pl: Dollars | None = None
    max_loss: Dollars | None
    theta: float | None = None
    risk_incomplete: int = 0
    alerts: AlertCounts = AlertCounts()
    by_underlying: list[UnderlyingTotalsJson]


class Document(PublicJson, frozen=True, kw_only=True):
    """`GET /api/positions`, and the data of a `snapshot`.

    `alerts` has those that fire and those that have resolved or ended today at the exchange, at most 200, by `since`,
    the newest first, then by `id`.
    """

    version: str
    as_of: Instant
    status: Status
    account: AccountJson | None = None
    underlyings: list[UnderlyingJson] = []
    condors: list[CondorJson]
    broken: list[BrokenJson] = []
    unmatched: list[Unmatched]
    quotes: list[QuoteJson]
    alerts: list[AlertJson] = []
    totals: TotalsJson


class NewPoints(PublicJson, frozen=True, kw_only=True):
    """Points to append to the `history` of the condor with this `id`."""

    id: str
    seconds: list[int]
    cents: list[int]


class Delta(PublicJson, frozen=True, kw_only=True):
    """The changes since another event.

    Each object is whole and replaces the one with its key; points of `history` are appended.

    `closing` replaces the lists of its condors, and `alertsGone` has the ids of alerts to remove. All but the first
    four are left out unless they have changed.
    """

    as_of: Instant
    quotes: list[QuoteJson]
    valuations: list[ValuationJson]
    unmatched: list[Unmatched]
    risks: list[RiskJson] | msgspec.UnsetType = msgspec.UNSET
    underlyings: list[UnderlyingJson] | msgspec.UnsetType = msgspec.UNSET
    closing: list[ClosingOrders] | msgspec.UnsetType = msgspec.UNSET
    history: list[NewPoints] | msgspec.UnsetType = msgspec.UNSET
    alerts: list[AlertJson] | msgspec.UnsetType = msgspec.UNSET
    alerts_gone: list[str] | msgspec.UnsetType = msgspec.UNSET
    totals: TotalsJson | msgspec.UnsetType = msgspec.UNSET
    account: AccountJson | msgspec.UnsetType | None = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET


class OneCondor(PublicJson, frozen=True, kw_only=True):
    """`GET /api/positions/{id}`: one condor and the quotes of its legs."""

    as_of: Instant
    condor: CondorJson
    quotes: list[QuoteJson]


class Heartbeat(PublicJson, frozen=True, kw_only=True):
    """Sent in quiet times, so that a client can tell them from a dead connection."""

    as_of: Instant


class Bye(PublicJson, frozen=True, kw_only=True):
    """The server is stopping; reconnect."""

    reason: str


class Ticket(PublicJson, frozen=True, kw_only=True):
    """`POST /api/tickets`: opens one stream until `expiresAt`, as `ticket=` in its address."""

    ticket: str
    expires_at: dt.datetime


class Problem(PublicJson, frozen=True, kw_only=True):
    """An error as `application/problem+json` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class UnreadProblem(Problem, frozen=True, kw_only=True):
    """The answer of a relay or an ingester before it has read a document: what it waits for, and which one it is.

    `uptime` is in seconds. `code` is null until the source counts as lost.
    """

    code: Code | None
    cluster: ClusterJson
    version: str
    pid: int
    uptime: float


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
