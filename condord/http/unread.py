"""What a relay or an ingester on a bus answers before it has read a document from what it follows."""

from __future__ import annotations

import os
from collections.abc import Callable
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from condord import __version__
from condord.http import access
from condord.http.interfaces import UnreadReason
from condord.http.problem import NO_TYPE, problem_answer
from condord.live import wire

RETRY_AFTER_SECONDS = 1

_KNOWN = frozenset({"/api/tickets"})


class UnreadGate:
    """ASGI middleware that refuses what needs the document with 503, while `unread` returns something.

    A load balancer takes that as a reason to ask another relay.
    """

    def __init__(self, app: ASGIApp, unread: Callable[[], UnreadReason | None]) -> None:
        self._app = app
        self._unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and _needs_document(scope["path"]) and (unread := self._unread()) is not None:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            is_anonymous = access.is_anonymous(scope)
            answer = Response(status_code=503, headers=headers) if is_anonymous else _answer(unread, headers)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _answer(unread: UnreadReason, headers: dict[str, str]) -> Response:
    body = wire.UnreadProblem(
        type=NO_TYPE,
        title=HTTPStatus.SERVICE_UNAVAILABLE.phrase,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail=unread.detail,
        code=unread.code,
        cluster=unread.cluster,
        version=__version__,
        pid=os.getpid(),
        uptime=round(unread.uptime_seconds, 3),
    )
    return problem_answer(body, headers)


def _needs_document(path: str) -> bool:
    return path == "/readyz" or (path.startswith("/api/") and path not in _KNOWN)
