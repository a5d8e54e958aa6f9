"""Recognize loopback hosts, and refuse to send a key to any other host without TLS."""

from __future__ import annotations

_CLEAR = (
    "the {what} would cross the network unencrypted; use {secure}://, or a TLS proxy or a tunnel{how} on this machine"
)

SENT_IN_CLEAR = _CLEAR.format(what="token", secure="https", how=" (ssh -L)")
BUS_IN_CLEAR = _CLEAR.format(what="credentials", secure="tls", how=" (ssh -L)")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; the only name that is trusted is `localhost`."""
    import ipaddress  # 5 ms, and nothing else here needs it

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refusal(url: str) -> str:
    """The reason why a key may not be sent to `url`; empty if it may, or if `url` is empty."""
    try:
        return _CLEAR.format(what="key", secure=f"{url.partition(':')[0]}s", how="") if is_clear(url) else ""
    except ValueError:
        return "only an IPv6 address may be in brackets"


def is_clear(url: str) -> bool:
    """Whether requests to `url` cross a network unencrypted.

    Raises:
        ValueError: brackets in it contain no IPv6 address.
    """
    from urllib.parse import urlsplit  # 4 ms, and most configurations name no URL

    if not url:
        return False
    parts = urlsplit(url)
    return parts.scheme in ("http", "ws", "nats") and not is_loopback(parts.hostname or "")
