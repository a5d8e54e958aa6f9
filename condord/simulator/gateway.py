"""The ASGI application in front of the routes: it checks keys, limits rates and applies the REST faults.

None of this applies to the routes under `/simulator`.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.simulator.rate_limiter import Allowance, RateLimiter
from condord.simulator.responses import UNAUTHORIZED, BadRequest, error_response
from condord.simulator.simulation import Simulation

_HTML = b"<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>\n"
_DRIP_SECONDS = 0.5
_COOKIES = 90
_OTHER_HOST = "https://elsewhere.invalid/v2/positions"
_ADMIN = "/simulator"


def _empty_list(status: int, **headers: str) -> Response:
    body = b"" if status == HTTPStatus.NO_CONTENT else b"[]"
    return Response(body, status, headers=headers, media_type="application/json")


_FAULTY_RESPONSES: Mapping[str, Callable[[Mapping[str, Any]], Response]] = {
    "rest-500": lambda _: error_response(500, "internal server error", 50010000),
    "rest-429": lambda _: error_response(429, "too many requests."),
    "rest-302": lambda args: _empty_list(302, Location=str(args.get("location", _OTHER_HOST))),
    "rest-203": lambda _: _empty_list(203),
    "rest-204": lambda _: _empty_list(204),
    "rest-206": lambda _: _empty_list(206),
    "rest-html": lambda _: Response(_HTML, media_type="text/html"),
    "rest-empty": lambda _: Response(b"", media_type="application/json"),
}
"""The answer of each fault, instead of the requested resource."""


class Gateway:
    """The ASGI application in front of the routes; requests that wait are answered once `stopping` is set.

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
        self._limit = RateLimiter(limit)
        self._now = now
        self._stopping = stopping
        self._wall = wall
        self._cookies = itertools.count()

    @functools.cached_property
    def _bomb(self) -> bytes:
        """An empty list with 64 MB of blanks in it, as gzip."""
        compressor = zlib.compressobj(9, wbits=31)
        blanks = b" " * (1 << 20)
        parts = [compressor.compress(part) for part in (b"[", *[blanks] * 64, b"]")]
        return b"".join([*parts, compressor.flush()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = str(scope["path"])
        if path == _ADMIN or path.startswith(f"{_ADMIN}/"):
            await _run(self._admin, scope, receive, send)
            return
        self._simulation.requests[path] += 1
        request = Request(scope, receive)
        key = request.headers.get("APCA-API-KEY-ID", "")
        secret = request.headers.get("APCA-API-SECRET-KEY", "")
        if not self._simulation.entitlements.accepts(key, secret):
            await error_response(401, "request is not authorized", UNAUTHORIZED)(scope, receive, send)
            return
        allowance = self._limit.take(key, path.split("/")[1], self._wall())
        response = await self._faulty_response(path, allowance, request) or await _complete_response(self._api, request)
        response.headers.update(allowance.headers)
        await self._send(path, response, request, send)

    async def _faulty_response(self, path: str, allowance: Allowance, request: Request) -> Response | None:
        faults, now = self._simulation.faults, self._now()
        if not allowance.is_allowed:
            return error_response(429, "too many requests.")
        if "rest" not in faults.active_targets(now):
            return None
        stall = faults.trigger("rest-stall", now, path=path)
        if stall is not None and await self._wait(stall.get("seconds_each"), request):
            return error_response(503, "the simulator is stopping")
        for name, respond in _FAULTY_RESPONSES.items():
            if (args := faults.trigger(name, now, path=path)) is not None:
                return respond(args)
        if faults.trigger("rest-bomb", now, path=path) is not None:
            return Response(self._bomb, media_type="application/json", headers={"Content-Encoding": "gzip"})
        return None

    # A response is complete before it is sent, so that a fault can truncate, drip or delay it.
    async def _send(self, path: str, response: Response, request: Request, send: Send) -> None:
        faults, now = self._simulation.faults, self._now()
        body = bytes(response.body)
        if faults.trigger("rest-truncated", now, path=path) is not None:
            body = body[: len(body) // 2]
            response.headers["Content-Length"] = str(len(body))
        if faults.trigger("rest-cookies", now, path=path) is not None:
            for _ in range(_COOKIES):
                response.headers.append("Set-Cookie", f"c{next(self._cookies)}={'x' * 490}; Path=/")
        drip = faults.trigger("rest-drip", now, path=path)
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        if drip is not None:
            await self._drip(body, _seconds(drip.get("seconds_each"), _DRIP_SECONDS), request, send)
        else:
            await send({"type": "http.response.body", "body": body})

    async def _drip(self, body: bytes, seconds: float, request: Request, send: Send) -> None:
        for index in range(len(body)):
            await send({"type": "http.response.body", "body": body[index : index + 1], "more_body": True})
            if await self._wait(seconds, request):
                return
        await send({"type": "http.response.body", "body": b""})

    async def _wait(self, seconds: object, request: Request) -> bool:
        """Wait `seconds`, indefinitely if None; True if the client disconnected or the simulator stopped."""
        disconnect = asyncio.ensure_future(_disconnected(request))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait(
                {disconnect, stop},
                timeout=None if seconds is None else _seconds(seconds, 0.0),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            disconnect.cancel()
            stop.cancel()
            await asyncio.gather(disconnect, stop, return_exceptions=True)
        return bool(done)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _complete_response(app: ASGIApp, request: Request) -> Response:
    """Run `app` and return its complete response."""
    parts: list[bytes] = []
    response = Response()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status_code = message["status"]
            response.raw_headers = list(message["headers"])
        else:
            parts.append(message.get("body", b""))

    await _run(app, request.scope, request.receive, keep)
    response.body = b"".join(parts)
    return response


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app`; an invalid request is answered 400."""
    try:
        await app(scope, receive, send)
    except BadRequest as bad:
        await error_response(HTTPStatus.BAD_REQUEST, str(bad))(scope, receive, send)


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default
