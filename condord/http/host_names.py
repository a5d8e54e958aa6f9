"""Parse `Host` and `Origin` headers, and match host names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::[0-9]*)?", re.IGNORECASE | re.ASCII)


def known_hosts(names: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that checks whether a name in lower case matches one of `names`.

    A leading dot matches the name itself and every name below it, as in Django's ALLOWED_HOSTS: `.example.org` matches
    `example.org` and `b.a.example.org`, but not `badexample.org`.
    """
    names = frozenset(names)
    exact = frozenset(name.removeprefix(".") for name in names)
    suffixes = tuple(name for name in names if name.startswith("."))
    return lambda name: name in exact or name.endswith(suffixes)


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case, without port, brackets and trailing dot.

    An empty header gives an empty name, and a malformed one gives None. Any header that gives a name can be parsed by
    the code behind the guard.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name = match[1].lower()
    if not name.startswith("["):
        return name.removesuffix(".")
    try:
        ipaddress.IPv6Address(name[1:-1])
    except ValueError:
        return None
    return name[1:-1]


def origin_name(origin: str) -> str:
    """`origin` as a browser sends it: in lower case, without the default port of its scheme."""
    scheme, _, authority = origin.lower().partition("://")
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"
