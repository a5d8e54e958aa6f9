"""Decides what the daemon is configured to do, and where each value came from.

Rules:
    One file is read: `--config`, `$CONDORD_CONFIG`, the user's configuration directory, /etc/condord. The
    first two are demands, so a missing one is an error; the other two are looked for.
    Flag > environment (`CONDORD_<SECTION>_<KEY>`) > file > default, key by key.
    Every fault is found and reported at once, one line each; nothing is guessed, rounded or left out.
    A value whose name or look may be that of a secret is never repeated in a fault.
    A relative `server.uds` is meant from the working directory, and told from / on.
    What each key is for stands in condord.toml.example; a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from condord import quoting, regular_file, toml_text
from condord.errors import ConfigError

SYSTEM_PATH = Path("/etc/condord/condord.toml")

_MOST_BYTES = 1_048_576
_MOST_SENTENCE = 100  # characters of what the reader of TOML says
_MOST = 1_000_000  # only keeps a number finite: a million seconds are eleven days
_UDS_BYTES = 107  # sun_path of unix(7) holds 108 with its closing zero
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_AUTHORITY = r"[A-Za-z0-9._:\[\]-]+"
_PORT = r"(:(?!0|[7-9][0-9]{4}|6[6-9][0-9]{3}|65[6-9][0-9]{2}|655[4-9][0-9]|6553[6-9])[0-9]{1,5})?"  # up to 65535
_PLACE = rf"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]){_PORT}(/[!-~]*)?"


def _like(pattern: str, allowed: str) -> Meta:
    return Meta(pattern=rf"\A{pattern}\Z", extra={"allowed": allowed})


FilePath = Annotated[str, _like(r"[^\x00-\x1f\x7f\ud800-\udfff]*", "a path, or empty")]
HttpUrl = Annotated[str, _like(rf"(https?://{_PLACE})?", "empty or an http(s):// URL without a user")]
SocketUrl = Annotated[str, _like(rf"(wss?://{_PLACE})?", "empty or a ws(s):// URL without a user")]
Host = Annotated[str, _like(r"[A-Za-z0-9._:%-]{1,253}", "a host name or an address, IPv6 without brackets")]
HostName = Annotated[str, _like(_AUTHORITY, "host names, without a scheme")]
Origin = Annotated[str, _like(rf"[a-z][a-z0-9+.-]*://{_AUTHORITY}", "origins, https://example.org, no path")]


class Alpaca(msgspec.Struct, frozen=True, kw_only=True):
    """[alpaca]: which account, which feed, where."""

    paper: bool = True
    feed: Literal["indicative", "opra"] = "indicative"
    symbol_limit: Annotated[int, Meta(ge=1, le=_MOST)] = 200
    trading_url: HttpUrl = ""
    data_url: HttpUrl = ""
    option_stream_url: SocketUrl = ""
    trading_stream_url: SocketUrl = ""
    key_id_file: FilePath = ""
    secret_key_file: FilePath = ""


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """[rest]: how positions, clock and quotes are read."""

    timeout_seconds: Annotated[float, Meta(ge=0.1, le=_MOST)] = 10.0
    retries: Annotated[int, Meta(ge=0, le=10)] = 3
    breaker_failures: Annotated[int, Meta(ge=1, le=_MOST)] = 5
    breaker_reset_seconds: Annotated[float, Meta(ge=0.1, le=_MOST)] = 30.0
    threads: Annotated[int, Meta(ge=1, le=64)] = 4
    refresh_seconds: Annotated[float, Meta(ge=1, le=_MOST)] = 60.0
    settle_seconds: Annotated[float, Meta(ge=0, le=10)] = 2.0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """[stream]: how prices arrive and how often they leave."""

    window_ms: Annotated[int, Meta(ge=50, le=5000)] = 250
    min_change: Annotated[float, Meta(ge=0, le=1000)] = 0.01
    silence_seconds: Annotated[float, Meta(ge=1, le=_MOST)] = 60.0
    backoff_min_seconds: Annotated[float, Meta(ge=0.05, le=_MOST)] = 1.0
    backoff_max_seconds: Annotated[float, Meta(ge=0.05, le=_MOST)] = 60.0


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """[cache]: what is kept of quotes and contracts."""

    max_symbols: Annotated[int, Meta(ge=1, le=_MOST)] = 10000
    ttl_seconds: Annotated[float, Meta(ge=0.1, le=_MOST)] = 600.0


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """[server]: who may read, and how."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8420
    uds: FilePath = ""
    token_file: FilePath = ""
    allowed_hosts: tuple[HostName, ...] = ()
    allowed_origins: tuple[Origin, ...] = ()
    max_subscribers: Annotated[int, Meta(ge=1, le=_MOST)] = 1000
    ring_size: Annotated[int, Meta(ge=4, le=_MOST)] = 256
    replay_size: Annotated[int, Meta(ge=0, le=_MOST)] = 1024
    heartbeat_seconds: Annotated[float, Meta(ge=0.5, le=_MOST)] = 10.0
    compression: bool = True


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """[log]: what is said on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, valid and complete; `msgspec.structs.replace` makes another."""

    alpaca: Alpaca = Alpaca()
    rest: Rest = Rest()
    stream: Stream = Stream()
    cache: Cache = Cache()
    server: Server = Server()
    log: Log = Log()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and its sources.

    `path` is the file that was read, None without one. `origins` has every key path (`server.port`) and says
    `default`, `file /x/condord.toml`, `environment CONDORD_SERVER_PORT` or `flag`.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read, faults or not: a key at fault is as a weaker source says, or at its default.

    `unsure` are the keys of which a source says something else, or may: those at fault and, of a file that could not be
    read whole, those that nobody has given.
    """

    loaded: Loaded
    faults: tuple[str, ...]
    hint: str
    unsure: frozenset[str]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key: `type` is what msgspec converts to, `allowed` a phrase for people."""

    section: str
    key: str
    type: Any
    default: Any
    allowed: str

    @property
    def name(self) -> str:
        """Its key path, `server.port`."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """Its environment variable, `CONDORD_SERVER_PORT`."""
        return f"condord_{self.section}_{self.key}".upper()


def fields() -> tuple[Field, ...]:
    """Every key, in the order of the structs above."""
    return tuple(
        Field(section=part.name, key=key.name, type=key.type, default=key.default, allowed=_allowed(key.type))
        for part in msgspec.structs.fields(Config)
        for key in msgspec.structs.fields(part.type)
    )


def _allowed(kind: object) -> str:
    if get_origin(kind) is tuple:
        return "a list of " + _allowed(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return " or ".join(toml(value) for value in get_args(kind))
    if kind is bool:
        return "true or false"
    base, meta = get_args(kind)
    if base is str:
        return str(meta.extra["allowed"])
    return f"{'an integer' if base is int else 'a number'} from {meta.ge} to {meta.le}"


def toml(value: object) -> str:
    """A value of `Config` as TOML writes it: its strings, numbers, booleans and lists are those of JSON."""
    return msgspec.json.encode(value).decode()


def candidates(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the file is looked for; the first that exists is read.

    With `--config` (`path`) or `$CONDORD_CONFIG` that is one place, and it has to exist.
    """
    if demanded := path or environ.get("CONDORD_CONFIG"):
        return (Path(demanded),)
    import platformdirs  # 10 ms, and not needed where the file is named

    return (platformdirs.user_config_path("condord") / "condord.toml", SYSTEM_PATH)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """As `read`, but a fault raises ConfigError, with all of them, one line each."""
    reading = read(path, environ, flags)
    if reading.faults:
        raise ConfigError(reading.faults, reading.hint)
    return reading.loaded


