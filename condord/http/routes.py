"""Decides what is known of a route: how it is asked, and every way in which it answers.

Rules: there is one table, `ROUTES` in `condord.http.app`. Starlette's routes and the OpenAPI document are made from it,
and the README is held against it. The errors that any route may have are named here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette import routing

from condord.live import wire

Method = Literal["GET", "POST"]
Place = Literal["path", "query", "header"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a request may say; `type` is an annotation that msgspec understands, a list may be repeated."""

    name: str
    place: Place
    about: str
    type: Any = str
    example: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event of a stream: its name, what its data is, and whether it has an id."""

    name: str
    data: type[msgspec.Struct]
    has_id: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One way to answer. `body` is a struct for JSON, or else a media type; None is no body.

    `events` are those of a stream; `headers` are there every time.
    """

    status: int
    about: str
    body: type[msgspec.Struct] | str | None = None
    events: tuple[Event, ...] = ()
    headers: tuple[str, ...] = ()

    @property
    def media_type(self) -> str | None:
        """What the body is; None if there is none."""
        if self.body is None or isinstance(self.body, str):
            return self.body
        return "application/problem+json" if self.body is wire.Problem else "application/json"


def error(status: int, about: str, *headers: str) -> Answer:
    """An answer with a problem."""
    return Answer(status=status, about=about, body=wire.Problem, headers=headers)


ANYWHERE = (
    error(400, "This is no HTTP/1.1 request, or its Host or address is malformed."),
    error(401, "A token is needed, and none or a wrong one came.", "WWW-Authenticate"),
    error(403, "A page of another origin asks, to change something or to embed it."),
    error(408, "The request did not come to its end in time."),
    error(413, "The body is too large; no route takes one."),
    error(414, "The address is too long."),
    error(421, "This Host name is not served here."),
    error(431, "The headers are too long."),
    error(500, "A bug in condord; its log has more."),
    error(501, "Of transfer codings only chunked is understood."),
    error(503, "There are as many connections as there may be.", "Retry-After"),
)
"""Errors of every route."""
ELSEWHERE = (
    error(404, "There is nothing at this path."),
    error(405, "There is no such method at this path; `Allow` names those there are.", "Allow"),
)
"""Errors of what is not in the table."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: `name` is for programs, `summary` for people. A GET answers HEAD too."""

    path: str
    method: Method = "GET"
    name: str
    endpoint: Callable[..., Any]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...]

    def mounted(self) -> routing.Route:
        """The route as Starlette has it."""
        return routing.Route(self.path, self.endpoint, methods=[self.method], name=self.name)
