"""Decides which API key and which token are used, and keeps them from being seen.

Rules:
    API key, first found: the environment, systemd credentials (LoadCredential= in systemd.exec(5)), two named
    files. The first place that has one half must have the other; halves of two places are never joined.
    A key is one line of printable ASCII without blanks; a newline behind it is dropped, all else refused,
    also what names a variable or stands in quotation marks.
    A file is regular and small. One that is open to group or others is refused, but for those that systemd has made:
    there an access list for the service's user may show up as rights of the group. A directory that somebody
    else names as $CREDENTIALS_DIRECTORY is none of systemd's.
    No text here repeats what a file or a variable holds; `Secret.reveal` is the only way to it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from condord import regular_file
from condord.errors import ConfigError, CredentialsMissing

_VARIABLES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
_CREDENTIALS = ("apca-api-key-id", "apca-api-secret-key")
_KEYS = ("alpaca.key_id_file", "alpaca.secret_key_file")
_MOST_BYTES = 4096
_TOKEN_LEAST = 16
_ONE_WORD = re.compile(r"[!-~]+")
_KEY_LOOK = re.compile(r"[A-Za-z0-9]{16,}")
_ASSIGNMENT = re.compile(r"\w*(key|secret|token|_id)\w*=.+", re.IGNORECASE)
_QUOTED = re.compile(r"([\"']).*\1")
_SYSTEMD_PLACES = ("/run/credentials", "/run/systemd")


class Secret:
    """A text that shows itself as `***` everywhere but in `reveal()`.

    It is neither copied, pickled nor encoded as JSON; comparing takes the same time wherever two differ.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, _: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, others = (text.encode(errors="surrogatepass") for text in (self._text, other._text))
        return hmac.compare_digest(mine, others)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to guess it

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a Secret is not copied or pickled")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An Alpaca API key; `origin` says for people where it was found."""

    key_id: Secret
    secret_key: Secret
    origin: str


class _Unusable(Exception):  # never leaves this module
    """A file or a variable does not hold one word; the text says which and why, the hint what to do."""

    def __init__(self, text: str, hint: str) -> None:
        self.hint = hint
        super().__init__(text)


def find(environ: Mapping[str, str], key_id_file: str, secret_key_file: str) -> Credentials:
    """Find the API key.

    Args:
        environ: the environment, which may hold the key or name systemd's directory.
        key_id_file: `alpaca.key_id_file`, a path, `~` allowed, or empty.
        secret_key_file: `alpaca.secret_key_file`, likewise.

    Raises:
        CredentialsMissing: there is none, only half of one, or one that cannot be used; the text names where.
    """
    try:
        return (
            _from_environment(environ) or _from_systemd(environ) or _from_files(environ, (key_id_file, secret_key_file))
        )
    except _Unusable as error:
        missing = CredentialsMissing(str(error))
        missing.hint = error.hint
        raise missing from error


def read_token(path: str | Path, environ: Mapping[str, str] | None = None) -> Secret:
    """Read `server.token_file`: one word of at least 16 characters.

    Args:
        path: the file, `~` allowed.
        environ: where systemd's directory is looked for: its files are not judged by their mode.

    Raises:
        ConfigError: the file cannot be read, is open to others, or holds no such word.
    """
    try:
        token = _read(str(path), "server.token_file", environ or {})
    except _Unusable as error:
        raise ConfigError([str(error)], error.hint) from error
    if len(token.reveal()) < _TOKEN_LEAST:
        hint = f"Write a longer one: `openssl rand -hex 32 > {path}`."
        raise ConfigError([f"{path}: a token has at least {_TOKEN_LEAST} characters"], hint)
    return token


def looks_like_key(named: str) -> bool:
    """Whether it is a key, written where the path of its file belongs: not to be repeated."""
    return _KEY_LOOK.fullmatch(named) is not None


def _from_environment(environ: Mapping[str, str]) -> Credentials | None:
    found = [environ.get(variable, "") for variable in _VARIABLES]
    if not any(found):
        return None
    key_id, secret_key = (
        _word(value, f"the variable {variable}") for value, variable in _both(found, _VARIABLES, "environment")
    )
    return Credentials(key_id=key_id, secret_key=secret_key, origin="environment")


def _from_systemd(environ: Mapping[str, str]) -> Credentials | None:
    directory = _credentials_directory(environ)
    if directory is None:
        return None
    try:
        present = {path.name for path in directory.iterdir()}
    except OSError as error:
        hint = "It is $CREDENTIALS_DIRECTORY, which systemd sets; unset it elsewhere."
        raise _Unusable(f"{directory} cannot be read: {error.strerror}", hint) from error
    found = [str(directory / name) if name in present else "" for name in _CREDENTIALS]
    if not any(found):
        return None
    key_id, secret_key = (
        _read(path, f"the credential {name}", environ)
        for path, name in _both(found, _CREDENTIALS, f"directory {directory}")
    )
    return Credentials(key_id=key_id, secret_key=secret_key, origin=f"systemd credentials in {directory}")


def _from_files(environ: Mapping[str, str], paths: tuple[str, str]) -> Credentials:
    if not any(paths):
        raise CredentialsMissing
    key_id, secret_key = (_read(path, name, environ) for path, name in _both(paths, _KEYS, "configuration"))
    return Credentials(key_id=key_id, secret_key=secret_key, origin=f"files {paths[0]} and {paths[1]}")


def _both(found: Sequence[str], names: tuple[str, str], where: str) -> list[tuple[str, str]]:
    """The two halves, of which one at least is there, each with its name."""
    if not all(found):
        lacking, given = names if found[1] else reversed(names)
        raise CredentialsMissing(f"the {where} has {given} but not {lacking}")
    return list(zip(found, names, strict=True))


def _credentials_directory(environ: Mapping[str, str]) -> Path | None:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def _is_made_by_systemd(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether it is a credential of a service: of the system, or of the user's systemd."""
    users = environ.get("XDG_RUNTIME_DIR")
    places = (*_SYSTEMD_PLACES, *([f"{users}/credentials", f"{users}/systemd"] if users else []))
    return any(path.is_relative_to(place) for place in places)


def _read(named: str, name: str, environ: Mapping[str, str]) -> Secret:
    """The one word in a file; `name` says what named the file."""
    if looks_like_key(named):
        raise _Unusable(f"{name} is no path and looks like a key", f"Name a file that holds it as {name}.")
    try:
        path = Path(named).expanduser()
        raw, mode = regular_file.read(path, _MOST_BYTES)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory for `~`
        why = error.strerror if isinstance(error, OSError) else error
        raise _Unusable(f"{named} ({name}) cannot be read: {why}", f"Correct {name} or that file.") from error
    if mode & 0o077 and not _is_made_by_systemd(path, environ):
        raise _Unusable(f"{named} ({name}) is open to others than its owner", f"chmod 600 {named}")
    return _word(raw.decode("latin-1"), named)


def _word(text: str, where: str) -> Secret:
    word = text.rstrip("\r\n")
    if not word.strip():
        why = "is empty"
    elif len(word) > _MOST_BYTES:  # a variable's
        why = f"holds more than {_MOST_BYTES} bytes"
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
    raise _Unusable(f"{where} {why}", "It has to hold the bare key or token on one line, and nothing else.")
