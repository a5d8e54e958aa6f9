"""Find the inputs of a relay: the configuration, the token of its source, and the token for subscribers.

It needs no key for Alpaca, and ignores the channels of the configuration: its source sends the alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from condord.config import bus_credentials as of_bus
from condord.config import credentials, hints, sources
from condord.config.bus_credentials import BusCredentials
from condord.config.sources import LoadedConfig, ParsedConfig
from condord.errors import ConfigError
from condord.host.loopback import SENT_IN_CLEAR, is_clear
from condord.host.secret import Secret

_HINT = "A token may only go to https://, to a unix socket or to this machine: start a TLS proxy or a tunnel (ssh -L)."


class RelayStartup(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a relay; `source_token`, `bus_credentials` and `token` are None if none is configured."""

    loaded: LoadedConfig
    bus_credentials: BusCredentials | None = None
    source_token: Secret | None
    token: Secret | None


class RelayFindings(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a relay that were found, and the faults of the others."""

    startup: RelayStartup
    config_error: ConfigError | None


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> RelayStartup:
    """The inputs of a relay; the arguments are as for `sources.read`.

    Raises:
        ConfigError: with all faults.
    """
    found = find(path, environ, flags)
    if found.config_error is not None:
        raise found.config_error
    return found.startup


def find(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> RelayFindings:
    """The inputs that can be found, and all faults; the arguments are as for `sources.read`."""
    parsed = sources.read(path, environ, flags)
    errors = [ConfigError(parsed.faults, parsed.hint)] if parsed.faults else []
    tokens: dict[str, Secret | None] = {}
    for key in ("server.token_file", "cluster.source_token_file"):
        try:
            tokens[key] = _file_token(parsed, key, environ)
        except ConfigError as error:
            errors.append(error)
    source_token = tokens.get("cluster.source_token_file")
    bus_credentials = None
    try:
        bus_credentials = of_bus.find(parsed, environ)
        if not parsed.loaded.config.cluster.source_token_file:
            source_token = _environment_token(parsed, environ)
    except ConfigError as error:
        errors.append(error)
    startup = RelayStartup(
        loaded=parsed.loaded,
        source_token=source_token,
        bus_credentials=bus_credentials,
        token=tokens.get("server.token_file"),
    )
    return RelayFindings(startup=startup, config_error=_joined(errors))


def _file_token(parsed: ParsedConfig, key: str, environ: Mapping[str, str]) -> Secret | None:
    section, _, name = key.partition(".")
    path = getattr(getattr(parsed.loaded.config, section), name)
    return None if not path or key in parsed.uncertain else credentials.read_token(path, environ, key)


def _environment_token(parsed: ParsedConfig, environ: Mapping[str, str]) -> Secret | None:
    """The token of the source in $CONDORD_TOKEN, None without one, or if there is a bus instead of a source.

    Raises:
        ConfigError: it cannot be a token, or it would cross a network unencrypted.
    """
    token = environ.get("CONDORD_TOKEN", "").strip()
    if not token or parsed.loaded.config.cluster.bus:
        return None
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(["$CONDORD_TOKEN contains characters that no token has"], "Correct $CONDORD_TOKEN.")
    source = parsed.loaded.config.cluster.source
    if not parsed.faults and is_clear(source):
        raise ConfigError([f"cluster.source = {source} with $CONDORD_TOKEN: {SENT_IN_CLEAR}"], _HINT)
    return Secret(token)


def _joined(errors: list[ConfigError]) -> ConfigError | None:
    if not errors:
        return None
    faults = [fault for error in errors for fault in error.faults]
    return ConfigError(faults, hints.joined(error.hint for error in errors))
