"""The `slot-free` check: which process uses the one option stream, as the bus and the local condord report."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from condord.check.report import Check, Name, fail, ok, warn
from condord.live import wire
from condord.live.remedies import sentence
from condord.upstream.failure_table import FAILURES

ELECTED = ("leader", "standby")
"""The roles of ingesters on a bus."""

_NAME: Name = "slot-free"
_UNKNOWN = "it is not known whether another ingester has it"
_COUNTED = (
    "Wait: after a takeover, Alpaca may still count the connection of the former leader until it is closed. If it "
    "lasts, stop the other program that uses this key."
)


class OnBus(NamedTuple):
    """The state of an account on a bus: which ingester leads, and the hash of the account with its state.

    `leader` is `host:process`, empty if none leads, and None if the bus does not answer; `account_hash` is None without
    a state. `status` is the leader's last stored status, at most some seconds ago; None if it has stored nothing yet.
    """

    leader: str | None = ""
    account_hash: str | None = None
    status: wire.Status | None = None


def of_leader(on_bus: OnBus) -> Check:
    """The result if an ingester leads on the bus, or the bus does not answer."""
    leader, status = on_bus.leader, on_bus.status
    if leader is None:
        return warn(_NAME, f"the bus does not answer, so {_UNKNOWN}")
    who = f"{leader} leads on the bus"
    if status is not None and status.code == "connectionLimit":
        return _counted(who, status)
    if status is not None and status.reason and not status.stream.connected:
        return warn(_NAME, f"{who}, but is not connected: {status.reason}")
    has_it = " and has it" if status is not None and status.stream.connected else ""
    return ok(_NAME, f"{who}{has_it}, and `condord start` would stand by")


def of_daemon(report: wire.StatusReport, on_bus: OnBus) -> Check:
    """The result if the condord that answers should have the stream, or follows the ingester that should."""
    daemon = f"condord, process {report.pid},"
    if report.cluster.role in ELECTED:
        if on_bus.leader is None:
            return warn(_NAME, f"the bus does not answer, so {_UNKNOWN}")
        if report.code == "busLost" and not on_bus.leader:
            return warn(_NAME, f"{daemon} has lost the bus, so {_UNKNOWN}")
    if report.cluster.role == "standby":
        return _of_standby(f"{daemon} stands by", report, on_bus)
    if report.code == "connectionLimit" and report.cluster.role == "leader":
        return _counted(f"{daemon} leads", report)
    if report.stream.connected:
        return ok(_NAME, f"{daemon} has it, and streams {report.stream.subscribed} symbols")
    if report.code == "connectionLimit":
        return fail(_NAME, f"{daemon} waits for it: {report.reason}", sentence(FAILURES["stream 406"].remedy))
    return warn(_NAME, f"{daemon} should have it, but is not connected: {report.reason or report.state}")


def _of_standby(standing_by: str, report: wire.StatusReport, on_bus: OnBus) -> Check:
    """The result if the ingester that answers does not lead; its document is newer than the one stored on the bus."""
    is_lost = report.code in wire.LOST_CODES
    leader = on_bus.leader or (None if is_lost else report.cluster.leader)
    status = on_bus.status if is_lost else report
    if leader is None:
        return ok(_NAME, f"{standing_by}: there is no leader")
    if status is not None and status.code == "connectionLimit":
        return _counted(f"{standing_by}: {leader} leads", status)
    if status is not None and status.reason and not status.stream.connected:
        return warn(_NAME, f"{standing_by}: {leader} leads, but is not connected: {status.reason}")
    has_it = " and has it" if status is not None and status.stream.connected else ""
    return ok(_NAME, f"{standing_by}: {leader} leads{has_it}")


def _counted(who: str, status: wire.Status) -> Check:
    """The result if Alpaca refuses the leader's connection because of another one that it counts."""
    at = status.stream.next_attempt_at
    when = "" if at is None else f" at {at.astimezone(dt.UTC):%H:%M:%S} UTC"
    return fail(_NAME, f"{who}, but Alpaca counts another connection (406); it is tried again{when}", _COUNTED)
