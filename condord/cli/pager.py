"""Scroll a table that changes: which of its lines fit on the terminal, what is hidden, and what was searched for.

    arrows, j, k              one line
    page keys, space, b       one page
    home, end, g, G           the first or the last line
    /                         find; Enter confirms, Escape gives up
    n, N                      the next or the previous one that was found
    q                         quits

The headings and the last part of the table are always shown. No clock and no I/O: `now` is an argument, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from condord.cli.find import finder
from condord.cli.screen import Screen, folded, shortened, without_colour
from condord.cli.table import Line, Table

READING_SECONDS = 5.0
"""How long rows stay in their order after a key is pressed."""
_HELP = "arrows, page keys, / find, q quit"


class Pager:
    """The part of a table that is on the screen. `should_quit` is true once `q` was pressed."""

    def __init__(self) -> None:
        self.should_quit = False
        self._top = 0
        self._top_key = ""
        self._lines: list[Line] = []
        self._room = 1
        self._typed: str | None = None
        self._terms = ""
        self._found_key = ""
        self._message = ""
        self._searched: tuple[str, ...] = ()
        self._read_until = 0.0

    def is_reading(self, now: float) -> bool:
        """Whether rows have to stay where they are: while the table is scrolled, and shortly after a key."""
        return self._top > 0 or self._typed is not None or now < self._read_until

    def press(self, key: str, now: float) -> None:
        """React to a key of `cli.keys`; one without a meaning does nothing."""
        if self._typed is not None:
            self._type(key)
        elif key == "q":
            self.should_quit = True
        elif key in ("/", "n", "N"):
            self._message = ""
            if key == "/":
                self._typed = ""
            else:
                self._find(1 if key == "n" else -1)
        elif key in _MOVES:
            self._message = ""
            lines, pages = _MOVES[key]
            self._go(self._top + lines + pages * max(1, self._room - 1))
        else:
            return
        self._read_until = now + READING_SECONDS

    def picture(self, table: Table, screen: Screen, height: int) -> list[str]:
        """Return at most `height` lines of the table, with a bar that counts the hidden ones if there are any."""
        self._lines = [
            line._replace(text=part, search=line.search if at == 0 else "")
            for line in table.body
            for at, part in enumerate(folded([line.text], screen.width) or [""])
        ]
        if self._message and self._rows() != self._searched:  # the hits may be different now
            self._message = ""
        foot = folded(table.foot, screen.width)
        is_whole = len(table.head) + len(self._lines) + 1 + len(foot) <= height
        if is_whole and self._typed is None and not self._message:
            self._room = len(self._lines)
            self._go(0)
            shown = [*table.head, *self._painted(self._lines, screen)]
            return [*shown, *([""] if self._lines and foot else []), *foot]
        # Up to half of the height is reserved for the account and its status, whose last lines matter most.
        foot = foot[-max(1, height // 2) :]
        head = table.head[: max(0, height - len(foot) - 2)]
        self._room = max(1, height - len(head) - len(foot) - 1)
        self._follow()
        self._go(self._top)
        window = self._lines[self._top : self._top + self._room]
        blank = [""] * (self._room - len(window))
        lines = [*head, *self._painted(window, screen), *blank, self._bar(screen), *foot]
        return lines[:height]

    def _rows(self) -> tuple[str, ...]:
        """Return the keys of the rows that can be found, in their order."""
        return tuple(line.key for line in self._lines if line.search)

    def _painted(self, lines: Sequence[Line], screen: Screen) -> list[str]:
        """Return the texts, with the row that was found last as a bar."""
        return [
            screen.paint(without_colour(line.text), "bar") if line.key == self._found_key and line.key else line.text
            for line in lines
        ]

    def _bar(self, screen: Screen) -> str:
        if self._typed is not None:
            text = f"/{self._typed}"
        else:
            above, below = self._lines[: self._top], self._lines[self._top + self._room :]
            counts = [f"{_counted(lines)} {where}" for lines, where in ((above, "above"), (below, "below")) if lines]
            text = " · ".join([self._message] * bool(self._message) + [", ".join(counts)] * bool(counts) + [_HELP])
        text = shortened(text, screen.width)
        return screen.paint(text.ljust(screen.width or 0), "bar")

    def _follow(self) -> None:
        """Scroll so that the first line stays the same one, if it moved because others came or went above it."""
        if self._top == 0 or (self._top < len(self._lines) and self._lines[self._top].key == self._top_key):
            return
        places = [at for at, line in enumerate(self._lines) if line.key == self._top_key]
        self._top = min(places, key=lambda at: abs(at - self._top), default=self._top)

    def _go(self, top: int) -> None:
        self._top = max(0, min(top, len(self._lines) - self._room))
        self._top_key = self._lines[self._top].key if self._lines else ""

    def _type(self, key: str) -> None:
        typed = self._typed or ""
        if key == "enter":
            self._terms, self._typed = typed or self._terms, None
            self._find(0)
        elif key == "escape" or (key == "backspace" and not typed):
            self._typed = None
        elif key == "backspace":
            self._typed = typed[:-1]
        elif key == "erase":
            self._typed = ""
        elif len(key) == 1:
            self._typed = typed + key

    def _find(self, step: int) -> None:
        """Go to the next row that has all the words; with a `step` of 0, begin with the first row shown."""
        words, finds = self._terms.lower().split(), finder(self._terms)
        self._searched = self._rows()

        def is_found(line: Line) -> bool:
            if line.shown is not None:
                return finds(line.shown, line.severity)
            return all(each in _plain(line) for each in words)

        places = [at for at, line in enumerate(self._lines) if line.search and is_found(line)]
        if not words or not places:
            self._message = f"{self._terms} is not found" if words else "nothing to find"
            return
        found = [at for at, line in enumerate(self._lines) if line.key == self._found_key and line.search]
        start = found[0] if step and found else self._top
        if step < 0:
            at = next((at for at in reversed(places) if at < start), places[-1])
        else:
            at = next((at for at in places if at >= start + step), places[0])
        self._message = f"{places.index(at) + 1} of {len(places)} found"
        self._found_key = self._lines[at].key
        if not self._top <= at < self._top + self._room:
            self._go(at - self._room // 2)


_FAR = 1_000_000
_MOVES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("up", "k"), (-1, 0)),
    **dict.fromkeys(("down", "j"), (1, 0)),
    **dict.fromkeys(("page-up", "b"), (0, -1)),
    **dict.fromkeys(("page-down", " "), (0, 1)),
    **dict.fromkeys(("home", "g"), (-_FAR, 0)),
    **dict.fromkeys(("end", "G"), (_FAR, 0)),
}
"""The lines and pages by which each key scrolls."""


def _plain(line: Line) -> str:
    return without_colour(line.search).lower()


def _counted(lines: Sequence[Line]) -> str:
    """Count hidden lines: `3 condors, 12 lines`."""
    condors = len({line.condor for line in lines if line.condor})
    others = sum(not line.condor and bool(line.text) for line in lines)
    counts = [f"{condors} condor{'' if condors == 1 else 's'}"] if condors or not others else []
    return ", ".join([*counts, *([f"{others} line{'' if others == 1 else 's'}"] if others else [])])
