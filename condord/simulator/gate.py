"""Decides what happens to a request before and after it is answered: keys, rate limit, faults.

Rules: the routes under `/simulator` are free; all others need both key headers, count against the key's limit, carry
the X-RateLimit headers, and may be struck by a fault. An answer is complete before it is sent, so that a fault can
cut it, drip it or hold it back. What waits gives up when the client is gone or the simulator ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.simulator.answers import UNAUTHORIZED, BadRequest, error
from condord.simulator.ratelimit import Allowance, RateLimit
from condord.simulator.simulation import Simulation

_HTML = b"<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>\n"
_DRIP_SECONDS = 0.5
_ADMIN = "/simulator"


class Gate:
    """The ASGI application in front of the routes; `stopping` is set when the simulator ends.

    `now` gives seconds of the loop clock, `wall` seconds since 1970 for the rate limit's window.
    """

    def __init__(
        self,
        *,
        simulation: Simulation,
        api: Router,
        admin: Router,
        limit: int,
        now: Callable[[], float],
        stopping: asyncio.Event,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._simulation = simulation
        self._api: ASGIApp = api
        self._admin: ASGIApp = admin
        self._limit = RateLimit(limit)
        self._now = now
        self._stopping = stopping
        self._wall = wall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = str(scope["path"])
        if path == _ADMIN or path.startswith(f"{_ADMIN}/"):
            await _answer(self._admin, scope, receive, send)
            return
        self._simulation.requests[path] += 1
        request = Request(scope, receive)
        key = request.headers.get("APCA-API-KEY-ID", "")
        secret = request.headers.get("APCA-API-SECRET-KEY", "")
        if not self._simulation.terms.accepts(key, secret):
            await error(401, "request is not authorized", UNAUTHORIZED)(scope, receive, send)
            return
        allowance = self._limit.take(key, path.split("/")[1], self._wall())
        response = await self._struck(path, allowance, request) or await _captured(self._api, request)
        response.headers.update(allowance.headers)
        await self._send(path, response, request, send)

    async def _struck(self, path: str, allowance: Allowance, request: Request) -> Response | None:
        faults, now = self._simulation.faults, self._now()
        if not allowance.is_allowed:
            return error(429, "too many requests.")
        if "rest" not in faults.places(now):
            return None
        stall = faults.strike("rest-stall", now, path=path)
        if stall is not None and await self._wait(stall.get("seconds_each"), request):
            return error(503, "the simulator ends")
        if faults.strike("rest-500", now, path=path) is not None:
            return error(500, "internal server error", 50010000)
        if faults.strike("rest-429", now, path=path) is not None:
            return error(429, "too many requests.")
        if faults.strike("rest-html", now, path=path) is not None:
            return Response(_HTML, media_type="text/html")
        if faults.strike("rest-empty", now, path=path) is not None:
            return Response(b"", media_type="application/json")
        return None

    async def _send(self, path: str, response: Response, request: Request, send: Send) -> None:
        faults, now = self._simulation.faults, self._now()
        body = bytes(response.body)
        if faults.strike("rest-truncated", now, path=path) is not None:
            body = body[: len(body) // 2]
            response.headers["Content-Length"] = str(len(body))
        drip = faults.strike("rest-drip", now, path=path)
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        if drip is not None:
            await self._drip(body, _seconds(drip.get("seconds_each"), _DRIP_SECONDS), request, send)
        else:
            await send({"type": "http.response.body", "body": body})

    async def _drip(self, body: bytes, seconds: float, request: Request, send: Send) -> None:
        for place in range(len(body)):
            await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
            if await self._wait(seconds, request):
                return
        await send({"type": "http.response.body", "body": b""})

    async def _wait(self, seconds: object, request: Request) -> bool:
        """Wait; True where the client left or the simulator ends meanwhile."""
        leaving = asyncio.ensure_future(_left(request))
        ending = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait(
                {leaving, ending},
                timeout=None if seconds is None else _seconds(seconds, 0.0),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            leaving.cancel()
            ending.cancel()
            await asyncio.gather(leaving, ending, return_exceptions=True)
        return bool(done)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _captured(app: ASGIApp, request: Request) -> Response:
    """Run `app` and keep its whole answer."""
    parts: list[bytes] = []
    captured = Response()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            captured.status_code = message["status"]
            captured.raw_headers = list(message["headers"])
        else:
            parts.append(message.get("body", b""))

    await _answer(app, request.scope, request.receive, keep)
    captured.body = b"".join(parts)
    return captured


async def _answer(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app`; a request that cannot be understood is 400, an unknown path 404 in Alpaca's words."""
    try:
        await app(scope, receive, send)
    except BadRequest as bad:
        await error(HTTPStatus.BAD_REQUEST, str(bad))(scope, receive, send)


def _seconds(value: object, usual: float) -> float:
    return float(value) if isinstance(value, int | float) else usual
