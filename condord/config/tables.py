"""Convert the arrays of tables of the file, [[alert]], [[notify]] and [[dividend]], and find all their faults.

A key may be valid by itself and still be at fault: a condition that names no quantity, a name that is there twice, a
channel that does not exist. Indices count from 0: `alert[2].when`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from condord.config.schema import NAME, TABLES, AlertTable, ChannelTable, Field, MatchTable, fields_of, fields_of_table
from condord.host import quoting

MAX_TABLES = {"alert": 200, "notify": 20}
"""How many there may be of each; there may be any number of dividends."""

_LONG_SECRET = re.compile(r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}")  # names of quantities are as long, but have no digits
_END_OF_KEY = re.compile(r"[.\[]")
_NAME = re.compile(NAME)
_HIDDEN = "(not shown)"


class Element(NamedTuple):
    """One table; `locations` has the place of each of its keys in the file, and that of the table by the name ""."""

    value: object
    locations: dict[str, str]


class ParsedTables(NamedTuple):
    """The tables without faults, the faults of the others, and doubts about the former, one sentence each."""

    tables: tuple[msgspec.Struct, ...]
    faults: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class _KeyFault(NamedTuple):
    """A fault of one key, or of a part of it; `value` is None if the key is missing."""

    key: str
    value: object
    text: str


def fault(path: str, value: object, location: str, text: str) -> str:
    """The sentence about a value that is not allowed."""
    return f"{location}: {quoting.short(path)} = {quoting.value(path, value)}: {text}"


def read(elements: Mapping[str, Sequence[Element]]) -> dict[str, ParsedTables]:
    """The tables of each name and their faults, in the order of the file."""
    channels = [name for name in _names(elements.get("notify", ())) if name is not None]
    found = {name: _read(name, each, channels) for name, each in elements.items()}
    if any(each.faults for each in found.values()):
        return found
    return {name: each._replace(warnings=tuple(_doubts(name, elements[name], found))) for name, each in found.items()}


def _doubts(name: str, elements: Sequence[Element], found: Mapping[str, ParsedTables]) -> Iterator[str]:
    """Doubts about tables without faults: entries that can never have an effect, or are probably mistakes."""
    if name == "dividend":
        return
    from condord.core.rules import lint, table  # 12 ms, and most commands need neither rules nor channels

    overrides = [each for each in found["alert"].tables if isinstance(each, AlertTable)] if "alert" in found else []
    in_force = table.rules(overrides)
    for index, (each, element) in enumerate(zip(found[name].tables, elements, strict=True)):
        path = f"{name}[{index}]"
        if isinstance(each, AlertTable):
            for wrong in lint.doubts(each):
                yield _sentence(path, element, _KeyFault(*wrong))
        elif isinstance(each, ChannelTable):
            if not lint.is_reached(each.name, each.min_severity, in_force):
                text = "no enabled rule reaches this channel, so nothing is sent to it"
                yield _sentence(path, element, _KeyFault("min_severity", each.min_severity, text))
            if each.quiet and (doubt := _quiet_doubt(each.quiet)) is not None:
                yield _sentence(path, element, _KeyFault("quiet", each.quiet, doubt))


def _quiet_doubt(quiet: str) -> str | None:
    from condord.config import quiet_hours

    return quiet_hours.doubt(quiet_hours.parse(quiet))


def locations(elements: Mapping[str, Sequence[Element]]) -> dict[str, str]:
    """The place of each key in the file, by its path."""
    return {
        f"{name}[{index}].{key}": place
        for name, tables in elements.items()
        for index, element in enumerate(tables)
        for key, place in element.locations.items()
        if key
    }


def _read(name: str, elements: Sequence[Element], channels: Sequence[str]) -> ParsedTables:
    tables: list[msgspec.Struct] = []
    faults: list[str] = []
    most = MAX_TABLES.get(name, len(elements))
    if len(elements) > most:
        place = elements[most].locations[""]
        faults.append(f"{place}: {name}[{most}] is one too many: at most {most} tables [[{name}]] are allowed")
    names = _names(elements)
    for index, element in enumerate(elements[:most]):
        table, wrong = _converted(name, element)
        if table is not None:
            given = element.value if isinstance(element.value, dict) else {}
            wrong += [each for each in _CHECKS[name](table) if each.value is not None or each.key not in given]
            if any(getattr(table, key) == stand_in for key, stand_in in _STAND_INS[name].items()):
                table = None
        if name in MAX_TABLES:
            wrong += _repeated(name, index, names)
        if name == "alert":
            wrong += _unknown_channels(element, channels)
        faults += [_sentence(f"{name}[{index}]", element, each) for each in wrong]
        if table is not None and not wrong:
            tables.append(table)
    return ParsedTables(tuple(tables), tuple(faults))


def _converted(name: str, element: Element) -> tuple[msgspec.Struct | None, list[_KeyFault]]:
    """The table with what is valid of it, and what is wrong; None if the element is not a table.

    A required key that is missing or not valid has a value of `_STAND_INS`, so that the others are checked anyway.
    """
    known = {field.key: field for field in fields_of_table(name)}
    if not isinstance(element.value, dict):
        return None, [_KeyFault("", element.value, f"must be a table, [[{name}]]")]
    taken, wrong = _taken(name, known, element.value)
    missing = [field for key, field in known.items() if field.is_required and key not in element.value]
    wrong += [_KeyFault(field.key, None, f"is missing: it must be {field.allowed}") for field in missing]
    return TABLES[name](**{**_STAND_INS[name], **taken}), wrong


def _taken(
    name: str, known: Mapping[str, Field], given: Mapping[str, object]
) -> tuple[dict[str, Any], list[_KeyFault]]:
    """The valid ones among the keys `given`, by key, and the faults of the others."""
    taken: dict[str, Any] = {}
    wrong: list[_KeyFault] = []
    for key, value in given.items():
        if key not in known:
            shown = _HIDDEN if name == "notify" else value
            wrong.append(_KeyFault(key, shown, f"unknown key; {_nearest_key(key, name, known)}"))
        elif known[key].base is MatchTable and isinstance(value, dict):
            parts, faulty = _taken("match", {each.key: each for each in fields_of("match", MatchTable)}, value)
            taken[key] = MatchTable(**parts)
            wrong += [each._replace(key=f"{key}.{each.key}") for each in faulty]
        else:
            try:
                taken[key] = msgspec.convert(value, known[key].type)
            except ValueError:
                wrong.append(_KeyFault(key, value, f"must be {known[key].allowed}"))
    return taken, wrong


def _check_alert(table: msgspec.Struct) -> Iterator[_KeyFault]:
    assert isinstance(table, AlertTable)  # noqa: S101 - for mypy
    from condord.core.rules import table as rules  # 12 ms, and most files have no rules

    for each in rules.faults(table):
        if each.key == "when" and each.value is None and not table.name:
            continue  # with its right name it may be a built-in rule
        about = "" if each.key == "name" or not table.name else f" (rule {table.name})"
        yield _KeyFault(each.key, each.value, each.text + about)


def _check_channel(table: msgspec.Struct) -> Iterator[_KeyFault]:
    assert isinstance(table, ChannelTable)  # noqa: S101 - for mypy
    if "://" in table.url_file:
        yield _KeyFault("url_file", _HIDDEN, "is a URL: write it to a file with mode 600, and set url_file to its path")
    if table.secret_file.startswith("whsec_"):
        yield _KeyFault("secret_file", _HIDDEN, "is a secret: write it to a file, and set secret_file to its path")
    if table.secret_file and table.type == "apprise":
        yield _KeyFault("secret_file", table.secret_file, "only webhooks are signed: remove it")
    if table.quiet:
        from condord.config import quiet_hours  # 8 ms, as it imports zoneinfo

        try:
            quiet_hours.parse(table.quiet)
        except ValueError as error:
            yield _KeyFault("quiet", table.quiet, str(error))


_STAND_INS: dict[str, dict[str, Any]] = {
    "alert": {"name": ""},
    "notify": {"name": "", "type": "", "url_file": ""},
    "dividend": {"symbol": "", "date": None, "amount": None},
}
"""Placeholders for missing required keys; none is valid, but none is reported as a fault of its own."""

_CHECKS: dict[str, Callable[[msgspec.Struct], Iterable[_KeyFault]]] = {
    "alert": _check_alert,
    "notify": _check_channel,
    "dividend": lambda _: (),
}


def _repeated(name: str, index: int, names: Sequence[str | None]) -> Iterator[_KeyFault]:
    """The name of an earlier table, also in other capitals."""
    given = names[index]
    earlier = [each.lower() if each is not None else None for each in names[:index]]
    if given is not None and given.lower() in earlier:
        yield _KeyFault("name", given, f"is already the name of {name}[{earlier.index(given.lower())}]")


def _unknown_channels(element: Element, channels: Sequence[str]) -> Iterator[_KeyFault]:
    """The channels in `notify` that are not in the file."""
    given = element.value.get("notify") if isinstance(element.value, dict) else None
    for number, name in enumerate(given if isinstance(given, list) else ()):
        if isinstance(name, str) and name not in channels:
            usable = [each for each in channels if _NAME.fullmatch(each)]  # others may be anything, even a URL
            near = _nearest(name, usable)
            known = f"known: {', '.join(usable)}" if usable else "the file has no [[notify]]"
            yield _KeyFault(
                f"notify[{number}]", name, f"unknown channel; {f'the nearest is {near}' if near else known}"
            )


def _names(elements: Sequence[Element]) -> list[str | None]:
    """The name of each table, valid or not; None if it has none."""
    given = [each.value.get("name") if isinstance(each.value, dict) else None for each in elements]
    return [name if isinstance(name, str) else None for name in given]


def _sentence(path: str, element: Element, wrong: _KeyFault) -> str:
    """The sentence about a key of the table at `path`."""
    key = _END_OF_KEY.split(wrong.key)[0]
    places = element.locations
    place = places.get(wrong.key) or places.get(key) or places[""]
    full = quoting.short(f"{path}.{wrong.key}") if wrong.key else path
    if wrong.value is None:
        return f"{place}: {full} {wrong.text}"
    if wrong.value is _HIDDEN or "://" in str(wrong.value):  # a URL of a channel holds a secret
        return f"{place}: {full} = {_HIDDEN}: {wrong.text}"
    if key in ("when", "clear") and isinstance(wrong.value, str):
        shown = quoting.short(repr(_LONG_SECRET.sub("***", wrong.value)))
        return f"{place}: {full} = {shown}: {wrong.text}"
    return fault(full, wrong.value, place, wrong.text)


def _nearest_key(key: str, name: str, known: Iterable[str]) -> str:
    """The nearest of the `known` keys of the table `name`."""
    names = tuple(known)
    near = _nearest(key, names) or next((each for each in names if key and each.startswith(f"{key}_")), None)
    return f"the nearest known key is {name}.{near}" if near else f"known here: {', '.join(names)}"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that is spelled most like `name`."""
    from condord.core.rules.parsing import nearest  # 10 ms, only after a typing error

    return nearest(name, known)
