"""Every configuration key: its type, its default, the allowed values, and whether SIGHUP applies it.

Each key is explained in condord.toml.example, which a test compares with the structs below.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from condord.core.position import Direction, Kind
from condord.core.rules.rule import MAX_CONDITIONS, Basis, RuleMatch, RuleOverride, Severity

_MAX = 1_000_000  # only keeps a number finite: a million seconds are eleven days
_SESSION_MINUTES = 390
_AUTHORITY = r"[A-Za-z0-9._:\[\]-]+"
_HOST_PORT = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?"
_PATH = r"(/[!\"$-~]*)?"  # no fragment, which is never sent
_BASE = r"(/[!\"$->@-~]*)?"  # nor a query: something is appended
_TICKER = r"[A-Z][A-Z0-9.]{0,9}"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _like(pattern: str, allowed: str) -> Meta:
    return Meta(pattern=rf"\A{pattern}\Z", extra={"allowed": allowed})


LIVE = Meta(extra={"reload": True})
"""Marks a key that SIGHUP applies to a running daemon; the others need a restart."""

FilePath = Annotated[str, _like(r"[^\x00-\x1f\x7f\ud800-\udfff]*", "a path, or empty")]
HttpUrl = Annotated[
    str, _like(rf"(https?://{_HOST_PORT}{_BASE})?", "empty or an http(s):// URL without a user or a query")
]
SourceUrl = Annotated[
    str,
    _like(
        rf"(https?://{_HOST_PORT}{_BASE}|unix:///[!-~]+)?",
        "empty, an http(s):// URL without a user or a query, or unix:///path",
    ),
]
BusUrls = Annotated[
    str,
    _like(
        rf"((nats|tls)://{_HOST_PORT}(, *(nats|tls)://{_HOST_PORT})*)?",
        "empty or nats:// or tls:// URLs without a user, separated by commas",
    ),
]
SocketUrl = Annotated[str, _like(rf"(wss?://{_HOST_PORT}{_PATH})?", "empty or a ws(s):// URL without a user")]
ListenHost = Annotated[str, _like(r"[A-Za-z0-9._:%-]{1,253}", "a host name or an address, IPv6 without brackets")]
_NAMES = "host names without a scheme; .example.org also matches its subdomains"
HostName = Annotated[str, _like(rf"(\.(?=[A-Za-z0-9_-]))?(?!\.){_AUTHORITY}", _NAMES)]
Ticker = Annotated[str, _like(_TICKER, "symbols of underlyings in capitals")]
NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,39}"
"""The pattern of the names of rules and channels."""

Name = Annotated[str, _like(NAME, "1 to 40 letters, digits and dashes, not starting with a dash")]
ChannelName = Annotated[str, _like(NAME, "names of channels")]
ConditionTexts = Annotated[
    str | tuple[str, ...], Meta(extra={"allowed": f"a condition, or a list of up to {MAX_CONDITIONS}"})
]
CondorId = Annotated[str, _like(r"[A-Z0-9.-]{1,60}", "ids of condors, SPY-261218-560-570-630-640")]
Origin = Annotated[str, _like(rf"[a-z][a-z0-9+.-]*://{_AUTHORITY}", "origins, https://example.org, no path")]


class Alpaca(msgspec.Struct, frozen=True, kw_only=True):
    """[alpaca]: the account, the feed and the URLs."""

    paper: bool = True
    feed: Annotated[Literal["indicative", "opra"], LIVE] = "indicative"
    symbol_limit: Annotated[int, Meta(ge=1, le=_MAX), LIVE] = 200
    stock_feed: Annotated[Literal["iex", "sip"], LIVE] = "iex"
    stock_symbol_limit: Annotated[int, Meta(ge=1, le=_MAX), LIVE] = 30
    trading_url: HttpUrl = ""
    data_url: HttpUrl = ""
    option_stream_url: Annotated[SocketUrl, LIVE] = ""
    trading_stream_url: SocketUrl = ""
    stock_stream_url: Annotated[SocketUrl, LIVE] = ""
    key_id_file: Annotated[FilePath, LIVE] = ""
    secret_key_file: Annotated[FilePath, LIVE] = ""


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """[rest]: how positions, clock and quotes are read."""

    timeout_seconds: Annotated[float, Meta(ge=0.1, le=_MAX)] = 10.0
    retries: Annotated[int, Meta(ge=0, le=10)] = 3
    breaker_failures: Annotated[int, Meta(ge=1, le=_MAX), LIVE] = 5
    breaker_reset_seconds: Annotated[float, Meta(ge=0.1, le=_MAX), LIVE] = 30.0
    threads: Annotated[int, Meta(ge=1, le=64)] = 4
    refresh_seconds: Annotated[float, Meta(ge=1, le=_MAX)] = 60.0
    settle_seconds: Annotated[float, Meta(ge=0, le=10)] = 2.0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """[stream]: how prices are received and how often they are sent."""

    window_ms: Annotated[int, Meta(ge=50, le=5000), LIVE] = 250
    min_change: Annotated[float, Meta(ge=0, le=1000), LIVE] = 0.01
    silence_seconds: Annotated[float, Meta(ge=1, le=_MAX), LIVE] = 60.0
    backoff_min_seconds: Annotated[float, Meta(ge=0.05, le=_MAX), LIVE] = 1.0
    backoff_max_seconds: Annotated[float, Meta(ge=0.05, le=_MAX), LIVE] = 60.0

    @property
    def window_seconds(self) -> float:
        """`window_ms` in seconds."""
        return self.window_ms / 1000

    @property
    def min_change_e4(self) -> int:
        """`min_change` in 1e-4 dollars."""
        return round(self.min_change * 10_000)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """[model]: what greeks and probabilities assume, and how often they are published."""

    rate: Annotated[float, Meta(ge=-0.05, le=0.5), LIVE] = 0.04
    dividend_yield: Annotated[dict[Ticker, Annotated[float, Meta(ge=0, le=1)]], LIVE] = msgspec.field(
        default_factory=lambda: {"SPX": 0.012, "XSP": 0.012}
    )
    interval_seconds: Annotated[float, Meta(ge=0.5, le=60), LIVE] = 2.0


class NamedDividend(msgspec.Struct, frozen=True, kw_only=True):
    """[[dividend]]: a dividend that takes the place of Alpaca's with the same symbol and date."""

    symbol: Annotated[str, _like(_TICKER, "the symbol of a stock in capitals")]
    date: dt.date
    amount: Annotated[float, Meta(ge=0, le=10_000)]


