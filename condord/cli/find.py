"""Decides which daemon a command asks, and with which token.

Rules: `--url`, then $CONDORD_URL, then the configured address, its socket before its port. $CONDORD_TOKEN, then
server.token_file. The configuration is read only for what is still open; to a daemon that is named its faults are no
hindrance. A daemon that listens everywhere is asked on loopback.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import typer

from condord import config
from condord.client import TIMEOUT_SECONDS, Daemon
from condord.credentials import read_token
from condord.errors import ConfigError, Refused, Unavailable

_WITHOUT = "--url or $CONDORD_URL asks a daemon without it."


def find(url: str | None, environ: Mapping[str, str], timeout_seconds: float = TIMEOUT_SECONDS) -> Daemon:
    """The daemon to ask, and to wait for as long as `timeout_seconds`.

    Raises:
        typer.BadParameter: `--url` is no address.
        ConfigError: $CONDORD_URL or what is configured is none, or the configuration or its token file cannot be used.
        Unavailable: the configuration leaves the port open.
    """
    named = url or environ.get("CONDORD_URL", "")
    token = environ.get("CONDORD_TOKEN", "").strip()
    if not (named and token):
        reading = config.read(None, environ, {})
        if reading.faults and not named:
            raise ConfigError(reading.faults, f"{reading.hint} {_WITHOUT}")
        server = reading.loaded.config.server
        named = named or configured_url(server)
        token = token or (read_token(server.token_file, environ).reveal() if server.token_file else "")
    if not (token.isascii() and token.isprintable()):
        raise Refused("the token holds characters that no token has", "Correct $CONDORD_TOKEN.")
    try:
        return Daemon(named, token, timeout_seconds=timeout_seconds)
    except ValueError as error:
        if url:
            raise typer.BadParameter(str(error), param_hint="'--url'") from error
        if environ.get("CONDORD_URL"):
            hint = "Set it to http://host:port or unix:///path, or unset it."
            raise ConfigError([f"$CONDORD_URL: {error}"], hint) from error
        fault = f"no daemon can be asked at what server.host names: {error}"
        raise ConfigError([fault], f"Correct server.host; {_WITHOUT}") from error


def configured_url(server: config.Server) -> str:
    """The address at which a daemon with this configuration can be reached from here.

    Raises:
        Unavailable: it listens on any free port.
    """
    if server.uds:
        return f"unix://{server.uds}"
    if not server.port:
        hint = "`condord start` printed it: give it as --url or $CONDORD_URL."
        raise Unavailable("the configuration says port 0, any free one, so the address is not known", hint)
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return f"http://{server.host}:{server.port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}:{server.port}"
