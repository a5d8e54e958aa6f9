"""Lay out cells as lines: names aligned left, numbers right, and a note at the end of each row.

A number is shown whole or not at all, so nothing is cut inside a row. If a row does not fit, columns are left out and
named below the table. A note that does not fit is wrapped below its row. If each row has to be one line, it gets fewer
words instead.

rich could align the cells, but its Table and Console take 0.1 s to import, and a command has 0.25 s in all.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from condord.cli.row_notes import Notes, fitted, good_width, vital_width
from condord.cli.screen import Screen, visible_width

GAP = "  "
_MIN_NOTE_WIDTH = 20


class Cell(NamedTuple):
    """A text and its style."""

    text: str
    style: str = ""


Row = Sequence[Cell]


class Grid(NamedTuple):
    """The lines of a table: its headings, the lines of each row, and the omitted columns."""

    title: str
    rows: list[list[str]]
    left_out: list[str]


def grid(
    titles: str,
    rows: Sequence[Row],
    screen: Screen,
    above: Sequence[str] = (),
    spare: Sequence[str] = (),
    for_notes: Sequence[str] = (),
    *,
    missing: Sequence[str] = (),
) -> list[str]:
    """Return the lines of a table with whole notes, headings first; the arguments are as for `lay_out`."""
    found = lay_out(titles, rows, screen, above, spare, for_notes, missing=missing)
    return [found.title, *(line for lines in found.rows for line in lines), *found.left_out]


def lay_out(
    titles: str,
    rows: Sequence[Row],
    screen: Screen,
    above: Sequence[str] = (),
    spare: Sequence[str] = (),
    for_notes: Sequence[str] = (),
    *,
    missing: Sequence[str] = (),
    on_one_line: Sequence[Notes] = (),
) -> Grid:
    """Return a table.

    Args:
        titles: the headings, separated by `|`; one with a leading blank belongs to a column of numbers.
        rows: as many cells as there are titles, and one for the note, which has no heading.
        screen: where it is shown.
        above: a line over each row, if any; the rows are indented then.
        spare: headings of columns that may be left out, in the order in which they are left out.
        for_notes: those of `spare`, its first ones, that are also left out to have the notes beside the rows.
        missing: what the lines `above` have no room for, to be named with the columns that are left out.
        on_one_line: the notes of each row, to be shown on its line in fewer words. They replace the last cell, which
            has their style. All of `spare` is left out to have the vital ones, and `for_notes` to have whole ones.
            Vital ones that still do not fit are below the row.
    """
    headings, indent = titles.split("|"), GAP if above else ""
    room = None if screen.width is None else screen.width - len(indent)
    if on_one_line:
        least = max(map(vital_width, on_one_line))
        most = max(least, *map(good_width, on_one_line))
    else:
        least, most = 0, max((visible_width(row[-1].text) for row in rows), default=0)
    kept = _kept(headings, rows, room, spare, {name: most if name in for_notes else least for name in spare})
    widths = {at: _width(headings, rows, at) for at in kept}
    used = len(indent) + _sum(widths.values())
    heading_cells = [Cell(heading.strip(), "faint") for heading in headings]
    title = indent + _line(headings, heading_cells, widths, screen)
    left_out = [*missing, *(heading.strip() for at, heading in enumerate(headings) if at not in kept)]
    shown: list[list[str]] = []
    is_whole = True
    for at, row in enumerate(rows):
        line, note = indent + _line(headings, row, widths, screen), row[-1]
        below: list[str] = []
        if on_one_line:
            found = fitted(on_one_line[at], None if screen.width is None else screen.width - used - len(GAP))
            is_whole &= found.are_all
            below = _below(Cell(", ".join(found.below), note.style), screen)
            note = Cell(", ".join(found.beside), note.style)
        shown.append([*above[at : at + 1], *_with_note(line, used, note, screen), *below])
    left_out += [] if is_whole else ["some notes"]
    sentence = f"too narrow for {', '.join(left_out)}" if left_out else ""
    width = max(_MIN_NOTE_WIDTH, screen.width or 0)
    return Grid(title.rstrip(), shown, [screen.paint(part, "faint") for part in textwrap.wrap(sentence, width)])


def grid_width(titles: str, rows: Sequence[Row], without: Sequence[str] = ()) -> int:
    """Return how many columns of the terminal `grid` takes without the notes, and without the columns `without`."""
    headings = titles.split("|")
    return _sum(_width(headings, rows, at) for at, heading in enumerate(headings) if heading.strip() not in without)


def _kept(
    headings: Sequence[str],
    rows: Sequence[Row],
    room: int | None,
    spare: Sequence[str],
    note_widths: Mapping[str, int],
) -> list[int]:
    """Return the indexes of the columns that are shown; each of `spare` only with so much room for notes beside it."""
    kept = list(range(len(headings)))
    if room is None:
        return kept
    names = [heading.strip() for heading in headings]
    widths = [_width(headings, rows, at) for at in kept]
    for name in spare:
        with_note = len(GAP) + note_widths[name] if note_widths[name] else 0
        if _sum(widths[at] for at in kept) + with_note > room:
            kept.remove(names.index(name))
    return kept


def _sum(widths: Iterable[int]) -> int:
    """Return the width of columns side by side."""
    each = list(widths)
    return sum(each) + len(GAP) * (len(each) - 1)


def _width(headings: Sequence[str], rows: Sequence[Row], at: int) -> int:
    return max([len(headings[at].strip()), *(visible_width(row[at].text) for row in rows)])


def _line(headings: Sequence[str], row: Row, widths: Mapping[int, int], screen: Screen) -> str:
    parts = []
    for at, width in widths.items():
        blanks = " " * (width - visible_width(row[at].text))
        painted = screen.paint(row[at].text, row[at].style)
        parts.append(blanks + painted if headings[at].startswith(" ") else painted + blanks)
    return GAP.join(parts).rstrip()


def _with_note(line: str, used: int, note: Cell, screen: Screen) -> list[str]:
    if not note.text:
        return [line]
    if screen.width is None or used + len(GAP) + visible_width(note.text) <= screen.width:
        padding = " " * (used - visible_width(line))
        return [line + padding + GAP + screen.paint(note.text, note.style)]
    return [line, *_below(note, screen)]


def _below(note: Cell, screen: Screen) -> list[str]:
    """Return a note as lines below its row."""
    lines = textwrap.wrap(note.text, max(_MIN_NOTE_WIDTH, (screen.width or 0) - 2 * len(GAP)))
    return [GAP * 2 + screen.paint(line, note.style) for line in lines]
