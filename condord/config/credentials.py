"""Find the API key and the token, and keep them secret.

The first of these that has a key is used: the environment, systemd credentials (LoadCredential= in systemd.exec(5)),
two named files. If it has only one half of the key, that is an error: halves of two sources are never combined.

A key is one line of printable ASCII without blanks. Its file is regular and small, belongs to the user of the process
or to root, and is not open to group or others. No error repeats the content of a file or a variable.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from condord.config import hints
from condord.errors import ConfigError, CredentialsMissing
from condord.host import bounded_file
from condord.host.secret import Secret

_VARIABLES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
_CREDENTIALS = ("apca-api-key-id", "apca-api-secret-key")
_KEYS = ("alpaca.key_id_file", "alpaca.secret_key_file")
_MAX_BYTES = 4096
_MAX_TEXT_BYTES = 65_536  # enough for a certificate with its key and the certificates of its issuers
_MIN_TOKEN_LENGTH = 16
_ONE_WORD = re.compile(r"[!-~]+")
_KEY_LOOK = re.compile(r"[A-Za-z0-9]{16,}")
_ASSIGNMENT = re.compile(r"\w*(key|secret|token|_id)\w*=.+", re.IGNORECASE)
_QUOTED = re.compile(r"([\"']).*\1")
_SYSTEMD_DIRECTORIES = ("/run/credentials", "/run/systemd")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An Alpaca API key; `origin` describes where it was found."""

    key_id: Secret
    secret_key: Secret
    origin: str


class _Unusable(Exception):  # never leaves this module
    """A file or a variable does not hold a key; the text names it and the reason; `hint` is what to do."""

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


def find(environ: Mapping[str, str], key_id_file: str, secret_key_file: str) -> Credentials:
    """Find the API key.

    Args:
        environ: the environment, with the key or the directory of systemd's credentials.
        key_id_file: `alpaca.key_id_file`, a path, which may begin with `~`, or empty.
        secret_key_file: `alpaca.secret_key_file`, likewise.

    Raises:
        CredentialsMissing: there is no key, only half of one, or one that cannot be used; the text names the place.
    """
    try:
        return (
            _from_environment(environ) or _from_systemd(environ) or _from_files(environ, (key_id_file, secret_key_file))
        )
    except _Unusable as error:
        missing = CredentialsMissing(str(error))
        missing.hint = error.hint
        raise missing from error


def read_token(path: str | Path, environ: Mapping[str, str] | None = None, key: str = "server.token_file") -> Secret:
    """Read the file of a token: one word of at least 16 characters.

    Args:
        path: the file, which may begin with `~`.
        environ: the environment, with the directories of systemd, in whose files the group may read.
        key: the configuration key that names it.

    Raises:
        ConfigError: the file cannot be read, is open to others, or does not hold such a word.
    """
    try:
        token = _read(str(path), key, environ or {})
    except _Unusable as error:
        raise ConfigError([str(error)], error.hint) from error
    if len(token.reveal()) < _MIN_TOKEN_LENGTH:
        hint = f"Write a longer one: `openssl rand -hex 32 > {path}`."
        raise ConfigError([f"{path}: a token has at least {_MIN_TOKEN_LENGTH} characters"], hint)
    return token


def read_file(named: str, key: str, environ: Mapping[str, str]) -> Secret:
    """Read a file that holds one word, a URL or a secret.

    Args:
        named: its path, which may begin with `~`; without a slash the name of a systemd credential.
        key: the configuration key that names it.
        environ: the environment, with the directories of systemd.

    Raises:
        ConfigError: the file cannot be read, is open to others, or does not hold such a word.
    """
    path = named
    if "/" not in named:
        directory = _credentials_directory(environ)
        if directory is None:
            text = (
                f"{named} ({key}) has no slash, so it names a systemd credential, but $CREDENTIALS_DIRECTORY is not set"
            )
            raise ConfigError([text], f"Set {key} to a path, or add LoadCredential={named}:PATH to the unit.")
        path = str(directory / named)
    try:
        return _read(path, key, environ)
    except _Unusable as error:
        raise ConfigError([str(error)], error.hint) from error


def read_text(path: str, key: str, environ: Mapping[str, str]) -> Secret:
    """Read a file of several lines, such as a certificate with its key; the arguments are as for `read_file`.

    Raises:
        ConfigError: the file cannot be read, is open to others, or is empty.
    """
    try:
        text = _read_private(path, key, environ, _MAX_TEXT_BYTES)
    except _Unusable as error:
        raise ConfigError([str(error)], error.hint) from error
    if not text.strip():
        raise ConfigError([f"{path} ({key}) is empty"], f"Correct {key} or the file.")
    return Secret(text)


def word(text: str, where: str) -> Secret:
    """The only word in a text.

    Raises:
        ConfigError: the text is empty, too long, more than one word, or not printable ASCII.
    """
    try:
        return _word(text, where)
    except _Unusable as error:
        raise ConfigError([str(error)], error.hint) from error


def looks_like_key(path: str) -> bool:
    """Whether a configured path is in fact a key, which must not be shown."""
    return _KEY_LOOK.fullmatch(path) is not None


