"""Read the file that `cluster.credentials_file` names, and find out what kind of credentials it holds.

NATS knows several. A .creds file has a JWT and an nkey seed, a PEM file a client certificate with its key. Anything
else is one line: an nkey seed, `user:password`, or a token.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from condord.config import credentials
from condord.config.sources import ParsedConfig
from condord.errors import ConfigError
from condord.host.secret import Secret

CredentialsKind = Literal["creds", "certificate", "seed", "password", "token"]

KEY = "cluster.credentials_file"
_HINT = (
    "It must hold the .creds file of a NATS user, a certificate with its key (PEM), or one line: an nkey seed, "
    "user:password, or a token."
)
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_MIN_SECRET_LENGTH = 8  # a shorter line is not a secret, and masking it would make the log unreadable
_CREDS = ("-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----")
_PEM = ("-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----")


class BusCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials for the bus. `secret` is the whole text of the file, and `path` is the file's path."""

    kind: CredentialsKind
    secret: Secret
    path: Path


def read(named: str, environ: Mapping[str, str]) -> BusCredentials:
    """Read the file at the path `named`; `environ` has the directories of systemd.

    Raises:
        ConfigError: it cannot be read, is open to others, or holds no credentials.
    """
    secret = credentials.read_text(named, KEY, environ)
    path = Path(named).expanduser()
    text = secret.reveal()
    if all(mark in text for mark in _CREDS):
        return BusCredentials(kind="creds", secret=secret, path=path)
    if all(mark in text for mark in _PEM):
        _check_certificate(path, f"{named} ({KEY})")
        return BusCredentials(kind="certificate", secret=secret, path=path)
    if "-----" in text:
        raise ConfigError([f"{named} ({KEY}) is neither a complete .creds file nor a certificate with its key"], _HINT)
    word = credentials.word(text, f"{named} ({KEY})")
    user, colon, password = word.reveal().partition(":")
    if _SEED.fullmatch(word.reveal()):
        return BusCredentials(kind="seed", secret=word, path=path)
    return BusCredentials(kind="password" if colon and user and password else "token", secret=word, path=path)


def find(parsed: ParsedConfig, environ: Mapping[str, str]) -> BusCredentials | None:
    """The credentials for the configured bus; None without a bus, without a file, or if one of the keys is faulty.

    Raises:
        ConfigError: the file cannot be used, or the package that a bus needs is not installed.
    """
    cluster = parsed.loaded.config.cluster
    if not cluster.bus:
        return None
    require_package()
    is_named = cluster.credentials_file and KEY not in parsed.uncertain
    return read(cluster.credentials_file, environ) if is_named else None


def secrets_of(credentials: BusCredentials | None) -> list[Secret]:
    """The secrets to mask in the log: each line of the file, or the password of `user:password`."""
    if credentials is None:
        return []
    if credentials.kind == "password":
        return [Secret(credentials.secret.reveal().partition(":")[2])]
    lines = (line.strip() for line in credentials.secret.reveal().splitlines())
    return [Secret(line) for line in lines if len(line) >= _MIN_SECRET_LENGTH and "-----" not in line]


def require_package() -> None:
    """Check that the package of the extra `condord[nats]` is installed; it is not imported.

    Raises:
        ConfigError: it is not.
    """
    if importlib.util.find_spec("nats") is None or importlib.util.find_spec("nkeys") is None:
        raise ConfigError(
            ["cluster.bus is set, but the packages nats-py and nkeys are not installed"],
            "Install them in condord's environment: pip install 'condord[nats]'",
        )


def _check_certificate(path: Path, where: str) -> None:
    """Check that TLS can use the certificate.

    Raises:
        ConfigError: the key does not belong to the certificate, is encrypted, or one of them cannot be read.
    """
    import ssl  # 18 ms, and most credentials are not a certificate

    try:
        # Without a password OpenSSL would ask for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        text = f"{where} cannot be used as a client certificate: the key is encrypted, damaged, or of another one"
        raise ConfigError(
            [text], "Put into it the certificate, those of its issuers and the key, unencrypted."
        ) from error
