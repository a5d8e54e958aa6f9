"""The routes of recorded profit and loss and of closed condors, and those that answer as CSV."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from condord.errors import Unavailable
from condord.http.answer import REVALIDATE, daemon_of, json_answer
from condord.http.problem import problem
from condord.http.routes import DocumentedResponse, Parameter, Route, error
from condord.live import csv_text
from condord.live.history_query import MAX_POINTS, ParameterError, history_query, trades_query
from condord.live.never_read import why_positions_unread, why_trades_unread
from condord.live.wire_history import RecordedJson, TradesJson

RETRY_AFTER_SECONDS = 10
STARTING_SECONDS = 1
"""`Retry-After` until the daemon is ready: a start takes about a second."""
_CRLF: Final = "\r\n"
_LINES_AT_ONCE = 250  # lines of trades take 30 µs each

_NOT_RECORDED = "nothing is recorded, because history.enabled is false"
_UNKNOWN = "nothing is recorded of a condor with this id; GET /api/trades lists those that were closed"


async def _history(request: Request) -> Response:
    found = await _recorded(request)
    return found if isinstance(found, Response) else json_answer(found)


async def _history_csv(request: Request) -> Response:
    found = await _recorded(request)
    if isinstance(found, Response):
        return found
    return await _csv(csv_text.history_csv(found, _CRLF), f"condord-history-{found.id or 'account'}")


async def _recorded(request: Request) -> RecordedJson | Response:
    """The recorded history, or an error answer."""
    daemon = daemon_of(request)
    try:
        query = history_query(request.query_params.multi_items())
        if not daemon.records_history:
            return problem(404, _NOT_RECORDED)
        found = await daemon.history(query)
    except ParameterError as error:
        return problem(400, str(error))
    except Unavailable as error:
        return problem(503, str(error), {"Retry-After": str(_retry_after(request))})
    return problem(404, _UNKNOWN) if found is None else found


def _retry_after(request: Request) -> int:
    return RETRY_AFTER_SECONDS if daemon_of(request).is_ready else STARTING_SECONDS


async def _trades(request: Request) -> Response:
    found = await _closed(request)
    return found if isinstance(found, Response) else json_answer(found)


async def _trades_csv(request: Request) -> Response:
    found = await _closed(request)
    if isinstance(found, Response):
        return found
    if unread := why_trades_unread(found):  # headings alone would look like the whole answer
        return problem(503, unread, {"Retry-After": str(_retry_after(request))})
    return await _csv(csv_text.trades_csv(found, _CRLF), "condord-trades")


async def _closed(request: Request) -> TradesJson | Response:
    """The closed condors, or an error answer."""
    try:
        from_at, until_at = trades_query(request.query_params.multi_items())
    except ParameterError as error:
        return problem(400, str(error))
    return await daemon_of(request).trades(from_at, until_at)


async def _positions_csv(request: Request) -> Response:
    document = daemon_of(request).document()
    if unread := why_positions_unread(document):
        return problem(503, unread, {"Retry-After": str(_retry_after(request))})
    return await _csv(csv_text.positions_csv(document, _CRLF), "condord-positions")


async def _csv(lines: Iterator[str], name: str) -> Response:
    """The lines as a file to save under `name`."""
    parts = []
    while part := "".join(islice(lines, _LINES_AT_ONCE)):
        parts.append(part.encode())
        await asyncio.sleep(0)
    file_name = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return Response(
        b"".join(parts),
        headers={**REVALIDATE, "Content-Disposition": f'attachment; filename="{file_name}.csv"'},
        media_type="text/csv; charset=utf-8; header=present",
    )


_RANGE = (
    Parameter(
        name="from",
        location="query",
        description="The first date at the exchange, or an instant with an offset. By default everything is included.",
        example="2026-11-20",
    ),
    Parameter(
        name="to",
        location="query",
        description="The last date at the exchange, or an instant with an offset, not included itself; by default now.",
        example="2026-11-20T21:00:00Z",
    ),
)
_HISTORY_PARAMETERS = (
    Parameter(
        name="condor",
        location="query",
        description="The `id` of a condor; without it all open condors together.",
        example="SPY-261218-705-715-770-780",
    ),
    *_RANGE,
    Parameter(
        name="points",
        location="query",
        type=Annotated[int, msgspec.Meta(ge=1, le=MAX_POINTS)],
        description="How many minutes or buckets the answer has at most; 600 by default.",
    ),
)
_FILE = DocumentedResponse(
    status=200, description="The lines, headings first.", body="text/csv", headers=("Content-Disposition",)
)
_INVALID = error(400, "A parameter is unknown, repeated or invalid; `detail` names it and what is allowed.")
_HISTORY_ERRORS = (
    _INVALID,
    error(404, "Nothing was recorded of this condor, or `history.enabled` is false."),
    error(503, "The account is not known yet, or the database cannot be read; `detail` has the reason.", "Retry-After"),
)

RECORDED_ROUTES = (
    Route(
        path="/api/positions.csv",
        name="getPositionsCsv",
        endpoint=_positions_csv,
        summary="The condors, and all other option contracts of the account, as CSV.",
        responses=(_FILE, error(503, "The positions have not been read yet.", "Retry-After")),
    ),
    Route(
        path="/api/history",
        name="getHistory",
        endpoint=_history,
        summary="The recorded profit and loss of one condor, or of all open ones together.",
        parameters=_HISTORY_PARAMETERS,
        responses=(
            DocumentedResponse(status=200, description="What was recorded.", body=RecordedJson),
            *_HISTORY_ERRORS,
        ),
    ),
    Route(
        path="/api/history.csv",
        name="getHistoryCsv",
        endpoint=_history_csv,
        summary="The same as CSV, one line for each minute or bucket.",
        parameters=_HISTORY_PARAMETERS,
        responses=(_FILE, *_HISTORY_ERRORS),
    ),
    Route(
        path="/api/trades",
        name="getTrades",
        endpoint=_trades,
        summary="The condors that were closed, by the time at which they were, the newest first, and their totals.",
        parameters=_RANGE,
        responses=(
            DocumentedResponse(
                status=200,
                description="The trades; `totals.completeFrom` is null until the account's past is known.",
                body=TradesJson,
            ),
            _INVALID,
        ),
    ),
    Route(
        path="/api/trades.csv",
        name="getTradesCsv",
        endpoint=_trades_csv,
        summary="The same as CSV, without the totals.",
        parameters=_RANGE,
        responses=(_FILE, _INVALID, error(503, "The account's past is not known yet.", "Retry-After")),
    ),
)
