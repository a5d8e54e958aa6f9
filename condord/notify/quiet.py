"""Quiet hours: they begin and end when a clock on the wall first shows these times.

A time that the clock skips in spring is the moment of the change. One that it shows twice in autumn counts the first
time, so that the hours neither end late nor begin again.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from condord.notify.channel import ChannelQuietHours

_DAY = dt.timedelta(days=1)


def end_of(quiet: ChannelQuietHours | None, at: dt.datetime) -> dt.datetime | None:
    """Return the end (UTC) of the quiet hours that are under way at `at` (aware); None if none are."""
    if quiet is None or quiet.begin == quiet.end:
        return None
    today = at.astimezone(quiet.zone).date()
    for day in (today - _DAY, today):
        last = day if quiet.begin < quiet.end else day + _DAY
        end_at = _instant(last, quiet.end, quiet.zone)
        if _instant(day, quiet.begin, quiet.zone) <= at < end_at:
            return end_at
    return None


def _instant(day: dt.date, time: dt.time, zone: ZoneInfo) -> dt.datetime:
    """The first instant at which the clock in `zone` shows `time` on `day`, or has skipped it."""
    local = dt.datetime.combine(day, time, zone)
    first, second = (local.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if first <= second:
        return first
    # The time is skipped: the offset before the change gives an instant after it, the other one an instant before it.
    before, after = int(second.timestamp()), int(first.timestamp())
    offset = second.astimezone(zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if dt.datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return dt.datetime.fromtimestamp(after, dt.UTC)
