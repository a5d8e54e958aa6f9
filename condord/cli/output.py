"""Write data to stdout and everything else to stderr."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

import typer

from condord.errors import EXIT_FAILED, CondordError
from condord.host import stderr

_ASCII = str.maketrans(
    {"—": "-", "·": "|", "…": "...", "◆": "!", "■": "*", "●": "o", **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True))}
)
_ASCII_LOCALES = frozenset({"C", "POSIX"})


class Unwritable(CondordError):
    """Standard output cannot be written."""

    code = "unwritable"
    exit_code = EXIT_FAILED
    hint = "It is full or closed: free some space, or redirect it."

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot write to standard output: {reason}")


def write_stdout(data: str | bytes) -> None:
    """Write all of it to stdout and flush it. It waits for the reader of a pipe that does not block.

    Raises:
        typer.Exit: with 0, if the reader has closed the pipe, as `| head` does.
        Unwritable: stdout is full or closed.
    """
    with _stdout() as out:
        raw = encoded(data, _encoding(out, os.environ)) if isinstance(data, str) else data
        out.flush()
        _write_whole(out.buffer, raw)


def _write_whole(file: BinaryIO, data: bytes) -> None:
    """Write and flush. With PYTHONUNBUFFERED the file has no buffer, and one write may take a part of the data only."""
    rest = memoryview(data)
    while rest:
        try:
            count = file.write(rest)
        except BlockingIOError as error:
            count = error.characters_written
        rest = rest[count or 0 :]
        if not count:
            select.select([], [file], [])
    while True:
        try:
            file.flush()
        except BlockingIOError:
            select.select([], [file], [])
        else:
            return


def require_reader() -> None:
    """End a command that has nothing to write if the reader of stdout is gone: no write would notice that.

    Raises:
        typer.Exit: with 0, if the reader has closed the pipe.
    """
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError):  # closed (`>&-`), or not a file
        return
    poll = select.poll()
    poll.register(number, 0)  # errors are always reported
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        _discard(sys.stdout)
        raise typer.Exit(0)


def try_write_stdout(data: str) -> None:
    """Write to stdout. It is not an error if stdout cannot be written."""
    with suppress(typer.Exit, Unwritable):
        write_stdout(data)


def encoded(text: str, encoding: str) -> bytes:
    """Encode `text`; dashes, dots, ellipses, marks and bars become ASCII if the encoding lacks one of them.

    Signs in aligned columns become one letter each.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace")


def _encoding(out: TextIO, environ: Mapping[str, str]) -> str:
    """Return the encoding that the reader expects.

    In the C locale Python assumes UTF-8 (PEP 538, PEP 540), but the terminal may not support it.
    """
    is_set_for_python = environ.get("PYTHONIOENCODING") or environ.get("PYTHONUTF8")
    language = environ.get("LANG") if environ.get("LC_CTYPE", "C.UTF-8") == "C.UTF-8" else ""
    if (environ.get("LC_ALL") or language) in _ASCII_LOCALES and not is_set_for_python:
        return "ascii"
    return out.encoding or "utf-8"


@contextmanager
def _stdout() -> Iterator[TextIO]:
    if sys.stdout is None:
        raise Unwritable(os.strerror(errno.EBADF))
    try:
        yield sys.stdout
    except BrokenPipeError as error:
        _discard(sys.stdout)
        raise typer.Exit(0) from error
    except OSError as error:
        _discard(sys.stdout)
        raise Unwritable(error.strerror or type(error).__name__) from error


def write_stderr(text: str) -> None:
    """Write a line to stderr. It is not an error if stderr cannot be written."""
    if sys.stderr is not None:
        with suppress(OSError):
            encoding = _encoding(sys.stderr, os.environ)
            typer.echo(encoded(text, encoding).decode(encoding), err=True)


def drain_stderr() -> None:
    """Give stderr a moment to accept the written text, and discard the rest, before the process ends."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
        stderr.drain(sys.stderr)
    except OSError:
        _discard(sys.stderr)


def _discard(file: TextIO) -> None:
    """Send what is still buffered to /dev/null: the interpreter's own flush at exit would fail, with exit code 120."""
    with suppress(OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, file.fileno())
        os.close(devnull)
