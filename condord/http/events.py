"""Serves one subscriber: what waits in its ring goes to its socket as it was encoded, in as few writes as can be.

sse-starlette carries the stream; its pings are off, as heartbeats come from the fan-out, and its own end of streams
at shutdown does not work under signals of ours, so every stream is ended by the fan-out's `bye`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette.sse import AppStatus, EventSourceResponse
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from condord.http.ports import Daemon
from condord.http.problem import problem
from condord.live.edition import Selection

SEND_SECONDS = 30.0
"""A subscriber that takes nothing for so long is closed."""
RETRY_AFTER_SECONDS = 10
MAX_INTERVAL_MS = 10_000

_HEADERS = {"Cache-Control": "no-cache, no-transform"}

AppStatus.enable_automatic_graceful_drain = False


async def stream(request: Request) -> Response:
    """`GET /api/stream`: Server-Sent Events until the client or the daemon goes."""
    daemon: Daemon = request.app.state.daemon
    interval_ms = _interval_ms(request.query_params)
    if interval_ms is None:
        return problem(400, f"interval is a whole number of milliseconds from 0 to {MAX_INTERVAL_MS}")
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=_HEADERS)
    if not daemon.has_room:
        detail = "as many subscribers as server.max_subscribers allows are connected"
        return problem(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    selection = Selection(
        condors=frozenset(request.query_params.getlist("condor")),
        symbols=frozenset(request.query_params.getlist("symbol")),
    )
    version = request.headers.get("last-event-id") or request.query_params.get("lastEventId") or None
    frames = _frames(daemon, selection, interval_ms / 1000, version)
    return EventSourceResponse(frames, headers=_HEADERS, ping=0, send_timeout=SEND_SECONDS)


async def _frames(
    daemon: Daemon, selection: Selection, interval_seconds: float, version: str | None
) -> AsyncIterator[bytes]:
    woken = asyncio.Event()
    subscriber = daemon.subscribe(selection, interval_seconds, version, woken.set)
    try:
        while True:
            woken.clear()
            frames = daemon.take(subscriber)
            if frames:
                yield frames
            if subscriber.is_over:
                return
            await woken.wait()
    finally:
        daemon.unsubscribe(subscriber)


def _interval_ms(query: QueryParams) -> int | None:
    text = query.get("interval", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        return None
    interval_ms = int(text)
    return interval_ms if interval_ms <= MAX_INTERVAL_MS else None
