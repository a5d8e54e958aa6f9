"""Show recorded profit and loss: a sparkline, its extremes, and how much of the range is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

from condord.cli import formatting
from condord.cli.screen import Screen, joined, plain
from condord.cli.sparkline import Number, sampled, sparkline
from condord.core.market_hours import exchange_day, wall_time
from condord.live.wire_history import RecordedJson

_PIPE_WIDTH = 80
_CENTS = 100
_MINUTE = 60


def recorded_lines(answer: RecordedJson, now: dt.datetime, screen: Screen) -> list[str]:
    """Return the lines for one condor or all open ones; they depend only on the arguments."""
    today = exchange_day(now)
    head = screen.paint(plain(answer.id or "open condors"), "strong")
    head += f"  opened {_moment(answer.opened_at, today)}" if answer.opened_at is not None else ""
    if not answer.seconds:
        return [head, "Nothing is recorded in this range."]
    width = screen.width or _PIPE_WIDTH
    line = sparkline(sampled(answer.cents, answer.low, answer.high, width), screen).rstrip()
    return [head, *([line] if line else []), *_figures(answer, today, screen), *joined(_parts(answer), screen)]


def _figures(answer: RecordedJson, today: dt.date, screen: Screen) -> list[str]:
    """Return a line for each of the first, least, greatest and last profit or loss, with its minute or bucket."""
    known = [(cents, second) for cents, second in zip(answer.cents, answer.seconds, strict=True) if cents is not None]
    found = (
        ("first", next(iter(known), None)),
        ("low", _extreme(answer.low, answer.seconds, sign=-1)),
        ("high", _extreme(answer.high, answer.seconds, sign=1)),
        ("last", next(reversed(known), None)),
    )
    shown = [(name, formatting.gain(None if each is None else each[0] / _CENTS), each) for name, each in found]
    width = max(len(text) for _, text, _ in shown)
    return [
        f"{name:<7}{screen.paint(f'{text:>{width}}', formatting.gain_style(each[0] if each else None))}"
        + (f"  {_when(each[1], answer, today)}" if each else "")
        for name, text, each in shown
    ]


def _extreme(values: Sequence[Number], seconds: Sequence[int], *, sign: int) -> tuple[int, int] | None:
    """Return the value that is the farthest in the direction of `sign`, and when it was first so."""
    known = [(value, second) for value, second in zip(values, seconds, strict=True) if value is not None]
    return max(known, key=lambda each: sign * each[0], default=None)


def _parts(answer: RecordedJson) -> list[str]:
    count = len(answer.seconds)
    parts = [f"{count} point{'' if count == 1 else 's'} of {_length(answer.resolution_seconds)}"]
    if unknown := answer.cents.count(None):
        parts.append(f"P/L unknown in {unknown}")
    if absent := _absent_seconds(answer.seconds, answer.resolution_seconds):
        parts.append(f"{_length(absent)} absent within sessions")
    return parts


def _absent_seconds(seconds: Sequence[int], resolution: int) -> int:
    """Return for how long no row exists between two rows of one day at the exchange."""
    gaps = [(before, _begin(after, resolution)) for before, after in pairwise(seconds) if _day(before) == _day(after)]
    return sum(after - before for before, after in gaps)


def _begin(second: int, resolution: int) -> int:
    """Return the start of the bucket that ends at `second`; the current one may end early."""
    return (second - 1) // resolution * resolution


def _day(second: int) -> dt.date:
    return exchange_day(dt.datetime.fromtimestamp(second, dt.UTC))


def _length(seconds: int) -> str:
    """Format whole minutes: `15 min`, `2 h`, `2 h 30 min`."""
    hours, minutes = divmod(seconds // 60, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _when(second: int, answer: RecordedJson, today: dt.date) -> str:
    """Format the end of a minute, or the range of a longer bucket: `Nov 20 10:00 to 10:15 ET`."""
    end = dt.datetime.fromtimestamp(second, dt.UTC)
    if answer.resolution_seconds == _MINUTE:
        return _moment(end, today)
    begin = dt.datetime.fromtimestamp(_begin(second, answer.resolution_seconds), dt.UTC)
    if answer.opened_at is not None:
        begin = min(max(begin, answer.opened_at), end)
    last = wall_time(end) if exchange_day(begin) == exchange_day(end) else _moment(end, today).removesuffix(" ET")
    return f"{_moment(begin, today).removesuffix(' ET')} to {last} ET"


def _moment(at: dt.datetime, today: dt.date) -> str:
    return f"{formatting.date(exchange_day(at), today)} {wall_time(at)} ET"
