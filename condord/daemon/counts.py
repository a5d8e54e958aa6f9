"""The numbers that a process counts about its subscribers, and their sum over several processes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from condord.daemon.subscribers import Subscribers
from condord.live.fanout import Fanout
from condord.live.wire import ClusterJson

_GAUGES = ("subscribers", "tasks")
_BY_NAME = ("resyncs", "disconnects")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of one process or of several.

    `tasks` counts the tasks of other processes than this one. `gaps` and `outdated` count events that a relay reads.
    """

    subscribers: int = 0
    tasks: int = 0
    frames: int = 0
    sent_bytes: int = 0
    dropped: int = 0
    evicted: int = 0
    log_dropped: int = 0
    gaps: int = 0
    outdated: int = 0
    resyncs: Mapping[str, int] = {}
    disconnects: Mapping[str, int] = {}

    def __add__(self, other: Counts) -> Counts:
        """The sum."""
        numbers = {
            name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__ if name not in _BY_NAME
        }
        return Counts(
            **numbers,
            resyncs=_sum(self.resyncs, other.resyncs),
            disconnects=_sum(self.disconnects, other.disconnects),
        )

    def lasting(self) -> Counts:
        """The counts to keep when the process has ended: the totals, without the current numbers."""
        return msgspec.structs.replace(self, **dict.fromkeys(_GAUGES, 0))


def summed(own: Counts, workers: Counts) -> Counts:
    """The counts of a daemon whose workers serve for it: its own subscribers are only its workers."""
    return workers + Counts(log_dropped=own.log_dropped, gaps=own.gaps, outdated=own.outdated)


def own(fanout: Fanout, subscribers: Subscribers, *, log_dropped: int, cluster: ClusterJson | None = None) -> Counts:
    """The counts of this process; `cluster` counts the events that a relay reads."""
    return Counts(
        subscribers=fanout.subscribers,
        frames=fanout.frames,
        sent_bytes=subscribers.sent_bytes,
        dropped=fanout.dropped,
        evicted=fanout.evicted,
        log_dropped=log_dropped,
        gaps=cluster.gaps if cluster else 0,
        outdated=cluster.dropped if cluster else 0,
        resyncs=fanout.resyncs.copy(),
        disconnects=fanout.disconnects.copy(),
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
