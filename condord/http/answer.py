"""Shared by most endpoints: the daemon of a request, and an answer as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from condord.http.interfaces import DaemonView
from condord.live import wire

REVALIDATE = {"Cache-Control": "no-cache"}
"""A client may keep the answer, but must ask before it uses it again."""


def daemon_of(request: Request) -> DaemonView:
    """The daemon that `condord.http.app.build` was given."""
    daemon: DaemonView = request.app.state.daemon
    return daemon


def json_answer(payload: msgspec.Struct, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A struct as JSON; `headers` override the defaults."""
    return Response(
        wire.encode(payload),
        status_code=status_code,
        headers={**REVALIDATE, **(headers or {})},
        media_type="application/json",
    )
