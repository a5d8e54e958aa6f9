"""The daemon as the routes see it."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence

from prometheus_client.registry import Collector

from condord.config import schema
from condord.daemon import metrics_source
from condord.daemon.alert_service import AlertService
from condord.daemon.counts import Counts
from condord.daemon.recorded_account import RecordedAccount
from condord.daemon.status_report import status_report
from condord.daemon.subscribers import Subscribers
from condord.errors import SOON_HINT, Unavailable
from condord.http.tickets import Tickets
from condord.live import wire
from condord.live.publisher import Publisher
from condord.live.wire_alerts import AlertsJson, ChannelTestJson
from condord.live.wire_history import HistoryQuery, RecordedJson, TradesJson
from condord.upstream.health import LASTING
from condord.upstream.supervisor import Supervisor

ALIVE_SECONDS = 10.0
"""The supervisor beats once a second; after this long without a beat it counts as hung."""


class RunningDaemon:
    """Implements `condord.http.interfaces.DaemonView`.

    `counts` returns the counts of this process, or of the workers that serve for it. `settings` returns `[server]` as
    in force, and `now_at` the time at the exchange (UTC). `address` is the URL at which this daemon answers.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        supervisor: Supervisor,
        past: RecordedAccount,
        alerts: AlertService,
        subscribers: Subscribers,
        tickets: Tickets,
        registry: Collector,
        counts: Callable[[], Counts],
        now_at: Callable[[], dt.datetime],
        settings: Callable[[], schema.Server],
        address: str,
    ) -> None:
        self.subscribers = subscribers
        self.tickets = tickets
        self.registry = registry
        self.address = address
        self._publisher = publisher
        self._supervisor = supervisor
        self._past = past
        self._alerts = alerts
        self._now_at = now_at
        self.counts = counts
        self._settings = settings
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the daemon was built."""
        return time.monotonic() - self._started

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor makes progress."""
        now = asyncio.get_running_loop().time()
        return now - self._supervisor.beat < ALIVE_SECONDS and self._supervisor.stuck(now) is None

    @property
    def is_ready(self) -> bool:
        """Whether positions are read and the stream is live or closed."""
        return self._supervisor.is_ready

    def document(self) -> wire.Document:
        """The published document."""
        self._supervisor.publish_status()
        return self._publisher.book.edition.document(self._now_at())

    def condor(self, condor_id: str) -> wire.OneCondor | None:
        """One condor with its quotes; None if there is none with this id."""
        return self._publisher.book.edition.one(condor_id, self._now_at())

    def report(self) -> wire.StatusReport:
        """The status and the counters."""
        self._supervisor.publish_status()
        book = self._publisher.book
        return status_report(
            book.edition.status,
            stocks=self._supervisor.stocks(),
            cluster=wire.ClusterJson(role="all"),
            counts=self.counts(),
            settings=self._settings(),
            refused=metrics_source.refused(book, self._supervisor),
            address=self.address,
            uptime_seconds=self.uptime_seconds,
        )

    @property
    def records_history(self) -> bool:
        """Whether profit and loss is recorded."""
        return self._past.recorder.is_enabled

    async def history(self, query: HistoryQuery) -> RecordedJson | None:
        """The recorded history; None for an unknown condor without rows.

        If Alpaca refuses the key, no account will become known, so the answer is empty.

        Raises:
            Unavailable: it is not known yet whose records to read or what is held, or the database cannot be read.
        """
        recorder = self._past.recorder
        recorded = None
        if recorder.is_known:
            recorded = await self._past.store.query(query, self._now_at())
        else:
            self._raise_unless_refused("the account is not known yet")
        found = recorded or self._unrecorded(query.condor_id)
        if found is None and not recorder.is_shown:
            self._raise_unless_refused("the positions have not been read yet")
        return found

    def _raise_unless_refused(self, text: str) -> None:
        """Raise `Unavailable` with `text` and the reason, unless Alpaca refuses the key: waiting does not help then."""
        self._supervisor.publish_status()
        status = self._publisher.book.edition.status
        error = status.positions.error
        if error is not None and error.code in LASTING:
            return
        reasons = [notice.text for notice in status.notices if notice.code == "accountUnavailable"]
        reasons += [] if error is None else [error.text]
        raise Unavailable(": ".join([text, *reasons[:1]]), SOON_HINT)

    def _unrecorded(self, condor_id: str | None) -> RecordedJson | None:
        """The history without rows: of the account, or of a condor that is held now."""
        opened_at = None
        if condor_id is not None:
            document = self._publisher.book.edition.document(self._now_at())
            shown = {condor.id: condor.opened_at for condor in document.condors}
            shown |= {condor.id: condor.opened_at for condor in document.broken}
            if condor_id not in shown:
                return None
            opened_at = shown[condor_id]
        return RecordedJson(
            id=condor_id,
            opened_at=opened_at,
            resolution_seconds=60,
            seconds=[],
            cents=[],
            natural_cents=[],
            price=[],
            low=[],
            high=[],
            quantity=[],
        )

    async def trades(self, from_at: dt.datetime | None, until_at: dt.datetime | None) -> TradesJson:
        """The condors closed between two instants, the second not included."""
        return await self._past.trade_book.trades(from_at, until_at)

    def alerts(self) -> AlertsJson:
        """All alerts, the rules, and the channels."""
        return self._alerts.answer()

    async def acknowledge(self, alert_id: str) -> bool:
        """Note that a person has seen an alert; False if there is none with this id.

        Raises:
            Unavailable: of several ingesters, the next leader may not know of it.
        """
        return await self._alerts.acknowledge(alert_id)

    async def test_channel(self, name: str) -> ChannelTestJson | None:
        """Send one test message and return how the channel answered; None if there is no such channel."""
        return await self._alerts.delivery.test(name)

    @property
    def channels(self) -> Sequence[str]:
        """The names of the channels."""
        return [channel.name for channel in self._alerts.delivery.channels()]

    def refresh(self) -> None:
        """Read the positions again now."""
        self._supervisor.refresh()