class MatchTable(RuleMatch, frozen=True, kw_only=True):
    """`match` of an [[alert]]: the subjects of the rule."""

    underlying: tuple[Ticker, ...] = ()
    direction: Direction | None = None
    kind: Kind | None = None
    condor: tuple[CondorId, ...] = ()


class AlertTable(RuleOverride, frozen=True, kw_only=True):
    """[[alert]]: a rule, or what changes in the built-in rule of that name."""

    name: Name
    when: ConditionTexts | None = None
    clear: ConditionTexts | None = None
    for_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    basis: Basis | None = None
    match: MatchTable | None = None
    severity: Severity | None = None
    repeat_minutes: Annotated[float, Meta(ge=0, le=10_080)] | None = None
    notify: tuple[ChannelName, ...] | None = None
    enabled: bool | None = None


class ChannelTable(msgspec.Struct, frozen=True, kw_only=True):
    """[[notify]]: a channel that alerts are sent to. Its URL and its secret are in files."""

    name: Name
    type: Literal["apprise", "webhook"]
    url_file: Annotated[str, _like(r"[^\x00-\x1f\x7f\ud800-\udfff]+", "a path, or the name of a systemd credential")]
    secret_file: FilePath = ""
    min_severity: Severity = "warning"
    quiet: Annotated[str, Meta(extra={"allowed": "empty or two times and a time zone"})] = ""


class Cutoffs(msgspec.Struct, frozen=True, kw_only=True):
    """[expiry]: Alpaca's cut-offs on the last trading day."""

    order_cutoff_minutes: Annotated[int, Meta(ge=0, le=_SESSION_MINUTES), LIVE] = 45
    order_cutoff_minutes_etf: Annotated[int, Meta(ge=0, le=_SESSION_MINUTES), LIVE] = 30
    etfs: Annotated[tuple[Ticker, ...], LIVE] = ("SPY", "QQQ", "IWM", "DIA")
    liquidation_minutes: Annotated[int, Meta(ge=0, le=_SESSION_MINUTES), LIVE] = 45


class History(msgspec.Struct, frozen=True, kw_only=True):
    """[history]: whether profit and loss is recorded, and for how long; 0 keeps it indefinitely."""

    enabled: bool = True
    keep_days: Annotated[int, Meta(ge=0, le=_MAX), LIVE] = 400


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """[cache]: how many quotes and contracts are kept, and how long."""

    max_symbols: Annotated[int, Meta(ge=1, le=_MAX)] = 10000
    ttl_seconds: Annotated[float, Meta(ge=0.1, le=_MAX)] = 600.0


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """[server]: where the daemon listens, and who may read."""

    host: ListenHost = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8420
    uds: FilePath = ""
    token_file: FilePath = ""
    allowed_hosts: Annotated[tuple[HostName, ...], LIVE] = ()
    allowed_origins: Annotated[tuple[Origin, ...], LIVE] = ()
    max_subscribers: Annotated[int, Meta(ge=1, le=_MAX), LIVE] = 1000
    ring_size: Annotated[int, Meta(ge=4, le=_MAX)] = 256
    replay_size: Annotated[int, Meta(ge=0, le=_MAX)] = 1024
    heartbeat_seconds: Annotated[float, Meta(ge=0.5, le=_MAX)] = 10.0
    compression: Annotated[bool, LIVE] = True
    workers: Annotated[int, Meta(ge=1, le=64)] = 1


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """[cluster]: what this process is among several."""

    role: Literal["all", "ingest", "relay"] = "all"
    source: SourceUrl = ""
    source_token_file: FilePath = ""
    bus: BusUrls = ""
    credentials_file: FilePath = ""
    lease_seconds: Annotated[float, Meta(ge=1, le=_MAX)] = 3.0
    account: Annotated[str, _like(r"[A-Za-z0-9_-]{0,40}", "up to 40 letters, digits, dashes and underscores")] = ""

    @property
    def bus_urls(self) -> tuple[str, ...]:
        """The URLs in `bus`."""
        return tuple(url.strip() for url in self.bus.split(",") if url)

    @property
    def is_elected(self) -> bool:
        """Whether it is an ingester that takes part in an election. Without a bus, `ingest` is the same as `all`."""
        return self.role == "ingest" and bool(self.bus)


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """[log]: the level and the format of the log."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    format: Annotated[Literal["text", "json"], LIVE] = "text"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, valid and complete; `msgspec.structs.replace` makes another."""

    alpaca: Alpaca = Alpaca()
    rest: Rest = Rest()
    stream: Stream = Stream()
    model: Model = Model()
    dividend: tuple[NamedDividend, ...] = ()
    expiry: Cutoffs = Cutoffs()
    history: History = History()
    cache: Cache = Cache()
    server: Server = Server()
    cluster: Cluster = Cluster()
    log: Log = Log()
    alert: tuple[AlertTable, ...] = ()
    notify: tuple[ChannelTable, ...] = ()


