"""JSON bodies, Alpaca's error bodies, and query parameters."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from condord.simulator.clock import NEW_YORK

_T = TypeVar("_T")
UNAUTHORIZED = 40110000
FORBIDDEN = 40310000
NOT_FOUND = 40410000


class BadRequest(Exception):
    """An invalid request; answered 400 with its text as the message."""


def json_response(body: object, status: int = 200) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def error_response(status: int, message: str, code: int | None = None) -> Response:
    """An error with the body of Alpaca's; some have a code."""
    return json_response(({} if code is None else {"code": code}) | {"message": message}, status)


def not_found(message: str) -> Response:
    """A 404 with Alpaca's code."""
    return error_response(404, message, NOT_FOUND)


def integer_parameter(request: Request, key: str, default: int, maximum: int) -> int:
    """An integer parameter from 1 to `maximum`; `default` if it is missing.

    Raises:
        BadRequest: it is not such an integer.
    """
    text = request.query_params.get(key)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= maximum:
        raise BadRequest(f"invalid {key}: {text}")
    return int(text)


def flag_parameter(request: Request, key: str) -> bool:
    """Whether a flag is set; alpaca-py sends `True`."""
    return request.query_params.get(key, "").lower() == "true"


def symbols_parameter(request: Request, key: str = "symbols") -> set[str]:
    """A comma-separated parameter; empty if it is missing."""
    return {symbol for symbol in request.query_params.get(key, "").split(",") if symbol}


def page_of(request: Request, rows: Sequence[_T], default: int, maximum: int) -> tuple[Sequence[_T], str | None]:
    """The page of `rows` that `limit` and `page_token` ask for, and the token of the next one; None after the last.

    Raises:
        BadRequest: the limit is not from 1 to `maximum`, or the token is invalid.
    """
    token = request.query_params.get("page_token")
    try:
        start = int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError as error:
        raise BadRequest("invalid page_token") from error
    end = start + integer_parameter(request, "limit", default, maximum)
    return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None


async def decoded_body(request: Request, body_type: Any) -> Any:  # noqa: ANN401 - any type that msgspec decodes
    """The body of `request` as `body_type`.

    Raises:
        BadRequest: it is not one.
    """
    try:
        return msgspec.json.decode(await request.body(), type=body_type)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error


def exchange_instant(text: str | None) -> dt.datetime | None:
    """As `instant`, but without a time zone it is in New York, as a date is for bars.

    Raises:
        BadRequest: it is not an instant.
    """
    return instant(text, NEW_YORK)


def instant(text: str | None, zone: dt.tzinfo = dt.UTC) -> dt.datetime | None:
    """An instant in RFC 3339, or a date; None if it is missing or empty. Without a time zone it is in `zone`.

    Raises:
        BadRequest: it is not an instant.
    """
    if not text:
        return None
    try:
        at = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest(f"invalid time: {text}") from error
    return at if at.tzinfo else at.replace(tzinfo=zone)
