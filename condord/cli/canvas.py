"""Decides what a terminal is sent to show the next picture: only the lines that changed, and all of them at once.

Rules: a picture is lines without line ends, none wider than the terminal, each ends its own colours. The bytes of one
picture stand between the marks of synchronized output (DEC private mode 2026), so that a terminal that knows them shows
no half of it; another ignores them. A line is written over the old one, never wiped first. Without I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

from condord.cli.screen import visible_width

TAKE = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""To the alternate screen, without cursor and without wrapping."""
GIVE_BACK = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class Canvas:
    """What the terminal shows, as far as we have painted it."""

    def __init__(self) -> None:
        self._shown: list[str] | None = None

    def forget(self) -> None:
        """It shows something else now: the next picture is painted as a whole."""
        self._shown = None

    def paint(self, lines: Sequence[str], width: int, height: int) -> str:
        """What makes it show the first `height` of `lines`; empty, where it does already."""
        wanted, shown = list(lines[:height]), self._shown or []
        parts = ["\x1b[H\x1b[2J"] if self._shown is None else []
        for at, line in enumerate(wanted):
            if at >= len(shown) or line != shown[at]:
                # After the last column the cursor stands on it, and would wipe it.
                wipe = "\x1b[K" if visible_width(line) < width else ""
                parts.append(f"\x1b[{at + 1};1H{line}{wipe}")
        if len(shown) > len(wanted):
            parts.append(f"\x1b[{len(wanted) + 1};1H\x1b[J")
        self._shown = wanted
        return f"{_BEGIN}{''.join(parts)}{_END}" if parts else ""
