"""The address of a daemon: what a URL names."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

DEFAULT_PORT = 8420


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a daemon: a host and port, or a unix socket's path (`uds`); `base` goes before every route."""

    url: str
    host: str
    port: int
    uds: str
    base: str
    is_tls: bool = False


def parse_url(url: str, *, allows_tls: bool = False) -> Address:
    """Return the address that `http://host:port`, `unix:///path` or, if it is allowed, `https://host` names.

    Raises:
        ValueError: the URL has another form; the message is a sentence without any secret in it.
    """
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{url!r} names no socket: an absolute path must follow unix://")
        return Address(url=url, host="localhost", port=0, uds=path, base="")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("it may not contain a user name, a query or a fragment; put the token into $CONDORD_TOKEN")
    schemes = ("http", "https") if allows_tls else ("http",)
    if parts.scheme not in schemes or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        forms = "http://host:port, https://host" if allows_tls else "http://host:port"
        raise ValueError(f"{url!r} is not {forms} or unix:///path{_meant(url)}")
    is_tls = parts.scheme == "https"
    try:
        port = parts.port or (443 if is_tls else 80)
    except ValueError as error:
        raise ValueError(f"{url!r} has no port from 1 to 65535") from error
    host, base = parts.hostname, parts.path.rstrip("/")
    return Address(url=url.rstrip("/"), host=host, port=port, uds="", base=base, is_tls=is_tls)


def _meant(url: str) -> str:
    """Return the URL that was probably meant, as an addition to a sentence; empty if none was.

    condord itself speaks no TLS, so https:// mostly stands for http://.
    """
    if re.fullmatch(r"/[^\x00-\x20\x7f]+", url):
        return f"; did you mean unix://{url}?"
    found = re.fullmatch(r"(https?:/{0,3})?([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?", url)
    if found is None or not (found[1] or found[3]):
        return ""
    return f"; did you mean http://{found[2]}{found[3] or f':{DEFAULT_PORT}'}{(found[4] or '').rstrip('/')}?"
