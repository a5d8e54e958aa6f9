"""Describe routes as data: their parameters and every response that they can give.

`ROUTES` in `condord.http.app` is the only table. Starlette's routes and the OpenAPI document are made from it, and a
test compares docs/http-api.md with it. Errors that every route can give are listed here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette import routing

from condord.live import wire

Method = Literal["GET", "POST"]
ParameterLocation = Literal["path", "query", "header"]
Access = Literal["token", "ticket", "anyone"]
"""The credential that a route needs if the daemon has a token: the token, the token or a ticket, or neither."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a request. `type` is an annotation for msgspec; a list stands for a repeatable parameter."""

    name: str
    location: ParameterLocation
    description: str
    type: Any = str
    example: str | None = None


class DocumentedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event of a stream; `data` is the struct that its data contains as JSON."""

    name: str
    data: type[msgspec.Struct]
    has_id: bool = False


class DocumentedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One response of a route.

    `body` is a struct that is sent as JSON, or the media type of any other body; None means that there is no body.
    `events` are the events of a stream. `headers` are always present.
    """

    status: int
    description: str
    body: type[msgspec.Struct] | str | None = None
    events: tuple[DocumentedEvent, ...] = ()
    headers: tuple[str, ...] = ()

    @property
    def media_type(self) -> str | None:
        """The media type of the body; None if there is none."""
        if self.body is None or isinstance(self.body, str):
            return self.body
        return "application/problem+json" if self.body is wire.Problem else "application/json"


def error(status: int, description: str, *headers: str) -> DocumentedResponse:
    """A response whose body is a problem."""
    return DocumentedResponse(status=status, description=description, body=wire.Problem, headers=headers)


COMMON_ERRORS = (
    error(400, "The request is not valid HTTP/1.1, or its Host or address is malformed."),
    error(401, "The token is missing or wrong.", "WWW-Authenticate"),
    error(403, "A page of another origin sent this, to change something or to embed the answer."),
    error(408, "The request took too long to arrive."),
    error(413, "The body is too large; no route uses one."),
    error(414, "The address is too long."),
    error(421, "This Host name is not served here."),
    error(431, "The headers are too long."),
    error(500, "A bug in condord; its log has the details."),
    error(501, "The only supported transfer coding is chunked."),
    error(503, "There are too many connections.", "Retry-After"),
)
"""Errors that every route can give."""
UNROUTED_ERRORS = (
    error(404, "There is nothing at this path."),
    error(405, "The path does not support this method; `Allow` lists those it does.", "Allow"),
)
"""Errors of requests that match no route."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `name` is the OpenAPI operation id. A GET route also answers HEAD."""

    path: str
    method: Method = "GET"
    name: str
    endpoint: Callable[..., Any]
    summary: str
    access: Access = "token"
    parameters: tuple[Parameter, ...] = ()
    responses: tuple[DocumentedResponse, ...]

    def starlette_route(self) -> routing.Route:
        """The route as Starlette takes it."""
        return routing.Route(self.path, self.endpoint, methods=[self.method], name=self.name)
