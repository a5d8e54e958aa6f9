"""Error answers in the format of RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from condord.live import wire


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error answer. `detail` states what was wrong and what to do; `headers` override the defaults."""
    body = wire.Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(
        wire.encode(body),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )
