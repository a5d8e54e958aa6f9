"""Decides how cells become lines: columns aligned by rich, those without room left out, and notes that give way.

Rules: a number is shown whole or not at all, so nothing is cut inside a row. Every row ends with a note, which has no
heading; where it does not fit it goes below its row, indented and wrapped. Where the row itself does not fit, the
columns that can be spared go, and a line below the table names them.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from condord.cli.screen import STYLES, Screen

GAP = "  "
_LEAST_NOTE = 20
_NO_LIMIT = 100_000  # a width for rich, which would else cut cells: what fits is decided here


class Cell(NamedTuple):
    """A text and its style."""

    text: str
    style: str = ""


Row = Sequence[Cell]


def grid(
    titles: str, rows: Sequence[Row], screen: Screen, above: Sequence[str] = (), spare: Sequence[str] = ()
) -> list[str]:
    """A heading and the rows.

    Args:
        titles: the headings, split at `|`; one that begins with a blank heads a column of numbers.
        rows: as many cells as there are titles, and one for the note.
        screen: where it is shown.
        above: a line over each row, if any; the rows are indented then.
        spare: headings of columns that may go where there is no room, the first to go first.
    """
    heads, indent = titles.split("|"), GAP if above else ""
    kept = _kept(heads, rows, None if screen.width is None else screen.width - len(indent), spare)
    used = len(indent) + _width(heads, rows, kept)
    title, *shown = _aligned(heads, rows, kept, screen)
    lines = [indent + title]
    for at, (line, row) in enumerate(zip(shown, rows, strict=True)):
        lines += above[at : at + 1]
        lines += _noted(indent + line, used, row[-1], screen)
    if gone := [head.strip() for at, head in enumerate(heads) if at not in kept]:
        sentence = f"too narrow for {', '.join(gone)}"
        lines += [screen.paint(part, "faint") for part in textwrap.wrap(sentence, max(_LEAST_NOTE, screen.width or 0))]
    return lines


def grid_width(titles: str, rows: Sequence[Row]) -> int:
    """How many columns of the terminal `grid` takes without the notes, if nothing is left out."""
    heads = titles.split("|")
    return _width(heads, rows, range(len(heads)))


def _kept(heads: Sequence[str], rows: Sequence[Row], room: int | None, spare: Sequence[str]) -> list[int]:
    """The columns that stay."""
    kept = list(range(len(heads)))
    names = [head.strip() for head in heads]
    for name in spare:
        if room is None or _width(heads, rows, kept) <= room:
            break
        kept.remove(names.index(name))
    return kept


def _width(heads: Sequence[str], rows: Sequence[Row], kept: Sequence[int]) -> int:
    from rich.cells import cell_len

    widths = [max(map(cell_len, [heads[at].strip(), *(row[at].text for row in rows)])) for at in kept]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _aligned(heads: Sequence[str], rows: Sequence[Row], kept: Sequence[int], screen: Screen) -> list[str]:
    """The heading and the rows, one line each."""
    from rich.console import Console  # 35 ms with the table, and only for those who look at one
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style=STYLES["faint"])
    for at in kept:
        table.add_column(heads[at].strip(), justify="right" if heads[at].startswith(" ") else "left", no_wrap=True)
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


def _noted(line: str, used: int, note: Cell, screen: Screen) -> list[str]:
    if not note.text:
        return [line]
    if screen.width is None or used + len(GAP) + len(note.text) <= screen.width:
        return [line + GAP + screen.paint(note.text, note.style)]
    below = textwrap.wrap(note.text, max(_LEAST_NOTE, screen.width - 2 * len(GAP)))
    return [line, *(GAP * 2 + screen.paint(part, note.style) for part in below)]
