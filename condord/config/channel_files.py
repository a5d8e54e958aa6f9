"""Read the files of the notification channels: their URLs and signing secrets.

No fault repeats the content of a file. A URL may itself be a secret: it is often all that is needed to post to a
channel.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from condord.config import credentials
from condord.config.hints import joined
from condord.config.schema import ChannelTable
from condord.errors import ConfigError
from condord.host.loopback import is_loopback
from condord.host.secret import Secret

_PREFIX = "whsec_"  # of a signing secret of Standard Webhooks
_MIN_SECRET_BYTES = 16
_APPRISE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")
_CORRECT_URL = "Correct the file: it must hold only the URL, on one line."
_SIGNING_HINT = "Write a signing secret to it: `echo whsec_$(openssl rand -base64 32)`."
_INSTALL = "Install it in condord's environment: `pip install 'condord[notify]'`."
_CLEAR = "alerts would cross the network unencrypted; use https://, or a TLS proxy or a tunnel on this machine"


class ChannelSecrets(NamedTuple):
    """The contents of the files of one channel; `signing_key` is the whole text, `whsec_…`, None if there is none."""

    url: Secret
    signing_key: Secret | None


class ChannelFault(NamedTuple):
    """A fault of a key of a channel, `notify[0].url_file`."""

    key: str
    text: str


class ChannelFiles(NamedTuple):
    """The files of each channel, in their order and complete if there are no faults; `hint` is what to do."""

    files: tuple[ChannelSecrets, ...]
    faults: tuple[ChannelFault, ...]
    hint: str


def read(channels: Sequence[ChannelTable], environ: Mapping[str, str]) -> ChannelFiles:
    """The URLs and secrets of `channels`, and all faults of their files."""
    files: list[ChannelSecrets] = []
    faults: list[ChannelFault] = []
    hints: list[str] = []
    for index, channel in enumerate(channels):
        found: dict[str, Secret] = {}
        for key, check in (("url_file", _check_url), ("secret_file", _check_secret)):
            named, path = getattr(channel, key), f"notify[{index}].{key}"
            if not named:
                continue
            try:
                found[key] = credentials.read_file(named, path, environ)
                check(found[key].reveal(), f"{named} ({path})", channel)
            except ConfigError as error:
                faults += [ChannelFault(path, fault) for fault in error.faults]
                hints.append(error.hint)
        if channel.type == "apprise" and not has_apprise():
            text = f"notify[{index}].type = 'apprise': the package apprise is not installed"
            faults.append(ChannelFault(f"notify[{index}].type", text))
            hints.append(_INSTALL)
        if "url_file" in found:
            files.append(ChannelSecrets(found["url_file"], found.get("secret_file")))
    return ChannelFiles(tuple(files), tuple(faults), joined(hints))


def has_apprise() -> bool:
    """Whether the package of the extra `condord[notify]` is installed; it is not imported."""
    return importlib.util.find_spec("apprise") is not None


def _check_url(url: str, where: str, channel: ChannelTable) -> None:
    """Check the URL of a channel.

    Raises:
        ConfigError: it cannot be used, or would send alerts unencrypted.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:  # brackets that hold no address, or a port that is not a number; another service may take both
        if channel.type == "apprise" and not url.lower().startswith("http"):
            return
        raise ConfigError([f"{where} holds a URL with an unusable host or port"], _CORRECT_URL) from None
    if channel.type == "webhook" and (parts.scheme not in ("http", "https") or not host):
        raise ConfigError([f"{where} does not hold an http(s):// URL"], _CORRECT_URL)
    if not _APPRISE_URL.fullmatch(url):
        raise ConfigError([f"{where} does not hold a URL, SERVICE://…"], _CORRECT_URL)
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError([f"{where} holds an http:// URL: {_CLEAR}"], "Correct the URL in the file.")


def _check_secret(secret: str, where: str, _: ChannelTable) -> None:
    """Check a signing secret.

    Raises:
        ConfigError: it is not `whsec_` and base64 of enough bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < _MIN_SECRET_BYTES:
        text = f"{where} must hold {_PREFIX} and at least {_MIN_SECRET_BYTES} bytes in base64"
        raise ConfigError([text], _SIGNING_HINT)
