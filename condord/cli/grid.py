"""Lay out cells as lines: columns aligned by rich, and a note at the end of each row.

A number is shown whole or not at all, so nothing is cut inside a row. A note that does not fit goes below its row,
indented and wrapped. If a row itself does not fit, columns are left out and named below the table.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from condord.cli.screen import STYLES, Screen

GAP = "  "
_MIN_NOTE_WIDTH = 20
_NO_LIMIT = 100_000  # a width at which rich never cuts a cell; this module makes the rows fit


class Cell(NamedTuple):
    """A text and its style."""

    text: str
    style: str = ""


Row = Sequence[Cell]


def grid(
    titles: str,
    rows: Sequence[Row],
    screen: Screen,
    above: Sequence[str] = (),
    spare: Sequence[str] = (),
    for_notes: Sequence[str] = (),
) -> list[str]:
    """Return the lines of a table, headings first.

    Args:
        titles: the headings, separated by `|`; one with a leading blank belongs to a column of numbers.
        rows: as many cells as there are titles, and one for the note, which has no heading.
        screen: where it is shown.
        above: a line over each row, if any; the rows are indented then.
        spare: headings of columns that may be left out, in the order in which they are left out.
        for_notes: those of `spare`, its first ones, that are also left out to have the notes beside the rows.
    """
    headings, indent = titles.split("|"), GAP if above else ""
    room = None if screen.width is None else screen.width - len(indent)
    kept = _kept(headings, rows, room, spare, for_notes)
    used = len(indent) + _width(headings, rows, kept)
    title, *shown = _aligned(headings, rows, kept, screen)
    lines = [indent + title]
    for at, (line, row) in enumerate(zip(shown, rows, strict=True)):
        lines += above[at : at + 1]
        lines += _with_note(indent + line, used, row[-1], screen)
    if left_out := [heading.strip() for at, heading in enumerate(headings) if at not in kept]:
        sentence = f"too narrow for {', '.join(left_out)}"
        width = max(_MIN_NOTE_WIDTH, screen.width or 0)
        lines += [screen.paint(part, "faint") for part in textwrap.wrap(sentence, width)]
    return lines


def grid_width(titles: str, rows: Sequence[Row], without: Sequence[str] = ()) -> int:
    """Return how many columns of the terminal `grid` takes without the notes, and without the columns `without`."""
    headings = titles.split("|")
    return _width(headings, rows, [at for at, heading in enumerate(headings) if heading.strip() not in without])


def _kept(
    headings: Sequence[str], rows: Sequence[Row], room: int | None, spare: Sequence[str], for_notes: Sequence[str]
) -> list[int]:
    """Return the indexes of the columns that are shown."""
    kept = list(range(len(headings)))
    names = [heading.strip() for heading in headings]
    longest = max((len(GAP) + len(row[-1].text) for row in rows if row[-1].text), default=0)
    for name in spare:
        needed = _width(headings, rows, kept) + (longest if name in for_notes else 0)
        if room is not None and needed > room:
            kept.remove(names.index(name))
    return kept


def _width(headings: Sequence[str], rows: Sequence[Row], kept: Sequence[int]) -> int:
    from rich.cells import cell_len

    widths = [max(map(cell_len, [headings[at].strip(), *(row[at].text for row in rows)])) for at in kept]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _aligned(headings: Sequence[str], rows: Sequence[Row], kept: Sequence[int], screen: Screen) -> list[str]:
    """Return the headings and the rows, one line each."""
    from rich.console import Console  # 35 ms together with Table, so only imported to show one
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style=STYLES["faint"])
    for at in kept:
        table.add_column(
            headings[at].strip(), justify="right" if headings[at].startswith(" ") else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(row[at].text, STYLES.get(row[at].style, "")) for at in kept))
    console = Console(
        file=io.StringIO(),
        width=_NO_LIMIT,
        color_system="standard" if screen.colour else None,
        force_terminal=screen.colour,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _with_note(line: str, used: int, note: Cell, screen: Screen) -> list[str]:
    if not note.text:
        return [line]
    if screen.width is None or used + len(GAP) + len(note.text) <= screen.width:
        return [line + GAP + screen.paint(note.text, note.style)]
    below = textwrap.wrap(note.text, max(_MIN_NOTE_WIDTH, screen.width - 2 * len(GAP)))
    return [line, *(GAP * 2 + screen.paint(part, note.style) for part in below)]
