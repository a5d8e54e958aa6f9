"""Decides what a start needs before anything else is done: a configuration, a key for Alpaca, and the readers' token.

Rules: everything is looked at, and all that is wrong is told at once; a fault of the configuration gives the exit code.
What depends on a value that nobody knows, as it is at fault itself, is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from condord import config as configuration
from condord import credentials
from condord.config import Loaded
from condord.credentials import Credentials, Secret
from condord.errors import CondordError, ConfigError, CredentialsMissing

_KEY_FILES = ("alpaca.key_id_file", "alpaca.secret_key_file")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Only without errors is it what a daemon may run on.

    `token` is None where none is configured. `is_key_unknown`: none was found, and the faults may be the reason.
    """

    loaded: Loaded
    key: Credentials | None
    token: Secret | None
    config_error: ConfigError | None
    key_error: CredentialsMissing | None
    is_key_unknown: bool = False

    @property
    def errors(self) -> tuple[CondordError, ...]:
        """Everything that is wrong."""
        return tuple(error for error in (self.config_error, self.key_error) if error is not None)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Found:
    """What a daemon may run on; the arguments are those of `config.read`.

    Raises:
        CondordError: with everything that is wrong, a ConfigError where the configuration is.
    """
    found = find(path, environ, flags)
    if len(found.errors) == 1:
        raise found.errors[0]
    if found.config_error and found.key_error:
        faults = (*found.config_error.faults, str(found.key_error))
        raise ConfigError(faults, f"{found.config_error.hint} {found.key_error.hint}")
    return found


def find(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Found:
    """Whatever can be found, and everything that is wrong; the arguments are those of `config.read`."""
    reading = configuration.read(path, environ, flags)
    token, token_error = _token(reading, environ)
    key, key_error, is_key_unknown = _key(reading, environ)
    return Found(
        loaded=reading.loaded,
        key=key,
        token=token,
        config_error=_joined(reading, token_error),
        key_error=key_error,
        is_key_unknown=is_key_unknown,
    )


def _token(reading: configuration.Reading, environ: Mapping[str, str]) -> tuple[Secret | None, ConfigError | None]:
    path = reading.loaded.config.server.token_file
    if not path or "server.token_file" in reading.unsure:
        return None, None
    try:
        return credentials.read_token(path, environ), None
    except ConfigError as error:
        return None, error


def _key(
    reading: configuration.Reading, environ: Mapping[str, str]
) -> tuple[Credentials | None, CredentialsMissing | None, bool]:
    """The key, or why there is none, or that nobody can tell."""
    alpaca = reading.loaded.config.alpaca
    is_unsure = not reading.unsure.isdisjoint(_KEY_FILES)
    files = ("", "") if is_unsure else (alpaca.key_id_file, alpaca.secret_key_file)
    try:
        return credentials.find(environ, *files), None, False
    except CredentialsMissing as error:
        return (None, None, True) if is_unsure and not error.detail else (None, error, False)


def _joined(reading: configuration.Reading, token_error: ConfigError | None) -> ConfigError | None:
    """What is wrong with the values and with the token, as one error."""
    if token_error is None:
        return ConfigError(reading.faults, reading.hint) if reading.faults else None
    if not reading.faults:
        return token_error
    return ConfigError((*reading.faults, *token_error.faults), f"{reading.hint} {token_error.hint}")
