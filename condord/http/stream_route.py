"""Serve `GET /api/stream`: directly from ring to socket on our own server, by sse-starlette on any other.

Both ways send the same events. sse-starlette's pings are off, as the fan-out sends heartbeats.
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

from condord.http.connection import EXTENSION, HttpConnection
from condord.http.interfaces import DaemonView, Subscriptions
from condord.http.problem import problem
from condord.http.subscriber_writer import STALL_SECONDS, DirectStream, Subscribe
from condord.live.compression import CodingName
from condord.live.published import EVERYTHING, Selection
from condord.live.subscriber import Subscriber

RETRY_AFTER_SECONDS = 10
MAX_INTERVAL_MS = 10_000
MIN_HEARTBEAT_SECONDS = 0.5

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Vary": "Accept-Encoding",
}

# sse-starlette ends streams when uvicorn handles a signal. Our uvicorn handles none: the fan-out ends them with `bye`.
AppStatus.enable_automatic_graceful_drain = False


class StreamRoute:
    """`GET /api/stream`, an ASGI application: Server-Sent Events until the client leaves or the daemon stops."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _answer(Request(scope))(scope, receive, send)


def _answer(request: Request) -> ASGIApp:
    daemon: DaemonView = request.app.state.daemon
    subscribers = daemon.subscribers
    interval_ms = _interval_ms(request.query_params)
    if interval_ms is None:
        return problem(400, f"interval must be a whole number of milliseconds from 0 to {MAX_INTERVAL_MS}")
    heartbeat_seconds = _heartbeat_seconds(request.query_params)
    if heartbeat_seconds is not None and not (
        MIN_HEARTBEAT_SECONDS <= heartbeat_seconds <= subscribers.heartbeat_seconds
    ):
        allowed = f"from {MIN_HEARTBEAT_SECONDS:g} to {subscribers.heartbeat_seconds:g}"
        return problem(400, f"heartbeat must be a number of seconds {allowed}")
    coding: CodingName = "gzip" if subscribers.compresses and takes_gzip(request.headers) else "identity"
    headers = {**_HEADERS, "Content-Encoding": "gzip"} if coding == "gzip" else _HEADERS
    if not subscribers.has_room:
        detail = "the limit server.max_subscribers is reached"
        return problem(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    if request.method == "HEAD":
        return _head(headers)
    version = request.headers.get("last-event-id") or request.query_params.get("lastEventId") or None
    subscribe = functools.partial(
        subscribers.subscribe,
        _selection(request.query_params),
        interval_ms / 1000,
        version,
        coding,
        heartbeat_seconds=heartbeat_seconds,
    )
    connection: HttpConnection | None = request.scope.get("extensions", {}).get(EXTENSION)
    if connection is None:
        return StandardStream(subscribers, subscribe, headers)
    is_chunked = request.scope["http_version"] >= "1.1"
    return DirectStream(connection, subscribers, functools.partial(subscribe, is_chunked=is_chunked), headers)


def takes_gzip(headers: Headers) -> bool:
    """Whether `Accept-Encoding` permits gzip (RFC 9110, 12.5.3): by name or star, and with a weight above 0."""
    weights = offered_codings(headers)
    return weights.get("gzip", weights.get("*", False))


def offered_codings(headers: Headers) -> dict[str, bool]:
    """The codings that `Accept-Encoding` names, and whether each has a weight above 0.

    An invalid weight counts as 0: a client that cannot write one may not be able to inflate either.
    """
    weights: dict[str, bool] = {}
    for part in ",".join(headers.getlist("accept-encoding")).lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip().removeprefix("x-")] = _has_weight(parameters) if parameters else True
    return weights


def _has_weight(parameters: str) -> bool:
    name, _, weight = parameters.partition("=")
    return name.strip() == "q" and re.fullmatch(r"0\.[0-9]*[1-9][0-9]*|1(\.0*)?", weight.strip()) is not None


def _selection(query: QueryParams) -> Selection:
    condors, symbols = query.getlist("condor"), query.getlist("symbol")
    return Selection(condors=frozenset(condors), symbols=frozenset(symbols)) if condors or symbols else EVERYTHING


class StandardStream:
    """The response to a stream request on any server: an ASGI application."""

    def __init__(self, subscribers: Subscriptions, subscribe: Subscribe, headers: Mapping[str, str]) -> None:
        self._subscribers = subscribers
        self._subscribe = subscribe
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client or the daemon ends it."""
        woken = asyncio.Event()
        subscriber = self._subscribe(woken.set)  # before the first await: another stream could take the last slot
        frames = self._frames(subscriber, woken)
        response = EventSourceResponse(frames, headers=self._headers, ping=0, send_timeout=STALL_SECONDS)
        try:
            await response(scope, receive, send)
        except SendTimeoutError:
            self._subscribers.evict(subscriber)
            raise
        finally:
            self._subscribers.unsubscribe(subscriber)

    async def _frames(self, subscriber: Subscriber, woken: asyncio.Event) -> AsyncIterator[bytes]:
        while True:
            woken.clear()
            data = subscriber.take(self._subscribers.now_at)
            if data:
                self._subscribers.sent_bytes += len(data)
                yield data
            if subscriber.is_over:
                return
            await woken.wait()


def _head(headers: Mapping[str, str]) -> Response:
    """Return the head of a stream, which has no length."""
    response = Response(headers=headers)
    del response.headers["Content-Length"]
    return response


def _interval_ms(query: QueryParams) -> int | None:
    text = query.get("interval", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        return None
    interval_ms = int(text)
    return interval_ms if interval_ms <= MAX_INTERVAL_MS else None


def _heartbeat_seconds(query: QueryParams) -> float | None:
    """The interval of heartbeats that the client asks for; None if it does not, and 0 if it is not a number."""
    text = query.get("heartbeat")
    if text is None:
        return None
    return float(text) if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", text) else 0.0
