"""Decides how the table of routes looks as an OpenAPI 3.1 document.

Rules: nothing is told here that the table or a struct can tell. What is always sent is required, also where the struct
has a default for a client of an older daemon; only UNSET may be left out. An `int | float` is a number, as in JSON.
What may be unknown has `null` among its types. OpenAPI 3.1 has no word for Server-Sent Events: the schema of a
stream is that of one event, its data parsed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from condord.http.guard import COOKIE
from condord.http.routes import ANYWHERE, ELSEWHERE, Answer, Event, Parameter, Route

_SCHEMAS = "#/components/schemas/"
_ANY_EVENT = "StreamEvent"
_NULL = {"type": "null"}
_ABOUT = """\
Live iron condors of an Alpaca account.

Prices per share and money are numbers of dollars, exact to 1e-4. Times are RFC 3339 in UTC. `null` means not known. \
Every GET answers HEAD too. Unknown query parameters are ignored, fields may be added. Trouble at Alpaca never turns \
a read into an error: the last known document is served with its status and age."""
_HEADERS = {
    "Allow": "The methods that there are.",
    "ETag": "The version of the document, for `If-None-Match`.",
    "Retry-After": "Seconds after which to try again.",
    "WWW-Authenticate": "How to offer the token.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of `server.token_file`."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The cookie that `GET /?token=TOKEN` sets.",
    },
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "access_token",
        "description": "For an EventSource of another origin, which can send no header.",
    },
}

Json = dict[str, Any]


def document(routes: Sequence[Route], version: str) -> Json:
    """The document for `routes`, of the daemon's `version`."""
    shared = {answer.status: answer for answer in (*ANYWHERE, *ELSEWHERE)}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "condord", "version": version, "description": _ABOUT},
        # No token is needed where the daemon has none.
        "security": [{}, *({name: []} for name in _SECURITY)],
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "responses": {_name(status): _response(shared[status]) for status in sorted(shared)},
            "headers": {
                name: {"required": True, "description": about, "schema": {"type": "string"}}
                for name, about in _HEADERS.items()
            },
            "securitySchemes": _SECURITY,
        },
    }


def _operation(route: Route) -> Json:
    return {
        "operationId": route.name,
        "summary": route.summary,
        **({"parameters": [_parameter(each) for each in route.parameters]} if route.parameters else {}),
        "responses": _responses(route),
    }


def _responses(route: Route) -> Json:
    """Every answer of a route by its status; one that it only shares with others is told once for all."""
    own = {answer.status for answer in route.answers}
    answers: dict[int, list[Answer]] = {}
    for answer in sorted((*route.answers, *ANYWHERE), key=lambda answer: answer.status):
        answers.setdefault(answer.status, []).append(answer)
    return {
        str(status): _response(*alike) if status in own else {"$ref": f"#/components/responses/{_name(status)}"}
        for status, alike in answers.items()
    }


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.about,
        "schema": _value(msgspec.json.schema(parameter.type)),
        **({} if parameter.example is None else {"example": parameter.example}),
    }


def _response(first: Answer, *others: Answer) -> Json:
    """What may come with one status: a body of any of these kinds, with the headers that all have."""
    answers = (first, *others)
    names = [name for name in first.headers if all(name in answer.headers for answer in others)]
    content = {answer.media_type: {"schema": _body(answer.body)} for answer in answers if answer.body}
    return {
        "description": first.about,
        **({"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {}),
        **({"content": content} if content else {}),
    }


def _body(body: type[msgspec.Struct] | str) -> Json:
    match body:
        case "text/event-stream":
            return _reference(_ANY_EVENT)
        case "application/json":
            return {"type": "object", "additionalProperties": True}
        case str():
            return {"type": "string"}
        case _:
            return _reference(body.__name__)


def _schemas(routes: Iterable[Route]) -> Json:
    """Every struct that is sent, and every event, by name."""
    answers = [answer for route in routes for answer in (*route.answers, *ANYWHERE)]
    events = [event for answer in answers for event in answer.events]
    structs = {answer.body for answer in answers if not isinstance(answer.body, str | None)}
    structs |= {event.data for event in events}
    _, found = msgspec.json.schema_components(structs, ref_template=_SCHEMAS + "{name}")
    schemas = {name: _object(schema) for name, schema in found.items()}
    schemas |= {_event_name(event): _event(event) for event in events}
    schemas[_ANY_EVENT] = {
        "description": "One event of the stream, its data parsed.",
        "oneOf": [_reference(_event_name(event)) for event in events],
    }
    return dict(sorted(schemas.items()))


def _object(schema: Json) -> Json:
    properties = schema["properties"]
    return {
        "type": "object",
        "description": inspect.cleandoc(schema["description"]),
        "properties": {name: _value(kind) for name, kind in properties.items()},
        "required": [name for name, kind in properties.items() if name in schema["required"] or "default" in kind],
    }


def _value(schema: Json) -> Json:
    """The schema of a value, from msgspec's: one type, or one and null, wherever that says all."""
    choices = [_typed(choice) for choice in schema.get("anyOf", [schema])]
    if {"type": "number"} in choices and {"type": "integer"} in choices:
        choices.remove({"type": "integer"})
    choice, *others = (choice for choice in choices if choice != _NULL)
    if len(choices) == 1:
        return choice
    if others or "type" not in choice:
        return {"anyOf": choices}
    values = {"enum": [*choice["enum"], None]} if "enum" in choice else {}
    return {**choice, **values, "type": [choice["type"], "null"]}


def _typed(schema: Json) -> Json:
    plain = {key: value for key, value in schema.items() if key != "default"}
    return {"type": "string", **plain} if "enum" in plain else plain


def _event(event: Event) -> Json:
    identity = {"id": {"type": "string", "description": "The version of the document that it leads to."}}
    properties = {
        "event": {"type": "string", "const": event.name},
        **(identity if event.has_id else {}),
        "data": _reference(event.data.__name__),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _event_name(event: Event) -> str:
    return f"{event.name.capitalize()}Event"


def _reference(name: str) -> Json:
    return {"$ref": _SCHEMAS + name}


def _name(status: int) -> str:
    return f"Problem{status}"
