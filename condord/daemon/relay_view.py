"""A relay as the routes see it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from prometheus_client.registry import Collector

from condord.config import schema
from condord.daemon.counts import Counts
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.status_report import status_report
from condord.daemon.subscribers import Subscribers
from condord.http.interfaces import UnreadReason
from condord.http.tickets import Tickets
from condord.live import wire
from condord.live.lost_source import condor_unconfirmed_if_lost
from condord.live.lost_status import as_known, with_newest_message
from condord.live.replica import Replica
from condord.live.source_clock import SourceClock

_UNREAD: dict[wire.Role, str] = {
    "leader": "this ingester leads, and has read nothing from its own daemon of the account",
    "all": "this worker has read nothing from {}",
    "standby": "this ingester stands by, and has read nothing from {}",
}


class RelayView:
    """Implements `condord.http.interfaces.ServedView`.

    `counts` returns the counts of this process, or of the workers that serve for it. `settings` returns `[server]` as
    in force, `cluster` the role of this relay and what it follows, without its lag. `address` is the URL at which it
    answers. `followed` names the source, in words.
    """

    def __init__(
        self,
        *,
        replica: Replica,
        feed: RelayFeed,
        clock: SourceClock,
        subscribers: Subscribers,
        tickets: Tickets,
        registry: Collector,
        counts: Callable[[], Counts],
        settings: Callable[[], schema.Server],
        cluster: Callable[[], wire.ClusterJson],
        address: str,
        followed: str,
    ) -> None:
        self.subscribers = subscribers
        self.tickets = tickets
        self.registry = registry
        self.address = address
        self._followed = followed
        self._replica = replica
        self._feed = feed
        self._clock = clock
        self._counts = counts
        self._settings = settings
        self._cluster = cluster
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the relay was built."""
        return time.monotonic() - self._started

    @property
    def is_alive(self) -> bool:
        """Always true: a relay makes progress if its event loop runs, and the loop answers this."""
        return True

    @property
    def is_ready(self) -> bool:
        """Whether the source is not lost, has read its positions, and has a stream that is live or closed."""
        status = self._replica.edition.status
        is_read = self._replica.is_known and status.positions.read_at is not None
        return is_read and not self._replica.is_lost and status.state in ("live", "closed")

    @property
    def unread(self) -> UnreadReason | None:
        """Why there is no document yet; None once there is one."""
        if self._replica.is_known:
            return None
        cluster, uptime_seconds = self.cluster, self.uptime_seconds
        read = _UNREAD.get(cluster.role, "this relay has read nothing from {}").format(self._followed)
        return UnreadReason(
            detail=f"{read} in {uptime_seconds:.0f} s: {self._feed.lost_reason}",
            code=self._feed.lost_code,
            cluster=cluster,
            uptime_seconds=uptime_seconds,
        )

    @property
    def status(self) -> wire.Status | None:
        """The known part of the status, None before there is one."""
        if not self._replica.is_known:
            return None
        edition = self._replica.edition
        return as_known(with_newest_message(edition.status, edition.quotes.json.values()), self._clock())

    @property
    def cluster(self) -> wire.ClusterJson:
        """The role of this relay, its source, and its lag."""
        counts = self._counts()
        return msgspec.structs.replace(
            self._cluster(), lag_ms=self._feed.lag_ms, gaps=counts.gaps, dropped=counts.outdated
        )

    def document(self) -> wire.Document:
        """The document of the source as of the newest event, with the known part of the status."""
        document, status = self._replica.edition.document(self._clock()), self.status
        return document if status is None else msgspec.structs.replace(document, status=status)

    def condor(self, condor_id: str) -> wire.OneCondor | None:
        """One condor with its quotes; None if there is none with this id.

        The answer has no status to show that the source is lost, so meanwhile its quotes are unconfirmed.
        """
        found = self._replica.edition.one(condor_id, self._clock())
        return None if found is None else condor_unconfirmed_if_lost(found, self._replica.edition.status)

    def report(self) -> wire.StatusReport:
        """The status and the counters."""
        return status_report(
            self.status or self._replica.edition.status,
            stocks=None,
            cluster=self.cluster,
            counts=self._counts(),
            settings=self._settings(),
            refused={},
            address=self.address,
            uptime_seconds=self.uptime_seconds,
        )
