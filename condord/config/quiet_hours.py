"""Parse the quiet hours of a channel: `22:00-08:00 Europe/Berlin`."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import NamedTuple

_FORM = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})(?:\s+(\S+))?")
_EXAMPLE = "22:00-08:00 Europe/Berlin"
# Abbreviations of winter time that are zones of their own, and the place that is probably meant.
_WINTER_ONLY = {"EST": "America/New_York", "MST": "America/Denver", "GMT": "Europe/London"}


class QuietHours(NamedTuple):
    """The hours from `begin` up to `end`, which is not included, in local time of `zone`; they may cross midnight."""

    begin: dt.time
    end: dt.time
    zone: zoneinfo.ZoneInfo


def parse(text: str) -> QuietHours:
    """The quiet hours in `text`.

    Raises:
        ValueError: `text` is not valid; the message has the fault and what is allowed.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"must be two times and a time zone, {_EXAMPLE}")
    begin, end = _time(found[1], found[2]), _time(found[3], found[4])
    if begin == end:
        raise ValueError("must begin and end at different times")
    if found[5] is None:
        raise ValueError(f"must name a time zone, {_EXAMPLE}")
    return QuietHours(begin, end, _zone(found[5]))


def doubt(hours: QuietHours) -> str | None:
    """Why the zone is probably not the one that is meant, as it stays at winter time; None without a doubt."""
    name = hours.zone.key
    if name not in _WINTER_ONLY and not name.startswith("Etc/GMT"):
        return None
    place = _WINTER_ONLY.get(name, "a place such as America/New_York")
    return f"{name} has no daylight saving time, so the quiet hours are an hour off in summer; {place} follows it"


def _time(hour: str, minute: str) -> dt.time:
    try:
        return dt.time(int(hour), int(minute))
    except ValueError:
        raise ValueError("must have times from 00:00 to 23:59") from None


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # unknown; a path; the name of a directory
        from condord.core.rules.parsing import nearest  # only after a typing error

        near = nearest(name, sorted(zoneinfo.available_timezones()))
        meant = f"; the nearest known zone is {near}" if near else ""
        raise ValueError(f"names an unknown time zone{meant}") from None
