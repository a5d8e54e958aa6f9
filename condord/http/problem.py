"""Decides how an error looks: RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from condord.live import wire


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error; `detail` says what was wrong and what to do."""
    body = wire.Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(
        wire.encode(body),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )
