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
        refusal = self._refusal(scope, headers)
        origin = headers.get("origin", "")
        if origin in self.settings.origins:
            send = _with_cors(send, origin)
            if scope["method"] == "OPTIONS":
                refusal = Response(status_code=204)
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if not self.settings.knows_host(host_name(headers.get("host", ""))):
            return problem(421, "this Host name is not served here; add it to server.allowed_hosts")
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
    return host.partition(":")[0].lower() if host.count(":") <= 1 else host.lower()


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
