"""What a relay answers before it has read a document from its source."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from condord.http import access
from condord.http.problem import problem

RETRY_AFTER_SECONDS = 1

_KNOWN = frozenset({"/api/tickets"})


class UnreadGate:
    """ASGI middleware that refuses what needs the document with 503, while `why` returns a reason.

    A load balancer takes that as a reason to ask another relay.
    """

    def __init__(self, app: ASGIApp, why: Callable[[], str | None]) -> None:
        self._app = app
        self._why = why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and _needs_document(scope["path"]) and (why := self._why()) is not None:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            is_anonymous = access.is_anonymous(scope)
            answer = Response(status_code=503, headers=headers) if is_anonymous else problem(503, why, headers)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _needs_document(path: str) -> bool:
    return path == "/readyz" or (path.startswith("/api/") and path not in _KNOWN)
