"""Fit notes beside a row of one line: in fewer words, and if that is not enough without the least important ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from condord.cli.screen import visible_width

_LONG = 17  # `price unconfirmed`


class RowNote(NamedTuple):
    """One thing to know about a row.

    `forms` are its wordings, from the full one to the shortest. If need be, columns of the table are left out to make
    room for the wording `vital`; it is empty for a note that is not worth a column.
    """

    forms: tuple[str, ...]
    vital: str = ""


Notes = Sequence[RowNote]
"""The notes about a row, the most important first."""


def full_text(notes: Notes) -> str:
    """Return all notes in their full wording."""
    return _joined(note.forms[0] for note in notes)


def fitted(notes: Notes, room: int | None) -> list[str]:
    """Return a wording for as many of them as `room` columns take, joined by commas.

    Notes that are not vital are left out first, from the last on. Then vital ones get their shortest wording, and only
    then are they left out. Any room that remains gives the first notes more words.
    """
    if room is None:
        return [note.forms[0] for note in notes]
    kept = next(choice for choice in _choices(notes) if not choice or _width(choice) <= room)
    for at, (note, _) in enumerate(kept):
        longer = ([*kept[:at], (note, form), *kept[at + 1 :]] for form in note.forms)
        kept = next(choice for choice in longer if _width(choice) <= room)
    return [text for _, text in kept]


def _choices(notes: Notes) -> Iterator[list[tuple[RowNote, str]]]:
    """Yield notes with a wording of each, the best choice first and at last none at all."""
    kept = [(note, note.vital or note.forms[-1]) for note in notes]
    yield kept
    for at in reversed([at for at, note in enumerate(notes) if not note.vital]):
        kept = [*kept[:at], *kept[at + 1 :]]
        yield kept
    kept = [(note, note.forms[-1]) for note, _ in kept]
    yield kept
    while kept:
        kept = kept[:-1]
        yield kept


def _width(choice: list[tuple[RowNote, str]]) -> int:
    return visible_width(_joined(text for _, text in choice))


def vital_width(notes: Notes) -> int:
    """Return how many columns the vital ones take."""
    return visible_width(_joined(note.vital for note in notes if note.vital))


def good_width(notes: Notes) -> int:
    """Return how many columns they should have if there is room: for their full wording, unless that is long."""
    return min(visible_width(full_text(notes)), _LONG)


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(texts)
