"""Draw a line of numbers as one row of bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from condord.cli import formatting
from condord.cli.screen import Screen

BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = " "

Number = int | None


def sampled(last: Sequence[Number], low: Sequence[Number], high: Sequence[Number], width: int) -> list[Number]:
    """Return at most `width` values for lists of equal length.

    Each is the last known one of its part, except where the part has the least or the greatest of all: these are
    always among the values, so a short fall stays visible.
    """
    count = min(len(last), width)
    bounds = [len(last) * at // count for at in range(count + 1)] if count else []
    least = min((value for value in low if value is not None), default=None)
    greatest = max((value for value in high if value is not None), default=None)
    values: list[Number] = []
    for begin, end in pairwise(bounds):
        if least is not None and least in low[begin:end]:
            values.append(least)
        elif greatest is not None and greatest in high[begin:end]:
            values.append(greatest)
        else:
            values.append(next((value for value in reversed(last[begin:end]) if value is not None), None))
    return values


def sparkline(values: Sequence[Number], screen: Screen) -> str:
    """Draw one bar for each value, from the least to the greatest; gains and losses are coloured, unknown is blank."""
    known = [value for value in values if value is not None]
    least, greatest = min(known, default=0), max(known, default=0)
    styled = ((formatting.gain_style(value), _bar(value, least, greatest)) for value in values)
    return "".join(
        screen.paint("".join(bar for _, bar in bars), style) for style, bars in groupby(styled, lambda each: each[0])
    )


def _bar(value: Number, least: int, greatest: int) -> str:
    if value is None:
        return _UNKNOWN
    steps = len(BARS) - 1
    return BARS[round((value - least) * steps / (greatest - least)) if greatest > least else steps // 2]
