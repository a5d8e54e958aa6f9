"""Answer a follower with the events that it lacks, in the same form as a resumed stream begins with them."""

from __future__ import annotations

import datetime as dt

from condord.live.fanout import Fanout
from condord.live.published import EVERYTHING


def caught_up(fanout: Fanout, version: str | None, now_at: dt.datetime) -> bytes:
    """Return a delta with everything after `version`, or a snapshot, as blocks of a stream.

    It is empty if `version` is ahead of this server.
    """
    subscriber = fanout.subscribe(
        selection=EVERYTHING, interval_seconds=0.0, version=version, now_at=now_at, wake=lambda: None
    )
    try:
        return b"" if fanout.is_waiting(subscriber) else subscriber.take(lambda: now_at)
    finally:
        fanout.unsubscribe(subscriber)
