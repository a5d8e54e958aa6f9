"""Days and instants of the past at which the exchange was open."""

from __future__ import annotations

import datetime as dt

from condord.simulator.clock import NEW_YORK
from condord.simulator.holidays import EARLY_CLOSE, closes_early, is_holiday

_OPEN, _CLOSE = dt.time(9, 30), dt.time(16)
_DAY = dt.timedelta(days=1)
_MONDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 4, 5, 6
# So that orders are not filled at the same time of the day as the simulator is started.
_EARLIER = dt.timedelta(seconds=1234.567891)
# How long after an open and before a close an instant lies: at least in a session, and exactly if it was moved to one.
_FROM_EDGE, _MOVED_FROM_EDGE = dt.timedelta(seconds=1234.567891), dt.timedelta(seconds=634.567891)


def is_session(day: dt.date) -> bool:
    """Whether the exchange has a session on `day`."""
    return day.weekday() < _SATURDAY and not is_holiday(day)


def sessions_between(start: dt.date, end: dt.date) -> list[dt.date]:
    """The exchange's sessions from `start` until the day before `end`."""
    days = (start + offset * _DAY for offset in range(max(0, (end - start).days)))
    return [day for day in days if is_session(day)]


def session_hours(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """When a session of `day` opens and closes, in New York."""
    close = EARLY_CLOSE if closes_early(day) else _CLOSE
    return dt.datetime.combine(day, _OPEN, NEW_YORK), dt.datetime.combine(day, close, NEW_YORK)


def past_instant(at: dt.datetime, age_days: float) -> dt.datetime:
    """An instant in a session before the one of `at`, about `age_days` earlier: at least a day (UTC).

    The higher the age, the earlier the instant, if ages differ by whole days and no holiday is near. A Sunday and a
    holiday on a Monday count as the morning of the next session, other days without one as the end of the one before.
    """
    local = (at - dt.timedelta(days=age_days) - _EARLIER).astimezone(NEW_YORK)
    day, today = local.date(), at.astimezone(NEW_YORK).date()
    if is_session(day):
        opens, closes = session_hours(day)
        return min(max(local, opens + _FROM_EDGE), closes - _FROM_EDGE).astimezone(dt.UTC)
    after = session_after(day)
    if after < today and day.weekday() in (_SUNDAY, _MONDAY):
        return (session_hours(after)[0] + _MOVED_FROM_EDGE).astimezone(dt.UTC)
    return (session_hours(session_before(day))[1] - _MOVED_FROM_EDGE).astimezone(dt.UTC)


def past_expiration(at: dt.datetime, age_days: int) -> dt.date:
    """The expiration in the week of `age_days` before `at`: its Friday, or the Thursday if that is a holiday."""
    day = at.astimezone(NEW_YORK).date() - age_days * _DAY
    friday = day + (_FRIDAY - day.weekday()) * _DAY
    return friday if is_session(friday) else session_before(friday)


def session_before(day: dt.date) -> dt.date:
    """The last session before `day`."""
    day -= _DAY
    while not is_session(day):
        day -= _DAY
    return day


def session_after(day: dt.date) -> dt.date:
    """The first session after `day`."""
    day += _DAY
    while not is_session(day):
        day += _DAY
    return day
