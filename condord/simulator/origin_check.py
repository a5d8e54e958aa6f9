"""Refuse requests of foreign web pages, as the daemon does: 421 for a foreign Host, 403 for another origin.

The admin routes need no key, so without this check any page in a browser could change what a demo shows. A page reaches
loopback under its own host name (DNS rebinding), which the Host header shows, or cross-origin: with a method other
than GET, with a WebSocket upgrade, or by embedding a resource.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from condord.simulator.responses import error_response

KnowsHost = Callable[[str], bool]
Refusal = tuple[int, str]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::[0-9]*)?", re.IGNORECASE | re.ASCII)
_SAFE_METHODS = ("GET", "HEAD")


class OriginCheck:
    """ASGI middleware in front of every HTTP route; `knows_host` accepts the host names that are served."""

    def __init__(self, app: ASGIApp, knows_host: KnowsHost) -> None:
        self._app = app
        self._knows_host = knows_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it and close its connection."""
        if scope["type"] == "http":
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            refusal = origin_refusal(headers, self._knows_host, method=scope["method"])
            if refusal is not None:
                response = error_response(*refusal)
                response.headers["Connection"] = "close"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def origin_refusal(headers: Iterable[tuple[str, str]], knows_host: KnowsHost, *, method: str = "") -> Refusal | None:
    """The status and message that refuse a request; None if it is accepted. An upgrade has no `method`."""
    values: dict[str, list[str]] = {}
    for key, value in headers:
        values.setdefault(key.lower(), []).append(value)
    hosts = values.get("host", [])
    name = host_name("".join(hosts)) if len(hosts) <= 1 else None
    if name is None:
        return 400, "malformed Host header"
    if not knows_host(name):
        return 421, "this host name is not served here"
    if _is_foreign(values, "".join(hosts).lower(), method):
        return 403, "requests from pages of another origin are refused"
    return None


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case, without port, brackets and final dot; None if malformed."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name = match[1].lower()
    if not name.startswith("["):
        return name.removesuffix(".")
    try:
        return str(ipaddress.IPv6Address(name[1:-1]))
    except ValueError:
        return None


def _is_foreign(values: dict[str, list[str]], host: str, method: str) -> bool:
    """Whether a page of another origin sent the request; following a link is allowed."""
    is_safe = method in _SAFE_METHODS
    own_origins = (f"http://{host}", f"https://{host}")
    if not is_safe and any(origin.lower() not in own_origins for origin in values.get("origin", ())):
        return True
    if values.get("sec-fetch-site", [""])[0].lower() not in ("cross-site", "same-site"):
        return False
    is_link = (values.get("sec-fetch-mode"), values.get("sec-fetch-dest")) == (["navigate"], ["document"])
    return not (is_safe and is_link)
