"""Error answers in the format of RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from condord.live import wire

NO_TYPE = "about:blank"
"""RFC 9457: the problem is nothing more than its status."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error answer. `detail` states the fault and the remedy; `headers` override the defaults."""
    body = wire.Problem(type=NO_TYPE, title=HTTPStatus(status).phrase, status=status, detail=detail)
    return problem_answer(body, headers)


def problem_answer(body: wire.Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer with this body, which may have more members; `headers` override the defaults."""
    return Response(
        wire.encode(body),
        status_code=body.status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )
