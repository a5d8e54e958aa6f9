"""Find the inputs of a start: the configuration, the key for Alpaca, the token, and the channels' files.

All faults are reported at once. Values that depend on a faulty one are not checked: if the configured path of the token
is invalid, the token is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from condord.config import bus_credentials as of_bus
from condord.config import channel_files, credentials, hints, sources
from condord.config.bus_credentials import BusCredentials
from condord.config.channel_files import ChannelSecrets
from condord.config.credentials import Credentials
from condord.config.sources import LoadedConfig, ParsedConfig
from condord.errors import CondordError, ConfigError, CredentialsMissing
from condord.host.secret import Secret

_KEY_FILES = ("alpaca.key_id_file", "alpaca.secret_key_file")


class Startup(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a daemon; `token` and `bus_credentials` are None if none is configured.

    `channels` has the contents of the files of each [[notify]].
    """

    loaded: LoadedConfig
    key: Credentials
    token: Secret | None = None
    channels: tuple[ChannelSecrets, ...] = ()
    bus_credentials: BusCredentials | None = None


class StartupFindings(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a daemon that were found, and the faults of the others.

    `token` and `bus_credentials` are None if none is configured, and `channels` are complete if there is no
    `config_error`. `is_key_unknown`: no key was found, and a fault may be the reason.
    """

    loaded: LoadedConfig
    key: Credentials | None
    token: Secret | None
    config_error: ConfigError | None
    key_error: CredentialsMissing | None
    channels: tuple[ChannelSecrets, ...] = ()
    bus_credentials: BusCredentials | None = None
    is_key_unknown: bool = False

    @property
    def errors(self) -> tuple[CondordError, ...]:
        """Everything that is wrong."""
        return tuple(error for error in (self.config_error, self.key_error) if error is not None)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Startup:
    """The inputs of a daemon; the arguments are as for `sources.read`.

    Raises:
        CondordError: with all faults; a ConfigError if any of them is in the configuration.
    """
    found = find(path, environ, flags)
    if len(found.errors) == 1:
        raise found.errors[0]
    if found.config_error and found.key_error:
        faults = (*found.config_error.faults, str(found.key_error))
        raise ConfigError(faults, hints.joined([found.config_error.hint, found.key_error.hint]))
    assert found.key is not None  # noqa: S101 - without a key there is an error
    return Startup(
        loaded=found.loaded,
        key=found.key,
        token=found.token,
        channels=found.channels,
        bus_credentials=found.bus_credentials,
    )


def find(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> StartupFindings:
    """Everything that can be found, and all faults; the arguments are as for `sources.read`."""
    parsed = sources.read(path, environ, flags)
    token, token_error = _token(parsed, environ)
    key, key_error, is_key_unknown = _key(parsed, environ)
    bus_credentials, bus_error = _bus_credentials(parsed, environ)
    channels, channel_error = _channels(parsed, environ)
    return StartupFindings(
        loaded=parsed.loaded,
        key=key,
        token=token,
        config_error=_joined(parsed, token_error, bus_error, channel_error),
        key_error=key_error,
        channels=channels,
        bus_credentials=bus_credentials,
        is_key_unknown=is_key_unknown,
    )


def _token(parsed: ParsedConfig, environ: Mapping[str, str]) -> tuple[Secret | None, ConfigError | None]:
    path = parsed.loaded.config.server.token_file
    if not path or "server.token_file" in parsed.uncertain:
        return None, None
    try:
        return credentials.read_token(path, environ), None
    except ConfigError as error:
        return None, error


def _bus_credentials(
    parsed: ParsedConfig, environ: Mapping[str, str]
) -> tuple[BusCredentials | None, ConfigError | None]:
    try:
        return of_bus.find(parsed, environ), None
    except ConfigError as error:
        return None, error


def _key(
    parsed: ParsedConfig, environ: Mapping[str, str]
) -> tuple[Credentials | None, CredentialsMissing | None, bool]:
    """The key, or the error, or True if faulty configuration keys may be the reason why no API key was found."""
    alpaca = parsed.loaded.config.alpaca
    are_files_uncertain = not parsed.uncertain.isdisjoint(_KEY_FILES)
    files = ("", "") if are_files_uncertain else (alpaca.key_id_file, alpaca.secret_key_file)
    try:
        return credentials.find(environ, *files), None, False
    except CredentialsMissing as error:
        is_uncertain = are_files_uncertain or _is_role_uncertain(parsed)
        return (None, None, True) if is_uncertain and not error.detail else (None, error, False)


def _is_role_uncertain(parsed: ParsedConfig) -> bool:
    """Whether the role has a fault, so that a relay may be meant, which needs no key."""
    cluster = parsed.loaded.config.cluster
    return "cluster.role" in parsed.uncertain or (cluster.role == "all" and bool(cluster.bus or cluster.source))


def _channels(
    parsed: ParsedConfig, environ: Mapping[str, str]
) -> tuple[tuple[ChannelSecrets, ...], ConfigError | None]:
    """The contents of the files that [[notify]] names, and the faults with their places.

    A faulty [[notify]] keeps the files unread.
    """
    if "notify" in parsed.uncertain:
        return (), None
    found = channel_files.read(parsed.loaded.config.notify, environ)
    if not found.faults:
        return found.files, None
    texts = [f"{parsed.locations[fault.key]}: {fault.text}" for fault in found.faults]
    return (), ConfigError(texts, found.hint)


def _joined(parsed: ParsedConfig, *others: ConfigError | None) -> ConfigError | None:
    """The faults of the values and the `others`, as one error."""
    errors = [ConfigError(parsed.faults, parsed.hint)] if parsed.faults else []
    errors += [error for error in others if error is not None]
    if not errors:
        return None
    faults = [fault for error in errors for fault in error.faults]
    return ConfigError(faults, hints.joined(error.hint for error in errors))
