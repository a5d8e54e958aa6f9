"""Decides how every HTTP answer looks: JSON bodies, Alpaca's error bodies, and how parameters are read."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

UNAUTHORIZED = 40110000
FORBIDDEN = 40310000
ABSENT = 40410000


class BadRequest(Exception):
    """A request that cannot be understood; answered 400 with its text as the message."""


def json(body: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def error(status: int, message: str, code: int | None = None) -> Response:
    """An error as Alpaca words it, with a code where it has one."""
    return json(({} if code is None else {"code": code}) | {"message": message}, status)


def absent(message: str) -> Response:
    """404 with its code."""
    return error(404, message, ABSENT)


def integer(request: Request, key: str, usual: int, most: int) -> int:
    """An integer parameter from 1 to `most`, or `usual`.

    Raises:
        BadRequest: it is none.
    """
    text = request.query_params.get(key)
    if not text:
        return usual
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise BadRequest(f"invalid {key}: {text}")
    return int(text)


def flag(request: Request, key: str) -> bool:
    """Whether a flag is set; alpaca-py writes `True`."""
    return request.query_params.get(key, "").lower() == "true"


def symbols_of(request: Request, key: str = "symbols") -> set[str]:
    """A list parameter, split at commas; empty where it is missing."""
    return {symbol for symbol in request.query_params.get(key, "").split(",") if symbol}
