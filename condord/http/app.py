"""The table of routes, and the endpoints behind it.

An endpoint only translates: the daemon supplies the data, and the endpoint chooses a status code and headers for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from condord import __version__
from condord.http import access, openapi
from condord.http.alert_routes import ALERT_ROUTES, ChannelPace
from condord.http.answer import REVALIDATE, daemon_of, json_answer
from condord.http.etag import is_known
from condord.http.forwarding import FORWARDED, Source, forward
from condord.http.guard import STREAM_PATH
from condord.http.interfaces import DaemonView, ServedView
from condord.http.metrics import exposition
from condord.http.page import MEDIA_TYPES, Page
from condord.http.problem import problem
from condord.http.recorded_routes import RECORDED_ROUTES
from condord.http.routes import DocumentedEvent, DocumentedResponse, Parameter, Route, error
from condord.http.stream_route import MAX_INTERVAL_MS, MIN_HEARTBEAT_SECONDS, StreamRoute
from condord.live import wire
from condord.live.never_read import why_positions_unread
from condord.live.wire_alerts import AlertJson


class Application(Starlette):
    """Starlette, which streams bypass: its middleware would cost 3 kB of memory for each of thousands of streams."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == STREAM_PATH and scope["method"] == "GET":
            scope["app"] = self
            await StreamRoute()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build(daemon: DaemonView) -> Application:
    """The application for `daemon`; the endpoints find the daemon in `app.state`."""
    return _application(daemon, ROUTES)


def build_relay(
    relay: ServedView, source: Source, endpoints: Mapping[str, Callable[..., Any]] | None = None
) -> Application:
    """The application for a relay: `source` answers requests that the document does not.

    `endpoints` replace those of the table, by the names of their routes.
    """
    replaced = {**dict.fromkeys(FORWARDED, forward), **(endpoints or {})}
    routes = [msgspec.structs.replace(route, endpoint=replaced.get(route.name, route.endpoint)) for route in ROUTES]
    app = _application(relay, routes)
    app.state.source = source
    return app


def _application(daemon: ServedView, routes: Iterable[Route]) -> Application:
    app = Application(
        routes=[route.starlette_route() for route in routes],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
    )
    app.router.redirect_slashes = False  # only the exact paths of the table exist
    app.state.daemon = daemon
    app.state.channel_pace = ChannelPace()
    return app


async def _positions(request: Request) -> Response:
    document = daemon_of(request).document()
    # While the source is lost, a relay's document has the source's version but another status.
    lost = f"-{document.status.code}" if document.status.code in wire.LOST_CODES else ""
    etag = f'W/"{document.version}{lost}"'
    if is_known(request.headers, etag):
        return Response(status_code=304, headers={**REVALIDATE, "ETag": etag})
    return json_answer(document, headers={"ETag": etag})


async def _condor(request: Request) -> Response:
    found = daemon_of(request).condor(request.path_params["id"])
    if found is None:
        unread = why_positions_unread(daemon_of(request).document())
        return problem(404, unread or "there is no condor with this id; GET /api/positions lists the ids")
    return json_answer(found)


async def _status(request: Request) -> Response:
    return json_answer(daemon_of(request).report())


async def _refresh(request: Request) -> Response:
    daemon_of(request).refresh()
    return Response(status_code=202, headers=REVALIDATE)


async def _ticket(request: Request) -> Response:
    return json_answer(daemon_of(request).tickets.issue(), 201, {"Cache-Control": "no-store"})


async def _alive(request: Request) -> Response:
    if daemon_of(request).is_alive:
        return Response("ok\n", headers=REVALIDATE, media_type="text/plain")
    return problem(503, "the supervisor makes no progress")


async def _ready(request: Request) -> Response:
    daemon = daemon_of(request)
    status_code = 200 if daemon.is_ready else 503
    if access.is_anonymous(request.scope):
        return Response(status_code=status_code, headers=REVALIDATE)
    return json_answer(daemon.report(), status_code)


async def _openapi(request: Request) -> Response:
    heartbeat_seconds = daemon_of(request).subscribers.heartbeat_seconds
    return Response(_openapi_json(heartbeat_seconds), headers=REVALIDATE, media_type="application/json")


@functools.lru_cache(maxsize=1)  # building it takes 10 ms
def _openapi_json(heartbeat_seconds: float) -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES, __version__, {"heartbeat": heartbeat_seconds}))


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered only for this class
    details = {
        404: "there is nothing at this path; GET /openapi.json lists all paths",
        405: "this path does not support the method; the Allow header lists those it does",
    }
    return problem(error.status_code, details.get(error.status_code, error.detail), error.headers)


async def _bug(_request: Request, _error: Exception) -> Response:
    return problem(500, "a bug in condord; its log has the details")


_ALIVE = (
    DocumentedResponse(status=200, description="The process works; this does not depend on Alpaca.", body="text/plain"),
    error(503, "The supervisor makes no progress."),
)
_EVENTS = (
    DocumentedEvent(name="snapshot", data=wire.Document, has_id=True),
    DocumentedEvent(name="delta", data=wire.Delta, has_id=True),
    DocumentedEvent(name="alert", data=AlertJson),
    DocumentedEvent(name="heartbeat", data=wire.Heartbeat),
    DocumentedEvent(name="bye", data=wire.Bye),
)

_PAGE = Page()

