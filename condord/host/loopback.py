"""Recognize loopback hosts, and refuse to send a key to any other host without TLS."""

from __future__ import annotations

_CLEAR = "the key would cross the network unencrypted; use {secure}://, or a TLS proxy or a tunnel on this machine"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; the only name that is trusted is `localhost`."""
    import ipaddress  # 5 ms, and nothing else here needs it

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refusal(url: str) -> str:
    """The reason why a key may not be sent to `url`; empty if it may, or if `url` is empty."""
    from urllib.parse import urlsplit  # 4 ms, and most configurations name no URL

    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "only an IPv6 address may be in brackets"
    is_clear = parts.scheme in ("http", "ws") and not is_loopback(host)
    return _CLEAR.format(secure=f"{parts.scheme}s") if is_clear else ""
