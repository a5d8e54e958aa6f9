"""Serves `GET /api/stream`: straight from the ring to the socket on our own server, on any other by sse-starlette.

Both ways send the same bytes. sse-starlette's pings are off, as heartbeats come from the fan-out, and its own end of
streams at shutdown does not work under signals of ours, so every stream is ended by the fan-out's `bye`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Mapping

from sse_starlette.sse import AppStatus, EventSourceResponse, SendTimeoutError
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from condord.http.connection import EXTENSION, Connection
from condord.http.direct import STALL_SECONDS, DirectStream, Subscribe
from condord.http.ports import Audience, Daemon
from condord.http.problem import problem
from condord.live.coding import CodingName
from condord.live.edition import EVERYTHING, Selection
from condord.live.fanout import Subscriber

RETRY_AFTER_SECONDS = 10
MAX_INTERVAL_MS = 10_000

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Vary": "Accept-Encoding",
}

AppStatus.enable_automatic_graceful_drain = False


class Stream:
    """`GET /api/stream`: Server-Sent Events until the client or the daemon goes; an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _answer(Request(scope))(scope, receive, send)


def _answer(request: Request) -> ASGIApp:
    daemon: Daemon = request.app.state.daemon
    audience = daemon.audience
    interval_ms = _interval_ms(request.query_params)
    if interval_ms is None:
        return problem(400, f"interval is a whole number of milliseconds from 0 to {MAX_INTERVAL_MS}")
    coding: CodingName = "gzip" if audience.compresses and takes_gzip(request.headers) else "identity"
    headers = {**_HEADERS, "Content-Encoding": "gzip"} if coding == "gzip" else _HEADERS
    if not audience.has_room:
        detail = "as many subscribers as server.max_subscribers allows are connected"
        return problem(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    if request.method == "HEAD":
        return _head(headers)
    version = request.headers.get("last-event-id") or request.query_params.get("lastEventId") or None
    subscribe = functools.partial(
        audience.subscribe, _selection(request.query_params), interval_ms / 1000, version, coding
    )
    connection: Connection | None = request.scope.get("extensions", {}).get(EXTENSION)
    if connection is not None:
        return DirectStream(connection, audience, subscribe, headers)
    return StandardStream(audience, subscribe, headers)


def takes_gzip(headers: Headers) -> bool:
    """Whether `Accept-Encoding` permits gzip (RFC 9110, 12.5.3): named, or by a star, and not with a weight of 0.

    A weight that is none counts as 0: whoever cannot say it may not be able to inflate either.
    """
    weights: dict[str, bool] = {}
    for part in ",".join(headers.getlist("accept-encoding")).lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip().removeprefix("x-")] = _is_wanted(parameters) if parameters else True
    return weights.get("gzip", weights.get("*", False))


def _is_wanted(parameters: str) -> bool:
    name, _, weight = parameters.partition("=")
    return name.strip() == "q" and re.fullmatch(r"0\.[0-9]*[1-9][0-9]*|1(\.0*)?", weight.strip()) is not None


def _selection(query: QueryParams) -> Selection:
    condors, symbols = query.getlist("condor"), query.getlist("symbol")
    return Selection(condors=frozenset(condors), symbols=frozenset(symbols)) if condors or symbols else EVERYTHING


class StandardStream:
    """The answer to a stream's request on any server: an ASGI application. `subscribe` takes what wakes it."""

    def __init__(self, audience: Audience, subscribe: Subscribe, headers: Mapping[str, str]) -> None:
        self._audience = audience
        self._subscribe = subscribe
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client or the daemon goes; the place is taken before anything is awaited."""
        woken = asyncio.Event()
        subscriber = self._subscribe(woken.set)
        frames = self._frames(subscriber, woken)
        answer = EventSourceResponse(frames, headers=self._headers, ping=0, send_timeout=STALL_SECONDS)
        try:
            await answer(scope, receive, send)
        except SendTimeoutError:
            self._audience.note_eviction()
            raise
        finally:
            self._audience.unsubscribe(subscriber)

    async def _frames(self, subscriber: Subscriber, woken: asyncio.Event) -> AsyncIterator[bytes]:
        while True:
            woken.clear()
            frames = self._audience.take(subscriber)
            if frames:
                yield frames
            if subscriber.is_over:
                return
            await woken.wait()


def _head(headers: Mapping[str, str]) -> Response:
    """What a stream would begin with; it has no length."""
    answer = Response(headers=headers)
    del answer.headers["Content-Length"]
    return answer


def _interval_ms(query: QueryParams) -> int | None:
    text = query.get("interval", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        return None
    interval_ms = int(text)
    return interval_ms if interval_ms <= MAX_INTERVAL_MS else None
