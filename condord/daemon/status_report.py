"""The answer of `GET /api/status`, the same for every server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from condord import __version__
from condord.config import schema
from condord.live import wire
from condord.live.fanout import Fanout
from condord.live.wire_risk import StocksJson


def status_report(
    status: wire.Status,
    *,
    stocks: StocksJson | None,
    cluster: wire.ClusterJson,
    fanout: Fanout,
    settings: schema.Server,
    refused: Mapping[str, int],
    address: str,
    uptime_seconds: float,
) -> wire.StatusReport:
    """Return `status` with the counters of this process."""
    return wire.StatusReport(
        **{name: getattr(status, name) for name in status.__struct_fields__},
        stocks=stocks,
        cluster=cluster,
        version=__version__,
        pid=os.getpid(),
        address=address,
        uptime=round(uptime_seconds, 3),
        reconnects=status.stream.reconnects,
        subscribers=fanout.subscribers,
        max_subscribers=settings.max_subscribers,
        frames=fanout.frames,
        dropped=fanout.dropped,
        evicted=fanout.evicted,
        resyncs=fanout.resyncs,
        refused=dict(refused),
        tasks=len(asyncio.all_tasks()),
    )
