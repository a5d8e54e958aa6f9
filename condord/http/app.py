"""The routes: what is asked, to whom it goes, and how the answer is dressed. No route decides anything."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from condord.http.events import Stream
from condord.http.ports import Daemon
from condord.http.problem import problem
from condord.live import wire

STREAM_PATH = "/api/stream"

_NO_STORE = {"Cache-Control": "no-cache"}


class Application(Starlette):
    """Starlette, but for a stream, with which its layers would stay in memory: 3 kB for each of thousands."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == STREAM_PATH and scope["method"] == "GET":
            scope["app"] = self
            await Stream()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build(daemon: Daemon) -> Application:
    """The application around `daemon`, which routes find in `app.state`."""
    app = Application(
        routes=[
            Route("/api/positions", _positions),
            Route("/api/positions/{identity}", _one),
            Route(STREAM_PATH, Stream(), methods=["GET"]),
            Route("/api/status", _status),
            Route("/api/refresh", _refresh, methods=["POST"]),
            Route("/livez", _alive),
            Route("/healthz", _alive),
            Route("/readyz", _ready),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _our_error},
    )
    app.state.daemon = daemon
    return app


def _json(payload: msgspec.Struct, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        wire.encode(payload),
        status_code=status_code,
        headers={**_NO_STORE, **(headers or {})},
        media_type="application/json",
    )


def _daemon(request: Request) -> Daemon:
    daemon: Daemon = request.app.state.daemon
    return daemon


async def _positions(request: Request) -> Response:
    document = _daemon(request).document()
    etag = f'W/"{document.version}"'
    known = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if {etag, etag.removeprefix("W/"), "*"}.intersection(known):
        return Response(status_code=304, headers={**_NO_STORE, "ETag": etag})
    return _json(document, headers={"ETag": etag})


async def _one(request: Request) -> Response:
    identity = request.path_params["identity"]
    found = _daemon(request).one(identity)
    if found is None:
        return problem(404, f"there is no condor {identity[:80]!r}; GET /api/positions names those there are")
    return _json(found)


async def _status(request: Request) -> Response:
    return _json(_daemon(request).report())


async def _refresh(request: Request) -> Response:
    _daemon(request).refresh()
    return Response(status_code=202, headers=_NO_STORE)


async def _alive(request: Request) -> Response:
    if _daemon(request).is_alive:
        return Response("ok\n", headers=_NO_STORE, media_type="text/plain")
    return problem(503, "the supervisor makes no progress")


async def _ready(request: Request) -> Response:
    daemon = _daemon(request)
    return _json(daemon.report(), 200 if daemon.is_ready else 503)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    details = {
        404: f"there is nothing at {request.url.path[:120]}",
        405: f"{request.method} is not allowed at {request.url.path[:120]}",
    }
    return problem(error.status_code, details.get(error.status_code, error.detail), error.headers)


async def _our_error(_request: Request, _error: Exception) -> Response:
    return problem(500, "a bug in condord; the log has more")
