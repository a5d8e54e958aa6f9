"""Decides who may ask: the Host check, the token, and CORS, before any route.

A web page that a browser has open must not reach a daemon on loopback: its name resolves to loopback by DNS rebinding,
but its Host header still names it, so only known names are answered (421). A token is compared in constant time, and
comes as `Authorization: Bearer`, in the cookie that `GET /?token=` sets, or as `access_token=` for an EventSource of
another origin. Nothing here is logged.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.http.ports import GuardSettings
from condord.http.problem import problem

COOKIE = "condord_token"
_ALLOWED_HEADERS = "Authorization, Last-Event-ID, If-None-Match, Cache-Control"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: GuardSettings) -> None:
        self._app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once what may not pass, and add the CORS headers to what does."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        if origin in self.settings.origins:
            send = _with_cors(send, origin)
        refusal = self._misdirected(headers) or self._preflight(scope, origin) or self._foreign(scope, headers, origin)
        refusal = refusal or self._unknown(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _misdirected(self, headers: Headers) -> Response | None:
        if self.settings.knows_host(host_name(headers.get("host", ""))):
            return None
        return problem(421, "this Host name is not served here; add it to server.allowed_hosts")

    def _preflight(self, scope: Scope, origin: str) -> Response | None:
        is_preflight = scope["method"] == "OPTIONS" and origin in self.settings.origins
        return Response(status_code=204) if is_preflight else None

    def _foreign(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        """A page of another origin may make a browser send a POST, even where it may not read the answer."""
        if scope["method"] in ("GET", "HEAD") or not origin or origin in self.settings.origins:
            return None
        if origin.partition("://")[2] == headers.get("host"):
            return None
        return problem(403, "this origin may not change anything here; add it to server.allowed_origins")

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse whoever has not the token, and turn the token of the page's address into a cookie."""
        if self.settings.token is None:
            return None
        token = self.settings.token().encode()
        query = QueryParams(scope["query_string"])
        offered = query.get("token", "")
        if scope["path"] == "/" and offered and hmac.compare_digest(offered.encode(), token):
            answer = RedirectResponse(f"{scope.get('root_path', '')}/", status_code=303)
            answer.set_cookie(COOKIE, offered, httponly=True, samesite="strict", max_age=180 * 86_400)
            return answer
        offers = (_bearer(headers), _cookie(headers), query.get("access_token", ""))
        if any([hmac.compare_digest(offer.encode(), token) for offer in offers]):  # noqa: C419 - no early end
            return None
        detail = "a token is needed: Authorization: Bearer TOKEN"
        return problem(401, detail, {"WWW-Authenticate": 'Bearer realm="condord"'})


def host_name(host: str) -> str:
    """The name in a Host header, without the port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, _, port = host.partition(":")
    return name.lower() if not port or (port.isascii() and port.isdigit()) else host.lower()


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _with_cors(send: Send, origin: str) -> Send:
    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST"
            headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Expose-Headers"] = "ETag"
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_cors
