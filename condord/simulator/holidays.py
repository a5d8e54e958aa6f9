"""Holidays and early closes by the rules of the New York Stock Exchange; extraordinary closures are not included."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

EARLY_CLOSE = dt.time(13, 0)
_DAY = dt.timedelta(days=1)
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6


def is_holiday(day: dt.date) -> bool:
    """Whether `day` is a holiday of the exchange; weekends are not."""
    return day in _holidays(day.year)


def closes_early(day: dt.date) -> bool:
    """Whether the session of `day` ends at 13:00, as around Independence Day, Thanksgiving and Christmas."""
    if day.weekday() >= _SATURDAY or is_holiday(day):
        return False
    thanksgiving = _nth(day.year, 11, _THURSDAY, 4)
    return (day.month, day.day) in {(7, 3), (12, 24)} or day == thanksgiving + _DAY


@lru_cache(maxsize=16)
def _holidays(year: int) -> frozenset[dt.date]:
    new_year = dt.date(year, 1, 1)
    fixed = {_observed(dt.date(year, month, day)) for month, day in ((6, 19), (7, 4), (12, 25))}
    if new_year.weekday() != _SATURDAY:  # not observed on the Friday before
        fixed.add(_observed(new_year))
    moving = {
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _easter(year) - 2 * _DAY,
        _last_monday_of_may(year),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 11, _THURSDAY, 4),
    }
    return frozenset(fixed | moving)


def _observed(day: dt.date) -> dt.date:
    """A holiday on a Saturday is observed on the Friday before, one on a Sunday on the Monday after."""
    return day - _DAY if day.weekday() == _SATURDAY else day + _DAY if day.weekday() == _SUNDAY else day


def _nth(year: int, month: int, weekday: int, number: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (number - 1)) * _DAY


def _last_monday_of_may(year: int) -> dt.date:
    last = dt.date(year, 5, 31)
    return last - last.weekday() * _DAY


def _easter(year: int) -> dt.date:
    """Easter Sunday, by the algorithm of Meeus, Jones and Butcher (Astronomical Algorithms, 1991)."""
    golden, (century, of_century) = year % 19, divmod(year, 100)
    leaps, rest = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon + 15) % 30
    quads, left = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * quads - epact - left) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return dt.date(year, month, day + 1)
