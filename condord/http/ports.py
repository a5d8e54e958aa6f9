"""What the web side needs of the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry

from condord.live import wire
from condord.live.coding import CodingName
from condord.live.edition import Selection, Tally
from condord.live.fanout import Subscriber


class Audience(Protocol):
    """Those who follow the stream."""

    @property
    def has_room(self) -> bool:
        """Whether another subscriber may come."""

    @property
    def compresses(self) -> bool:
        """Whether streams are deflated for whoever takes gzip."""

    def subscribe(
        self,
        selection: Selection,
        interval_seconds: float,
        version: str | None,
        coding: CodingName,
        wake: Callable[[], None],
    ) -> Subscriber:
        """Open a stream."""

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Close a stream."""

    def take(self, subscriber: Subscriber) -> bytes:
        """Everything that waits for `subscriber`."""

    def note_eviction(self) -> None:
        """A subscriber that took nothing is closed."""


class StreamNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of Alpaca, over all its connections: messages by kind, the others by the public code of the cause.

    `reconnects` are times live again after a loss; `failures` connections that were lost or could not be had.
    """

    connected: bool
    messages: Mapping[str, int]
    reconnects: Mapping[str, int]
    failures: Mapping[str, int]


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a scrape reads. What counts never runs back while the process lives.

    `superseded`: quotes that a newer one has replaced before they left. `frames` are those made for subscribers,
    `dropped` ones included; `taken_bytes` left for them.
    """

    status: wire.Status
    streams: Mapping[str, StreamNumbers]
    published: Tally
    rate_limited: int
    superseded: int
    refused: Mapping[str, int]
    subscribers: int
    max_subscribers: int
    frames: int
    taken_bytes: int
    dropped: int
    resyncs: Mapping[str, int]
    disconnects: Mapping[str, int]


class Daemon(Protocol):
    """The running daemon, as routes see it."""

    @property
    def audience(self) -> Audience:
        """Those who follow its stream."""

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor makes progress."""

    @property
    def is_ready(self) -> bool:
        """Whether positions are read and the stream is live or closed."""

    def document(self) -> wire.Document:
        """The published document."""

    def one(self, identity: str) -> wire.OneCondor | None:
        """One condor with its quotes; None if it is not there."""

    def report(self) -> wire.StatusReport:
        """The status and the counters."""

    def refresh(self) -> None:
        """Read the positions again now."""

    @property
    def registry(self) -> CollectorRegistry:
        """The metrics."""


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask: which Host names are ours, origins for CORS, and the token (None: none is needed)."""

    knows_host: Callable[[str], bool]
    origins: frozenset[str]
    token: Callable[[], str] | None