def _from_environment(environ: Mapping[str, str]) -> Credentials | None:
    found = [environ.get(variable, "") for variable in _VARIABLES]
    if not any(found):
        return None
    key_id, secret_key = _both(
        found, _VARIABLES, "environment", lambda value, variable: _word(value, f"the variable {variable}")
    )
    return Credentials(key_id=key_id, secret_key=secret_key, origin="environment")


def _from_systemd(environ: Mapping[str, str]) -> Credentials | None:
    directory = _credentials_directory(environ)
    if directory is None:
        return None
    try:
        present = {path.name for path in directory.iterdir()}
    except OSError as error:
        hint = "systemd sets $CREDENTIALS_DIRECTORY; without systemd, unset it."
        raise _Unusable(f"{directory} cannot be read: {error.strerror}", hint) from error
    found = [str(directory / name) if name in present else "" for name in _CREDENTIALS]
    if not any(found):
        return None
    key_id, secret_key = _both(
        found, _CREDENTIALS, f"directory {directory}", lambda path, name: _read(path, f"the credential {name}", environ)
    )
    return Credentials(key_id=key_id, secret_key=secret_key, origin=f"systemd credentials in {directory}")


def _from_files(environ: Mapping[str, str], paths: tuple[str, str]) -> Credentials:
    if not any(paths):
        raise CredentialsMissing
    key_id, secret_key = _both(paths, _KEYS, "configuration", lambda path, name: _read(path, name, environ))
    return Credentials(key_id=key_id, secret_key=secret_key, origin=f"files {paths[0]} and {paths[1]}")


def _both(
    found: Sequence[str], names: tuple[str, str], where: str, read: Callable[[str, str], Secret]
) -> tuple[Secret, Secret]:
    """Both halves of a key; at least one was found. `read` converts one, given its text or path and its name.

    Raises:
        CredentialsMissing: the other half was not found.
        _Unusable: one of them cannot be used, or neither can, for the given reasons.
    """
    if not all(found):
        missing, found_name = names if found[1] else reversed(names)
        raise CredentialsMissing(f"the {where} has {found_name} but not {missing}")
    halves: list[Secret] = []
    errors: list[_Unusable] = []
    for value, name in zip(found, names, strict=True):
        try:
            halves.append(read(value, name))
        except _Unusable as error:
            errors.append(error)
    if errors:
        raise _Unusable("; ".join(map(str, errors)), hints.joined(error.hint for error in errors))
    key_id, secret_key = halves
    return key_id, secret_key


def _credentials_directory(environ: Mapping[str, str]) -> Path | None:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def _is_made_by_systemd(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether the system's or the user's systemd made the file; $CREDENTIALS_DIRECTORY could name any directory."""
    user = environ.get("XDG_RUNTIME_DIR")
    directories = (*_SYSTEMD_DIRECTORIES, *([f"{user}/credentials", f"{user}/systemd"] if user else []))
    return any(path.is_relative_to(directory) for directory in directories)


def _read(named: str, name: str, environ: Mapping[str, str]) -> Secret:
    """The word in the file `named`; `name` is the key or the credential that names it."""
    return _word(_read_private(named, name, environ, _MAX_BYTES), f"{named} ({name})")


def _read_private(named: str, name: str, environ: Mapping[str, str], max_bytes: int) -> str:
    """The text of the file `named`, which others may not read."""
    if looks_like_key(named):
        raise _Unusable(
            f"{name} is not a path but looks like a key", f"Write the key to a file, and set {name} to its path."
        )
    try:
        path = Path(named).expanduser()
        raw, status = bounded_file.read(path, max_bytes)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory for `~`
        why = error.strerror if isinstance(error, OSError) else error
        raise _Unusable(f"{named} ({name}) cannot be read: {why}", f"Correct {name} or the file.") from error
    user = os.geteuid()
    if (owner := bounded_file.foreign_owner(status, user)) is not None:
        text = f"{named} ({name}) belongs to user {owner}, neither to root nor to user {user}, who runs condord"
        raise _Unusable(text, f"If you trust its content: sudo chown {user} {_quoted(path)}")
    # systemd grants its files to the service's user by an access list, whose mask shows as the mode of the group.
    forbidden = 0o037 if _is_made_by_systemd(path, environ) else 0o077
    if status.st_mode & forbidden:
        raise _Unusable(f"{named} ({name}) may be read or written by others", f"chmod 600 {_quoted(path)}")
    return raw.decode("latin-1")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _word(text: str, where: str) -> Secret:
    word = text.rstrip("\r\n")
    if not word.strip():
        why = "is empty"
    elif len(word) > _MAX_BYTES:  # only a variable; files are limited already
        why = f"holds more than {_MAX_BYTES} bytes"
    elif "\n" in word:
        why = "holds more than one line"
    elif _ASSIGNMENT.fullmatch(word):
        why = "holds an assignment, NAME=value"
    elif _QUOTED.fullmatch(word):
        why = "holds a word in quotation marks"
    elif not _ONE_WORD.fullmatch(word):
        why = "holds blanks or characters outside ASCII"
    else:
        return Secret(word)
    raise _Unusable(f"{where} {why}", "It must hold only the value itself, on one line.")
