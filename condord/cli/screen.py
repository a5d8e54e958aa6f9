"""Decides what reaches the terminal: data on stdout, everything else on stderr, colour where it is wanted.

Rules: colour only on a terminal, never with NO_COLOR or TERM=dumb. A reader that has gone away (`| head`) has
had what it wanted: the command ends with 0 and without a word. What comes from outside is shown without its
control characters, which could repaint the terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

import msgspec
import typer

_CODES = {"good": "32", "bad": "31", "warn": "33", "faint": "2", "strong": "1"}


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Where a text is shown: `width` in columns, None where nothing wraps; whether it takes colour."""

    width: int | None = None
    colour: bool = False

    def paint(self, text: str, style: str) -> str:
        """`text` in a style of `_CODES`; as it is without colour or style."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text.strip() else text


def screen(environ: Mapping[str, str]) -> Screen:
    """What stdout is. A pipe has the width of $COLUMNS, or none: its lines are for programs that do not wrap."""
    if sys.stdout.isatty():
        colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return Screen(width=shutil.get_terminal_size().columns, colour=colour)
    columns = environ.get("COLUMNS", "")
    return Screen(width=int(columns) if columns.isascii() and columns.isdigit() and int(columns) else None)


def emit(data: str | bytes) -> None:
    """Write to stdout, at once.

    Raises:
        typer.Exit: with 0, if nobody reads any more.
    """
    raw = data.encode(sys.stdout.encoding or "utf-8", "replace") if isinstance(data, str) else data
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        # The interpreter flushes once more when it leaves, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from error


def tell(text: str) -> None:
    """Write a line to stderr."""
    typer.echo(text, err=True)


def plain(text: str) -> str:
    """`text` on one line and without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
