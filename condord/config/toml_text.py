"""Read TOML with the line of every key, and report the first syntax fault.

tomllib reports lines only for syntax faults, so the lines of keys are found by a simple scan, which may miss one.
"""

from __future__ import annotations

import bisect
import itertools
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_NO_VALUE = ("Invalid value", "Expected newline or end of document")
"""How tomllib begins its messages about `name = half` and `quiet = 22:00-08:00`."""
_POSITION = re.compile(r"(.*) \(at line (\d+)", re.DOTALL)


class Entry(NamedTuple):
    """A whole section (`key` is empty), followed by its keys; `line` is 0 if it was not found.

    A section that is an array is followed by its elements, each followed by its keys; `element` counts from 0.
    """

    line: int
    section: str
    key: str
    value: object
    element: int | None = None


class BrokenToml(Exception):
    """The text is not TOML; `line` counts from 1, `reason` is the fault there.

    `is_value`: what follows a `=` is probably a text without quotation marks.
    """

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        self.is_value = reason.startswith(_NO_VALUE)
        super().__init__(f"line {line}: {reason}")


def read(text: str) -> tuple[Entry, ...]:
    """Every section and every key of a section, in the order of the text.

    Raises:
        BrokenToml: the text is not TOML, or Python cannot represent a value; only the first fault is known.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    try:
        parsed = tomllib.loads("\n".join(lines) + "\n")
    except tomllib.TOMLDecodeError as error:
        raise _located(str(error), lines) from error
    except (ValueError, RecursionError) as error:
        raise _beyond_python(lines, type(error)) from error
    return tuple(_entries(parsed, lines))


def _entries(parsed: dict[str, object], lines: Sequence[str]) -> Iterator[Entry]:
    found: dict[str, list[int]] = {}  # one scan for all keys: there may be a hundred thousand
    headers: dict[str, list[int]] = {}
    for number, name in _named_lines(lines):
        found.setdefault(name, []).append(number)
        if lines[number - 1].lstrip().startswith("[["):
            headers.setdefault(name, []).append(number)
        for part in itertools.accumulate(name.split(".")[:-1], "{}.{}".format):
            found.setdefault(part, []).append(number)
    for section, value in parsed.items():
        line = _line(found, section)
        yield Entry(line, section, "", value)
        if isinstance(value, dict):
            for key, each in value.items():
                yield Entry(_line(found, f"{section}.{key}"), section, key, each)
        elif isinstance(value, list):
            yield from _elements(line, section, value, headers.get(section, []), len(lines), found)


def _elements(
    line: int, section: str, values: Sequence[object], headers: Sequence[int], last: int, found: dict[str, list[int]]
) -> Iterator[Entry]:
    """The elements of an array; without headers it is written as `section = [{...}, {...}]`, on one line or more."""
    for number, value in enumerate(values):
        start, end = (*headers[number : number + 2], last + 1)[:2] if number < len(headers) else (line, last + 1)
        yield from _element(Entry(start, section, "", value, number), end, found)


def _element(whole: Entry, end: int, found: dict[str, list[int]]) -> Iterator[Entry]:
    """An element of an array that ends before line `end`, followed by its keys if it is a table."""
    yield whole
    if isinstance(whole.value, dict):
        for key, each in whole.value.items():
            line = _line(found, f"{whole.section}.{key}", whole.line)
            yield whole._replace(line=line if 0 < line < end else whole.line, key=key, value=each)


def _line(found: dict[str, list[int]], name: str, after: int = 0) -> int:
    """The first line of `name` beyond line `after`, or 0."""
    numbers = found.get(name, [])
    place = bisect.bisect_right(numbers, after)
    return numbers[place] if place < len(numbers) else 0


def _located(message: str, lines: Sequence[str]) -> BrokenToml:
    """The fault that tomllib reports. For a duplicate key or section, it names the line of the first one."""
    match = _POSITION.match(message)  # no match at the end of the document
    reason, number = (match[1], min(int(match[2]), len(lines))) if match else (message, len(lines))
    if reason.startswith("Cannot"):  # "Cannot overwrite a value", "Cannot declare … twice"
        name = next((name for line, name in _named_lines(lines) if line == number), "")
        first = _first_line(name, lines) if name else 0
        if 0 < first < number:
            reason = f"{name} is already on line {first}"
    return BrokenToml(number, reason)


def _beyond_python(lines: Sequence[str], kind: type[Exception]) -> BrokenToml:
    """The first line that is valid TOML but that Python refuses."""

    def is_refused(count: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:count]) + "\n")
        except tomllib.TOMLDecodeError:  # a value of several lines was cut
            return False
        except (ValueError, RecursionError):
            return True
        return False

    number = 1 + bisect.bisect_left(range(1, len(lines)), x=True, key=is_refused)
    reason = "brackets are nested too deeply" if kind is RecursionError else "a number has too many digits"
    return BrokenToml(number, reason)


def _first_line(name: str, lines: Sequence[str]) -> int:
    """The first line that sets `name` or a part of it; 0 if there is none."""
    return next((line for line, named in _named_lines(lines) if named == name or named.startswith(f"{name}.")), 0)


def _named_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that begin a table or set a key, with its dotted name."""
    section = ""
    for number, line in enumerate(lines, 1):
        left, equals, _ = line.replace('"', "").replace("'", "").partition("=")
        if left.lstrip().startswith("["):
            section = left.partition("]")[0].strip("[ \t")
            yield number, section
        elif equals:
            yield number, f"{section}.{left.strip()}".strip(".")
