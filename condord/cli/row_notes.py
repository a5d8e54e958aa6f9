"""Fit notes beside a row of one line: in fewer words, and if that is not enough without the least important ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from condord.cli.screen import visible_width

_LONG = 17  # `price unconfirmed`


class RowNote(NamedTuple):
    """One thing to know about a row.

    `forms` are its wordings, from the full one to the shortest. If need be, columns of the table are left out to make
    room for the wording `vital`; it is empty for a note that is not worth a column. `is_in_columns`: a column that is
    never left out shows the same.
    """

    forms: tuple[str, ...]
    vital: str = ""
    is_in_columns: bool = False


Notes = Sequence[RowNote]
"""The notes about a row, the most important first."""


def full_text(notes: Notes) -> str:
    """Return all notes in their full wording."""
    return _joined(note.forms[0] for note in notes)


class FittedNotes(NamedTuple):
    """The wordings of notes that fit beside a row, those for a line below it, and whether all notes are shown."""

    beside: list[str]
    below: list[str]
    are_all: bool


def fitted(notes: Notes, room: int | None) -> FittedNotes:
    """Return a wording for as many of them as `room` columns take, joined by commas.

    Notes that are not vital are left out first, from the last on. Then vital ones get their shortest wording, and only
    then are they left out: first those that a column shows too, while the others go below the row. Any room that
    remains gives the first notes more words.
    """
    if room is None:
        return FittedNotes([note.forms[0] for note in notes], [], are_all=True)
    kept = next(choice for choice in _choices(notes) if not choice or _width(choice) <= room)
    for at, (note, _) in enumerate(kept):
        longer = ([*kept[:at], (note, form), *kept[at + 1 :]] for form in note.forms)
        kept = next(choice for choice in longer if _width(choice) <= room)
    left_out = [note for note in notes if note not in [note for note, _ in kept]]
    below = [note for note in left_out if note.vital and not note.is_in_columns]
    return FittedNotes([text for _, text in kept], [note.forms[0] for note in below], are_all=left_out == below)


def _choices(notes: Notes) -> Iterator[list[tuple[RowNote, str]]]:
    """Yield notes with a wording of each, the best choice first and at last none at all."""
    kept = [(note, note.vital or note.forms[-1]) for note in notes]
    yield kept
    for at in reversed([at for at, note in enumerate(notes) if not note.vital]):
        kept = [*kept[:at], *kept[at + 1 :]]
        yield kept
    kept = [(note, note.forms[-1]) for note, _ in kept]
    others = [each for each in kept if not each[0].is_in_columns]
    for end in range(len(others), -1, -1):
        yield [each for each in kept if each[0].is_in_columns or each in others[:end]]
        yield others[:end]


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
