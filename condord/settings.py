"""Decides what the configuration means for the parts, and which of its keys a running daemon takes.

Rules: of a changed configuration the live keys are taken and the others wait for a restart. `[alpaca]` is taken whole
or not at all: where the account or its address waits, so does the feed, and the key that belongs to them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from condord import config as configuration
from condord.config import Config
from condord.live import wire
from condord.upstream import addresses
from condord.upstream.ports import Login
from condord.upstream.rest import RestSettings
from condord.upstream.supervisor import SupervisorSettings

LIVE_KEYS = frozenset(
    {
        "alpaca.feed",
        "alpaca.symbol_limit",
        "alpaca.option_stream_url",
        "alpaca.key_id_file",
        "alpaca.secret_key_file",
        "rest.breaker_failures",
        "rest.breaker_reset_seconds",
        "stream.window_ms",
        "stream.min_change",
        "stream.silence_seconds",
        "stream.backoff_min_seconds",
        "stream.backoff_max_seconds",
        "server.allowed_hosts",
        "server.allowed_origins",
        "server.max_subscribers",
        "server.compression",
        "log.level",
        "log.format",
    }
)


def differing(old: Config, new: Config) -> list[str]:
    """The keys whose values differ, in the order of the file."""
    return [
        field.name
        for field in configuration.fields()
        if getattr(getattr(old, field.section), field.key) != getattr(getattr(new, field.section), field.key)
    ]


def taken(old: Config, new: Config) -> Config:
    """What a daemon that runs on `old` runs on once it was given `new`."""
    changed = differing(old, new)
    waiting = {name for name in changed if name not in LIVE_KEYS}
    if any(name.startswith("alpaca.") for name in waiting):
        waiting |= {name for name in changed if name.startswith("alpaca.")}
    for name in set(changed) - waiting:
        section, _, key = name.partition(".")
        part = msgspec.structs.replace(getattr(old, section), **{key: getattr(getattr(new, section), key)})
        old = msgspec.structs.replace(old, **{section: part})
    return old


def source(config: Config) -> wire.Source:
    """What the status calls the other side: a trading URL on this machine can only be a simulator."""
    if config.alpaca.trading_url and configuration.is_loopback(urlsplit(config.alpaca.trading_url).hostname or ""):
        return "simulator"
    return "alpaca-paper" if config.alpaca.paper else "alpaca-live"


def slot(config: Config, login: Login) -> dict[str, str]:
    """What a daemon has to itself, as `Locks` takes it: a key, on an option stream."""
    return {"key_id": login.key_id, "stream_url": supervisor(config).option_stream_url}


def rest(config: Config) -> RestSettings:
    """What REST is asked with."""
    return RestSettings(
        paper=config.alpaca.paper,
        feed=config.alpaca.feed,
        trading_url=config.alpaca.trading_url,
        data_url=config.alpaca.data_url,
        timeout_seconds=config.rest.timeout_seconds,
        retries=config.rest.retries,
        breaker_failures=config.rest.breaker_failures,
        breaker_reset_seconds=config.rest.breaker_reset_seconds,
        threads=config.rest.threads,
    )


def supervisor(config: Config) -> SupervisorSettings:
    """Where the streams are, and the bounds that the supervisor keeps."""
    alpaca, stream = config.alpaca, config.stream
    return SupervisorSettings(
        source=source(config),
        feed=alpaca.feed,
        option_stream_url=alpaca.option_stream_url or addresses.option_stream(alpaca.feed),
        trading_stream_url=alpaca.trading_stream_url or addresses.trading_stream(paper=alpaca.paper),
        symbol_limit=alpaca.symbol_limit,
        refresh_seconds=config.rest.refresh_seconds,
        silence_seconds=stream.silence_seconds,
        backoff_min_seconds=stream.backoff_min_seconds,
        backoff_max_seconds=stream.backoff_max_seconds,
    )
