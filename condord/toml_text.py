"""Decides what a text of TOML says, on which line each key stands, and what of it is broken.

Rules: tomllib stops at the first fault. Where that is on a line that stands alone, `key = value`, the line is told,
left out, and the rest is read all the same, and so is what is in a table that stands there twice; behind a broken
header, or a bracket or quotes that nothing closes, nobody knows what was meant, and the first fault is the last. Lines
are found by a plain scan, so one may be missing.
"""

from __future__ import annotations

import bisect
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

MOST_FAULTS = 20

_SAID = re.compile(r"(.*) \(at line (\d+)", re.DOTALL)
_ALONE = re.compile(r"[^=\[\]{}]*=(?!.*(\"\"\"|''')).*")
_HEADER = re.compile(r"\s*\[[^\[\]]+\]\s*(#.*)?")
_SPANNING = ("Unclosed", "Unterminated")


class Entry(NamedTuple):
    """A whole section (`key` is empty), which comes before its keys, or one of them; `line` is 0 if it is not found."""

    line: int
    section: str
    key: str
    value: object


class Fault(NamedTuple):
    """What is wrong with a line, and which key was left out for it; none where nothing was read for it."""

    line: int
    name: str
    sentence: str


class Text(NamedTuple):
    """What was read, and what is broken."""

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]


def read(text: str) -> Text:
    """Everything that `text` says."""
    lines = text.replace("\r\n", "\n").split("\n")
    faults: list[Fault] = []
    again: dict[str, str] = {}
    while True:
        try:
            parsed = tomllib.loads("\n".join(lines) + "\n")
        except (ValueError, RecursionError) as error:
            if not isinstance(error, tomllib.TOMLDecodeError):
                return Text((), (*faults, _too_much(lines, type(error))))
            match = _SAID.match(str(error))  # none of the end of the document
            said, number = (match[1], min(int(match[2]), len(lines))) if match else (str(error), len(lines))
            name = next((name for at, name in _marks(lines) if at == number), "")
            sentence = _sentence(said, lines, number, name)
            line = lines[number - 1]
            is_again = said.startswith("Cannot declare") and _HEADER.fullmatch(line) is not None
            goes_on = is_again or (match is not None and _stands_alone(line, said))
            if not goes_on or len(faults) == MOST_FAULTS - 1:
                return Text((), (*faults, Fault(number, "", sentence)))
            faults.append(Fault(number, "" if is_again else name, sentence))
            lines[number - 1] = f'["{number}"]' if is_again else ""
            again |= {str(number): name} if is_again else {}
        else:
            return Text(tuple(_entries(parsed, lines, again)), tuple(faults))


def _entries(parsed: dict[str, object], lines: Sequence[str], again: Mapping[str, str]) -> Iterator[Entry]:
    """What the tables hold; `again` has the sections that other names stand for."""
    first: dict[str, int] = {}  # at once for all: there may be a hundred thousand
    for number, mark in _marks(lines):
        first.setdefault(mark, number)
        for part in itertools.accumulate(mark.split(".")[:-1], "{}.{}".format):
            first.setdefault(part, number)
    for name, table in parsed.items():
        section = again.get(name, name)
        yield Entry(first.get(name, 0), section, "", table)
        if isinstance(table, dict):
            for key, value in table.items():
                yield Entry(first.get(f"{name}.{key}", 0), section, key, value)


def _too_much(lines: Sequence[str], kind: type[Exception]) -> Fault:
    """What Python refuses though TOML allows it, on the first line with which it does."""

    def is_refused(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]) + "\n")
        except tomllib.TOMLDecodeError:  # what spans lines is cut off here
            return False
        except (ValueError, RecursionError):
            return True
        return False

    number = 1 + bisect.bisect_left(range(1, len(lines)), x=True, key=is_refused)
    what = "brackets stand too deep in each other" if kind is RecursionError else "a number has too many digits"
    return Fault(number, "", what)


def _stands_alone(line: str, said: str) -> bool:
    """Whether what is wrong with a line is no matter of the next: it assigns, and what it opens it closes."""
    closes = all(line.count(opening) == line.count(closing) for opening, closing in ("[]", "{}"))
    return closes and _ALONE.fullmatch(line) is not None and not said.startswith(_SPANNING)


def _sentence(said: str, lines: Sequence[str], number: int, name: str) -> str:
    """What tomllib says; of a key or a section that stands there twice, where the first one is."""
    first = _line_of(lines, name) if name else 0
    return f"{name} stands on line {first} already" if said.startswith("Cannot") and 0 < first < number else said


def _line_of(lines: Sequence[str], name: str) -> int:
    """The first line that gives `name` a value, or a part of it."""
    return next((number for number, mark in _marks(lines) if mark == name or mark.startswith(f"{name}.")), 0)


def _marks(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that begin a table or a value, and its name."""
    current = ""
    for number, line in enumerate(lines, 1):
        left, equals, _ = line.replace('"', "").replace("'", "").partition("=")
        if left.lstrip().startswith("["):
            current = left.partition("]")[0].strip("[ \t")
            yield number, current
        elif equals:
            yield number, f"{current}.{left.strip()}".strip(".")
