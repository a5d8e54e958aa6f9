"""The answer of `GET /api/status`, the same for every server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import msgspec

from condord import __version__
from condord.config import schema
from condord.daemon.counts import Counts
from condord.live import wire
from condord.live.wire_risk import StocksJson


def status_report(
    status: wire.Status,
    *,
    stocks: StocksJson | None,
    cluster: wire.ClusterJson,
    counts: Counts,
    settings: schema.Server,
    refused: Mapping[str, int],
    address: str,
    uptime_seconds: float,
) -> wire.StatusReport:
    """Return `status` with the counters of this process, or of all processes that serve for it.

    An ingester that does not lead is `standby`.
    """
    known = {name: getattr(status, name) for name in status.__struct_fields__}
    if cluster.role == "standby":
        known["state"] = "standby"
    return wire.StatusReport(
        **known,
        stocks=stocks,
        cluster=msgspec.structs.replace(cluster, gaps=counts.gaps, dropped=counts.outdated),
        version=__version__,
        pid=os.getpid(),
        address=address,
        uptime=round(uptime_seconds, 3),
        reconnects=status.stream.reconnects,
        subscribers=counts.subscribers,
        max_subscribers=settings.max_subscribers,
        frames=counts.frames,
        dropped=counts.dropped,
        evicted=counts.evicted,
        resyncs=dict(counts.resyncs),
        refused=dict(refused),
        tasks=counts.tasks + len(asyncio.all_tasks()),
    )
