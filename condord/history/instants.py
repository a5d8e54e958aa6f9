"""Instants as integers of microseconds since 1970, UTC."""

from __future__ import annotations

import datetime as dt

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def microseconds(at: dt.datetime) -> int:
    """Return the microseconds from 1970 to `at` (aware)."""
    return (at - _EPOCH) // _MICROSECOND


def microseconds_or_none(at: dt.datetime | None) -> int | None:
    """Return `microseconds(at)`, or None for None."""
    return None if at is None else microseconds(at)


def instant(us: int) -> dt.datetime:
    """Return the UTC datetime of `us` microseconds after 1970."""
    return _EPOCH + us * _MICROSECOND


def instant_or_none(us: int | None) -> dt.datetime | None:
    """Return `instant(us)`, or None for None."""
    return None if us is None else instant(us)
