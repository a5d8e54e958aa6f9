"""Parse the queries of `GET /api/history` and `GET /api/trades`; the commands check their options with it too."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping

from condord.core.market_hours import start_of_day
from condord.live.wire_history import HistoryQuery

MAX_POINTS = 5000
DEFAULT_POINTS = 600
FIRST_YEAR, LAST_YEAR = 1970, 2199

Range = tuple[dt.datetime | None, dt.datetime | None]
"""The first instant and the first one after the range, in UTC; None is not bounded."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LOCAL_TIME = re.compile(_DATE.pattern + r"[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")
# In a query, a plus sign that is not escaped arrives as a blank; nothing else can be meant there.
_OFFSET = re.compile(r"(?P<time>.+?)(?P<offset>[Zz]|[-+ ][0-9]{2}:[0-9]{2})")
_DAY = dt.timedelta(days=1)
_MAX_SHOWN = 60  # characters of a value
_ALLOWED = "a date at the exchange such as 2026-11-20, or an instant with an offset such as 2026-11-20T15:30:00Z"
_FOR_THE_GUARD = "access_token"  # checked before any route sees the request


class ParameterError(ValueError):
    """A parameter is not allowed. `text` has its value and what is allowed; `str` begins with the name."""

    def __init__(self, parameter: str, text: str) -> None:
        self.parameter = parameter
        self.text = text
        super().__init__(f"{parameter}: {text}")


def history_query(pairs: Iterable[tuple[str, str]]) -> HistoryQuery:
    """Parse the decoded parameters of `GET /api/history`.

    An empty `from` or `to` counts as absent.

    Raises:
        ParameterError: a parameter is unknown, repeated or invalid, or the range ends before it begins.
    """
    parameters = _by_name(pairs, ("condor", "from", "to", "points"))
    condor_id = parameters.get("condor")
    if condor_id == "":
        raise ParameterError("condor", "it is empty; give the id of a condor, or leave it out for all open condors")
    from_at, until_at = parse_range(parameters.get("from"), parameters.get("to"))
    points = _points(parameters["points"]) if "points" in parameters else DEFAULT_POINTS
    return HistoryQuery(condor_id=condor_id, from_at=from_at, until_at=until_at, points=points)


def trades_query(pairs: Iterable[tuple[str, str]]) -> Range:
    """Parse the decoded parameters of `GET /api/trades`; it raises as `history_query` does."""
    parameters = _by_name(pairs, ("from", "to"))
    return parse_range(parameters.get("from"), parameters.get("to"))


def parse_range(from_text: str | None, to_text: str | None) -> Range:
    """Return the range between two dates at the exchange (both included) or instants (the second not included).

    Raises:
        ParameterError: one of them is invalid, or the range ends before it begins.
    """
    from_at = _instant("from", from_text, days_later=0) if from_text else None
    until_at = _instant("to", to_text, days_later=1) if to_text else None
    if from_at is not None and until_at is not None:
        # A range of one instant is empty, but not the wrong way round. Two dates always have a day between them.
        is_reversed = from_at >= until_at if _DATE.fullmatch(to_text or "") else from_at > until_at
        if is_reversed:
            raise ParameterError("from", f"{_shown(from_text)} is after the end of the range, {_shown(to_text)}")
    return from_at, until_at


def _by_name(pairs: Iterable[tuple[str, str]], allowed: tuple[str, ...]) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name == _FOR_THE_GUARD:
            continue
        if name not in allowed:
            # Without its value, which may be a token under a wrong name.
            raise ParameterError(_shortened(name), f"there is no such parameter; allowed are {', '.join(allowed)}")
        if name in parameters:
            raise ParameterError(name, f"it is given twice, the second time as {_shown(value)}; it is allowed once")
        parameters[name] = value
    return parameters


def _points(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_POINTS:
        raise ParameterError("points", f"{_shown(text)} is not a whole number from 1 to {MAX_POINTS}")
    return int(text)


def _instant(name: str, text: str, *, days_later: int) -> dt.datetime:
    """Return an instant as it is, and of a date its first instant, or that of the date `days_later`."""
    try:
        if _DATE.fullmatch(text):
            day = dt.date.fromisoformat(text)
            _require_year(name, text, day.year)
            return start_of_day(day + days_later * _DAY)
        match = _OFFSET.fullmatch(text)
        if match and _LOCAL_TIME.fullmatch(match["time"]):
            at = dt.datetime.fromisoformat(match["time"].upper() + match["offset"].upper().replace(" ", "+"))
            _require_year(name, text, at.year)
            return at.astimezone(dt.UTC)
    except ParameterError:
        raise
    except ValueError:  # a day, a time or an offset that does not exist
        pass
    if _LOCAL_TIME.fullmatch(text):
        raise ParameterError(name, f"{_shown(text)} has no offset; append Z for UTC, or one such as -05:00")
    raise ParameterError(name, f"{_shown(text)} is not {_ALLOWED}")


def _require_year(name: str, text: str, year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ParameterError(name, f"{_shown(text)} is not in the years {FIRST_YEAR} to {LAST_YEAR}")


def _shown(text: str | None) -> str:
    return _shortened(repr(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
