"""Read the configuration from flags, the environment and a file, and report its faults.

One file is read: `--config`, `$CONDORD_CONFIG`, the user's configuration directory or /etc/condord. A file named by one
of the first two must exist; the other two are optional. Precedence, key by key: flag, environment
(`CONDORD_<SECTION>_<KEY>`), file, default. All faults are reported at once, one line each. In a file that is not TOML,
only the first fault is known. A value whose key or form suggests a secret is never repeated in a fault.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec

from condord.config import tables, toml_text, unused, variables
from condord.config.schema import TABLES, Cluster, Config, Field, fields, fields_of_table
from condord.errors import CORRECT_HINT, ConfigError
from condord.host import bounded_file, directories, quoting
from condord.host.loopback import BUS_IN_CLEAR, SENT_IN_CLEAR, is_clear, is_loopback, refusal

FILE_NAME = "condord.toml"
SYSTEM_PATH = Path("/etc/condord") / FILE_NAME

_MAX_BYTES = 1_048_576
_UNREADABLE_HINT = "Name a readable file with --config or $CONDORD_CONFIG, or see `condord config init`."
_TOO_LARGE_HINT = "It may have at most 1 MiB: shorten it, or name another file with --config or $CONDORD_CONFIG."
_NO_VALUE_HINT = 'Put text in straight quotation marks, name = "half"; write true, false and numbers without them.'
_MAX_REASON_LENGTH = 100  # characters of tomllib's message
_UDS_BYTES = 107  # sun_path of unix(7) holds 108 with its closing zero
_MAX_PORT = 65_535
_ALPACA_URLS = ("trading_url", "data_url", "option_stream_url", "trading_stream_url", "stock_stream_url")


class SetByCommand(msgspec.Struct, frozen=True):
    """A value that a command gives a key by itself, such as the role of `condord relay`; it counts as a flag."""

    value: object
    command: str


class LoadedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and its sources.

    `path` is the file that was read, None without one. `origins` has every key path (`server.port`) and the
    names in `TABLES`, each with `default`, `file /x/condord.toml`, `environment CONDORD_SERVER_PORT`, `flag`, or the
    command that sets it. `warnings` are sentences about what was not used or not found.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()


class ParsedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration, and its faults.

    A faulty key has the value of the source with the next lower precedence, or its default. `uncertain` are the faulty
    keys and, if the file could not be read, all keys that neither the environment nor a flag sets. `locations` has the
    place in the file of each key of an array of tables, by its path, `notify[0].url_file`.
    """

    loaded: LoadedConfig
    faults: tuple[str, ...]
    hint: str
    uncertain: frozenset[str]
    locations: Mapping[str, str] = {}