TABLES: dict[str, type[msgspec.Struct]] = {"dividend": NamedDividend, "alert": AlertTable, "notify": ChannelTable}
"""The arrays of tables, [[dividend]]. They are only in the file, and SIGHUP applies them."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key.

    `type` is what msgspec converts to, `base` the same without its annotations, `allowed` a phrase for people.
    `is_live`: SIGHUP applies it to a running daemon. `is_required`: a table without it is faulty.
    """

    section: str
    key: str
    type: Any
    base: Any
    default: Any
    allowed: str
    is_live: bool
    is_required: bool = False

    @property
    def name(self) -> str:
        """The key path, `server.port`."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable, `CONDORD_SERVER_PORT`."""
        return f"condord_{self.section}_{self.key}".upper()


@functools.cache  # 15 ms, and a start reads the configuration twice
def fields() -> tuple[Field, ...]:
    """Every key of a section, in the order of the structs above."""
    return tuple(
        _field(section.name, key)
        for section in msgspec.structs.fields(Config)
        if section.name not in TABLES
        for key in msgspec.structs.fields(section.type)
    )


def fields_of_table(name: str) -> tuple[Field, ...]:
    """Every key of each [[name]]."""
    return fields_of(name, TABLES[name])


@functools.cache
def fields_of(name: str, kind: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Every key of the table `name`, whose struct is `kind`."""
    return tuple(_field(name, key) for key in msgspec.structs.fields(kind))


def _field(section: str, key: msgspec.structs.FieldInfo) -> Field:
    plain = _without_none(key.type)
    base, *metas = get_args(plain) if get_origin(plain) is Annotated else (plain,)
    return Field(
        section=section,
        key=key.name,
        type=key.type,
        base=base,
        default=key.default if key.default_factory is msgspec.NODEFAULT else key.default_factory(),
        allowed=_allowed(base, metas),
        is_live=LIVE in metas,
        is_required=key.required,
    )


def _without_none(kind: object) -> object:
    """The type without None, if it is optional."""
    parts = get_args(kind)
    return next(part for part in parts if part is not type(None)) if type(None) in parts else kind


def _allowed(base: object, metas: list[Meta]) -> str:
    if named := next((meta.extra["allowed"] for meta in metas if meta.extra and "allowed" in meta.extra), None):
        return str(named)
    if isinstance(base, type) and issubclass(base, msgspec.Struct):
        return f"a table of {', '.join(base.__struct_fields__)}"
    if get_origin(base) is tuple:
        item, *of_item = get_args(get_args(base)[0])
        return "a list of " + _allowed(item, of_item)
    if get_origin(base) is dict:
        (name, *of_name), (number, *of_number) = map(get_args, get_args(base))
        return f"a table of {_allowed(name, of_name)}, each with {_allowed(number, of_number)}"
    if get_origin(base) is Literal:
        return " or ".join(toml(value) for value in get_args(base))
    if base is bool:
        return "true or false"
    if base is dt.date:
        return "a date, 2026-12-18"
    return f"{'an integer' if base is int else 'a number'} from {metas[0].ge} to {metas[0].le}"


def values_of(table: msgspec.Struct) -> dict[str, Any]:
    """The keys of a table with their values, without those that are not named."""
    keys = msgspec.structs.asdict(table)
    if isinstance(match := keys.get("match"), RuleMatch):
        keys["match"] = {key: value for key, value in msgspec.structs.asdict(match).items() if value}
    return {key: value for key, value in keys.items() if value is not None}


def toml(value: object) -> str:
    """A value of `Config` as TOML writes it: its strings, numbers, booleans and lists are written as in JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {toml(each)}" for key, each in value.items()) + "}"
    return value.isoformat() if isinstance(value, dt.date) else msgspec.json.encode(value).decode()


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else toml(key)
