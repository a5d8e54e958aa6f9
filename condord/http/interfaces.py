"""The interfaces between the HTTP server and the daemon, and the settings that the daemon gives it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import msgspec
from prometheus_client.registry import Collector
from starlette.types import ASGIApp

from condord.http.tickets import Tickets
from condord.live import wire
from condord.live.compression import CodingName
from condord.live.published import Selection, Tally
from condord.live.subscriber import Subscriber
from condord.live.wire_alerts import AlertsJson, ChannelTestJson
from condord.live.wire_history import HistoryQuery, RecordedJson, TradesJson

Gate = Callable[[ASGIApp], ASGIApp]
"""Puts an application behind middleware."""


class Subscriptions(Protocol):
    """Opens and closes streams. A writer adds the number of bytes it has written to `sent_bytes`."""

    sent_bytes: int

    @property
    def now_at(self) -> Callable[[], dt.datetime]:
        """The exchange's clock (UTC), for `Subscriber.take`."""

    @property
    def has_room(self) -> bool:
        """Whether another subscriber is accepted."""

    @property
    def compresses(self) -> bool:
        """Whether streams are deflated for clients that accept gzip."""

    @property
    def heartbeat_seconds(self) -> float:
        """The longest time between two heartbeats; a client may ask for a shorter one."""

    def subscribe(
        self,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        coding: CodingName,
        wake: Callable[[], None],
        *,
        is_chunked: bool = False,
        heartbeat_seconds: float | None = None,
    ) -> Subscriber:
        """Register a subscriber.

        `version` is the last event that the client has; `wake` is called when frames are ready; `heartbeat_seconds` is
        the interval that the client has asked for. See `condord.live.fanout.Fanout.subscribe`.
        """

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""

    def evict(self, subscriber: Subscriber) -> None:
        """Record that `subscriber` is closed because its client reads nothing."""


class StreamCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one Alpaca stream, over all its connections.

    `messages` is by type of message, the others are by the public code of the cause. `reconnects` counts how often the
    stream was live again after a loss; `failures` counts connections that were lost or could not be made.
    """

    connected: bool
    messages: Mapping[str, int]
    reconnects: Mapping[str, int]
    failures: Mapping[str, int]


class MetricValues(msgspec.Struct, frozen=True, kw_only=True):
    """A server's values at the time of a scrape. Counters never decrease while the process lives.

    `status` is None for a relay that has read nothing yet. `frames` counts frames made for subscribers, including the
    `dropped` ones; `sent_bytes` counts what was sent.

    The other values are about reading an account, so a relay has none of them. `breakers` is by Alpaca host.
    `budget_room` and `budget_waits` are by share of the request budget: how many requests are permitted now, and how
    many had to wait. `superseded` counts quotes that a newer one replaced before they were sent. `history_rows` counts
    rows passed to the database, and `history_fault` is true while it cannot be used. `alerts` counts alerts by rule and
    state, `notifications` messages by channel and result.
    """

    status: wire.Status | None
    published: Tally
    subscribers: int
    max_subscribers: int
    frames: int
    sent_bytes: int
    dropped: int
    resyncs: Mapping[str, int]
    disconnects: Mapping[str, int]
    log_dropped: int
    cluster: wire.ClusterJson = wire.ClusterJson(role="all")
    streams: Mapping[str, StreamCounts] = {}
    rate_limited: int = 0
    breakers: Mapping[str, wire.BreakerState] = {}
    budget_room: Mapping[str, int] = {}
    budget_waits: Mapping[str, int] = {}
    superseded: int = 0
    refused: Mapping[str, int] = {}
    history_rows: int = 0
    history_fault: bool = False
    alerts: Mapping[tuple[str, ...], int] = {}
    notifications: Mapping[tuple[str, ...], int] = {}
    rule_evaluations: int = 0


class UnreadReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a server that follows another has no document yet: `detail` is a sentence, and `code` None until it is lost.

    `uptime_seconds` is how long the server has tried.
    """

    detail: str
    code: wire.Code | None
    cluster: wire.ClusterJson
    uptime_seconds: float


class ServedView(Protocol):
    """The parts that every server has: a document, its streams and its own state."""

    @property
    def subscribers(self) -> Subscriptions:
        """The open streams."""

    @property
    def is_alive(self) -> bool:
        """Whether the job that keeps the document up to date makes progress."""

    @property
    def is_ready(self) -> bool:
        """Whether positions are read and the stream is live or closed."""

    def document(self) -> wire.Document:
        """The published document, which the newest event describes."""

    def condor(self, condor_id: str) -> wire.OneCondor | None:
        """One condor with its quotes; None if there is none with this id."""

    def report(self) -> wire.StatusReport:
        """The status and the counters."""

    @property
    def tickets(self) -> Tickets:
        """Issues and accepts tickets for streams."""

    @property
    def registry(self) -> Collector:
        """The registry of all metrics."""


class DaemonView(ServedView, Protocol):
    """The running daemon of an account, as the routes see it."""

    @property
    def records_history(self) -> bool:
        """Whether profit and loss is recorded (`history.enabled`)."""

    async def history(self, query: HistoryQuery) -> RecordedJson | None:
        """The recorded history; None for an unknown condor without rows.

        Raises:
            Unavailable: the account or its positions are not known yet, or the database cannot be read.
        """

    async def trades(self, from_at: dt.datetime | None, until_at: dt.datetime | None) -> TradesJson:
        """The condors closed between two instants, the second not included; None is not bounded."""

    def refresh(self) -> None:
        """Start reading the positions again."""

    def alerts(self) -> AlertsJson:
        """All alerts, the rules, and the channels."""

    async def acknowledge(self, alert_id: str) -> bool:
        """Acknowledge an alert, which stops its repeats; False if there is none with this id.

        Raises:
            Unavailable: of several ingesters, the next leader may not know of it.
        """

    @property
    def channels(self) -> Collection[str]:
        """The names of the configured channels."""

    async def test_channel(self, name: str) -> ChannelTestJson | None:
        """Send one test message by the channel `name`; None if there is none with this name."""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may send requests.

    `knows_host`: whether this server answers to a name in lower case. `origins` may read answers by CORS. `token`
    returns the token; None means that no token is needed. `tickets` accepts the tickets of streams.
    """

    knows_host: Callable[[str], bool]
    origins: frozenset[str]
    token: Callable[[], str] | None
    tickets: Tickets | None = None
