"""Compute what to send to a terminal so that it shows the next picture: the lines that changed. No I/O.

A picture is a list of lines without line ends. No line is wider than the terminal, and each resets its colours.
"""

from __future__ import annotations

from collections.abc import Sequence

from condord.cli.screen import visible_width

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Switches to the alternate screen, hides the cursor and turns wrapping off."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
# Synchronized output (DEC private mode 2026): a terminal that supports it never shows half a picture; others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class Canvas:
    """The screen as this program has painted it."""

    def __init__(self) -> None:
        self._shown: list[str] | None = None

    def forget(self) -> None:
        """Paint the next picture as a whole, because something else was shown in the meantime."""
        self._shown = None

    def paint(self, lines: Sequence[str], width: int, height: int) -> str:
        """Return the output that shows the first `height` of `lines`; empty if the terminal shows them already."""
        picture, shown = list(lines[:height]), self._shown or []
        parts = ["\x1b[H\x1b[2J"] if self._shown is None else []
        for row, line in enumerate(picture):
            if row >= len(shown) or line != shown[row]:
                # A line is overwritten, then its rest erased: erasing first would flicker. After a line of full width
                # the cursor is on the last column, and erasing would delete that.
                erase = "\x1b[K" if visible_width(line) < width else ""
                parts.append(f"\x1b[{row + 1};1H{line}{erase}")
        if len(shown) > len(picture):
            parts.append(f"\x1b[{len(picture) + 1};1H\x1b[J")
        self._shown = picture
        return f"{_BEGIN}{''.join(parts)}{_END}" if parts else ""
