"""The routes: what is asked, to whom it goes, and how the answer is dressed. No route decides anything."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from condord import __version__
from condord.http import openapi
from condord.http.etag import is_known
from condord.http.events import MAX_INTERVAL_MS, Stream
from condord.http.metrics import exposition
from condord.http.page import KINDS, Page
from condord.http.ports import Daemon
from condord.http.problem import problem
from condord.http.routes import Answer, Event, Parameter, Route, error
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
        routes=[route.mounted() for route in ROUTES],
        exception_handlers={HTTPException: _http_error, Exception: _our_error},
    )
    app.router.redirect_slashes = False  # a path is as in the table, or there is nothing
    app.state.daemon = daemon
    return app


def _json(payload: msgspec.Struct, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
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
    if is_known(request.headers, etag):
        return Response(status_code=304, headers={**_NO_STORE, "ETag": etag})
    return _json(document, headers={"ETag": etag})


async def _one(request: Request) -> Response:
    found = _daemon(request).one(request.path_params["id"])
    if found is None:
        return problem(404, "there is no condor of this id; GET /api/positions names those there are")
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


async def _openapi(_request: Request) -> Response:
    return Response(_described(), headers=_NO_STORE, media_type="application/json")


@functools.cache  # 10 ms
def _described() -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES, __version__))


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    details = {
        404: "there is nothing at this path; GET /openapi.json names what there is",
        405: "there is no such method at this path; Allow names those there are",
    }
    return problem(error.status_code, details.get(error.status_code, error.detail), error.headers)


async def _our_error(_request: Request, _error: Exception) -> Response:
    return problem(500, "a bug in condord; the log has more")


_ALIVE = (
    Answer(status=200, about="It works, wherever Alpaca is.", body="text/plain"),
    error(503, "The supervisor makes no progress."),
)
_EVENTS = (
    Event(name="snapshot", data=wire.Document, has_id=True),
    Event(name="delta", data=wire.Delta, has_id=True),
    Event(name="heartbeat", data=wire.Heartbeat),
    Event(name="bye", data=wire.Bye),
)

_PAGE = Page()

ROUTES = (
    Route(
        path="/",
        name="getPage",
        endpoint=_PAGE.index,
        summary="The page with the condors as cards.",
        parameters=(Parameter(name="If-None-Match", place="header", about="An `ETag` that the client has."),),
        answers=(
            Answer(status=200, about="The page.", body="text/html", headers=("ETag",)),
            Answer(status=304, about="The client has it.", headers=("ETag",)),
        ),
    ),
    Route(
        path="/assets/{name}",
        name="getAsset",
        endpoint=_PAGE.asset,
        summary="A file that the page loads, to be kept for ever.",
        parameters=(Parameter(name="name", place="path", about="The file, by the name that the page has for it."),),
        answers=(
            *(Answer(status=200, about="The file.", body=kind) for kind in KINDS.values()),
            error(404, "The page has no such file."),
        ),
    ),
    Route(
        path="/api/positions",
        name="getPositions",
        endpoint=_positions,
        summary="The condors and all other option contracts of the account, as last published.",
        parameters=(Parameter(name="If-None-Match", place="header", about="An `ETag` that the client has."),),
        answers=(
            Answer(status=200, about="The document.", body=wire.Document, headers=("ETag",)),
            Answer(status=304, about="The client has this version.", headers=("ETag",)),
        ),
    ),
    Route(
        path="/api/positions/{id}",
        name="getCondor",
        endpoint=_one,
        summary="One condor with the quotes of its legs.",
        parameters=(
            Parameter(name="id", place="path", about="The condor's `id`.", example="SPY-261218-705-715-770-780"),
        ),
        answers=(
            Answer(status=200, about="The condor.", body=wire.OneCondor),
            error(404, "There is no such condor."),
        ),
    ),
    Route(
        path=STREAM_PATH,
        name="getStream",
        endpoint=Stream(),
        summary="The document, and what changes of it, as Server-Sent Events.",
        parameters=(
            Parameter(
                name="condor", place="query", type=list[str], about="Only condors with these ids, and their legs."
            ),
            Parameter(
                name="symbol", place="query", type=list[str], about="Only these contracts, by their OCC symbols."
            ),
            Parameter(
                name="interval",
                place="query",
                type=Annotated[int, msgspec.Meta(ge=0, le=MAX_INTERVAL_MS)],
                about="Milliseconds between two deltas, where that is more than the daemon's own window.",
            ),
            Parameter(name="Last-Event-ID", place="header", about="The id of the newest event that the client has."),
            Parameter(name="lastEventId", place="query", about="The same, for a client that can send no header."),
        ),
        answers=(
            Answer(status=200, about="Events without end.", body="text/event-stream", events=_EVENTS),
            error(400, "`interval` is not allowed."),
            error(503, "There are as many subscribers as may be.", "Retry-After"),
        ),
    ),
    Route(
        path="/api/status",
        name="getStatus",
        endpoint=_status,
        summary="The status and the counters of the daemon.",
        answers=(Answer(status=200, about="The status.", body=wire.StatusReport),),
    ),
    Route(
        path="/api/refresh",
        method="POST",
        name="refresh",
        endpoint=_refresh,
        summary="Read the account again now.",
        answers=(Answer(status=202, about="It will be read."),),
    ),
    Route(
        path="/openapi.json",
        name="getOpenapi",
        endpoint=_openapi,
        summary="This document.",
        answers=(Answer(status=200, about="OpenAPI 3.1.", body="application/json"),),
    ),
    Route(
        path="/metrics",
        name="getMetrics",
        endpoint=exposition,
        summary="The daemon in numbers, for Prometheus.",
        answers=(
            Answer(status=200, about="Its text format, or OpenMetrics for who accepts that.", body="text/plain"),
            Answer(status=200, about="OpenMetrics.", body="application/openmetrics-text"),
        ),
    ),
    Route(path="/livez", name="getLivez", endpoint=_alive, summary="Whether the process works.", answers=_ALIVE),
    Route(path="/healthz", name="getHealthz", endpoint=_alive, summary="The same as `/livez`.", answers=_ALIVE),
    Route(
        path="/readyz",
        name="getReadyz",
        endpoint=_ready,
        summary="Whether positions are read and the stream is `live` or `closed`.",
        answers=(
            Answer(status=200, about="They are.", body=wire.StatusReport),
            Answer(status=503, about="They are not, or not yet.", body=wire.StatusReport),
        ),
    ),
)
