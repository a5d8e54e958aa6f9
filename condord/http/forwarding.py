"""The routes that a relay does not answer itself: its source does, and the answer is passed back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from condord.errors import Unavailable
from condord.http.problem import problem

FORWARDED = frozenset(
    {
        "getHistory",
        "getHistoryCsv",
        "getTrades",
        "getTradesCsv",
        "getAlerts",
        "acknowledgeAlert",
        "testChannel",
        "refresh",
    }
)
"""The names of the routes."""
RETRY_AFTER_SECONDS = 2

_OWN_PARAMETERS = frozenset({"access_token", "ticket"})
"""Query parameters for this server only, which are never sent to the source."""


class ForwardedAnswer(Protocol):
    """An answer of the source."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers to pass back."""

    @property
    def body(self) -> bytes:
        """The whole body."""


class Source(Protocol):
    """Answers requests that a relay cannot answer itself."""

    async def ask(self, method: str, target: str) -> ForwardedAnswer:
        """Return the answer to `method` at `target`, a path with its query.

        Raises:
            Unavailable: the source is lost.
        """


async def forward(request: Request) -> Response:
    """Pass the request to the source in `app.state`, and its answer back."""
    source: Source = request.app.state.source
    method = "GET" if request.method == "HEAD" else request.method
    try:
        answer = await source.ask(method, target_of(request))
    except Unavailable as error:
        return problem(503, str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)})
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))


def target_of(request: Request) -> str:
    """The path and the query for the source, without the parameters for this server only."""
    path = quote(request.scope["path"], safe="/:@!$&'()*+,;=-._~")
    query = [
        (name, value)
        for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if name not in _OWN_PARAMETERS
    ]
    return f"{path}?{urlencode(query)}" if query else path
