"""Compare responses with the OpenAPI document, which must describe every response and every field."""

import json
import re

from condord.client.sse import EventParser


class OpenApiChecker:
    """Compares responses with `document`, an OpenAPI document."""

    def __init__(self, document: dict) -> None:
        self.document = document
        self._components = {**document["components"], "schemas": _closed(document["components"]["schemas"])}

    def check(self, method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Fail unless the document describes this response to this request. Names in `headers` are lower-case."""
        described = self._answer(method, path.partition("?")[0], status)
        for name in described.get("headers", {}):
            assert headers.get(name.lower()), f"{method} {path}: {status} without {name}"
        content = described.get("content", {})
        if not content:
            assert body == b""
            return
        kind = headers["content-type"].partition(";")[0]
        assert kind in content, f"{method} {path}: {status} is {kind}"
        if method == "HEAD":
            return
        if kind == "text/event-stream":
            for event in EventParser().feed(body):
                identity = {} if event.id is None else {"id": event.id}
                value = {"event": event.name, "data": json.loads(event.data), **identity}
                self.check_value(content[kind]["schema"], value)
        else:
            self.check_value(content[kind]["schema"], json.loads(body) if kind.endswith("json") else body.decode())

    def check_value(self, schema: dict, value: object) -> None:
        """Fail unless `value` is valid for `schema`."""
        # The import takes 0.5 s, and every worker imports this file.
        from openapi_schema_validator import OAS31Validator, oas31_format_checker

        whole = {**schema, "components": self._components}
        OAS31Validator(whole, format_checker=oas31_format_checker).validate(value)

    def _answer(self, method: str, path: str, status: int) -> dict:
        operation = self._operation("get" if method == "HEAD" else method.lower(), path)
        answers = operation["responses"] if operation else self._unrouted()
        assert str(status) in answers, f"{method} {path}: {status} is not described"
        return self._resolved(answers[str(status)])

    def _operation(self, method: str, path: str) -> dict | None:
        return next(
            (
                operations[method]
                for template, operations in self.document["paths"].items()
                if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method in operations
            ),
            None,
        )

    def _unrouted(self) -> dict[str, dict]:
        responses = self.document["components"]["responses"]
        return {status: responses[f"Problem{status}"] for status in ("404", "405")}

    def _resolved(self, answer: dict) -> dict:
        while "$ref" in answer:
            _, _, kind, name = answer["$ref"].split("/")
            answer = self.document["components"][kind][name]
        return answer


def _closed(schema):
    """The schema without additional properties."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else closed
