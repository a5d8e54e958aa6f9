"""The routes that a worker forwards to its daemon, which knows the sum of all workers: the metrics and the status."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from condord.errors import Unavailable
from condord.http import access
from condord.http.answer import REVALIDATE, json_answer
from condord.http.forwarding import RETRY_AFTER_SECONDS, ForwardedAnswer
from condord.http.interfaces import ServedView
from condord.http.problem import problem


class SourceDaemon(Protocol):
    """The daemon that this worker follows; it answers for all workers."""

    async def ask_now(self, target: str, accept: str = "*/*") -> ForwardedAnswer:
        """Return the answer to a GET of `target`, and never a copy of an earlier one.

        Raises:
            Unavailable: it does not answer.
        """


async def metrics(request: Request) -> Response:
    """Answer `GET /metrics` with the daemon's answer."""
    daemon: SourceDaemon = request.app.state.source
    try:
        answer = await daemon.ask_now("/metrics", request.headers.get("accept", "*/*"))
    except Unavailable as error:
        return problem(503, str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)})
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


async def status(request: Request) -> Response:
    """Answer `GET /api/status` with the daemon's answer; while it does not answer, with what this worker knows."""
    return await _status(request, 200)


async def ready(request: Request) -> Response:
    """Answer `GET /readyz`."""
    view: ServedView = request.app.state.daemon
    status_code = 200 if view.is_ready else 503
    if access.is_anonymous(request.scope):
        return Response(status_code=status_code, headers=REVALIDATE)
    return await _status(request, status_code)


async def _status(request: Request, status_code: int) -> Response:
    view: ServedView = request.app.state.daemon
    daemon: SourceDaemon = request.app.state.source
    try:
        answer = await daemon.ask_now("/api/status")
    except Unavailable:
        return json_answer(view.report(), status_code)
    return Response(answer.body, status_code=status_code, headers=dict(answer.headers))


ENDPOINTS = {"getMetrics": metrics, "getStatus": status, "getReadyz": ready}
"""The endpoints by the names of their routes."""
