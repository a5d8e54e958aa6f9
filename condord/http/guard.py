"""Decides who may ask: the Host check, the token, and CORS, before any route; and what every answer says to a browser.

A web page that a browser has open must not reach a daemon on loopback: its name resolves to loopback by DNS rebinding,
but its Host header still names it, so only known names are answered (421). Where it asks under our name, it does so
from another origin: it may change nothing, and what a browser says it would only embed is not sent (403), as a stream
that nobody reads takes a place, too. A token is compared in constant time, and comes as `Authorization: Bearer`, in the
cookie that `GET /?token=` sets, or as `access_token=` for an EventSource of another origin. The cookie is made of the
token and is not the token, since a browser shows it to every other server on the same name. Nothing here is logged.

The order is that of what an answer gives away: a malformed request (400), a foreign name (421), a preflight, which has
no token, a foreign origin (403), and then the token (401).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.http.headers import RawHeaders, protected
from condord.http.ports import GuardSettings
from condord.http.problem import problem

COOKIE = "condord_token"
COOKIE_SECONDS = 180 * 86_400
PREFLIGHT_SECONDS = 600
"""How long a browser need not ask again."""
_ALLOWED_HEADERS = "Authorization, Last-Event-ID, If-None-Match, Cache-Control"
_READING = ("GET", "HEAD")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::[0-9]*)?", re.IGNORECASE | re.ASCII)
_ABSOLUTE = re.compile(r"https?://([^/?#]+)(/.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: GuardSettings) -> None:
        self._app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once what may not pass, and dress every answer."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        outgoing = _Outgoing(send, self._cors(headers.get("origin", "")))
        where = _with_path(scope, headers)
        answer = (
            problem(400, "the Host or the address is malformed") if where is None else self._refusal(where, headers)
        )
        try:
            if answer is not None or await _is_whole(headers, receive):
                await (answer or self._app)(where or scope, receive, outgoing)
        except Exception:
            if not outgoing.has_begun:
                await problem(500, "a bug in condord; the log has more")(scope, receive, outgoing)
            raise

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered instead of a route, if anything."""
        if not self.settings.knows_host(host_name(headers.get("host", "")) or ""):
            return problem(421, "this Host name is not served here; add it to server.allowed_hosts")
        origin = headers.get("origin", "")
        is_allowed = origin in self.settings.origins
        if is_allowed and scope["method"] == "OPTIONS":
            return Response(status_code=204, headers={"Access-Control-Max-Age": str(PREFLIGHT_SECONDS)})
        if (not is_allowed or len(headers.getlist("origin")) > 1) and _is_foreign(scope, headers):
            return problem(403, "a page of another origin may not ask here; add it to server.allowed_origins")
        return self._unknown(scope, headers)

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse whoever has not the token, and turn the token of the page's address into a cookie."""
        if self.settings.token is None:
            return None
        token = self.settings.token().encode()
        query = QueryParams(scope["query_string"])
        root = scope.get("root_path", "")
        if scope["path"] == f"{root}/" and scope["method"] in _READING and "token" in query:
            return _welcome(root, token) if _is_same(query["token"].encode(), token) else _unauthorized()
        offers = [(_bearer(headers), token), (query.get("access_token", "").encode(), token)]
        offers += [(value, _cookie(token)) for value in _cookies(headers)]
        if any([_is_same(offer, right) for offer, right in offers]):  # noqa: C419 - no early end
            return None
        return _unauthorized()

    def _cors(self, origin: str) -> Mapping[str, str]:
        """The headers that let a page of an allowed origin read the answer."""
        if not self.settings.origins:
            return {}
        if origin not in self.settings.origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, HEAD, POST",
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "ETag, Retry-After",
            "Vary": "Origin",
        }


class _Outgoing:
    """`send` with what every answer says; without layers, as it stays in memory with each stream."""

    __slots__ = ("_more", "_send", "has_begun")

    def __init__(self, send: Send, more: Mapping[str, str]) -> None:
        self._send = send
        self._more = more
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            message = {**message, "headers": _dressed(message.get("headers", ()), self._more)}
        await self._send(message)


def host_name(host: str) -> str | None:
    """The name in a Host header: in lower case, without port, brackets and last dot; None where it is malformed.

    Everything behind this check may take the header apart without a fault of its own.
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
    """An origin as browsers send it: in lower case, without the port that its scheme has anyway."""
    scheme, _, authority = origin.lower().partition("://")
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _with_path(scope: Scope, headers: Headers) -> Scope | None:
    """The scope with a path, also of a request that names the whole URL (RFC 9112, 3.2.2); None if it is malformed."""
    hosts = headers.getlist("host")
    if len(hosts) > 1 or host_name("".join(hosts)) is None:
        return None
    if scope["path"].startswith("/"):
        return scope
    match = _ABSOLUTE.fullmatch(scope["path"])
    if match is None or [match[1].lower()] != [host.lower() for host in hosts]:
        return None
    return {**scope, "path": match[2] or "/"}


async def _is_whole(headers: Headers, receive: Receive) -> bool:
    """Wait for a body, of which nothing is used, so that its faults can still be told; False if the client is gone."""
    is_more = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        is_more = message.get("more_body", False)
    return True


def _is_foreign(scope: Scope, headers: Headers) -> bool:
    """Whether a page of another origin asks, to change something or to embed it; a link to the page may be followed."""
    host, is_reading = headers.get("host", "").lower(), scope["method"] in _READING
    ours = (f"http://{host}", f"https://{host}")
    if not is_reading and any(origin.lower() not in ours for origin in headers.getlist("origin")):
        return True
    if headers.get("sec-fetch-site", "").lower() not in ("cross-site", "same-site"):
        return False
    return not is_reading or (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) != ("navigate", "document")


def _welcome(root: str, token: bytes) -> Response:
    answer = RedirectResponse(f"{root}/", status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE, _cookie(token).decode(), path=f"{root}/", httponly=True, samesite="strict", max_age=COOKIE_SECONDS
    )
    return answer


def _unauthorized() -> Response:
    detail = "the token is missing or wrong: send Authorization: Bearer TOKEN; a browser opens /?token=TOKEN once"
    return problem(401, detail, {"WWW-Authenticate": 'Bearer realm="condord"'})


def _is_same(offer: bytes, right: bytes) -> bool:
    """Compared by their hashes, so that not even the length shows in the time."""
    return hmac.compare_digest(hashlib.sha256(offer).digest(), hashlib.sha256(right).digest())


def _cookie(token: bytes) -> bytes:
    """What stands in the cookie for the token; the same after a restart."""
    return hmac.digest(token, COOKIE.encode(), "sha256").hex().encode()


def _cookies(headers: Headers) -> list[bytes]:
    """Every cookie of our name: others on the same host may set one, and others of any shape stand beside it."""
    pairs = [pair.strip().partition("=") for header in headers.getlist("cookie") for pair in header.split(";")]
    return [value.encode("latin-1") for name, _, value in pairs if name == COOKIE]


def _bearer(headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def _dressed(headers: Iterable[tuple[bytes, bytes]], more: Mapping[str, str]) -> RawHeaders:
    """`headers` with `more` and what protects the answer; names of what it varies with are joined."""
    headers = [*headers]
    vary = [value.decode("latin-1") for name, value in headers if name == b"vary"] + [more.get("Vary", "")]
    rest = [(name, value) for name, value in headers if name != b"vary"]
    added = [(name.lower().encode(), value.encode("latin-1")) for name, value in more.items() if name != "Vary"]
    if joined := ", ".join(filter(None, vary)):
        added.append((b"vary", joined.encode("latin-1")))
    return protected([*rest, *added])