def candidates(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The paths of the configuration file; the first that exists is read.

    With `--config` (`path`) or `$CONDORD_CONFIG` that is one path, which must exist. Without a home directory the
    user's own is left out.
    """
    if required := path or environ.get("CONDORD_CONFIG"):
        return (Path(required),)
    user = directories.config_directory()
    return (SYSTEM_PATH,) if user is None else (user / FILE_NAME, SYSTEM_PATH)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> LoadedConfig:
    """The configuration; arguments as for `read`.

    Raises:
        ConfigError: with all faults, one line each.
    """
    parsed = read(path, environ, flags)
    if parsed.faults:
        raise ConfigError(parsed.faults, parsed.hint)
    return parsed.loaded


def read(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> ParsedConfig:
    """Read as much of the configuration as possible, and find all its faults.

    Args:
        path: the value of `--config`, None without one.
        environ: the environment; variables of other programs are ignored.
        flags: key paths and the values given on the command line, or by the command itself; None means not given.
    """
    draft = _ConfigDraft()
    paths = candidates(path, environ)
    is_required = bool(path or environ.get("CONDORD_CONFIG"))
    found = next((each for each in paths if is_required or os.access(each, os.F_OK)), None)
    if paths == (SYSTEM_PATH,) and not is_required:
        draft.warnings.append(f"there is no home directory, so only {SYSTEM_PATH} was looked for")
    if found is not None:
        _take_file(draft, found)
    _take_environment(draft, environ)
    draft.take_flags(flags)
    return draft.parsed(found)


def refusals(config: Config) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Contradictions between keys that are valid by themselves: the key paths, the faulty one first, and the reason."""
    found: list[tuple[tuple[str, ...], str]] = []
    server, stream = config.server, config.stream
    if not server.token_file and not is_loopback(server.host):
        text = "anyone could read it without a token; set server.token_file to a file with one, or listen on 127.0.0.1"
        found.append((("server.host", "server.token_file"), text))
    if stream.backoff_max_seconds < stream.backoff_min_seconds:
        text = f"must be a number not below backoff_min_seconds, {stream.backoff_min_seconds}"
        found.append((("stream.backoff_max_seconds", "stream.backoff_min_seconds"), text))
    if (length := len(os.fsencode(server.uds))) > _UDS_BYTES:
        found.append((("server.uds",), f"must be a path of at most {_UDS_BYTES} bytes, and has {length}"))
    if server.workers > 1 and server.uds:
        found.append((("server.workers", "server.uds"), "workers serve a port; leave server.uds empty, or set 1"))
    found += _cluster_refusals(config.cluster)
    days = [(each.symbol, each.date) for each in config.dividend]
    if twice := next((day for number, day in enumerate(days) if day in days[:number]), None):
        found.append((("dividend",), f"must have one amount for each symbol and date: {twice[0]} on {twice[1]}"))
    urls = {key: refusal(getattr(config.alpaca, key)) for key in _ALPACA_URLS}
    found += [((f"alpaca.{key}",), why) for key, why in urls.items() if why]
    return tuple(found)


def _cluster_refusals(cluster: Cluster) -> list[tuple[tuple[str, ...], str]]:
    if cluster.role == "all" and cluster.bus:
        text = 'the role "all" uses no bus; set cluster.role to "ingest" or "relay", or leave cluster.bus out'
        return [(("cluster.bus", "cluster.role"), text)]
    if cluster.role != "relay" and cluster.source:
        text = f'the role "{cluster.role}" has no source; set cluster.role to "relay", or leave cluster.source out'
        return [(("cluster.source", "cluster.role"), text)]
    found = _bus_refusals(cluster)
    return found + _relay_refusals(cluster) if cluster.role == "relay" else found


def _bus_refusals(cluster: Cluster) -> list[tuple[tuple[str, ...], str]]:
    try:
        is_sent_in_clear = any(is_clear(url) for url in cluster.bus_urls) and bool(cluster.credentials_file)
    except ValueError:
        return [(("cluster.bus",), "only an IPv6 address may be in brackets")]
    return [(("cluster.bus", "cluster.credentials_file"), BUS_IN_CLEAR)] if is_sent_in_clear else []


def _relay_refusals(cluster: Cluster) -> list[tuple[tuple[str, ...], str]]:
    if cluster.source and cluster.bus:
        return [(("cluster.source", "cluster.bus"), "a relay follows one of cluster.source and cluster.bus, not both")]
    if not cluster.source and not cluster.bus:
        text = "a relay needs the URL of another condord as cluster.source or with --source, or a bus as cluster.bus"
        return [(("cluster.role", "cluster.source", "cluster.bus"), text)]
    try:
        sends_token_in_clear = is_clear(cluster.source) and bool(cluster.source_token_file)
    except ValueError:
        return [(("cluster.source",), "only an IPv6 address may be in brackets")]
    return [(("cluster.source", "cluster.source_token_file"), SENT_IN_CLEAR)] if sends_token_in_clear else []


class _Source(msgspec.Struct, frozen=True):
    """The place of a value: `origin` without a line, `location` with one."""

    origin: str
    location: str = ""


class _ConfigDraft:
    """The configuration while its sources are read, in order of precedence: of two values of a key the later wins."""

    def __init__(self) -> None:
        self.fields = {field.name: field for field in fields()}
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self.link_hints: list[str] = []
        self.locations: dict[str, str] = {}
        self._faulty: set[str] = set()
        self._values: dict[str, tuple[Any, _Source]] = {
            name: (field.default, _Source("default")) for name, field in self.fields.items()
        }
        self._values |= {name: ((), _Source("default")) for name in TABLES}
        self._file_hint: str | None = None

    def take(self, name: str, value: object, source: _Source) -> None:
        """Set a key, or note that its value is not allowed."""
        field = self.fields.get(name)
        if field is None:
            self.note_fault(name, value, source.location, f"unknown key; {self._nearest(name)}")
            return
        try:
            self._values[name] = _converted(field, value), source
        except (ValueError, OSError):  # not allowed; bytes that are not UTF-8; the working directory was removed
            self._faulty.add(name)
            for part, part_value, text in _faulty_parts(field, value):
                self.note_fault(part, part_value, source.location, text)

    def take_flags(self, flags: Mapping[str, object]) -> None:
        """Set keys from the command line. A host or a port there takes the place of a unix socket from elsewhere."""
        set_flags = {name: value for name, value in flags.items() if value is not None}
        named = [f"--{name.partition('.')[2]}" for name in ("server.host", "server.port") if name in set_flags]
        uds, source = self._values["server.uds"]
        if named and uds and "server.uds" not in set_flags:
            self.take("server.uds", "", _Source("flag"))
            self.warnings.append(f"server.uds ({source.origin}) is not used, as {' and '.join(named)} was given")
        for name, value in set_flags.items():
            if isinstance(value, SetByCommand):
                self.take(name, value.value, _Source(value.command, f"set by `{value.command}`"))
            else:
                self.take(name, value, _Source("flag", "flag"))

    def take_tables(self, name: str, value: object, source: _Source) -> None:
        """Begin with the tables [[name]], whose elements follow."""
        self._values[name] = (), source
        if not isinstance(value, list):
            self._faulty.add(name)
            self.note_fault(name, value, source.location, f"must be tables, [[{name}]]")

    def take_elements(self, name: str, read: tables.ParsedTables) -> None:
        """Set the elements read from the tables [[name]], and note their faults and doubts."""
        self._values[name] = read.tables, self._values[name][1]
        self.faults += read.faults
        self.warnings += read.warnings
        if read.faults:
            self._faulty.add(name)

    def note_fault(self, name: str, value: object, location: str, text: str) -> None:
        """Note the fault of a value."""
        self.faults.append(tables.fault(name, value, location, text))

    def note_unreadable_file(self, location: str, text: str, hint: str = "") -> None:
        """Note that the file as a whole cannot be used."""
        self.faults.append(f"{location}: {text}")
        self._file_hint = hint

    def parsed(self, path: Path | None) -> ParsedConfig:
        """The configuration, its faults, and the faults between its keys."""
        values = {name: value for name, (value, _) in self._values.items()}
        places = {name: source for name, (_, source) in self._values.items()}
        sections: dict[str, dict[str, Any]] = {}
        for name, field in self.fields.items():
            sections.setdefault(field.section, {})[field.key] = values[name]
        config = msgspec.structs.replace(msgspec.convert(sections, Config), **{name: values[name] for name in TABLES})
        unset = {name for name, source in places.items() if not source.location}
        uncertain = self._faulty | (set() if self._file_hint is None else unset)
        for names, text in refusals(config):
            if not uncertain.intersection(names):
                location = next(places[name].location for name in names if name not in unset)
                self.note_fault(names[0], msgspec.to_builtins(values[names[0]]), location, text)
        origins = {name: source.origin for name, source in places.items()}
        warnings = (*self.warnings, *(unused.sentences(config, origins) if not self.faults else ()))
        loaded = LoadedConfig(config=config, path=path, origins=origins, warnings=warnings)
        return ParsedConfig(
            loaded=loaded,
            faults=tuple(self.faults),
            hint=self._hint(),
            uncertain=frozenset(uncertain),
            locations=self.locations,
        )

    def _hint(self) -> str:
        if self.link_hints and len(self.link_hints) == len(self.faults):
            return " ".join(self.link_hints)
        return " ".join([self._file_hint or CORRECT_HINT, *self.link_hints])

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches  # 9 ms, only after a typing error

        section, _, key = name.rpartition(".")
        if not section and (owners := _sections_with(key)):
            return f"put it under {' or '.join(owners)}"
        for near in get_close_matches("" if section else name, Config.__struct_fields__, 1):
            return f"the nearest known section is {f'[[{near}]]' if near in TABLES else f'[{near}]'}"
        in_section = {field.key: field for field in self.fields.values() if field.section == section}
        anywhere = {field.key: field for field in reversed(self.fields.values())}
        for known, likeness in ((in_section, 0.6), (anywhere, 0.8)):
            for near in get_close_matches(key, known, 1, likeness):
                return f"the nearest known key is {known[near].name} ({known[near].variable})"
        return f"known here: {', '.join(in_section or Config.__struct_fields__)}"


def _sections_with(key: str) -> list[str]:
    """The headers of the sections and tables that have such a key."""
    found = [f"[{field.section}]" for field in fields() if field.key == key]
    return found + [f"[[{name}]]" for name in TABLES for field in fields_of_table(name) if field.key == key]


def _converted(field: Field, value: object) -> object:
    """The value as the key's type.

    Raises:
        ValueError: it is not allowed.
        OSError: a relative path, and the working directory was removed.
    """
    if field.name == "server.uds" and isinstance(value, str) and value and not Path(value).is_absolute():
        value = str(Path.cwd() / value)  # the URL of the daemon must be valid in any directory
    converted = msgspec.convert(value, field.type)
    if (field.key in _ALPACA_URLS or field.name in ("cluster.source", "cluster.bus")) and converted:
        for url in converted.split(",") if field.name == "cluster.bus" else (converted,):
            _, colon, port = url.split("/")[2].rpartition(":")
            if colon and port.isdigit() and int(port) > _MAX_PORT:
                raise ValueError(port)
    return converted


def _faulty_parts(field: Field, value: object) -> Iterator[tuple[str, object, str]]:
    """The key path of each faulty part of a value that is not allowed, the part, and what is wrong with it."""
    if get_origin(field.base) is not dict or not isinstance(value, dict):
        yield field.name, value, f"must be {field.allowed}"
        return
    for key, part_value in value.items():
        try:
            msgspec.convert({key: part_value}, field.type)
        except ValueError:
            yield f"{field.name}.{key}", part_value, f"not allowed in {field.allowed}"


def _take_file(draft: _ConfigDraft, path: Path) -> None:
    shown = quoting.plain(str(path))
    try:
        raw, status = bounded_file.read(path, _MAX_BYTES)
        if writers := bounded_file.other_writers(status, os.geteuid()):
            remedy = "chown root: {0} && chmod go-w {0}" if os.geteuid() == 0 else "chmod o-w {0}"
            draft.note_unreadable_file(shown, f"{writers} may write to it", remedy.format(shlex.quote(str(path))))
            return
        entries = toml_text.read(raw.decode("utf-8-sig"))
    except OSError as error:
        hint = _TOO_LARGE_HINT if error.errno == errno.EFBIG else _UNREADABLE_HINT
        draft.note_unreadable_file(shown, f"cannot be read: {error.strerror}", hint)
        return
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        draft.note_unreadable_file(f"{shown}:{line}", "this is not UTF-8", "Save the file as UTF-8.")
        return
    except toml_text.BrokenToml as broken:
        text = f"broken TOML: {quoting.short(broken.reason, _MAX_REASON_LENGTH)}"
        draft.note_unreadable_file(f"{shown}:{broken.line}", text, _NO_VALUE_HINT if broken.is_value else "")
        return
    for entry in entries:
        source = _Source(f"file {path}", f"{shown}:{entry.line}" if entry.line else shown)
        _take_entry(draft, entry, source)
    elements = _elements(entries, shown)
    draft.locations |= tables.locations(elements)
    for name, read in tables.read(elements).items():
        draft.take_elements(name, read)


def _take_entry(draft: _ConfigDraft, entry: toml_text.Entry, source: _Source) -> None:
    """Take a section, or a key of one, but no element of an array."""
    section, key, value = entry.section, entry.key, entry.value
    if entry.element is not None:
        return
    if section in TABLES:
        if not key:
            draft.take_tables(section, value, source)
    elif section not in Config.__struct_fields__:
        if not key:
            draft.take(section, value, source)
    elif key:
        draft.take(f"{section}.{key}", value, source)
    elif not isinstance(value, dict):
        draft.note_fault(section, value, source.location, f"must be a table, [{section}]")


def _elements(entries: Iterable[toml_text.Entry], shown: str) -> dict[str, list[tables.Element]]:
    """The elements of `TABLES` by name; the first entry of each is the whole element."""
    found: dict[str, list[tables.Element]] = {}
    for entry in entries:
        if entry.section in TABLES and entry.element is not None:
            elements = found.setdefault(entry.section, [])
            if entry.element == len(elements):
                elements.append(tables.Element(entry.value, {}))
            elements[-1].locations[entry.key] = f"{shown}:{entry.line}" if entry.line else shown
    return found


def _take_environment(draft: _ConfigDraft, environ: Mapping[str, str]) -> None:
    known = {field.variable: field for field in draft.fields.values()}
    for variable, raw in sorted(environ.items()):
        if field := known.get(variable):
            origin, faults = f"environment {variable}", len(draft.faults)
            draft.take(field.name, variables.typed(field.base, raw), _Source(origin, origin))
            if len(draft.faults) > faults and (hint := variables.link_hint(variable, raw)):
                draft.link_hints.append(hint)
    draft.warnings += variables.unread(environ, known)
