"""The output of text, a terminal or a pipe: its width, its colours, and text made to fit."""

from __future__ import annotations

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

import msgspec

_CODES = {"good": "32", "bad": "31", "warn": "33", "alarm": "1;31", "faint": "2", "strong": "1", "bar": "7"}
"""The names of the styles, and their codes."""
_NARROW = str.maketrans("", "", "…·—◆■●")
"""Our own signs beyond ASCII, each of one column."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """`width` is in columns, None if lines are not wrapped. `colour` is whether colour codes are understood."""

    width: int | None = None
    colour: bool = False

    def paint(self, text: str, style: str) -> str:
        """Return `text` in a style of `_CODES`; unchanged without colour or style."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text.strip() else text


def on_terminal() -> bool:
    """Return whether stdout is a terminal; a closed one (`>&-`) is not."""
    return sys.stdout is not None and sys.stdout.isatty()


def can_paint(environ: Mapping[str, str]) -> bool:
    """Return whether stdout is a terminal that can move its cursor."""
    return on_terminal() and environ.get("TERM") != "dumb"


def screen(environ: Mapping[str, str]) -> Screen:
    """Return the properties of stdout. A pipe is as wide as $COLUMNS. Without that variable, lines are not wrapped."""
    if on_terminal():
        colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return Screen(width=shutil.get_terminal_size().columns, colour=colour)
    columns = environ.get("COLUMNS", "")
    return Screen(width=int(columns) if columns.isascii() and columns.isdigit() and int(columns) else None)


def without_colour(line: str) -> str:
    """Return `line` without the codes of its colours."""
    return _COLOUR.sub("", line)


def visible_width(line: str) -> int:
    """Return how many columns `line` takes on a terminal."""
    text = without_colour(line)
    if text.translate(_NARROW).isascii():
        return len(text)
    from rich.cells import cell_len  # wide letters; 5 ms

    return cell_len(text)


def folded(lines: Sequence[str], width: int | None) -> list[str]:
    """Return `lines`, with those wider than `width` folded between two words, so that no number is cut in half."""
    if width is None or all(visible_width(line) <= width for line in lines):
        return list(lines)
    if all(visible_width(line) == len(line) for line in lines):  # neither colours nor wide letters
        return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]
    from rich.console import Console  # 60 ms
    from rich.text import Text

    console = Console(
        width=width, file=io.StringIO(), color_system="standard", force_terminal=True, legacy_windows=False
    )
    with console.capture() as captured:
        for line in lines:
            console.print(Text.from_ansi(line))
    return [line.rstrip() for line in captured.get().splitlines()]


def plain(text: str) -> str:
    """Return `text` on one line and without control characters, as text from outside could repaint the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shortened(text: str, width: int | None) -> str:
    """Return `text`, cut between two words and with an ellipsis if it is wider than `width`.

    It is cut inside a word only if the first word is wider.
    """
    if width is None or visible_width(text) <= width:
        return text
    cut = _begun(text, width - len(" …"))
    words = (cut if text[len(cut) :].startswith(" ") else cut.rpartition(" ")[0]).rstrip(" ,;:·")
    return f"{words} …" if words else f"{_begun(text, width - len('…'))}…"


def _begun(text: str, width: int) -> str:
    """Return as much of the beginning of `text` as takes at most `width` columns."""
    cut = text[: max(0, width)]
    while visible_width(cut) > width > 0:  # wide letters
        cut = cut[:-1]
    return cut


def painted(sentence: str, style: str, screen: Screen) -> list[str]:
    """Return a sentence wrapped to the width, each line in that style."""
    return [screen.paint(part, style) for part in textwrap.wrap(sentence, screen.width or len(sentence))]


def joined(parts: Sequence[str], screen: Screen) -> list[str]:
    """Join the parts on as few lines as the width allows, without breaking a part."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]} · {part}"
        if screen.width is None or len(longer) <= screen.width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines
