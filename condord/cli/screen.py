"""Decides what reaches the terminal: data on stdout, everything else on stderr, colour where it is wanted.

Rules: colour only on a terminal, never with NO_COLOR or TERM=dumb. A reader that has gone away (`| head`) has
had what it wanted: the command ends with 0 and without a word; any other fault of stdout is an error. stderr that
cannot be written ends nothing. What comes from outside is shown without its control characters, which could repaint the
terminal. Signs that the locale does not have are spelled in ASCII, each by one letter where columns are aligned.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

import msgspec
import typer

from condord.errors import EXIT_FAILED, CondordError

STYLES = {"good": "green", "bad": "red", "warn": "yellow", "faint": "dim", "strong": "bold"}
"""Our words, and rich's."""

_CODES = {"good": "32", "bad": "31", "warn": "33", "faint": "2", "strong": "1"}
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_ASCII = str.maketrans({"—": "-", "·": "|", "…": "..."})
_ASCII_LOCALES = frozenset({"C", "POSIX"})


class Unwritable(CondordError):
    """Standard output cannot be written."""

    code = "unwritable"
    exit_code = EXIT_FAILED
    hint = "It is full or closed: make room, or let it go somewhere else."

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot write to standard output: {reason}")


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Where a text is shown: `width` in columns, None where nothing wraps; whether it takes colour."""

    width: int | None = None
    colour: bool = False

    def paint(self, text: str, style: str) -> str:
        """`text` in a style of `_CODES`; as it is without colour or style."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text.strip() else text


def on_terminal() -> bool:
    """Whether stdout is a terminal; without a stdout (`>&-`) it is none."""
    return sys.stdout is not None and sys.stdout.isatty()


def can_paint(environ: Mapping[str, str]) -> bool:
    """Whether stdout is a terminal that can be painted upon."""
    return on_terminal() and environ.get("TERM") != "dumb"


def screen(environ: Mapping[str, str]) -> Screen:
    """What stdout is. A pipe has the width of $COLUMNS, or none: its lines are for programs that do not wrap."""
    if on_terminal():
        colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return Screen(width=shutil.get_terminal_size().columns, colour=colour)
    columns = environ.get("COLUMNS", "")
    return Screen(width=int(columns) if columns.isascii() and columns.isdigit() and int(columns) else None)


def emit(data: str | bytes) -> None:
    """Write to stdout, at once.

    Raises:
        typer.Exit: with 0, if nobody reads any more.
        Unwritable: stdout is full or closed.
    """
    with writing() as out:
        raw = spelled(data, _encoding(out, os.environ)) if isinstance(data, str) else data
        out.flush()
        out.buffer.write(raw)
        out.buffer.flush()


def emit_if_possible(data: str) -> None:
    """Write to stdout; no matter, if it cannot be written any more."""
    with suppress(typer.Exit, Unwritable):
        emit(data)


def spelled(text: str, encoding: str) -> bytes:
    """`text` in `encoding`, where it does not have our signs in letters that it has."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace")


def _encoding(out: TextIO, environ: Mapping[str, str]) -> str:
    """What the reader reads: in the C locale Python takes UTF-8 for granted (PEP 538, PEP 540), a terminal may not."""
    python_told = environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8")
    language = environ.get("LANG") if environ.get("LC_CTYPE", "C.UTF-8") == "C.UTF-8" else ""
    if (environ.get("LC_ALL") or language) in _ASCII_LOCALES and not python_told:
        return "ascii"
    return out.encoding or "utf-8"


@contextmanager
def writing() -> Iterator[TextIO]:
    """Stdout, to be written within the context; what it raises is as for `emit`."""
    if sys.stdout is None:
        raise Unwritable(os.strerror(errno.EBADF))
    try:
        yield sys.stdout
    except BrokenPipeError as error:
        _forget(sys.stdout)
        raise typer.Exit(0) from error
    except OSError as error:
        _forget(sys.stdout)
        raise Unwritable(error.strerror or type(error).__name__) from error


def tell(text: str) -> None:
    """Write a line to stderr, if it can be written."""
    if sys.stderr is not None:
        with suppress(OSError):
            encoding = _encoding(sys.stderr, os.environ)
            typer.echo(spelled(text, encoding).decode(encoding), err=True)


def settle() -> None:
    """Let go of what stderr could not write, before the process is left."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        _forget(sys.stderr)


def _forget(file: TextIO) -> None:
    """Write no more: the interpreter flushes once more when it leaves, and would complain and change the exit code."""
    with suppress(OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, file.fileno())
        os.close(devnull)


def visible_width(line: str) -> int:
    """How many columns `line` takes on a terminal."""
    text = _ESCAPE.sub("", line)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # wide letters; 5 ms

    return cell_len(text)


def folded(lines: Sequence[str], width: int | None) -> list[str]:
    """`lines`, those wider than `width` folded between two words or cells, so that no number is cut in half."""
    if width is None or all(visible_width(line) <= width for line in lines):
        return list(lines)
    from rich.console import Console
    from rich.text import Text

    console = Console(
        width=width, file=io.StringIO(), color_system="standard", force_terminal=True, legacy_windows=False
    )
    with console.capture() as captured:
        for line in lines:
            console.print(Text.from_ansi(line))
    return [line.rstrip() for line in captured.get().splitlines()]


def plain(text: str) -> str:
    """`text` on one line and without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