ROUTES = (
    Route(
        path="/",
        name="getPage",
        endpoint=_PAGE.index,
        summary="The page that shows each condor as a card.",
        access="anyone",
        parameters=(Parameter(name="If-None-Match", location="header", description="`ETag` of the client's copy."),),
        responses=(
            DocumentedResponse(status=200, description="The page.", body="text/html", headers=("ETag",)),
            DocumentedResponse(status=304, description="The client's copy is current.", headers=("ETag",)),
            error(400, "The query contains a token; open the page with `#token=` instead."),
        ),
    ),
    Route(
        path="/assets/{name}",
        name="getAsset",
        endpoint=_PAGE.asset,
        summary="A file that the page loads; it never changes.",
        access="anyone",
        parameters=(Parameter(name="name", location="path", description="The name of the file in the page."),),
        responses=(
            *(DocumentedResponse(status=200, description="The file.", body=kind) for kind in MEDIA_TYPES.values()),
            error(404, "The page has no such file."),
        ),
    ),
    Route(
        path="/api/positions",
        name="getPositions",
        endpoint=_positions,
        summary="The condors and all other option contracts of the account, as last published.",
        parameters=(Parameter(name="If-None-Match", location="header", description="`ETag` of the client's copy."),),
        responses=(
            DocumentedResponse(status=200, description="The document.", body=wire.Document, headers=("ETag",)),
            DocumentedResponse(status=304, description="The client's copy is current.", headers=("ETag",)),
        ),
    ),
    Route(
        path="/api/positions/{id}",
        name="getCondor",
        endpoint=_condor,
        summary="One condor with the quotes of its legs.",
        parameters=(
            Parameter(
                name="id", location="path", description="The `id` of the condor.", example="SPY-261218-705-715-770-780"
            ),
        ),
        responses=(
            DocumentedResponse(status=200, description="The condor.", body=wire.OneCondor),
            error(404, "There is no condor with this `id`, or the positions have not been read yet; see `detail`."),
        ),
    ),
    *RECORDED_ROUTES,
    *ALERT_ROUTES,
    Route(
        path=STREAM_PATH,
        name="getStream",
        endpoint=StreamRoute(),
        summary="The document and its changes, as Server-Sent Events.",
        access="ticket",
        parameters=(
            Parameter(
                name="condor",
                location="query",
                type=list[str],
                description="Only condors with these ids, including broken ones, and their legs.",
            ),
            Parameter(
                name="symbol",
                location="query",
                type=list[str],
                description="Only these contracts, by their OCC symbols.",
            ),
            Parameter(
                name="interval",
                location="query",
                type=Annotated[int, msgspec.Meta(ge=0, le=MAX_INTERVAL_MS)],
                description="Minimum milliseconds between two deltas, if longer than the daemon's window.",
            ),
            Parameter(
                name="heartbeat",
                location="query",
                type=Annotated[float, msgspec.Meta(ge=MIN_HEARTBEAT_SECONDS)],
                description="Seconds between heartbeats, if fewer than `server.heartbeat_seconds`.",
            ),
            Parameter(
                name="Last-Event-ID",
                location="header",
                description="The id of the last event that the client received.",
            ),
            Parameter(
                name="lastEventId", location="query", description="The same, for a client that cannot send the header."
            ),
        ),
        responses=(
            DocumentedResponse(
                status=200,
                description="Events, until either side ends the stream.",
                body="text/event-stream",
                events=_EVENTS,
            ),
            error(400, "`interval` or `heartbeat` is invalid."),
            error(503, "The limit of subscribers is reached.", "Retry-After"),
        ),
    ),
    Route(
        path="/api/tickets",
        method="POST",
        name="issueTicket",
        endpoint=_ticket,
        summary="Issue a ticket that opens one stream. An EventSource needs it, because it cannot send the token.",
        responses=(DocumentedResponse(status=201, description="The ticket.", body=wire.Ticket),),
    ),
    Route(
        path="/api/status",
        name="getStatus",
        endpoint=_status,
        summary="The status and counters of the daemon.",
        responses=(DocumentedResponse(status=200, description="The status.", body=wire.StatusReport),),
    ),
    Route(
        path="/api/refresh",
        method="POST",
        name="refresh",
        endpoint=_refresh,
        summary="Read the account again now.",
        responses=(DocumentedResponse(status=202, description="The reading is requested."),),
    ),
    Route(
        path="/openapi.json",
        name="getOpenapi",
        endpoint=_openapi,
        summary="This document.",
        responses=(DocumentedResponse(status=200, description="OpenAPI 3.1.", body="application/json"),),
    ),
    Route(
        path="/metrics",
        name="getMetrics",
        endpoint=exposition,
        summary="Metrics for Prometheus.",
        responses=(
            DocumentedResponse(
                status=200, description="The text format of Prometheus, or OpenMetrics if accepted.", body="text/plain"
            ),
            DocumentedResponse(status=200, description="OpenMetrics.", body="application/openmetrics-text"),
        ),
    ),
    Route(
        path="/livez",
        access="anyone",
        name="getLivez",
        endpoint=_alive,
        summary="Whether the process works.",
        responses=_ALIVE,
    ),
    Route(
        path="/healthz",
        access="anyone",
        name="getHealthz",
        endpoint=_alive,
        summary="The same as `/livez`.",
        responses=_ALIVE,
    ),
    Route(
        path="/readyz",
        access="anyone",
        name="getReadyz",
        endpoint=_ready,
        summary="Whether the positions are read and the stream is `live` or `closed`.",
        responses=(
            DocumentedResponse(
                status=200, description="Ready. Without a token the body is empty.", body=wire.StatusReport
            ),
            DocumentedResponse(status=503, description="Not ready, or not ready yet.", body=wire.StatusReport),
        ),
    ),
)
