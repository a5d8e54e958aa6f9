"""The status of a server while it has lost what it follows: what is not known then is null."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from condord.live import wire


def newest_message_at(status: wire.Status, quotes: Iterable[wire.QuoteJson]) -> dt.datetime | None:
    """Return when the option stream sent its newest message, as the published `quotes` show it.

    While the stream is live, no event carries only a newer `lastMessageAt`, so it is taken from the newest quote. In
    another state nothing comes from the stream, and newer quotes are from REST.
    """
    if status.state != "live":
        return status.stream.last_message_at
    times = (status.stream.last_message_at, *(quote.time for quote in quotes))
    return max((time for time in times if time is not None), default=None)


def with_newest_message(status: wire.Status, quotes: Iterable[wire.QuoteJson]) -> wire.Status:
    """Return `status` with `newest_message_at` of these quotes."""
    at = newest_message_at(status, quotes)
    return msgspec.structs.replace(status, stream=msgspec.structs.replace(status.stream, last_message_at=at))


def lost_status(status: wire.Status, *, code: wire.Code, reason: str, now_at: dt.datetime) -> wire.Status:
    """Return the status after `status` of a server that has lost its source, at `now_at`.

    If it was lost before, only the reason is new. Whether the option stream is connected, and whether REST can be read,
    is not known any longer. When something was read, or came last, still is.
    """
    stream = msgspec.structs.replace(
        status.stream, connected=None, subscribed=None, requested=None, next_attempt_at=None
    )
    positions = msgspec.structs.replace(status.positions, error=None, breaker=None)
    since = status.since if status.code == code else now_at
    return msgspec.structs.replace(
        status, state="reconnecting", reason=reason, code=code, since=since, stream=stream, positions=positions
    )


def as_known(status: wire.Status, now_at: dt.datetime) -> wire.Status:
    """Return what is known of `status` at `now_at`: after a loss, `market` only until its next change is due."""
    market = status.market
    if status.code not in wire.LOST_CODES or market.is_open is None:
        return status
    change_at = market.next_close if market.is_open else market.next_open
    if change_at is None or now_at < change_at:
        return status
    return msgspec.structs.replace(status, market=wire.MarketJson(is_open=None, next_open=None, next_close=None))
