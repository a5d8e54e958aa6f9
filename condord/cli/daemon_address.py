"""Find the daemon that a command asks, and the token for it.

The address is `--url`, then $CONDORD_URL, then the configured one. $CONDORD_TOKEN is sent to any of them. The token of
server.token_file is sent only to the configured address, because it is the secret of that daemon.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec
import typer

from condord.client.address import parse_url
from condord.client.http import TIMEOUT_SECONDS, Daemon
from condord.config import schema, sources
from condord.config.credentials import read_token
from condord.errors import AccessDenied, ConfigError, Unavailable
from condord.host import loopback, process_state

_UNENCRYPTED = (
    "the token would cross the network unencrypted: connect through a TLS proxy or a tunnel (ssh -L) on this machine,"
    " and pass its loopback address"
)
_WITHOUT_CONFIGURATION = "To use a daemon without it, pass --url or set $CONDORD_URL."


def find_daemon(
    url: str | None,
    environ: Mapping[str, str],
    timeout_seconds: float = TIMEOUT_SECONDS,
    *,
    local_seconds: float | None = None,
) -> Daemon:
    """Return the daemon to ask.

    Args:
        url: the value of `--url`, if it was given.
        environ: the environment of the command.
        timeout_seconds: bounds the connection and each read.
        local_seconds: takes its place if the daemon is on this machine.

    Raises:
        typer.BadParameter: `--url` is invalid, or a token would be sent to another machine over plain HTTP.
        ConfigError: $CONDORD_URL, the configuration or its token file is invalid.
        AccessDenied: the token contains characters that no token has.
        Unavailable: the configured port is 0.
    """
    named = url or environ.get("CONDORD_URL", "")
    token = environ.get("CONDORD_TOKEN", "").strip()
    if not (named and token):  # otherwise the configuration would not be used
        reading = sources.read(None, environ, {})
        if reading.faults and not named:
            raise ConfigError(reading.faults, f"{reading.hint} {_WITHOUT_CONFIGURATION}")
        server = reading.loaded.config.server
        own = _url_for_file_token(named, server) if named else configured_url(server)
        if own and server.token_file and not token:
            token = read_token(server.token_file, environ).reveal()
            named = own
        named = named or configured_url(server)
    if not (token.isascii() and token.isprintable()):
        raise AccessDenied("the token contains characters that no token has", "Correct $CONDORD_TOKEN.")
    try:
        address = parse_url(named)
        if local_seconds is not None and (address.uds or loopback.is_loopback(address.host)):
            timeout_seconds = local_seconds
        daemon = Daemon(named, token, timeout_seconds=timeout_seconds, stopped_peer=process_state.stopped_peer)
    except ValueError as error:
        if url:
            raise typer.BadParameter(str(error), param_hint="'--url'") from error
        if environ.get("CONDORD_URL"):
            hint = "Set it to http://host:port or unix:///path, or unset it."
            raise ConfigError([f"$CONDORD_URL: {error}"], hint) from error
        fault = f"server.host does not form a valid URL: {error}"
        raise ConfigError([fault], f"Correct server.host. {_WITHOUT_CONFIGURATION}") from error
    is_named = bool(url or environ.get("CONDORD_URL"))
    if is_named and token and not daemon.address.uds and not loopback.is_loopback(daemon.address.host):
        raise typer.BadParameter(_UNENCRYPTED, param_hint="'--url'" if url else "'$CONDORD_URL'")
    return daemon


def _url_for_file_token(named: str, server: schema.Server) -> str | None:
    """Return the URL that gets the token of the file: `named` if that is the configured address, else None."""
    try:
        target = parse_url(named)
        configured = parse_url(configured_url(msgspec.structs.replace(server, port=server.port or 1)))
    except ValueError:  # one of them is invalid, which is reported later
        return None
    is_same_port = target.port == configured.port or not server.port  # 0: only the daemon knows its port
    if target.uds or configured.uds or not is_same_port:
        return named if target.uds and target.uds == configured.uds else None
    if target.host == "localhost" and loopback.is_loopback(configured.host):
        # The configured address itself: `localhost` may resolve to the other loopback address, where another program
        # may listen.
        host = f"[{configured.host}]" if ":" in configured.host else configured.host
        return f"http://{host}:{target.port}{target.base}"
    return named if target.host == configured.host.lower() else None


def configured_url(server: schema.Server) -> str:
    """Return the URL at which a daemon with this configuration can be reached from this machine.

    A unix socket comes before the port, and a daemon that listens on all addresses is asked on loopback.

    Raises:
        Unavailable: the port is 0, any free one.
    """
    if server.uds:
        return f"unix://{server.uds}"
    if not server.port:
        hint = "Pass the address that `condord start` printed with --url or $CONDORD_URL."
        raise Unavailable("the configured port is 0 (any free one), so the address is not known", hint)
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return f"http://{server.host}:{server.port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}:{server.port}"
