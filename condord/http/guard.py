"""Check Host, Origin and token before any route sees a request, and add headers to every answer.

A web page in a browser must not read a daemon on loopback. By DNS rebinding its own name can resolve to loopback, but
its requests still have that name as their Host, so only known names are served (421). If it uses one of our names, it
is a page of another origin. Such a page must not change anything, and what it would only embed is not sent (403): even
a stream that it cannot read would take up a subscriber's slot.

The token comes as `Authorization: Bearer` or as `access_token=`; a stream also accepts a ticket. No cookie carries it:
browsers send cookies to every port of a host, so any other local program could read them. The page and its assets
contain no data of the account and need no token. Nothing is logged here.

The checks run in the order of what their answers disclose: malformed request (400), unknown Host (421), preflight,
which has no token, foreign origin (403), and last the token (401). Probes need neither a known Host nor a token, but
only a probe with both gets an answer with details.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.http import access
from condord.http.headers import RawHeaders, protected
from condord.http.host_names import host_name
from condord.http.interfaces import GuardSettings
from condord.http.problem import problem

STREAM_PATH = "/api/stream"
PREFLIGHT_SECONDS = 600
"""How long a browser may cache the answer to a preflight."""
_ALLOWED_HEADERS = "Authorization, Last-Event-ID, If-None-Match, Cache-Control"
_READING = ("GET", "HEAD")
_PAGE = re.compile(r"/|/assets/[^/]+")
_ABSOLUTE = re.compile(r"https?://([^/?#]+)(/.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: GuardSettings) -> None:
        self._app = app
        self.settings = settings

    def reload(self, settings: GuardSettings) -> None:
        """Check the next request by other settings."""
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that fails a check, and pass on any other. Every answer gets the security headers."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        protected_send = _ProtectedSend(send, self._cors(headers.get("origin", "")))
        checked = _with_path(scope, headers)
        if checked is None:
            answer: Response | None = problem(400, "the Host or the address is malformed")
        else:
            answer = self._refusal(checked, headers)
            if answer is None:
                checked, answer = self._authorize(checked, headers)
        try:
            if answer is not None or await _body_arrives(headers, receive):
                await (answer or self._app)(checked or scope, receive, protected_send)
        except Exception:
            if not protected_send.has_begun:
                await problem(500, "a bug in condord; its log has the details")(scope, receive, protected_send)
            raise

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer of the first failed check, except the check of the token; None if the request passes."""
        if not access.is_probe(scope) and not self._knows_host(headers):
            return problem(421, "this Host name is not served here; add it to server.allowed_hosts")
        origin = headers.get("origin", "")
        is_allowed = origin in self.settings.origins
        if is_allowed and scope["method"] == "OPTIONS":
            return Response(status_code=204, headers={"Access-Control-Max-Age": str(PREFLIGHT_SECONDS)})
        if (not is_allowed or len(headers.getlist("origin")) > 1) and _is_cross_origin(scope, headers):
            return problem(403, "pages of other origins have no access; add the origin to server.allowed_origins")
        if _path(scope) == "/" and "token" in QueryParams(scope["query_string"]):
            return problem(400, "a token in the query ends up in logs: open the page as /#token=TOKEN instead")
        return None

    def _authorize(self, scope: Scope, headers: Headers) -> tuple[Scope, Response | None]:
        """The scope marked as authorized or not, and the answer if it may not pass. A ticket is used up by this."""
        if self._knows_host(headers) and self._is_authorized(scope, headers):
            return access.admitted(scope), None
        is_public = access.is_probe(scope) or _is_page(scope)
        return access.anonymous(scope), None if is_public else _unauthorized(scope)

    def _knows_host(self, headers: Headers) -> bool:
        return self.settings.knows_host(host_name(headers.get("host", "")) or "")

    def _is_authorized(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request has the token or, if it is for a stream, a valid ticket, which is used up by this."""
        if self.settings.token is None:
            return True
        token = self.settings.token().encode()
        query = QueryParams(scope["query_string"])
        offers = (_bearer(headers), query.get("access_token", "").encode())
        if any([_is_same(offer, token) for offer in offers]):  # noqa: C419 - compare all, to take constant time
            return True
        tickets = self.settings.tickets
        return tickets is not None and _has_ticket(scope) and tickets.accept(query["ticket"])

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
            "Access-Control-Expose-Headers": "ETag, Retry-After",
            "Vary": "Origin",
        }


class _ProtectedSend:
    """A `send` that adds `more` and the security headers. It has slots, because each open stream keeps one."""

    __slots__ = ("_more", "_send", "has_begun")

    def __init__(self, send: Send, more: Mapping[str, str]) -> None:
        self._send = send
        self._more = more
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            message = {**message, "headers": _with_headers(message.get("headers", ()), self._more)}
        await self._send(message)


def _with_path(scope: Scope, headers: Headers) -> Scope | None:
    """The scope with a plain path, even if the request line has a whole URL (RFC 9112, 3.2.2); None if malformed."""
    hosts = headers.getlist("host")
    if len(hosts) > 1 or host_name("".join(hosts)) is None:
        return None
    if scope["path"].startswith("/"):
        return scope
    match = _ABSOLUTE.fullmatch(scope["path"])
    if match is None or [match[1].lower()] != [host.lower() for host in hosts]:
        return None
    return {**scope, "path": match[2] or "/"}


async def _body_arrives(headers: Headers, receive: Receive) -> bool:
    """Wait for the body, so that its faults are answered, although no route uses it.

    False if the client disconnects.
    """
    is_more = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        is_more = message.get("more_body", False)
    return True


def _is_cross_origin(scope: Scope, headers: Headers) -> bool:
    """Whether a page of another origin sends this, to change something or to embed the answer.

    Following a link is neither, so a navigation to a document passes.
    """
    host, is_reading = headers.get("host", "").lower(), scope["method"] in _READING
    own_origins = (f"http://{host}", f"https://{host}")
    if not is_reading and any(origin.lower() not in own_origins for origin in headers.getlist("origin")):
        return True
    if headers.get("sec-fetch-site", "").lower() not in ("cross-site", "same-site"):
        return False
    return not is_reading or (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) != ("navigate", "document")


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_page(scope: Scope) -> bool:
    """Whether the request reads the page or one of its assets."""
    return scope["method"] in _READING and _PAGE.fullmatch(_path(scope)) is not None


def _has_ticket(scope: Scope) -> bool:
    return _path(scope) == STREAM_PATH and "ticket" in QueryParams(scope["query_string"])


def _unauthorized(scope: Scope) -> Response:
    if _has_ticket(scope):
        detail = "the ticket is used, expired or unknown; get another with POST /api/tickets"
    else:
        detail = "the token is missing or wrong: send Authorization: Bearer TOKEN; in a browser, open the page at /"
    return problem(401, detail, {"WWW-Authenticate": 'Bearer realm="condord"'})


def _is_same(offer: bytes, token: bytes) -> bool:
    """Compare in constant time. Hashes hide even the length of the token."""
    return hmac.compare_digest(hashlib.sha256(offer).digest(), hashlib.sha256(token).digest())


def _bearer(headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def _with_headers(headers: Iterable[tuple[bytes, bytes]], more: Mapping[str, str]) -> RawHeaders:
    """`headers` with `more` and the security headers. All values of Vary are joined into one header."""
    headers = [*headers]
    vary = [value.decode("latin-1") for name, value in headers if name == b"vary"] + [more.get("Vary", "")]
    rest = [(name, value) for name, value in headers if name != b"vary"]
    added = [(name.lower().encode(), value.encode("latin-1")) for name, value in more.items() if name != "Vary"]
    if joined := ", ".join(filter(None, vary)):
        added.append((b"vary", joined.encode("latin-1")))
    return protected([*rest, *added])
