"""Decides how cells become lines: columns as wide as their widest cell, and notes that give way.

Rules: a cell is padded first and painted then, so that colour does not count. Every row ends with a note, which has
no heading; where it does not fit it goes below its row, indented and wrapped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from condord.cli.screen import Screen

GAP = "  "
_LEAST_NOTE = 20


class Cell(NamedTuple):
    """A text and its style."""

    text: str
    style: str = ""


Row = Sequence[Cell]


def grid(titles: str, rows: Sequence[Row], screen: Screen, above: Sequence[str] = ()) -> list[str]:
    """A heading and the rows.

    Args:
        titles: the headings, split at `|`; one that begins with a blank heads a column of numbers.
        rows: as many cells as there are titles, and one for the note.
        screen: where it is shown.
        above: a line over each row, if any; the rows are indented then.
    """
    heads, widths = titles.split("|"), _widths(titles, rows)
    indent = GAP if above else ""
    lines = [(indent + _line([Cell(head.strip(), "faint") for head in heads], heads, widths, screen)).rstrip()]
    for at, row in enumerate(rows):
        lines += above[at : at + 1]
        line = indent + _line(row[:-1], heads, widths, screen)
        lines += _noted(line, len(indent) + _total(widths), row[-1], screen)
    return lines


def grid_width(titles: str, rows: Sequence[Row]) -> int:
    """How many columns `grid` takes without the notes."""
    return _total(_widths(titles, rows))


def _widths(titles: str, rows: Sequence[Row]) -> list[int]:
    heads = [head.strip() for head in titles.split("|")]
    return [max([len(head), *(len(row[at].text) for row in rows)]) for at, head in enumerate(heads)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _line(row: Row, heads: Sequence[str], widths: Sequence[int], screen: Screen) -> str:
    return GAP.join(
        screen.paint(cell.text.rjust(width) if head.startswith(" ") else cell.text.ljust(width), cell.style)
        for cell, head, width in zip(row, heads, widths, strict=True)
    )


def _noted(line: str, used: int, note: Cell, screen: Screen) -> list[str]:
    if not note.text:
        return [line.rstrip()]
    if screen.width is None or used + len(GAP) + len(note.text) <= screen.width:
        return [line + GAP + screen.paint(note.text, note.style)]
    below = textwrap.wrap(note.text, max(_LEAST_NOTE, screen.width - 2 * len(GAP)))
    return [line.rstrip(), *(GAP * 2 + screen.paint(part, note.style) for part in below)]