def read(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Reading:
    """Read whatever can be read of the configuration, and all its faults.

    Args:
        path: the value of `--config`, None without one.
        environ: the environment; variables that are no configuration are ignored.
        flags: key paths and the values given on the command line; None means not given.
    """
    sheet = _Sheet()
    places = candidates(path, environ)
    found = next((place for place in places if len(places) == 1 or os.access(place, os.F_OK)), None)
    if found is not None:
        _take_file(sheet, found)
    _take_environment(sheet, environ)
    for name, value in flags.items():
        if value is not None:
            sheet.take("flag", "flag", name, value)
    return sheet.reading(found)


def refusals(config: Config) -> tuple[tuple[tuple[str, ...], str], ...]:
    """What no value shows alone: the key paths that it is between, the one at fault first, and why."""
    found: list[tuple[tuple[str, ...], str]] = []
    server, stream = config.server, config.stream
    if not server.token_file and not is_loopback(server.host):
        text = "others could read without a token; name its file as server.token_file or listen on 127.0.0.1"
        found.append((("server.host", "server.token_file"), text))
    if stream.backoff_max_seconds < stream.backoff_min_seconds:
        text = f"allowed is a number not below backoff_min_seconds, {stream.backoff_min_seconds}"
        found.append((("stream.backoff_max_seconds", "stream.backoff_min_seconds"), text))
    if len(os.fsencode(server.uds)) > _UDS_BYTES:
        found.append((("server.uds",), f"allowed is a path of at most {_UDS_BYTES} bytes"))
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; of names only `localhost` is trusted."""
    import ipaddress  # 5 ms, used by nothing else here

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Sheet:
    """What has been read so far; of two `take` of one key the later wins."""

    def __init__(self) -> None:
        self.fields = {field.name: field for field in fields()}
        self.faults: list[str] = []
        self._faulty: set[str] = set()
        self._values = {name: field.default for name, field in self.fields.items()}
        self._origins = dict.fromkeys(self.fields, "default")
        self._places: dict[str, str] = {}
        self._hint = "Correct the values named above."
        self._is_whole = True

    def take(self, place: str, origin: str, name: str, value: object) -> None:
        """Take a value that stands at `place`, or note its fault."""
        field = self.fields.get(name)
        if field is None:
            self.fault(place, name, value, f"unknown key; {self._nearest(name)}")
            return
        try:
            value = _absolute(value) if name == "server.uds" else value
            self._values[name] = msgspec.convert(value, field.type)
        except (ValueError, OSError):  # not as the type says; bytes that are no UTF-8; no working directory any more
            self._faulty.add(name)
            self.fault(place, name, value, f"allowed is {field.allowed}")
            return
        self._origins[name] = origin
        self._places[name] = place

    def fault(self, place: str, name: str, value: object, text: str) -> None:
        """Note what is wrong with a value."""
        self.faults.append(f"{place}: {quoting.short(name)} = {quoting.value(name, value)}: {text}")

    def unreadable(self, place: str, text: str, hint: str = "", name: str = "") -> None:
        """Note that the file, or the key `name` in it, says nobody knows what."""
        self.faults.append(f"{place}: {text}")
        self._hint = hint or self._hint
        self._is_whole = self._is_whole and bool(name)
        self._faulty |= {name} & self.fields.keys()

    def reading(self, path: Path | None) -> Reading:
        """The configuration, and what is wrong with its values or between them."""
        parts: dict[str, dict[str, Any]] = {}
        for name, field in self.fields.items():
            parts.setdefault(field.section, {})[field.key] = self._values[name]
        config = msgspec.convert(parts, Config)
        unsure = self._faulty | (set() if self._is_whole else self.fields.keys() - self._places.keys())
        for names, text in refusals(config):
            if not unsure.intersection(names):
                place = next(self._places[name] for name in names if name in self._places)
                self.fault(place, names[0], self._values[names[0]], text)
        loaded = Loaded(config=config, path=path, origins=self._origins)
        return Reading(loaded=loaded, faults=tuple(self.faults), hint=self._hint, unsure=frozenset(unsure))

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches  # 9 ms, only for who mistyped

        section, _, key = name.rpartition(".")
        for near in get_close_matches("" if section else name, Config.__struct_fields__, 1):
            return f"the nearest known section is [{near}]"
        beside = {field.key: field for field in self.fields.values() if field.section == section}
        anywhere = {field.key: field for field in reversed(self.fields.values())}
        for known, likeness in ((beside, 0.6), (anywhere, 0.8)):
            for near in get_close_matches(key, known, 1, likeness):
                return f"the nearest known key is {known[near].name} ({known[near].variable})"
        return f"known here: {', '.join(beside or Config.__struct_fields__)}"


def _take_file(sheet: _Sheet, path: Path) -> None:
    shown = quoting.plain(str(path))
    try:
        raw, _ = regular_file.read(path, _MOST_BYTES)
        text = toml_text.read(raw.decode("utf-8-sig"))
    except OSError as error:
        hint = "Name a readable file with --config or $CONDORD_CONFIG, or see `condord config init`."
        sheet.unreadable(shown, f"cannot be read: {error.strerror}", hint)
        return
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        sheet.unreadable(f"{shown}:{line}", "this is not UTF-8", "Save the file as UTF-8.")
        return
    for line, name, fault in text.faults:
        sheet.unreadable(f"{shown}:{line}", f"broken TOML: {quoting.short(fault, _MOST_SENTENCE)}", name=name)
    for line, section, key, value in text.entries:
        place = f"{shown}:{line}" if line else shown
        if section not in Config.__struct_fields__:
            if not key:
                sheet.take(place, "", section, value)
        elif key:
            sheet.take(place, f"file {path}", f"{section}.{key}", value)
        elif not isinstance(value, dict):
            sheet.fault(place, section, value, f"allowed is a table, [{section}]")


def _take_environment(sheet: _Sheet, environ: Mapping[str, str]) -> None:
    for variable, raw in sorted(environ.items()):
        prefix, section, key = [*variable.split("_", 2), "", ""][:3]
        if prefix == "CONDORD" and section.lower() in Config.__struct_fields__ and key:
            origin, name = f"environment {quoting.short(variable)}", f"{section}.{key}".lower()
            value = _typed(sheet.fields[name].type, raw) if name in sheet.fields else raw
            sheet.take(origin, origin, name, value)


def _absolute(path: object) -> object:
    """A path from / on: the address that is told has to hold in every directory."""
    if isinstance(path, str) and path and not Path(path).is_absolute():
        return str(Path.cwd() / path)
    return path


def _typed(kind: object, raw: str) -> object:
    """What a string from the environment says, or the string itself where it does not say that."""
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if base is bool:
        return _TRUTH.get(raw.lower(), raw)
    try:
        return base(raw) if base in (int, float) else raw
    except ValueError:
        return raw
