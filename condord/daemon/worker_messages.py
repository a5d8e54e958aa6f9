"""The messages between a daemon and its workers: lines of JSON over a pair of unix sockets.

A worker is first sent `WorkerSettings`, and again after each reload. It sends a `WorkerReport` twice a second.
"""

from __future__ import annotations

import msgspec

from condord.config import schema
from condord.daemon.counts import Counts
from condord.http.merged_metrics import Family

REPORT_SECONDS = 0.5
MAX_LINE_BYTES = 4 * 1024 * 1024


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a worker. It reads no configuration, and has no key for Alpaca.

    `source` is the private socket of the daemon, `address` the URL at which both are reached, and `tickets` the
    directory of used tickets. `cluster` has the role of the daemon, and its own source or bus.
    """

    server: schema.Server
    log: schema.Log
    token: str | None
    source: str
    address: str
    takes_any_host: bool
    tickets: str
    cluster: schema.Cluster = schema.Cluster()


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's counts. The first report also means that it serves."""

    counts: Counts
    families: dict[str, Family]


def line(message: WorkerSettings | WorkerReport) -> bytes:
    """The line of a message."""
    return msgspec.json.encode(message) + b"\n"
