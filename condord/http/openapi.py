"""Build the OpenAPI 3.1 document from the table of routes and the structs.

A property is required if the daemon always sends it, even where its struct has a default, which is for clients of an
older daemon. Only UNSET may be left out.

OpenAPI 3.1 cannot describe Server-Sent Events: the schema of a stream describes one event with its data parsed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from condord.http.routes import COMMON_ERRORS, UNROUTED_ERRORS, DocumentedEvent, DocumentedResponse, Parameter, Route

_SCHEMAS = "#/components/schemas/"
_ANY_EVENT = "StreamEvent"
_NULL = {"type": "null"}
_ABOUT = """\
Live iron condors of an Alpaca account.

Prices per share and money are numbers of dollars, exact to 1e-4. Times are RFC 3339 in UTC. `null` means not known. \
Every GET route also answers HEAD. Unknown query parameters are ignored, except by the routes of history and trades, \
which refuse them. Later versions may add fields. Trouble at Alpaca never turns a read into an error: the last known \
document is served with its status and age."""
_HEADERS = {
    "Allow": "The supported methods.",
    "Content-Disposition": "A name for the file.",
    "ETag": "The version of the document, for `If-None-Match`.",
    "Retry-After": "Seconds to wait before trying again.",
    "WWW-Authenticate": "How to send the token.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of `server.token_file`."},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "access_token",
        "description": "The token itself, for a client that supports no header and no ticket. It ends up in logs.",
    },
}
_TICKET = {
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "A ticket from `POST /api/tickets`. It opens one stream within 30 s.",
    },
}

Json = dict[str, Any]


def document(routes: Sequence[Route], version: str, maxima: Mapping[str, float] | None = None) -> Json:
    """The OpenAPI document of `routes`; `version` is the daemon's. `maxima` of parameters, by name, are configured."""
    shared = {response.status: response for response in (*COMMON_ERRORS, *UNROUTED_ERRORS)}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, maxima or {})
    return {
        "openapi": "3.1.0",
        "info": {"title": "condord", "version": version, "description": _ABOUT},
        "security": _security(_SECURITY),
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "responses": {_name(status): _response(shared[status]) for status in sorted(shared)},
            "headers": {
                name: {"required": True, "description": description, "schema": {"type": "string"}}
                for name, description in _HEADERS.items()
            },
            "securitySchemes": _SECURITY | _TICKET,
        },
    }


def _operation(route: Route, maxima: Mapping[str, float]) -> Json:
    parameters = [_parameter(parameter, maxima.get(parameter.name)) for parameter in route.parameters]
    return {
        "operationId": route.name,
        "summary": route.summary,
        **_access(route),
        **({"parameters": parameters} if parameters else {}),
        "responses": _responses(route),
    }


def _access(route: Route) -> Json:
    """The security of a route, where it differs from the default of the document."""
    match route.access:
        case "token":
            return {}
        case "ticket":
            return {"security": _security(_SECURITY | _TICKET)}
        case "anyone":
            return {"security": []}


def _security(schemes: Json) -> list[Json]:
    """Any one of `schemes`, or none, because a daemon without a token needs none."""
    return [{}, *({name: []} for name in schemes)]


def _responses(route: Route) -> Json:
    """All responses of a route by status. One that every route has is a reference to the shared one."""
    own = {response.status for response in route.responses}
    shared = [
        response for response in COMMON_ERRORS if response.status != HTTPStatus.UNAUTHORIZED or route.access != "anyone"
    ]
    responses: dict[int, list[DocumentedResponse]] = {}
    for response in sorted((*route.responses, *shared), key=lambda response: response.status):
        responses.setdefault(response.status, []).append(response)
    return {
        str(status): _response(*alike) if status in own else {"$ref": f"#/components/responses/{_name(status)}"}
        for status, alike in responses.items()
    }


def _parameter(parameter: Parameter, maximum: float | None) -> Json:
    bound = {} if maximum is None else {"maximum": maximum}
    return {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.location == "path",
        "description": parameter.description,
        "schema": _value(msgspec.json.schema(parameter.type)) | bound,
        **({} if parameter.example is None else {"example": parameter.example}),
    }


def _response(first: DocumentedResponse, *others: DocumentedResponse) -> Json:
    """The responses of one status as one: a body of any of their kinds, and the headers that all of them have."""
    responses = (first, *others)
    names = [name for name in first.headers if all(name in response.headers for response in others)]
    content = {response.media_type: {"schema": _body(response.body)} for response in responses if response.body}
    return {
        "description": first.description,
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
            return _reference(_schema_name(body.__name__))


def _schemas(routes: Iterable[Route]) -> Json:
    """The schemas of all structs and events that are sent, by name."""
    responses = [response for route in routes for response in (*route.responses, *COMMON_ERRORS)]
    events = [event for response in responses for event in response.events]
    structs = {response.body for response in responses if not isinstance(response.body, str | None)}
    structs |= {event.data for event in events}
    _, found = msgspec.json.schema_components(structs, ref_template=_SCHEMAS + "{name}")
    # Rename the references too, at any depth: each ends with the name of a struct.
    found = msgspec.json.decode(msgspec.json.encode(found).replace(b'Json"', b'"'))
    schemas = {name: _object(schema) for name, schema in found.items()}
    schemas |= {_event_name(event): _event(event) for event in events}
    schemas[_ANY_EVENT] = {
        "description": "One event of the stream, with its data parsed.",
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
    """Simplify msgspec's schema of a value: a list of types instead of `anyOf` where that is enough.

    An `int | float` becomes a number, because JSON does not distinguish them.
    """
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


def _event(event: DocumentedEvent) -> Json:
    identity = {"id": {"type": "string", "description": "The version of the document after this event."}}
    properties = {
        "event": {"type": "string", "const": event.name},
        **(identity if event.has_id else {}),
        "data": _reference(_schema_name(event.data.__name__)),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _event_name(event: DocumentedEvent) -> str:
    return f"{event.name.capitalize()}Event"


def _schema_name(struct: str) -> str:
    """The public name: without the suffix that distinguishes a struct from its counterpart in `core`."""
    return struct.removesuffix("Json")


def _reference(name: str) -> Json:
    return {"$ref": _SCHEMAS + name}


def _name(status: int) -> str:
    return f"Problem{status}"
